/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table from bytes to a number, of 16 bytes a slot: it keeps a 64-bit hash, never the bytes.
 * Whoever needs to be sure compares what the number leads to. The hash is keyed at random, so that
 * nobody can choose keys that fall together. Private to audit.
 */
#ifndef ETCDSEAL_AUDIT_INDEX_H
#define ETCDSEAL_AUDIT_INDEX_H

#include "base/bytes.h"
#include "base/memory.h"

struct index_slot {
    uint64_t hash; /* 0: empty */
    uint64_t value;
};

struct index {
    struct index_slot *slots;
    size_t size; /* a power of two; 0 before the first */
    size_t count;
    struct memory *memory; /* that its slots are taken from; NULL: no limit */
};

/* Of several byte strings one after the other: start with index_seed(), which is the same for the
 * whole process. Lengths count, so {"a", "bc"} and {"ab", "c"} differ. */
uint64_t index_seed(void);
uint64_t index_hash(uint64_t before, struct bytes data);

/* Whether the value of a slot is the one looked for. */
typedef bool index_is_fn(const void *ctx, uint64_t value);

/* The value of the slot, to be read or changed until the next index_add; NULL when there is none.
 * `is` NULL: equal hashes are enough. */
uint64_t *index_find(const struct index *x, uint64_t hash, index_is_fn *is, const void *ctx);
/* Adds without looking whether it is there. NOMEM. */
enum kerr index_add(struct index *x, uint64_t hash, uint64_t value, struct kerrinfo *e) MUST_CHECK;
/* Makes room for so many without growing. NOMEM. */
enum kerr index_reserve(struct index *x, size_t count, struct kerrinfo *e) MUST_CHECK;
/* The hash is looked for soon. */
static inline void index_prefetch(const struct index *x, uint64_t hash)
{
    if (x->size > 0) {
        __builtin_prefetch(&x->slots[hash & (x->size - 1)]);
    }
}
/* Empties it; all zero is fine. */
void index_done(struct index *x);
#define AUTO_INDEX AUTO(index_done) struct index

#endif
