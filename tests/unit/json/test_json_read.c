/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/testlib.h"
#include "json/json_read.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* The writer and jansson in one program: their functions of one name must not meet. */
#include "json/json.h"

static struct kerrinfo e;

static struct json_doc *read_text(const char *text)
{
    struct json_doc *d = NULL;
    assert_ok(&e, json_read(bytes_of_text(text), &d, &e));
    return d;
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum json_kind kind;
    } rows[] = {
        {"null", JSON_IS_NULL},   {"true", JSON_IS_BOOL}, {"false", JSON_IS_BOOL},
        {"-5", JSON_IS_WHOLE},    {"1.5", JSON_IS_REAL},  {"1e3", JSON_IS_REAL},
        {"\"x\"", JSON_IS_TEXT},  {"[]", JSON_IS_ARRAY},  {" {} ", JSON_IS_OBJECT},
        {"[1]\n", JSON_IS_ARRAY},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_JSON d = read_text(rows[i].text);
        assert_int_equal(json_kind(json_root(d)), rows[i].kind);
    }
    assert_int_equal(json_kind(NULL), JSON_IS_NONE);
}

static void test_values_and_order(void **state)
{
    (void)state;
    AUTO_JSON d = read_text("{\"z\":1,\"a\":\"t\",\"m\":[true,null]}");
    const struct json_value *root = json_root(d);
    static const char *const names[] = {"z", "a", "m"};
    assert_int_equal(json_count(root), 3);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *name = NULL;
        assert_ptr_equal(json_at(root, i, &name), json_member(root, names[i]));
        assert_string_equal(name, names[i]);
    }
    const char *name = "kept";
    assert_null(json_at(root, 3, &name));
    assert_null(name);
    uint64_t number = 0;
    const char *text = NULL;
    bool is_true = false;
    const struct json_value *list = json_member(root, "m");
    assert_true(json_as_u64(json_member(root, "z"), &number) && number == 1);
    assert_true(json_as_text(json_member(root, "a"), &text));
    assert_string_equal(text, "t");
    assert_int_equal(json_count(list), 2);
    assert_true(json_as_bool(json_at(list, 0, NULL), &is_true) && is_true);
    assert_int_equal(json_kind(json_at(list, 1, &name)), JSON_IS_NULL);
    assert_null(name);
    assert_null(json_at(list, 2, NULL));
}

static void test_getters_refuse_other_kinds(void **state)
{
    (void)state;
    AUTO_JSON d = read_text("[null,true,5,-1,1.0,\"7\",[],{}]");
    for (size_t i = 0; i <= json_count(json_root(d)); i++) {
        const struct json_value *v = json_at(json_root(d), i, NULL);
        const char *text = "kept";
        bool is_true = false;
        uint64_t number = 99;
        assert_int_equal(json_as_text(v, &text), i == 5);
        assert_int_equal(json_as_bool(v, &is_true), i == 1);
        assert_int_equal(json_as_u64(v, &number), i == 2);
        assert_true(i == 5 || strcmp(text, "kept") == 0);
        assert_true(i == 2 || number == 99);
        assert_null(json_member(v, "x"));
        assert_null(json_at(v, 0, NULL));
    }
    assert_int_equal(json_count(NULL), 0);
    assert_null(json_member(NULL, "x"));
}

static void test_largest_number(void **state)
{
    (void)state;
    AUTO_JSON d = read_text("9223372036854775807");
    uint64_t number = 0;
    assert_true(json_as_u64(json_root(d), &number));
    assert_true(number == INT64_MAX);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "{]",
        "[1,]",
        "{\"a\":}",
        "{a:1}",
        "tru",
        "1 2",
        "\"\\x\"",
        "\"\xff\"",
        "\"\\u0000\"",
        "[01]",
        "'x'",
        "{\"a\":1,\"a\":1}",
        "9223372036854775808",
        "\"\n\"",
        "nul\0",
        "[1]]",
        "\"\\ud800\"",
        "{} x",
        "-",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct json_doc *d = NULL;
        assert_refused(&e, KERR_INPUT, "not JSON, line ",
                       json_read(bytes_of_text(texts[i]), &d, &e));
        assert_null(d);
    }
    struct json_doc *d = NULL;
    assert_refused(&e, KERR_INPUT, "not JSON", json_read(bytes_of("{}\0", 3), &d, &e));
    assert_refused(&e, KERR_INPUT, "not JSON", json_read(bytes_of(NULL, 0), &d, &e));
}

/* `depth` brackets, then what closes them. */
static struct buf nested(size_t depth)
{
    struct buf text;
    buf_init(&text, 2 * depth + 1);
    for (size_t i = 0; i < 2 * depth; i++) {
        assert_int_equal(buf_put_text(&text, i < depth ? "[" : "]", NULL), KERR_OK);
    }
    return text;
}

