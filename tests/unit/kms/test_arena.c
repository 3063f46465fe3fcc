/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/testlib.h"

#include <stdlib.h>
#include <string.h>

#include "kms/arena.h"

/* The n-th allocation from now on fails; 0: none. */
static int fail_at;

static bool must_fail(void)
{
    return fail_at > 0 && fail_at-- == 1;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __real_calloc(count, size);
}

/* Looks at what is given back. */
static const uint8_t *watched;
static size_t watched_len;
static bool watched_came_wiped;

void __real_free(void *ptr);
void __wrap_free(void *ptr);
void __wrap_free(void *ptr)
{
    const uint8_t *at = ptr;
    if (watched != NULL && at != NULL && at <= watched && watched - at < 4096) {
        watched_came_wiped = true;
        for (size_t i = 0; i < watched_len; i++) {
            watched_came_wiped = watched_came_wiped && watched[i] == 0;
        }
        watched = NULL;
    }
    __real_free(ptr);
}

static struct kerrinfo e;

static void blocks_are_aligned_and_apart(void **state)
{
    (void)state;
    struct arena *a = NULL;
    assert_ok(&e, arena_new(ARENA_MAX_BYTES, &a, &e));
    uint8_t *blocks[200];
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        blocks[i] = arena_alloc(a, i);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        memset(blocks[i], (int)i, i);
    }
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        for (size_t j = 0; j < i; j++) {
            assert_int_equal(blocks[i][j], i);
        }
    }
    assert_int_equal(arena_failure(a), KERR_OK);
    arena_free(a);
    arena_free(NULL);
}

static void the_maximum_holds(void **state)
{
    (void)state;
    struct arena *a = NULL;
    assert_ok(&e, arena_new(10000, &a, &e));
    assert_non_null(arena_alloc(a, 9000));
    assert_null(arena_alloc(a, 1000));
    assert_int_equal(arena_failure(a), KERR_LIMIT);
    arena_free(a);

    static const size_t huge[] = {10001, SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 40};
    for (size_t i = 0; i < ARRAY_LEN(huge); i++) {
        assert_ok(&e, arena_new(10000, &a, &e));
        assert_null(arena_alloc(a, huge[i]));
        assert_int_equal(arena_failure(a), KERR_LIMIT);
        assert_non_null(arena_alloc(a, 100));
        arena_free(a);
    }

    size_t count = 0;
    assert_ok(&e, arena_new(ARENA_MAX_BYTES, &a, &e));
    while (arena_alloc(a, 1) != NULL) {
        count++;
    }
    assert_in_range(count, ARENA_MAX_BYTES / 64, ARENA_MAX_BYTES / 16);
    arena_free(a);
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    struct arena *a = NULL;
    fail_at = 1;
    assert_refused(&e, KERR_NOMEM, "no memory", arena_new(1000, &a, &e));
    assert_null(a);
    assert_ok(&e, arena_new(ARENA_MAX_BYTES, &a, &e));
    fail_at = 1;
    assert_null(arena_alloc(a, 10));
    assert_int_equal(arena_failure(a), KERR_NOMEM);
    arena_free(a);
}

static void what_is_given_back_is_wiped(void **state)
{
    (void)state;
    struct arena *a = NULL;
    assert_ok(&e, arena_new(ARENA_MAX_BYTES, &a, &e));
    uint8_t *first = arena_alloc(a, 33);
    uint8_t *second = arena_alloc(a, 33);
    memset(first, 'x', 33);
    memset(second, 'y', 33);
    arena_wipe(a, first);
    for (size_t i = 0; i < 33; i++) {
        assert_int_equal(first[i], 0);
        assert_int_equal(second[i], 'y');
    }
    arena_wipe(a, NULL);
    watched = second;
    watched_len = 33;
    arena_free(a);
    assert_true(watched_came_wiped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_apart),
        cmocka_unit_test(the_maximum_holds),
        cmocka_unit_test(without_memory_it_says_so),
        cmocka_unit_test(what_is_given_back_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
