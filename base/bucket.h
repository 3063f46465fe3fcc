/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token bucket: a plain struct without a lock; one object belongs to one thread, or the owner
 * locks. The caller passes the monotonic time, so everything here is pure.
 */
#ifndef ETCDSEAL_BASE_BUCKET_H
#define ETCDSEAL_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* `rate` tokens a second flow in, up to `burst`. Starts full. Rate 0: everything passes. */
struct bucket {
    unsigned rate;
    unsigned burst;
    uint64_t milli_tokens;
    uint64_t last_ms;
};

void bucket_init(struct bucket *b, unsigned rate, unsigned burst, uint64_t now_ms);
/* Takes one token; false when there is none. */
bool bucket_take(struct bucket *b, uint64_t now_ms);
/* Gives one token back, up to the burst. */
void bucket_give_back(struct bucket *b);

#endif
