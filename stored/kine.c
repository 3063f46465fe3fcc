/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite, tamed, and the questions that it is asked. */
#include "stored/kine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "stored/kine_vfs.h"

#define ROOTS_MAX   256 /* kine makes one table and some indexes */
#define CAUSE_BYTES 160

#define FROM_TABLE "FROM main.kine NOT INDEXED "

struct kine {
    struct kine_vfs vfs;
    struct sqlite_pages *pages;
    sqlite3 *db;
    sqlite3_stmt *name;
    uint32_t roots[ROOTS_MAX];
    size_t root_count;
    uint32_t table; /* root of kine's */
    bool has_counted;
    uint64_t row_count; /* as SQLite counted */
};

/* ---- SQLite ---- */

static enum kerr code_of(int code)
{
    static const struct {
        int sqlite;
        enum kerr ours;
    } rows[] = {{SQLITE_NOMEM, KERR_NOMEM},   {SQLITE_CORRUPT, KERR_FORMAT},
                {SQLITE_NOTADB, KERR_FORMAT}, {SQLITE_IOERR, KERR_FORMAT},
                {SQLITE_ERROR, KERR_FORMAT},  {SQLITE_TOOBIG, KERR_LIMIT}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].sqlite == (code & 0xff)) {
            return rows[i].ours;
        }
    }
    return KERR_IO;
}

/* SQLite's sentences may quote the file's schema. */
static enum kerr failed(const struct kine *k, struct kerrinfo *e)
{
    char text[CAUSE_BYTES];
    text_escape(bytes_of_text(sqlite3_errmsg(k->db)), text, sizeof text);
    return kerr_set(e, code_of(sqlite3_errcode(k->db)), "%s: SQLite says: %s", k->pages->name,
                    text);
}

static void end_statement(sqlite3_stmt **s)
{
    (void)sqlite3_finalize(*s);
    *s = NULL;
}
#define AUTO_STATEMENT AUTO(end_statement) sqlite3_stmt *

static enum kerr prepare(const struct kine *k, const char *sql, sqlite3_stmt **ret,
                         struct kerrinfo *e)
{
    return sqlite3_prepare_v2(k->db, sql, -1, ret, NULL) == SQLITE_OK ? KERR_OK : failed(k, e);
}

/* *ret_has_row false at the end. */
static enum kerr step(const struct kine *k, sqlite3_stmt *s, bool *ret_has_row, struct kerrinfo *e)
{
    int code = sqlite3_step(s);
    *ret_has_row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? KERR_OK : failed(k, e);
}

/* ---- a hostile file ---- */

