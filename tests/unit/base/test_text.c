/* SPDX-License-Identifier: Apache-2.0 */
/* base/text.h: text forms and strict readers. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/lib/testlib.h"

static void test_hex(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    static const uint8_t raw[] = {0x00, 0x9f, 0xff};
    char text[7];
    uint8_t back[3] = {1, 2, 3};
    text_hex(BYTES_OF(raw), text);
    assert_string_equal(text, "009fff");
    assert_ok(&e, text_from_hex("009FfF", back, sizeof back, &e));
    assert_memory_equal(back, raw, sizeof raw);
    memset(back, 7, sizeof back);
    assert_refused(&e, KERR_INPUT, "expected 6 hex digits, got 5 characters",
                   text_from_hex("00112", back, sizeof back, &e));
    assert_refused(&e, KERR_INPUT, "expected 6 hex digits, got 7 characters",
                   text_from_hex("0011223", back, sizeof back, &e));
    assert_refused(&e, KERR_INPUT, "character 3 is not a hex digit",
                   text_from_hex("00g122", back, sizeof back, &e));
    assert_int_equal(back[0], 7);
    text_hex(bytes_of(NULL, 0), text);
    assert_string_equal(text, "");
}

/* RFC 4648, section 10, in lower case and without padding. */
static void test_base32(void **state)
{
    (void)state;
    static const char *const words[][2] = {
        {"", ""},
        {"f", "my"},
        {"fo", "mzxq"},
        {"foo", "mzxw6"},
        {"foob", "mzxw6yq"},
        {"fooba", "mzxw6ytb"},
        {"foobar", "mzxw6ytboi"},
    };
    struct kerrinfo e = {0};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        char text[16];
        uint8_t back[8];
        size_t len = strlen(words[i][0]);
        text_base32(bytes_of_text(words[i][0]), text);
        assert_string_equal(text, words[i][1]);
        assert_ok(&e, text_from_base32(bytes_of_text(text), back, len, &e));
        assert_memory_equal(back, words[i][0], len);
    }
    assert_int_equal(TEXT_BASE32_CHARS(16), 26);
}

static void test_base32_refusals(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t back[65] = {7};
    static const char *const bad[] = {"MY", "m1", "m=", "mz", "m8", "m ", "m\xff"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_refused(&e, KERR_INPUT, "", text_from_base32(bytes_of_text(bad[i]), back, 1, &e));
    }
    assert_refused(&e, KERR_INPUT, "the last character is not in canonical form",
                   text_from_base32(bytes_of_text("mz"), back, 1, &e));
    assert_refused(&e, KERR_INPUT, "character 2 is not lower-case base32",
                   text_from_base32(bytes_of("m\0", 2), back, 1, &e));
    assert_refused(&e, KERR_INPUT, "expected 2 base32 characters, got 3",
                   text_from_base32(bytes_of_text("mym"), back, 1, &e));
    assert_refused(&e, KERR_INPUT, "expected 104 base32 characters, got 0",
                   text_from_base32(bytes_of_text(""), back, 65, &e));
    assert_int_equal(back[0], 7);
}

static void test_uuid(void **state)
{
    (void)state;
    uint8_t id[16];
    for (size_t i = 0; i < sizeof id; i++) {
        id[i] = (uint8_t)(i * 17);
    }
    char text[TEXT_UUID_BYTES];
    text_uuid(id, text);
    assert_string_equal(text, "00112233-4455-6677-8899-aabbccddeeff");
}

static void test_numbers(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t v = 0;
    assert_ok(&e, text_to_u64("5", "n", 5, 10, &v, &e));
    assert_int_equal(v, 5);
    assert_ok(&e, text_to_u64("0010", "n", 5, 10, &v, &e));
    assert_int_equal(v, 10);
    assert_ok(&e, text_to_u64("18446744073709551615", "n", 0, UINT64_MAX, &v, &e));
    assert_true(v == UINT64_MAX);
    static const char *const bad[] = {"",
                                      " 5",
                                      "5 ",
                                      "+5",
                                      "-5",
                                      "0x5",
                                      "5.0",
                                      "4",
                                      "11",
                                      "five",
                                      "18446744073709551616",
                                      "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_refused(&e, KERR_INPUT, "n: expected a whole number from 5 to 10",
                       text_to_u64(bad[i], "n", 5, 10, &v, &e));
    }
    assert_true(v == UINT64_MAX);
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"0", 0},        {"0s", 0},         {"250ms", 250},   {"30s", 30000},
                {"10m", 600000}, {"24h", 86400000}, {"7d", 604800000}};
    static const char *const bad[] = {"",    "s",  "10",  "-1s", "1.5s", "1 s", "1S",
                                      "1s ", "1w", "1sm", "8d",  "0x1s", "1us"};
    struct kerrinfo e = {0};
    uint64_t ms = 1;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_ok(&e, text_to_duration_ms(good[i].text, "d", 0, 604800000, &ms, &e));
        assert_int_equal(ms, good[i].ms);
    }
    ms = 1;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_refused(&e, KERR_INPUT, "d: expected a duration such as",
                       text_to_duration_ms(bad[i], "d", 0, 604800000, &ms, &e));
    }
    assert_refused(&e, KERR_INPUT, "from 0 ms to 18446744073709551615 ms",
                   text_to_duration_ms("213503982335d", "d", 0, UINT64_MAX, &ms, &e));
    assert_refused(&e, KERR_INPUT, "from 1 ms to 5 ms",
                   text_to_duration_ms("0", "d", 1, 5, &ms, &e));
    assert_int_equal(ms, 1);
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0}, {"1KiB", 1024}, {"512MiB", 536870912}, {"2GiB", 2147483648}};
    static const char *const bad[] = {"",       "MiB",   "10",   "-1MiB",
                                      "1.5GiB", "1 MiB", "1MB",  "1MiB ",
                                      "1mib",   "1TiB",  "5GiB", "18446744073709551615GiB"};
    struct kerrinfo e = {0};
    uint64_t bytes = 1;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_ok(&e, text_to_size(good[i].text, "s", 0, 4294967296, &bytes, &e));
        assert_int_equal(bytes, good[i].bytes);
    }
    bytes = 1;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_refused(&e, KERR_INPUT,
                       "s: expected a size such as 512MiB or 2GiB, from 0 MiB to 4096 MiB",
                       text_to_size(bad[i], "s", 0, 4294967296, &bytes, &e));
    }
    assert_refused(&e, KERR_INPUT, "from 2 MiB",
                   text_to_size("1MiB", "s", 2097152, 4294967296, &bytes, &e));
    assert_int_equal(bytes, 1);
}

