/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A response-wrapped secret id. A wrapping token opens once, so what was behind it is kept beside
 * the provider's state, with the SHA-256 of the token that it came from: a restart logs in with it,
 * and a new token in the file is seen as new.
 *
 *   etcdseal-secret-id-1 NEWLINE <64 hex digits> NEWLINE <secret id> NEWLINE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "vault/answers.h"
#include "vault/wire.h"

#define MAGIC      "etcdseal-secret-id-1\n"
#define HEAD_BYTES (sizeof MAGIC - 1 + 2 * HASH_BYTES + 1) /* before the secret id */
#define KEPT_MAX   ((size_t)8192)
#define SUFFIX     ".secret-id"
#define ANSWER_MAX ((size_t)16384)

static enum kerr kept_path(const struct vault *v, char **ret, struct kerrinfo *e)
{
    AUTO_BUF path = {0};
    buf_init(&path, strlen(v->config->state_path) + sizeof SUFFIX);
    enum kerr k = buf_printf(&path, e, "%s%s", v->config->state_path, SUFFIX);
    return k == KERR_OK ? text_dup(buf_view(&path), ret, e) : k;
}

static void hash_text(const struct secret *token, char to[static 2 * HASH_BYTES + 1])
{
    uint8_t hash[HASH_BYTES];
    hash_sha256(secret_view(token), hash);
    text_hex(BYTES_OF(hash), to);
}

/* The secret id of a kept file whose hash is `hash`, or whatever it is when that is NULL; NULL when
 * it is of another token or no such file. */
static enum kerr secret_id_of(struct bytes kept, const char *hash, struct secret **ret,
                              struct kerrinfo *e)
{
    size_t magic = sizeof MAGIC - 1;
    *ret = NULL;
    if (kept.len < HEAD_BYTES + 2 || memcmp(kept.ptr, MAGIC, magic) != 0 ||
        kept.ptr[HEAD_BYTES - 1] != '\n' || kept.ptr[kept.len - 1] != '\n' ||
        (hash != NULL && memcmp(kept.ptr + magic, hash, 2 * HASH_BYTES) != 0)) {
        return KERR_OK;
    }
    return secret_from_bytes(bytes_of(kept.ptr + HEAD_BYTES, kept.len - HEAD_BYTES - 1), ret, e);
}

static enum kerr read_kept(const struct file_dir *dir, const char *name, const char *hash,
                           struct secret **ret, struct kerrinfo *e)
{
    AUTO_SECRET kept = NULL;
    bool is_there = false;
    *ret = NULL;
    enum kerr k = file_exists(dir, name, &is_there, e);
    if (k != KERR_OK || !is_there) {
        return k;
    }
    k = file_read_secret(dir, name, KEPT_MAX, FILE_READ_PRIVATE | FILE_READ_OWNED, &kept, e);
    return k == KERR_OK ? secret_id_of(secret_view(kept), hash, ret, e) : k;
}

static enum kerr verify(void *ctx, struct bytes read_back, struct kerrinfo *e)
{
    AUTO_SECRET back = NULL;
    enum kerr k = secret_id_of(read_back, NULL, &back, e);
    return k != KERR_OK || (back != NULL && secret_equal(back, ctx))
               ? k
               : kerr_set(e, KERR_IO, "read back, it is not what was written");
}

static enum kerr keep(const struct file_dir *dir, const char *name, const char *hash,
                      struct secret *secret_id, struct kerrinfo *e)
{
    AUTO_SECRET text = NULL;
    struct bytes id = secret_view(secret_id);
    enum kerr k = secret_new(HEAD_BYTES + id.len + 1, &text, e);
    if (k != KERR_OK) {
        return k;
    }
    struct writer w = writer_on(secret_bytes(text), secret_len(text));
    write_raw(&w, bytes_of_text(MAGIC));
    write_raw(&w, bytes_of_text(hash));
    write_raw(&w, bytes_of_text("\n"));
    write_raw(&w, id);
    write_raw(&w, bytes_of_text("\n"));
    struct file_replace r = {.dir = dir,
                             .name = name,
                             .data = secret_view(text),
                             .verify = verify,
                             .verify_ctx = secret_id};
    return file_replace(&r, e);
}

