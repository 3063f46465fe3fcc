/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/ks_backup.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "keystore/ks_open.h"

#define LINE_BYTES     128
#define HEX_BYTES(len) (2 * (len) + 1)

void ks_backup_record_fill(const struct ks_model *m, const uint8_t hash[HASH_BYTES], uint64_t now_s,
                           struct ks_backup_record *ret)
{
    memcpy(ret->store_id, m->store_id, KS_ID_BYTES);
    memcpy(ret->hash, hash, HASH_BYTES);
    ret->generation = m->generation;
    ret->at_s = now_s;
    ret->key_count = 0;
    for (size_t i = 0; i < m->key_count; i++) {
        if (m->keys[i].material != NULL) {
            memcpy(ret->keys[ret->key_count], m->keys[i].id, KS_ID_BYTES);
            ret->key_count++;
        }
    }
}

enum kerr ks_backup_record_print(const struct ks_backup_record *r, struct buf *ret,
                                 struct kerrinfo *e)
{
    char at[CLOCK_TEXT_BYTES];
    char store[HEX_BYTES(KS_ID_BYTES)];
    char hash[HEX_BYTES(HASH_BYTES)];
    AUTO_BUF out;
    clock_format_s(r->at_s, at);
    text_hex(bytes_of(r->store_id, KS_ID_BYTES), store);
    text_hex(bytes_of(r->hash, HASH_BYTES), hash);
    buf_init(&out, KS_BACKED_UP_FILE_MAX);
    enum kerr k =
        buf_printf(&out, e,
                   "# What 'etcdseal keystore backup' copied last on this node, %s.\n"
                   "# Only shown, never trusted. This file stays on this node.\n"
                   "store: %s\ngeneration: %llu\nsha256: %s\ntime: %llu\n",
                   at, store, (unsigned long long)r->generation, hash, (unsigned long long)r->at_s);
    for (size_t i = 0; i < r->key_count && k == KERR_OK; i++) {
        char id[KS_KEY_ID_TEXT];
        ks_key_id_text(r->keys[i], id);
        k = buf_printf(&out, e, "key: %s\n", id);
    }
    if (k == KERR_OK) {
        *ret = out;
        out = (struct buf){0};
    }
    return k;
}

static bool read_store(const char *value, struct ks_backup_record *r)
{
    return text_from_hex(value, r->store_id, KS_ID_BYTES, NULL) == KERR_OK;
}

static bool read_generation(const char *value, struct ks_backup_record *r)
{
    return text_to_u64(value, "generation", 1, KS_GENERATION_MAX, &r->generation, NULL) == KERR_OK;
}

static bool read_hash(const char *value, struct ks_backup_record *r)
{
    return text_from_hex(value, r->hash, HASH_BYTES, NULL) == KERR_OK;
}

static bool read_time(const char *value, struct ks_backup_record *r)
{
    return text_to_u64(value, "time", 0, KS_BACKUP_TIME_MAX, &r->at_s, NULL) == KERR_OK;
}

static bool read_key(const char *value, struct ks_backup_record *r)
{
    if (r->key_count == KS_KEYS_MAX ||
        ks_key_id_parse(bytes_of_text(value), r->keys[r->key_count], NULL) != KERR_OK) {
        return false;
    }
    r->key_count++;
    return true;
}

struct field {
    const char *name;
    const char *form;
    bool (*read)(const char *value, struct ks_backup_record *r);
};

/* In this order; the last one any number of times. */
static const struct field fields[] = {
    {"store: ", "32 hexadecimal digits", read_store},
    {"generation: ", "a number", read_generation},
    {"sha256: ", "64 hexadecimal digits", read_hash},
    {"time: ", "Unix seconds", read_time},
    {"key: ", "a key id, at most 1024 of them", read_key},
};
#define FIELD_KEY (ARRAY_LEN(fields) - 1)

/* Takes one line off the text. False when it is longer than any that we write or holds a NUL. */
static bool take_line(struct bytes *text, char to[static LINE_BYTES])
{
    const uint8_t *end = memchr(text->ptr, '\n', text->len);
    size_t len = end == NULL ? text->len : (size_t)(end - text->ptr);
    size_t taken = end == NULL ? len : len + 1;
    bool is_good = len < LINE_BYTES && memchr(text->ptr, 0, len) == NULL;
    if (is_good) {
        memcpy(to, text->ptr, len);
        to[len] = 0;
    }
    *text = bytes_of(text->ptr + taken, text->len - taken);
    return is_good;
}

static bool read_field(const struct field *f, const char *line, struct ks_backup_record *r)
{
    size_t len = strlen(f->name);
    return strncmp(line, f->name, len) == 0 && f->read(line + len, r);
}

