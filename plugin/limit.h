/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ways in which a repeated event is kept from filling the log.
 *
 * Both are plain structs without locks: one object belongs to one thread, or the owner locks. The
 * caller passes the monotonic time, so everything here is pure.
 */
#ifndef ETCDSEAL_PLUGIN_LIMIT_H
#define ETCDSEAL_PLUGIN_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bucket.h"
#include "base/kerr.h"

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
