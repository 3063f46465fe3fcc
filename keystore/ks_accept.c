/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/ks_accept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const uint8_t magic[8] = {0x89, 'E', 'T', 'C', 'D', 'K', 'A', '\n'};
#define ACCEPTED_VERSION 1
#define RECORD_MAX       (64U << 10)

static const char cure[] =
    "if you know that this keystore is the right one, accept it with 'etcdseal keystore restore "
    "--fingerprint SHA256 FILE'";

enum kerr ks_accepted_new(struct ks_accepted **ret, struct kerrinfo *e)
{
    struct ks_accepted *a = calloc(1, sizeof *a);
    if (a != NULL) {
        a->keys = calloc(KS_KEYS_MAX, sizeof *a->keys);
    }
    if (a == NULL || a->keys == NULL) {
        ks_accepted_free(a);
        return kerr_set(e, KERR_NOMEM, "no memory for what was accepted");
    }
    *ret = a;
    return KERR_OK;
}

void ks_accepted_free(struct ks_accepted *a)
{
    if (a != NULL) {
        free(a->keys);
        free(a);
    }
}

void ks_accepted_free_at(struct ks_accepted **a)
{
    ks_accepted_free(*a);
    *a = NULL;
}

static void commit_key(const struct ks_key *key, const struct ks_slot_keys *keys,
                       uint8_t to[KS_COMMITMENT_BYTES])
{
    static const char label[] = "etcdseal/v1/accepted/key";
    struct bytes parts[] = {bytes_of_text(label), BYTES_OF(key->id), bytes_of(&key->suite, 1),
                            secret_view(key->material)};
    uint8_t mac[HASH_BYTES];
    hash_hmac(secret_view(keys->accept), parts, ARRAY_LEN(parts), mac);
    memcpy(to, mac, KS_COMMITMENT_BYTES);
}

enum kerr ks_accepted_of(const struct ks_model *m, const uint8_t file_hash[HASH_BYTES],
                         const struct ks_slot_keys *keys, struct ks_accepted **ret,
                         struct kerrinfo *e)
{
    AUTO_ACCEPTED a = NULL;
    enum kerr k = ks_accepted_new(&a, e);
    if (k != KERR_OK) {
        return k;
    }
    memcpy(a->slot, keys->slot, KS_ID_BYTES);
    memcpy(a->store_id, m->store_id, KS_ID_BYTES);
    a->generation = m->generation;
    memcpy(a->hash, file_hash, HASH_BYTES);
    for (size_t i = 0; i < m->slot_count; i++) {
        const struct ks_slot *s = &m->slots[i];
        struct ks_accepted_slot *to = &a->roster[i];
        memcpy(to->id, s->id, KS_ID_BYTES);
        to->role = s->role;
        memcpy(to->box_key, s->box_key, PUBKEY_BYTES);
        memcpy(to->sign_key, s->sign_key, PUBKEY_BYTES);
    }
    a->roster_count = m->slot_count;
    for (size_t i = 0; i < m->key_count; i++) {
        memcpy(a->keys[i].id, m->keys[i].id, KS_ID_BYTES);
        a->keys[i].is_destroyed = m->keys[i].material == NULL;
        if (!a->keys[i].is_destroyed) {
            commit_key(&m->keys[i], keys, a->keys[i].commitment);
        }
    }
    a->key_count = m->key_count;
    *ret = a;
    a = NULL;
    return KERR_OK;
}

static void record_mac(const struct ks_slot_keys *keys, struct bytes body,
                       uint8_t to[static HASH_BYTES])
{
    struct bytes parts[] = {bytes_of_text("etcdseal/v1/accepted/record"), body};
    hash_hmac(secret_view(keys->accept), parts, ARRAY_LEN(parts), to);
}

static void write_record(struct writer *w, const struct ks_accepted *a)
{
    write_raw(w, BYTES_OF(a->slot));
    write_raw(w, BYTES_OF(a->store_id));
    write_u64(w, a->generation);
    write_raw(w, BYTES_OF(a->hash));
    write_u16(w, (uint16_t)a->roster_count);
    for (size_t i = 0; i < a->roster_count; i++) {
        write_raw(w, BYTES_OF(a->roster[i].id));
        write_u8(w, a->roster[i].role);
        write_raw(w, BYTES_OF(a->roster[i].box_key));
        write_raw(w, BYTES_OF(a->roster[i].sign_key));
    }
    write_u16(w, (uint16_t)a->key_count);
    for (size_t i = 0; i < a->key_count; i++) {
        write_raw(w, BYTES_OF(a->keys[i].id));
        write_u8(w, a->keys[i].is_destroyed ? 1 : 0);
        write_raw(w, BYTES_OF(a->keys[i].commitment));
    }
}

