/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a server with a token, and its health, which needs none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "vault/answers.h"
#include "vault/wire.h"

#define KEY_ANSWER_MAX ((size_t)1 << 20) /* VAULT_VERSIONS_MAX of 25 bytes */
#define ANSWER_MAX     ((size_t)16384)
#define PATH_MAX_BYTES 1024
/* How a 403 begins that a policy gives; one for a token that is none says "permission denied"
 * alone. It matters where somebody else logs in for us. */
#define POLICY_WORDS "1 error occurred"

/* With a token; after a 403 once more, with a fresh one. */
static enum kerr ask(struct vault *v, struct vault_try *t, struct wire_request *r,
                     struct http_answer *ret, struct kerrinfo *e)
{
    struct token *token = NULL;
    struct token *fresh = NULL;
    struct kerrinfo why = {0};
    t->cause = VAULT_NONE;
    r->address = WIRE_ANY;
    enum kerr k = token_get(v, t, NULL, &token, e);
    if (k != KERR_OK) {
        return k;
    }
    r->token = token == NULL ? NULL : token->text;
    k = wire_call(v, t, r, ret, &why);
    if (token == NULL && t->cause == VAULT_POLICY && strstr(why.text, POLICY_WORDS) == NULL) {
        return wire_fail(t, VAULT_LOGIN, e, "no credential of the agent or proxy is taken: %.300s",
                         why.text);
    }
    if (t->cause != VAULT_POLICY || token == NULL) {
        token_put(v, token);
        return k == KERR_OK ? k : kerr_set(e, k, "%s", why.text);
    }
    k = token_get(v, t, token, &fresh, e);
    if (k == KERR_OK) {
        r->token = fresh->text;
        k = wire_call(v, t, r, ret, e);
    }
    if (fresh != NULL) {
        token_judge(v, t, why.text);
    }
    token_put(v, fresh);
    token_put(v, token);
    return k;
}

static bool path_of(const struct vault *v, const char *what, char to[static PATH_MAX_BYTES])
{
    int len = snprintf(to, PATH_MAX_BYTES, "%s/%s/%s", v->mount, what, v->key);
    return len > 0 && len < PATH_MAX_BYTES;
}

void vault_key_done(struct vault_key *k)
{
    free(k->versions);
    k->versions = NULL;
    k->version_count = 0;
}

const struct vault_version *vault_key_version(const struct vault_key *k, uint32_t number)
{
    for (size_t i = 0; i < k->version_count; i++) {
        if (k->versions[i].number == number) {
            return &k->versions[i];
        }
    }
    return NULL;
}

enum kerr vault_read_key(struct vault *v, struct vault_try *t, struct vault_key *ret,
                         struct kerrinfo *e)
{
    char path[PATH_MAX_BYTES];
    AUTO_ANSWER answer = {.status = 0};
    AUTO_VAULT_KEY key = {.version_count = 0};
    struct kerrinfo why = {0};
    enum vault_cause cause = VAULT_NONE;
    struct wire_request r = {.path = path, .answer_max = KEY_ANSWER_MAX};
    if (!path_of(v, "keys", path)) {
        return wire_fail_here(t, kerr_set(e, KERR_BUG, "mount and key are too long"));
    }
    enum kerr k = ask(v, t, &r, &answer, e);
    if (k != KERR_OK) {
        return k;
    }
    k = answer_key(buf_view(&answer.body), &key, &cause, &why);
    if (k != KERR_OK) {
        return wire_fail_answer(v, t, k, &why, e);
    }
    if (cause != VAULT_NONE) {
        return wire_fail(t, cause, e, "key %.100s of type %s%s: %s", v->config->key, key.type,
                         key.is_derived ? ", derived" : "", vault_cause_sentence(cause));
    }
    *ret = key;
    key = (struct vault_key){.version_count = 0};
    return KERR_OK;
}

static void put_base64(struct json_writer *w, const char *name, const char *before,
                       struct bytes data)
{
    size_t before_len = strlen(before);
    AUTO_SECRET text = NULL;
    if (w->k != KERR_OK) {
        return;
    }
    w->k = secret_new(before_len + BASE64_CHARS(data.len) + 1, &text, w->e);
    if (w->k == KERR_OK) {
        memcpy(secret_bytes(text), before, before_len);
        base64_write(data, (char *)secret_bytes(text) + before_len);
        json_put_text(w, name, (const char *)secret_view(text).ptr);
    }
}

/* POST MOUNT/what/KEY. `data` is base64 behind `before`, under `name`. */
struct transit {
    const char *what;
    const char *name;
    const char *before;
    struct bytes data;
    struct bytes aad;
    uint32_t version; /* 0: not said */
    bool is_secret;   /* the answer */
};

