/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of kine, through which k3s keeps its keys in SQLite: a row for each revision of a
 * key, whose `id` is the revision. A row holds the key (`name`), its value, and in `old_value` the
 * value that the key had before. Read by SQLite itself, from bytes in memory that may be hostile.
 *
 * SQLite gets no file: the library sees the two byte strings through functions that can do nothing
 * but copy from them, and keeps what else it wants (the index of the log, sorting) in memory. So
 * nothing is written, made or removed, whatever the bytes say. Its schema is not trusted, and
 * `kine` must be a plain table with kine's columns. At most as many bytes are used as kine_open was
 * given, in the whole process.
 *
 * An object belongs to one thread, and borrows the pages it was opened on. Views last until the
 * callback returns.
 *
 * Codes: FORMAT for what SQLite finds damaged, and for rows that kine does not write; NOTFOUND for
 * a database without the table; LIMIT, NOMEM, IO; and whatever a callback returns.
 *
 * Source: github.com/k3s-io/kine pkg/drivers (sqlite, generic).
 */
#ifndef ETCDSEAL_STORED_KINE_H
#define ETCDSEAL_STORED_KINE_H

#include "stored/sqlite_pages.h"

#define KINE_VALUE_MAX  (64 << 20)  /* of a row; etcd's clients send 3 MB at most */
#define KINE_MEMORY_MAX (256 << 20) /* a row twice, and 8 MB of pages */

/* Kine's own row, no key of the cluster: its prev_revision is what is compacted. */
#define KINE_COMPACT_NAME "compact_rev_key"

struct kine;

struct kine_row {
    uint64_t id; /* the revision */
    struct bytes name;
    bool is_deleted; /* the key was deleted here; the value is that of before */
    uint64_t prev_revision;
    struct bytes value;
    struct bytes old_value;
};

/* `memory_max`: bytes for SQLite, at most KINE_MEMORY_MAX; with less than a row that is to be read
 * takes, NOMEM. */
enum kerr kine_open(struct sqlite_pages *pages, uint64_t memory_max, struct kine **ret,
                    struct kerrinfo *e) MUST_CHECK;
void kine_close(struct kine **k); /* NULL is fine */
#define AUTO_KINE AUTO(kine_close) struct kine *

/* All that SQLite itself can check: pages, their free bytes, and that table and indexes say the
 * same, so that a name or number of a row that was changed is found. Nothing guards values. Takes
 * as long as some reads. FORMAT with SQLite's words. */
enum kerr kine_check(struct kine *k, struct kerrinfo *e) MUST_CHECK;

typedef enum kerr kine_row_fn(void *ctx, const struct kine_row *row, struct kerrinfo *e);
/* All rows, ids ascending. Without values, `value` and `old_value` are empty: faster by far. */
enum kerr kine_rows(struct kine *k, bool with_values, kine_row_fn *fn, void *ctx,
                    struct kerrinfo *e) MUST_CHECK;
/* The name of the row with this id, until the next call; also from within kine_rows. NOTFOUND. */
enum kerr kine_name(struct kine *k, uint64_t id, struct bytes *ret, struct kerrinfo *e) MUST_CHECK;

/* Walks all trees of the database, which checks its pages and marks those in use. FORMAT when the
 * table holds another number of rows than kine_rows saw. */
enum kerr kine_walk(struct kine *k, const struct sqlite_visit *visit,
                    struct kerrinfo *e) MUST_CHECK;

/* A row as it lies in a page, found by where its name begins: for bytes that are not in use, which
 * may be cut off anywhere. */
struct kine_found {
    const uint8_t *at; /* the row's beginning, behind its length and id */
    struct bytes name;
    struct bytes value; /* as much as there is of it in its page */
    struct bytes old_value;
};
/* `usable` as in struct sqlite_pages. False when no row stands around the name. */
bool kine_row_around(struct bytes in, const uint8_t *name, size_t usable, struct kine_found *ret);

#endif
