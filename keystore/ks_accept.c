/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/ks_accept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "keystore/ks_state.h"

static const uint8_t magic[8] = {0x89, 'E', 'T', 'C', 'D', 'K', 'A', '\n'};
#define ACCEPTED_VERSION 1

static const char label_copy[] = "etcdseal/v1/accepted/copy";
static const char label_record[] = "etcdseal/v1/accepted/record";
static const char label_key[] = "etcdseal/v1/accepted/key";

static const char cure[] =
    "if you know that this keystore is the right one, accept it with 'etcdseal keystore restore "
    "--fingerprint SHA256 --forget-record FILE'";

static enum kerr accepted_alloc(struct ks_accepted **ret, struct kerrinfo *e)
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

enum kerr ks_accepted_new(struct ks_accepted **ret, struct kerrinfo *e)
{
    AUTO_ACCEPTED a = NULL;
    enum kerr k = accepted_alloc(&a, e);
    if (k == KERR_OK) {
        k = secret_random(KS_ACCEPT_KEY_BYTES, &a->key, e);
    }
    if (k == KERR_OK) {
        *ret = a;
        a = NULL;
    }
    return k;
}

void ks_accepted_free(struct ks_accepted *a)
{
    if (a != NULL) {
        secret_free(a->key);
        free(a->keys);
        free(a);
    }
}

void ks_accepted_free_at(struct ks_accepted **a)
{
    ks_accepted_free(*a);
    *a = NULL;
}

