/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live keys, many at a time: while the source hands in some, threads look at those before, and
 * prove them where that is wanted. They are counted in the order in which they came. Private to
 * audit.
 */
#ifndef ETCDSEAL_AUDIT_BATCH_H
#define ETCDSEAL_AUDIT_BATCH_H

#include "audit/tables.h"

/* How many threads an audit has: wanted.threads, else one for each CPU that is online, within
 * PROVE_THREADS_MAX. */
unsigned batch_threads(const struct audit *a);

/* Sets a->batch, for so many threads. NOMEM. */
enum kerr batch_begin(struct audit *a, unsigned threads, struct kerrinfo *e) MUST_CHECK;
void batch_end(struct audit *a);

/* Takes a live key over. Its bytes are needed until batch_rest; where they pass they are copied. */
enum kerr batch_add(struct audit *a, struct bytes key, struct bytes value, uint64_t mod_revision,
                    struct kerrinfo *e) MUST_CHECK;
/* Counts all that was taken over. */
enum kerr batch_rest(struct audit *a, struct kerrinfo *e) MUST_CHECK;
/* Returns when no thread looks at anything: before a table moves that they read. */
void batch_wait(const struct audit *a);

#endif
