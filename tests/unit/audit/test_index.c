/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/index.h"
#include "tests/lib/testlib.h"

#define MANY 20000

static struct kerrinfo e;

static uint64_t hash_of(uint64_t number)
{
    return index_hash(index_seed(), bytes_of(&number, sizeof number));
}

static bool is_number(const void *ctx, uint64_t value)
{
    return *(const uint64_t *)ctx == value;
}

static void test_finds_what_was_added(void **state)
{
    (void)state;
    AUTO_INDEX x = {.size = 0};
    assert_null(index_find(&x, hash_of(1), NULL, NULL));
    for (uint64_t i = 0; i < MANY; i++) {
        assert_ok(&e, index_add(&x, hash_of(i), i, &e));
    }
    assert_true(x.count == MANY && x.count * 4 <= x.size * 3);
    for (uint64_t i = 0; i < 2 * MANY; i++) {
        const uint64_t *found = index_find(&x, hash_of(i), NULL, NULL);
        assert_int_equal(found != NULL, i < MANY);
        assert_true(found == NULL || *found == i);
    }
}

static void test_tells_equal_hashes_apart(void **state)
{
    (void)state;
    AUTO_INDEX x = {.size = 0};
    for (uint64_t i = 1; i <= 2000; i++) {
        assert_ok(&e, index_add(&x, 42, i, &e));
    }
    for (uint64_t i = 1; i <= 2001; i++) {
        uint64_t *found = index_find(&x, 42, is_number, &i);
        assert_int_equal(found != NULL, i <= 2000);
    }
    uint64_t one = 1;
    *index_find(&x, 42, is_number, &one) = 5000;
    assert_null(index_find(&x, 42, is_number, &one));
}

static void test_hash(void **state)
{
    (void)state;
    uint64_t seed = index_seed();
    const struct bytes a = bytes_of_text("a");
    const struct bytes none = bytes_of(NULL, 0);
    assert_true(index_hash(seed, a) == index_hash(seed, a));
    assert_true(index_hash(seed, a) != index_hash(seed, bytes_of("a\0", 2)));
    assert_true(index_hash(seed, a) != index_hash(index_hash(seed, a), none));
    assert_true(index_hash(index_hash(seed, a), bytes_of_text("bc")) !=
                index_hash(index_hash(seed, bytes_of_text("ab")), bytes_of_text("c")));
    for (uint64_t i = 0; i < MANY; i++) {
        assert_true(hash_of(i) != 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_what_was_added),
        cmocka_unit_test(test_tells_equal_hashes_apart),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests_name("audit.index", tests, NULL, NULL);
}
