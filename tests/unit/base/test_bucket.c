/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bucket.h"
#include "tests/lib/testlib.h"

static unsigned take_many(struct bucket *b, uint64_t now_ms, unsigned tries)
{
    unsigned got = 0;
    for (unsigned i = 0; i < tries; i++) {
        got += bucket_take(b, now_ms);
    }
    return got;
}

static void test_bucket_gives_its_burst_then_its_rate(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, 10, 5, 1000);
    assert_int_equal(take_many(&b, 1000, 100), 5);
    assert_int_equal(take_many(&b, 1099, 100), 0);
    assert_int_equal(take_many(&b, 1100, 100), 1);
    assert_int_equal(take_many(&b, 1400, 100), 3);
    assert_int_equal(take_many(&b, 1000000, 100), 5);
}

static void test_bucket_of_a_low_rate(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, 1, 1, 0);
    assert_int_equal(take_many(&b, 0, 3), 1);
    unsigned got = 0;
    for (uint64_t now = 1; now <= 10000; now++) {
        got += bucket_take(&b, now);
    }
    assert_int_equal(got, 10);
}

static void test_bucket_without_rate_lets_all_pass(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, 0, 0, 0);
    assert_int_equal(take_many(&b, 0, 1000), 1000);
}

static void test_bucket_survives_odd_clocks(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, UINT32_MAX, UINT32_MAX, UINT64_MAX - 5);
    assert_true(bucket_take(&b, UINT64_MAX));
    assert_true(bucket_take(&b, 0));
    bucket_init(&b, 1, 1, 5000);
    assert_true(bucket_take(&b, 5000));
    assert_false(bucket_take(&b, 100));
    assert_true(bucket_take(&b, 1100));
}

static void test_bucket_takes_back_up_to_its_burst(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, 1, 2, 0);
    assert_int_equal(take_many(&b, 0, 10), 2);
    bucket_give_back(&b);
    assert_int_equal(take_many(&b, 0, 10), 1);
    for (int i = 0; i < 10; i++) {
        bucket_give_back(&b);
    }
    assert_int_equal(take_many(&b, 0, 10), 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket_gives_its_burst_then_its_rate),
        cmocka_unit_test(test_bucket_of_a_low_rate),
        cmocka_unit_test(test_bucket_without_rate_lets_all_pass),
        cmocka_unit_test(test_bucket_survives_odd_clocks),
        cmocka_unit_test(test_bucket_takes_back_up_to_its_burst),
    };
    return cmocka_run_group_tests_name("base.bucket", tests, NULL, NULL);
}
