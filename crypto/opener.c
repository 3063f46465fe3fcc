/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/opener.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"

#define KEY_MAX 32

enum mode { MODE_GCM, MODE_CBC, MODE_COUNT };
enum size { KEY_16, KEY_24, KEY_32, KEY_SIZE_COUNT };

/* OpenSSL takes longer to look algorithms up, and to change a context from one to another, than to
 * open a small object: so each has a context of its own, made at the first use. */
static const char *const cipher_names[MODE_COUNT][KEY_SIZE_COUNT] = {
    [MODE_GCM] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"},
    [MODE_CBC] = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"},
};

struct opener {
    EVP_CIPHER_CTX *ctx[MODE_COUNT][KEY_SIZE_COUNT];
    EVP_MAC_CTX *hmac; /* of SHA-256 */
    struct secret *plaintext;
    size_t len; /* of what the buffer holds, or held */
};

static enum kerr refused(struct opener *o, struct kerrinfo *e)
{
    opener_wipe(o);
    return kerr_set(e, KERR_INTEGRITY, "authentication failed");
}

/* ---- the buffer ---- */

enum kerr opener_new(size_t max, struct opener **ret, struct kerrinfo *e)
{
    AUTO_OPENER o = calloc(1, sizeof *o);
    if (o == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory to open values");
    }
    enum kerr k = secret_new(max, &o->plaintext, e);
    if (k == KERR_OK) {
        *ret = o;
        o = NULL;
    }
    return k;
}

void opener_free(struct opener *o)
{
    if (o == NULL) {
        return;
    }
    for (size_t i = 0; i < MODE_COUNT; i++) {
        for (size_t j = 0; j < KEY_SIZE_COUNT; j++) {
            EVP_CIPHER_CTX_free(o->ctx[i][j]);
        }
    }
    EVP_MAC_CTX_free(o->hmac);
    secret_free(o->plaintext);
    free(o);
}

void opener_free_at(struct opener **o)
{
    opener_free(*o);
}

void opener_wipe(struct opener *o)
{
    secret_wipe(secret_bytes(o->plaintext), o->len);
    o->len = 0;
}

/* Room for the next plaintext; what is left of a longer one before it goes. */
static enum kerr make_room(struct opener *o, size_t len, uint8_t **ret, struct kerrinfo *e)
{
    if (len > secret_len(o->plaintext)) {
        return kerr_set(e, KERR_LIMIT, "a value of %zu bytes, opened are at most %zu", len,
                        secret_len(o->plaintext));
    }
    *ret = secret_bytes(o->plaintext);
    if (o->len > len) {
        secret_wipe(*ret + len, o->len - len);
    }
    o->len = len;
    return KERR_OK;
}

static struct bytes opened(const struct opener *o, size_t len)
{
    return bytes_of(secret_view(o->plaintext).ptr, len);
}

/* ---- AES ---- */

/* A context that has its cipher and waits for a key; NULL without memory. */
static EVP_CIPHER_CTX *context_of(const char *name)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *ctx = cipher == NULL ? NULL : EVP_CIPHER_CTX_new();
    if (ctx != NULL && EVP_DecryptInit_ex2(ctx, cipher, NULL, NULL, NULL) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_CIPHER_free(cipher); /* the context keeps it */
    return ctx;
}

static enum kerr begin(struct opener *o, enum mode mode, struct bytes key, const uint8_t *iv,
                       EVP_CIPHER_CTX **ret, struct kerrinfo *e)
{
    size_t size = key.len / 8 - 2;
    if (key.len % 8 != 0 || key.len < 16 || key.len > KEY_MAX) {
        return kerr_set(e, KERR_INPUT, "an AES key of %zu bytes, expected 16, 24 or 32", key.len);
    }
    EVP_CIPHER_CTX **ctx = &o->ctx[mode][size];
    *ctx = *ctx == NULL ? context_of(cipher_names[mode][size]) : *ctx;
    bool is_good = *ctx != NULL && EVP_DecryptInit_ex2(*ctx, NULL, key.ptr, iv, NULL) == 1;
    *ret = *ctx;
    return is_good ? KERR_OK : kerr_set(e, KERR_BUG, "%s failed", cipher_names[mode][size]);
}

