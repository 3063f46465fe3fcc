/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"
#include "tests/lib/testlib.h"

#include <string.h>

static struct kerrinfo e;
static const char *const titles[] = {"ONE", "TWO", "THREE"};

static void test_aligned(void **state)
{
    (void)state;
    AUTO_TABLE t;
    AUTO_BUF text;
    const char *got = NULL;
    buf_init(&text, 1000);
    kerr_clear(&e);
    table_init(&t, titles, ARRAY_LEN(titles), &e);
    table_cell(&t, "longer");
    table_u64(&t, 7);
    table_cell(&t, "");
    table_cell(&t, NULL);
    table_time(&t, 0);
    table_time(&t, 1);
    assert_ok(&e, table_print(&t, &text));
    assert_ok(&e, buf_text(&text, &got, &e));
    assert_string_equal(got, "ONE     TWO  THREE\n"
                             "longer  7    -\n"
                             "-       -    1970-01-01T00:00:01Z\n");
}

static void test_no_rows(void **state)
{
    (void)state;
    AUTO_TABLE t;
    AUTO_BUF text;
    buf_init(&text, 1000);
    kerr_clear(&e);
    table_init(&t, titles, ARRAY_LEN(titles), &e);
    assert_ok(&e, table_print(&t, &text));
    assert_true(bytes_equal_text(buf_view(&text), "ONE  TWO  THREE\n"));
}

static void test_cells_are_escaped(void **state)
{
    (void)state;
    AUTO_TABLE t;
    AUTO_BUF text;
    buf_init(&text, 1000);
    kerr_clear(&e);
    table_init(&t, titles, 1, &e);
    table_cell(&t, "a\033[2J\nb");
    assert_ok(&e, table_print(&t, &text));
    assert_true(bytes_equal_text(buf_view(&text), "ONE\na\\x1b[2J\\x0ab\n"));
}

static void test_refused(void **state)
{
    (void)state;
    AUTO_BUF text;
    buf_init(&text, TABLE_TEXT_MAX);
    for (size_t columns = 0; columns <= TABLE_COLUMNS_MAX + 1; columns += TABLE_COLUMNS_MAX + 1) {
        AUTO_TABLE t;
        struct kerrinfo why = {0};
        table_init(&t, titles, columns, &why);
        table_cell(&t, "x");
        assert_int_equal(table_print(&t, &text), KERR_BUG);
    }
    AUTO_TABLE half;
    struct kerrinfo why = {0};
    table_init(&half, titles, 3, &why);
    table_cell(&half, "x");
    assert_int_equal(table_print(&half, &text), KERR_BUG);
    AUTO_TABLE full;
    struct kerrinfo more = {0};
    table_init(&full, titles, 1, &more);
    for (size_t i = 0; i < TABLE_TEXT_MAX / 2; i++) {
        table_cell(&full, "xx");
    }
    assert_int_equal(table_print(&full, &text), KERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aligned),
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_cells_are_escaped),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
