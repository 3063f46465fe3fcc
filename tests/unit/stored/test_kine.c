/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "stored/kine.h"
#include "tests/lib/kine_file.h"
#include "tests/lib/testlib.h"

#define A      "/registry/secrets/default/a"
#define B      "/registry/secrets/default/b"
#define USABLE 4096

static struct kerrinfo e;
static struct sqlite_pages pages;

static enum kerr open_file(const struct kine_file *f, struct kine **ret)
{
    sqlite_pages_close(&pages);
    enum kerr k = sqlite_pages_open(buf_view(&f->db), buf_view(&f->wal), "file", &pages, &e);
    return k == KERR_OK ? kine_open(&pages, KINE_MEMORY_MAX, ret, &e) : k;
}

/* ---- rows ---- */

struct seen {
    char text[2000];
    struct kine *kine;
};

static enum kerr see(void *ctx, const struct kine_row *row, struct kerrinfo *info)
{
    struct seen *s = ctx;
    struct bytes name = {0};
    size_t len = strlen(s->text);
    /* Another question in between does not disturb the rows. */
    assert_ok(info, kine_name(s->kine, row->id, &name, info));
    assert_true(bytes_equal(name, row->name));
    (void)snprintf(s->text + len, sizeof s->text - len, "%d %.*s %s %d %.*s|%.*s\n", (int)row->id,
                   (int)row->name.len, (const char *)row->name.ptr,
                   row->is_deleted ? "deleted" : "put", (int)row->prev_revision,
                   (int)row->value.len, row->value.len == 0 ? "" : (const char *)row->value.ptr,
                   (int)row->old_value.len,
                   row->old_value.len == 0 ? "" : (const char *)row->old_value.ptr);
    return KERR_OK;
}

static void check_rows(const struct kine_file *f, bool with_values, const char *want)
{
    AUTO_KINE k = NULL;
    struct seen s = {.text = ""};
    const struct sqlite_visit visit = {.slack = NULL};
    assert_ok(&e, open_file(f, &k));
    s.kine = k;
    assert_ok(&e, kine_rows(k, with_values, see, &s, &e));
    assert_string_equal(s.text, want);
    assert_ok(&e, kine_walk(k, &visit, &e));
    struct bytes name;
    assert_refused(&e, KERR_NOTFOUND, "no row 99", kine_name(k, 99, &name, &e));
}

static void test_rows(void **state)
{
    (void)state;
    for (int with_wal = 0; with_wal < 2; with_wal++) {
        struct kine_file f;
        kine_file_new(&f, with_wal, KINE_FILE_SCHEMA);
        kine_file_put(&f, A, "one", 3);
        kine_file_put(&f, B, "two", 3);
        kine_file_put(&f, A, "three", 5);
        kine_file_put(&f, B, NULL, 0);
        kine_file_read(&f);
        assert_int_equal(f.wal.len > 0, with_wal);
        check_rows(&f, true,
                   "1 " A " put 0 one|\n2 " B " put 0 two|\n3 " A " put 1 three|one\n4 " B
                   " deleted 2 two|two\n");
        check_rows(&f, false,
                   "1 " A " put 0 |\n2 " B " put 0 |\n3 " A " put 1 |\n4 " B " deleted 2 |\n");
        kine_file_done(&f);
    }
}