enum kerr ks_backup_record_parse(struct bytes text, struct ks_backup_record *ret,
                                 struct kerrinfo *e)
{
    size_t at = 0;
    ret->key_count = 0;
    for (size_t number = 1; text.len > 0; number++) {
        char line[LINE_BYTES] = "";
        bool is_line = take_line(&text, line);
        if (is_line && line[0] == '#') {
            continue;
        }
        if (!is_line || !read_field(&fields[at], line, ret)) {
            return kerr_set(e, KERR_FORMAT, "line %zu: expected \"%s\" and %s", number,
                            fields[at].name, fields[at].form);
        }
        at += at < FIELD_KEY;
    }
    return at == FIELD_KEY ? KERR_OK
                           : kerr_set(e, KERR_FORMAT, "it ends before \"%s\"", fields[at].name);
}

static enum kerr read_record(const struct ks_folder *folder, struct ks_backup_record *ret,
                             struct kerrinfo *e)
{
    AUTO_BUF text = {0};
    enum kerr k = ks_folder_read(folder, KS_FILE_BACKED_UP, &text, e);
    if (k == KERR_OK) {
        k = ks_backup_record_parse(buf_view(&text), ret, e);
        kerr_prefix(e, "%s", folder->names[KS_FILE_BACKED_UP]);
    }
    return k;
}

enum kerr ks_backup_record_read(const char *path, struct ks_backup_record *ret, struct kerrinfo *e)
{
    AUTO_FOLDER folder = KS_FOLDER_NONE;
    enum kerr k = ks_folder_open(path, false, &folder, e);
    return k == KERR_OK ? read_record(&folder, ret, e) : k;
}

static bool has_key(const struct ks_backup_record *r, const uint8_t id[KS_ID_BYTES])
{
    for (size_t i = 0; i < r->key_count; i++) {
        if (memcmp(r->keys[i], id, KS_ID_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

size_t ks_backup_missing(const struct ks_model *m, const struct ks_backup_record *r)
{
    bool is_ours = r != NULL && memcmp(r->store_id, m->store_id, KS_ID_BYTES) == 0;
    size_t missing = 0;
    for (size_t i = 0; i < m->key_count; i++) {
        bool is_alive = m->keys[i].material != NULL;
        missing += is_alive && !(is_ours && has_key(r, m->keys[i].id));
    }
    return missing;
}

/* Whoever named his copy as the record is named keeps it: only a record is written over. */
static enum kerr check_is_ours(const struct ks_folder *folder, struct ks_backup_record *scratch,
                               struct kerrinfo *e)
{
    enum kerr k = read_record(folder, scratch, e);
    if (k == KERR_NOTFOUND) {
        kerr_clear(e);
        return KERR_OK;
    }
    return k;
}

static enum kerr record_backup(const struct ks_folder *folder, const struct ks *ks,
                               struct kerrinfo *e)
{
    AUTO_BUF text = {0};
    AUTO_FD lock = -1;
    struct ks_backup_record r;
    enum kerr k = ks_folder_lock(folder, &lock, e);
    if (k == KERR_OK) {
        k = check_is_ours(folder, &r, e);
    }
    if (k == KERR_OK) {
        ks_backup_record_fill(ks->model, ks->hash, clock_wall_s(), &r);
        k = ks_backup_record_print(&r, &text, e);
    }
    if (k == KERR_OK) {
        struct ks_folder_write w = {.which = KS_FILE_BACKED_UP, .data = buf_view(&text)};
        k = ks_folder_write(folder, &w, e);
    }
    return k;
}

enum kerr ks_backup(const struct ks_place *place, const char *to, uint8_t ret_hash[HASH_BYTES],
                    struct kerrinfo *e)
{
    AUTO_FOLDER folder = KS_FOLDER_NONE;
    AUTO_KS ks = NULL;
    AUTO_BUF file = {0};
    uint8_t hash[HASH_BYTES];
    enum kerr k = ks_folder_open(place->path, false, &folder, e);
    if (k == KERR_OK) {
        k = ks_open_in(place, &folder, NULL, &ks, e);
    }
    if (k == KERR_OK) {
        k = ks_folder_read(&folder, KS_FILE_KEYSTORE, &file, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    hash_sha256(buf_view(&file), hash);
    if (memcmp(hash, ks->hash, sizeof hash) != 0) {
        return kerr_set(e, KERR_BUSY, "the keystore changed meanwhile; nothing was written");
    }
    k = file_create(to, buf_view(&file), geteuid(), getegid(), e);
    if (k != KERR_OK) {
        return k;
    }
    memcpy(ret_hash, hash, HASH_BYTES);
    struct kerrinfo why = {0};
    if (record_backup(&folder, ks, &why) != KERR_OK && place->tell != NULL) {
        kerr_prefix(&why, "the copy is good, but status and alerts do not learn of it");
        place->tell(place->tell_ctx, why.text);
    }
    return KERR_OK;
}
