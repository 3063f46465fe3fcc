/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 is fed SHA-256(label ‖ 0 ‖ SHA-256(message)) rather than the message, so that signing
 * needs no buffer for the concatenation; docs/keystore-format.md has it for other readers.
 */
#include "crypto/pubkey.h"

#include <sodium.h>
#include <string.h>

#include "crypto/aead.h"
#include "crypto/hash.h"

static enum kerr check_seed(const struct secret *seed, struct kerrinfo *e)
{
    return secret_len(seed) == PUBKEY_SEED ? KERR_OK
                                           : kerr_set(e, KERR_BUG, "a key pair wants 32 bytes");
}

enum kerr pubkey_box_public(const struct secret *seed, uint8_t to[static PUBKEY_BYTES],
                            struct kerrinfo *e)
{
    enum kerr k = check_seed(seed, e);
    if (k == KERR_OK) {
        (void)crypto_scalarmult_base(to, secret_view(seed).ptr);
    }
    return k;
}

/* Ed25519's expanded secret key, 64 bytes. */
static enum kerr sign_key(const struct secret *seed, uint8_t public[static PUBKEY_BYTES],
                          struct secret **ret, struct kerrinfo *e)
{
    enum kerr k = check_seed(seed, e);
    if (k == KERR_OK) {
        k = secret_new(crypto_sign_SECRETKEYBYTES, ret, e);
    }
    if (k == KERR_OK) {
        (void)crypto_sign_seed_keypair(public, secret_bytes(*ret), secret_view(seed).ptr);
    }
    return k;
}

enum kerr pubkey_sign_public(const struct secret *seed, uint8_t to[static PUBKEY_BYTES],
                             struct kerrinfo *e)
{
    AUTO_SECRET key = NULL;
    return sign_key(seed, to, &key, e);
}

/* Key and nonce of one box, 44 bytes. */
static enum kerr box_key(struct bytes scalar, const uint8_t *ephemeral, const uint8_t *recipient,
                         const uint8_t *other, struct bytes binding, struct secret **ret,
                         struct kerrinfo *e)
{
    AUTO_SECRET shared = NULL;
    enum kerr k = secret_new(crypto_scalarmult_BYTES, &shared, e);
    if (k != KERR_OK) {
        return k;
    }
    if (crypto_scalarmult(secret_bytes(shared), scalar.ptr, other) != 0) {
        return kerr_set(e, KERR_INTEGRITY, "a public key of low order");
    }
    uint8_t salt[2 * PUBKEY_BYTES];
    memcpy(salt, ephemeral, PUBKEY_BYTES);
    memcpy(salt + PUBKEY_BYTES, recipient, PUBKEY_BYTES);
    AUTO_BUF info;
    buf_init(&info, binding.len + 64);
    k = buf_put_text(&info, "etcdseal/v1/box", e);
    if (k == KERR_OK) {
        k = buf_put(&info, binding, e);
    }
    return k == KERR_OK ? hash_hkdf(secret_view(shared), BYTES_OF(salt), buf_view(&info),
                                    AEAD_KEY + AEAD_GCM_NONCE, ret, e)
                        : k;
}

enum kerr pubkey_box(const uint8_t recipient[static PUBKEY_BYTES], struct bytes binding,
                     struct bytes text, uint8_t *to, struct kerrinfo *e)
{
    AUTO_SECRET scalar = NULL;
    AUTO_SECRET key = NULL;
    enum kerr k = secret_random(PUBKEY_SEED, &scalar, e);
    if (k == KERR_OK) {
        k = pubkey_box_public(scalar, to, e);
    }
    if (k == KERR_OK) {
        k = box_key(secret_view(scalar), to, recipient, recipient, binding, &key, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    const uint8_t *raw = secret_view(key).ptr;
    return aead_gcm_seal(raw, raw + AEAD_KEY, binding, text, to + PUBKEY_BYTES, e);
}

enum kerr pubkey_unbox(const struct secret *seed, struct bytes binding, struct bytes boxed,
                       struct secret **ret, struct kerrinfo *e)
{
    if (boxed.len <= PUBKEY_BOX_OVERHEAD) {
        return kerr_set(e, KERR_INTEGRITY, "authentication failed");
    }
    uint8_t mine[PUBKEY_BYTES];
    AUTO_SECRET key = NULL;
    AUTO_SECRET out = NULL;
    enum kerr k = pubkey_box_public(seed, mine, e);
    if (k == KERR_OK) {
        k = box_key(secret_view(seed), boxed.ptr, mine, boxed.ptr, binding, &key, e);
    }
    if (k == KERR_OK) {
        k = secret_new(boxed.len - PUBKEY_BOX_OVERHEAD, &out, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    const uint8_t *raw = secret_view(key).ptr;
    k = aead_gcm_open(raw, raw + AEAD_KEY, binding,
                      bytes_of(boxed.ptr + PUBKEY_BYTES, boxed.len - PUBKEY_BYTES),
                      secret_bytes(out), e);
    if (k == KERR_OK) {
        *ret = secret_take(&out);
    }
    return k;
}

static void digest(const char *label, struct bytes message, uint8_t to[static HASH_BYTES])
{
    uint8_t inner[HASH_BYTES];
    hash_sha256(message, inner);
    crypto_hash_sha256_state state;
    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, (const uint8_t *)label, strlen(label) + 1);
    (void)crypto_hash_sha256_update(&state, inner, sizeof inner);
    (void)crypto_hash_sha256_final(&state, to);
}

enum kerr pubkey_sign(const struct secret *seed, const char *label, struct bytes message,
                      uint8_t to[static PUBKEY_SIGNATURE], struct kerrinfo *e)
{
    AUTO_SECRET key = NULL;
    uint8_t public[PUBKEY_BYTES];
    enum kerr k = sign_key(seed, public, &key, e);
    if (k == KERR_OK) {
        uint8_t what[HASH_BYTES];
        digest(label, message, what);
        (void)crypto_sign_detached(to, NULL, what, sizeof what, secret_view(key).ptr);
    }
    return k;
}

bool pubkey_verify(const uint8_t key[static PUBKEY_BYTES], const char *label, struct bytes message,
                   const uint8_t signature[static PUBKEY_SIGNATURE])
{
    uint8_t what[HASH_BYTES];
    digest(label, message, what);
    return crypto_sign_verify_detached(signature, what, sizeof what, key) == 0;
}

enum kerr pubkey_sign_plain(const struct secret *seed, struct bytes message,
                            uint8_t to[static PUBKEY_SIGNATURE], struct kerrinfo *e)
{
    AUTO_SECRET key = NULL;
    uint8_t public[PUBKEY_BYTES];
    enum kerr k = sign_key(seed, public, &key, e);
    if (k == KERR_OK) {
        (void)crypto_sign_detached(to, NULL, message.ptr, message.len, secret_view(key).ptr);
    }
    return k;
}

bool pubkey_verify_plain(const uint8_t key[static PUBKEY_BYTES], struct bytes message,
                         const uint8_t signature[static PUBKEY_SIGNATURE])
{
    return crypto_sign_verify_detached(signature, message.ptr, message.len, key) == 0;
}
