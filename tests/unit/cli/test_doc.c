/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doc.h"
#include "tests/lib/testlib.h"

#include <string.h>

static struct kerrinfo e;

typedef void fill_fn(struct doc *d);

static void check(fill_fn *fill, bool is_yaml, const char *want)
{
    AUTO_BUF text;
    const char *got = NULL;
    buf_init(&text, DOC_MAX);
    kerr_clear(&e);
    struct doc d = doc_on(is_yaml, &text, &e);
    fill(&d);
    assert_ok(&e, doc_end(&d));
    assert_ok(&e, buf_text(&text, &got, &e));
    assert_string_equal(got, want);
}

static void fill_listing(struct doc *d)
{
    doc_object(d, NULL);
    doc_text(d, "id", "x");
    doc_u64(d, "n", UINT64_MAX);
    doc_array(d, "rows");
    doc_object(d, NULL);
    doc_bool(d, "a", true);
    doc_array(d, "words");
    doc_text(d, NULL, "one");
    doc_text(d, NULL, "two");
    doc_close(d);
    doc_object(d, "inner");
    doc_time(d, "at", 0);
    doc_close(d);
    doc_close(d);
    doc_object(d, NULL);
    doc_text(d, "b", NULL);
    doc_close(d);
    doc_array(d, NULL);
    doc_u64(d, NULL, 1);
    doc_close(d);
    doc_u64(d, NULL, 2);
    doc_close(d);
    doc_time(d, "then", 1);
}

static void test_listing(void **state)
{
    (void)state;
    check(fill_listing, false,
          "{\"id\":\"x\",\"n\":18446744073709551615,\"rows\":[{\"a\":true,\"words\":[\"one\","
          "\"two\"],\"inner\":{\"at\":null}},{\"b\":null},[1],2],\"then\":"
          "\"1970-01-01T00:00:01Z\"}\n");
    check(fill_listing, true,
          "id: \"x\"\n"
          "n: 18446744073709551615\n"
          "rows:\n"
          "  - a: true\n"
          "    words:\n"
          "      - \"one\"\n"
          "      - \"two\"\n"
          "    inner:\n"
          "      at: null\n"
          "  - b: null\n"
          "  - - 1\n"
          "  - 2\n"
          "then: \"1970-01-01T00:00:01Z\"\n");
}

static void fill_empty(struct doc *d)
{
    doc_object(d, NULL);
    doc_array(d, "none");
    doc_close(d);
    doc_array(d, "some");
    doc_array(d, NULL);
    doc_close(d);
    doc_object(d, NULL);
    doc_close(d);
    doc_close(d);
    doc_object(d, "nothing");
}

static void test_empty(void **state)
{
    (void)state;
    check(fill_empty, false, "{\"none\":[],\"some\":[[],{}],\"nothing\":{}}\n");
    check(fill_empty, true, "none: []\nsome:\n  - []\n  - {}\nnothing: {}\n");
}

static void fill_root_array(struct doc *d)
{
    doc_array(d, NULL);
    doc_text(d, NULL, "x");
}

static void fill_root_empty(struct doc *d)
{
    doc_object(d, NULL);
}

static void test_roots(void **state)
{
    (void)state;
    check(fill_root_array, false, "[\"x\"]\n");
    check(fill_root_array, true, "- \"x\"\n");
    check(fill_root_empty, true, "{}\n");
}

static void fill_awkward(struct doc *d)
{
    doc_object(d, NULL);
    doc_text(d, "yes", "no");
    doc_text(d, "a b: c", "- x: #y\n\t\"\\\x1b\x7f");
    doc_text(d, "", "");
    doc_text(d, "utf", "\xc3\xa4\xff");
}

static void test_awkward_texts(void **state)
{
    (void)state;
    check(fill_awkward, true,
          "yes: \"no\"\n\"a b: c\": \"- x: #y\\u000a\\u0009\\u0022\\u005c\\u001b\\u007f\"\n"
          "\"\": \"\"\nutf: \"\xc3\xa4\xef\xbf\xbd\"\n");
}

static void test_depth(void **state)
{
    (void)state;
    for (int is_yaml = 0; is_yaml < 2; is_yaml++) {
        AUTO_BUF text;
        buf_init(&text, DOC_MAX);
        struct kerrinfo why = {0};
        struct doc d = doc_on(is_yaml, &text, &why);
        for (int i = 0; i <= JSON_DEPTH_MAX; i++) {
            doc_array(&d, NULL);
        }
        assert_int_equal(doc_end(&d), KERR_BUG);
        buf_done(&text);
        buf_init(&text, DOC_MAX);
        struct kerrinfo other = {0};
        d = doc_on(is_yaml, &text, &other);
        doc_close(&d);
        assert_int_equal(doc_end(&d), KERR_BUG);
    }
}

static void test_full(void **state)
{
    (void)state;
    for (int is_yaml = 0; is_yaml < 2; is_yaml++) {
        AUTO_BUF text;
        buf_init(&text, 10);
        struct kerrinfo why = {0};
        struct doc d = doc_on(is_yaml, &text, &why);
        fill_listing(&d);
        assert_int_equal(doc_end(&d), KERR_LIMIT);
    }
}

static const char *copied; /* what fill_copy reads */

static void fill_copy(struct doc *d)
{
    AUTO_JSON from = NULL;
    assert_ok(&e, json_read(bytes_of_text(copied), &from, &e));
    doc_value(d, NULL, json_root(from));
}

static void test_copies(void **state)
{
    (void)state;
    copied = "{\"b\": [1, {\"x\": null, \"y\": false}], \"a\": \"t\"}";
    check(fill_copy, false, "{\"b\":[1,{\"x\":null,\"y\":false}],\"a\":\"t\"}\n");
    check(fill_copy, true, "b:\n  - 1\n  - x: null\n    y: false\na: \"t\"\n");
    static const struct {
        const char *text;
        enum kerr code;
    } rows[] = {
        {"[0.5]", KERR_UNSUP},
        {"{\"a\":-1}", KERR_UNSUP},
        {"[[[[[[[[[[[[1]]]]]]]]]]]]", KERR_LIMIT},
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        AUTO_BUF text;
        AUTO_JSON from = NULL;
        buf_init(&text, DOC_MAX);
        struct kerrinfo why = {0};
        struct doc d = doc_on(i % 2 == 0, &text, &why);
        assert_ok(&e, json_read(bytes_of_text(rows[i / 2].text), &from, &e));
        doc_value(&d, NULL, json_root(from));
        assert_int_equal(doc_end(&d), rows[i / 2].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listing), cmocka_unit_test(test_empty),
        cmocka_unit_test(test_roots),   cmocka_unit_test(test_awkward_texts),
        cmocka_unit_test(test_depth),   cmocka_unit_test(test_full),
        cmocka_unit_test(test_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
