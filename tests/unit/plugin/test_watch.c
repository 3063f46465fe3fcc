/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/watch.h"
#include "tests/lib/testlib.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

static struct kerrinfo e;
static char *parent;
static char *folder;
static struct loop *loop;
static struct watch *watch;
static unsigned told;

static void tell(void *ctx)
{
    (void)ctx;
    told++;
}

static int setup(void **state)
{
    (void)state;
    parent = test_folder_new();
    folder = test_path(parent, "store");
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_ok(&e, loop_new(&loop, &e));
    told = 0;
    watch = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    watch_free(watch);
    loop_free(loop);
    free(folder);
    test_folder_remove(parent);
    return 0;
}

static void start(void)
{
    assert_ok(&e, watch_new(loop, folder, "keystore", tell, NULL, &watch, &e));
}

static void turn_for(uint64_t ms)
{
    uint64_t until = clock_mono_ms() + ms;
    do {
        assert_ok(&e, loop_turn(loop, 5, &e));
    } while (clock_mono_ms() < until);
}

static void replace(const char *name)
{
    char *temp = test_path(folder, ".temp");
    char *to = test_path(folder, name);
    test_write_file(folder, ".temp", bytes_of_text("x"));
    assert_int_equal(rename(temp, to), 0);
    free(temp);
    free(to);
}

static void test_a_rename_over_the_name(void **state)
{
    (void)state;
    start();
    turn_for(100);
    assert_int_equal(told, 0);
    replace("keystore");
    turn_for(WATCH_SETTLE_MS + 100);
    assert_int_equal(told, 1);
    replace("keystore");
    turn_for(WATCH_SETTLE_MS + 100);
    assert_int_equal(told, 2);
}

static void test_writing_in_place(void **state)
{
    (void)state;
    start();
    test_write_file(folder, "keystore", bytes_of_text("x"));
    turn_for(WATCH_SETTLE_MS + 100);
    assert_int_equal(told, 1);
}

static void test_other_names_are_no_event(void **state)
{
    (void)state;
    start();
    replace("keystore.prev");
    replace("keystor");
    replace("keystore.accepted");
    test_write_file(folder, "keystore.lock", bytes_of_text(""));
    turn_for(WATCH_SETTLE_MS + 100);
    assert_int_equal(told, 0);
}

static void test_a_burst_is_one_event_and_comes_in_time(void **state)
{
    (void)state;
    start();
    for (int i = 0; i < 200; i++) {
        replace("keystore");
    }
    turn_for(WATCH_SETTLE_MS + 100);
    assert_in_range(told, 1, 3);
    /* A writer that never pauses does not keep it from being told. */
    told = 0;
    for (uint64_t until = clock_mono_ms() + 300; clock_mono_ms() < until;) {
        replace("keystore");
        assert_ok(&e, loop_turn(loop, 1, &e));
    }
    assert_true(told >= 2);
}

static void test_a_folder_that_comes_later(void **state)
{
    (void)state;
    bool is_new = false;
    assert_int_equal(rmdir(folder), 0);
    start();
    assert_refused(&e, KERR_NOTFOUND, "cannot watch", watch_renew(watch, &is_new, &e));
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_ok(&e, watch_renew(watch, &is_new, &e));
    assert_true(is_new);
    assert_ok(&e, watch_renew(watch, &is_new, &e));
    assert_false(is_new);
    replace("keystore");
    turn_for(WATCH_SETTLE_MS + 100);
    assert_int_equal(told, 1);
}

static void test_a_folder_that_is_replaced(void **state)
{
    (void)state;
    bool is_new = false;
    char *moved = test_path(parent, "moved");
    start();
    assert_int_equal(rename(folder, moved), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    turn_for(WATCH_SETTLE_MS + 100);
    assert_int_equal(told, 1);
    assert_ok(&e, watch_renew(watch, &is_new, &e));
    assert_true(is_new);
    turn_for(WATCH_SETTLE_MS + 50);
    told = 0;
    replace("keystore");
    turn_for(WATCH_SETTLE_MS + 100);
    assert_int_equal(told, 1);
    assert_int_equal(rmdir(moved), 0);
    free(moved);
}

static void test_a_folder_that_is_deleted(void **state)
{
    (void)state;
    bool is_new = false;
    start();
    assert_int_equal(rmdir(folder), 0);
    turn_for(WATCH_SETTLE_MS + 100);
    assert_int_equal(told, 1);
    assert_refused(&e, KERR_NOTFOUND, "", watch_renew(watch, &is_new, &e));
    watch_free(NULL);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_rename_over_the_name),    TEST(test_writing_in_place),
        TEST(test_other_names_are_no_event),  TEST(test_a_burst_is_one_event_and_comes_in_time),
        TEST(test_a_folder_that_comes_later), TEST(test_a_folder_that_is_replaced),
        TEST(test_a_folder_that_is_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