/* Longer than a page; and each allowed type of a value. */
static void test_values(void **state)
{
    (void)state;
    struct kine_file f;
    static char value[100000];
    memset(value, 'x', sizeof value);
    kine_file_new(&f, true, KINE_FILE_SCHEMA);
    kine_file_put(&f, A, value, sizeof value);
    kine_file_sql(&f, "INSERT INTO kine (name, value, old_value) VALUES ('t', 'text', x'00ff')");
    kine_file_read(&f);
    AUTO_KINE k = NULL;
    assert_ok(&e, open_file(&f, &k));
    struct seen s = {.kine = k};
    assert_ok(&e, kine_rows(k, true, see, &s, &e));
    assert_int_equal(strlen(s.text), sizeof s.text - 1);
    kine_close(&k);

    static const char *const wrong[] = {
        "UPDATE kine SET value = 7 WHERE id = 2",
        "UPDATE kine SET value = 1.5 WHERE id = 2",
        "UPDATE kine SET value = '', old_value = 7 WHERE id = 2",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        kine_file_sql(&f, wrong[i]);
        kine_file_read(&f);
        assert_ok(&e, open_file(&f, &k));
        s.kine = k;
        assert_refused(&e, KERR_FORMAT, "row 2: a number where", kine_rows(k, true, see, &s, &e));
        kine_close(&k);
    }
    kine_file_sql(&f, "UPDATE kine SET value = '', old_value = '', name = NULL WHERE id = 2");
    kine_file_read(&f);
    assert_ok(&e, open_file(&f, &k));
    s.kine = k;
    assert_refused(&e, KERR_FORMAT, "row 2: no name", kine_rows(k, false, see, &s, &e));
    kine_close(&k);
    kine_file_sql(&f, "UPDATE kine SET id = -3 WHERE id = 2");
    kine_file_read(&f);
    assert_ok(&e, open_file(&f, &k));
    assert_refused(&e, KERR_FORMAT, "row -3: ids", kine_rows(k, false, see, &s, &e));
    kine_file_done(&f);
}

static enum kerr stop_at(void *ctx, const struct kine_row *row, struct kerrinfo *info)
{
    (void)ctx;
    (void)row;
    return kerr_set(info, KERR_LIMIT, "enough");
}

static void test_callback_ends_it(void **state)
{
    (void)state;
    struct kine_file f;
    kine_file_new(&f, false, KINE_FILE_SCHEMA);
    kine_file_put(&f, A, "one", 3);
    kine_file_read(&f);
    AUTO_KINE k = NULL;
    assert_ok(&e, open_file(&f, &k));
    assert_refused(&e, KERR_LIMIT, "enough", kine_rows(k, true, stop_at, NULL, &e));
    kine_file_done(&f);
}

/* ---- what is not kine's ---- */