static enum kerr read_record(struct bytes body, struct ks_accepted *a, struct kerrinfo *e)
{
    struct reader r = reader_on(body);
    read_into(&r, a->slot, sizeof a->slot);
    read_into(&r, a->store_id, sizeof a->store_id);
    a->generation = read_u64(&r);
    read_into(&r, a->hash, sizeof a->hash);
    a->roster_count = read_u16(&r);
    if (r.failed || a->roster_count > KS_SLOTS_MAX) {
        return kerr_set(e, KERR_FORMAT, "keystore.accepted: a roster of %zu slots",
                        a->roster_count);
    }
    for (size_t i = 0; i < a->roster_count; i++) {
        read_into(&r, a->roster[i].id, KS_ID_BYTES);
        a->roster[i].role = read_u8(&r);
        read_into(&r, a->roster[i].box_key, PUBKEY_BYTES);
        read_into(&r, a->roster[i].sign_key, PUBKEY_BYTES);
    }
    a->key_count = read_u16(&r);
    if (r.failed || a->key_count > KS_KEYS_MAX) {
        return kerr_set(e, KERR_FORMAT, "keystore.accepted: %zu keys", a->key_count);
    }
    for (size_t i = 0; i < a->key_count; i++) {
        read_into(&r, a->keys[i].id, KS_ID_BYTES);
        a->keys[i].is_destroyed = read_u8(&r) != 0;
        read_into(&r, a->keys[i].commitment, KS_COMMITMENT_BYTES);
    }
    return r.failed || reader_left(&r) != 0
               ? kerr_set(e, KERR_FORMAT, "keystore.accepted: a record is cut off")
               : KERR_OK;
}

/* Walks the records: magic, u16 version, then (u32 length, body, MAC) until the end. */
static bool start_walk(struct bytes file, struct reader *r)
{
    *r = reader_on(file);
    struct bytes head = read_raw(r, sizeof magic);
    uint16_t version = read_u16(r);
    return !r->failed && bytes_equal(head, BYTES_OF(magic)) && version == ACCEPTED_VERSION;
}

static bool next_record(struct reader *r, struct bytes *ret_body, struct bytes *ret_mac)
{
    if (reader_left(r) == 0) {
        return false;
    }
    size_t len = read_u32(r);
    *ret_body = read_raw(r, len);
    *ret_mac = read_raw(r, HASH_BYTES);
    return !r->failed && ret_body->len >= KS_ID_BYTES && ret_body->len <= RECORD_MAX;
}

enum kerr ks_accepted_find(struct bytes file, const struct ks_slot_keys *keys,
                           struct ks_accepted **ret, struct kerrinfo *e)
{
    struct reader r;
    if (!start_walk(file, &r)) {
        return kerr_set(e, KERR_UNTRUSTED, "keystore.accepted is damaged; %s", cure);
    }
    struct bytes body;
    struct bytes stored;
    while (next_record(&r, &body, &stored)) {
        if (memcmp(body.ptr, keys->slot, KS_ID_BYTES) != 0) {
            continue;
        }
        uint8_t mac[HASH_BYTES];
        record_mac(keys, body, mac);
        if (!secret_equal_bytes(BYTES_OF(mac), stored)) {
            return kerr_set(e, KERR_UNTRUSTED,
                            "keystore.accepted was altered, or copied from another node; %s", cure);
        }
        AUTO_ACCEPTED a = NULL;
        enum kerr k = ks_accepted_new(&a, e);
        if (k == KERR_OK) {
            k = read_record(body, a, e);
        }
        if (k == KERR_OK) {
            *ret = a;
            a = NULL;
        }
        return k;
    }
    return kerr_set(e, KERR_UNTRUSTED,
                    "keystore.accepted has no record of the slot that opened the keystore: it was "
                    "copied from another node, or cut; %s",
                    cure);
}

