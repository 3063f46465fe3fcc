/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/text.h"
#include "json/json_read.h"

#define SECRET_ID_MAX 4096
#define TOKEN_MAX     16384 /* a batch token holds its policies */

/* jansson's message about what is no JSON shows a piece of it, which may be secret. */
static enum kerr read_object(struct bytes body, struct json_doc **ret, struct kerrinfo *e)
{
    struct kerrinfo why = {0};
    struct json_doc *d = NULL;
    enum kerr k = json_read(body, &d, &why);
    if (k == KERR_NOMEM) {
        return kerr_set(e, k, "no memory for an answer");
    }
    if (k != KERR_OK || json_kind(json_root(d)) != JSON_IS_OBJECT) {
        json_doc_free(d);
        return kerr_set(e, KERR_INPUT, "not a JSON object");
    }
    *ret = d;
    return KERR_OK;
}

/* "1 error occurred:\n\t* permission denied\n\n" on one line. */
static void squeeze(struct buf *b)
{
    size_t len = 0;
    for (size_t i = 0; i < b->len; i++) {
        bool is_blank = b->ptr[i] <= ' ';
        if (!is_blank || (len > 0 && b->ptr[len - 1] != ' ')) {
            b->ptr[len++] = is_blank ? ' ' : b->ptr[i];
        }
    }
    b->len = len > 0 && b->ptr[len - 1] == ' ' ? len - 1 : len;
}

bool answer_errors(struct bytes body, char *to, size_t size)
{
    AUTO_JSON d = NULL;
    *to = 0;
    if (read_object(body, &d, NULL) != KERR_OK) {
        return false;
    }
    const struct json_value *errors = json_member(json_root(d), "errors");
    if (json_kind(errors) != JSON_IS_ARRAY) {
        return false;
    }
    AUTO_BUF all = {0};
    buf_init(&all, size); /* what is longer is cut */
    for (size_t i = 0; i < json_count(errors); i++) {
        const char *text = NULL;
        if (!json_as_text(json_at(errors, i, NULL), &text) ||
            (i > 0 && buf_put_text(&all, "; ", NULL) != KERR_OK) ||
            buf_put(&all, bytes_of(text, strnlen(text, size - all.len)), NULL) != KERR_OK) {
            break;
        }
    }
    squeeze(&all);
    text_escape(buf_view(&all), to, size);
    return true;
}

static enum kerr no_member(const char *name, struct kerrinfo *e)
{
    return kerr_set(e, KERR_INPUT, "no fit value \"%s\"", name);
}

static bool member_u32(const struct json_value *object, const char *name, uint32_t *ret)
{
    uint64_t value = 0;
    if (!json_as_u64(json_member(object, name), &value) || value > UINT32_MAX) {
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

static enum kerr read_secret_text(const struct json_value *v, const char *name, size_t max,
                                  struct secret **ret, struct kerrinfo *e)
{
    const char *text = NULL;
    if (!json_as_text(v, &text) || *text == 0 || strlen(text) > max) {
        return no_member(name, e);
    }
    return secret_from_bytes(bytes_of_text(text), ret, e);
}

/* So that nobody computes with more. */
static uint64_t limit_ttl(uint64_t ttl_s)
{
    return ttl_s < ANSWER_TTL_MAX_S ? ttl_s : ANSWER_TTL_MAX_S;
}

enum kerr answer_auth(struct bytes body, struct answer_auth *ret, struct kerrinfo *e)
{
    AUTO_JSON d = NULL;
    struct answer_auth auth = {.token = NULL};
    enum kerr k = read_object(body, &d, e);
    if (k != KERR_OK) {
        return k;
    }
    const struct json_value *from = json_member(json_root(d), "auth");
    if (!json_as_u64(json_member(from, "lease_duration"), &auth.ttl_s) ||
        !json_as_bool(json_member(from, "renewable"), &auth.is_renewable)) {
        return no_member("auth", e);
    }
    auth.ttl_s = limit_ttl(auth.ttl_s);
    k = read_secret_text(json_member(from, "client_token"), "client_token", TOKEN_MAX, &auth.token,
                         e);
    if (k == KERR_OK) {
        *ret = auth;
    }
    return k;
}

enum kerr answer_lookup(struct bytes body, struct answer_auth *ret, struct kerrinfo *e)
{
    AUTO_JSON d = NULL;
    struct answer_auth auth = {.token = NULL};
    enum kerr k = read_object(body, &d, e);
    if (k != KERR_OK) {
        return k;
    }
    const struct json_value *data = json_member(json_root(d), "data");
    if (!json_as_u64(json_member(data, "ttl"), &auth.ttl_s)) {
        return no_member("ttl", e);
    }
    /* Absent in what older servers say of a root token. */
    (void)json_as_bool(json_member(data, "renewable"), &auth.is_renewable);
    auth.ttl_s = limit_ttl(auth.ttl_s);
    *ret = auth;
    return KERR_OK;
}

enum kerr answer_secret_id(struct bytes body, struct secret **ret, struct kerrinfo *e)
{
    AUTO_JSON d = NULL;
    enum kerr k = read_object(body, &d, e);
    if (k != KERR_OK) {
        return k;
    }
    const struct json_value *data = json_member(json_root(d), "data");
    return read_secret_text(json_member(data, "secret_id"), "secret_id", SECRET_ID_MAX, ret, e);
}

struct versions {
    struct vault_version *to;
    size_t count;
    bool is_bad;   /* a version's name is no number of one */
    bool is_other; /* a version is no time: a key that is no secret one */
};

static bool add_version(void *ctx, const char *name, const struct json_value *value)
{
    struct versions *v = ctx;
    uint64_t number = 0;
    uint64_t created = 0;
    v->is_other = v->is_other || !json_as_u64(value, &created);
    v->is_bad = text_to_u64(name, "version", 1, UINT32_MAX, &number, NULL) != KERR_OK;
    v->to[v->count++] = (struct vault_version){.number = (uint32_t)number, .created_at_s = created};
    return !v->is_bad;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct vault_version *)a)->number;
    uint32_t y = ((const struct vault_version *)b)->number;
    return (x > y) - (x < y);
}