static void test_other_schemas(void **state)
{
    (void)state;
#define COLUMNS_                                                                                   \
    "name TEXT, created INTEGER, deleted INTEGER, create_revision INTEGER, prev_revision "         \
    "INTEGER, lease INTEGER, value BLOB"
    static const struct {
        const char *schema;
        const char *words;
    } rows[] = {
        {"CREATE TABLE other (a)", "it has no table kine"},
        {"CREATE TABLE o (a); CREATE VIEW kine AS SELECT * FROM o", "no plain table"},
        {"CREATE VIRTUAL TABLE kine USING rtree(id, a, b)", "no plain table"},
        {"CREATE TABLE kine (id INTEGER PRIMARY KEY, " COLUMNS_ ", old_value BLOB) WITHOUT ROWID",
         "no plain table"},
        {"CREATE TABLE kine (id INTEGER PRIMARY KEY, " COLUMNS_ ")", "columns of its table"},
        {"CREATE TABLE kine (id TEXT PRIMARY KEY, " COLUMNS_ ", old_value BLOB)", "columns of its"},
        {"CREATE TABLE kine (id INTEGER, " COLUMNS_ ", old_value BLOB)", "columns of its table"},
        {"CREATE TABLE kine (id INTEGER PRIMARY KEY, " COLUMNS_ ", old_value AS (value))",
         "columns of its table"},
        {"CREATE TABLE kine (id INTEGER PRIMARY KEY, old_value BLOB, " COLUMNS_ ")", "columns of"},
        {"PRAGMA encoding='UTF-16'; " KINE_FILE_SCHEMA, "not UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kine_file f;
        AUTO_KINE k = NULL;
        /* Without the log: its switch would make the file before its encoding is said. */
        kine_file_new(&f, false, rows[i].schema);
        kine_file_read(&f);
        assert_refused(&e, KERR_NOTFOUND, rows[i].words, open_file(&f, &k));
        assert_null(k);
        kine_file_done(&f);
    }
    /* A column that a later version adds. */
    struct kine_file f;
    kine_file_new(&f, false, KINE_FILE_SCHEMA "ALTER TABLE kine ADD COLUMN more TEXT");
    kine_file_put(&f, A, "one", 3);
    kine_file_read(&f);
    check_rows(&f, true, "1 " A " put 0 one|\n");
    kine_file_done(&f);
}

/* A schema that says something that is no SQL, or holds code. */
static void test_hostile_schemas(void **state)
{
    (void)state;
    struct kine_file f;
    AUTO_KINE k = NULL;
    kine_file_new(&f, false,
                  KINE_FILE_SCHEMA
                  "CREATE TRIGGER t AFTER INSERT ON kine BEGIN DELETE FROM kine; END;"
                  "CREATE VIEW v AS SELECT load_extension('x');"
                  "CREATE INDEX i ON kine (abs(id)) WHERE length(name) > 0;");
    kine_file_read(&f);
    assert_ok(&e, open_file(&f, &k));
    kine_close(&k);
    kine_file_sql(&f, "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE \x1b[31m' "
                      "WHERE name = 'kine'");
    kine_file_read(&f);
    assert_refused(&e, KERR_FORMAT, "SQLite says: malformed database schema", open_file(&f, &k));
    assert_null(strchr(e.text, 0x1b));
    kine_file_done(&f);
}

/* The table's pages say more rows than SQLite finds, or it finds none of them. */
static void test_damaged(void **state)
{
    (void)state;
    struct kine_file f;
    kine_file_new(&f, false, KINE_FILE_SCHEMA);
    char name[64];
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof name, A "-%03d", i);
        kine_file_put(&f, name, "value", 5);
    }
    kine_file_read(&f);
    for (size_t page = 1; page < f.db.len / KINE_FILE_PAGE; page++) {
        uint8_t kept[KINE_FILE_PAGE];
        uint8_t *at = f.db.ptr + page * KINE_FILE_PAGE;
        AUTO_KINE k = NULL;
        const struct sqlite_visit visit = {.slack = NULL};
        memcpy(kept, at, sizeof kept);
        memset(at, 0x55, sizeof kept);
        enum kerr r = open_file(&f, &k);
        r = r == KERR_OK ? kine_walk(k, &visit, &e) : r;
        assert_true(r == KERR_FORMAT);
        kerr_clear(&e);
        memcpy(at, kept, sizeof kept);
    }
    kine_file_done(&f);
}

/* ---- nothing is written ---- */

static void test_bytes_stay(void **state)
{
    (void)state;
    struct kine_file f;
    kine_file_new(&f, true, KINE_FILE_SCHEMA);
    kine_file_put(&f, A, "one", 3);
    kine_file_read(&f);
    uint8_t *db = malloc(f.db.len);
    uint8_t *wal = malloc(f.wal.len);
    assert_true(db != NULL && wal != NULL);
    memcpy(db, f.db.ptr, f.db.len);
    memcpy(wal, f.wal.ptr, f.wal.len);
    check_rows(&f, true, "1 " A " put 0 one|\n");
    assert_memory_equal(db, f.db.ptr, f.db.len);
    assert_memory_equal(wal, f.wal.ptr, f.wal.len);
    struct stat st;
    assert_int_not_equal(stat("kine", &st), 0);
    assert_int_not_equal(stat("kine-wal", &st), 0);
    free(db);
    free(wal);
    kine_file_done(&f);
}

/* ---- rows in free bytes ---- */

/* A head: 11 bytes, then types: NULL, text of 4, 1, 0, 0, a byte, 0, 6 bytes, text of 3. */
#define HEAD "\x0a\x00\x15\x09\x08\x08\x01\x08\x18\x13"
#define ROW                                                                                        \
    HEAD "/r/x"                                                                                    \
         "\x07"                                                                                    \
         "{value"                                                                                  \
         "old"

