/* SPDX-License-Identifier: Apache-2.0 */
/* base/mdoc.h: what stands in a page for what is in a table. */
#include <string.h>

#include "base/mdoc.h"
#include "tests/lib/testlib.h"

#define PAGE_MAX 4096

typedef void put_fn(struct appender *a, const char *text);

static void check(put_fn *put, const char *text, const char *want)
{
    struct kerrinfo e = {0};
    AUTO_BUF page;
    const char *got = NULL;
    buf_init(&page, PAGE_MAX);
    struct appender a = appender_on(&page, &e);
    put(&a, text);
    assert_int_equal(a.k, KERR_OK);
    assert_ok(&e, buf_text(&page, &got, &e));
    assert_string_equal(got, want);
}

static void test_words(void **state)
{
    (void)state;
    check(mdoc_word, "keystore", " keystore");
    check(mdoc_word, "cancel-destroy", " cancel\\-destroy");
    check(mdoc_word, "two words", " \"two words\"");
    check(mdoc_word, "say \"no\"", " \"say \\(dqno\\(dq\"");
    /* Macros and delimiters of mdoc, and what would begin a line of its own. */
    check(mdoc_word, "Nm", " \\&Nm");
    check(mdoc_word, "key", " \\&key");
    check(mdoc_word, ".", " \\&.");
}

static void test_text_is_escaped(void **state)
{
    (void)state;
    check(mdoc_text, "a\\b 'c' `d` ^e ~f \"g\" -h",
          "a\\eb \\(aqc\\(aq \\(gad\\(ga \\(hae \\(tif \\(dqg\\(dq \\-h\n");
    check(mdoc_text, ".Sh is no section", "\\&.Sh is no section\n");
    check(mdoc_text, "one ...\n.two", "one ...\n\\&.two\n");
    check(mdoc_text, "'Sh", "\\(aqSh\n");
}

static void test_sentences_begin_lines(void **state)
{
    (void)state;
    check(mdoc_text, "One. Two! Three? Four: 1.5 s.", "One.\nTwo!\nThree?\nFour: 1.5 s.\n");
    check(mdoc_text, "Two  blanks.  ", "Two blanks.\n");
    check(mdoc_text, "", "");
}

static void test_lines_are_short(void **state)
{
    (void)state;
    /* 77 and 1 fit into 78 with their blank only as two lines; an escape counts as it is written.
     */
    char text[256];
    char want[256];
    memset(text, 'x', 77);
    memcpy(text + 77, " y", 3);
    memcpy(want, text, 77);
    memcpy(want + 77, "\ny\n", 4);
    check(mdoc_text, text, want);
    memset(text, 'x', 76);
    memcpy(text + 76, " y", 3);
    memcpy(want, text, 78);
    memcpy(want + 78, "\n", 2);
    check(mdoc_text, text, want);
    memcpy(text + 76, " -", 3);
    memcpy(want + 76, "\n\\-\n", 5);
    check(mdoc_text, text, want);
}

static void test_paragraphs_and_what_stands_as_it_is(void **state)
{
    (void)state;
    check(mdoc_text, "One.\n\nTwo.", "One.\n.Pp\nTwo.\n");
    check(mdoc_text, "Table:\n  a  b\n     c\nAnd on.",
          "Table:\n.Bd -literal -offset indent\na  b\n   c\n.Ed\nAnd on.\n");
    check(mdoc_text, "  .a\n\nb", ".Bd -literal -offset indent\n\\&.a\n.Ed\n.Pp\nb\n");
    check(mdoc_text, "a\n x", "a\n.Bd -literal -offset indent\nx\n.Ed\n");
    check(mdoc_literal, "a --b\n.c\n", ".Bd -literal -offset indent\na \\-\\-b\n\\&.c\n.Ed\n");
}

static void test_head(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF page;
    const char *text = NULL;
    buf_init(&page, PAGE_MAX);
    struct appender a = appender_on(&page, &e);
    struct mdoc_head head = {.name = "tool.yaml",
                             .section = "5",
                             .date = "January 1, 2026",
                             .system = "tool 1.2",
                             .about = "a tool's file"};
    mdoc_head(&a, &head);
    assert_int_equal(a.k, KERR_OK);
    assert_ok(&e, buf_text(&page, &text, &e));
    assert_non_null(strstr(text, "\n.Dd January 1, 2026\n.Dt TOOL.YAML 5\n.Os tool 1.2\n"
                                 ".Sh NAME\n.Nm tool.yaml\n.Nd a tool\\(aqs file\n"));
}

static void test_a_full_page_is_told(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF page;
    buf_init(&page, 8);
    struct appender a = appender_on(&page, &e);
    mdoc_text(&a, "more than eight bytes");
    assert_int_equal(a.k, KERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_text_is_escaped),
        cmocka_unit_test(test_sentences_begin_lines),
        cmocka_unit_test(test_lines_are_short),
        cmocka_unit_test(test_paragraphs_and_what_stands_as_it_is),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_a_full_page_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
