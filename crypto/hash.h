/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4), HMAC-SHA-256 (RFC 2104) and HKDF-SHA-256 (RFC 5869).
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

/* HMAC over the concatenation of `count` parts. The key has any length. */
void hash_hmac(struct bytes key, const struct bytes *parts, size_t count,
               uint8_t to[static HASH_BYTES]);

/* HKDF, Extract then Expand, `len` bytes (1 … 255·32) into a new secret. `salt` may be empty. */
enum kerr hash_hkdf(struct bytes ikm, struct bytes salt, struct bytes info, size_t len,
                    struct secret **ret, struct kerrinfo *e) MUST_CHECK;

#endif
