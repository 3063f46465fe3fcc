/* SPDX-License-Identifier: Apache-2.0 */
/* A database as kine makes it, written by SQLite itself into a folder of its own, and its bytes. */
#ifndef ETCDSEAL_TESTS_LIB_KINE_FILE_H
#define ETCDSEAL_TESTS_LIB_KINE_FILE_H

#include "base/bytes.h"

#define KINE_FILE_PAGE 1024
#define KINE_FILE_SCHEMA                                                                           \
    "CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created INTEGER, "        \
    "deleted INTEGER, create_revision INTEGER, prev_revision INTEGER, lease INTEGER, "             \
    "value BLOB, old_value BLOB);"                                                                 \
    "CREATE INDEX kine_name_id_index ON kine (name, id);"

struct kine_file {
    char *folder;
    void *sqlite;
    struct buf db;
    struct buf wal;
};

/* Without free bytes being wiped, as in kine. `with_wal`: what is written stays in the log until
 * "PRAGMA wal_checkpoint". `schema` is SQL. */
void kine_file_new(struct kine_file *f, bool with_wal, const char *schema);
void kine_file_sql(struct kine_file *f, const char *sql);
/* Writes as kine does: the value of before into old_value. NULL: deletes. */
void kine_file_put(struct kine_file *f, const char *name, const char *value, size_t len);
/* Reads the files as they are now. */
void kine_file_read(struct kine_file *f);
void kine_file_done(struct kine_file *f);

#endif
