/* SPDX-License-Identifier: Apache-2.0 */
/* Which of an etcd database's records are the latest of their keys, and whether each has the one
 * before it (audit/history.h). Private to audit. */
#ifndef ETCDSEAL_AUDIT_LATEST_H
#define ETCDSEAL_AUDIT_LATEST_H

#include "audit/history.h"
#include "audit/pool.h"
#include "audit/records.h"

struct latest_with {
    struct pool *pool; /* NULL: the caller's thread */
    unsigned threads;  /* of it */
    uint64_t firsts;   /* records that made their key: there may be fewer keys */
};

/* Marks the others in the rows of `r`. */
enum kerr latest_find(struct records *r, const struct latest_with *with, struct history *h,
                      struct kerrinfo *e) MUST_CHECK;

#endif
