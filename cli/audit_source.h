/* SPDX-License-Identifier: Apache-2.0 */
/* The files that an audit reads, open and mapped: a snapshot or database file, or a data folder of
 * etcd, which is its database and its write-ahead log. */
#ifndef ETCDSEAL_CLI_AUDIT_SOURCE_H
#define ETCDSEAL_CLI_AUDIT_SOURCE_H

#include "audit/db.h"
#include "base/map.h"
#include "crypto/hash.h"

#define AUDIT_FILES_MAX 1024 /* etcd keeps five files of its log, or what --max-wals says */

struct audit_file {
    char *path;
    struct file_map map;
    char sha256[2 * HASH_BYTES + 1]; /* "": not asked for */
};

struct audit_source {
    const char *name;         /* as it was given; borrowed */
    const char *kind;         /* "snapshot", "db", "data-dir" */
    struct audit_file *files; /* the database, then the log in its order */
    size_t count;
    uint64_t size; /* of all files */
    struct bbolt db;
};

/* From then on a file that becomes shorter while it is read, or a disk that fails, ends the program
 * with 3: nothing that was counted is whole. */
enum kerr audit_source_catch_bus_errors(struct kerrinfo *e) MUST_CHECK;
/* Exit codes 1, 2 and 4 speak of what was found or asked; a source that can't be read is 3. */
enum kerr audit_source_unread(enum kerr k);

/* One of the two is not NULL. Clean with audit_source_done even on failure. BUSY when an etcd runs
 * on it, else codes of base/map.h, stored/bbolt.h; NOTFOUND for a folder without a log. */
enum kerr audit_source_open(const char *snapshot, const char *data_dir, struct audit_source *ret,
                            struct kerrinfo *e) MUST_CHECK;
void audit_source_done(struct audit_source *s);
#define AUTO_AUDIT_SOURCE AUTO(audit_source_done) struct audit_source

/* Feeds all of it into `a`. `with_digest`: hashes of the files too, and that of a snapshot checked.
 */
enum kerr audit_source_read(struct audit_source *s, struct audit *a, bool with_digest,
                            audit_progress_fn *progress, void *progress_ctx, struct audit_db *ret,
                            struct kerrinfo *e) MUST_CHECK;

#endif
