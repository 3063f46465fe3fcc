/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <sodium.h>

void hash_sha256(struct bytes data, uint8_t to[static HASH_BYTES])
{
    (void)crypto_hash_sha256(to, data.ptr, data.len);
}

static crypto_generichash_state *state_of(struct hash_blake2b *h)
{
    _Static_assert(sizeof(crypto_generichash_state) <= sizeof h->state &&
                       _Alignof(crypto_generichash_state) <= _Alignof(struct hash_blake2b),
                   "struct hash_blake2b holds libsodium's");
    return (crypto_generichash_state *)(void *)h->state;
}

void hash_blake2b_begin(struct hash_blake2b *h)
{
    (void)crypto_generichash_init(state_of(h), NULL, 0, HASH_BLAKE2B_BYTES);
}

void hash_blake2b_add(struct hash_blake2b *h, struct bytes data)
{
    (void)crypto_generichash_update(state_of(h), data.ptr, data.len);
}

void hash_blake2b_end(struct hash_blake2b *h, uint8_t to[static HASH_BLAKE2B_BYTES])
{
    (void)crypto_generichash_final(state_of(h), to, HASH_BLAKE2B_BYTES);
}

void hash_hmac(struct bytes key, const struct bytes *parts, size_t count,
               uint8_t to[static HASH_BYTES])
{
    crypto_auth_hmacsha256_state state;
    (void)crypto_auth_hmacsha256_init(&state, key.ptr, key.len);
    for (size_t i = 0; i < count; i++) {
        (void)crypto_auth_hmacsha256_update(&state, parts[i].ptr, parts[i].len);
    }
    (void)crypto_auth_hmacsha256_final(&state, to);
    secret_wipe(&state, sizeof state);
}

static void *param_bytes(struct bytes data)
{
    /* OSSL_PARAM has one pointer type for input and output; as input the bytes are only read. */
    return (void *)(uintptr_t)data.ptr;
}

enum kerr hash_hkdf(struct bytes ikm, struct bytes salt, struct bytes info, size_t len,
                    struct secret **ret, struct kerrinfo *e)
{
    AUTO_SECRET out = NULL;
    enum kerr k = secret_new(len, &out, e);
    if (k != KERR_OK) {
        return k;
    }
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
    EVP_KDF_free(kdf);
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, param_bytes(ikm), ikm.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, param_bytes(info), info.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, param_bytes(salt), salt.len),
        OSSL_PARAM_construct_end(),
    };
    if (salt.len == 0) {
        params[3] = OSSL_PARAM_construct_end();
    }
    bool is_good = ctx != NULL && EVP_KDF_derive(ctx, secret_bytes(out), len, params) == 1;
    EVP_KDF_CTX_free(ctx);
    if (!is_good) {
        return kerr_set(e, KERR_BUG, "HKDF failed");
    }
    *ret = secret_take(&out);
    return KERR_OK;
}
