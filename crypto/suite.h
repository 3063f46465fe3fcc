/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wrap suites: how a KEK wraps a DEK seed.
 *
 * A wrapped seed is
 *
 *     suite (1) ‖ format (1, value 1) ‖ nonce or salt ‖ ciphertext ‖ tag (16)
 *
 *   xaes-256-gcm (suite 1)       24-byte nonce, XAES-256-GCM; 32 bytes become 74
 *   kbkdf-aes-256-gcm (suite 2)  16-byte salt; SP 800-108 KDF in counter mode with HMAC-SHA-256
 *                                (label "etcdseal/v1/kek/kbkdf-message", context = salt) gives 44
 *                                bytes: AES-256-GCM key and its nonce; 32 bytes become 66
 *
 * No AEAD runs under the KEK itself: two subkeys of 32 bytes each come from HKDF-SHA-256 with empty
 * salt and info = "etcdseal/v1/kek/wrap" or "etcdseal/v1/kek/nonce", followed by the suite byte.
 * Nonces and salts are hedged: HMAC-SHA-256(nonce subkey, 32 fresh random bytes ‖ u64 AAD length ‖
 * AAD ‖ plaintext), truncated. A cloned virtual machine that repeats its random bytes therefore
 * repeats a nonce only for the very same message.
 *
 * Thread-safe: subkeys are only read.
 */
#ifndef ETCDSEAL_CRYPTO_SUITE_H
#define ETCDSEAL_CRYPTO_SUITE_H

#include "base/bytes.h"
#include "base/secret.h"

/* The numbers are on disk and on the wire: never re-used. 0 is no suite. */
enum suite {
    SUITE_XAES_256_GCM = 1,
    SUITE_KBKDF_AES_256_GCM = 2,
};

#define SUITE_KEK_BYTES 32
#define SUITE_FORMAT    1
/* Largest growth of any suite. */
#define SUITE_OVERHEAD_MAX (2 + 24 + 16)

const char *suite_name(uint8_t suite); /* NULL when not known */
/* INPUT lists the known names. */
enum kerr suite_from_name(const char *name, enum suite *ret, struct kerrinfo *e) MUST_CHECK;

/* The two subkeys of a KEK (32 bytes) as one frozen secret. UNSUP for an unknown suite. */
enum kerr suite_subkeys(uint8_t suite, struct bytes kek, struct secret **ret,
                        struct kerrinfo *e) MUST_CHECK;

/* `to` holds plaintext length + SUITE_OVERHEAD_MAX; *ret_len is what was written. */
enum kerr suite_wrap(enum suite suite, const struct secret *subkeys, struct bytes aad,
                     struct bytes plaintext, uint8_t *to, size_t *ret_len,
                     struct kerrinfo *e) MUST_CHECK;
/* INTEGRITY with one message for anything that was not made by suite_wrap with the same subkeys and
 * AAD. The suite byte must be `suite`; that is checked before any AES call. */
enum kerr suite_unwrap(enum suite suite, const struct secret *subkeys, struct bytes aad,
                       struct bytes wrapped, struct secret **ret, struct kerrinfo *e) MUST_CHECK;

#endif
