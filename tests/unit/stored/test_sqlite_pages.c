/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/sqlite_page.h"

#include <stdio.h>

#include "tests/lib/kine_file.h"
#include "tests/lib/testlib.h"

#define ROWS  120
#define VALUE 700
#define LONG  5000 /* over several pages */
#define KINE  "/registry/secrets/default/"

static struct kerrinfo e;

/* ---- files ---- */

static void fill(struct kine_file *f, bool with_wal)
{
    static char value[LONG];
    memset(value, 'v', sizeof value);
    kine_file_new(f, with_wal, KINE_FILE_SCHEMA);
    for (int i = 0; i < ROWS; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, KINE "s-%03d", i);
        kine_file_put(f, name, value, i % 10 == 0 ? LONG : VALUE);
    }
    kine_file_read(f);
}

static struct sqlite_pages pages;

static enum kerr open_file(const struct kine_file *f)
{
    sqlite_pages_close(&pages);
    return sqlite_pages_open(buf_view(&f->db), buf_view(&f->wal), "file", &pages, &e);
}

/* The roots that kine_file makes: schema, table, sqlite_sequence, index. */
static enum kerr walk_all(const struct sqlite_visit *visit, uint64_t *ret_rows)
{
    enum kerr k = KERR_OK;
    *ret_rows = 0;
    sqlite_pages_restart(&pages);
    for (uint32_t root = 1; root <= 4 && k == KERR_OK; root++) {
        uint64_t rows = 0;
        k = sqlite_pages_walk(&pages, root, visit, &rows, &e);
        *ret_rows = root == 2 ? rows : *ret_rows;
    }
    return k;
}

static enum kerr look(const struct kine_file *f)
{
    const struct sqlite_visit none = {.slack = NULL};
    uint64_t rows = 0;
    enum kerr k = open_file(f);
    return k == KERR_OK ? walk_all(&none, &rows) : k;
}

/* ---- what is in use ---- */

struct sums {
    size_t slack;
    size_t unused[2]; /* main file, log */
};

static enum kerr add_slack(void *ctx, struct bytes slack, struct kerrinfo *info)
{
    (void)info;
    ((struct sums *)ctx)->slack += slack.len;
    return KERR_OK;
}

static struct sums sum_up(uint64_t *ret_rows)
{
    struct sums s = {.slack = 0};
    const struct sqlite_visit visit = {.slack = add_slack, .ctx = &s};
    assert_ok(&e, walk_all(&visit, ret_rows));
    struct bytes data;
    bool is_wal = false;
    for (uint64_t at = 0; sqlite_pages_unused(&pages, &at, &data, &is_wal);) {
        s.unused[is_wal] += data.len;
    }
    return s;
}

static void test_all_in_use(void **state)
{
    (void)state;
    struct kine_file f;
    uint64_t rows = 0;
    fill(&f, false);
    assert_ok(&e, open_file(&f));
    assert_int_equal(pages.page_size, KINE_FILE_PAGE);
    assert_int_equal(pages.count, f.db.len / KINE_FILE_PAGE);
    struct sums s = sum_up(&rows);
    assert_int_equal(rows, ROWS);
    assert_int_equal(s.unused[0], 0);
    assert_int_equal(s.unused[1], 0);
    assert_true(s.slack > 0 && s.slack < f.db.len);
    kine_file_done(&f);
}

static void test_deleted_rows_are_not_in_use(void **state)
{
    (void)state;
    struct kine_file f;
    uint64_t rows = 0;
    fill(&f, false);
    kine_file_sql(&f, "DELETE FROM kine WHERE id <= 100");
    kine_file_read(&f);
    assert_ok(&e, open_file(&f));
    struct sums s = sum_up(&rows);
    assert_int_equal(rows, ROWS - 100);
    assert_true(s.unused[0] > (size_t)90 * VALUE && s.unused[0] < f.db.len);
    kine_file_done(&f);
}

/* The log counts up to its last whole transaction; its frames replace pages of the file. */
static void test_log(void **state)
{
    (void)state;
    struct kine_file f;
    uint64_t rows = 0;
    fill(&f, true);
    assert_ok(&e, open_file(&f));
    assert_true(f.wal.len > f.db.len);
    assert_int_equal(pages.committed, pages.frame_count);
    assert_int_equal(sqlite_pages_committed(&pages).len, f.wal.len);
    struct sums s = sum_up(&rows);
    assert_int_equal(rows, ROWS);
    assert_int_equal(s.unused[0], f.db.len);
    assert_true(s.unused[1] > 0);
    /* Every page in use lies in the log, so what is left of it is not. */
    size_t frames = (f.wal.len - WAL_HEADER) / (FRAME_HEADER + KINE_FILE_PAGE);
    assert_int_equal(s.unused[1], (frames - pages.count) * KINE_FILE_PAGE);

    kine_file_sql(&f, "PRAGMA wal_checkpoint(RESTART)");
    kine_file_put(&f, KINE "new", "k8s", 3);
    kine_file_read(&f);
    assert_ok(&e, open_file(&f));
    assert_true(pages.committed < 10 && pages.frame_count == frames);
    s = sum_up(&rows);
    assert_int_equal(rows, ROWS + 1);
    assert_true(s.unused[0] > 0 && s.unused[0] <= (size_t)10 * KINE_FILE_PAGE);
    kine_file_done(&f);
}

