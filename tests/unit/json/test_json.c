/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/testlib.h"
#include "json/json.h"

#include <string.h>

static struct buf text;
static struct kerrinfo e;

static int setup(void **state)
{
    (void)state;
    buf_init(&text, 4096);
    kerr_clear(&e);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_done(&text);
    return 0;
}

static void assert_text(const char *want)
{
    const char *got = NULL;
    assert_ok(&e, buf_text(&text, &got, &e));
    assert_string_equal(got, want);
}

static void test_every_kind_of_value(void **state)
{
    (void)state;
    struct json_writer w = json_on(&text, &e);
    json_put_object(&w, NULL);
    json_put_text(&w, "text", "a");
    json_put_view(&w, "view", bytes_of("b\"c", 2));
    json_put_text(&w, "none", NULL);
    json_put_u64(&w, "number", UINT64_MAX);
    json_put_bool(&w, "yes", true);
    json_put_bool(&w, "no", false);
    json_put_null(&w, "null");
    json_put_time(&w, "never", 0);
    json_put_time(&w, "time", 1795487500);
    json_put_array(&w, "list");
    json_put_u64(&w, NULL, 1);
    json_put_object(&w, NULL);
    json_put_close(&w);
    json_put_array(&w, NULL);
    json_put_close(&w);
    json_put_close(&w);
    json_put_close(&w);
    assert_ok(&e, json_end(&w));
    assert_text(
        "{\"text\":\"a\",\"view\":\"b\\u0022\",\"none\":null,\"number\":18446744073709551615,"
        "\"yes\":true,"
        "\"no\":false,\"null\":null,\"never\":null,\"time\":\"2026-11-24T02:31:40Z\","
        "\"list\":[1,{},[]]}\n");
}

static void test_text_is_quoted(void **state)
{
    (void)state;
    struct json_writer w = json_on(&text, &e);
    json_put_array(&w, NULL);
    json_put_text(&w, NULL, "q\" b\\ n\n t\t d\x7f");
    json_put_text(&w, NULL, "gr\xc3\xbc\xc3\x9f \xf0\x9f\x94\x91");
    json_put_text(&w, NULL, "bad \xff\xc3 \xed\xa0\x80.");
    assert_ok(&e, json_end(&w));
    assert_text("[\"q\\u0022 b\\u005c n\\u000a t\\u0009 d\\u007f\","
                "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x94\x91\","
                "\"bad \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.\"]\n");
}

/* What a terminal obeys, what turns the direction of a line, what YAML does not take. */
static void test_unseen_characters(void **state)
{
    (void)state;
    struct json_writer w = json_on(&text, &e);
    json_put_array(&w, NULL);
    json_put_text(&w, NULL, "\xc2\x80\xc2\x9b\xc2\xa0");                 /* U+0080 U+009B U+00A0 */
    json_put_text(&w, NULL, "\xe2\x80\xa8\xe2\x80\xae\xe2\x80\xaf");     /* U+2028 U+202E U+202F */
    json_put_text(&w, NULL, "\xef\xbb\xbf\xef\xbf\xbf\xf0\x90\x80\x80"); /* U+FEFF U+FFFF U+10000 */
    assert_ok(&e, json_end(&w));
    assert_text("[\"\\u0080\\u009b\xc2\xa0\",\"\\u2028\\u202e\xe2\x80\xaf\","
                "\"\\ufeff\\uffff\xf0\x90\x80\x80\"]\n");
}

static void test_end_closes_what_is_open(void **state)
{
    (void)state;
    struct json_writer w = json_on(&text, &e);
    json_put_object(&w, NULL);
    json_put_array(&w, "a");
    json_put_object(&w, NULL);
    assert_ok(&e, json_end(&w));
    assert_text("{\"a\":[{}]}\n");
}

static void test_maximum_of_the_buffer(void **state)
{
    (void)state;
    text.max = 8;
    struct json_writer w = json_on(&text, &e);
    json_put_array(&w, NULL);
    for (int i = 0; i < 100; i++) {
        json_put_text(&w, NULL, "many");
    }
    assert_int_equal(json_end(&w), KERR_LIMIT);
    assert_true(text.len <= 8);
}

static void test_depth(void **state)
{
    (void)state;
    struct json_writer w = json_on(&text, &e);
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        json_put_array(&w, NULL);
    }
    struct json_writer deeper = w;
    assert_ok(&e, json_end(&w));
    json_put_array(&deeper, NULL);
    assert_refused(&e, KERR_BUG, "", json_end(&deeper));
}

static void test_closing_too_often(void **state)
{
    (void)state;
    struct json_writer w = json_on(&text, &e);
    json_put_array(&w, NULL);
    json_put_close(&w);
    json_put_close(&w);
    assert_int_equal(json_end(&w), KERR_BUG);
    assert_non_null(strstr(e.text, "too often"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_kind_of_value, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_is_quoted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unseen_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_closes_what_is_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_maximum_of_the_buffer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_depth, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closing_too_often, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
