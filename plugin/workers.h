/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for calls that wait for another system, so that the rpc server's thread never does.
 *
 * Jobs are done in the order in which they came, by WORKERS_COUNT threads; more than
 * WORKERS_JOBS_MAX of them are not taken. Any thread may add jobs.
 */
#ifndef ETCDSEAL_PLUGIN_WORKERS_H
#define ETCDSEAL_PLUGIN_WORKERS_H

#include "base/kerr.h"

/* As many calls wait at a time; each holds one connection to the key service. */
#define WORKERS_COUNT 16
/* A call is some 300 bytes here; what waits longer than kube-apiserver does is dropped unread. */
#define WORKERS_JOBS_MAX 8192

struct workers;

/* First member of what a caller adds; `run` owns it from then on. */
struct worker_job {
    void (*run)(struct worker_job *job);
    struct worker_job *next; /* of workers */
};

enum kerr workers_new(struct workers **ret, struct kerrinfo *e) MUST_CHECK;
/* LIMIT when too many wait; the job stays the caller's then. */
enum kerr workers_add(struct workers *w, struct worker_job *job, struct kerrinfo *e) MUST_CHECK;
/* Does what was added, then ends the threads. NULL is fine. */
void workers_free(struct workers *w);

#endif