static void test_modes(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint32_t mode = 1;
    assert_ok(&e, text_to_mode("0600", "m", &mode, &e));
    assert_int_equal(mode, 0600);
    assert_ok(&e, text_to_mode("777", "m", &mode, &e));
    assert_int_equal(mode, 0777);
    static const char *const bad[] = {"",     "7",   "77",   "1777", "00600",
                                      "0680", "rw-", "0x1f", "-600", " 600"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_refused(&e, KERR_INPUT, "m: expected an octal mode such as \"0600\"",
                       text_to_mode(bad[i], "m", &mode, &e));
    }
    assert_int_equal(mode, 0777);
}

static void test_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "abc\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x41",
                                      "\xc2\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xe1\x80",
                                      "\xe1\x80\x41",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf0\x90\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "ok\xfe"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(text_is_utf8(bytes_of_text(good[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(text_is_utf8(bytes_of_text(bad[i])));
    }
    assert_true(text_is_utf8(bytes_of("a\0b", 3)));
}

static void check_escaped(const char *text, size_t size, const char *want)
{
    char to[64];
    memset(to, '#', sizeof to);
    text_escape(bytes_of_text(text), to, size);
    assert_string_equal(to, want);
    assert_int_equal(to[size], '#');
}

static void test_escape(void **state)
{
    (void)state;
    check_escaped("", 1, "");
    check_escaped("plain ~", 60, "plain ~");
    check_escaped("a\"b\\c\n\x7f\xc3", 60, "a\\x22b\\x5cc\\x0a\\x7f\\xc3");
    check_escaped("abcdef", 7, "abcdef");
    check_escaped("abcdef", 6, "ab...");
    check_escaped("abcdef", 5, "a...");
    check_escaped("abcdef", 4, "...");
    check_escaped("abcdef", 3, "..");
    check_escaped("abcdef", 1, "");
    check_escaped("ab\x01", 7, "ab\\x01");
    check_escaped("ab\x01", 6, "ab...");
    check_escaped("ab\x01z", 7, "ab...");
    char to[4];
    text_escape(bytes_of("\0", 1), to, 0); /* nothing to write to */
    text_escape(bytes_of(NULL, 0), to, 0);
}

static const char *nearest(const char *word)
{
    static const char *const words[] = {"key", "keystore", "seal", "status", "config", "promote"};
    struct text_nearest n = {0};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        text_nearest_try(&n, bytes_of_text(word), words[i]);
    }
    return n.best == NULL ? "-" : n.best;
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"kye", "key"},
        {"keys", "key"},
        {"ke", "key"},
        {"keyst", "keystore"},
        {"keystroe", "keystore"},
        {"kystore", "keystore"},
        {"saal", "seal"},
        {"satus", "status"},
        {"promoote", "promote"},
        {"prmtoe", "promote"},
        {"cofnig", "config"},
        {"x", "-"},
        {"", "-"},
        {"zzz", "-"},
        {"list", "-"},
        {"stage", "-"},
        {"rotate", "-"},
        {"seal", "seal"},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        if (strcmp(nearest(pairs[i][0]), pairs[i][1]) != 0) {
            fail_msg("%s: %s, expected %s", pairs[i][0], nearest(pairs[i][0]), pairs[i][1]);
        }
    }
    /* Words over the maximum are passed over, not read beyond an array. */
    char large[TEXT_NEAREST_MAX + 2];
    memset(large, 'k', sizeof large);
    large[TEXT_NEAREST_MAX + 1] = 0;
    struct text_nearest n = {0};
    text_nearest_try(&n, bytes_of_text(large), "kkk");
    text_nearest_try(&n, bytes_of_text("kkk"), large);
    assert_null(n.best);
    large[TEXT_NEAREST_MAX] = 0;
    text_nearest_try(&n, bytes_of_text(large), large);
    assert_ptr_equal(n.best, large);
    assert_int_equal(n.distance, 0);
}

static void test_dup(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_TEXT a = NULL;
    AUTO_TEXT b = NULL;
    AUTO_TEXT c = NULL;
    assert_ok(&e, text_dup(bytes_of("abc", 2), &a, &e));
    assert_string_equal(a, "ab");
    assert_ok(&e, text_dup(bytes_of(NULL, 0), &b, &e));
    assert_string_equal(b, "");
    assert_refused(&e, KERR_INPUT, "NUL", text_dup(bytes_of("a\0b", 3), &c, &e));
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_base32),
        cmocka_unit_test(test_base32_refusals),
        cmocka_unit_test(test_uuid),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_dup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