enum kerr ks_accepted_clone(const struct ks_accepted *a, struct ks_accepted **ret,
                            struct kerrinfo *e)
{
    AUTO_ACCEPTED out = NULL;
    AUTO_SECRET key = NULL;
    enum kerr k = accepted_alloc(&out, e);
    if (k == KERR_OK) {
        k = secret_from_bytes(secret_view(a->key), &key, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    struct ks_accepted_key *keys = out->keys;
    *out = *a;
    out->key = secret_take(&key);
    out->copy_count = 0;
    out->keys = keys;
    memcpy(keys, a->keys, KS_KEYS_MAX * sizeof *keys);
    *ret = out;
    out = NULL;
    return KERR_OK;
}

bool ks_accepted_has_slot(const struct ks_accepted *a, const uint8_t slot[KS_ID_BYTES])
{
    for (size_t i = 0; i < a->copy_count; i++) {
        if (memcmp(a->copies[i].slot, slot, KS_ID_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

static struct bytes copy_aad(const uint8_t slot[KS_ID_BYTES], uint8_t to[static 64])
{
    struct writer w = writer_on(to, 64);
    write_raw(&w, bytes_of_text(label_copy));
    write_raw(&w, bytes_of(slot, KS_ID_BYTES));
    return writer_view(&w);
}

enum kerr ks_accepted_add_slot(struct ks_accepted *a, const struct ks_slot_keys *keys,
                               struct kerrinfo *e)
{
    struct ks_accept_copy copy;
    uint8_t aad[64];
    memcpy(copy.slot, keys->slot, KS_ID_BYTES);
    random_fill(copy.sealed, AEAD_XAES_NONCE);
    enum kerr k =
        aead_xaes_seal(secret_view(keys->accept).ptr, copy.sealed, copy_aad(copy.slot, aad),
                       secret_view(a->key), copy.sealed + AEAD_XAES_NONCE, e);
    if (k != KERR_OK) {
        return k;
    }
    for (size_t i = 0; i < a->copy_count; i++) {
        if (memcmp(a->copies[i].slot, copy.slot, KS_ID_BYTES) == 0) {
            a->copies[i] = copy;
            return KERR_OK;
        }
    }
    if (a->copy_count == KS_SLOTS_MAX) {
        return kerr_set(e, KERR_LIMIT, "keystore.accepted has %d slots already", KS_SLOTS_MAX);
    }
    a->copies[a->copy_count++] = copy;
    return KERR_OK;
}

static void commit_key(const struct ks_key *key, const struct secret *accept_key,
                       uint8_t to[KS_COMMITMENT_BYTES])
{
    struct bytes parts[] = {bytes_of_text(label_key), BYTES_OF(key->id), bytes_of(&key->suite, 1),
                            secret_view(key->material)};
    uint8_t mac[HASH_BYTES];
    hash_hmac(secret_view(accept_key), parts, ARRAY_LEN(parts), mac);
    memcpy(to, mac, KS_COMMITMENT_BYTES);
}

static uint8_t flags_of(const struct ks_key *key)
{
    static const uint8_t by_state[KS_STATE_COUNT] = {
        [KS_PRIMARY] = KS_ACCEPTED_PRIMARY,
        [KS_DISABLED] = KS_ACCEPTED_DISABLED,
        [KS_DESTROY_SCHEDULED] = KS_ACCEPTED_DISABLED,
        [KS_DESTROYED] = KS_ACCEPTED_DESTROYED,
    };
    unsigned flags = by_state[ks_state(key)];
    flags |= key->compromised_at_s != 0 ? KS_ACCEPTED_COMPROMISED : 0U;
    flags |= key->promoted_at_s != 0 ? KS_ACCEPTED_PROMOTED : 0U;
    return (uint8_t)flags;
}

static void take_slots(struct ks_accepted *a, const struct ks_model *m)
{
    for (size_t i = 0; i < m->slot_count; i++) {
        const struct ks_slot *s = &m->slots[i];
        struct ks_accepted_slot *to = &a->roster[i];
        memcpy(to->id, s->id, KS_ID_BYTES);
        to->role = s->role;
        memcpy(to->box_key, s->box_key, PUBKEY_BYTES);
        memcpy(to->sign_key, s->sign_key, PUBKEY_BYTES);
    }
    a->roster_count = m->slot_count;
}

bool ks_accepted_lost_slot(const struct ks_accepted *a, const struct ks_model *m)
{
    for (size_t i = 0; i < a->copy_count; i++) {
        if (ks_model_slot(m, a->copies[i].slot) == NULL) {
            return true;
        }
    }
    return false;
}

void ks_accepted_take(struct ks_accepted *a, const struct ks_model *m,
                      const uint8_t file_hash[HASH_BYTES])
{
    memcpy(a->store_id, m->store_id, KS_ID_BYTES);
    a->generation = m->generation;
    memcpy(a->hash, file_hash, HASH_BYTES);
    take_slots(a, m);
    for (size_t i = 0; i < m->key_count; i++) {
        struct ks_accepted_key *to = &a->keys[i];
        *to = (struct ks_accepted_key){.flags = flags_of(&m->keys[i])};
        memcpy(to->id, m->keys[i].id, KS_ID_BYTES);
        if (m->keys[i].material != NULL) {
            commit_key(&m->keys[i], a->key, to->commitment);
        }
    }
    a->key_count = m->key_count;
}

const struct ks_accepted_key *ks_accepted_key(const struct ks_accepted *a,
                                              const uint8_t id[KS_ID_BYTES])
{
    for (size_t i = 0; i < a->key_count; i++) {
        if (memcmp(a->keys[i].id, id, KS_ID_BYTES) == 0) {
            return &a->keys[i];
        }
    }
    return NULL;
}

static void record_mac(const struct secret *accept_key, struct bytes body,
                       uint8_t to[static HASH_BYTES])
{
    struct bytes parts[] = {bytes_of_text(label_record), body};
    hash_hmac(secret_view(accept_key), parts, ARRAY_LEN(parts), to);
}

static void write_record(struct writer *w, const struct ks_accepted *a)
{
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
        write_u8(w, a->keys[i].flags);
        write_raw(w, BYTES_OF(a->keys[i].commitment));
    }
}

static enum kerr read_record(struct bytes body, struct ks_accepted *a, struct kerrinfo *e)
{
    struct reader r = reader_on(body);
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
        a->keys[i].flags = read_u8(&r);
        read_into(&r, a->keys[i].commitment, KS_COMMITMENT_BYTES);
    }
    return r.failed || reader_left(&r) != 0
               ? kerr_set(e, KERR_FORMAT, "keystore.accepted: the record is cut off")
               : KERR_OK;
}

/* The parts of the file, nothing believed yet. */
static bool read_copies(struct reader *r, struct ks_accepted *a)
{
    struct bytes head = read_raw(r, sizeof magic);
    uint16_t version = read_u16(r);
    size_t count = read_u16(r);
    if (r->failed || !bytes_equal(head, BYTES_OF(magic)) || version != ACCEPTED_VERSION ||
        count > KS_SLOTS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        read_into(r, a->copies[i].slot, KS_ID_BYTES);
        read_into(r, a->copies[i].sealed, KS_ACCEPT_COPY_BYTES);
    }
    a->copy_count = count;
    return !r->failed;
}

static enum kerr open_copy(struct ks_accepted *a, const struct ks_slot_keys *keys,
                           struct kerrinfo *e)
{
    const struct ks_accept_copy *copy = NULL;
    for (size_t i = 0; i < a->copy_count; i++) {
        if (memcmp(a->copies[i].slot, keys->slot, KS_ID_BYTES) == 0) {
            copy = &a->copies[i];
        }
    }
    if (copy == NULL) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "keystore.accepted knows nothing of the slot that opened the keystore: it "
                        "was copied from another node, or the slot was left out when another one "
                        "was removed; open it with another slot and run 'etcdseal seal test', or, "
                        "%s",
                        cure);
    }
    uint8_t aad[64];
    AUTO_SECRET key = NULL;
    struct kerrinfo inner = {0};
    enum kerr k = secret_new(KS_ACCEPT_KEY_BYTES, &key, e);
    if (k != KERR_OK) {
        return k;
    }
    k = aead_xaes_open(
        secret_view(keys->accept).ptr, copy->sealed, copy_aad(copy->slot, aad),
        bytes_of(copy->sealed + AEAD_XAES_NONCE, KS_ACCEPT_COPY_BYTES - AEAD_XAES_NONCE),
        secret_bytes(key), &inner);
    if (k == KERR_INTEGRITY) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "keystore.accepted was altered, or copied from another node; %s", cure);
    }
    if (k != KERR_OK) {
        return kerr_set(e, k, "%s", inner.text);
    }
    a->key = secret_take(&key);
    return KERR_OK;
}

