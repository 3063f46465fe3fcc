/* SPDX-License-Identifier: Apache-2.0 */
/* The ways to log in: one row for each kind of config_auth. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "vault/answers.h"
#include "vault/wire.h"

#define FILE_MAX_BYTES ((size_t)16384) /* a JWT of a cloud has some 2 KiB */
#define ANSWER_MAX     ((size_t)65536)
#define CREDENTIAL     "credential:"

static enum kerr find(const char *spec, char **ret_path, bool *ret_credential, struct kerrinfo *e)
{
    size_t prefix = strlen(CREDENTIAL);
    if (spec == NULL) {
        return KERR_OK;
    }
    *ret_credential = strncmp(spec, CREDENTIAL, prefix) == 0;
    if (!*ret_credential) {
        return text_dup(bytes_of_text(spec), ret_path, e);
    }
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    const char *name = spec + prefix;
    if (folder == NULL || folder[0] != '/') {
        return kerr_set(e, KERR_CONFIG,
                        "credential %s was not passed to this service: add LoadCredential=%s or "
                        "LoadCredentialEncrypted=%s to its unit",
                        name, name, name);
    }
    AUTO_BUF path = {0};
    buf_init(&path, strlen(folder) + strlen(name) + 2);
    enum kerr k = buf_printf(&path, e, "%s/%s", folder, name);
    return k == KERR_OK ? text_dup(buf_view(&path), ret_path, e) : k;
}

enum kerr login_files(const struct config_auth *auth, struct token_files *ret, struct kerrinfo *e)
{
    const char *const specs[TOKEN_FILE_COUNT] = {
        [TOKEN_ROLE_ID] = auth->role_id_file,
        [TOKEN_SECRET_ID] = auth->secret_id_file,
        [TOKEN_CERT] = auth->cert_file,
        [TOKEN_KEY] = auth->key_file,
        [TOKEN_FILE] = auth->file,
    };
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < TOKEN_FILE_COUNT && k == KERR_OK; i++) {
        k = find(specs[i], &ret->path[i], &ret->is_credential[i], e);
    }
    return k;
}

static bool is_line_end(uint8_t c)
{
    return c == '\n' || c == '\r';
}

enum kerr login_read(struct vault *v, struct vault_try *t, enum token_file which,
                     struct secret **ret, struct kerrinfo *e)
{
    AUTO_SECRET text = NULL;
    struct kerrinfo why = {0};
    const char *path = v->files.path[which];
    /* What opens something by itself must be private; a role id opens nothing, and who makes JWTs
     * has rules of his own. */
    bool is_key = !v->files.is_credential[which] &&
                  (which == TOKEN_SECRET_ID || v->config->auth.kind == CONFIG_LOGIN_TOKEN);
    enum kerr k = is_key ? file_read_key(path, v->owner, FILE_MAX_BYTES, &text, &why)
                         : file_read_secret(NULL, path, FILE_MAX_BYTES, FILE_READ_ANY, &text, &why);
    if (k == KERR_NOMEM) {
        return wire_fail(t, VAULT_OURS, e, "%s", why.text);
    }
    if (k != KERR_OK) {
        return wire_fail(t, VAULT_CREDENTIAL_FILE, e, "%s", why.text);
    }
    struct bytes view = secret_view(text);
    size_t len = view.len;
    while (len > 0 && is_line_end(view.ptr[len - 1])) {
        len--;
    }
    bool is_good = len > 0;
    for (size_t i = 0; i < len; i++) {
        is_good = is_good && view.ptr[i] > ' ' && view.ptr[i] <= '~';
    }
    if (!is_good) {
        return wire_fail(t, VAULT_CREDENTIAL_FILE, e,
                         "%s: expected one line of printable characters without blanks", path);
    }
    secret_truncate(text, len);
    *ret = secret_take(&text);
    return KERR_OK;
}

typedef enum kerr fill_fn(struct vault *v, struct vault_try *t, struct json_writer *w,
                          struct kerrinfo *e);

static enum kerr fill_approle(struct vault *v, struct vault_try *t, struct json_writer *w,
                              struct kerrinfo *e)
{
    AUTO_SECRET role_id = NULL;
    AUTO_SECRET secret_id = NULL;
    enum kerr k = login_read(v, t, TOKEN_ROLE_ID, &role_id, e);
    if (k == KERR_OK) {
        k = v->config->auth.secret_id_wrapped ? wrapped_secret_id(v, t, &secret_id, e)
                                              : login_read(v, t, TOKEN_SECRET_ID, &secret_id, e);
    }
    if (k == KERR_OK) {
        json_put_view(w, "role_id", secret_view(role_id));
        json_put_view(w, "secret_id", secret_view(secret_id));
    }
    return k;
}

