/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kine's SQLite database as a source. Shows old revisions, kine's old_value, free pages, page slack
 * and the write-ahead log.
 *
 * Live is the row with the largest id of each name, unless it is a deletion. The values of all
 * other rows are old revisions; a deletion keeps the value that it deleted. What rows hold in
 * old_value is counted apart, those of live rows among them. What is in no row any more is looked
 * for in the bytes that SQLite does not use, of the main file and of the log.
 *
 * Rows are read twice, and pages too. Memory: beside that of stored/kine.h a table of 16 bytes for
 * each key, times at most four while it grows. What is handed to the audit passes.
 *
 * Codes: those of stored/kine.h and audit/audit.h.
 */
#ifndef ETCDSEAL_AUDIT_KINE_H
#define ETCDSEAL_AUDIT_KINE_H

#include "audit/audit.h"
#include "stored/kine.h"

/* Feeds everything of the database into `a`; audit_judge is left to the caller. Stopped, *ret is
 * partial. `progress` may be NULL; it counts bytes, as far as rows have any. */
enum kerr audit_kine(struct audit *a, struct kine *kine, struct sqlite_pages *pages,
                     audit_progress_fn *progress, void *progress_ctx, struct audit_store *ret,
                     struct kerrinfo *e) MUST_CHECK;

#endif
