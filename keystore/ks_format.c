/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/ks_format.h"

#include <string.h>

#include "base/text.h"

static const uint8_t magic[8] = {0x89, 'E', 'T', 'C', 'D', 'K', 'S', '\n'};

/* From the magic to the four algorithm bytes. */
#define HEADER_BYTES   148
#define TAIL_BYTES     (HASH_BYTES + KS_ID_BYTES + PUBKEY_SIGNATURE + HASH_BYTES)
#define KNOWN_FEATURES 0U

/* Algorithms that this version can read and write, by class − 1. */
static const uint8_t known_algorithm[KS_CLASSES] = {KS_BOX_X25519_HKDF_GCM, KS_TABLE_XAES_256_GCM,
                                                    KS_MAC_HKDF_HMAC_SHA256, KS_SIGN_ED25519};
static const char *const class_names[KS_CLASSES] = {"boxing", "table", "MAC", "signature"};

size_t ks_format_total(size_t clear_len, size_t table_len)
{
    return clear_len + table_len + TAIL_BYTES;
}

static enum kerr damaged(struct kerrinfo *e, const struct reader *r, const char *what)
{
    return kerr_set(e, KERR_FORMAT, "damaged at byte %zu: %s", r->at, what);
}

/* Sizes and checksum, before anything else is looked at. */
static enum kerr check_bounds(struct bytes file, struct ks_parts *ret, struct kerrinfo *e)
{
    if (file.len < HEADER_BYTES + TAIL_BYTES || file.len > KS_FILE_MAX) {
        return kerr_set(e, KERR_FORMAT,
                        "damaged: the file has %zu bytes, a keystore has %d to %u; restore it with "
                        "'etcdseal keystore restore'",
                        file.len, HEADER_BYTES + TAIL_BYTES, KS_FILE_MAX);
    }
    if (memcmp(file.ptr, magic, sizeof magic) != 0) {
        return kerr_set(e, KERR_FORMAT, "damaged, or not a keystore: it does not begin as one");
    }
    struct reader r = reader_on(file);
    r.at = sizeof magic;
    uint16_t version = read_u16(&r);
    r.at = 16;
    size_t total = read_u32(&r);
    size_t clear = read_u32(&r);
    size_t table = read_u32(&r);
    if (version != KS_FORMAT_VERSION) {
        return kerr_set(e, KERR_UNSUP,
                        "keystore format version %u, this program knows %d: use a newer etcdseal",
                        version, KS_FORMAT_VERSION);
    }
    if (total != file.len || clear < HEADER_BYTES || clear > file.len || table > file.len ||
        ks_format_total(clear, table) != total) {
        return kerr_set(e, KERR_FORMAT,
                        "damaged: the file has %zu bytes, its header says %zu (%zu clear, %zu "
                        "sealed); it was cut or grown",
                        file.len, total, clear, table);
    }
    uint8_t sum[HASH_BYTES];
    hash_sha256(bytes_of(file.ptr, total - HASH_BYTES), sum);
    if (memcmp(sum, file.ptr + total - HASH_BYTES, HASH_BYTES) != 0) {
        return kerr_set(e, KERR_FORMAT,
                        "damaged: the checksum does not fit the content; restore it with 'etcdseal "
                        "keystore restore'");
    }
    const uint8_t *p = file.ptr;
    *ret = (struct ks_parts){
        .clear = bytes_of(p, clear),
        .table = bytes_of(p + clear, table),
        .maced = bytes_of(p, clear + table),
        .mac = bytes_of(p + clear + table, HASH_BYTES),
        .is_signed = bytes_of(p, clear + table + HASH_BYTES + KS_ID_BYTES),
        .signature = bytes_of(p + clear + table + HASH_BYTES + KS_ID_BYTES, PUBKEY_SIGNATURE),
    };
    return KERR_OK;
}

