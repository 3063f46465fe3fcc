/* SPDX-License-Identifier: Apache-2.0 */
/* base/base64.h, by the test vectors of RFC 4648, section 10. */
#include "base/base64.h"

#include <string.h>

#include "tests/lib/testlib.h"

static struct kerrinfo e;

static const struct {
    const char *data;
    const char *text;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/"},
};

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        struct bytes data = bytes_of_text(vectors[i].data);
        char text[16];
        uint8_t back[16];
        size_t len = 99;
        assert_int_equal(strlen(vectors[i].text), BASE64_CHARS(data.len));
        base64_write(data, text);
        assert_string_equal(text, vectors[i].text);
        assert_ok(&e, base64_read(bytes_of_text(text), back, data.len, &len, &e));
        assert_true(bytes_equal(bytes_of(back, len), data));
        AUTO_SECRET secret = NULL;
        assert_ok(&e, base64_write_secret(data, &secret, &e));
        assert_string_equal((const char *)secret_view(secret).ptr, vectors[i].text);
    }
}

static void test_secrets(void **state)
{
    (void)state;
    AUTO_SECRET s = NULL;
    assert_ok(&e, base64_read_secret(bytes_of_text("Zm9vYg=="), 100, &s, &e));
    assert_true(bytes_equal_text(secret_view(s), "foob"));
    struct secret *none = NULL;
    assert_refused(&e, KERR_INPUT, "nothing", base64_read_secret(bytes_of_text(""), 9, &none, &e));
    assert_refused(&e, KERR_INPUT, "not base64",
                   base64_read_secret(bytes_of_text("Zm9vYg="), 9, &none, &e));
    assert_refused(&e, KERR_LIMIT, "at most 4",
                   base64_read_secret(bytes_of_text("Zm9vYg=="), 3, &none, &e));
    assert_null(none);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "Z",      "Zg",    "Zg=",  "Zg===", "Zh==", "Zm9=",
        "Zm9v\n", " Zm9v", "Zm-v", "Zm_v",  "====", "Z*9v",
    };
    uint8_t to[16];
    size_t len = 99;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_refused(&e, KERR_INPUT, "not base64",
                       base64_read(bytes_of_text(rows[i]), to, sizeof to, &len, &e));
    }
    /* Two bytes too many for the same number of characters. */
    assert_refused(&e, KERR_INPUT, "at most 1",
                   base64_read(bytes_of_text("Zm9v"), to, 1, &len, &e));
    assert_refused(&e, KERR_LIMIT, "at most 4",
                   base64_read(bytes_of_text("Zm9vYg=="), to, 3, &len, &e));
    assert_int_equal(len, 99);
}

static int setup(void **state)
{
    (void)state;
    return secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
