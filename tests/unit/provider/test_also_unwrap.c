/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several providers behind one another, as a cluster has them while it moves from one to the other:
 * whichever stands first wraps, what either has stored is read, and what is wrong with the one
 * behind is a warning.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider/provider_ops.h"
#include "tests/unit/provider/fake_vault.h"
#include "tests/unit/provider/parts.h"

static struct ks_fixture f;
static struct kerrinfo e;
static char state_path[256];
static struct config config;
static struct provider *p;

static const uint8_t seed[32] = "what kube-apiserver sends to us.";
static const enum config_provider kinds[] = {CONFIG_PROVIDER_LOCAL, CONFIG_PROVIDER_VAULT};
static const char *const names[] = {"local", "vault"};
static const char *const prefixes[] = {"es1-", "esv1-"};

static int setup(void **state)
{
    (void)state;
    ks_fixture_init(&f, 1);
    fake_vault_reset();
    (void)snprintf(state_path, sizeof state_path, "%s/vault-keks", f.folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    provider_close(p);
    p = NULL;
    ks_fixture_end(&f);
    return 0;
}

/* The first one wraps, the other one stands behind it; not refreshed yet. */
static void open_with_first(size_t first)
{
    provider_close(p);
    p = NULL;
    config = parts_vault_config(CONFIG_VAULT_HIERARCHY, state_path);
    config.keystore_path = f.path;
    config.provider = kinds[first];
    config.also_unwrap = 1U << kinds[1 - first];
    assert_ok(&e, provider_open(&config, &p, &e));
}

static void serve_with_first(size_t first)
{
    open_with_first(first);
    assert_true(parts_refresh(p));
}

/* What a node stores that has only this provider. */
static struct provider_wrapped stored_by(size_t kind)
{
    char path[300];
    struct provider *alone = NULL;
    (void)snprintf(path, sizeof path, "%s.alone", state_path);
    struct config its = parts_vault_config(CONFIG_VAULT_HIERARCHY, path);
    its.keystore_path = f.path;
    its.provider = kinds[kind];
    assert_ok(&e, provider_open(&its, &alone, &e));
    (void)parts_refresh(alone);
    struct provider_wrapped w = parts_wrap(alone, BYTES_OF(seed));
    provider_close(alone);
    return w;
}

static struct provider_info info(void)
{
    static struct provider_info i;
    provider_info(p, &i);
    return i;
}

static enum kerr unwrap(const struct provider_wrapped *w, const char **ret_state)
{
    struct provider_annotations a = parts_annotations(w);
    kerr_clear(&e);
    return parts_unwrap_with(p, &a, w->key_id, bytes_of(w->ciphertext, w->ciphertext_len),
                             BYTES_OF(seed), ret_state, &e);
}

static enum kerr code_of(const struct provider_wrapped *w)
{
    const char *state = NULL;
    return unwrap(w, &state);
}

/* ---- all is well ---- */

static void the_first_one_wraps_and_both_read(void **state)
{
    (void)state;
    struct provider_wrapped stored[] = {stored_by(0), stored_by(1)};
    for (size_t first = 0; first < 2; first++) {
        const char *of_key = NULL;
        serve_with_first(first);
        struct provider_wrapped w = parts_wrap(p, BYTES_OF(seed));
        assert_int_equal(strncmp(w.key_id, prefixes[first], strlen(prefixes[first])), 0);
        assert_string_equal(parts_current(p), w.key_id);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(strncmp(stored[i].key_id, prefixes[i], strlen(prefixes[i])), 0);
            assert_int_equal(unwrap(&stored[i], &of_key), KERR_OK);
        }
        assert_true(provider_may_wait(p));
    }
}

static void a_cluster_moves_and_comes_back(void **state)
{
    (void)state;
    static const size_t firsts[] = {0, 1, 0, 1};
    struct provider_wrapped stored[ARRAY_LEN(firsts)];
    for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
        const char *of_key = NULL;
        serve_with_first(firsts[i]);
        stored[i] = parts_wrap(p, BYTES_OF(seed));
        for (size_t j = 0; j <= i; j++) {
            assert_int_equal(unwrap(&stored[j], &of_key), KERR_OK);
        }
    }
    /* One provider, one key id, whenever it wrapped. */
    assert_string_equal(stored[0].key_id, stored[2].key_id);
    assert_string_equal(stored[1].key_id, stored[3].key_id);
}