enum kerr ks_accepted_read(struct bytes file, const struct ks_slot_keys *keys,
                           struct ks_accepted **ret, struct kerrinfo *e)
{
    AUTO_ACCEPTED a = NULL;
    enum kerr k = accepted_alloc(&a, e);
    if (k != KERR_OK) {
        return k;
    }
    struct reader r = reader_on(file);
    if (!read_copies(&r, a)) {
        return kerr_set(e, KERR_UNTRUSTED, "keystore.accepted is damaged; %s", cure);
    }
    k = open_copy(a, keys, e);
    if (k != KERR_OK) {
        return k;
    }
    struct bytes body = read_raw(&r, read_u32(&r));
    struct bytes stored = read_raw(&r, HASH_BYTES);
    uint8_t mac[HASH_BYTES];
    record_mac(a->key, body, mac);
    if (r.failed || reader_left(&r) != 0 || !secret_equal_bytes(BYTES_OF(mac), stored)) {
        return kerr_set(e, KERR_UNTRUSTED, "keystore.accepted was altered; %s", cure);
    }
    k = read_record(body, a, e);
    if (k == KERR_OK) {
        *ret = a;
        a = NULL;
    }
    return k;
}

uint64_t ks_accepted_peek_generation(struct bytes file)
{
    AUTO_ACCEPTED a = NULL;
    struct reader r = reader_on(file);
    if (accepted_alloc(&a, NULL) != KERR_OK || !read_copies(&r, a)) {
        return 0;
    }
    struct bytes body = read_raw(&r, read_u32(&r));
    return !r.failed && read_record(body, a, NULL) == KERR_OK ? a->generation : 0;
}