static void test_depth(void **state)
{
    (void)state;
    AUTO_BUF good = nested(JSON_READ_DEPTH_MAX);
    AUTO_BUF bad = nested(JSON_READ_DEPTH_MAX + 1);
    AUTO_BUF worse = nested(1000000);
    AUTO_JSON d = NULL;
    struct json_doc *none = NULL;
    assert_ok(&e, json_read(buf_view(&good), &d, &e));
    assert_refused(&e, KERR_LIMIT, "nested", json_read(buf_view(&bad), &none, &e));
    assert_refused(&e, KERR_LIMIT, "nested", json_read(buf_view(&worse), &none, &e));
    assert_null(none);
    /* Brackets in texts do not count, behind an escaped quote neither. */
    AUTO_JSON text = read_text("\"[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[[[[[[[[[[[[[[[\\\\\"");
    assert_int_equal(json_kind(json_root(text)), JSON_IS_TEXT);
}

static void test_size(void **state)
{
    (void)state;
    char *text = malloc(JSON_READ_MAX + 1);
    assert_non_null(text);
    memset(text, ' ', JSON_READ_MAX + 1);
    text[0] = '5';
    AUTO_JSON d = NULL;
    struct json_doc *none = NULL;
    assert_ok(&e, json_read(bytes_of(text, JSON_READ_MAX), &d, &e));
    assert_refused(&e, KERR_LIMIT, "at most",
                   json_read(bytes_of(text, JSON_READ_MAX + 1), &none, &e));
    assert_null(none);
    AUTO_JSON large = NULL;
    assert_ok(&e,
              json_read_large(bytes_of(text, JSON_READ_MAX + 1), JSON_READ_MAX + 1, &large, &e));
    assert_refused(&e, KERR_LIMIT, "at most 9", json_read_large(bytes_of(text, 10), 9, &none, &e));
    free(text);
}

static bool join(void *ctx, const char *name, const struct json_value *value)
{
    struct buf *to = ctx;
    uint64_t number = 0;
    return json_as_u64(value, &number) &&
           buf_printf(to, &e, "%s=%llu ", name, (unsigned long long)number) == KERR_OK;
}

static void test_each_member(void **state)
{
    (void)state;
    AUTO_BUF text;
    buf_init(&text, 100);
    AUTO_JSON d = read_text("{\"b\":1,\"a\":2,\"c\":3}");
    assert_true(json_each(json_root(d), join, &text));
    assert_true(bytes_equal_text(buf_view(&text), "b=1 a=2 c=3 "));
    AUTO_JSON ends = read_text("{\"d\":4,\"e\":null,\"f\":6}");
    assert_false(json_each(json_root(ends), join, &text));
    assert_true(bytes_equal_text(buf_view(&text), "b=1 a=2 c=3 d=4 "));
    AUTO_JSON list = read_text("[1]");
    assert_false(json_each(json_root(list), join, &text));
    assert_false(json_each(NULL, join, &text));
}

#define WORDS "words-that-shall-not-stay"

void __real_free(void *ptr);
void __wrap_free(void *ptr);

static bool is_looking;
static size_t freed;
static size_t found;

void __wrap_free(void *ptr)
{
    if (is_looking && ptr != NULL) {
        freed++;
        found += memmem(ptr, malloc_usable_size(ptr), WORDS, strlen(WORDS)) != NULL;
    }
    __real_free(ptr);
}

/* A document may hold a secret: jansson's memory is wiped, that of a text refused too. */
static void test_wiped(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"a\":\"" WORDS "\",\"" WORDS "\":[\"x" WORDS WORDS WORDS WORDS "\"]}",
        "{\"a\":\"" WORDS "\",\"b\"}",
    };
    is_looking = true;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct json_doc *d = NULL;
        freed = 0;
        found = 0;
        enum kerr k = json_read(bytes_of_text(texts[i]), &d, &e);
        json_doc_free(d);
        assert_int_equal(k, i == 0 ? KERR_OK : KERR_INPUT);
        assert_true(freed > 3);
        assert_int_equal(found, 0);
    }
    is_looking = false;
}

static void test_with_the_writer(void **state)
{
    (void)state;
    AUTO_BUF text;
    buf_init(&text, 1000);
    struct json_writer w = json_on(&text, &e);
    json_put_object(&w, NULL);
    json_put_array(&w, "list");
    json_put_null(&w, NULL);
    json_put_text(&w, NULL, "\x01\"\\\xc3\xa4");
    assert_int_equal(json_end(&w), KERR_OK);
    AUTO_JSON d = NULL;
    const char *back = NULL;
    assert_ok(&e, json_read(buf_view(&text), &d, &e));
    const struct json_value *list = json_member(json_root(d), "list");
    assert_true(json_as_text(json_at(list, 1, NULL), &back));
    assert_string_equal(back, "\x01\"\\\xc3\xa4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_values_and_order),
        cmocka_unit_test(test_getters_refuse_other_kinds),
        cmocka_unit_test(test_largest_number),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_each_member),
        cmocka_unit_test(test_wiped),
        cmocka_unit_test(test_with_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
