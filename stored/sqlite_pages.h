/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A database file of SQLite with its write-ahead log ("-wal"), page by page: what is in use, and
 * what bytes of the two files are not. Read only, from bytes that may be hostile. What the pages in
 * use mean is SQLite's to say (stored/kine.h); this says where older things may be left over, which
 * SQLite never shows.
 *
 * The log counts up to its last whole transaction, as for SQLite. A page lies in the newest frame
 * of the log that holds it, else in the main file. All older frames, frames of a former round of
 * the log, pages of the main file that the log replaces, and pages that no tree reaches are not in
 * use. Within a page in use, neither are the bytes that no cell covers.
 *
 * Every number of the files is checked before it is used; a page is entered once, so a walk ends
 * and reads no byte twice. What breaks a rule is FORMAT with page and byte. A frame with a wrong
 * checksum or salt ends the log, as for SQLite, but is FORMAT when frames of the same round follow
 * it: they hold transactions that nobody would see any more.
 *
 * The bytes may grow at the end of the log while they are read, by a program that appends to it;
 * nothing before may change. Memory: five bytes for each page. An object belongs to one thread.
 *
 * Codes: FORMAT; UNSUP for another version; NOTFOUND for what is no SQLite database; NOMEM; and
 * whatever a callback returns.
 *
 * Source: https://www.sqlite.org/fileformat2.html
 */
#ifndef ETCDSEAL_STORED_SQLITE_PAGES_H
#define ETCDSEAL_STORED_SQLITE_PAGES_H

#include "base/bytes.h"

#define SQLITE_PAGES_DEPTH_MAX 20 /* levels of a tree, as SQLite allows */

struct sqlite_pages {
    struct bytes db;
    struct bytes wal;
    const char *name;     /* of the main file, for messages, borrowed */
    size_t page_size;     /* 512 to 65536 */
    size_t usable;        /* of it, without what extensions reserve at its end */
    uint32_t count;       /* pages of the database */
    uint32_t frame_count; /* whole frames in the log, whatever they hold */
    uint32_t committed;   /* of them up to the end of the last transaction */
    uint32_t *frames;     /* for each page the frame that holds it, from 1; 0: in the main file */
    uint8_t *reached;     /* a bit for each page */
    uint8_t *covered;     /* for each byte of the page that is looked at */
};

/* `wal` may be empty. */
enum kerr sqlite_pages_open(struct bytes db, struct bytes wal, const char *name,
                            struct sqlite_pages *ret, struct kerrinfo *e) MUST_CHECK;
void sqlite_pages_close(struct sqlite_pages *p); /* all zero is fine */
#define AUTO_SQLITE_PAGES AUTO(sqlite_pages_close) struct sqlite_pages

/* The log up to the end of its last transaction. */
struct bytes sqlite_pages_committed(const struct sqlite_pages *p);

/* Called with bytes of a page in use that no cell covers. */
typedef enum kerr sqlite_slack_fn(void *ctx, struct bytes slack, struct kerrinfo *e);

struct sqlite_visit {
    sqlite_slack_fn *slack; /* NULL: not wanted */
    void *ctx;
};

/* Forgets which pages were reached. */
void sqlite_pages_restart(struct sqlite_pages *p);
/* Checks and walks one tree, whose first page is `root`. *ret_rows: the rows of a table. */
enum kerr sqlite_pages_walk(struct sqlite_pages *p, uint32_t root, const struct sqlite_visit *visit,
                            uint64_t *ret_rows, struct kerrinfo *e) MUST_CHECK;

/* After all trees were walked: the next bytes from *at (0 at first) that are not in use, never more
 * than those of one page. False when there are none. */
bool sqlite_pages_unused(const struct sqlite_pages *p, uint64_t *at, struct bytes *ret,
                         bool *ret_is_wal);

#endif
