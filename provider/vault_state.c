/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/vault_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "crypto/hash.h"

#define MAGIC        "ESVK"
#define FORMAT       1
#define LOCK_WAIT_MS 2000

bool vault_state_is_worn(const struct config_vault *config, const struct vault_state *s,
                         uint64_t now_s)
{
    uint64_t age_s = now_s > s->made_at_s ? now_s - s->made_at_s : 0;
    return age_s >= config->kek_max_age_ms / 1000 || s->uses >= config->kek_max_uses;
}

enum kerr vault_state_print(const struct config_vault *config, const struct vault_state *s,
                            struct buf *ret, struct kerrinfo *e)
{
    uint8_t raw[1024];
    uint8_t hash[HASH_BYTES];
    struct writer w = writer_on(raw, sizeof raw);
    write_raw(&w, bytes_of_text(MAGIC));
    write_u8(&w, FORMAT);
    write_lv16(&w, bytes_of_text(config->cluster_id));
    write_lv16(&w, bytes_of_text(config->mount));
    write_lv16(&w, bytes_of_text(config->key));
    write_u8(&w, s->mark.epoch);
    write_u32(&w, s->mark.number);
    write_u64(&w, s->mark.created_at_s);
    write_lv16(&w, bytes_of(s->annotation, s->annotation_len));
    write_u64(&w, s->made_at_s);
    write_u64(&w, s->uses);
    hash_sha256(writer_view(&w), hash);
    write_raw(&w, BYTES_OF(hash));
    if (w.failed) {
        return kerr_set(e, KERR_BUG, "a state of more than %zu bytes", sizeof raw);
    }
    buf_init(ret, sizeof raw);
    return buf_put(ret, writer_view(&w), e);
}

/* A name of the configuration beside the one in the file. */
static enum kerr check_name(struct reader *r, const char *what, const char *configured,
                            struct kerrinfo *e)
{
    struct bytes name = read_lv16(r);
    if (r->failed || bytes_equal_text(name, configured)) {
        return KERR_OK;
    }
    char shown[80];
    text_escape(name, shown, sizeof shown);
    return kerr_set(e, KERR_CONFIG,
                    "it belongs to vault.%s \"%s\", the configuration says \"%s\": what was "
                    "encrypted under the former could not be read any more; set vault.%s back, or, "
                    "when nothing in etcd needs it, remove the file",
                    what, shown, configured, what);
}

static enum kerr damaged(struct kerrinfo *e, const char *how)
{
    return kerr_set(e, KERR_FORMAT,
                    "damaged (%s): restore it, or remove it; without it this node no longer knows "
                    "which versions of the key it has used, so look first that the server was not "
                    "restored from a backup",
                    how);
}

