/* SPDX-License-Identifier: Apache-2.0 */
/* config/go_scalar.h. What go-yaml makes of the words was taken from go.yaml.in/yaml/v2 v2.4.3. */
#include <string.h>

#include "config/go_scalar.h"
#include "tests/lib/testlib.h"

static const char *const words[][26] = {
    [YAML_NULL] = {"", "~", "null", "Null", "NULL"},
    [YAML_BOOL] = {"y", "Y", "yes", "YES", "n", "no", "on", "On", "off", "OFF", "true", "False"},
    [YAML_NUMBER] = {"0",
                     "1",
                     "-1",
                     "+1",
                     "1_000",
                     "0x1F",
                     "-0x1f",
                     "0o17",
                     "017",
                     "08",
                     "0b101",
                     "-0b1",
                     "18446744073709551615",
                     "-9223372036854775808",
                     "1.5",
                     "1.",
                     ".5",
                     "1e3",
                     "1E-3",
                     "+.inf",
                     ".nan",
                     "99999999999999999999999",
                     "1_0.5_0",
                     "-0",
                     "0_x1f"},
    [YAML_TEXT] = {"a",    "nULL", "Yess", "yES", "tRUE",  "1a",   "0xg",        "0b2", "1e999",
                   "-",    "+",    ".",    "._5", "1.5.2", "1:30", "2001-01-01", "-.",  "0x",
                   ".5_0", "--1",  "1e",   "+e1", "_1",    ".e3",  "-1e999"},
};

static void test_types(void **state)
{
    (void)state;
    for (size_t type = 0; type < ARRAY_LEN(words); type++) {
        for (size_t i = 0; i < ARRAY_LEN(words[type]) && words[type][i] != NULL; i++) {
            enum yaml_type got = go_scalar_type(bytes_of_text(words[type][i]));
            if (got != type) {
                fail_msg("'%s' is of type %d, not %zu", words[type][i], got, type);
            }
        }
    }
}

static void test_json(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}", " {\n\t\"a\" : [ ] }\r\n", "{\"a\":[1,-0,1.5,1e3,1E+9,-2.5e-7,true,false,null,\"\"]}",
        "{\"\\u00e9\\\"\\\\\\/\\b\\f\\n\\r\\t\":{\"b\":[[],{}]}}", "{\"a\":{\"b\":{}},\"c\":[{}]}"};
    static const struct {
        const char *text;
        size_t at;
    } bad[] = {
        {"{", 1},
        {"{a: 1}", 1},
        {"{\"a\" 1}", 5},
        {"{\"a\":}", 5},
        {"{\"a\":1,}", 7},
        {"{\"a\":01}", 6},
        {"{\"a\":1.}", 7},
        {"{\"a\":+1}", 5},
        {"{\"a\":tru}", 5},
        {"{\"a\":[1 2]}", 8},
        {"{\"a\":1]", 6},
        {"{} x", 3},
        {"{}{}", 2},
        {"{\"a\":'b'}", 5},
        {"{\"\\x\":1}", 3},
        {"{\"\\u12g4\":1}", 6},
        {"{\"a\nb\":1}", 3},
        {"{\"a", 3},
        {"{\"a\":1e}", 7},
        {"{\"a\":1 # x", 7},
    };
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!go_is_json(bytes_of_text(good[i]), &at)) {
            fail_msg("%s: refused at %zu", good[i], at);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        bool is_json = go_is_json(bytes_of_text(bad[i].text), &at);
        if (is_json || at != bad[i].at) {
            fail_msg("%s: %d at %zu, expected at %zu", bad[i].text, is_json, at, bad[i].at);
        }
    }
    assert_true(go_is_json(bytes_of_text("[[[[[[[[[[[[1]]]]]]]]]]]]"), &at));
    assert_false(go_is_json(bytes_of_text("[[[[[[[[[[[[[1]]]]]]]]]]]]]"), &at));
}

static void test_base64(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_json;
        bool is_good;
        size_t len;
    } rows[] = {
        {"", false, true, 0},          {"QQ==", false, true, 1},
        {"QUI=", false, true, 2},      {"QUJD", false, true, 3},
        {"QR==", false, true, 1},      {"QUJD\nQQ\r=\n=", false, true, 4},
        {"ab+/", false, true, 3},      {"Q", false, false, 0},
        {"QQ", false, false, 0},       {"QQ=", false, false, 0},
        {"QQ===", false, false, 0},    {"====", false, false, 0},
        {"Q===", false, false, 0},     {"QQ=Q", false, false, 0},
        {"QUJD=", false, false, 0},    {"QU-D", false, false, 0},
        {"QU D", false, false, 0},     {"QQ\\n==", false, false, 0},
        {"QQ\\n==", true, true, 1},    {"ab+\\/", true, true, 3},
        {"\\u0051Q==", true, true, 1}, {"\\u0151Q==", true, false, 0},
        {"Q\\tQ==", true, false, 0},   {"QQ==\\", true, false, 0},
        {"QQ==\\u00", true, false, 0}, {"QQ==QQ==", false, false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = 0;
        bool is_good = go_base64_len(bytes_of_text(rows[i].text), rows[i].is_json, &len);
        if (is_good != rows[i].is_good || (is_good && len != rows[i].len)) {
            fail_msg("%s: %d, %zu bytes", rows[i].text, is_good, len);
        }
    }
}

static void test_base64_secret(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_json;
        const char *bytes;
    } rows[] = {
        {"QQ==", false, "A"},         {"QR==", false, "A"}, /* bits behind the last byte */
        {"QUL=", false, "AB"},        {"QUJD", false, "ABC"},  {"QUJD\nQQ\r=\n=", false, "ABCA"},
        {"\\u0051Q==\\n", true, "A"}, {"Pz8\\/", true, "???"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kerrinfo e = {0};
        AUTO_SECRET made = NULL;
        struct bytes text = bytes_of_text(rows[i].text);
        size_t len = 0;
        assert_true(go_base64_len(text, rows[i].is_json, &len));
        assert_ok(&e, go_base64_secret(text, rows[i].is_json, len, &made, &e));
        if (!bytes_equal_text(secret_view(made), rows[i].bytes)) {
            fail_msg("%s", rows[i].text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_base64_secret),
    };
    if (secret_start(SECRET_LOCK_BEST_EFFORT, &(struct kerrinfo){0}) != KERR_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