enum kerr opener_gcm(struct opener *o, struct bytes key, struct bytes aad, struct bytes sealed,
                     struct bytes *ret, struct kerrinfo *e)
{
    uint8_t *to = NULL;
    int len = 0;
    EVP_CIPHER_CTX *ctx = NULL;
    if (sealed.len < OPENER_GCM_NONCE + OPENER_GCM_TAG) {
        return refused(o, e);
    }
    size_t text_len = sealed.len - OPENER_GCM_NONCE - OPENER_GCM_TAG;
    const uint8_t *text = sealed.ptr + OPENER_GCM_NONCE;
    uint8_t tag[OPENER_GCM_TAG];
    enum kerr k = make_room(o, text_len, &to, e);
    k = k == KERR_OK && aad.len > secret_len(o->plaintext)
            ? kerr_set(e, KERR_LIMIT, "associated data of %zu bytes", aad.len)
            : k;
    k = k == KERR_OK ? begin(o, MODE_GCM, key, sealed.ptr, &ctx, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    memcpy(tag, text + text_len, sizeof tag);
    bool is_good = EVP_DecryptUpdate(ctx, NULL, &len, aad.ptr, (int)aad.len) == 1 &&
                   EVP_DecryptUpdate(ctx, to, &len, text, (int)text_len) == 1 &&
                   EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
                   EVP_DecryptFinal_ex(ctx, tag, &len) == 1;
    if (!is_good) {
        return refused(o, e);
    }
    *ret = opened(o, text_len);
    return KERR_OK;
}

static EVP_MAC_CTX *hmac_of_sha256(void)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    if (ctx != NULL && EVP_MAC_CTX_set_params(ctx, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_MAC_free(mac); /* the context keeps it */
    return ctx;
}

/* HKDF-Expand, of which one block is asked. Here and not in hash.h because of the context: with it
 * half of the time goes. */
static enum kerr expand(struct opener *o, const uint8_t *seed, const uint8_t *info,
                        uint8_t to[static HASH_BYTES], struct kerrinfo *e)
{
    static const uint8_t first = 1; /* the number of the only block */
    size_t len = 0;
    o->hmac = o->hmac == NULL ? hmac_of_sha256() : o->hmac;
    bool is_good = o->hmac != NULL && EVP_MAC_init(o->hmac, seed, OPENER_SEED, NULL) == 1 &&
                   EVP_MAC_update(o->hmac, info, OPENER_SEED_INFO) == 1 &&
                   EVP_MAC_update(o->hmac, &first, 1) == 1 &&
                   EVP_MAC_final(o->hmac, to, &len, HASH_BYTES) == 1 && len == HASH_BYTES;
    return is_good ? KERR_OK : kerr_set(e, KERR_BUG, "HMAC-SHA-256 failed");
}

enum kerr opener_seed_gcm(struct opener *o, const uint8_t seed[static OPENER_SEED],
                          struct bytes aad, struct bytes sealed, struct bytes *ret,
                          struct kerrinfo *e)
{
    uint8_t key[HASH_BYTES];
    if (sealed.len < OPENER_SEED_INFO) {
        return refused(o, e);
    }
    struct bytes rest = bytes_of(sealed.ptr + OPENER_SEED_INFO, sealed.len - OPENER_SEED_INFO);
    enum kerr k = expand(o, seed, sealed.ptr, key, e);
    k = k == KERR_OK ? opener_gcm(o, BYTES_OF(key), aad, rest, ret, e) : k;
    secret_wipe(key, sizeof key);
    return k;
}

enum kerr opener_cbc(struct opener *o, struct bytes key, struct bytes sealed, struct bytes *ret,
                     struct kerrinfo *e)
{
    uint8_t *to = NULL;
    int len = 0;
    int last = 0;
    EVP_CIPHER_CTX *ctx = NULL;
    if (sealed.len < 2 * (size_t)OPENER_CBC_BLOCK || sealed.len % OPENER_CBC_BLOCK != 0) {
        return refused(o, e);
    }
    size_t text_len = sealed.len - OPENER_CBC_BLOCK;
    enum kerr k = make_room(o, text_len, &to, e);
    k = k == KERR_OK ? begin(o, MODE_CBC, key, sealed.ptr, &ctx, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    const uint8_t *text = sealed.ptr + OPENER_CBC_BLOCK;
    bool is_good = EVP_DecryptUpdate(ctx, to, &len, text, (int)text_len) == 1 &&
                   EVP_DecryptFinal_ex(ctx, to + len, &last) == 1;
    if (!is_good) {
        return refused(o, e);
    }
    *ret = opened(o, (size_t)len + (size_t)last);
    return KERR_OK;
}

/* ---- secretbox ---- */

enum kerr opener_secretbox(struct opener *o, const uint8_t key[static OPENER_SECRETBOX_KEY],
                           struct bytes sealed, struct bytes *ret, struct kerrinfo *e)
{
    uint8_t *to = NULL;
    if (sealed.len < OPENER_SECRETBOX_NONCE + OPENER_SECRETBOX_TAG) {
        return refused(o, e);
    }
    const uint8_t *box = sealed.ptr + OPENER_SECRETBOX_NONCE;
    size_t text_len = sealed.len - OPENER_SECRETBOX_NONCE - OPENER_SECRETBOX_TAG;
    enum kerr k = make_room(o, text_len, &to, e);
    if (k != KERR_OK) {
        return k;
    }
    if (crypto_secretbox_open_detached(to, box + OPENER_SECRETBOX_TAG, box, text_len, sealed.ptr,
                                       key) != 0) {
        return refused(o, e);
    }
    *ret = opened(o, text_len);
    return KERR_OK;
}
