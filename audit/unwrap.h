/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seeds of KMS v2 values, each unwrapped once by the plugin of its provider and kept in locked
 * memory. Private to audit; the seeds of one audit belong to one thread, and are only read while
 * others decrypt.
 */
#ifndef ETCDSEAL_AUDIT_UNWRAP_H
#define ETCDSEAL_AUDIT_UNWRAP_H

#include "audit/tables.h"

#define UNWRAP_KEY 32 /* bytes of a seed, and of the key that came before seeds */

struct unwrap;

struct unwrap_seed {
    const uint8_t *key; /* NULL: there is none */
    bool is_refused;    /* the plugin was asked and says no */
    const char *why;    /* without a key; static */
};

/* Asks each plugin of `a->wanted` for its Status, into a->kms. NOMEM. */
enum kerr unwrap_begin(struct audit *a, struct unwrap **ret, struct kerrinfo *e) MUST_CHECK;
void unwrap_end(struct unwrap *u); /* NULL is fine */

/* The seed of a KMS v2 value, by its seed_hash; false when it was never asked for. On any thread,
 * while none asks. */
bool unwrap_find(const struct unwrap *u, uint64_t seed_hash, struct unwrap_seed *ret);
/* Asks the plugin of a KMS v2 value for its seed, unless that was done before. LIMIT is no failure
 * but an answer of this. */
enum kerr unwrap_ask(struct unwrap *u, struct audit *a, const struct audit_item *item,
                     struct kerrinfo *e) MUST_CHECK;

#endif