static enum kerr read_header(struct reader *r, struct ks_model *m, struct kerrinfo *e)
{
    (void)read_raw(r, sizeof magic);
    (void)read_u16(r);
    uint16_t header = read_u16(r);
    m->features = read_u32(r);
    (void)read_raw(r, 12);
    read_into(r, m->store_id, sizeof m->store_id);
    m->generation = read_u64(r);
    read_into(r, m->previous_hash, sizeof m->previous_hash);
    m->root_epoch = read_u32(r);
    read_into(r, m->writer, sizeof m->writer);
    m->written_at_s = read_u64(r);
    read_into(r, m->salt, sizeof m->salt);
    read_into(r, m->algorithm, sizeof m->algorithm);
    if (header != HEADER_BYTES) {
        return damaged(e, r, "header size");
    }
    if ((m->features & ~KNOWN_FEATURES) != 0) {
        return kerr_set(e, KERR_UNSUP,
                        "the keystore needs features 0x%x that this program does not know: use a "
                        "newer etcdseal",
                        m->features & ~KNOWN_FEATURES);
    }
    if (m->generation == 0 || m->generation > KS_GENERATION_MAX || m->root_epoch == 0) {
        return damaged(e, r, "generation or root epoch out of range");
    }
    return KERR_OK;
}

static bool is_allowed(const struct ks_model *m, uint8_t class)
{
    for (size_t i = 0; i < m->allowed_count; i++) {
        if (m->allowed[i].class == class && m->allowed[i].id == m->algorithm[class - 1]) {
            return true;
        }
    }
    return false;
}

static enum kerr read_algorithms(struct reader *r, struct ks_model *m, struct kerrinfo *e)
{
    size_t count = read_u8(r);
    if (count > KS_ALLOWED_MAX) {
        return damaged(e, r, "too many allowed algorithms");
    }
    for (size_t i = 0; i < count; i++) {
        m->allowed[i].class = read_u8(r);
        m->allowed[i].id = read_u8(r);
    }
    m->allowed_count = count;
    for (uint8_t class = 1; class <= KS_CLASSES; class ++) {
        uint8_t id = m->algorithm[class - 1];
        if (id != known_algorithm[class - 1]) {
            return kerr_set(e, KERR_UNSUP,
                            "%s algorithm %u is not known to this program: use a newer etcdseal",
                            class_names[class - 1], id);
        }
        if (!is_allowed(m, class)) {
            return kerr_set(e, KERR_FORMAT,
                            "damaged: %s algorithm %u is not one that the keystore "
                            "allows",
                            class_names[class - 1], id);
        }
    }
    return KERR_OK;
}

static enum kerr read_slot(struct reader *r, struct ks_slot *s, struct kerrinfo *e)
{
    read_into(r, s->id, sizeof s->id);
    struct bytes name = read_lv16(r);
    s->role = read_u8(r);
    s->created_at_s = read_u64(r);
    s->tested_at_s = read_u64(r);
    read_into(r, s->box_key, sizeof s->box_key);
    read_into(r, s->sign_key, sizeof s->sign_key);
    s->seal.kind = read_u8(r);
    struct bytes params = read_lv16(r);
    struct bytes blob = read_lv16(r);
    read_into(r, s->boxed_root, sizeof s->boxed_root);
    if (r->failed || reader_left(r) != 0 || params.len > SEAL_PARAMS_MAX ||
        blob.len > SEAL_BLOB_MAX || ks_role_name(s->role) == NULL) {
        return damaged(e, r, "a slot's fields");
    }
    enum kerr k = seal_check_slot_name(name, e);
    if (k != KERR_OK) {
        return KERR_FORMAT;
    }
    memcpy(s->name, name.ptr, name.len);
    memcpy(s->seal.params, params.ptr, params.len);
    s->seal.params_len = params.len;
    memcpy(s->seal.blob, blob.ptr, blob.len);
    s->seal.blob_len = blob.len;
    return KERR_OK;
}