enum kerr vault_state_parse(const struct config_vault *config, struct bytes file,
                            struct vault_state *ret, struct kerrinfo *e)
{
    uint8_t hash[HASH_BYTES];
    size_t body_len = file.len < HASH_BYTES ? 0 : file.len - HASH_BYTES;
    hash_sha256(bytes_of(file.ptr, body_len), hash);
    if (body_len == 0 || memcmp(hash, file.ptr + body_len, HASH_BYTES) != 0) {
        return damaged(e, "its checksum is wrong");
    }
    struct reader r = reader_on(bytes_of(file.ptr, body_len));
    struct bytes magic = read_raw(&r, strlen(MAGIC));
    uint8_t format = read_u8(&r);
    if (r.failed || !bytes_equal_text(magic, MAGIC)) {
        return damaged(e, "it does not begin as it should");
    }
    if (format != FORMAT) {
        return kerr_set(e, KERR_UNSUP, "format %u is not known to this version", format);
    }
    enum kerr k = check_name(&r, "cluster_id", config->cluster_id, e);
    k = k == KERR_OK ? check_name(&r, "mount", config->mount, e) : k;
    k = k == KERR_OK ? check_name(&r, "key", config->key, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    struct vault_state out = {.mark = {.epoch = read_u8(&r)}};
    out.mark.number = read_u32(&r);
    out.mark.created_at_s = read_u64(&r);
    struct bytes annotation = read_lv16(&r);
    out.made_at_s = read_u64(&r);
    out.uses = read_u64(&r);
    struct vault_wire_kek kek;
    bool is_kek = vault_wire_read_annotation(annotation, &kek);
    if (r.failed || reader_left(&r) != 0 || out.mark.number == 0 ||
        (annotation.len > 0 && !is_kek)) {
        return damaged(e, "its content is not what is written there");
    }
    if (is_kek) {
        memcpy(out.annotation, annotation.ptr, annotation.len);
        out.annotation_len = annotation.len;
    }
    *ret = out;
    return KERR_OK;
}

/* The folder and the file's name in it. */
struct place {
    struct file_dir dir;
    char *folder;
    char *name;
};

static void place_done(struct place *p)
{
    file_dir_close(&p->dir);
    free(p->folder);
    free(p->name);
}
#define AUTO_PLACE AUTO(place_done) struct place

static enum kerr open_place(const struct config_vault *config, struct place *ret,
                            struct kerrinfo *e)
{
    struct kerrinfo inner = {0};
    enum kerr k = file_split(config->state_path, &ret->folder, &ret->name, e);
    if (k != KERR_OK) {
        return k;
    }
    k = file_dir_open(ret->folder, &ret->dir, &inner);
    if (k == KERR_NOTFOUND) {
        return kerr_set(e, k, "%s; run as the daemon's user: mkdir -m 0700 %s, or set vault.state",
                        inner.text, ret->folder);
    }
    return k == KERR_OK ? file_dir_check_private(&ret->dir, e) : kerr_set(e, k, "%s", inner.text);
}

static enum kerr read_in(const struct config_vault *config, const struct place *p,
                         struct vault_state *ret, struct kerrinfo *e)
{
    AUTO_BUF file = {0};
    struct kerrinfo inner = {0};
    enum kerr k =
        file_read(&p->dir, p->name, VAULT_STATE_FILE_MAX, FILE_READ_PRIVATE, &file, &inner);
    if (k == KERR_NOTFOUND) {
        *ret = (struct vault_state){.uses = 0};
        return KERR_OK;
    }
    if (k != KERR_OK) {
        return kerr_set(e, k, "%s", inner.text);
    }
    k = vault_state_parse(config, buf_view(&file), ret, e);
    if (k != KERR_OK) {
        kerr_prefix(e, "%s", config->state_path);
    }
    return k;
}

enum kerr vault_state_read(const struct config_vault *config, struct vault_state *ret,
                           struct kerrinfo *e)
{
    AUTO_PLACE p = {.dir = FILE_DIR_NONE};
    enum kerr k = open_place(config, &p, e);
    return k == KERR_OK ? read_in(config, &p, ret, e) : k;
}

static enum kerr beside(const struct place *p, const char *suffix, char **ret, struct kerrinfo *e)
{
    AUTO_BUF text;
    buf_init(&text, 512);
    enum kerr k = buf_printf(&text, e, "%s%s", p->name, suffix);
    return k == KERR_OK ? text_dup(buf_view(&text), ret, e) : k;
}

static bool is_above(const struct vault_wire_version *a, const struct vault_wire_version *b)
{
    return a->epoch != b->epoch ? a->epoch > b->epoch : a->number > b->number;
}

static enum kerr parses(void *ctx, struct bytes read_back, struct kerrinfo *e)
{
    struct vault_state s;
    return vault_state_parse(ctx, read_back, &s, e);
}

enum kerr vault_state_write(const struct config_vault *config, const struct vault_state *s,
                            struct kerrinfo *e)
{
    AUTO_PLACE p = {.dir = FILE_DIR_NONE};
    AUTO_FD lock = -1;
    AUTO_BUF data = {0};
    AUTO_TEXT lock_name = NULL;
    AUTO_TEXT prev_name = NULL;
    struct vault_state there;
    enum kerr k = open_place(config, &p, e);
    k = k == KERR_OK ? beside(&p, ".lock", &lock_name, e) : k;
    k = k == KERR_OK ? beside(&p, ".prev", &prev_name, e) : k;
    k = k == KERR_OK ? file_lock(&p.dir, lock_name, LOCK_WAIT_MS, &lock, e) : k;
    k = k == KERR_OK ? read_in(config, &p, &there, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    if (is_above(&there.mark, &s->mark)) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "%s: another process has used version %u by now, this one %u: two daemons "
                        "must not share it",
                        config->state_path, there.mark.number, s->mark.number);
    }
    k = vault_state_print(config, s, &data, e);
    struct config_vault rules = *config;
    return k == KERR_OK ? file_replace(&(struct file_replace){.dir = &p.dir,
                                                              .name = p.name,
                                                              .data = buf_view(&data),
                                                              .prev = prev_name,
                                                              .verify = parses,
                                                              .verify_ctx = &rules},
                                       e)
                        : k;
}
