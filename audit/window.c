/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/window.h"

#include <string.h>

#define PAGE_BYTES  ((uint64_t)8 << 20) /* wanted in an answer: beyond it nothing is gained */
#define LIMIT_FIRST 256                 /* nothing is known of the values' sizes */
#define LIMIT_MAX   32768
#define LIMIT_GROWS 4  /* at most, from page to page: what follows may be larger */
#define SHRINKS     16 /* an answer that was too large */
#define PAGES       4  /* of a window */
#define WIDENS      16 /* at most, from window to window */

void window_init(struct window *w)
{
    *w = (struct window){.limit = LIMIT_FIRST};
}

/* False when it does not fit. */
static bool multiply(uint8_t number[static WINDOW_KEY_BYTES], uint64_t by)
{
    uint64_t carry = 0;
    for (size_t i = WINDOW_KEY_BYTES; i-- > 0;) {
        carry += number[i] * by;
        number[i] = (uint8_t)carry;
        carry >>= 8;
    }
    return carry == 0;
}

static void put(struct bytes key, uint8_t to[static WINDOW_KEY_BYTES])
{
    size_t len = key.len < WINDOW_KEY_BYTES ? key.len : WINDOW_KEY_BYTES;
    memset(to, 0, WINDOW_KEY_BYTES);
    memcpy(to, len == 0 ? to : key.ptr, len);
}

/* last - first, which is not greater. True when there is a difference. */
static bool subtract(struct bytes last, struct bytes first, uint8_t to[static WINDOW_KEY_BYTES])
{
    uint8_t less[WINDOW_KEY_BYTES];
    int borrow = 0;
    uint8_t any = 0;
    put(last, to);
    put(first, less);
    for (size_t i = WINDOW_KEY_BYTES; i-- > 0;) {
        int digit = to[i] - less[i] - borrow;
        borrow = digit < 0;
        to[i] = (uint8_t)(digit + 256 * borrow);
        any |= to[i];
    }
    return any != 0 && borrow == 0;
}

static uint64_t at_least_one(uint64_t n)
{
    return n == 0 ? 1 : n;
}

static void learn_limit(struct window *w, uint64_t keys, uint64_t bytes)
{
    uint64_t wanted = PAGE_BYTES / at_least_one(bytes / at_least_one(keys));
    uint64_t most = w->limit * LIMIT_GROWS < LIMIT_MAX ? w->limit * LIMIT_GROWS : LIMIT_MAX;
    w->limit = at_least_one(wanted < most ? wanted : most);
}

void window_learn(struct window *w, struct bytes first, struct bytes last, uint64_t keys,
                  uint64_t bytes)
{
    uint8_t width[WINDOW_KEY_BYTES];
    if (keys == 0) {
        return;
    }
    learn_limit(w, keys, bytes);
    if (keys > 1 && subtract(last, first, width)) {
        memcpy(w->width, width, sizeof width);
        w->has_width = multiply(w->width, at_least_one(PAGES * w->limit / keys));
    }
}

void window_widen(struct window *w, uint64_t keys)
{
    uint64_t by = PAGES * w->limit / at_least_one(keys);
    by = keys == 0 || by > WIDENS ? WIDENS : at_least_one(by);
    w->has_width = w->has_width && multiply(w->width, by);
}

bool window_shrink(struct window *w)
{
    bool was_one = w->limit == 1;
    w->limit = at_least_one(w->limit / SHRINKS);
    return !was_one;
}

bool window_is_too_wide(const struct window *w, uint64_t left)
{
    return left > 2 * PAGES * w->limit;
}

bool window_end(const struct window *w, struct bytes from, uint8_t to[static WINDOW_KEY_BYTES])
{
    unsigned carry = 0;
    put(from, to);
    for (size_t i = WINDOW_KEY_BYTES; i-- > 0 && w->has_width;) {
        carry += (unsigned)to[i] + w->width[i];
        to[i] = (uint8_t)carry;
        carry >>= 8;
    }
    return w->has_width && carry == 0;
}
