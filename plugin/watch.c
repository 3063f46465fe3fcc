/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/file.h"

#define FILE_EVENTS   (IN_MOVED_TO | IN_CLOSE_WRITE | IN_CREATE)
#define FOLDER_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
/* Events of which the folder that we watch is no longer the one at the path. */
#define GONE_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)

struct watch {
    struct loop *loop;
    struct loop_source source;
    struct loop_timer settle;
    bool is_settling;
    int wd; /* -1: the folder is not watched */
    const char *folder;
    const char *name;
    watch_fn *fn;
    void *ctx;
};

static void settle(struct watch *w)
{
    if (!w->is_settling) {
        w->is_settling = true;
        loop_timer_set(&w->settle, WATCH_SETTLE_MS, 0);
    }
}

static void on_settled(void *ctx, uint32_t events)
{
    (void)events;
    struct watch *w = ctx;
    w->is_settling = false;
    w->fn(w->ctx);
}

static void consider(struct watch *w, const struct inotify_event *ev)
{
    if ((ev->mask & IN_Q_OVERFLOW) != 0) {
        settle(w);
    } else if (ev->wd == w->wd && (ev->mask & GONE_EVENTS) != 0) {
        (void)inotify_rm_watch(w->source.fd, w->wd);
        w->wd = -1;
        settle(w);
    } else if (ev->wd == w->wd && ev->len > 0 && strcmp(ev->name, w->name) == 0) {
        settle(w);
    }
}

static void on_events(void *ctx, uint32_t events)
{
    (void)events;
    struct watch *w = ctx;
    _Alignas(struct inotify_event) char data[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    ssize_t n = read(w->source.fd, data, sizeof data);
    size_t at = 0;
    while (n > 0 && at + sizeof(struct inotify_event) <= (size_t)n) {
        struct inotify_event *ev = (void *)(data + at);
        consider(w, ev);
        at += sizeof *ev + ev->len;
    }
}

enum kerr watch_renew(struct watch *w, bool *ret_is_new, struct kerrinfo *e)
{
    if (w->wd >= 0) {
        *ret_is_new = false;
        return KERR_OK;
    }
    int wd = inotify_add_watch(w->source.fd, w->folder, FILE_EVENTS | FOLDER_EVENTS);
    if (wd < 0) {
        return kerr_errno(e, errno, "cannot watch folder %s", w->folder);
    }
    w->wd = wd;
    *ret_is_new = true;
    return KERR_OK;
}

enum kerr watch_new(struct loop *loop, const char *folder, const char *name, watch_fn *fn,
                    void *ctx, struct watch **ret, struct kerrinfo *e)
{
    struct watch *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory to watch %s", folder);
    }
    *w = (struct watch){.loop = loop,
                        .settle = LOOP_TIMER_NONE,
                        .wd = -1,
                        .folder = folder,
                        .name = name,
                        .fn = fn,
                        .ctx = ctx};
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    enum kerr k = fd < 0 ? kerr_errno(e, errno, "cannot watch folders") : KERR_OK;
    w->source = (struct loop_source){.fd = fd, .fn = on_events, .ctx = w};
    if (k == KERR_OK) {
        k = loop_timer_init(&w->settle, loop, on_settled, w, e);
    }
    if (k == KERR_OK) {
        k = loop_add(loop, &w->source, EPOLLIN, e);
    }
    if (k != KERR_OK) {
        watch_free(w);
        return k;
    }
    bool is_new = false;
    /* Not there yet: the caller's poll tries again and reports it. */
    if (watch_renew(w, &is_new, NULL) != KERR_OK) {
        w->wd = -1;
    }
    *ret = w;
    return KERR_OK;
}

void watch_free(struct watch *w)
{
    if (w != NULL) {
        int fd = w->source.fd;
        loop_remove(w->loop, &w->source);
        file_close_at(&fd);
        loop_timer_done(&w->settle);
        free(w);
    }
}
