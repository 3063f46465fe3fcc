/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/ks_table.h"

#include <string.h>

#include "base/text.h"
#include "keystore/ks_state.h"

/* id, suite, epoch, seven times, note length, material length */
#define KEY_FIXED_BYTES (KS_ID_BYTES + 1 + 4 + 7 * 8 + 2 + 1)

static size_t table_size(const struct ks_model *m)
{
    size_t size = 2;
    for (size_t i = 0; i < m->key_count; i++) {
        const struct ks_key *key = &m->keys[i];
        size += KEY_FIXED_BYTES + strlen(key->note) + (key->material == NULL ? 0 : SUITE_KEK_BYTES);
    }
    return size;
}

static void write_key(struct writer *w, const struct ks_key *key)
{
    write_raw(w, BYTES_OF(key->id));
    write_u8(w, key->suite);
    write_u32(w, key->birth_epoch);
    write_u64(w, key->created_at_s);
    write_u64(w, key->promoted_at_s);
    write_u64(w, key->retired_at_s);
    write_u64(w, key->disabled_at_s);
    write_u64(w, key->destroy_due_s);
    write_u64(w, key->destroyed_at_s);
    write_u64(w, key->compromised_at_s);
    write_lv16(w, bytes_of_text(key->note));
    struct bytes material = key->material == NULL ? bytes_of(NULL, 0) : secret_view(key->material);
    write_u8(w, (uint8_t)material.len);
    write_raw(w, material);
}

enum kerr ks_table_write(const struct ks_model *m, struct secret **ret, struct kerrinfo *e)
{
    AUTO_SECRET out = NULL;
    enum kerr k = secret_new(table_size(m), &out, e);
    if (k != KERR_OK) {
        return k;
    }
    struct writer w = writer_on(secret_bytes(out), secret_len(out));
    write_u16(&w, (uint16_t)m->key_count);
    for (size_t i = 0; i < m->key_count; i++) {
        write_key(&w, &m->keys[i]);
    }
    if (w.failed || w.len != secret_len(out)) {
        return kerr_set(e, KERR_BUG, "the key table does not fit its computed size");
    }
    *ret = secret_take(&out);
    return KERR_OK;
}

static enum kerr bad_key(struct kerrinfo *e, size_t row, const char *what)
{
    return kerr_set(e, KERR_FORMAT, "key table, key %zu: %s", row + 1, what);
}

static enum kerr read_key(struct reader *r, size_t row, struct ks_key *key, struct kerrinfo *e)
{
    read_into(r, key->id, sizeof key->id);
    key->suite = read_u8(r);
    key->birth_epoch = read_u32(r);
    key->created_at_s = read_u64(r);
    key->promoted_at_s = read_u64(r);
    key->retired_at_s = read_u64(r);
    key->disabled_at_s = read_u64(r);
    key->destroy_due_s = read_u64(r);
    key->destroyed_at_s = read_u64(r);
    key->compromised_at_s = read_u64(r);
    struct bytes note = read_lv16(r);
    struct bytes material = read_raw(r, read_u8(r));
    if (r->failed) {
        return bad_key(e, row, "cut off");
    }
    if (note.len > KS_NOTE_MAX || !text_is_utf8(note) || memchr(note.ptr, 0, note.len) != NULL) {
        return bad_key(e, row, "its note is no text");
    }
    memcpy(key->note, note.ptr, note.len);
    bool is_destroyed = key->destroyed_at_s != 0;
    if (material.len != (is_destroyed ? 0 : SUITE_KEK_BYTES)) {
        return bad_key(e, row, "size of its material");
    }
    if (suite_name(key->suite) == NULL) {
        return kerr_set(e, KERR_UNSUP,
                        "key table, key %zu: wrap suite %u is not known to this "
                        "program: use a newer etcdseal",
                        row + 1, key->suite);
    }
    return is_destroyed ? KERR_OK : secret_from_bytes(material, &key->material, e);
}

enum kerr ks_table_read(struct bytes table, struct ks_model *m, struct kerrinfo *e)
{
    struct reader r = reader_on(table);
    size_t count = read_u16(&r);
    if (r.failed || count == 0 || count > KS_KEYS_MAX) {
        return kerr_set(e, KERR_FORMAT, "key table: %zu keys, allowed are 1 to %d", count,
                        KS_KEYS_MAX);
    }
    size_t live = 0;
    size_t primaries = 0;
    for (size_t i = 0; i < count; i++) {
        struct ks_key key = {0};
        enum kerr k = read_key(&r, i, &key, e);
        if (k == KERR_OK && ks_model_key(m, key.id) != NULL) {
            k = bad_key(e, i, "its id stands twice");
        }
        if (k != KERR_OK) {
            secret_free(key.material);
            return k;
        }
        m->keys[i] = key;
        m->key_count = i + 1;
        live += key.material != NULL;
        primaries += ks_state(&key) == KS_PRIMARY;
    }
    if (reader_left(&r) != 0) {
        return kerr_set(e, KERR_FORMAT, "key table: %zu bytes behind the last key",
                        reader_left(&r));
    }
    if (primaries != 1 || live > KS_LIVE_KEYS_MAX) {
        return kerr_set(e, KERR_FORMAT,
                        "key table: %zu primary keys and %zu live ones, expected 1 "
                        "and at most %d",
                        primaries, live, KS_LIVE_KEYS_MAX);
    }
    return KERR_OK;
}
