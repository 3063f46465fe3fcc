/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/file.h"

struct loop {
    int fd;
};

enum kerr loop_new(struct loop **ret, struct kerrinfo *e)
{
    struct loop *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for the control loop");
    }
    l->fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->fd < 0) {
        enum kerr k = kerr_errno(e, errno, "cannot make the control loop");
        free(l);
        return k;
    }
    *ret = l;
    return KERR_OK;
}

void loop_free(struct loop *l)
{
    if (l != NULL) {
        file_close_at(&l->fd);
        free(l);
    }
}

enum kerr loop_add(struct loop *l, struct loop_source *s, uint32_t events, struct kerrinfo *e)
{
    struct epoll_event ev = {.events = events, .data.ptr = s};
    if (epoll_ctl(l->fd, EPOLL_CTL_ADD, s->fd, &ev) != 0) {
        return kerr_errno(e, errno, "cannot watch a file descriptor");
    }
    return KERR_OK;
}

void loop_remove(struct loop *l, struct loop_source *s)
{
    if (s->fd >= 0) {
        (void)epoll_ctl(l->fd, EPOLL_CTL_DEL, s->fd, NULL);
        s->fd = -1;
    }
}

enum kerr loop_turn(struct loop *l, int timeout_ms, struct kerrinfo *e)
{
    struct epoll_event ev;
    int n = epoll_wait(l->fd, &ev, 1, timeout_ms);
    if (n < 0 && errno != EINTR) {
        return kerr_errno(e, errno, "the control loop cannot wait");
    }
    if (n == 1) {
        struct loop_source *s = ev.data.ptr;
        s->fn(s->ctx, ev.events);
    }
    return KERR_OK;
}

static void fire(void *ctx, uint32_t events)
{
    struct loop_timer *t = ctx;
    uint64_t count;
    /* A timer that was set anew since it expired has nothing to read. */
    if (read(t->source.fd, &count, sizeof count) == (ssize_t)sizeof count) {
        t->fn(t->ctx, events);
    }
}

enum kerr loop_timer_init(struct loop_timer *t, struct loop *l, loop_fn *fn, void *ctx,
                          struct kerrinfo *e)
{
    AUTO_FD fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0) {
        return kerr_errno(e, errno, "cannot make a timer");
    }
    *t = (struct loop_timer){
        .source = {.fd = fd, .fn = fire, .ctx = t}, .loop = l, .fn = fn, .ctx = ctx};
    enum kerr k = loop_add(l, &t->source, EPOLLIN, e);
    if (k != KERR_OK) {
        t->source.fd = -1;
        return k;
    }
    fd = -1;
    return KERR_OK;
}

static struct timespec to_timespec(uint64_t ms)
{
    return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
}

void loop_timer_set(struct loop_timer *t, uint64_t first_ms, uint64_t every_ms)
{
    /* Zero would disarm it; the shortest wait is what was meant. */
    struct itimerspec spec = {.it_value = to_timespec(first_ms == 0 ? 1 : first_ms),
                              .it_interval = to_timespec(every_ms)};
    (void)timerfd_settime(t->source.fd, 0, &spec, NULL);
}

void loop_timer_stop(struct loop_timer *t)
{
    struct itimerspec spec = {.it_value = {0, 0}};
    (void)timerfd_settime(t->source.fd, 0, &spec, NULL);
}

void loop_timer_done(struct loop_timer *t)
{
    int fd = t->source.fd;
    if (fd >= 0) {
        loop_remove(t->loop, &t->source);
        file_close_at(&fd);
    }
}