static enum kerr fill_cert(struct vault *v, struct vault_try *t, struct json_writer *w,
                           struct kerrinfo *e)
{
    (void)t;
    (void)e;
    if (v->config->auth.role != NULL) {
        json_put_text(w, "name", v->config->auth.role);
    }
    return KERR_OK;
}

static enum kerr fill_jwt(struct vault *v, struct vault_try *t, struct json_writer *w,
                          struct kerrinfo *e)
{
    AUTO_SECRET jwt = NULL;
    enum kerr k = login_read(v, t, TOKEN_FILE, &jwt, e);
    if (k == KERR_OK) {
        json_put_text(w, "role", v->config->auth.role);
        json_put_view(w, "jwt", secret_view(jwt));
    }
    return k;
}

/* POST auth/MOUNT/login with a body that `fill` writes. */
static enum kerr log_in_with(struct vault *v, struct vault_try *t, fill_fn *fill,
                             struct token_grant *ret, struct kerrinfo *e)
{
    AUTO_BODY body = {0};
    AUTO_ANSWER answer = {.status = 0};
    struct kerrinfo why = {0};
    struct answer_auth auth = {.token = NULL};
    enum kerr k = wire_body(&body, 3 * FILE_MAX_BYTES, e);
    if (k != KERR_OK) {
        return wire_fail_here(t, k);
    }
    struct json_writer w = json_on(&body, e);
    json_put_object(&w, NULL);
    k = fill(v, t, &w, e);
    if (k != KERR_OK) {
        return k;
    }
    k = json_end(&w);
    if (k != KERR_OK) {
        return wire_fail_here(t, k);
    }
    struct wire_request r = {
        .path = v->login_path,
        .is_post = true,
        .body = buf_view(&body),
        .answer_max = ANSWER_MAX,
        .is_secret = true,
        .refused = VAULT_LOGIN,
        .address = WIRE_ANY,
    };
    k = wire_call(v, t, &r, &answer, e);
    if (k != KERR_OK) {
        return k;
    }
    k = answer_auth(buf_view(&answer.body), &auth, &why);
    if (k != KERR_OK) {
        return wire_fail_answer(v, t, k, &why, e);
    }
    *ret = (struct token_grant){auth.token, auth.ttl_s, auth.is_renewable};
    return KERR_OK;
}

/* The token is there already; only the server knows how long it lives. */
static enum kerr take_token_file(struct vault *v, struct vault_try *t, struct token_grant *ret,
                                 struct kerrinfo *e)
{
    AUTO_SECRET token = NULL;
    AUTO_ANSWER answer = {.status = 0};
    struct kerrinfo why = {0};
    struct answer_auth auth = {.token = NULL};
    enum kerr k = login_read(v, t, TOKEN_FILE, &token, e);
    if (k != KERR_OK) {
        return k;
    }
    struct wire_request r = {
        .path = "auth/token/lookup-self",
        .token = token,
        .answer_max = ANSWER_MAX,
        .is_secret = true, /* it repeats the token */
        .refused = VAULT_LOGIN,
        .address = WIRE_ANY,
    };
    k = wire_call(v, t, &r, &answer, e);
    if (k != KERR_OK) {
        return k;
    }
    k = answer_lookup(buf_view(&answer.body), &auth, &why);
    if (k != KERR_OK) {
        return wire_fail_answer(v, t, k, &why, e);
    }
    *ret = (struct token_grant){secret_take(&token), auth.ttl_s, auth.is_renewable};
    return KERR_OK;
}

static fill_fn *const fills[] = {
    [CONFIG_LOGIN_APPROLE] = fill_approle,
    [CONFIG_LOGIN_CERT] = fill_cert,
    [CONFIG_LOGIN_JWT] = fill_jwt,
};

enum kerr login_do(struct vault *v, struct vault_try *t, struct token_grant *ret,
                   struct kerrinfo *e)
{
    enum config_login kind = v->config->auth.kind;
    return kind == CONFIG_LOGIN_TOKEN ? take_token_file(v, t, ret, e)
                                      : log_in_with(v, t, fills[kind], ret, e);
}