static void test_end_of_log(void **state)
{
    (void)state;
    struct kine_file f;
    fill(&f, true);
    assert_ok(&e, open_file(&f));
    uint32_t all = pages.committed;
    size_t frame = FRAME_HEADER + KINE_FILE_PAGE;
    size_t whole = f.wal.len;
    /* A frame that was not written to its end, or not at all. */
    f.wal.ptr[whole - 1] ^= 1;
    assert_ok(&e, look(&f));
    assert_true(pages.committed < all && pages.frame_count == all);
    f.wal.len = whole - 100;
    assert_ok(&e, look(&f));
    assert_true(pages.committed < all && pages.frame_count == all - 1);
    /* Others behind it would be lost. */
    f.wal.len = whole;
    f.wal.ptr[whole - 3 * frame + FRAME_HEADER] ^= 1;
    assert_refused(&e, KERR_FORMAT, "wrong checksum and others follow", look(&f));
    /* A log that was only made. */
    memset(f.wal.ptr, 0, WAL_HEADER);
    assert_ok(&e, open_file(&f));
    assert_int_equal(pages.committed, 0);
    f.wal.len = 7;
    assert_ok(&e, open_file(&f));
    kine_file_done(&f);
}

/* ---- damage: each is made, and named with its place ---- */

struct damage {
    const char *name;
    size_t at;       /* in the file */
    const char *put; /* text of bytes */
    size_t len;
    enum kerr code;
    const char *words;
};

static void test_damaged(void **state)
{
    (void)state;
    static const struct damage rows[] = {
        {"other bytes", 0, "SQLCipher", 9, KERR_NOTFOUND, "no SQLite database"},
        {"page size", 16, "\x04\x01", 2, KERR_FORMAT, "damaged at byte 16: pages of 1025"},
        {"page size 2", 16, "\x01\x00", 2, KERR_FORMAT, "pages of 256 bytes"},
        {"version", 19, "\x03", 1, KERR_UNSUP, "version 3"},
        {"reserved", 16, "\x02\x00\x01\x01\xff", 5, KERR_FORMAT, "255 bytes of each page"},
        {"more pages than there are", 28, "\x00\x00\xff\xff", 4, KERR_FORMAT, "cut off"},
        {"type of a page", 1024, "\x07", 1, KERR_FORMAT, "page 2, byte 1024: type 7"},
        {"cells of a page", 1027, "\xff\xff", 2, KERR_FORMAT, "page 2, byte 1024: type"},
        {"right page: none", 1032, "\x00\x00\x00\x00", 4, KERR_FORMAT,
         "page 2, byte 1032: leads to page 0"},
        {"right page: too large", 1032, "\x00\x0f\x00\x00", 4, KERR_FORMAT, "leads to page 983040"},
        {"right page: itself", 1032, "\x00\x00\x00\x02", 4, KERR_FORMAT, "in use elsewhere"},
        {"right page: of an index", 1032, "\x00\x00\x00\x04", 4, KERR_FORMAT, "of another kind"},
        {"first cell: where none can be", 1036, "\x03\xff", 2, KERR_FORMAT,
         "cell 0 begins at 1023"},
        {"first cell: in the head", 1036, "\x00\x02", 2, KERR_FORMAT, "lies over another"},
        {"first cell: over the second", 1036, "\x03\xf3", 2, KERR_FORMAT, "lies over another"},
    };
    struct kine_file f;
    fill(&f, false);
    assert_ok(&e, look(&f));
    assert_int_equal(f.db.ptr[1024], 5); /* an inner page of the table, as the rows expect */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t before[16];
        memcpy(before, f.db.ptr + rows[i].at, rows[i].len);
        assert_memory_not_equal(before, rows[i].put, rows[i].len);
        memcpy(f.db.ptr + rows[i].at, rows[i].put, rows[i].len);
        test_check_refused(look(&f), rows[i].code, &e, rows[i].words, rows[i].name, __FILE__,
                           __LINE__);
        kerr_clear(&e);
        memcpy(f.db.ptr + rows[i].at, before, rows[i].len);
    }
    assert_ok(&e, look(&f));
    kine_file_done(&f);
}

