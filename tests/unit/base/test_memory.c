/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"
#include "tests/lib/testlib.h"

#define MIB ((uint64_t)1 << 20)

static struct kerrinfo e;

static void takes_up_to_its_maximum(void **state)
{
    (void)state;
    struct memory m = {.max = 10 * MIB, .used = 2 * MIB, .advice = "allow more"};
    assert_int_equal(memory_left(&m), 8 * MIB);
    assert_ok(&e, memory_take(&m, 8 * MIB, "a table", &e));
    assert_int_equal(memory_left(&m), 0);
    assert_refused(&e, KERR_NOMEM,
                   "a list of 1 MiB would go over the limit of memory: 10 of 10 MiB are taken; "
                   "allow more",
                   memory_take(&m, 1, "a list", &e));
    memory_give(&m, 3 * MIB);
    assert_refused(&e, KERR_NOMEM, "7 of 10 MiB", memory_take(&m, 3 * MIB + 1, "a list", &e));
    assert_refused(&e, KERR_NOMEM, "7 of 10 MiB", memory_take(&m, UINT64_MAX, "a list", &e));
    assert_ok(&e, memory_take(&m, 3 * MIB, "a list", &e));
}

static void what_is_given_twice_does_not_count_twice(void **state)
{
    (void)state;
    struct memory m = {.max = 10, .used = 4, .advice = ""};
    memory_give(&m, 5);
    assert_int_equal(memory_left(&m), 10);
    m.used = 11; /* it may begin with more than there is */
    assert_int_equal(memory_left(&m), 0);
}

static void without_a_limit(void **state)
{
    (void)state;
    assert_ok(&e, memory_take(NULL, UINT64_MAX, "all", &e));
    memory_give(NULL, 1);
    assert_true(memory_left(NULL) == UINT64_MAX);
}

static void room_is_of_the_limit(void **state)
{
    (void)state;
    struct memory m = {.max = 3 * MIB, .advice = "allow more"};
    struct memory_room room = {.ptr = NULL};
    memory_room_free(&room);
    assert_ok(&e, memory_room_new(&m, 2 * MIB, "a database", &room, &e));
    assert_int_equal(memory_left(&m), MIB);
    room.ptr[0] = room.ptr[2 * MIB - 1] = 1;
    struct memory_room second = {.ptr = NULL};
    assert_refused(&e, KERR_NOMEM, "a database of 2 MiB",
                   memory_room_new(&m, 2 * MIB, "a database", &second, &e));
    memory_room_free(&room);
    assert_null(room.ptr);
    assert_int_equal(memory_left(&m), 3 * MIB);
    assert_refused(&e, KERR_NOMEM, "no memory for a database",
                   memory_room_new(NULL, (size_t)1 << 60, "a database", &room, &e));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_up_to_its_maximum),
        cmocka_unit_test(what_is_given_twice_does_not_count_twice),
        cmocka_unit_test(without_a_limit),
        cmocka_unit_test(room_is_of_the_limit),
    };
    return cmocka_run_group_tests_name("base.memory", tests, NULL, NULL);
}
