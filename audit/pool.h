/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few threads that share the work of a loop. The caller's thread is one of them, so a pool of one
 * starts none. Private to audit.
 */
#ifndef ETCDSEAL_AUDIT_POOL_H
#define ETCDSEAL_AUDIT_POOL_H

#include "base/bytes.h"

#define POOL_THREADS_MAX 16

struct pool;

/* Called once for each index, on any of the threads; `worker` is below the number of threads, and
 * one call at a time has it. */
typedef void pool_fn(void *ctx, unsigned worker, size_t index);

/* 1 … POOL_THREADS_MAX threads. NOMEM. */
enum kerr pool_new(unsigned threads, struct pool **ret, struct kerrinfo *e) MUST_CHECK;
void pool_free(struct pool *p); /* NULL is fine */
/* Begins a loop on the other threads and returns at once; a thread takes `share` indexes, one or
 * more, at a time. Only when no other is under way; one over no index is none. */
void pool_start(struct pool *p, size_t count, size_t share, pool_fn *fn, void *ctx);
/* Takes part in the loop, and returns when `fn` has returned for every index below `count`;
 * everything it wrote is seen then. Without a loop it returns at once. */
void pool_wait(struct pool *p);

#endif
