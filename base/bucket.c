/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bucket.h"

/* Time that fills any bucket; longer pauses count as this much, so nothing can overflow. */
#define REFILL_MAX_MS 3600000U

void bucket_init(struct bucket *b, unsigned rate, unsigned burst, uint64_t now_ms)
{
    *b = (struct bucket){
        .rate = rate, .burst = burst, .milli_tokens = (uint64_t)burst * 1000, .last_ms = now_ms};
}

bool bucket_take(struct bucket *b, uint64_t now_ms)
{
    if (b->rate == 0) {
        return true;
    }
    uint64_t passed = now_ms > b->last_ms ? now_ms - b->last_ms : 0;
    passed = passed > REFILL_MAX_MS ? REFILL_MAX_MS : passed;
    uint64_t full = (uint64_t)b->burst * 1000;
    uint64_t tokens = b->milli_tokens + passed * b->rate;
    b->milli_tokens = tokens > full ? full : tokens;
    b->last_ms = now_ms;
    if (b->milli_tokens < 1000) {
        return false;
    }
    b->milli_tokens -= 1000;
    return true;
}

void bucket_give_back(struct bucket *b)
{
    uint64_t full = (uint64_t)b->burst * 1000;
    uint64_t tokens = b->milli_tokens + 1000;
    b->milli_tokens = tokens > full ? full : tokens;
}