static void test_cut_off(void **state)
{
    (void)state;
    struct kine_file f;
    fill(&f, false);
    size_t whole = f.db.len;
    for (size_t len = 0; len < whole; len += 97) {
        f.db.len = len;
        assert_true(look(&f) == (len < 100 ? KERR_NOTFOUND : KERR_FORMAT));
        kerr_clear(&e);
    }
    f.db.len = whole - 1;
    assert_refused(&e, KERR_FORMAT, "cut off", look(&f));
    /* Written by a program that does not say how many pages there are. */
    f.db.len = whole - KINE_FILE_PAGE;
    memset(f.db.ptr + 28, 0, 4);
    assert_refused(&e, KERR_FORMAT, "leads to page", look(&f));
    kine_file_done(&f);
}

/* Each page in turn holds garbage, or is another one's copy. */
static void test_garbage_pages(void **state)
{
    (void)state;
    struct kine_file f;
    fill(&f, false);
    uint8_t page[KINE_FILE_PAGE];
    for (size_t at = KINE_FILE_PAGE; at < f.db.len; at += KINE_FILE_PAGE) {
        memcpy(page, f.db.ptr + at, sizeof page);
        memset(f.db.ptr + at, 0xaa, sizeof page);
        enum kerr k = look(&f);
        /* Of the last page of a chain nothing tells that it is not what it was. */
        assert_true(k == KERR_FORMAT || page[0] == 0);
        memcpy(f.db.ptr + at, f.db.ptr + KINE_FILE_PAGE, sizeof page);
        kerr_clear(&e);
        k = look(&f);
        assert_true(k == KERR_FORMAT || at == KINE_FILE_PAGE || page[0] == 0);
        kerr_clear(&e);
        memcpy(f.db.ptr + at, page, sizeof page);
    }
    kine_file_done(&f);
}

static void test_damaged_log(void **state)
{
    (void)state;
    struct kine_file f;
    fill(&f, true);
    f.wal.ptr[0] ^= 1;
    assert_refused(&e, KERR_FORMAT, "file-wal: damaged at byte 0", look(&f));
    f.wal.ptr[0] ^= 1;
    f.wal.ptr[27] ^= 1;
    assert_refused(&e, KERR_FORMAT, "file-wal: damaged at byte 0", look(&f));
    f.wal.ptr[27] ^= 1;
    f.db.ptr[16] = 2; /* pages of 512 bytes in the file, of 1024 in the log */
    f.db.ptr[17] = 0;
    assert_refused(&e, KERR_FORMAT, "it belongs to another file", look(&f));
    kine_file_done(&f);
}

/* ---- numbers ---- */

static void test_varint(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        uint64_t value;
    } rows[] = {
        {"\x00", 1, 0},
        {"\x7f", 1, 127},
        {"\x81\x00", 2, 128},
        {"\x82\x80\x01", 3, 2 << 14 | 1},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9, UINT64_MAX},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x07", 9, 7},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t at = 0;
        uint64_t value = 1;
        assert_true(sqlite_varint(bytes_of(rows[i].bytes, rows[i].len), &at, &value));
        assert_true(at == rows[i].len && value == rows[i].value);
        at = 0;
        assert_false(sqlite_varint(bytes_of(rows[i].bytes, rows[i].len - 1), &at, &value));
        assert_int_equal(at, 0);
    }
}

/* From the text of the format: at most usable - 35 in a table's page; else at least the minimum. */
static void test_local(void **state)
{
    (void)state;
    assert_int_equal(sqlite_local(4096, true, 4061), 4061);
    assert_int_equal(sqlite_local(4096, true, 4062), 489);
    assert_int_equal(sqlite_local(4096, true, 489 + 4092), 489);
    assert_int_equal(sqlite_local(4096, true, 489 + 4092 + 3572), 489 + 3572);
    assert_int_equal(sqlite_local(4096, false, 1002), 1002);
    assert_int_equal(sqlite_local(4096, false, 1003), 489);
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
        cmocka_unit_test(test_all_in_use),    cmocka_unit_test(test_deleted_rows_are_not_in_use),
        cmocka_unit_test(test_log),           cmocka_unit_test(test_end_of_log),
        cmocka_unit_test(test_damaged),       cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_garbage_pages), cmocka_unit_test(test_damaged_log),
        cmocka_unit_test(test_varint),        cmocka_unit_test(test_local),
    };
    return cmocka_run_group_tests_name("stored.sqlite_pages", tests, NULL, close_pages);
}
