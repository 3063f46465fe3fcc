/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time. Wall time is Unix seconds (UTC) and appears only in records for people; deadlines and
 * intervals use the monotonic clock. Pure functions take `now` as an argument.
 */
#ifndef ETCDSEAL_BASE_CLOCK_H
#define ETCDSEAL_BASE_CLOCK_H

#include <stdint.h>

#include "base/kerr.h"

uint64_t clock_wall_s(void); /* seconds since 1970-01-01 UTC */
uint64_t clock_mono_ns(void);
uint64_t clock_mono_ms(void);

/* "2026-11-24T02:31:40Z" (RFC 3339) and the terminator. */
#define CLOCK_TEXT_BYTES 32
void clock_format_s(uint64_t wall_s, char to[static CLOCK_TEXT_BYTES]);

#endif
