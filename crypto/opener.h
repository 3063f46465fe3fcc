/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens what kube-apiserver's own providers sealed: AES-GCM (keys of 16, 24 or 32 bytes), AES-CBC
 * with PKCS #7 padding, NaCl's secretbox, and AES-GCM under a key that HKDF-Expand makes of a seed.
 *
 * An opener has one locked buffer, in which each plaintext replaces the one before: a million
 * objects are opened without one of them lying anywhere else. What a function gives is a view into
 * it, until the next call. Whatever does not open is INTEGRITY, with one message; LIMIT what does
 * not fit into the buffer. One opener belongs to one thread; different ones may be used at once.
 *
 * Sources: k8s.io/apiserver pkg/storage/value/encrypt (aes, secretbox); SP 800-38D; SP 800-38A and
 * RFC 5652 6.3; NaCl crypto_secretbox_xsalsa20poly1305; RFC 5869 2.3.
 */
#ifndef ETCDSEAL_CRYPTO_OPENER_H
#define ETCDSEAL_CRYPTO_OPENER_H

#include "base/bytes.h"
#include "base/secret.h"

#define OPENER_GCM_NONCE       12
#define OPENER_GCM_TAG         16
#define OPENER_CBC_BLOCK       16
#define OPENER_SECRETBOX_NONCE 24
#define OPENER_SECRETBOX_TAG   16
#define OPENER_SECRETBOX_KEY   32
#define OPENER_SEED            32
#define OPENER_SEED_INFO       32

struct opener;

/* `max`: the largest plaintext, at most SECRET_MAX_BYTES. NOMEM, LIMIT. */
enum kerr opener_new(size_t max, struct opener **ret, struct kerrinfo *e) MUST_CHECK;
void opener_free(struct opener *o); /* wipes; NULL is fine */
void opener_free_at(struct opener **o);
#define AUTO_OPENER AUTO(opener_free_at) struct opener *
void opener_wipe(struct opener *o); /* the plaintext of the last call */

/* `sealed` is nonce, ciphertext and tag. */
enum kerr opener_gcm(struct opener *o, struct bytes key, struct bytes aad, struct bytes sealed,
                     struct bytes *ret, struct kerrinfo *e) MUST_CHECK;
/* `sealed` is the 32 bytes of HKDF's info, then as above; the key is HKDF-Expand-SHA-256 of the
 * seed. */
enum kerr opener_seed_gcm(struct opener *o, const uint8_t seed[static OPENER_SEED],
                          struct bytes aad, struct bytes sealed, struct bytes *ret,
                          struct kerrinfo *e) MUST_CHECK;
/* `sealed` is IV and ciphertext. Nothing authenticates it: what another key or text sealed may open
 * to anything, once in 256 times. */
enum kerr opener_cbc(struct opener *o, struct bytes key, struct bytes sealed, struct bytes *ret,
                     struct kerrinfo *e) MUST_CHECK;
/* `sealed` is nonce, tag and ciphertext. */
enum kerr opener_secretbox(struct opener *o, const uint8_t key[static OPENER_SECRETBOX_KEY],
                           struct bytes sealed, struct bytes *ret, struct kerrinfo *e) MUST_CHECK;

#endif
