/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One linear order: once any call has answered with a new key id, no call that begins later answers
 * with an older one. Threads call while another one refreshes and the test promotes key after key.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/provider/parts.h"

#define KEYS    30
#define CALLERS 4

static struct ks_fixture f;
static struct provider *p;
static char ids[KEYS][KS_KEY_ID_TEXT]; /* in the order in which they become primary */

static const uint8_t seed[32] = "what kube-apiserver sends to us.";

static atomic_size_t newest; /* position of the newest id that any call has answered with */
static atomic_size_t regressions;
static atomic_size_t failures;
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

static void call_wrap_and_unwrap(void)
{
    struct provider_wrapped w;
    AUTO_SECRET out = NULL;
    const char *of_key = NULL;
    size_t seen = atomic_load(&newest);
    if (provider_wrap(p, &parts_turn, BYTES_OF(seed), &w, NULL) == KERR_OK) {
        note(seen, w.key_id);
    } else {
        (void)atomic_fetch_add(&failures, 1);
    }
    if (provider_unwrap(p, &parts_turn, bytes_of_text(w.key_id),
                        bytes_of(w.ciphertext, w.ciphertext_len), &parts_none, &out, &of_key,
                        NULL) != KERR_OK ||
        !bytes_equal(secret_view(out), BYTES_OF(seed))) {
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
        if (provider_refresh(p, &is_changed, NULL) != KERR_OK) {
            (void)atomic_fetch_add(&failures, 1);
        }
    }
    return NULL;
}

static void make_keys(void)
{
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    ks_key_id_text(f.first_key, ids[0]);
    for (size_t i = 1; i < KEYS; i++) {
        enum suite suite = i % 2 == 0 ? SUITE_XAES_256_GCM : SUITE_KBKDF_AES_256_GCM;
        assert_ok(&e, ks_stage_key(&f.place, suite, id, &e));
        ks_key_id_text(id, ids[i]);
    }
}

static void promote_all(void)
{
    struct kerrinfo e = {0};
    for (size_t i = 1; i < KEYS; i++) {
        uint8_t id[KS_ID_BYTES];
        struct ks_command_args args = {.now_s = 1000 + i};
        assert_ok(&e, ks_key_id_parse(bytes_of_text(ids[i]), id, &e));
        assert_ok(&e, ks_run_command(&f.place, KS_PROMOTE, id, &args, NULL, &e));
        /* Each key is to be seen before the next one takes its place. */
        while (atomic_load(&newest) < i) {
            (void)usleep(100);
        }
    }
}

static void no_key_id_ever_comes_back(void **state)
{
    (void)state;
    pthread_t threads[CALLERS + 1];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, i == 0 ? run_refresher : run_caller, NULL), 0);
    }
    promote_all();
    atomic_store(&is_over, true);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&regressions), 0);
    assert_int_equal(atomic_load(&failures), 0);
    assert_int_equal(atomic_load(&newest), KEYS - 1);
    assert_true(atomic_load(&calls) > KEYS);
}

static int start(void **state)
{
    (void)state;
    static struct config config;
    struct kerrinfo e = {0};
    ks_fixture_init(&f, 1);
    config = parts_config(f.path);
    make_keys();
    assert_ok(&e, provider_open(&config, &p, &e));
    (void)parts_refresh(p);
    return 0;
}

static int end(void **state)
{
    (void)state;
    provider_close(p);
    ks_fixture_end(&f);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_id_ever_comes_back),
    };
    return cmocka_run_group_tests_name("provider.local_order", tests, start, end);
}
