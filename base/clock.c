/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_ns(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

uint64_t clock_wall_s(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000000U;
}

uint64_t clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000000U;
}

void clock_format_s(uint64_t wall_s, char to[static CLOCK_TEXT_BYTES])
{
    /* Stored times are hostile input: the year 9999 is the last one that RFC 3339 can write. */
    static const uint64_t last = 253402300799U;
    time_t t = (time_t)(wall_s > last ? last : wall_s);
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL ||
        strftime(to, CLOCK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        (void)snprintf(to, CLOCK_TEXT_BYTES, "invalid time");
    }
}
