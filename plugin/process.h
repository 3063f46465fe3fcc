/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures of this process for metrics, from getrusage and /proc/self. A figure that cannot be read
 * is 0. Any thread.
 */
#ifndef ETCDSEAL_PLUGIN_PROCESS_H
#define ETCDSEAL_PLUGIN_PROCESS_H

#include <stdint.h>

struct process_figures {
    uint64_t cpu_us; /* user and system */
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t locked_bytes;
    uint64_t open_fds;
    uint64_t max_fds;
    uint64_t threads;
};

void process_figures_get(struct process_figures *ret);

#endif
