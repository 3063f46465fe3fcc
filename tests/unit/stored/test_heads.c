/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/heads.h"
#include "tests/lib/testlib.h"

static size_t find(const struct heads *h, const char *data)
{
    return heads_find(h, bytes_of_text(data));
}

static void test_numbers_in_order(void **state)
{
    (void)state;
    struct heads h = {0};
    assert_int_equal(find(&h, "/registry/secrets/a"), HEADS_NONE);
    assert_int_equal(heads_add(&h, bytes_of_text("/registry/secrets/")), 0);
    assert_int_equal(heads_add(&h, bytes_of_text("/registry/pods/")), 1);
    assert_int_equal(find(&h, "/registry/pods/a"), 1);
    assert_int_equal(find(&h, "/registry/secrets/a"), 0);
    assert_int_equal(find(&h, "/registry/secrets/"), HEADS_NONE); /* nothing behind it */
    assert_int_equal(find(&h, "/registry/secret"), HEADS_NONE);
    assert_int_equal(find(&h, ""), HEADS_NONE);
}

static void test_limits(void **state)
{
    (void)state;
    struct heads h = {0};
    uint8_t data[HEAD_BYTES_MAX + 2] = {0};
    assert_int_equal(heads_add(&h, bytes_of(data, 0)), HEADS_NONE);
    assert_int_equal(heads_add(&h, bytes_of(data, HEAD_BYTES_MAX + 1)), HEADS_NONE);
    for (size_t i = 0; i < HEADS_MAX; i++) {
        data[0] = (uint8_t)i;
        assert_int_equal(heads_add(&h, bytes_of(data, HEAD_BYTES_MAX)), i);
    }
    data[0] = HEADS_MAX;
    assert_int_equal(heads_add(&h, bytes_of(data, HEAD_BYTES_MAX)), HEADS_NONE);
    for (size_t i = 0; i <= HEADS_MAX; i++) { /* each is still itself */
        data[0] = (uint8_t)i;
        assert_int_equal(heads_find(&h, bytes_of(data, HEAD_BYTES_MAX + 1)), i);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_in_order),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