/* A value of one is not to be had from the other by its form. */
static void a_key_id_decides_who_reads(void **state)
{
    (void)state;
    struct provider_wrapped stored[] = {stored_by(0), stored_by(1)};
    for (size_t first = 0; first < 2; first++) {
        serve_with_first(first);
        for (size_t i = 0; i < 2; i++) {
            struct provider_wrapped mixed = stored[i];
            memcpy(mixed.key_id, stored[1 - i].key_id, sizeof mixed.key_id);
            assert_int_equal(code_of(&mixed), KERR_INTEGRITY);
        }
    }
}

static void an_id_of_nobody_is_asked_of_the_first(void **state)
{
    (void)state;
    static const char *const ids[] = {"x", "es", "es1", "ESV1-", "other-plugin-key"};
    unsigned before = 0;
    for (size_t first = 0; first < 2; first++) {
        serve_with_first(first);
        before = fake_vault_calls();
        for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
            const char *of_key = NULL;
            assert_refused(&e, KERR_KEYID, "",
                           parts_unwrap(p, ids[i], BYTES_OF(seed), BYTES_OF(seed), &of_key, &e));
            assert_null(of_key);
        }
        assert_int_equal(fake_vault_calls(), before);
    }
}

static size_t count_state(const struct provider_info *i, const char *prefix, const char *state)
{
    size_t count = 0;
    for (size_t k = 0; k < i->key_count; k++) {
        count += strncmp(i->keys[k].id, prefix, strlen(prefix)) == 0 &&
                 strcmp(i->keys[k].state, state) == 0;
    }
    return count;
}

static void people_see_both(void **state)
{
    (void)state;
    for (size_t first = 0; first < 2; first++) {
        serve_with_first(first);
        struct provider_info i = info();
        assert_string_equal(i.name, names[first]);
        assert_string_equal(i.warning, "");
        assert_true(i.is_serving);
        assert_int_equal(i.key_count, 2);
        assert_int_equal(count_state(&i, prefixes[first], "primary"), 1);
        assert_int_equal(count_state(&i, prefixes[1 - first], "retired"), 1);
        assert_string_equal(i.current_key_id, parts_current(p));
        assert_true(i.remote.is_there);
        assert_string_equal(i.remote.state, "serving");
        assert_int_equal(i.keeps_backup, first == 0); /* it is the wrapping key's backup */
    }
}

static void both_are_watched_and_looked_after(void **state)
{
    (void)state;
    for (size_t first = 0; first < 2; first++) {
        const char *folder = NULL;
        const char *name = NULL;
        uint64_t due_ms = 0;
        serve_with_first(first);
        assert_true(provider_watch(p, &folder, &name));
        assert_string_equal(name, "keystore");
        assert_true(provider_due(p, &due_ms));
        assert_int_equal(due_ms, config.vault.poll_ms);
        assert_false(parts_refresh(p));
        (void)fake_vault_rotate();
        assert_true(parts_refresh(p)); /* whichever of them changed */
    }
}

/* ---- one of them cannot be used ---- */

static void a_service_that_is_away_behind_is_a_warning(void **state)
{
    (void)state;
    struct provider_wrapped stored[] = {stored_by(0), stored_by(1)};
    uint64_t due_ms = 0;
    fake_vault_fail(VAULT_CONNECT);
    serve_with_first(0);
    assert_string_equal(parts_current(p), stored[0].key_id);
    assert_int_equal(code_of(&stored[0]), KERR_OK);
    assert_int_equal(code_of(&stored[1]), KERR_DOWN);
    struct provider_info i = info();
    assert_true(i.is_serving);
    assert_non_null(strstr(i.warning, "also_unwrap: vault: "));
    assert_non_null(strstr(i.warning, "start the server"));
    assert_string_equal(i.remote.state, "starting");
    assert_true(provider_due(p, &due_ms));
    assert_true(due_ms <= 1000); /* it is tried again soon, the keystore's poll or not */
    fake_vault_fail(VAULT_NONE);
    assert_true(parts_refresh(p));
    assert_int_equal(code_of(&stored[1]), KERR_OK);
    assert_string_equal(info().warning, "");
}

