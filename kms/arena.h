/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for one decoded message: grows to a stated maximum, is given back at once, and is wiped
 * before that, because the codec copies plaintext into it.
 *
 * It is protobuf-c's allocator, so that no byte of a request is ever in memory of that library's
 * own choosing, and a hostile message (thousands of empty fields, each with its own record) is
 * bounded. One arena must not be used by two threads at once.
 */
#ifndef ETCDSEAL_KMS_ARENA_H
#define ETCDSEAL_KMS_ARENA_H

#include <stddef.h>

#include "base/kerr.h"

/* The largest lawful request is 40 KiB and is copied once; each field costs some 60 bytes beside.
 */
#define ARENA_MAX_BYTES ((size_t)128 << 10)

struct arena;

/* NOMEM. */
enum kerr arena_new(size_t max, struct arena **ret, struct kerrinfo *e) MUST_CHECK;
void arena_free(struct arena *a); /* wipes; NULL is fine */

/* Aligned for any type; NULL over the maximum or without memory. */
void *arena_alloc(struct arena *a, size_t size);
/* Wipes a block; its room is not used again. NULL is fine. */
void arena_wipe(struct arena *a, void *block);
/* Why arena_alloc gave NULL: NOMEM, LIMIT, or OK if it never did. */
enum kerr arena_failure(const struct arena *a);

#endif
