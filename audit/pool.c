/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t begins; /* a loop, or the end */
    pthread_cond_t ended;
    pthread_t threads[POOL_THREADS_MAX];
    unsigned count;    /* of threads beside the caller's */
    unsigned numbered; /* of them have their number */
    unsigned busy;
    uint64_t loop; /* which one, from 1 */
    bool is_over;
    atomic_size_t next;
    size_t end;
    size_t share; /* indexes that a thread takes at once */
    pool_fn *fn;
    void *ctx;
};

static void work(struct pool *p, unsigned worker)
{
    size_t from = atomic_fetch_add(&p->next, p->share);
    while (from < p->end) {
        for (size_t i = from; i < p->end && i < from + p->share; i++) {
            p->fn(p->ctx, worker, i);
        }
        from = atomic_fetch_add(&p->next, p->share);
    }
}

static void *run(void *pool)
{
    struct pool *p = pool;
    uint64_t seen = 0;
    (void)pthread_mutex_lock(&p->mutex);
    unsigned worker = ++p->numbered;
    for (;;) {
        while (!p->is_over && p->loop == seen) {
            (void)pthread_cond_wait(&p->begins, &p->mutex);
        }
        if (p->is_over) {
            break;
        }
        seen = p->loop;
        (void)pthread_mutex_unlock(&p->mutex);
        work(p, worker);
        (void)pthread_mutex_lock(&p->mutex);
        p->busy--;
        (void)pthread_cond_signal(&p->ended);
    }
    (void)pthread_mutex_unlock(&p->mutex);
    return NULL;
}

enum kerr pool_new(unsigned threads, struct pool **ret, struct kerrinfo *e)
{
    struct pool *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for threads");
    }
    (void)pthread_mutex_init(&p->mutex, NULL);
    (void)pthread_cond_init(&p->begins, NULL);
    (void)pthread_cond_init(&p->ended, NULL);
    for (unsigned i = 1; i < threads; i++) {
        if (pthread_create(&p->threads[p->count], NULL, run, p) != 0) {
            pool_free(p);
            return kerr_set(e, KERR_NOMEM, "cannot start a thread");
        }
        p->count++;
    }
    p->share = 1; /* pool_wait reads it without a loop too */
    *ret = p;
    return KERR_OK;
}

void pool_free(struct pool *p)
{
    if (p == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&p->mutex);
    p->is_over = true;
    (void)pthread_cond_broadcast(&p->begins);
    (void)pthread_mutex_unlock(&p->mutex);
    for (unsigned i = 0; i < p->count; i++) {
        (void)pthread_join(p->threads[i], NULL);
    }
    (void)pthread_cond_destroy(&p->ended);
    (void)pthread_cond_destroy(&p->begins);
    (void)pthread_mutex_destroy(&p->mutex);
    free(p);
}

void pool_start(struct pool *p, size_t count, size_t share, pool_fn *fn, void *ctx)
{
    if (count == 0) {
        return; /* nobody would wait for the threads to look at it */
    }
    (void)pthread_mutex_lock(&p->mutex);
    p->fn = fn;
    p->ctx = ctx;
    p->end = count;
    p->share = share;
    p->busy = p->count;
    p->loop++;
    atomic_store(&p->next, 0);
    (void)pthread_cond_broadcast(&p->begins);
    (void)pthread_mutex_unlock(&p->mutex);
}

void pool_wait(struct pool *p)
{
    work(p, 0);
    (void)pthread_mutex_lock(&p->mutex);
    while (p->busy > 0) {
        (void)pthread_cond_wait(&p->ended, &p->mutex);
    }
    (void)pthread_mutex_unlock(&p->mutex);
}
