/* SPDX-License-Identifier: Apache-2.0 */
/* One client and many threads. Not for valgrind, which runs them one at a time. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/lib/testlib.h"
#include "tests/unit/vault/fake.h"
#include "vault/vault.h"

static struct fake one;
static struct kerrinfo e;
static char *folder;
static char *role_id;
static char *secret_id;
static struct config_vault config;
static char transit[] = "transit";
static char key[] = "k";
static char approle[] = "approle";

static struct vault_try within(unsigned ms)
{
    return (struct vault_try){.until_ms = clock_mono_ms() + ms, .cause = VAULT_CAUSE_COUNT};
}

static int start(void **state)
{
    (void)state;
    folder = test_folder_new();
    role_id = test_path(folder, "role-id");
    secret_id = test_path(folder, "secret-id");
    test_write_file(folder, "role-id", bytes_of_text("the-role-id"));
    test_write_file(folder, "secret-id", bytes_of_text("the-secret-id"));
    fake_start(&one, folder, "one.sock");
    config = (struct config_vault){
        .addresses = {one.address},
        .address_count = 1,
        .mount = transit,
        .key = key,
        .auth = {.kind = CONFIG_LOGIN_APPROLE,
                 .mount = approle,
                 .role_id_file = role_id,
                 .secret_id_file = secret_id},
    };
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fake_stop(&one);
    free(role_id);
    free(secret_id);
    test_folder_remove(folder);
    return 0;
}

static struct vault *client(void)
{
    struct vault *v = NULL;
    assert_ok(&e, vault_open(&config, &v, &e));
    return v;
}

static enum kerr encrypt(struct vault *v, struct vault_try *t, struct kerrinfo *why)
{
    AUTO_BUF sealed = {0};
    return vault_encrypt(v, t, 2, bytes_of_text("aad"), bytes_of_text("seed"), &sealed, why);
}

static uint64_t tend(struct vault *v)
{
    struct vault_try t = within(3000);
    uint64_t due = 0;
    assert_ok(&e, vault_tend(v, &t, &due, &e));
    return due;
}

static struct vault_info info(struct vault *v)
{
    struct vault_info i;
    vault_info(v, &i);
    return i;
}

static void sleep_ms(uint64_t ms)
{
    (void)usleep((unsigned)ms * 1000);
}

struct caller {
    struct vault *v;
    atomic_bool is_over;
    atomic_uint calls;
    atomic_uint failed;
};

static void *call_often(void *ctx)
{
    struct caller *c = ctx;
    while (!c->is_over) {
        struct vault_try t = within(10000);
        c->failed += encrypt(c->v, &t, NULL) != KERR_OK;
        c->calls++;
    }
    return NULL;
}

/* Many calls, a token that is revoked in their middle, somebody who tends: one login each. The
 * pauses are longer than a call, since one that meets two revocations may fail. */
static void test_one_login_for_many_threads(void **state)
{
    (void)state;
    AUTO_VAULT v = client();
    pthread_t threads[12];
    struct caller caller = {.v = v};
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &caller), 0);
    }
    for (unsigned i = 1; i <= 3; i++) {
        sleep_ms(300);
        one.oldest = i + 1;
        (void)tend(v);
        (void)info(v);
    }
    sleep_ms(300);
    caller.is_over = true;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(caller.failed, 0);
    assert_int_equal(one.logins, 4);
    assert_true(caller.calls > 4 * ARRAY_LEN(threads));
    assert_int_equal(info(v).calls, one.requests);
}

static int setup_all(void **state)
{
    (void)state;
    return secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_login_for_many_threads),
    };
    return cmocka_run_group_tests(tests, setup_all, NULL);
}
