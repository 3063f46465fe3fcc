/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values, many at a time: while the source hands in some, threads look at those before, and prove
 * live ones where that is wanted. They are counted in the order in which they came. Private to
 * audit.
 */
#ifndef ETCDSEAL_AUDIT_BATCH_H
#define ETCDSEAL_AUDIT_BATCH_H

#include "audit/tables.h"

/* How many threads an audit is to have: wanted->threads, else one for each CPU that is online,
 * within AUDIT_THREADS_MAX. */
unsigned batch_threads(const struct audit_wanted *wanted);

/* They themselves, made at the first use. No loop of theirs is under way then. NOMEM. */
enum kerr batch_pool(struct audit *a, struct pool **ret, struct kerrinfo *e) MUST_CHECK;

/* Sets a->batch. NOMEM. */
enum kerr batch_begin(struct audit *a, struct kerrinfo *e) MUST_CHECK;
void batch_end(struct audit *a);

/* Takes a live key over. Its bytes are needed until batch_rest; where they pass they are copied. */
enum kerr batch_add(struct audit *a, struct bytes key, struct bytes value, uint64_t mod_revision,
                    struct kerrinfo *e) MUST_CHECK;
/* What a source tells of the value of a number, on any thread. */
enum batch_kind { BATCH_NOTHING, BATCH_LIVE, BATCH_OLD_REVISION };
struct batch_value {
    enum batch_kind kind;
    struct bytes key;
    struct bytes value;
    uint64_t mod_revision;
    const struct audit_item *like; /* a live one that is the same but for all this; NULL: none */
};
typedef struct batch_value batch_value_fn(void *ctx, size_t number);

/* Takes over the value of a number, which fn tells when a thread comes to it: `ctx` and the bytes
 * are needed until batch_rest. One fn and ctx in between. */
enum kerr batch_add_number(struct audit *a, size_t number, batch_value_fn *fn, void *ctx,
                           struct kerrinfo *e) MUST_CHECK;
/* Counts all that was taken over. */
enum kerr batch_rest(struct audit *a, struct kerrinfo *e) MUST_CHECK;
/* Returns when no thread looks at anything: before a table moves that they read. */
void batch_wait(const struct audit *a);

#endif
