/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provider vault over the fake service: every allocation of our own code fails in turn
 * (failing_alloc.h), from opening it to reading what another node has stored. Whichever call it
 * hits ends with NOMEM, leaks nothing, and all goes on as if it had not been: the same key ids, and
 * no value is taken for a forgery.
 */
#include <stdio.h>

#include "provider/vault_wire.h"
#include "tests/unit/provider/fake_vault.h"
#include "tests/unit/provider/parts.h"

#include "tests/fault/failing_alloc.h"

static const uint8_t seed[32] = "what kube-apiserver sends to us.";

struct trial {
    struct config config;
    char path[256];
    struct provider *p;
    struct provider_wrapped other; /* stored by another node, under version 1 */
    struct provider_wrapped own;
};

/* What a node does in its first minute; the first failure ends it. */
static enum kerr live(struct trial *t, struct kerrinfo *e)
{
    const char *of_key = NULL;
    bool is_changed = false;
    struct provider_annotations a = parts_annotations(&t->other);
    AUTO_SECRET out = NULL;
    enum kerr k = provider_open(&t->config, &t->p, e);
    k = k == KERR_OK ? provider_refresh(t->p, &is_changed, e) : k;
    if (k == KERR_OK) {
        (void)fake_vault_rotate();
        k = provider_refresh(t->p, &is_changed, e);
    }
    k = k == KERR_OK ? provider_wrap(t->p, &parts_turn, BYTES_OF(seed), &t->own, e) : k;
    return k == KERR_OK ? provider_unwrap(t->p, &parts_turn, bytes_of_text(t->other.key_id),
                                          bytes_of(t->other.ciphertext, t->other.ciphertext_len),
                                          &a, &out, &of_key, e)
                        : k;
}

static struct provider_wrapped from_another_node(enum config_vault_mode mode, char *path)
{
    struct kerrinfo e = {0};
    struct provider *p = NULL;
    struct config config = parts_vault_config(mode, path);
    assert_ok(&e, provider_open(&config, &p, &e));
    (void)parts_refresh(p);
    struct provider_wrapped w = parts_wrap(p, BYTES_OF(seed));
    provider_close(p);
    return w;
}

/* With memory again: everything is there. */
static void check(struct trial *t)
{
    struct kerrinfo e = {0};
    char newest[VAULT_WIRE_ID_BYTES];
    uint32_t latest = atomic_load(&fake_vault.latest);
    const struct vault_wire_version version = {
        .number = latest, .created_at_s = atomic_load(&fake_vault.created_s[latest])};
    if (t->p == NULL) {
        assert_ok(&e, provider_open(&t->config, &t->p, &e));
    }
    (void)parts_refresh(t->p);
    vault_wire_key_id(&t->config.vault, &version, newest);
    assert_string_equal(parts_current(t->p), newest);
    (void)parts_check(t->p, &t->other, BYTES_OF(seed));
    struct provider_wrapped w = parts_wrap(t->p, BYTES_OF(seed));
    assert_string_equal(w.key_id, newest);
}

/* True when there was no n-th allocation. */
static bool fail_one(enum config_vault_mode mode, int n, int *failures)
{
    struct trial t = {.p = NULL};
    struct kerrinfo e = {0};
    char other_path[300];
    char *folder = test_folder_new();
    (void)snprintf(t.path, sizeof t.path, "%s/vault-keks", folder);
    (void)snprintf(other_path, sizeof other_path, "%s.other", t.path);
    fake_vault_reset();
    t.other = from_another_node(mode, other_path);
    t.config = parts_vault_config(mode, t.path);
    allocations = 0;
    fail_at = n;
    enum kerr k = live(&t, &e);
    bool is_done = allocations < n;
    fail_at = 0;
    if (k != (is_done ? KERR_OK : KERR_NOMEM)) {
        fail_msg("mode %d, allocation %d: %s: %s", (int)mode, n, kerr_name(k), e.text);
    }
    *failures += k != KERR_OK;
    check(&t);
    provider_close(t.p);
    test_folder_remove(folder);
    return is_done;
}

static void fail_each(enum config_vault_mode mode)
{
    int failures = 0;
    int n = 1;
    while (!fail_one(mode, n, &failures)) {
        n++;
    }
    print_message("%d of %d allocations refused\n", failures, n - 1);
    assert_true(failures > 30);
}

static void mode_hierarchy(void **state)
{
    (void)state;
    fail_each(CONFIG_VAULT_HIERARCHY);
}

static void mode_direct(void **state)
{
    (void)state;
    fail_each(CONFIG_VAULT_DIRECT);
}

int main(void)
{
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mode_hierarchy),
        cmocka_unit_test(mode_direct),
    };
    return cmocka_run_group_tests_name("provider.alloc", tests, NULL, NULL);
}