static enum kerr read_slots(struct reader *r, struct ks_model *m, struct kerrinfo *e)
{
    size_t count = read_u16(r);
    if (count == 0 || count > KS_SLOTS_MAX) {
        return damaged(e, r, "number of slots");
    }
    for (size_t i = 0; i < count; i++) {
        struct bytes record = read_lv16(r);
        if (r->failed) {
            return damaged(e, r, "a slot's size");
        }
        struct reader inner = reader_on(record);
        struct ks_slot *s = &m->slots[i];
        enum kerr k = read_slot(&inner, s, e);
        if (k != KERR_OK) {
            kerr_prefix(e, "slot %zu", i + 1);
            return k;
        }
        if (ks_model_slot(m, s->id) != NULL || ks_model_slot_named(m, s->name) != NULL) {
            return kerr_set(e, KERR_FORMAT, "damaged: slot %s stands twice", s->name);
        }
        m->slot_count = i + 1;
    }
    return KERR_OK;
}

static enum kerr read_changes(struct reader *r, struct ks_model *m, struct kerrinfo *e)
{
    size_t count = read_u16(r);
    if (count > KS_CHANGES_MAX) {
        return damaged(e, r, "number of roster changes");
    }
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        struct ks_roster_change *c = &m->changes[i];
        c->kind = read_u8(r);
        read_into(r, c->slot, sizeof c->slot);
        c->role = read_u8(r);
        read_into(r, c->box_key, sizeof c->box_key);
        read_into(r, c->sign_key, sizeof c->sign_key);
        read_into(r, c->by, sizeof c->by);
        c->generation = read_u64(r);
        read_into(r, c->signature, sizeof c->signature);
        if (r->failed || (c->kind != KS_CHANGE_ADD && c->kind != KS_CHANGE_REMOVE) ||
            ks_role_name(c->role) == NULL || c->generation < last ||
            c->generation > m->generation) {
            return damaged(e, r, "a roster change");
        }
        last = c->generation;
    }
    m->change_count = count;
    return KERR_OK;
}

