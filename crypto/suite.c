/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/suite.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>

#include "crypto/aead.h"
#include "crypto/hash.h"

#define SUBKEY_BYTES 32
#define KBKDF_SALT   16
#define KBKDF_OUT    (AEAD_KEY + AEAD_GCM_NONCE)

typedef enum kerr suite_aead_fn(const uint8_t *key, const uint8_t *nonce, struct bytes aad,
                                struct bytes text, uint8_t *to, struct kerrinfo *e);

struct suite_row {
    const char *name;
    size_t nonce_len;
    suite_aead_fn *seal;
    suite_aead_fn *open;
};

static enum kerr kbkdf_derive(const uint8_t *key, const uint8_t *salt, uint8_t to[static KBKDF_OUT],
                              struct kerrinfo *e)
{
    uint8_t key_copy[SUBKEY_BYTES];
    uint8_t salt_copy[KBKDF_SALT];
    memcpy(key_copy, key, sizeof key_copy);
    memcpy(salt_copy, salt, sizeof salt_copy);
    char mode[] = "counter";
    char mac[] = "HMAC";
    char digest[] = "SHA256";
    char label[] = "etcdseal/v1/kek/kbkdf-message";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, mode, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC, mac, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key_copy, sizeof key_copy),
        /* OpenSSL calls SP 800-108's label "salt" and its context "info". */
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, label, sizeof label - 1),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, salt_copy, sizeof salt_copy),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "KBKDF", NULL);
    EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
    EVP_KDF_free(kdf);
    bool is_good = ctx != NULL && EVP_KDF_derive(ctx, to, KBKDF_OUT, params) == 1;
    EVP_KDF_CTX_free(ctx);
    secret_wipe(key_copy, sizeof key_copy);
    return is_good ? KERR_OK : kerr_set(e, KERR_BUG, "KBKDF failed");
}

static enum kerr kbkdf_seal(const uint8_t *key, const uint8_t *salt, struct bytes aad,
                            struct bytes text, uint8_t *to, struct kerrinfo *e)
{
    uint8_t derived[KBKDF_OUT];
    enum kerr k = kbkdf_derive(key, salt, derived, e);
    if (k == KERR_OK) {
        k = aead_gcm_seal(derived, derived + AEAD_KEY, aad, text, to, e);
    }
    secret_wipe(derived, sizeof derived);
    return k;
}

static enum kerr kbkdf_open(const uint8_t *key, const uint8_t *salt, struct bytes aad,
                            struct bytes text, uint8_t *to, struct kerrinfo *e)
{
    uint8_t derived[KBKDF_OUT];
    enum kerr k = kbkdf_derive(key, salt, derived, e);
    if (k == KERR_OK) {
        k = aead_gcm_open(derived, derived + AEAD_KEY, aad, text, to, e);
    }
    secret_wipe(derived, sizeof derived);
    return k;
}

static const struct suite_row suites[] = {
    [SUITE_XAES_256_GCM] = {"xaes-256-gcm", AEAD_XAES_NONCE, aead_xaes_seal, aead_xaes_open},
    [SUITE_KBKDF_AES_256_GCM] = {"kbkdf-aes-256-gcm", KBKDF_SALT, kbkdf_seal, kbkdf_open},
};

static const struct suite_row *find(uint8_t suite)
{
    return suite > 0 && suite < ARRAY_LEN(suites) ? &suites[suite] : NULL;
}

const char *suite_name(uint8_t suite)
{
    const struct suite_row *row = find(suite);
    return row == NULL ? NULL : row->name;
}

enum kerr suite_from_name(const char *name, enum suite *ret, struct kerrinfo *e)
{
    for (uint8_t i = 1; i < ARRAY_LEN(suites); i++) {
        if (strcmp(name, suites[i].name) == 0) {
            *ret = (enum suite)i;
            return KERR_OK;
        }
    }
    return kerr_set(e, KERR_INPUT, "suite %s is not known; known are %s and %s", name,
                    suites[SUITE_XAES_256_GCM].name, suites[SUITE_KBKDF_AES_256_GCM].name);
}

