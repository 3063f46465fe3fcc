/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/html.h"
#include "tests/lib/testlib.h"

#include <string.h>

static struct kerrinfo e;
static struct buf out;
static struct appender a;

static int start(void **state)
{
    (void)state;
    buf_init(&out, 10000);
    a = appender_on(&out, &e);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_done(&out);
    return 0;
}

static void check(const char *want)
{
    const char *got = NULL;
    assert_ok(&e, a.k);
    assert_ok(&e, buf_text(&out, &got, &e));
    assert_string_equal(got, want);
    out.len = 0;
}

static void test_texts(void **state)
{
    (void)state;
    html_text(&a, "<b>");
    check("&lt;b&gt;");
    html_code(&a, bytes_of_text("a&b"));
    check("<code>a&amp;b</code>");
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        uint64_t number;
        const char *text;
    } rows[] = {{0, "0"},
                {999, "999"},
                {1000, "1,000"},
                {1234567, "1,234,567"},
                {UINT64_MAX, "18,446,744,073,709,551,615"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        html_number(&a, rows[i].number);
        check(rows[i].text);
    }
}

static void test_table(void **state)
{
    (void)state;
    static const struct html_column columns[] = {{"Name", false}, {"Keys", true}};
    html_table(&a, "All", columns, ARRAY_LEN(columns));
    html_cell(&a, "<x>");
    html_cell(&a, NULL);
    html_cell_number(&a, true, 1000);
    html_cell_number(&a, true, 0);
    html_cell_number(&a, false, 7);
    html_table_end(&a);
    check("<div class=\"wide\"><table>\n<caption>All</caption>\n<thead><tr>"
          "<th scope=\"col\">Name</th><th scope=\"col\" class=\"n\">Keys</th></tr></thead>\n"
          "<tbody>\n<td>&lt;x&gt;</td><td>-</td><td class=\"n\">1,000</td>"
          "<td class=\"n zero\">0</td><td class=\"n zero\">-</td></tbody>\n</table></div>\n");
}

static void test_bar(void **state)
{
    (void)state;
    struct html_part parts[] = {
        {"good", "encrypted", 3}, {"bad", "plaintext", 1}, {"flat", "x", 0}};
    html_bar(&a, parts, ARRAY_LEN(parts));
    check("<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" "
          "aria-label=\"encrypted 3, plaintext 1\">"
          "<rect class=\"good\" x=\"0\" width=\"750\" height=\"10\"/>"
          "<rect class=\"bad\" x=\"750\" width=\"250\" height=\"10\"/></svg>");
    parts[0].value = 1000000; /* one among many is still seen, and all of it fills the bar */
    html_bar(&a, parts, ARRAY_LEN(parts));
    check("<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" "
          "aria-label=\"encrypted 1,000,000, plaintext 1\">"
          "<rect class=\"good\" x=\"0\" width=\"985\" height=\"10\"/>"
          "<rect class=\"bad\" x=\"985\" width=\"15\" height=\"10\"/></svg>");
    memset(parts, 0, sizeof parts);
    html_bar(&a, parts, ARRAY_LEN(parts));
    check("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_bar),
    };
    return cmocka_run_group_tests(tests, start, end);
}
