/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-256-GCM (SP 800-38D) and XAES-256-GCM (C2SP XAES-256-GCM: 192-bit nonces, so random ones
 * never run out).
 *
 * Sealing writes ciphertext and 16-byte tag; opening gives the plaintext or INTEGRITY, one message
 * whatever the reason. Keys are 32 bytes. `to` of aead_*_seal holds plaintext length + AEAD_TAG
 * bytes, `to` of aead_*_open holds ciphertext length − AEAD_TAG and is wiped on failure. Input and
 * output must not overlap. Thread-safe.
 */
#ifndef ETCDSEAL_CRYPTO_AEAD_H
#define ETCDSEAL_CRYPTO_AEAD_H

#include "base/bytes.h"
#include "base/secret.h"

#define AEAD_KEY        32
#define AEAD_TAG        16
#define AEAD_GCM_NONCE  12
#define AEAD_XAES_NONCE 24

enum kerr aead_gcm_seal(const uint8_t key[static AEAD_KEY],
                        const uint8_t nonce[static AEAD_GCM_NONCE], struct bytes aad,
                        struct bytes plaintext, uint8_t *to, struct kerrinfo *e) MUST_CHECK;
enum kerr aead_gcm_open(const uint8_t key[static AEAD_KEY],
                        const uint8_t nonce[static AEAD_GCM_NONCE], struct bytes aad,
                        struct bytes ciphertext, uint8_t *to, struct kerrinfo *e) MUST_CHECK;
enum kerr aead_xaes_seal(const uint8_t key[static AEAD_KEY],
                         const uint8_t nonce[static AEAD_XAES_NONCE], struct bytes aad,
                         struct bytes plaintext, uint8_t *to, struct kerrinfo *e) MUST_CHECK;
enum kerr aead_xaes_open(const uint8_t key[static AEAD_KEY],
                         const uint8_t nonce[static AEAD_XAES_NONCE], struct bytes aad,
                         struct bytes ciphertext, uint8_t *to, struct kerrinfo *e) MUST_CHECK;

#endif
