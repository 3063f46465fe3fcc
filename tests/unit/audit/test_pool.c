/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/pool.h"

#include <pthread.h>
#include <stdatomic.h>

#include "tests/lib/testlib.h"

#define COUNT 10000

static atomic_uint calls[COUNT];
static atomic_uint inside[POOL_THREADS_MAX];
static unsigned plain[COUNT]; /* seen by the caller without a lock of its own */

static void note(void *ctx, unsigned worker, size_t index)
{
    assert_ptr_equal(ctx, calls);
    assert_int_equal(atomic_fetch_add(&inside[worker], 1), 0);
    atomic_fetch_add(&calls[index], 1);
    plain[index]++;
    atomic_fetch_sub(&inside[worker], 1);
}

static void every_index_once(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 15, 16, 17, 1000, COUNT};
    struct kerrinfo e = {0};
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct pool *p = NULL;
        assert_ok(&e, pool_new(threads, &p, &e));
        for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
            for (size_t j = 0; j < COUNT; j++) {
                atomic_store(&calls[j], 0);
                plain[j] = 0;
            }
            pool_start(p, counts[i], 16, note, calls);
            pool_wait(p);
            for (size_t j = 0; j < COUNT; j++) {
                assert_int_equal(atomic_load(&calls[j]), j < counts[i]);
                assert_int_equal(plain[j], j < counts[i]);
            }
        }
        pool_free(p);
    }
}

static void many_short_loops(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct pool *p = NULL;
    assert_ok(&e, pool_new(3, &p, &e));
    plain[0] = 0;
    atomic_store(&calls[0], 0);
    for (unsigned i = 0; i < 5000; i++) {
        pool_wait(p); /* for nothing */
        pool_start(p, 1, 1, note, calls);
        pool_wait(p);
    }
    assert_int_equal(plain[0], 5000);
    pool_free(p);
    pool_free(NULL);
}

/* An empty loop needs no wait. */
static void empty_loops(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct pool *p = NULL;
    assert_ok(&e, pool_new(4, &p, &e));
    atomic_store(&calls[0], 0);
    plain[0] = 0;
    for (unsigned i = 0; i < 20000; i++) {
        pool_start(p, 0, 16, note, calls);
        pool_start(p, 1, 1, note, calls);
        pool_wait(p);
    }
    assert_int_equal(plain[0], 20000);
    pool_free(p);
}

/* An audit that ends in the middle. */
static void freed_while_they_work(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    for (unsigned i = 0; i < 100; i++) {
        struct pool *p = NULL;
        assert_ok(&e, pool_new(3, &p, &e));
        pool_start(p, COUNT, 16, note, calls);
        pool_free(p);
    }
}

static unsigned starts_left;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *ctx);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *ctx);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *ctx)
{
    return starts_left == 0 ? 11 : (starts_left--, __real_pthread_create(thread, attr, run, ctx));
}

static void no_thread_can_be_started(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct pool *p = NULL;
    for (starts_left = 0; starts_left < 2;) {
        unsigned left = starts_left;
        assert_refused(&e, KERR_NOMEM, "cannot start a thread", pool_new(4, &p, &e));
        assert_null(p);
        starts_left = left + 1;
    }
    starts_left = 1000;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_thread_can_be_started), cmocka_unit_test(every_index_once),
        cmocka_unit_test(many_short_loops),         cmocka_unit_test(empty_loops),
        cmocka_unit_test(freed_while_they_work),
    };
    starts_left = 1000;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
