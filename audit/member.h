/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole database of one running member of etcd, sent as for `etcdctl snapshot save`, yet into
 * memory: no byte of it reaches a disk, unless the system swaps. audit/db.h reads it as it reads a
 * file, so that what is left over in this member is shown too.
 *
 * The SHA-256 that etcd sends behind it is checked. Members have databases of their own: of several
 * endpoints the first that has a leader is taken.
 *
 * Memory: as much as the database has bytes, of the limit.
 *
 * Codes: those of etcd/etcd.h; NOMEM for a database that is larger than the limit leaves, which
 * is said before anything is sent; FORMAT for another hash; UNSUP for what is no database.
 */
#ifndef ETCDSEAL_AUDIT_MEMBER_H
#define ETCDSEAL_AUDIT_MEMBER_H

#include "audit/audit.h"
#include "etcd/etcd.h"
#include "stored/bbolt.h"

struct audit_member {
    struct etcd_status status;
    struct memory_room room;
    struct bbolt db; /* in it */
    bool is_stopped; /* before all had come: there is no database */
};

/* For `a`, whose limit of memory and whose `stop` count. Clean with audit_member_done even on
 * failure. `progress` may be NULL; it counts bytes. The client outlives the database, whose name is
 * that of its endpoint. */
enum kerr audit_member_fetch(const struct audit *a, struct etcd *c, audit_progress_fn *progress,
                             void *progress_ctx, struct audit_member *ret,
                             struct kerrinfo *e) MUST_CHECK;
void audit_member_done(struct audit_member *m); /* all zero is fine */
#define AUTO_AUDIT_MEMBER AUTO(audit_member_done) struct audit_member

#endif
