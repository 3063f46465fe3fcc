/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/loader.h"
#include "tests/lib/testlib.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/plugin/fake_provider.h"

static struct kerrinfo e;
static struct provider *provider;
static struct loader *loader;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    provider = fake_open();
    assert_ok(&e, loader_new(provider, &loader, &e));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_true(loader_stop(loader, 5000));
    provider_close(provider);
    return 0;
}

static struct loader_result next_result(void)
{
    struct loader_result r;
    struct pollfd p = {.fd = loader_fd(loader), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_true(loader_take(loader, &r));
    return r;
}

static void assert_no_result(void)
{
    struct loader_result r;
    struct pollfd p = {.fd = loader_fd(loader), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 30), 0);
    assert_false(loader_take(loader, &r));
}

static void test_results(void **state)
{
    (void)state;
    assert_no_result();
    loader_ask(loader, RELOAD_START);
    struct loader_result r = next_result();
    assert_int_equal(r.reason, RELOAD_START);
    assert_int_equal(r.result, RELOAD_CHANGED);
    loader_ask(loader, RELOAD_POLL);
    r = next_result();
    assert_int_equal(r.reason, RELOAD_POLL);
    assert_int_equal(r.result, RELOAD_UNCHANGED);
    atomic_store(&fake.refresh_code, KERR_UNTRUSTED);
    loader_ask(loader, RELOAD_WATCH);
    r = next_result();
    assert_int_equal(r.reason, RELOAD_WATCH);
    assert_int_equal(r.result, RELOAD_FAILED);
    assert_int_equal(r.cause.code, KERR_UNTRUSTED);
    assert_non_null(strstr(r.cause.text, "does not refresh"));
    assert_no_result();
}

static void test_asks_while_it_works_are_joined(void **state)
{
    (void)state;
    atomic_store(&fake.refresh_ms, 60);
    loader_ask(loader, RELOAD_POLL);
    (void)usleep(20000);
    for (int i = 0; i < 50; i++) {
        loader_ask(loader, i == 20 ? RELOAD_SIGNAL : RELOAD_POLL);
    }
    struct loader_result r = next_result();
    assert_int_equal(r.reason, RELOAD_POLL);
    assert_true(r.took_ms >= 59);
    r = next_result();
    assert_int_equal(r.reason, RELOAD_SIGNAL);
    assert_no_result();
    assert_int_equal(atomic_load(&fake.refreshes), 2);
    loader_ask(loader, RELOAD_POLL);
    assert_int_equal(next_result().reason, RELOAD_POLL);
}

/* A result that nobody took yet is not overwritten. */
static void test_each_result_is_told(void **state)
{
    (void)state;
    loader_ask(loader, RELOAD_START);
    (void)usleep(50000);
    atomic_store(&fake.refresh_code, KERR_IO);
    loader_ask(loader, RELOAD_POLL);
    (void)usleep(50000);
    assert_int_equal(atomic_load(&fake.refreshes), 1);
    assert_int_equal(next_result().result, RELOAD_CHANGED);
    assert_int_equal(next_result().result, RELOAD_FAILED);
}

static void test_stop_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct loader *busy = NULL;
    assert_ok(&e, loader_new(provider, &busy, &e));
    atomic_store(&fake.refresh_ms, 300);
    loader_ask(busy, RELOAD_POLL);
    (void)usleep(50000);
    uint64_t began = clock_mono_ms();
    assert_false(loader_stop(busy, 20));
    assert_true(clock_mono_ms() - began < 200);
    assert_true(loader_stop(busy, 5000));
    assert_true(loader_stop(NULL, 0));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_results),
        TEST(test_asks_while_it_works_are_joined),
        TEST(test_each_result_is_told),
        TEST(test_stop_does_not_wait_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