static void a_keystore_that_does_not_open_behind_is_a_warning(void **state)
{
    (void)state;
    struct provider_wrapped stored[] = {stored_by(0), stored_by(1)};
    AUTO_BUF keystore = test_read_file(f.folder, "keystore");
    keystore.ptr[keystore.len - 1] ^= 1;
    test_write_file(f.folder, "keystore", buf_view(&keystore));
    serve_with_first(1);
    assert_string_equal(parts_current(p), stored[1].key_id);
    assert_int_equal(code_of(&stored[1]), KERR_OK);
    enum kerr k = code_of(&stored[0]);
    assert_true(k == KERR_SEALED || k == KERR_UNSEALING);
    struct provider_info i = info();
    assert_true(i.is_serving);
    assert_false(i.is_sealed_final);
    assert_non_null(strstr(i.warning, "also_unwrap: local: "));
    keystore.ptr[keystore.len - 1] ^= 1;
    test_write_file(f.folder, "keystore", buf_view(&keystore));
    assert_true(parts_refresh(p));
    assert_int_equal(code_of(&stored[0]), KERR_OK);
    assert_string_equal(info().warning, "");
}

/* What the one behind can read is no reason to say that all is well. */
static void the_first_one_decides_what_status_says(void **state)
{
    (void)state;
    struct provider_wrapped stored[] = {stored_by(0), stored_by(1)};
    char id[PROVIDER_KEY_ID_MAX + 1];
    const char *health = NULL;
    bool is_changed = false;
    struct provider_wrapped w;
    fake_vault_fail(VAULT_POLICY);
    open_with_first(1);
    assert_refused(&e, KERR_DENIED, "policy", provider_refresh(p, &is_changed, &e));
    assert_int_equal(provider_current(p, id, &health, NULL), KERR_DENIED);
    assert_int_equal(provider_wrap(p, &parts_turn, BYTES_OF(seed), &w, NULL), KERR_DENIED);
    assert_int_equal(code_of(&stored[0]), KERR_OK);
    assert_int_equal(code_of(&stored[1]), KERR_DENIED);
    assert_false(info().is_serving);
    assert_true(info().is_sealed_final);
}

/* The first one's own warning is what a person sees first. */
static void the_first_ones_warning_stands_before_the_others(void **state)
{
    (void)state;
    bool is_changed = false;
    serve_with_first(1);
    AUTO_BUF keystore = test_read_file(f.folder, "keystore");
    test_write_file(f.folder, "keystore", bytes_of_text("garbage"));
    assert_false(parts_refresh(p));
    assert_non_null(strstr(info().warning, "also_unwrap: local: "));
    fake_vault_fail(VAULT_SEALED);
    assert_refused(&e, KERR_DOWN, "it is sealed", provider_refresh(p, &is_changed, &e));
    assert_non_null(strstr(info().warning, "the key service: it is sealed"));
    fake_vault_fail(VAULT_NONE);
    assert_false(parts_refresh(p));
    assert_non_null(strstr(info().warning, "also_unwrap: local: "));
    test_write_file(f.folder, "keystore", buf_view(&keystore));
    assert_false(parts_refresh(p));
    assert_string_equal(info().warning, "");
}

static void a_configuration_that_one_refuses_is_refused(void **state)
{
    (void)state;
    for (size_t first = 0; first < 2; first++) {
        struct config its = parts_vault_config(CONFIG_VAULT_HIERARCHY, state_path);
        its.keystore_path = f.path;
        its.provider = kinds[first];
        its.also_unwrap = 1U << kinds[1 - first];
        its.vault.cluster_id = NULL;
        assert_refused(&e, KERR_CONFIG, "cluster_id", provider_open(&its, &p, &e));
        assert_null(p);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(the_first_one_wraps_and_both_read),
        TEST(a_cluster_moves_and_comes_back),
        TEST(a_key_id_decides_who_reads),
        TEST(an_id_of_nobody_is_asked_of_the_first),
        TEST(people_see_both),
        TEST(both_are_watched_and_looked_after),
        TEST(a_service_that_is_away_behind_is_a_warning),
        TEST(a_keystore_that_does_not_open_behind_is_a_warning),
        TEST(the_first_one_decides_what_status_says),
        TEST(the_first_ones_warning_stands_before_the_others),
        TEST(a_configuration_that_one_refuses_is_refused),
    };
    return cmocka_run_group_tests_name("provider.also_unwrap", tests, NULL, NULL);
}
