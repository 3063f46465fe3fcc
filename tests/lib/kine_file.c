/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/kine_file.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/testlib.h"

#define PRAGMA_BYTES 200

static void must(struct kine_file *f, int code)
{
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) {
        fail_msg("SQLite: %s", sqlite3_errmsg(f->sqlite));
    }
}

void kine_file_sql(struct kine_file *f, const char *sql)
{
    must(f, sqlite3_exec(f->sqlite, sql, NULL, NULL, NULL));
}

void kine_file_new(struct kine_file *f, bool with_wal, const char *schema)
{
    *f = (struct kine_file){.folder = test_folder_new()};
    char *path = test_path(f->folder, "state.db");
    sqlite3 *db = NULL;
    char pragmas[PRAGMA_BYTES];
    int code = sqlite3_open(path, &db);
    free(path);
    f->sqlite = db;
    must(f, code);
    (void)snprintf(pragmas, sizeof pragmas,
                   "PRAGMA page_size=%d; PRAGMA journal_mode=%s; PRAGMA wal_autocheckpoint=0; "
                   "PRAGMA secure_delete=OFF",
                   KINE_FILE_PAGE, with_wal ? "WAL" : "DELETE");
    kine_file_sql(f, pragmas);
    kine_file_sql(f, schema);
}

void kine_file_put(struct kine_file *f, const char *name, const char *value, size_t len)
{
    /* A deletion keeps the value that it deletes. */
    static const char sql[] =
        "INSERT INTO kine (name, created, deleted, create_revision, prev_revision, lease, value, "
        "old_value) SELECT ?1, last.id IS NULL, ?2 IS NULL, 0, coalesce(last.id, 0), 0, "
        "coalesce(?2, last.value), last.value FROM (SELECT 1) LEFT JOIN (SELECT id, value FROM "
        "kine "
        "WHERE name = ?1 ORDER BY id DESC LIMIT 1) AS last";
    sqlite3_stmt *s = NULL;
    must(f, sqlite3_prepare_v2(f->sqlite, sql, -1, &s, NULL));
    must(f, sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC));
    if (value != NULL) {
        must(f, sqlite3_bind_blob(s, 2, value, (int)len, SQLITE_STATIC));
    }
    must(f, sqlite3_step(s));
    must(f, sqlite3_finalize(s));
}

void kine_file_read(struct kine_file *f)
{
    buf_done(&f->db);
    buf_done(&f->wal);
    f->db = test_read_file(f->folder, "state.db");
    char *path = test_path(f->folder, "state.db-wal");
    if (access(path, F_OK) == 0) {
        f->wal = test_read_file(f->folder, "state.db-wal");
    }
    free(path);
}

void kine_file_done(struct kine_file *f)
{
    (void)sqlite3_close(f->sqlite);
    test_folder_remove(f->folder);
    buf_done(&f->db);
    buf_done(&f->wal);
}