static enum kerr read_versions(const struct json_value *keys, struct vault_key *key,
                               bool *ret_other, struct kerrinfo *e)
{
    size_t count = json_count(keys);
    if (json_kind(keys) != JSON_IS_OBJECT || count == 0 || count > VAULT_VERSIONS_MAX) {
        return kerr_set(e, KERR_INPUT, "expected 1 to %d versions in \"keys\"", VAULT_VERSIONS_MAX);
    }
    key->versions = calloc(count, sizeof *key->versions);
    if (key->versions == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for %zu versions", count);
    }
    struct versions v = {.to = key->versions};
    if (!json_each(keys, add_version, &v)) {
        return no_member("keys", e);
    }
    key->version_count = count;
    *ret_other = v.is_other;
    qsort(key->versions, count, sizeof *key->versions, by_number);
    for (size_t i = 1; i < count; i++) {
        if (key->versions[i].number == key->versions[i - 1].number) {
            return kerr_set(e, KERR_INPUT, "version %u stands twice", key->versions[i].number);
        }
    }
    return KERR_OK;
}

/* All that is used of the description; `keys` is read apart. */
static bool read_key_values(const struct json_value *data, struct vault_key *key,
                            bool *ret_soft_deleted)
{
    const char *type = NULL;
    if (!json_as_text(json_member(data, "type"), &type) || strlen(type) >= sizeof key->type) {
        return false;
    }
    (void)snprintf(key->type, sizeof key->type, "%s", type);
    *ret_soft_deleted = false; /* Vault knows no such thing */
    (void)json_as_bool(json_member(data, "soft_deleted"), ret_soft_deleted);
    return json_as_bool(json_member(data, "derived"), &key->is_derived) &&
           json_as_bool(json_member(data, "exportable"), &key->is_exportable) &&
           json_as_bool(json_member(data, "allow_plaintext_backup"),
                        &key->allows_plaintext_backup) &&
           json_as_bool(json_member(data, "deletion_allowed"), &key->is_deletion_allowed) &&
           member_u32(data, "latest_version", &key->latest) &&
           member_u32(data, "min_decryption_version", &key->min_decryption) &&
           member_u32(data, "min_encryption_version", &key->min_encryption);
}

static bool is_aead(const char *type)
{
    static const char *const types[] = {"aes256-gcm96", "aes128-gcm96", "chacha20-poly1305",
                                        "xchacha20-poly1305"};
    bool is_one = false;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        is_one = is_one || strcmp(type, types[i]) == 0;
    }
    return is_one;
}

static bool is_consistent(const struct vault_key *k)
{
    return vault_key_version(k, k->latest) != NULL &&
           k->versions[k->version_count - 1].number == k->latest && k->min_decryption >= 1 &&
           k->min_decryption <= k->latest && k->min_encryption <= k->latest;
}

enum kerr answer_key(struct bytes body, struct vault_key *ret, enum vault_cause *ret_cause,
                     struct kerrinfo *e)
{
    AUTO_JSON d = NULL;
    AUTO_VAULT_KEY key = {.version_count = 0};
    bool is_soft_deleted = false;
    bool has_other = false;
    enum kerr k = read_object(body, &d, e);
    if (k != KERR_OK) {
        return k;
    }
    const struct json_value *data = json_member(json_root(d), "data");
    if (!read_key_values(data, &key, &is_soft_deleted)) {
        return kerr_set(e, KERR_INPUT, "not a description of a key");
    }
    k = read_versions(json_member(data, "keys"), &key, &has_other, e);
    if (k != KERR_OK) {
        return k;
    }
    if (!is_consistent(&key)) {
        return kerr_set(e, KERR_INPUT,
                        "contradicts itself: latest %u, lowest to decrypt %u and to encrypt %u, "
                        "shown %u to %u",
                        key.latest, key.min_decryption, key.min_encryption, key.versions[0].number,
                        key.versions[key.version_count - 1].number);
    }
    bool is_fit = is_aead(key.type) && !key.is_derived && !has_other;
    *ret_cause = is_soft_deleted ? VAULT_KEY_DELETED : is_fit ? VAULT_NONE : VAULT_KEY_TYPE;
    *ret = key;
    key = (struct vault_key){.version_count = 0};
    return KERR_OK;
}

