/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public-key parts: X25519 boxing (RFC 7748) and Ed25519 signatures (RFC 8032), over libsodium.
 * Pure and thread-safe.
 */
#ifndef ETCDSEAL_CRYPTO_PUBKEY_H
#define ETCDSEAL_CRYPTO_PUBKEY_H

#include "base/bytes.h"
#include "base/secret.h"

#define PUBKEY_BYTES        32 /* a public key of either kind */
#define PUBKEY_SEED         32 /* what a key pair is made from */
#define PUBKEY_SIGNATURE    64
#define PUBKEY_BOX_OVERHEAD (32 + 16) /* ephemeral public key, tag */

/* Public keys of a 32-byte seed. BUG for another size. */
enum kerr pubkey_box_public(const struct secret *seed, uint8_t to[static PUBKEY_BYTES],
                            struct kerrinfo *e) MUST_CHECK;
enum kerr pubkey_sign_public(const struct secret *seed, uint8_t to[static PUBKEY_BYTES],
                             struct kerrinfo *e) MUST_CHECK;

/* Boxes `text` to a public key:
 *   ephemeral public key (32) ‖ AES-256-GCM ciphertext ‖ tag (16)
 * under key (32) and nonce (12) from HKDF-SHA-256 with ikm = X25519(ephemeral, recipient), salt =
 * ephemeral public ‖ recipient public, info = "etcdseal/v1/box" ‖ binding; AAD = binding.
 * `to` holds text length + PUBKEY_BOX_OVERHEAD. INTEGRITY for a low-order public key. */
enum kerr pubkey_box(const uint8_t recipient[static PUBKEY_BYTES], struct bytes binding,
                     struct bytes text, uint8_t *to, struct kerrinfo *e) MUST_CHECK;
enum kerr pubkey_unbox(const struct secret *seed, struct bytes binding, struct bytes boxed,
                       struct secret **ret, struct kerrinfo *e) MUST_CHECK;

/* Signs the concatenation of `label` (a fixed text, so that no signature serves two purposes) and
 * `message`. */
enum kerr pubkey_sign(const struct secret *seed, const char *label, struct bytes message,
                      uint8_t to[static PUBKEY_SIGNATURE], struct kerrinfo *e) MUST_CHECK;
bool pubkey_verify(const uint8_t key[static PUBKEY_BYTES], const char *label, struct bytes message,
                   const uint8_t signature[static PUBKEY_SIGNATURE]);

/* The same over the message itself, for formats of others, which have their own ways to keep their
 * signatures apart. */
enum kerr pubkey_sign_plain(const struct secret *seed, struct bytes message,
                            uint8_t to[static PUBKEY_SIGNATURE], struct kerrinfo *e) MUST_CHECK;
bool pubkey_verify_plain(const uint8_t key[static PUBKEY_BYTES], struct bytes message,
                         const uint8_t signature[static PUBKEY_SIGNATURE]);

#endif