static void test_row_around(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        size_t name_at;
        const char *value; /* NULL: no row */
        const char *old;
    } rows[] = {
        {"..." ROW "...", 30, 13, "{value", "old"},
        {ROW, 24, 10, "{value", "old"},
        /* without the length before its head; with a wrong one; the id's type was written over */
        {&(ROW)[1], 23, 9, "{value", "old"},
        {".\xff"
         "\x00\x15\x09\x08\x08\x01\x08\x18\x13"
         "/r/x\x07{valueold",
         25, 11, "{value", "old"},
        {"\x0a\x05\x15\x09\x08\x08\x01\x08\x18\x13/r/x\x07{valueold", 24, 10, "{value", "old"},
        /* cut */
        {ROW, 23, 10, "{value", "ol"},
        {ROW, 20, 10, "{valu", ""},
        {ROW, 14, 10, "", ""},
        {ROW, 13, 10, NULL, NULL},
        {&(ROW)[2], 22, 8, NULL, NULL},
        /* no row of kine's: no name; a name of bytes; a number in the value's place */
        {"\x0a\x00\x0d\x09\x08\x08\x01\x08\x18\x13\x07{valueold", 20, 10, NULL, NULL},
        {"\x0a\x00\x14\x09\x08\x08\x01\x08\x18\x13/r/x\x07{valueold", 24, 10, NULL, NULL},
        {"\x0a\x00\x15\x09\x08\x08\x01\x08\x01\x13/r/x\x07{valueold", 24, 10, NULL, NULL},
        {"/r/x", 4, 0, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const uint8_t *in = (const uint8_t *)rows[i].bytes;
        struct kine_found found;
        bool is_row =
            kine_row_around(bytes_of(in, rows[i].len), in + rows[i].name_at, USABLE, &found);
        if (is_row != (rows[i].value != NULL)) {
            fail_msg("row %zu: %d", i, is_row);
        }
        if (is_row) {
            assert_true(bytes_equal_text(found.name, "/r/x"));
            assert_true(bytes_equal_text(found.value, rows[i].value));
            assert_true(bytes_equal_text(found.old_value, rows[i].old));
            assert_true(found.at >= in && found.at < found.name.ptr);
        }
    }
}

/* Of a long value only what lay in the page of the row. */
static void test_long_row_around(void **state)
{
    (void)state;
    /* The value is 2000 bytes (type 4012, 0x9f2c), the usable size 1024: 174 bytes stay. */
    uint8_t in[600];
    memset(in, 'v', sizeof in);
    static const uint8_t head[] = {0x0b, 0, 0x15, 9, 8, 8, 1, 8, 0x9f, 0x2c, 0x0c};
    memcpy(in, head, sizeof head);
    memcpy(in + sizeof head, "/r/x\x07", 5);
    struct kine_found found;
    assert_true(kine_row_around(BYTES_OF(in), in + sizeof head, 1024, &found));
    size_t payload = sizeof head + 5 + 2000;
    size_t least = (1024 - 12) * 32 / 255 - 23;
    size_t local = least + (payload - least) % 1020;
    local = local <= 1024 - 35 ? local : least;
    size_t most = sizeof in - sizeof head - 5;
    size_t want = local - sizeof head - 5;
    assert_int_equal(found.value.len, want < most ? want : most);
    assert_int_equal(found.old_value.len, 0);
}

static int close_pages(void **state)
{
    (void)state;
    sqlite_pages_close(&pages);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_callback_ends_it),
        cmocka_unit_test(test_other_schemas),
        cmocka_unit_test(test_hostile_schemas),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_bytes_stay),
        cmocka_unit_test(test_row_around),
        cmocka_unit_test(test_long_row_around),
    };
    return cmocka_run_group_tests_name("stored.kine", tests, NULL, close_pages);
}
