/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A limit for what takes memory by the size of its input. Whoever is about to take much says so
 * first, and is refused where that goes over the limit; what it gives back counts no longer. What
 * is small, or has a maximum of its own, is part of what the limit begins with.
 *
 * Taking and giving is safe on any thread.
 *
 * Codes: NOMEM.
 */
#ifndef ETCDSEAL_BASE_MEMORY_H
#define ETCDSEAL_BASE_MEMORY_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/bytes.h"

struct memory {
    uint64_t max;          /* bytes */
    _Atomic uint64_t used; /* of them */
    const char *advice;    /* what to do where it is not enough, behind "; "; static */
};

/* `what`: for the message, such as "a table of 1024 findings". `m` NULL: there is no limit. */
enum kerr memory_take(struct memory *m, uint64_t bytes, const char *what,
                      struct kerrinfo *e) MUST_CHECK;
void memory_give(struct memory *m, uint64_t bytes);
/* What may still be taken; UINT64_MAX without a limit. */
uint64_t memory_left(const struct memory *m);

/* Room for one large thing, of the limit: pages of the system, all zero, which a core dump leaves
 * out and which go back to it when they are freed. NOMEM. */
struct memory_room {
    uint8_t *ptr; /* NULL: none */
    size_t len;
    struct memory *memory;
};
enum kerr memory_room_new(struct memory *m, size_t len, const char *what, struct memory_room *ret,
                          struct kerrinfo *e) MUST_CHECK;
void memory_room_free(struct memory_room *r); /* all zero is fine */
#define AUTO_MEMORY_ROOM AUTO(memory_room_free) struct memory_room

#endif
