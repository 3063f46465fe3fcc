/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd's database as a source: a snapshot of `etcdctl snapshot save`, or the file member/snap/db of
 * an etcd that does not run. Shows old revisions, free pages and page slack. Beside it the
 * write-ahead log, which shows what was written lately.
 *
 * Two walks over the file, which is mapped, not read: the first finds the latest revision of each
 * key, in a table of 16 bytes for each key that ever was in the file's revisions, times at most
 * four while it grows; the second counts.
 *
 * Codes: those of stored/bbolt.h and audit/audit.h.
 */
#ifndef ETCDSEAL_AUDIT_DB_H
#define ETCDSEAL_AUDIT_DB_H

#include "audit/audit.h"
#include "stored/bbolt.h"
#include "stored/wal.h"

/* Told from time to time how far it is, in bytes of `total`. */
typedef void audit_progress_fn(void *ctx, uint64_t done, uint64_t total);

struct audit_db {
    uint64_t revision;         /* the newest; 0 in an empty store */
    uint64_t compact_revision; /* 0: never compacted */
    uint64_t record_count;     /* revisions, tombstones among them */
    uint64_t tombstone_count;
};

/* Feeds everything of the file into `a`; audit_judge is left to the caller. `progress` may be
 * NULL. */
enum kerr audit_db(struct audit *a, struct bbolt *b, audit_progress_fn *progress,
                   void *progress_ctx, struct audit_db *ret, struct kerrinfo *e) MUST_CHECK;

/* Counts what one file of the write-ahead log puts, as what is left over of it: the entries that
 * the database has taken over are in it too. After audit_db, which finds the prefixes. */
enum kerr audit_wal(struct audit *a, struct wal *w, struct kerrinfo *e) MUST_CHECK;

#endif
