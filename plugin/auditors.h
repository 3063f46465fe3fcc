/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that unwrap seeds without being kube-apiserver: whoever may do that and has a copy of etcd
 * reads everything in it. So it is logged whatever log.requests says, and counted.
 *
 * Such a peer is known by its row of `peers`, which lets it decrypt and not encrypt (kube-apiserver
 * needs both), or else by the uid that `etcdseal audit --prove` gives its requests. The row can't
 * be hidden from us, the uid is what the peer says. From its first such call on every Decrypt of a
 * connection counts. Two lines for each connection, one at that call before it is answered and one
 * at its end with the numbers; for each row of `peers` AUDITORS_LOG_BURST of them at once and
 * AUDITORS_LOG_RATE a second, so that no row can keep another's out of the log.
 *
 * Any thread.
 */
#ifndef ETCDSEAL_PLUGIN_AUDITORS_H
#define ETCDSEAL_PLUGIN_AUDITORS_H

#include "plugin/metrics.h"
#include "plugin/peers.h"

#define AUDITORS_LOG_RATE  2
#define AUDITORS_LOG_BURST 20

/* What one connection has unwrapped, kept by whoever keeps the connection; all zero at its begin.
 */
struct auditor_tally {
    bool is_auditor;
    size_t row;
    uint64_t since_ms; /* monotonic */
    uint64_t unwrapped;
    uint64_t refused;
};

/* One Decrypt call as it is about to be answered. */
struct auditor_call {
    size_t row;
    const char *uid; /* of the request, "" for none or one that could not be read */
    bool is_unwrapped;
    bool is_auditor; /* by its row or uid; auditors_decrypt fills it */
};

struct auditor_seen {
    bool is_counted; /* to an auditor's connection */
    bool is_first;   /* of those */
};

/* Counts a call to its connection. Pure but for the clock. */
void auditor_tally_add(struct auditor_tally *t, const struct auditor_call *call,
                       struct auditor_seen *ret);

/* Finds a connection by its number and adds the call to its tally, both under one lock. Leaves
 * `ret` alone when there is none any more. */
typedef void auditors_add_fn(void *ctx, uint64_t conn, const struct auditor_call *call,
                             struct auditor_seen *ret);

struct auditors;

enum kerr auditors_new(struct metrics *metrics, auditors_add_fn *add, void *add_ctx,
                       struct auditors **ret, struct kerrinfo *e) MUST_CHECK;
void auditors_free(struct auditors *a); /* NULL is fine */

/* New rows of `peers`: at start and at a reload. Until then no row is an auditor's. */
void auditors_set_rows(struct auditors *a, const struct config_peer *rows, size_t count);
/* Before each answer of Decrypt. `peer` is who began the call; its `conn` 0: nobody knows. */
void auditors_decrypt(struct auditors *a, const struct peer *peer, const struct auditor_call *call);
/* A connection has ended. */
void auditors_ended(struct auditors *a, const struct peer *peer, const struct auditor_tally *t);

#endif
