/* SPDX-License-Identifier: Apache-2.0 */
/* Durations as Kubernetes writes them. Private to config. */
#ifndef ETCDSEAL_CONFIG_GO_DURATION_H
#define ETCDSEAL_CONFIG_GO_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* Reads what Go's time.ParseDuration reads: a sign, then numbers with units ("1m30s", "1.5h",
 * "-250us"), or "0". False, *ret untouched, for anything else and beyond 63 bits of nanoseconds. */
bool go_duration_ns(const char *text, int64_t *ret);

#endif