enum kerr answer_encrypt(struct bytes body, uint32_t version, struct buf *ret, struct kerrinfo *e)
{
    AUTO_JSON d = NULL;
    AUTO_BUF raw = {0};
    char prefix[32];
    const char *text = NULL;
    uint32_t said = 0;
    uint8_t *to = NULL;
    enum kerr k = read_object(body, &d, e);
    if (k != KERR_OK) {
        return k;
    }
    const struct json_value *data = json_member(json_root(d), "data");
    int prefix_len = snprintf(prefix, sizeof prefix, "vault:v%u:", version);
    if (!json_as_text(json_member(data, "ciphertext"), &text) ||
        !member_u32(data, "key_version", &said)) {
        return no_member("ciphertext", e);
    }
    if (said != version || strncmp(text, prefix, (size_t)prefix_len) != 0) {
        return kerr_set(e, KERR_INPUT, "expected a ciphertext of version %u, it is of another",
                        version);
    }
    buf_init(&raw, VAULT_CIPHERTEXT_MAX);
    k = buf_extend(&raw, VAULT_CIPHERTEXT_MAX, &to, e);
    k = k != KERR_OK
            ? k
            : base64_read(bytes_of_text(text + prefix_len), to, VAULT_CIPHERTEXT_MAX, &raw.len, e);
    if (k != KERR_OK || raw.len == 0) {
        return k == KERR_NOMEM ? k : no_member("ciphertext", e);
    }
    *ret = raw;
    raw = (struct buf){0};
    return KERR_OK;
}

enum kerr answer_decrypt(struct bytes body, struct secret **ret, struct kerrinfo *e)
{
    AUTO_JSON d = NULL;
    const char *text = NULL;
    enum kerr k = read_object(body, &d, e);
    if (k != KERR_OK) {
        return k;
    }
    const struct json_value *data = json_member(json_root(d), "data");
    if (!json_as_text(json_member(data, "plaintext"), &text)) {
        return no_member("plaintext", e);
    }
    k = base64_read_secret(bytes_of_text(text), VAULT_CIPHERTEXT_MAX, ret, NULL);
    return k == KERR_OK || k == KERR_NOMEM ? k : no_member("plaintext", e);
}

static const struct {
    const char *word;
    unsigned bit;
} capabilities[] = {
    {"deny", 0},
    {"create", VAULT_MAY_CREATE},
    {"read", VAULT_MAY_READ},
    {"update", VAULT_MAY_UPDATE},
    {"delete", VAULT_MAY_DELETE},
    {"list", VAULT_MAY_LIST},
    {"sudo", VAULT_MAY_SUDO},
    {"root", VAULT_MAY_ALL},
};

static bool read_capabilities(const struct json_value *list, unsigned *ret)
{
    unsigned bits = 0;
    for (size_t i = 0; i < json_count(list); i++) {
        const char *word = NULL;
        if (!json_as_text(json_at(list, i, NULL), &word)) {
            return false;
        }
        for (size_t j = 0; j < ARRAY_LEN(capabilities); j++) {
            bits |= strcmp(word, capabilities[j].word) == 0 ? capabilities[j].bit : 0;
        }
    }
    *ret = bits;
    return json_kind(list) == JSON_IS_ARRAY;
}

enum kerr answer_capabilities(struct bytes body, const char *const *paths, size_t count,
                              unsigned *ret, struct kerrinfo *e)
{
    AUTO_JSON d = NULL;
    unsigned bits[VAULT_PATHS_MAX];
    enum kerr k = read_object(body, &d, e);
    if (k != KERR_OK) {
        return k;
    }
    const struct json_value *data = json_member(json_root(d), "data");
    for (size_t i = 0; i < count; i++) {
        if (!read_capabilities(json_member(data, paths[i]), &bits[i])) {
            return no_member("capabilities", e);
        }
    }
    memcpy(ret, bits, count * sizeof *bits);
    return KERR_OK;
}

enum kerr answer_health(struct bytes body, struct vault_health *ret, struct kerrinfo *e)
{
    AUTO_JSON d = NULL;
    struct vault_health h = {.server_time_s = 0};
    const char *version = NULL;
    enum kerr k = read_object(body, &d, e);
    if (k != KERR_OK) {
        return k;
    }
    const struct json_value *root = json_root(d);
    if (!json_as_bool(json_member(root, "initialized"), &h.is_initialised) ||
        !json_as_bool(json_member(root, "sealed"), &h.is_sealed) ||
        !json_as_bool(json_member(root, "standby"), &h.is_standby) ||
        !json_as_u64(json_member(root, "server_time_utc"), &h.server_time_s) ||
        !json_as_text(json_member(root, "version"), &version)) {
        return kerr_set(e, KERR_INPUT, "not a description of a server's health");
    }
    text_escape(bytes_of_text(version), h.version, sizeof h.version);
    *ret = h;
    return KERR_OK;
}
