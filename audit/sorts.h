/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that count alike: of the same resource, and under the same seed of KMS v2, so that all
 * but names and data is the same byte for byte. Of a million objects there are some hundred sorts.
 * One record of a sort is looked at, and the others are only numbered. Private to audit.
 *
 * A resource is told by the key's beginning below one prefix, which is presumed while records are
 * read: who takes the sorts up compares it with what was found.
 *
 * Memory: some 0.9 MB for each thread. Codes: NOMEM.
 */
#ifndef ETCDSEAL_AUDIT_SORTS_H
#define ETCDSEAL_AUDIT_SORTS_H

#include "audit/audit.h"

#define SORTS_BITS 14                /* of a number, within one thread's */
#define SORTS_MAX  (4 << SORTS_BITS) /* numbers, of at most four threads */
#define SORTS_NONE 0                 /* a record by itself */

struct sorts;

/* `prefix` is borrowed. */
enum kerr sorts_new(unsigned threads, struct bytes prefix, struct sorts **ret,
                    struct kerrinfo *e) MUST_CHECK;
void sorts_free(struct sorts *s); /* NULL is fine */

/* The sort of a record, below SORTS_MAX. On thread `worker`, one call at a time for each. */
uint16_t sorts_of(struct sorts *s, unsigned worker, struct bytes key, struct bytes value,
                  size_t record);
/* How many there are of a thread: their numbers are worker << SORTS_BITS, and from 1 to so many. */
size_t sorts_count(const struct sorts *s, unsigned worker);
/* One record of a sort that there is: the number that sorts_of was told. */
size_t sorts_sample(const struct sorts *s, uint16_t sort);
struct bytes sorts_prefix(const struct sorts *s);

#endif
