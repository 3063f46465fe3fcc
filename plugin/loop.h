/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control loop: file descriptors and timers of the main thread over epoll.
 *
 * One thread uses a loop. A source may be removed, and its memory freed, from any callback: the
 * loop takes one event from the kernel at a time, so no event of a removed source can be pending.
 * That costs one system call for each event, and this loop sees connections and signals, not calls.
 */
#ifndef ETCDSEAL_PLUGIN_LOOP_H
#define ETCDSEAL_PLUGIN_LOOP_H

#include <stdint.h>

#include "base/kerr.h"

struct loop;

/* `events` as epoll gives them (EPOLLIN, EPOLLHUP, …). */
typedef void loop_fn(void *ctx, uint32_t events);

/* Belongs to the caller and must stay where it is while it is added. */
struct loop_source {
    int fd; /* borrowed; -1: not added */
    loop_fn *fn;
    void *ctx;
};

enum kerr loop_new(struct loop **ret, struct kerrinfo *e) MUST_CHECK;
void loop_free(struct loop *l); /* NULL is fine; sources and timers must have gone */
enum kerr loop_add(struct loop *l, struct loop_source *s, uint32_t events,
                   struct kerrinfo *e) MUST_CHECK;
void loop_remove(struct loop *l, struct loop_source *s); /* does not close; sets fd to -1 */
/* Waits for one event, at most `timeout_ms` (-1: for ever), and handles it. IO. */
enum kerr loop_turn(struct loop *l, int timeout_ms, struct kerrinfo *e) MUST_CHECK;

/* A timer is a source with a file descriptor of its own. All zero is not valid: init first. */
struct loop_timer {
    struct loop_source source;
    struct loop *loop;
    loop_fn *fn;
    void *ctx;
};

#define LOOP_TIMER_NONE ((struct loop_timer){.source = {.fd = -1}})
enum kerr loop_timer_init(struct loop_timer *t, struct loop *l, loop_fn *fn, void *ctx,
                          struct kerrinfo *e) MUST_CHECK;
/* Fires once after `first_ms`, then every `every_ms` (0: never again). Replaces what was set. */
void loop_timer_set(struct loop_timer *t, uint64_t first_ms, uint64_t every_ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_done(struct loop_timer *t); /* LOOP_TIMER_NONE is fine */

#endif