static enum kerr post(struct vault *v, struct vault_try *t, const struct transit *x,
                      struct http_answer *ret, struct kerrinfo *e)
{
    char path[PATH_MAX_BYTES];
    AUTO_BODY body = {0};
    enum kerr k =
        wire_body(&body, BASE64_CHARS(VAULT_CIPHERTEXT_MAX) + BASE64_CHARS(VAULT_AAD_MAX) + 200, e);
    if (k != KERR_OK) {
        return wire_fail_here(t, k);
    }
    struct json_writer w = json_on(&body, e);
    json_put_object(&w, NULL);
    put_base64(&w, x->name, x->before, x->data);
    put_base64(&w, "associated_data", "", x->aad);
    if (x->version != 0) {
        json_put_u64(&w, "key_version", x->version);
    }
    k = json_end(&w);
    if (k != KERR_OK) {
        return wire_fail_here(t, k);
    }
    if (!path_of(v, x->what, path)) {
        return wire_fail_here(t, kerr_set(e, KERR_BUG, "mount and key are too long"));
    }
    struct wire_request r = {.path = path,
                             .is_post = true,
                             .body = buf_view(&body),
                             .answer_max = ANSWER_MAX,
                             .is_secret = x->is_secret};
    return ask(v, t, &r, ret, e);
}

static enum kerr check_sizes(struct vault_try *t, struct bytes data, size_t max, struct bytes aad,
                             struct kerrinfo *e)
{
    if (data.len >= 1 && data.len <= max && aad.len <= VAULT_AAD_MAX) {
        return KERR_OK;
    }
    return wire_fail(t, VAULT_CIPHERTEXT, e,
                     "%zu bytes with %zu of associated data, expected 1 to %zu with at most %d",
                     data.len, aad.len, max, VAULT_AAD_MAX);
}

enum kerr vault_encrypt(struct vault *v, struct vault_try *t, uint32_t version, struct bytes aad,
                        struct bytes plaintext, struct buf *ret, struct kerrinfo *e)
{
    AUTO_ANSWER answer = {.status = 0};
    struct kerrinfo why = {0};
    struct transit x = {.what = "encrypt",
                        .name = "plaintext",
                        .before = "",
                        .data = plaintext,
                        .aad = aad,
                        .version = version};
    enum kerr k = check_sizes(t, plaintext, VAULT_PLAINTEXT_MAX, aad, e);
    k = k != KERR_OK ? k : post(v, t, &x, &answer, e);
    if (k != KERR_OK) {
        return k;
    }
    k = answer_encrypt(buf_view(&answer.body), version, ret, &why);
    return k == KERR_OK ? k : wire_fail_answer(v, t, k, &why, e);
}

enum kerr vault_decrypt(struct vault *v, struct vault_try *t, uint32_t version, struct bytes aad,
                        struct bytes ciphertext, struct secret **ret, struct kerrinfo *e)
{
    AUTO_ANSWER answer = {.status = 0};
    struct kerrinfo why = {0};
    char before[32];
    (void)snprintf(before, sizeof before, "vault:v%u:", version);
    struct transit x = {.what = "decrypt",
                        .name = "ciphertext",
                        .before = before,
                        .data = ciphertext,
                        .aad = aad,
                        .is_secret = true};
    enum kerr k = check_sizes(t, ciphertext, VAULT_CIPHERTEXT_MAX, aad, e);
    k = k != KERR_OK ? k : post(v, t, &x, &answer, e);
    if (k != KERR_OK) {
        return k;
    }
    k = answer_decrypt(buf_view(&answer.body), ret, &why);
    return k == KERR_OK ? k : wire_fail_answer(v, t, k, &why, e);
}

enum kerr vault_capabilities(struct vault *v, struct vault_try *t, const char *const *paths,
                             size_t count, unsigned *ret, struct kerrinfo *e)
{
    AUTO_BODY body = {0};
    AUTO_ANSWER answer = {.status = 0};
    struct kerrinfo why = {0};
    if (count == 0 || count > VAULT_PATHS_MAX) {
        return wire_fail_here(t, kerr_set(e, KERR_BUG, "capabilities of %zu paths", count));
    }
    enum kerr k = wire_body(&body, ANSWER_MAX, e);
    if (k != KERR_OK) {
        return wire_fail_here(t, k);
    }
    struct json_writer w = json_on(&body, e);
    json_put_object(&w, NULL);
    json_put_array(&w, "paths");
    for (size_t i = 0; i < count; i++) {
        json_put_text(&w, NULL, paths[i]);
    }
    k = json_end(&w);
    if (k != KERR_OK) {
        return wire_fail_here(t, k);
    }
    struct wire_request r = {.path = "sys/capabilities-self",
                             .is_post = true,
                             .body = buf_view(&body),
                             .answer_max = ANSWER_MAX};
    k = ask(v, t, &r, &answer, e);
    if (k != KERR_OK) {
        return k;
    }
    k = answer_capabilities(buf_view(&answer.body), paths, count, ret, &why);
    return k == KERR_OK ? k : wire_fail_answer(v, t, k, &why, e);
}

enum kerr vault_health(struct vault *v, struct vault_try *t, size_t i, struct vault_health *ret,
                       struct kerrinfo *e)
{
    AUTO_ANSWER answer = {.status = 0};
    struct kerrinfo why = {0};
    t->cause = VAULT_NONE;
    struct wire_request r = {
        /* One status for every state: the body says which it is. */
        .path = "sys/health?standbycode=200&performancestandbycode=200&drsecondarycode=200"
                "&sealedcode=200&uninitcode=200",
        .answer_max = ANSWER_MAX,
        .is_above_namespaces = true,
        .address = i,
    };
    enum kerr k = wire_call(v, t, &r, &answer, e);
    if (k != KERR_OK) {
        return k;
    }
    k = answer_health(buf_view(&answer.body), ret, &why);
    return k == KERR_OK ? k : wire_fail_answer(v, t, k, &why, e);
}
