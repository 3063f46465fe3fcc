/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running etcd as a source: every live key at one revision, as a stream where etcd has that (3.7)
 * and no rate is given, else page by page. It shows no residue: what is left over lies in the
 * members' files.
 *
 * The revision is that of the first answer. When etcd compacts it under the scan (kube-apiserver
 * has it done every five minutes), what is left is read at a newer one, and both are told: a key
 * that was moved or made meanwhile may then be counted never or twice.
 *
 * kine answers as an etcd would (a status without a member tells it), but only what kube-apiserver
 * asks: its prefixes are those that are wanted, or /registry/, and it shows no object's past.
 *
 * Memory: one page or piece, as in etcd/etcd.h.
 *
 * Codes: those of etcd/etcd.h and audit/audit.h; UNSUP for an object of kine; DOWN for a member
 * without a leader, which would show something old.
 */
#ifndef ETCDSEAL_AUDIT_LIVE_H
#define ETCDSEAL_AUDIT_LIVE_H

#include "audit/audit.h"
#include "etcd/etcd.h"

#define AUDIT_REVISIONS_MAX 64 /* kept; beyond, the last replaces the one before */

struct audit_etcd_wanted {
    uint64_t requests_per_s;     /* 0: no limit */
    audit_progress_fn *progress; /* in keys; NULL: none */
    void *progress_ctx;
};

struct audit_etcd {
    struct etcd_status status;
    uint64_t revisions[AUDIT_REVISIONS_MAX]; /* that were read, in this order */
    size_t revision_count;
    uint64_t requests;
    bool is_partial; /* stopped */
};

/* The status of the first of the endpoints that has a leader and is no learner, which is the one
 * asked from then on. DOWN for none with a leader, FORMAT for one that calls its cluster corrupt.
 */
enum kerr audit_etcd_find(struct etcd *c, struct etcd_status *ret, struct kerrinfo *e) MUST_CHECK;

/* Feeds everything into `a`, whose bytes are passing; with prefixes only what is below them.
 * audit_judge is left to the caller. */
enum kerr audit_etcd(struct audit *a, struct etcd *c, const struct audit_etcd_wanted *wanted,
                     struct audit_etcd *ret, struct kerrinfo *e) MUST_CHECK;

#endif