static bool harden(sqlite3 *db)
{
    static const struct {
        int option;
        int value;
    } options[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},   {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},          {SQLITE_DBCONFIG_DQS_DML, 0},
        {SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1}, {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    };
    static const struct {
        int limit;
        int value;
    } limits[] = {
        {SQLITE_LIMIT_LENGTH, KINE_VALUE_MAX},
        {SQLITE_LIMIT_SQL_LENGTH, 1 << 16},
        {SQLITE_LIMIT_ATTACHED, 0},
        {SQLITE_LIMIT_COLUMN, 100},
        {SQLITE_LIMIT_EXPR_DEPTH, 20},
        {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
        {SQLITE_LIMIT_VDBE_OP, 25000},
        {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (sqlite3_db_config(db, options[i].option, options[i].value, (int *)NULL) != SQLITE_OK) {
            return false;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        (void)sqlite3_limit(db, limits[i].limit, limits[i].value);
    }
    return true;
}

static enum kerr start(struct kine *k, uint64_t memory_max, struct kerrinfo *e)
{
    static const char pragmas[] = "PRAGMA locking_mode=EXCLUSIVE;" /* no shared index of the log */
                                  "PRAGMA temp_store=MEMORY;"
                                  "PRAGMA cell_size_check=ON;"
                                  "PRAGMA mmap_size=0;"
                                  "PRAGMA cache_size=-8192;"
                                  "PRAGMA automatic_index=OFF;"
                                  "PRAGMA query_only=ON;";
    (void)sqlite3_hard_heap_limit64(
        (sqlite3_int64)(memory_max < KINE_MEMORY_MAX ? memory_max : KINE_MEMORY_MAX));
    if (kine_vfs_init(&k->vfs, k->pages->db, sqlite_pages_committed(k->pages)) != SQLITE_OK) {
        return kerr_set(e, KERR_NOMEM, "no memory for SQLite");
    }
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    if (sqlite3_open_v2(KINE_VFS_FILE, &k->db, flags, k->vfs.name) != SQLITE_OK) {
        return k->db == NULL ? kerr_set(e, KERR_NOMEM, "no memory for SQLite") : failed(k, e);
    }
    return harden(k->db) && sqlite3_exec(k->db, pragmas, NULL, NULL, NULL) == SQLITE_OK
               ? KERR_OK
               : failed(k, e);
}

/* ---- the schema ---- */

static enum kerr no_table(const struct kine *k, const char *what, struct kerrinfo *e)
{
    return kerr_set(e, KERR_NOTFOUND,
                    "%s is an SQLite database, but not kine's: %s; expected the file that kine "
                    "writes, such as /var/lib/rancher/k3s/server/db/state.db",
                    k->pages->name, what);
}

static bool is_text(sqlite3_stmt *s, int column, const char *text)
{
    const unsigned char *found = sqlite3_column_text(s, column);
    return found != NULL && sqlite3_stricmp((const char *)found, text) == 0;
}

static enum kerr check_table(const struct kine *k, struct kerrinfo *e)
{
    AUTO_STATEMENT s = NULL;
    bool has_row = false;
    enum kerr r = prepare(k, "PRAGMA main.table_list(kine)", &s, e);
    r = r == KERR_OK ? step(k, s, &has_row, e) : r;
    if (r != KERR_OK) {
        return r;
    }
    if (!has_row) {
        return no_table(k, "it has no table kine", e);
    }
    bool is_plain = is_text(s, 2, "table") && sqlite3_column_int(s, 4) == 0;
    return is_plain ? KERR_OK : no_table(k, "kine is no plain table in it", e);
}

/* Later columns, of versions to come, do not matter. */
static enum kerr check_columns(const struct kine *k, struct kerrinfo *e)
{
    static const char *const names[] = {
        "id",    "name",  "created",  "deleted", "create_revision", "prev_revision",
        "lease", "value", "old_value"};
    AUTO_STATEMENT s = NULL;
    enum kerr r = prepare(k, "PRAGMA main.table_xinfo(kine)", &s, e);
    for (size_t i = 0; i < ARRAY_LEN(names) && r == KERR_OK; i++) {
        bool has_row = false;
        r = step(k, s, &has_row, e);
        bool is_right = r == KERR_OK && has_row && is_text(s, 1, names[i]) &&
                        sqlite3_column_int(s, 6) == 0 &&
                        (sqlite3_column_int(s, 5) != 0) == (i == 0);
        is_right = is_right && (i > 0 || is_text(s, 2, "INTEGER"));
        if (r == KERR_OK && !is_right) {
            r = no_table(k,
                         "the columns of its table kine are not id, name, created, deleted, "
                         "create_revision, prev_revision, lease, value, old_value",
                         e);
        }
    }
    return r;
}

static enum kerr check_encoding(const struct kine *k, struct kerrinfo *e)
{
    AUTO_STATEMENT s = NULL;
    bool has_row = false;
    enum kerr r = prepare(k, "PRAGMA main.encoding", &s, e);
    r = r == KERR_OK ? step(k, s, &has_row, e) : r;
    return r != KERR_OK || (has_row && is_text(s, 0, "UTF-8"))
               ? r
               : no_table(k, "its text is not UTF-8", e);
}

static enum kerr read_roots(struct kine *k, struct kerrinfo *e)
{
    AUTO_STATEMENT s = NULL;
    bool has_row = false;
    enum kerr r = prepare(k,
                          "SELECT rootpage, type = 'table' AND name = 'kine' COLLATE NOCASE "
                          "FROM main.sqlite_schema WHERE rootpage > 0",
                          &s, e);
    k->roots[k->root_count++] = 1; /* the schema itself */
    while (r == KERR_OK && (r = step(k, s, &has_row, e)) == KERR_OK && has_row) {
        sqlite3_int64 root = sqlite3_column_int64(s, 0);
        if (k->root_count == ROOTS_MAX || root > UINT32_MAX) {
            return no_table(k, "it has more tables and indexes than kine makes", e);
        }
        k->roots[k->root_count++] = (uint32_t)root;
        k->table = sqlite3_column_int(s, 1) != 0 ? (uint32_t)root : k->table;
    }
    return r;
}

enum kerr kine_open(struct sqlite_pages *pages, uint64_t memory_max, struct kine **ret,
                    struct kerrinfo *e)
{
    AUTO_KINE k = calloc(1, sizeof *k);
    if (k == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a database");
    }
    k->pages = pages;
    enum kerr r = start(k, memory_max, e);
    r = r == KERR_OK ? check_encoding(k, e) : r;
    r = r == KERR_OK ? check_table(k, e) : r;
    r = r == KERR_OK ? check_columns(k, e) : r;
    r = r == KERR_OK ? read_roots(k, e) : r;
    r = r == KERR_OK ? prepare(k, "SELECT name " FROM_TABLE "WHERE id = ?1", &k->name, e) : r;
    if (r == KERR_OK) {
        *ret = k;
        k = NULL;
    }
    return r;
}

void kine_close(struct kine **k)
{
    if (*k != NULL) {
        (void)sqlite3_finalize((*k)->name);
        (void)sqlite3_close((*k)->db);
        kine_vfs_done(&(*k)->vfs);
    }
    free(*k);
    *k = NULL;
}

enum kerr kine_check(struct kine *k, struct kerrinfo *e)
{
    AUTO_STATEMENT s = NULL;
    bool has_row = false;
    enum kerr r = prepare(k, "PRAGMA main.integrity_check(1)", &s, e);
    r = r == KERR_OK ? step(k, s, &has_row, e) : r;
    if (r != KERR_OK || (has_row && is_text(s, 0, "ok"))) {
        return r;
    }
    const unsigned char *said = has_row ? sqlite3_column_text(s, 0) : NULL;
    if (said == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for what SQLite says");
    }
    const char *line = strchr((const char *)said, '\n'); /* behind which database it is */
    char text[CAUSE_BYTES];
    text_escape(bytes_of_text(line != NULL ? line + 1 : (const char *)said), text, sizeof text);
    return kerr_set(e, KERR_FORMAT, "%s: damaged: SQLite's check of it says: %s", k->pages->name,
                    text);
}

/* ---- rows ---- */

static enum kerr bad_row(const struct kine *k, sqlite3_int64 id, const char *what,
                         struct kerrinfo *e)
{
    return kerr_set(e, KERR_FORMAT, "%s: damaged at row %lld: %s", k->pages->name, (long long)id,
                    what);
}

/* Kine writes bytes, text or nothing; a number in its place is not its own. */
static enum kerr take_bytes(const struct kine *k, sqlite3_stmt *s, int column, struct bytes *ret,
                            struct kerrinfo *e)
{
    int type = sqlite3_column_type(s, column);
    if (type != SQLITE_BLOB && type != SQLITE_TEXT && type != SQLITE_NULL) {
        return bad_row(k, sqlite3_column_int64(s, 0), "a number where kine writes bytes", e);
    }
    const void *ptr = sqlite3_column_blob(s, column);
    if (ptr == NULL && sqlite3_errcode(k->db) == SQLITE_NOMEM) {
        return kerr_set(e, KERR_NOMEM, "no memory for a row");
    }
    *ret = bytes_of(ptr, ptr == NULL ? 0 : (size_t)sqlite3_column_bytes(s, column));
    return KERR_OK;
}

static enum kerr take_row(const struct kine *k, sqlite3_stmt *s, bool with_values, uint64_t after,
                          struct kine_row *ret, struct kerrinfo *e)
{
    sqlite3_int64 id = sqlite3_column_int64(s, 0);
    if (id <= 0 || (uint64_t)id <= after) {
        return bad_row(k, id, "ids do not ascend", e);
    }
    *ret = (struct kine_row){
        .id = (uint64_t)id,
        .is_deleted = sqlite3_column_int64(s, 2) != 0,
        .prev_revision = (uint64_t)sqlite3_column_int64(s, 3),
    };
    enum kerr r = take_bytes(k, s, 1, &ret->name, e);
    if (r == KERR_OK && ret->name.len == 0) {
        return bad_row(k, id, "no name", e);
    }
    r = r == KERR_OK && with_values ? take_bytes(k, s, 4, &ret->value, e) : r;
    return r == KERR_OK && with_values ? take_bytes(k, s, 5, &ret->old_value, e) : r;
}

enum kerr kine_rows(struct kine *k, bool with_values, kine_row_fn *fn, void *ctx,
                    struct kerrinfo *e)
{
    AUTO_STATEMENT s = NULL;
    const char *sql = with_values
                          ? "SELECT id, name, deleted, prev_revision, value, old_value " FROM_TABLE
                            "ORDER BY id"
                          : "SELECT id, name, deleted, prev_revision " FROM_TABLE "ORDER BY id";
    struct kine_row row = {.id = 0};
    uint64_t count = 0;
    bool has_row = false;
    enum kerr r = prepare(k, sql, &s, e);
    while (r == KERR_OK && (r = step(k, s, &has_row, e)) == KERR_OK && has_row) {
        r = take_row(k, s, with_values, row.id, &row, e);
        r = r == KERR_OK ? fn(ctx, &row, e) : r;
        count++;
    }
    k->has_counted = r == KERR_OK;
    k->row_count = count;
    return r;
}

enum kerr kine_name(struct kine *k, uint64_t id, struct bytes *ret, struct kerrinfo *e)
{
    bool has_row = false;
    (void)sqlite3_reset(k->name);
    if (sqlite3_bind_int64(k->name, 1, (sqlite3_int64)id) != SQLITE_OK) {
        return failed(k, e);
    }
    enum kerr r = step(k, k->name, &has_row, e);
    if (r != KERR_OK) {
        return r;
    }
    if (!has_row) {
        return kerr_set(e, KERR_NOTFOUND, "%s: no row %" PRIu64, k->pages->name, id);
    }
    return take_bytes(k, k->name, 0, ret, e);
}

/* ---- pages ---- */

enum kerr kine_walk(struct kine *k, const struct sqlite_visit *visit, struct kerrinfo *e)
{
    enum kerr r = KERR_OK;
    sqlite_pages_restart(k->pages);
    for (size_t i = 0; i < k->root_count && r == KERR_OK; i++) {
        uint64_t rows = 0;
        r = sqlite_pages_walk(k->pages, k->roots[i], visit, &rows, e);
        if (r == KERR_OK && k->roots[i] == k->table && k->has_counted && rows != k->row_count) {
            r = kerr_set(e, KERR_FORMAT,
                         "%s: damaged: the pages of table kine hold %" PRIu64
                         " rows, SQLite found %" PRIu64,
                         k->pages->name, rows, k->row_count);
        }
    }
    return r;
}
