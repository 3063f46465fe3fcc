/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/wire.h"
#include "tests/lib/testlib.h"

static void test_fields(void **state)
{
    (void)state;
    static const uint8_t message[] = {0x08, 0x96, 0x01, 0x12, 0x02, 'h',  'i',  0x19, 1,
                                      2,    3,    4,    5,    6,    7,    8,    0x25, 1,
                                      2,    3,    4,    0xf8, 0xff, 0xff, 0xff, 0x0f, 0x00};
    struct wire w = wire_on(BYTES_OF(message));
    struct wire_field f;
    assert_true(wire_next(&w, &f) && f.number == 1 && f.type == WIRE_VARINT && f.varint == 150);
    assert_true(wire_next(&w, &f) && f.number == 2 && bytes_equal_text(f.data, "hi"));
    assert_true(wire_next(&w, &f) && f.number == 3 && f.type == WIRE_FIXED64 && f.data.len == 8);
    assert_true(wire_next(&w, &f) && f.number == 4 && f.type == WIRE_FIXED32 && f.data.len == 4);
    assert_true(wire_next(&w, &f) && f.number == (1U << 29) - 1 && f.varint == 0);
    assert_false(wire_next(&w, &f));
    assert_false(w.is_bad);
}

static void test_what_is_no_message(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[12];
        size_t len;
    } rows[] = {
        {{0x08}, 1},                               /* a number is missing */
        {{0x08, 0x80}, 2},                         /* it is cut */
        {{0x12, 0x03, 'h', 'i'}, 4},               /* bytes are cut */
        {{0x12, 0xff, 0xff, 0xff, 0x7f}, 5},       /* longer than anything */
        {{0x19, 1, 2, 3}, 4},                      /* eight bytes are cut */
        {{0x25, 1}, 2},                            /* four bytes are cut */
        {{0x00, 0x00}, 2},                         /* field 0 */
        {{0x0b, 0x0c}, 2},                         /* a group */
        {{0x0e, 0x01}, 2},                         /* a type that does not exist */
        {{0x80, 0x80, 0x80, 0x80, 0x10, 0x01}, 6}, /* field 2^29 */
        {{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 11}, /* 65 bits */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct wire w = wire_on(bytes_of(rows[i].bytes, rows[i].len));
        struct wire_field f;
        assert_false(wire_next(&w, &f));
        assert_true(w.is_bad);
        assert_false(wire_next(&w, &f));
    }
}

static void test_largest_number(void **state)
{
    (void)state;
    static const uint8_t most[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    struct wire w = wire_on(BYTES_OF(most));
    uint64_t value = 0;
    assert_true(wire_varint(&w, &value));
    assert_true(value == UINT64_MAX && w.at == sizeof most);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_what_is_no_message),
        cmocka_unit_test(test_largest_number),
    };
    return cmocka_run_group_tests_name("stored.wire", tests, NULL, NULL);
}
