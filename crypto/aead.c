/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XAES key derivation is SP 800-108 with CMAC-AES-256 over one block each, spelled out with
 * three AES-ECB blocks: OpenSSL 3.0 cannot set the counter width of its KBKDF, and its CMAC costs
 * four times as much as the blocks themselves.
 */
#include "crypto/aead.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

/* EVP_aes_256_gcm() and its like make OpenSSL look the cipher up at each use, which costs more than
 * the cipher. Never freed: they are the process's. */
static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_CIPHER *gcm;
static EVP_CIPHER *ecb;

static void fetch(void)
{
    gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    ecb = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
}

/* Where memory was short at that one moment they are looked up as ever. */
static const EVP_CIPHER *cipher_gcm(void)
{
    (void)pthread_once(&fetched, fetch);
    return gcm != NULL ? gcm : EVP_aes_256_gcm();
}

static const EVP_CIPHER *cipher_ecb(void)
{
    (void)pthread_once(&fetched, fetch);
    return ecb != NULL ? ecb : EVP_aes_256_ecb();
}

static void free_cipher(EVP_CIPHER_CTX **ctx)
{
    EVP_CIPHER_CTX_free(*ctx);
}
#define AUTO_CIPHER AUTO(free_cipher) EVP_CIPHER_CTX *

static enum kerr crypto_failed(struct kerrinfo *e)
{
    return kerr_set(e, KERR_BUG, "AES-256 failed");
}

static enum kerr check_len(struct bytes aad, struct bytes text, struct kerrinfo *e)
{
    /* EVP counts in int; nothing that we seal comes near it. */
    if (aad.len > (size_t)1 << 30 || text.len > (size_t)1 << 30) {
        return kerr_set(e, KERR_LIMIT, "more than 1 GiB to seal or open");
    }
    return KERR_OK;
}

enum kerr aead_gcm_seal(const uint8_t key[static AEAD_KEY],
                        const uint8_t nonce[static AEAD_GCM_NONCE], struct bytes aad,
                        struct bytes plaintext, uint8_t *to, struct kerrinfo *e)
{
    enum kerr k = check_len(aad, plaintext, e);
    if (k != KERR_OK) {
        return k;
    }
    AUTO_CIPHER ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    bool is_good =
        ctx != NULL && EVP_EncryptInit_ex(ctx, cipher_gcm(), NULL, key, nonce) == 1 &&
        EVP_EncryptUpdate(ctx, NULL, &len, aad.ptr, (int)aad.len) == 1 &&
        EVP_EncryptUpdate(ctx, to, &len, plaintext.ptr, (int)plaintext.len) == 1 &&
        EVP_EncryptFinal_ex(ctx, to + plaintext.len, &len) == 1 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, to + plaintext.len) == 1;
    return is_good ? KERR_OK : crypto_failed(e);
}

enum kerr aead_gcm_open(const uint8_t key[static AEAD_KEY],
                        const uint8_t nonce[static AEAD_GCM_NONCE], struct bytes aad,
                        struct bytes ciphertext, uint8_t *to, struct kerrinfo *e)
{
    enum kerr k = check_len(aad, ciphertext, e);
    if (k != KERR_OK) {
        return k;
    }
    if (ciphertext.len < AEAD_TAG) {
        return kerr_set(e, KERR_INTEGRITY, "authentication failed");
    }
    size_t text_len = ciphertext.len - AEAD_TAG;
    uint8_t tag[AEAD_TAG];
    memcpy(tag, ciphertext.ptr + text_len, sizeof tag);
    AUTO_CIPHER ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    uint8_t none[1];
    if (ctx == NULL || EVP_DecryptInit_ex(ctx, cipher_gcm(), NULL, key, nonce) != 1 ||
        EVP_DecryptUpdate(ctx, NULL, &len, aad.ptr, (int)aad.len) != 1 ||
        EVP_DecryptUpdate(ctx, to, &len, ciphertext.ptr, (int)text_len) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, tag) != 1) {
        secret_wipe(to, text_len);
        return crypto_failed(e);
    }
    if (EVP_DecryptFinal_ex(ctx, none, &len) != 1) {
        secret_wipe(to, text_len);
        return kerr_set(e, KERR_INTEGRITY, "authentication failed");
    }
    return KERR_OK;
}

/* Doubling in GF(2^128), as CMAC's subkey generation has it (SP 800-38B 6.1). */
static void gf_double(const uint8_t in[static 16], uint8_t out[static 16])
{
    uint8_t carry = 0;
    for (size_t i = 16; i-- > 0;) {
        uint8_t high = in[i] >> 7;
        out[i] = (uint8_t)(in[i] << 1 | carry);
        carry = high;
    }
    out[15] ^= (uint8_t)(0x87 & -carry);
}

static enum kerr xaes_derive(const uint8_t key[static AEAD_KEY],
                             const uint8_t nonce[static AEAD_XAES_NONCE],
                             uint8_t to[static AEAD_KEY], struct kerrinfo *e)
{
    AUTO_CIPHER ctx = EVP_CIPHER_CTX_new();
    uint8_t zero[16] = {0};
    uint8_t l[16];
    uint8_t k1[16];
    uint8_t blocks[32] = {0, 1, 'X', 0};
    int len = 0;
    if (ctx == NULL || EVP_EncryptInit_ex(ctx, cipher_ecb(), NULL, key, NULL) != 1 ||
        EVP_CIPHER_CTX_set_padding(ctx, 0) != 1 ||
        EVP_EncryptUpdate(ctx, l, &len, zero, sizeof zero) != 1) {
        return crypto_failed(e);
    }
    gf_double(l, k1);
    memcpy(blocks + 4, nonce, 12);
    memcpy(blocks + 16, blocks, 16);
    blocks[17] = 2;
    for (size_t i = 0; i < sizeof blocks; i++) {
        blocks[i] ^= k1[i % 16];
    }
    bool is_good = EVP_EncryptUpdate(ctx, to, &len, blocks, sizeof blocks) == 1;
    secret_wipe(l, sizeof l);
    secret_wipe(k1, sizeof k1);
    secret_wipe(blocks, sizeof blocks);
    return is_good ? KERR_OK : crypto_failed(e);
}

enum kerr aead_xaes_seal(const uint8_t key[static AEAD_KEY],
                         const uint8_t nonce[static AEAD_XAES_NONCE], struct bytes aad,
                         struct bytes plaintext, uint8_t *to, struct kerrinfo *e)
{
    uint8_t derived[AEAD_KEY];
    enum kerr k = xaes_derive(key, nonce, derived, e);
    if (k == KERR_OK) {
        k = aead_gcm_seal(derived, nonce + 12, aad, plaintext, to, e);
    }
    secret_wipe(derived, sizeof derived);
    return k;
}

enum kerr aead_xaes_open(const uint8_t key[static AEAD_KEY],
                         const uint8_t nonce[static AEAD_XAES_NONCE], struct bytes aad,
                         struct bytes ciphertext, uint8_t *to, struct kerrinfo *e)
{
    uint8_t derived[AEAD_KEY];
    enum kerr k = xaes_derive(key, nonce, derived, e);
    if (k == KERR_OK) {
        k = aead_gcm_open(derived, nonce + 12, aad, ciphertext, to, e);
    }
    secret_wipe(derived, sizeof derived);
    return k;
}