static enum kerr subkey(const char *label, uint8_t suite, struct bytes kek, uint8_t *to,
                        struct kerrinfo *e)
{
    uint8_t info[64];
    struct writer w = writer_on(info, sizeof info);
    write_raw(&w, bytes_of_text(label));
    write_u8(&w, suite);
    AUTO_SECRET key = NULL;
    enum kerr k = hash_hkdf(kek, bytes_of(NULL, 0), writer_view(&w), SUBKEY_BYTES, &key, e);
    if (k == KERR_OK) {
        memcpy(to, secret_view(key).ptr, SUBKEY_BYTES);
    }
    return k;
}

enum kerr suite_subkeys(uint8_t suite, struct bytes kek, struct secret **ret, struct kerrinfo *e)
{
    if (find(suite) == NULL) {
        return kerr_set(e, KERR_UNSUP, "wrap suite %u is not known to this version", suite);
    }
    if (kek.len != SUITE_KEK_BYTES) {
        return kerr_set(e, KERR_FORMAT, "a KEK of %zu bytes, expected %d", kek.len,
                        SUITE_KEK_BYTES);
    }
    AUTO_SECRET both = NULL;
    enum kerr k = secret_new((size_t)2 * SUBKEY_BYTES, &both, e);
    if (k == KERR_OK) {
        k = subkey("etcdseal/v1/kek/wrap", suite, kek, secret_bytes(both), e);
    }
    if (k == KERR_OK) {
        k = subkey("etcdseal/v1/kek/nonce", suite, kek, secret_bytes(both) + SUBKEY_BYTES, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    secret_freeze(both);
    *ret = secret_take(&both);
    return KERR_OK;
}

static void hedged_nonce(const struct secret *subkeys, struct bytes aad, struct bytes plaintext,
                         uint8_t *to, size_t len)
{
    uint8_t fresh[32];
    random_fill(fresh, sizeof fresh);
    uint8_t aad_len[8];
    struct writer w = writer_on(aad_len, sizeof aad_len);
    write_u64(&w, aad.len);
    struct bytes parts[] = {BYTES_OF(fresh), BYTES_OF(aad_len), aad, plaintext};
    struct bytes key = bytes_of(secret_view(subkeys).ptr + SUBKEY_BYTES, SUBKEY_BYTES);
    uint8_t mac[HASH_BYTES];
    hash_hmac(key, parts, ARRAY_LEN(parts), mac);
    memcpy(to, mac, len);
}

enum kerr suite_wrap(enum suite suite, const struct secret *subkeys, struct bytes aad,
                     struct bytes plaintext, uint8_t *to, size_t *ret_len, struct kerrinfo *e)
{
    const struct suite_row *row = find((uint8_t)suite);
    if (row == NULL) {
        return kerr_set(e, KERR_BUG, "wrap suite %d does not exist", (int)suite);
    }
    to[0] = (uint8_t)suite;
    to[1] = SUITE_FORMAT;
    hedged_nonce(subkeys, aad, plaintext, to + 2, row->nonce_len);
    enum kerr k =
        row->seal(secret_view(subkeys).ptr, to + 2, aad, plaintext, to + 2 + row->nonce_len, e);
    if (k == KERR_OK) {
        *ret_len = 2 + row->nonce_len + plaintext.len + AEAD_TAG;
    }
    return k;
}

enum kerr suite_unwrap(enum suite suite, const struct secret *subkeys, struct bytes aad,
                       struct bytes wrapped, struct secret **ret, struct kerrinfo *e)
{
    const struct suite_row *row = find((uint8_t)suite);
    if (row == NULL) {
        return kerr_set(e, KERR_BUG, "wrap suite %d does not exist", (int)suite);
    }
    size_t head = 2 + row->nonce_len;
    /* At least one byte of plaintext: an empty one is never wrapped. */
    if (wrapped.len < head + AEAD_TAG + 1 || wrapped.ptr[0] != (uint8_t)suite ||
        wrapped.ptr[1] != SUITE_FORMAT) {
        return kerr_set(e, KERR_INTEGRITY, "authentication failed");
    }
    AUTO_SECRET out = NULL;
    enum kerr k = secret_new(wrapped.len - head - AEAD_TAG, &out, e);
    if (k == KERR_OK) {
        k = row->open(secret_view(subkeys).ptr, wrapped.ptr + 2, aad,
                      bytes_of(wrapped.ptr + head, wrapped.len - head), secret_bytes(out), e);
    }
    if (k == KERR_OK) {
        *ret = secret_take(&out);
    }
    return k;
}