static bool is_replaced(struct bytes body, const struct ks_accepted *const *records, size_t count)
{
    bool is_member = false;
    for (size_t i = 0; i < count; i++) {
        if (memcmp(body.ptr, records[i]->slot, KS_ID_BYTES) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < records[0]->roster_count; i++) {
        is_member = is_member || memcmp(body.ptr, records[0]->roster[i].id, KS_ID_BYTES) == 0;
    }
    return !is_member;
}

static enum kerr put_record(struct buf *out, struct bytes body, struct bytes mac,
                            struct kerrinfo *e)
{
    uint8_t len[4];
    struct writer w = writer_on(len, sizeof len);
    write_u32(&w, (uint32_t)body.len);
    enum kerr k = buf_put(out, BYTES_OF(len), e);
    if (k == KERR_OK) {
        k = buf_put(out, body, e);
    }
    return k == KERR_OK ? buf_put(out, mac, e) : k;
}

static enum kerr put_new(struct buf *out, const struct ks_accepted *a,
                         const struct ks_slot_keys *keys, struct kerrinfo *e)
{
    AUTO_BUF raw;
    buf_init(&raw, RECORD_MAX);
    uint8_t *to;
    uint8_t mac[HASH_BYTES];
    enum kerr k = buf_extend(&raw, RECORD_MAX, &to, e);
    if (k != KERR_OK) {
        return k;
    }
    struct writer w = writer_on(to, RECORD_MAX);
    write_record(&w, a);
    if (w.failed) {
        return kerr_set(e, KERR_BUG, "a record of what was accepted is too large");
    }
    record_mac(keys, writer_view(&w), mac);
    return put_record(out, writer_view(&w), BYTES_OF(mac), e);
}

enum kerr ks_accepted_update(struct bytes old_file, const struct ks_accepted *const *records,
                             const struct ks_slot_keys *const *keys, size_t count, struct buf *ret,
                             struct kerrinfo *e)
{
    AUTO_BUF out;
    buf_init(&out, KS_ACCEPTED_FILE_MAX);
    uint8_t version[2] = {0, ACCEPTED_VERSION};
    enum kerr k = buf_put(&out, BYTES_OF(magic), e);
    if (k == KERR_OK) {
        k = buf_put(&out, BYTES_OF(version), e);
    }
    struct reader r;
    struct bytes body;
    struct bytes mac;
    bool has_old = start_walk(old_file, &r);
    while (k == KERR_OK && has_old && next_record(&r, &body, &mac)) {
        if (!is_replaced(body, records, count)) {
            k = put_record(&out, body, mac, e);
        }
    }
    for (size_t i = 0; i < count && k == KERR_OK; i++) {
        k = put_new(&out, records[i], keys[i], e);
    }
    if (k == KERR_OK) {
        *ret = out;
        out = (struct buf){0};
    }
    return k;
}

static enum kerr check_generation(const struct ks_accepted *a, const struct ks_model *m,
                                  const uint8_t file_hash[HASH_BYTES], struct kerrinfo *e)
{
    unsigned long long had = a->generation;
    unsigned long long has = m->generation;
    if (memcmp(a->store_id, m->store_id, KS_ID_BYTES) != 0) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "this is the keystore of another cluster: its store id "
                        "is not the accepted one");
    }
    if (has < had) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "rolled back: the keystore has generation %llu, this node accepted %llu; "
                        "%s",
                        has, had, cure);
    }
    if (has == had && memcmp(a->hash, file_hash, HASH_BYTES) != 0) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "fork: another keystore of generation %llu was accepted before", has);
    }
    if (has == had + 1 && memcmp(a->hash, m->previous_hash, HASH_BYTES) != 0) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "fork: the keystore of generation %llu does not follow the accepted one of "
                        "generation %llu",
                        has, had);
    }
    return KERR_OK;
}

static struct ks_accepted_slot *member(struct ks_accepted_slot *roster, size_t count,
                                       const uint8_t id[KS_ID_BYTES])
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(roster[i].id, id, KS_ID_BYTES) == 0) {
            return &roster[i];
        }
    }
    return NULL;
}

