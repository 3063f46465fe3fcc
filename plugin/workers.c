/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/workers.h"

#include <pthread.h>
#include <stdlib.h>

struct workers {
    pthread_t threads[WORKERS_COUNT];
    size_t thread_count;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t news;
    struct worker_job *first;
    struct worker_job **last;
    size_t waiting;
    bool is_stopping;
};

/* The next job; NULL when there will be none any more. */
static struct worker_job *take(struct workers *w)
{
    (void)pthread_mutex_lock(&w->lock);
    while (w->first == NULL && !w->is_stopping) {
        (void)pthread_cond_wait(&w->news, &w->lock);
    }
    struct worker_job *job = w->first;
    if (job != NULL) {
        w->first = job->next;
        w->last = w->first == NULL ? &w->first : w->last;
        w->waiting--;
    }
    (void)pthread_mutex_unlock(&w->lock);
    return job;
}

static void *run(void *ctx)
{
    for (struct worker_job *job = take(ctx); job != NULL; job = take(ctx)) {
        job->run(job);
    }
    return NULL;
}

enum kerr workers_add(struct workers *w, struct worker_job *job, struct kerrinfo *e)
{
    (void)pthread_mutex_lock(&w->lock);
    bool is_full = w->waiting >= WORKERS_JOBS_MAX;
    if (!is_full) {
        job->next = NULL;
        *w->last = job;
        w->last = &job->next;
        w->waiting++;
        (void)pthread_cond_signal(&w->news);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return is_full ? kerr_set(e, KERR_LIMIT, "%d calls wait already", WORKERS_JOBS_MAX) : KERR_OK;
}

void workers_free(struct workers *w)
{
    if (w == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&w->lock);
    w->is_stopping = true;
    (void)pthread_cond_broadcast(&w->news);
    (void)pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->thread_count; i++) {
        (void)pthread_join(w->threads[i], NULL);
    }
    (void)pthread_cond_destroy(&w->news);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}

enum kerr workers_new(struct workers **ret, struct kerrinfo *e)
{
    struct workers *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for workers");
    }
    w->last = &w->first;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->news, NULL);
    for (; w->thread_count < WORKERS_COUNT; w->thread_count++) {
        int err = pthread_create(&w->threads[w->thread_count], NULL, run, w);
        if (err != 0) {
            workers_free(w);
            return kerr_errno(e, err, "cannot start a worker");
        }
    }
    *ret = w;
    return KERR_OK;
}
