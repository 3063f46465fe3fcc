/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token buckets, and the two ways in which they keep a repeated event from filling the log.
 *
 * All are plain structs without locks: one object belongs to one thread, or the owner locks. The
 * caller passes the monotonic time, so everything here is pure.
 */
#ifndef ETCDSEAL_PLUGIN_LIMIT_H
#define ETCDSEAL_PLUGIN_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/kerr.h"

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

/* A bucket for log lines that counts what it held back. */
struct log_gate {
    struct bucket bucket;
    uint64_t suppressed;
};

void log_gate_init(struct log_gate *g, unsigned rate, unsigned burst, uint64_t now_ms);
/* True: log it, and say that *ret_suppressed lines before it were not. */
bool log_gate_pass(struct log_gate *g, uint64_t now_ms, uint64_t *ret_suppressed);

/* For one condition that is found again and again: true when the text is another one than last
 * time or `every_ms` have passed. repeat_clear when the condition is over. */
struct repeat {
    char text[KERRINFO_TEXT_MAX];
    uint64_t last_ms;
    uint64_t suppressed;
};

bool repeat_pass(struct repeat *r, const char *text, uint64_t every_ms, uint64_t now_ms,
                 uint64_t *ret_suppressed);
void repeat_clear(struct repeat *r);

#endif
