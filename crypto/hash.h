/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4), HMAC-SHA-256 (RFC 2104), HKDF-SHA-256 (RFC 5869) and BLAKE2b-512 (RFC
 * 7693).
 *
 * All functions are pure, may be called from any thread, and cannot fail for the sizes stated, save
 * where they return a code: NOMEM, or BUG when OpenSSL refuses.
 */
#ifndef ETCDSEAL_CRYPTO_HASH_H
#define ETCDSEAL_CRYPTO_HASH_H

#include "base/bytes.h"
#include "base/secret.h"

#define HASH_BYTES 32

void hash_sha256(struct bytes data, uint8_t to[static HASH_BYTES]);

/* BLAKE2b with 64 bytes and without a key, of data that come piece by piece. */
#define HASH_BLAKE2B_BYTES 64
struct hash_blake2b {
    _Alignas(64) uint8_t state[384];
};
void hash_blake2b_begin(struct hash_blake2b *h);
void hash_blake2b_add(struct hash_blake2b *h, struct bytes data);
void hash_blake2b_end(struct hash_blake2b *h, uint8_t to[static HASH_BLAKE2B_BYTES]);

/* HMAC over the concatenation of `count` parts. The key has any length. */
void hash_hmac(struct bytes key, const struct bytes *parts, size_t count,
               uint8_t to[static HASH_BYTES]);

/* HKDF, Extract then Expand, `len` bytes (1 … 255·32) into a new secret. `salt` may be empty. */
enum kerr hash_hkdf(struct bytes ikm, struct bytes salt, struct bytes info, size_t len,
                    struct secret **ret, struct kerrinfo *e) MUST_CHECK;

#endif
