/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd's database as a source: a snapshot of `etcdctl snapshot save`, or the file member/snap/db of
 * an etcd that does not run. Shows old revisions, free pages and page slack. Beside it the
 * write-ahead log, which shows what was written lately.
 *
 * Two walks over the file, which is mapped, not read: the first finds the latest revision of each
 * key, in a table of 16 bytes for each key that ever was in the file's revisions and a list of 8
 * for each revision, times at most four while they grow; the second counts.
 *
 * Codes: those of stored/bbolt.h and audit/audit.h.
 */
#ifndef ETCDSEAL_AUDIT_DB_H
#define ETCDSEAL_AUDIT_DB_H

#include "audit/audit.h"
#include "stored/bbolt.h"
#include "stored/wal.h"

/* Feeds everything of the file into `a`; audit_judge is left to the caller. `progress` may be
 * NULL; it counts bytes. Stopped, `ret` is partial, and nothing may have been counted yet. */
enum kerr audit_db(struct audit *a, struct bbolt *b, audit_progress_fn *progress,
                   void *progress_ctx, struct audit_store *ret, struct kerrinfo *e) MUST_CHECK;

/* Counts what one file of the write-ahead log puts, as what is left over of it: the entries that
 * the database has taken over are in it too. After audit_db, which finds the prefixes. Of *ret it
 * touches only `is_partial`, when it is stopped. */
enum kerr audit_wal(struct audit *a, struct wal *w, struct audit_store *ret,
                    struct kerrinfo *e) MUST_CHECK;

#endif
