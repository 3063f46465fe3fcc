/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Argon2id (RFC 9106, version 1.3, one lane) over libsodium: a passphrase to a 32-byte key.
 *
 * Costs come from a file, so they are hostile: below the floor a thief would guess cheaply, above
 * the cap reading would exhaust the machine. Both are refused before any work.
 */
#ifndef ETCDSEAL_CRYPTO_PASSPHRASE_H
#define ETCDSEAL_CRYPTO_PASSPHRASE_H

#include "base/bytes.h"
#include "base/secret.h"

#define PASSPHRASE_SALT 16
#define PASSPHRASE_KEY  32

struct passphrase_cost {
    uint32_t passes;
    uint32_t memory_kib;
};

/* libsodium's MODERATE: 3 passes over 256 MiB. */
extern const struct passphrase_cost passphrase_cost_default;
/* RFC 9106's second choice in memory, one pass: 64 MiB. */
extern const struct passphrase_cost passphrase_cost_min;
/* 10 passes over 1 GiB: a planted file must not exhaust a control-plane node. */
extern const struct passphrase_cost passphrase_cost_max;

enum kerr passphrase_cost_check(struct passphrase_cost cost, struct kerrinfo *e) MUST_CHECK;

/* Blocks for about half a second and takes cost.memory_kib of memory (not locked: the working
 * memory of the function, wiped by libsodium). NOMEM, LIMIT. */
enum kerr passphrase_key(const struct secret *passphrase, struct bytes salt,
                         struct passphrase_cost cost, struct secret **ret,
                         struct kerrinfo *e) MUST_CHECK;

#endif
