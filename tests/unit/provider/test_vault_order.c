/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One linear order with provider vault, in both modes: once any call has answered with a new key
 * id, no call that begins later answers with an older one. Threads call while another one looks,
 * the key is rotated, and the service fails and is restored from a backup in between.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "provider/vault_wire.h"
#include "tests/unit/provider/fake_vault.h"
#include "tests/unit/provider/parts.h"

#define KEYS    40 /* versions */
#define CALLERS 4
/* Before every n-th rotation something happens to the service. */
#define DISTURBED 4

static char *folder;
static char path[256];
static struct config config;
static struct provider *p;
static char ids[KEYS][VAULT_WIRE_ID_BYTES]; /* in the order in which they wrap */

static const uint8_t seed[32] = "what kube-apiserver sends to us.";

static atomic_size_t newest; /* position of the newest id that any call has answered with */
static atomic_size_t regressions;
static atomic_size_t failures;
static atomic_size_t outages; /* calls that failed because the service did */
static atomic_size_t bad_looks;
static atomic_size_t calls;
static atomic_bool is_over;

static size_t position(const char *id)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(ids[i], id) == 0) {
            return i;
        }
    }
    return KEYS;
}

/* `seen`: what `newest` was when the call began. */
static void note(size_t seen, const char *id)
{
    size_t at = position(id);
    (void)atomic_fetch_add(&calls, 1);
    if (at == KEYS || at < seen) {
        (void)atomic_fetch_add(&regressions, 1);
        return;
    }
    size_t known = atomic_load(&newest);
    while (at > known && !atomic_compare_exchange_weak(&newest, &known, at)) {
    }
}

static void call_current(void)
{
    char id[PROVIDER_KEY_ID_MAX + 1];
    const char *health = NULL;
    size_t seen = atomic_load(&newest);
    if (provider_current(p, id, &health, NULL) == KERR_OK) {
        note(seen, id);
    } else {
        (void)atomic_fetch_add(&failures, 1);
    }
}

/* In mode direct a call fails while the service does, and only then. */
static void note_failure(enum kerr k)
{
    bool is_outage = k == KERR_DOWN && config.vault.mode == CONFIG_VAULT_DIRECT;
    (void)atomic_fetch_add(is_outage ? &outages : &failures, 1);
}

static void call_wrap_and_unwrap(void)
{
    struct provider_wrapped w;
    AUTO_SECRET out = NULL;
    const char *of_key = NULL;
    size_t seen = atomic_load(&newest);
    enum kerr k = provider_wrap(p, &parts_turn, BYTES_OF(seed), &w, NULL);
    if (k != KERR_OK) {
        note_failure(k);
        return;
    }
    note(seen, w.key_id);
    struct provider_annotations a = parts_annotations(&w);
    k = provider_unwrap(p, &parts_turn, bytes_of_text(w.key_id),
                        bytes_of(w.ciphertext, w.ciphertext_len), &a, &out, &of_key, NULL);
    if (k != KERR_OK) {
        note_failure(k);
    } else if (!bytes_equal(secret_view(out), BYTES_OF(seed))) {
        (void)atomic_fetch_add(&failures, 1);
    }
}

static void call_info(void)
{
    struct provider_info info;
    size_t seen = atomic_load(&newest);
    provider_info(p, &info);
    note(seen, info.current_key_id);
}

static void *run_caller(void *unused)
{
    (void)unused;
    while (!atomic_load(&is_over)) {
        call_current();
        call_wrap_and_unwrap();
        call_info();
    }
    return NULL;
}

static void *run_refresher(void *unused)
{
    (void)unused;
    while (!atomic_load(&is_over)) {
        bool is_changed = false;
        enum kerr k = provider_refresh(p, &is_changed, NULL);
        (void)atomic_fetch_add(&bad_looks, k != KERR_OK);
    }
    return NULL;
}

/* A look that began before has ended, and one after it. */
static void wait_for_looks(void)
{
    unsigned seen = atomic_load(&fake_vault.calls[FAKE_TEND]);
    while (atomic_load(&fake_vault.calls[FAKE_TEND]) < seen + 3) {
        (void)usleep(100);
    }
}

/* Between two rotations: the service fails at one of its functions, then it comes back from a
 * backup that knows of less (which in mode direct fails calls in ways of its own: test_vault.c). */
static void disturb(uint32_t latest)
{
    atomic_int *cause = &fake_vault.cause[latest / DISTURBED % FAKE_CALLS];
    atomic_store(cause, VAULT_SEALED);
    wait_for_looks();
    atomic_store(cause, VAULT_NONE);
    wait_for_looks();
    if (config.vault.mode == CONFIG_VAULT_HIERARCHY) {
        atomic_store(&fake_vault.latest, latest - 1);
        wait_for_looks();
        atomic_store(&fake_vault.latest, latest);
        wait_for_looks();
    }
}

static void rotate_all(void)
{
    for (uint32_t i = 1; i < KEYS; i++) {
        if (i % DISTURBED == 0) {
            disturb(i);
        }
        (void)fake_vault_rotate();
        /* Each version is to be seen before the next one takes its place. */
        while (atomic_load(&newest) < i) {
            (void)usleep(100);
        }
    }
}

static void open_as(enum config_vault_mode mode)
{
    struct kerrinfo e = {0};
    fake_vault_reset();
    (void)snprintf(path, sizeof path, "%s/state-%d", folder, (int)mode);
    config = parts_vault_config(mode, path);
    for (uint32_t i = 0; i < KEYS; i++) {
        const struct vault_wire_version version = {
            .number = i + 1, .created_at_s = atomic_load(&fake_vault.created_s[i + 1])};
        vault_wire_key_id(&config.vault, &version, ids[i]);
    }
    atomic_store(&newest, 0);
    atomic_store(&regressions, 0);
    atomic_store(&failures, 0);
    atomic_store(&outages, 0);
    atomic_store(&bad_looks, 0);
    atomic_store(&calls, 0);
    atomic_store(&is_over, false);
    assert_ok(&e, provider_open(&config, &p, &e));
    (void)parts_refresh(p);
}

static void run(enum config_vault_mode mode)
{
    pthread_t threads[CALLERS + 1];
    open_as(mode);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, i == 0 ? run_refresher : run_caller, NULL), 0);
    }
    rotate_all();
    atomic_store(&is_over, true);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    provider_close(p);
    print_message("%zu calls, %zu failed with the service; %zu bad looks\n", atomic_load(&calls),
                  atomic_load(&outages), atomic_load(&bad_looks));
    assert_true(atomic_load(&bad_looks) > 0);
    assert_int_equal(atomic_load(&regressions), 0);
    assert_int_equal(atomic_load(&failures), 0);
    assert_int_equal(atomic_load(&newest), KEYS - 1);
    assert_true(atomic_load(&calls) > KEYS);
}

static void no_key_id_ever_comes_back_in_mode_hierarchy(void **state)
{
    (void)state;
    run(CONFIG_VAULT_HIERARCHY);
    assert_int_equal(atomic_load(&outages), 0);
}

static void no_key_id_ever_comes_back_in_mode_direct(void **state)
{
    (void)state;
    run(CONFIG_VAULT_DIRECT);
}

static int start(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, secret_start(SECRET_LOCK_BEST_EFFORT, &e));
    folder = test_folder_new();
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_folder_remove(folder);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_id_ever_comes_back_in_mode_hierarchy),
        cmocka_unit_test(no_key_id_ever_comes_back_in_mode_direct),
    };
    return cmocka_run_group_tests_name("provider.vault_order", tests, start, end);
}
