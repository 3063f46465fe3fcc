/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/loader.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

struct loader {
    struct provider *provider;
    pthread_t thread;
    int fd; /* eventfd: counts results */
    pthread_mutex_t lock;
    pthread_cond_t asked_cond;
    pthread_cond_t ended_cond; /* on the monotonic clock */
    bool has_ended;
    bool is_asked;
    bool is_stopping;
    enum reload_reason asked; /* the highest reason since the last turn */
    bool has_result;
    struct loader_result result;
};

static void work(struct loader *l, enum reload_reason reason, struct loader_result *ret)
{
    uint64_t began_ms = clock_mono_ms();
    bool is_changed = false;
    *ret = (struct loader_result){.reason = reason};
    enum kerr k = provider_refresh(l->provider, &is_changed, &ret->cause);
    ret->took_ms = clock_mono_ms() - began_ms;
    ret->result = k != KERR_OK ? RELOAD_FAILED : is_changed ? RELOAD_CHANGED : RELOAD_UNCHANGED;
}

static void post(struct loader *l)
{
    uint64_t one = 1;
    ssize_t n = write(l->fd, &one, sizeof one);
    (void)n; /* fails only at 2^64 - 1 */
}

static void *run(void *ctx)
{
    struct loader *l = ctx;
    (void)pthread_mutex_lock(&l->lock);
    while (!l->is_stopping) {
        /* The last result must have been taken: each one is told. */
        if (!l->is_asked || l->has_result) {
            (void)pthread_cond_wait(&l->asked_cond, &l->lock);
            continue;
        }
        enum reload_reason reason = l->asked;
        l->is_asked = false;
        l->asked = RELOAD_POLL;
        (void)pthread_mutex_unlock(&l->lock);
        struct loader_result result;
        work(l, reason, &result);
        (void)pthread_mutex_lock(&l->lock);
        l->result = result;
        l->has_result = true;
        post(l);
    }
    l->has_ended = true;
    (void)pthread_cond_signal(&l->ended_cond);
    (void)pthread_mutex_unlock(&l->lock);
    return NULL;
}

static void init_locks(struct loader *l)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_cond_init(&l->asked_cond, NULL);
    (void)pthread_cond_init(&l->ended_cond, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

enum kerr loader_new(struct provider *p, struct loader **ret, struct kerrinfo *e)
{
    struct loader *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for the loader");
    }
    l->provider = p;
    init_locks(l);
    l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = l->fd < 0 ? errno : pthread_create(&l->thread, NULL, run, l);
    if (err != 0) {
        enum kerr k = kerr_errno(e, err, "cannot start the loader");
        file_close_at(&l->fd);
        free(l);
        return k;
    }
    *ret = l;
    return KERR_OK;
}

int loader_fd(const struct loader *l)
{
    return l->fd;
}

void loader_ask(struct loader *l, enum reload_reason reason)
{
    (void)pthread_mutex_lock(&l->lock);
    l->asked = l->is_asked && l->asked > reason ? l->asked : reason;
    l->is_asked = true;
    (void)pthread_cond_signal(&l->asked_cond);
    (void)pthread_mutex_unlock(&l->lock);
}

bool loader_take(struct loader *l, struct loader_result *ret)
{
    uint64_t count;
    ssize_t n = read(l->fd, &count, sizeof count);
    (void)n;
    (void)pthread_mutex_lock(&l->lock);
    bool has = l->has_result;
    if (has) {
        *ret = l->result;
        l->has_result = false;
        (void)pthread_cond_signal(&l->asked_cond);
    }
    (void)pthread_mutex_unlock(&l->lock);
    return has;
}

static struct timespec after_ms(unsigned wait_ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += wait_ms / 1000;
    at.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

bool loader_stop(struct loader *l, unsigned wait_ms)
{
    if (l == NULL) {
        return true;
    }
    struct timespec until = after_ms(wait_ms);
    (void)pthread_mutex_lock(&l->lock);
    l->is_stopping = true;
    (void)pthread_cond_signal(&l->asked_cond);
    int rc = 0;
    while (!l->has_ended && rc == 0) {
        rc = pthread_cond_timedwait(&l->ended_cond, &l->lock, &until);
    }
    bool has_ended = l->has_ended;
    (void)pthread_mutex_unlock(&l->lock);
    if (!has_ended) {
        return false;
    }
    (void)pthread_join(l->thread, NULL);
    (void)pthread_cond_destroy(&l->asked_cond);
    (void)pthread_cond_destroy(&l->ended_cond);
    (void)pthread_mutex_destroy(&l->lock);
    file_close_at(&l->fd);
    free(l);
    return true;
}
