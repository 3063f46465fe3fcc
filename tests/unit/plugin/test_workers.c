/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/workers.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/testlib.h"

static struct kerrinfo e;
static atomic_size_t done;
static atomic_size_t at_once;
static atomic_size_t most_at_once;
static atomic_bool is_held;

struct counted {
    struct worker_job base;
    size_t number;
};

static void count(struct worker_job *job)
{
    size_t now = atomic_fetch_add(&at_once, 1) + 1;
    size_t most = atomic_load(&most_at_once);
    while (now > most && !atomic_compare_exchange_weak(&most_at_once, &most, now)) {
    }
    while (atomic_load(&is_held)) {
        (void)usleep(1000);
    }
    (void)atomic_fetch_sub(&at_once, 1);
    (void)atomic_fetch_add(&done, 1);
    free(job);
}

static enum kerr add(struct workers *w)
{
    struct counted *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->base.run = count;
    enum kerr k = workers_add(w, &job->base, NULL);
    if (k != KERR_OK) {
        free(job);
    }
    return k;
}

static int setup(void **state)
{
    (void)state;
    atomic_store(&done, 0);
    atomic_store(&most_at_once, 0);
    atomic_store(&is_held, false);
    return 0;
}

static void test_all_jobs_are_done_before_the_end(void **state)
{
    (void)state;
    struct workers *w = NULL;
    assert_ok(&e, workers_new(&w, &e));
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(add(w), KERR_OK);
    }
    workers_free(w);
    assert_int_equal(atomic_load(&done), 1000);
}

static void test_jobs_wait_side_by_side(void **state)
{
    (void)state;
    struct workers *w = NULL;
    atomic_store(&is_held, true);
    assert_ok(&e, workers_new(&w, &e));
    for (size_t i = 0; i < WORKERS_COUNT; i++) {
        assert_int_equal(add(w), KERR_OK);
    }
    while (atomic_load(&at_once) < WORKERS_COUNT) {
        (void)usleep(1000);
    }
    atomic_store(&is_held, false);
    workers_free(w);
    assert_int_equal(atomic_load(&most_at_once), WORKERS_COUNT);
}

static void test_too_many_jobs_are_refused(void **state)
{
    (void)state;
    struct workers *w = NULL;
    atomic_store(&is_held, true);
    assert_ok(&e, workers_new(&w, &e));
    for (size_t i = 0; i < WORKERS_COUNT; i++) {
        assert_int_equal(add(w), KERR_OK);
    }
    while (atomic_load(&at_once) < WORKERS_COUNT) {
        (void)usleep(1000);
    }
    for (size_t i = 0; i < WORKERS_JOBS_MAX; i++) {
        assert_int_equal(add(w), KERR_OK);
    }
    assert_int_equal(add(w), KERR_LIMIT);
    atomic_store(&is_held, false);
    workers_free(w);
    assert_int_equal(atomic_load(&done), WORKERS_COUNT + WORKERS_JOBS_MAX);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_all_jobs_are_done_before_the_end, setup),
        cmocka_unit_test_setup(test_jobs_wait_side_by_side, setup),
        cmocka_unit_test_setup(test_too_many_jobs_are_refused, setup),
    };
    return cmocka_run_group_tests_name("plugin.workers", tests, NULL, NULL);
}