enum kerr ks_accepted_write(const struct ks_accepted *a, struct buf *ret, struct kerrinfo *e)
{
    AUTO_BUF out;
    buf_init(&out, KS_ACCEPTED_FILE_MAX);
    uint8_t *to;
    uint8_t mac[HASH_BYTES];
    enum kerr k = buf_extend(&out, KS_ACCEPTED_FILE_MAX, &to, e);
    if (k != KERR_OK) {
        return k;
    }
    struct writer w = writer_on(to, KS_ACCEPTED_FILE_MAX);
    write_raw(&w, BYTES_OF(magic));
    write_u16(&w, ACCEPTED_VERSION);
    write_u16(&w, (uint16_t)a->copy_count);
    for (size_t i = 0; i < a->copy_count; i++) {
        write_raw(&w, BYTES_OF(a->copies[i].slot));
        write_raw(&w, BYTES_OF(a->copies[i].sealed));
    }
    size_t size_at = w.len;
    write_u32(&w, 0);
    size_t body_at = w.len;
    write_record(&w, a);
    size_t body_len = w.len - body_at;
    if (w.failed) {
        return kerr_set(e, KERR_BUG, "the record of what was accepted is too large");
    }
    struct writer size = writer_on(to + size_at, 4);
    write_u32(&size, (uint32_t)body_len);
    record_mac(a->key, bytes_of(to + body_at, body_len), mac);
    write_raw(&w, BYTES_OF(mac));
    buf_init(ret, KS_ACCEPTED_FILE_MAX);
    return w.failed ? kerr_set(e, KERR_BUG, "the record of what was accepted is too large")
                    : buf_put(ret, writer_view(&w), e);
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

const struct ks_accepted_slot *ks_accepted_member(const struct ks_accepted *a,
                                                  const uint8_t id[KS_ID_BYTES])
{
    for (size_t i = 0; i < a->roster_count; i++) {
        if (memcmp(a->roster[i].id, id, KS_ID_BYTES) == 0) {
            return &a->roster[i];
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
                            "and no signed changes lead to them (slot %s); if a restore with "
                            "--lose-slots was interrupted, run it again",
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

/* Where generations between were not seen, the hashes do not show a fork; the keys' past does. A
 * key id that came back would make kube-apiserver take old values for fresh ones. */
static enum kerr check_past(const struct ks_accepted_key *had, const struct ks_key *has,
                            const char *id, struct kerrinfo *e)
{
    bool was_promoted = (had->flags & KS_ACCEPTED_PROMOTED) != 0;
    bool was_primary = (had->flags & KS_ACCEPTED_PRIMARY) != 0;
    if (was_promoted && has->promoted_at_s == 0) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "fork: key %s has been primary on this node, and never was here", id);
    }
    if (was_promoted && !was_primary && ks_state(has) == KS_PRIMARY) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "fork: key %s was retired on this node, and is primary here", id);
    }
    if ((had->flags & KS_ACCEPTED_COMPROMISED) != 0 && has->compromised_at_s == 0) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "fork: key %s was marked compromised on this node, and is not here", id);
    }
    return KERR_OK;
}

static enum kerr check_keys(const struct ks_accepted *a, const struct ks_model *m,
                            struct kerrinfo *e)
{
    for (size_t i = 0; i < a->key_count; i++) {
        const struct ks_accepted_key *had = &a->keys[i];
        const struct ks_key *has = ks_model_key(m, had->id);
        bool was_destroyed = (had->flags & KS_ACCEPTED_DESTROYED) != 0;
        char id[KS_KEY_ID_TEXT];
        ks_key_id_text(had->id, id);
        if (has == NULL) {
            return kerr_set(e, KERR_UNTRUSTED,
                            "key %s vanished without a tombstone; if a restore that gave it up "
                            "was interrupted, run that restore again",
                            id);
        }
        if (was_destroyed && has->material != NULL) {
            return kerr_set(e, KERR_UNTRUSTED, "key %s was destroyed and is back", id);
        }
        if (has->material == NULL) {
            continue;
        }
        uint8_t commitment[KS_COMMITMENT_BYTES];
        commit_key(has, a->key, commitment);
        if (!secret_equal_bytes(BYTES_OF(commitment), BYTES_OF(had->commitment))) {
            return kerr_set(e, KERR_UNTRUSTED, "key %s changed its material", id);
        }
        enum kerr k = check_past(had, has, id, e);
        if (k != KERR_OK) {
            return k;
        }
    }
    return KERR_OK;
}

enum kerr ks_accepted_check(const struct ks_accepted *a, const struct ks_model *m,
                            const struct ks_parts *parts, const uint8_t file_hash[HASH_BYTES],
                            struct kerrinfo *e)
{
    enum kerr k = check_generation(a, m, file_hash, e);
    if (k == KERR_OK) {
        k = check_roster(a, m, parts, e);
    }
    return k == KERR_OK ? check_keys(a, m, e) : k;
}