static enum kerr unwrap(struct vault *v, struct vault_try *t, const struct secret *token,
                        struct secret **ret, struct kerrinfo *e)
{
    AUTO_ANSWER answer = {.status = 0};
    struct kerrinfo why = {0};
    struct wire_request r = {
        .path = "sys/wrapping/unwrap",
        .is_post = true,
        .token = token, /* never in the body too, which would spend it twice */
        .answer_max = ANSWER_MAX,
        .is_secret = true,
        .is_once = true,
        .refused = VAULT_WRAPPING_USED,
        .address = WIRE_ANY,
    };
    enum kerr k = wire_call(v, t, &r, &answer, e);
    if (k != KERR_OK) {
        return k;
    }
    k = answer_secret_id(buf_view(&answer.body), ret, &why);
    return k == KERR_OK ? k : wire_fail_answer(v, t, k, &why, e);
}

static enum kerr fail_file(struct vault_try *t, enum kerr k, const struct kerrinfo *why,
                           struct kerrinfo *e)
{
    return wire_fail(t, k == KERR_NOMEM ? VAULT_OURS : VAULT_CREDENTIAL_FILE, e,
                     "where the unwrapped secret id is kept: %s", why->text);
}

/* One that could not be kept stays in memory: it is the only copy. */
static enum kerr unwrap_and_keep(struct vault *v, struct vault_try *t, const struct file_dir *dir,
                                 const char *name, const struct secret *token, const char *hash,
                                 struct secret **ret, struct kerrinfo *e)
{
    struct wrapped *w = &v->wrapped;
    struct kerrinfo why = {0};
    if (w->secret_id == NULL || strcmp(w->hash, hash) != 0) {
        secret_free(w->secret_id);
        w->secret_id = NULL;
        enum kerr k = unwrap(v, t, token, &w->secret_id, e);
        if (k != KERR_OK) {
            return k;
        }
        (void)snprintf(w->hash, sizeof w->hash, "%s", hash);
    }
    enum kerr k = keep(dir, name, hash, w->secret_id, &why);
    if (k != KERR_OK) {
        return fail_file(t, k, &why, e);
    }
    *ret = secret_take(&w->secret_id);
    return KERR_OK;
}

enum kerr wrapped_secret_id(struct vault *v, struct vault_try *t, struct secret **ret,
                            struct kerrinfo *e)
{
    AUTO_SECRET token = NULL;
    AUTO_TEXT path = NULL;
    AUTO_TEXT folder = NULL;
    AUTO_TEXT name = NULL;
    AUTO_DIR dir = FILE_DIR_NONE;
    struct kerrinfo why = {0};
    char hash[2 * HASH_BYTES + 1] = "";
    bool is_gone = false;
    enum kerr k = file_exists(NULL, v->files.path[TOKEN_SECRET_ID], &is_gone, &why);
    is_gone = k == KERR_OK && !is_gone;
    if (!is_gone) {
        k = login_read(v, t, TOKEN_SECRET_ID, &token, e);
        if (k != KERR_OK) {
            return k;
        }
        hash_text(token, hash);
    }
    k = kept_path(v, &path, &why);
    k = k != KERR_OK ? k : file_split(path, &folder, &name, &why);
    k = k != KERR_OK ? k : file_dir_open(folder, &dir, &why);
    k = k != KERR_OK ? k : read_kept(&dir, name, is_gone ? NULL : hash, ret, &why);
    if (k != KERR_OK) {
        return fail_file(t, k, &why, e);
    }
    if (*ret != NULL) {
        return KERR_OK;
    }
    if (is_gone) {
        return wire_fail(t, VAULT_CREDENTIAL_FILE, e,
                         "%s: no such file, and no secret id was unwrapped before",
                         v->files.path[TOKEN_SECRET_ID]);
    }
    return unwrap_and_keep(v, t, &dir, name, token, hash, ret, e);
}
