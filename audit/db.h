/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd's database as a source: a snapshot of `etcdctl snapshot save`, or the file member/snap/db of
 * an etcd that does not run. Shows old revisions, free pages and page slack. Beside it the
 * write-ahead log, which shows what was written lately.
 *
 * The file is mapped, not read, and walked on several threads (audit/records.h, which says what
 * memory that takes): that finds each record, the latest of each key, and those that count alike.
 * Then all others are looked at (audit/batch.h), or all where there is a proof to find.
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
