/* SPDX-License-Identifier: Apache-2.0 */
/* base/bytes.h: views, buffers with a maximum, big-endian readers and writers. */
#include <string.h>

#include "tests/lib/testlib.h"

static void test_views(void **state)
{
    (void)state;
    static const char text[] = "abc";
    assert_int_equal(bytes_of_text(text).len, 3);
    assert_ptr_equal(bytes_of(text, 2).ptr, text);
    assert_int_equal(BYTES_OF(text).len, 4);
    assert_true(bytes_equal(bytes_of(text, 3), bytes_of_text("abc")));
    assert_false(bytes_equal(bytes_of(text, 2), bytes_of_text("abc")));
    assert_false(bytes_equal(bytes_of_text("abd"), bytes_of_text("abc")));
    assert_true(bytes_equal(bytes_of(NULL, 0), bytes_of_text("")));
    assert_true(bytes_equal_text(bytes_of(text, 3), "abc"));
    assert_false(bytes_equal_text(bytes_of(text, 3), "ab"));
}

static void test_buffer_grows_to_its_maximum(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF b;
    buf_init(&b, 1000);
    for (int i = 0; i < 100; i++) {
        assert_ok(&e, buf_put_text(&b, "0123456789", &e));
    }
    assert_int_equal(b.len, 1000);
    assert_memory_equal(b.ptr + 990, "0123456789", 10);
    assert_refused(&e, KERR_LIMIT, "more than 1000 bytes", buf_put_text(&b, "x", &e));
    assert_refused(&e, KERR_LIMIT, "more than 1000 bytes", buf_printf(&b, &e, "%d", 7));
    uint8_t *to = NULL;
    assert_refused(&e, KERR_LIMIT, "more than 1000 bytes", buf_extend(&b, 1, &to, &e));
    assert_refused(&e, KERR_LIMIT, "more than 1000 bytes", buf_extend(&b, SIZE_MAX, &to, &e));
    assert_null(to);
    assert_int_equal(b.len, 1000);
    const char *text = NULL;
    assert_ok(&e, buf_text(&b, &text, &e));
    assert_int_equal(strlen(text), 1000);
    assert_ok(&e, buf_put(&b, bytes_of(NULL, 0), &e));
}

static void test_empty_buffers(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF b = {0};
    const char *text = NULL;
    assert_int_equal(buf_view(&b).len, 0);
    assert_ok(&e, buf_text(&b, &text, &e));
    assert_string_equal(text, "");
    assert_refused(&e, KERR_LIMIT, "more than 0 bytes", buf_put_text(&b, "x", &e));
    buf_done(&b);
    buf_done(&b);
    buf_done(NULL);
    buf_init(&b, 4);
    buf_done(&b);
    assert_int_equal(b.max, 4); /* may be used again */
    assert_ok(&e, buf_put_text(&b, "abcd", &e));
}

static void test_printf(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF b;
    buf_init(&b, 5000);
    assert_ok(&e, buf_printf(&b, &e, "%s-%d", "a", 5));
    assert_ok(&e, buf_printf(&b, &e, "%s", ""));
    assert_ok(&e, buf_printf(&b, &e, "%2000s", "x"));
    assert_int_equal(b.len, 2003);
    assert_memory_equal(b.ptr, "a-5 ", 4);
    uint8_t *to = NULL;
    assert_ok(&e, buf_extend(&b, 3, &to, &e));
    assert_ptr_equal(to, b.ptr + 2003);
    assert_int_equal(b.len, 2006);
}

static void test_writer(void **state)
{
    (void)state;
    uint8_t raw[32];
    struct writer w = writer_on(raw, sizeof raw);
    write_u8(&w, 0x01);
    write_u16(&w, 0x0203);
    write_u32(&w, 0x04050607);
    write_u64(&w, 0x08090a0b0c0d0e0f);
    write_lv16(&w, bytes_of_text("hi"));
    write_raw(&w, bytes_of(NULL, 0));
    static const uint8_t want[] = {1,  2,  3,  4,  5,  6, 7, 8,   9,  10,
                                   11, 12, 13, 14, 15, 0, 2, 'h', 'i'};
    assert_false(w.failed);
    assert_true(bytes_equal(writer_view(&w), BYTES_OF(want)));
}

