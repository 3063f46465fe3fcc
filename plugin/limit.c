/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/limit.h"

#include <stdio.h>
#include <string.h>

void log_gate_init(struct log_gate *g, unsigned rate, unsigned burst, uint64_t now_ms)
{
    bucket_init(&g->bucket, rate, burst, now_ms);
    g->suppressed = 0;
}

bool log_gate_pass(struct log_gate *g, uint64_t now_ms, uint64_t *ret_suppressed)
{
    if (!bucket_take(&g->bucket, now_ms)) {
        g->suppressed++;
        return false;
    }
    *ret_suppressed = g->suppressed;
    g->suppressed = 0;
    return true;
}

bool repeat_pass(struct repeat *r, const char *text, uint64_t every_ms, uint64_t now_ms,
                 uint64_t *ret_suppressed)
{
    bool is_same = *r->text != 0 && strncmp(r->text, text, sizeof r->text - 1) == 0;
    if (is_same && now_ms - r->last_ms < every_ms) {
        r->suppressed++;
        return false;
    }
    *ret_suppressed = r->suppressed;
    (void)snprintf(r->text, sizeof r->text, "%s", text);
    r->last_ms = now_ms;
    r->suppressed = 0;
    return true;
}

void repeat_clear(struct repeat *r)
{
    *r = (struct repeat){.last_ms = 0};
}
