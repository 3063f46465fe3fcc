/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/escape.h"
#include "tests/lib/testlib.h"

#include <string.h>

static struct kerrinfo e;

typedef void escape_fn(struct appender *a, struct bytes text);

static void check(escape_fn *escape, struct bytes text, const char *want)
{
    AUTO_BUF out;
    const char *got = NULL;
    buf_init(&out, (size_t)1 << 20);
    struct appender a = appender_on(&out, &e);
    escape(&a, text);
    assert_ok(&e, a.k);
    assert_ok(&e, buf_text(&out, &got, &e));
    assert_string_equal(got, want);
}

static void check_text(escape_fn *escape, const char *text, const char *want)
{
    check(escape, bytes_of_text(text), want);
}

static void test_markup(void **state)
{
    (void)state;
    check_text(escape_markup, "secrets", "secrets");
    check_text(escape_markup, "", "");
    check_text(escape_markup, "<a href='x'>&", "&lt;a href=&#39;x&#39;&gt;&amp;");
    check_text(escape_markup, "\"]]>", "\\x22]]&gt;");
    check_text(escape_markup, "\033[2J\n", "\\x1b[2J\\x0a");
    check_text(escape_markup, "\xe2\x80\xae", "\\xe2\\x80\\xae"); /* right-to-left override */
    check(escape_markup, bytes_of("a\0b\xff", 4), "a\\x00b\\xff");
}

static void test_csv(void **state)
{
    (void)state;
    check_text(escape_csv, "", "");
    check_text(escape_csv, "kmsv2:etcdseal", "kmsv2:etcdseal");
    check_text(escape_csv, "/registry/secrets/a/b.c_d-e", "/registry/secrets/a/b.c_d-e");
    check_text(escape_csv, "a, b", "\"a, b\"");
    check_text(escape_csv, "a;b", "\"a;b\"");
    check_text(escape_csv, "=1+1", "\"'=1+1\"");
    check_text(escape_csv, "+1", "\"'+1\"");
    check_text(escape_csv, "-1", "\"'-1\"");
    check_text(escape_csv, "@SUM(A1)", "\"'@SUM(A1)\"");
    check_text(escape_csv, "\t=1", "\"\\x09=1\"");
    check_text(escape_csv, "\r\n\"x", "\"\\x0d\\x0a\\x22x\"");
    check_text(escape_csv,
               "\xef\xbc\x9d"
               "1",
               "\"\\xef\\xbc\\x9d1\""); /* full-width = */
    check(escape_csv, bytes_of("\0=", 2), "\"\\x00=\"");
}

static void test_label(void **state)
{
    (void)state;
    check_text(escape_label, "secrets", "secrets");
    check_text(escape_label, "a\"b\\c\nd", "a\\\\x22b\\\\x5cc\\\\x0ad");
}

static void test_sarif(void **state)
{
    (void)state;
    check_text(escape_sarif, "secrets", "secrets");
    check_text(escape_sarif, "[a](http://b) {0}", "\\[a\\](http://b) {{0}}");
    check_text(escape_sarif, "\\", "\\\\x5c");
}

static void test_shell(void **state)
{
    (void)state;
    check_text(escape_shell, "--demand=only-key=es1-a", "--demand=only-key=es1-a");
    check_text(escape_shell, "", "''");
    check_text(escape_shell, "a b", "'a b'");
    check_text(escape_shell, "it's $(id)", "'it'\\''s $(id)'");
}

/* Longer than the pieces that it is done in. */
static void test_long(void **state)
{
    (void)state;
    static char text[1001];
    static char want[4 * sizeof text];
    memset(text, '<', sizeof text - 1);
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        memcpy(want + 4 * i, "&lt;", 4);
    }
    check_text(escape_markup, text, want);
}

static void test_limit(void **state)
{
    (void)state;
    AUTO_BUF out;
    struct kerrinfo why = {0};
    buf_init(&out, 4);
    struct appender a = appender_on(&out, &why);
    escape_markup(&a, bytes_of_text("<>"));
    assert_int_equal(a.k, KERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markup), cmocka_unit_test(test_csv),   cmocka_unit_test(test_label),
        cmocka_unit_test(test_sarif),  cmocka_unit_test(test_shell), cmocka_unit_test(test_long),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