enum kerr ks_format_read(struct bytes file, struct ks_model *ret, struct ks_parts *ret_parts,
                         struct kerrinfo *e)
{
    struct ks_parts parts;
    enum kerr k = check_bounds(file, &parts, e);
    if (k != KERR_OK) {
        return k;
    }
    struct reader r = reader_on(parts.clear);
    k = read_header(&r, ret, e);
    if (k == KERR_OK) {
        k = read_algorithms(&r, ret, e);
    }
    if (k == KERR_OK) {
        k = read_slots(&r, ret, e);
    }
    if (k == KERR_OK) {
        k = read_changes(&r, ret, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    if (r.failed || reader_left(&r) != 0) {
        return damaged(e, &r, "the clear part ends elsewhere");
    }
    const uint8_t *writer = parts.is_signed.ptr + parts.is_signed.len - KS_ID_BYTES;
    if (memcmp(writer, ret->writer, KS_ID_BYTES) != 0) {
        return kerr_set(e, KERR_FORMAT, "damaged: header and signature name different writers");
    }
    *ret_parts = parts;
    return KERR_OK;
}

static void write_header(struct writer *w, const struct ks_model *m)
{
    write_raw(w, BYTES_OF(magic));
    write_u16(w, KS_FORMAT_VERSION);
    write_u16(w, HEADER_BYTES);
    write_u32(w, m->features);
    write_u32(w, 0); /* the three sizes are filled in when the clear part is complete */
    write_u32(w, 0);
    write_u32(w, 0);
    write_raw(w, BYTES_OF(m->store_id));
    write_u64(w, m->generation);
    write_raw(w, BYTES_OF(m->previous_hash));
    write_u32(w, m->root_epoch);
    write_raw(w, BYTES_OF(m->writer));
    write_u64(w, m->written_at_s);
    write_raw(w, BYTES_OF(m->salt));
    write_raw(w, BYTES_OF(m->algorithm));
    write_u8(w, (uint8_t)m->allowed_count);
    for (size_t i = 0; i < m->allowed_count; i++) {
        write_u8(w, m->allowed[i].class);
        write_u8(w, m->allowed[i].id);
    }
}

static void write_slot(struct writer *w, const struct ks_slot *s)
{
    uint8_t record[SEAL_PARAMS_MAX + SEAL_BLOB_MAX + 512];
    struct writer inner = writer_on(record, sizeof record);
    write_raw(&inner, BYTES_OF(s->id));
    write_lv16(&inner, bytes_of_text(s->name));
    write_u8(&inner, s->role);
    write_u64(&inner, s->created_at_s);
    write_u64(&inner, s->tested_at_s);
    write_raw(&inner, BYTES_OF(s->box_key));
    write_raw(&inner, BYTES_OF(s->sign_key));
    write_u8(&inner, s->seal.kind);
    write_lv16(&inner, bytes_of(s->seal.params, s->seal.params_len));
    write_lv16(&inner, bytes_of(s->seal.blob, s->seal.blob_len));
    write_raw(&inner, BYTES_OF(s->boxed_root));
    write_lv16(w, writer_view(&inner));
}

static void write_change(struct writer *w, const struct ks_roster_change *c)
{
    write_u8(w, c->kind);
    write_raw(w, BYTES_OF(c->slot));
    write_u8(w, c->role);
    write_raw(w, BYTES_OF(c->box_key));
    write_raw(w, BYTES_OF(c->sign_key));
    write_raw(w, BYTES_OF(c->by));
    write_u64(w, c->generation);
    write_raw(w, BYTES_OF(c->signature));
}

enum kerr ks_format_write_clear(const struct ks_model *m, size_t table_len, struct buf *ret,
                                struct kerrinfo *e)
{
    AUTO_BUF out;
    buf_init(&out, KS_FILE_MAX);
    uint8_t *to;
    enum kerr k = buf_extend(&out, KS_FILE_MAX / 2, &to, e);
    if (k != KERR_OK) {
        return k;
    }
    struct writer w = writer_on(to, KS_FILE_MAX / 2);
    write_header(&w, m);
    write_u16(&w, (uint16_t)m->slot_count);
    for (size_t i = 0; i < m->slot_count; i++) {
        write_slot(&w, &m->slots[i]);
    }
    write_u16(&w, (uint16_t)m->change_count);
    for (size_t i = 0; i < m->change_count; i++) {
        write_change(&w, &m->changes[i]);
    }
    if (w.failed || ks_format_total(w.len, table_len) > KS_FILE_MAX) {
        return kerr_set(e, KERR_LIMIT, "the keystore would be larger than %u bytes", KS_FILE_MAX);
    }
    struct writer sizes = writer_on(to + 16, 12);
    write_u32(&sizes, (uint32_t)ks_format_total(w.len, table_len));
    write_u32(&sizes, (uint32_t)w.len);
    write_u32(&sizes, (uint32_t)table_len);
    buf_init(ret, KS_FILE_MAX);
    return buf_put(ret, writer_view(&w), e);
}

struct bytes ks_format_change_signed(const struct ks_model *m, const struct ks_roster_change *c,
                                     uint8_t to[KS_CHANGE_SIGNED_MAX])
{
    struct writer w = writer_on(to, KS_CHANGE_SIGNED_MAX);
    write_raw(&w, BYTES_OF(m->store_id));
    write_u8(&w, c->kind);
    write_raw(&w, BYTES_OF(c->slot));
    write_u8(&w, c->role);
    write_raw(&w, BYTES_OF(c->box_key));
    write_raw(&w, BYTES_OF(c->sign_key));
    write_raw(&w, BYTES_OF(c->by));
    write_u64(&w, c->generation);
    return writer_view(&w);
}