static enum kerr apply_change(const struct ks_model *m, const struct ks_roster_change *c,
                              struct ks_accepted_slot *roster, size_t *count, struct kerrinfo *e)
{
    const struct ks_accepted_slot *by = member(roster, *count, c->by);
    if (by == NULL || !ks_verify_change(m, c, by->sign_key)) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "roster: the change of generation %llu was not signed by an accepted slot",
                        (unsigned long long)c->generation);
    }
    struct ks_accepted_slot *at = member(roster, *count, c->slot);
    if (c->kind == KS_CHANGE_REMOVE && at != NULL) {
        *at = roster[--*count];
        return KERR_OK;
    }
    if (c->kind == KS_CHANGE_REMOVE || at != NULL || *count >= KS_SLOTS_MAX) {
        return kerr_set(e, KERR_UNTRUSTED, "roster: a change that does not apply");
    }
    struct ks_accepted_slot *fresh = &roster[(*count)++];
    memcpy(fresh->id, c->slot, KS_ID_BYTES);
    fresh->role = c->role;
    memcpy(fresh->box_key, c->box_key, PUBKEY_BYTES);
    memcpy(fresh->sign_key, c->sign_key, PUBKEY_BYTES);
    return KERR_OK;
}

static bool same_slot(const struct ks_accepted_slot *a, const struct ks_slot *s)
{
    return a != NULL && a->role == s->role && memcmp(a->box_key, s->box_key, PUBKEY_BYTES) == 0 &&
           memcmp(a->sign_key, s->sign_key, PUBKEY_BYTES) == 0;
}

static enum kerr check_roster(const struct ks_accepted *a, const struct ks_model *m,
                              const struct ks_parts *parts, struct kerrinfo *e)
{
    struct ks_accepted_slot roster[KS_SLOTS_MAX];
    size_t count = a->roster_count;
    memcpy(roster, a->roster, sizeof roster);
    for (size_t i = 0; i < m->change_count; i++) {
        if (m->changes[i].generation <= a->generation) {
            continue;
        }
        enum kerr k = apply_change(m, &m->changes[i], roster, &count, e);
        if (k != KERR_OK) {
            return k;
        }
    }
    for (size_t i = 0; i < m->slot_count; i++) {
        if (count != m->slot_count ||
            !same_slot(member(roster, count, m->slots[i].id), &m->slots[i])) {
            return kerr_set(e, KERR_UNTRUSTED,
                            "roster: the keystore's slots are not those that this node accepted, "
                            "and no signed changes lead to them (slot %s)",
                            m->slots[i].name);
        }
    }
    const struct ks_accepted_slot *writer = member(roster, count, m->writer);
    if (writer == NULL) {
        return kerr_set(e, KERR_UNTRUSTED, "its writer is not on the accepted roster");
    }
    if (ks_check_signature(parts, writer->sign_key, NULL) != KERR_OK) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "its signature is not that of the accepted slot that it names as writer");
    }
    return KERR_OK;
}

static enum kerr check_keys(const struct ks_accepted *a, const struct ks_model *m,
                            const struct ks_slot_keys *keys, struct kerrinfo *e)
{
    for (size_t i = 0; i < a->key_count; i++) {
        const struct ks_accepted_key *had = &a->keys[i];
        const struct ks_key *has = ks_model_key(m, had->id);
        char id[KS_KEY_ID_TEXT];
        ks_key_id_text(had->id, id);
        if (has == NULL) {
            return kerr_set(e, KERR_UNTRUSTED, "key %s vanished without a tombstone", id);
        }
        if (had->is_destroyed && has->material != NULL) {
            return kerr_set(e, KERR_UNTRUSTED, "key %s was destroyed and is back", id);
        }
        if (has->material == NULL) {
            continue;
        }
        uint8_t commitment[KS_COMMITMENT_BYTES];
        commit_key(has, keys, commitment);
        if (!secret_equal_bytes(BYTES_OF(commitment), BYTES_OF(had->commitment))) {
            return kerr_set(e, KERR_UNTRUSTED, "key %s changed its material", id);
        }
    }
    return KERR_OK;
}

enum kerr ks_accepted_check(const struct ks_accepted *a, const struct ks_model *m,
                            const struct ks_parts *parts, const uint8_t file_hash[HASH_BYTES],
                            const struct ks_slot_keys *keys, struct kerrinfo *e)
{
    enum kerr k = check_generation(a, m, file_hash, e);
    if (k == KERR_OK) {
        k = check_roster(a, m, parts, e);
    }
    return k == KERR_OK ? check_keys(a, m, keys, e) : k;
}