static void test_writer_overflow(void **state)
{
    (void)state;
    uint8_t raw[4] = {9, 9, 9, 9};
    struct writer w = writer_on(raw, 3);
    write_u16(&w, 0x0102);
    write_u16(&w, 0x0304);
    assert_true(w.failed);
    write_u8(&w, 5); /* would fit, but nothing is written after a failure */
    assert_int_equal(w.len, 2);
    assert_int_equal(raw[2], 9);
    static uint8_t large[UINT16_MAX + 8];
    struct writer big = writer_on(large, sizeof large);
    write_lv16(&big, bytes_of(large, (size_t)UINT16_MAX + 1));
    assert_true(big.failed);
    assert_int_equal(big.len, 0);
    big = writer_on(large, 2 + UINT16_MAX);
    static const uint8_t zeros[UINT16_MAX];
    write_lv16(&big, BYTES_OF(zeros));
    assert_false(big.failed);
    assert_int_equal(big.len, 2 + UINT16_MAX);
}

static void test_reader(void **state)
{
    (void)state;
    static const uint8_t raw[] = {1,  2,  3,  4,  5, 6, 7,   8,   9, 10, 11,
                                  12, 13, 14, 15, 0, 2, 'h', 'i', 7, 8};
    struct reader r = reader_on(BYTES_OF(raw));
    assert_int_equal(read_u8(&r), 1);
    assert_int_equal(read_u16(&r), 0x0203);
    assert_int_equal(read_u32(&r), 0x04050607);
    assert_true(read_u64(&r) == 0x08090a0b0c0d0e0f);
    assert_true(bytes_equal_text(read_lv16(&r), "hi"));
    uint8_t two[2];
    assert_int_equal(reader_left(&r), 2);
    read_into(&r, two, sizeof two);
    assert_int_equal(two[1], 8);
    assert_int_equal(reader_left(&r), 0);
    assert_false(r.failed);
}

static void test_reader_beyond_the_end(void **state)
{
    (void)state;
    static const uint8_t raw[] = {0, 5, 'a', 'b', 'c'};
    struct reader r = reader_on(BYTES_OF(raw));
    (void)read_u8(&r);
    assert_int_equal(read_u64(&r), 0);
    assert_true(r.failed);
    assert_int_equal(r.at, 1);
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(read_u8(&r), 0); /* stays failed */
    assert_int_equal(r.at, 1);
    r = reader_on(BYTES_OF(raw));
    struct bytes none = read_lv16(&r);
    assert_true(r.failed);
    assert_int_equal(none.len, 0);
    assert_int_equal(r.at, 0); /* where the failing read began, before the length */
    uint8_t filled[3] = {7, 7, 7};
    r = reader_on(bytes_of(raw, 2));
    read_into(&r, filled, sizeof filled);
    assert_true(r.failed);
    assert_int_equal(filled[0] | filled[1] | filled[2], 0);
    r = reader_on(bytes_of(raw, 2));
    assert_int_equal(read_raw(&r, SIZE_MAX).len, 0);
    assert_true(r.failed);
    r = reader_on(bytes_of(NULL, 0));
    assert_int_equal(read_raw(&r, 0).len, 0);
    assert_false(r.failed);
}

static void test_appender_keeps_the_first_failure(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF b;
    buf_init(&b, 8);
    struct appender a = appender_on(&b, &e);
    append_text(&a, "ab");
    append_printf(&a, "%d-%s", 12, "x");
    append_bytes(&a, bytes_of("yz", 1));
    assert_int_equal(a.k, KERR_OK);
    assert_true(bytes_equal_text(buf_view(&b), "ab12-xy"));
    append_printf(&a, "%s", "too long");
    assert_int_equal(a.k, KERR_LIMIT);
    assert_int_equal(e.code, KERR_LIMIT);
    append_text(&a, "z"); /* would fit, but comes behind what did not */
    append_printf(&a, "%d", 1);
    append_bytes(&a, bytes_of("z", 1));
    assert_true(bytes_equal_text(buf_view(&b), "ab12-xy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_buffer_grows_to_its_maximum),
        cmocka_unit_test(test_empty_buffers),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_writer_overflow),
        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_reader_beyond_the_end),
        cmocka_unit_test(test_appender_keeps_the_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
