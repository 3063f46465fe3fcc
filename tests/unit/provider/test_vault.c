/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider vault over the fake service: what each outcome of a look and of a call means, in
 * both modes, what a restart keeps, and that nothing stored becomes unreadable. The clocks are
 * moved by the test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "provider/provider_ops.h"
#include "provider/vault_link.h"
#include "provider/vault_wire.h"
#include "tests/unit/provider/fake_vault.h"
#include "tests/unit/provider/parts.h"

static uint64_t passed_ms;

uint64_t __real_clock_mono_ms(void);
uint64_t __wrap_clock_mono_ms(void);
uint64_t __real_clock_wall_s(void);
uint64_t __wrap_clock_wall_s(void);

uint64_t __wrap_clock_mono_ms(void)
{
    return __real_clock_mono_ms() + passed_ms;
}

uint64_t __wrap_clock_wall_s(void)
{
    return __real_clock_wall_s() + passed_ms / 1000;
}

static struct kerrinfo e;
static char *folder;
static char path[256];
static struct config config;
static struct provider *p;

static const uint8_t seed[32] = "what kube-apiserver sends to us.";
static const enum config_vault_mode modes[] = {CONFIG_VAULT_HIERARCHY, CONFIG_VAULT_DIRECT};

static int setup(void **state)
{
    (void)state;
    assert_ok(&e, secret_start(SECRET_LOCK_BEST_EFFORT, &e));
    passed_ms = 0;
    fake_vault_reset();
    folder = test_folder_new();
    (void)snprintf(path, sizeof path, "%s/vault-keks", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    provider_close(p);
    p = NULL;
    test_folder_remove(folder);
    return 0;
}

static void open_as(enum config_vault_mode mode)
{
    provider_close(p);
    p = NULL;
    config = parts_vault_config(mode, path);
    assert_ok(&e, provider_open(&config, &p, &e));
}

static void start(enum config_vault_mode mode)
{
    open_as(mode);
    assert_true(parts_refresh(p));
}

/* A new node: nothing is known of what was used before. */
static void forget(void)
{
    (void)unlink(path);
}

static enum kerr look(void)
{
    bool is_changed = false;
    kerr_clear(&e);
    return provider_refresh(p, &is_changed, &e);
}

static enum kerr current(const char **health)
{
    char id[PROVIDER_KEY_ID_MAX + 1];
    kerr_clear(&e);
    return provider_current(p, id, health, &e);
}

static enum kerr wrap(bool may_wait)
{
    struct provider_wrapped w;
    const struct provider_turn turn = {.may_wait = may_wait, .until_ms = UINT64_MAX};
    kerr_clear(&e);
    return provider_wrap(p, &turn, BYTES_OF(seed), &w, &e);
}

static enum kerr unwrap(const struct provider_wrapped *w, bool may_wait)
{
    AUTO_SECRET out = NULL;
    const char *of_key = NULL;
    const struct provider_turn turn = {.may_wait = may_wait, .until_ms = UINT64_MAX};
    struct provider_annotations a = parts_annotations(w);
    kerr_clear(&e);
    return provider_unwrap(p, &turn, bytes_of_text(w->key_id),
                           bytes_of(w->ciphertext, w->ciphertext_len), &a, &out, &of_key, &e);
}

static struct provider_info info(void)
{
    static struct provider_info i;
    provider_info(p, &i);
    return i;
}

/* What another node of the cluster has stored: its KEK is not known here. */
static struct provider_wrapped from_another_node(enum config_vault_mode mode)
{
    char other_path[300];
    (void)snprintf(other_path, sizeof other_path, "%s.other", path);
    (void)unlink(other_path);
    struct config other_config = parts_vault_config(mode, other_path);
    struct provider *other = NULL;
    assert_ok(&e, provider_open(&other_config, &other, &e));
    assert_true(parts_refresh(other));
    struct provider_wrapped w = parts_wrap(other, BYTES_OF(seed));
    provider_close(other);
    return w;
}

/* ---- calls ---- */

static void only_direct_calls_wait(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    struct provider_wrapped w = parts_wrap(p, BYTES_OF(seed));
    unsigned before = fake_vault_calls();
    for (int i = 0; i < 100; i++) {
        const char *health = NULL;
        assert_int_equal(wrap(false), KERR_OK);
        assert_int_equal(unwrap(&w, false), KERR_OK);
        assert_int_equal(current(&health), KERR_OK);
    }
    assert_int_equal(fake_vault_calls(), before);
    start(CONFIG_VAULT_DIRECT);
    w = parts_wrap(p, BYTES_OF(seed));
    before = fake_vault_calls();
    assert_int_equal(wrap(false), KERR_WAITS);
    assert_int_equal(unwrap(&w, false), KERR_WAITS);
    assert_int_equal(fake_vault_calls(), before);
    assert_int_equal(wrap(true), KERR_OK);
    assert_int_equal(unwrap(&w, true), KERR_OK);
    assert_int_equal(fake_vault_calls(), before + 2);
}

static void a_kek_of_another_node_is_asked_for_once(void **state)
{
    (void)state;
    struct provider_wrapped w = from_another_node(CONFIG_VAULT_HIERARCHY);
    start(CONFIG_VAULT_HIERARCHY);
    unsigned before = atomic_load(&fake_vault.calls[FAKE_DECRYPT]);
    assert_int_equal(unwrap(&w, false), KERR_WAITS);
    assert_int_equal(unwrap(&w, true), KERR_OK);
    assert_int_equal(unwrap(&w, false), KERR_OK);
    assert_int_equal(atomic_load(&fake_vault.calls[FAKE_DECRYPT]), before + 1);
}

static void both_modes_read_what_either_has_stored(void **state)
{
    (void)state;
    struct provider_wrapped stored[2];
    for (size_t i = 0; i < 2; i++) {
        start(modes[i]);
        stored[i] = parts_wrap(p, BYTES_OF(seed));
    }
    for (size_t i = 0; i < 2; i++) {
        start(modes[i]);
        assert_string_equal(parts_check(p, &stored[0], BYTES_OF(seed)), "primary");
        assert_string_equal(parts_check(p, &stored[1], BYTES_OF(seed)), "primary");
    }
}

static void a_newer_version_of_another_node_is_learned(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    (void)fake_vault_rotate();
    struct provider_wrapped w = from_another_node(CONFIG_VAULT_HIERARCHY);
    assert_int_equal(unwrap(&w, false), KERR_WAITS);
    assert_string_equal(parts_check(p, &w, BYTES_OF(seed)), "staged");
}

static void invented_annotations_cost_little(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    struct provider_wrapped known = parts_wrap(p, BYTES_OF(seed));
    unsigned before = fake_vault_calls();
    uint64_t began_ms = clock_mono_ms();
    for (uint32_t i = 0; i < 100000; i++) {
        struct provider_wrapped w = known;
        memcpy(w.annotation_bytes + 30, &i, sizeof i); /* in the wrapped KEK */
        enum kerr k = unwrap(&w, true);
        assert_true(k == KERR_INTEGRITY || k == KERR_LIMIT);
    }
    uint64_t passed_s = (clock_mono_ms() - began_ms) / 1000 + 1;
    unsigned asked = fake_vault_calls() - before;
    print_message("100000 invented annotations: %u calls\n", asked);
    assert_true(asked <= 51 + 2 * passed_s);
    assert_int_equal(unwrap(&known, false), KERR_OK);
    assert_true(info().remote.unknown_refused >= 99000);
}

/* ---- versions ---- */

static void a_rotation_keeps_all_readable_over_a_restart(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        forget();
        fake_vault_reset();
        struct provider_wrapped stored[4];
        start(modes[m]);
        for (size_t i = 0; i < 4; i++) {
            stored[i] = parts_wrap(p, BYTES_OF(seed));
            (void)fake_vault_rotate();
            assert_true(parts_refresh(p));
        }
        for (int again = 0; again < 2; again++) {
            for (size_t i = 0; i < 4; i++) {
                assert_string_equal(parts_check(p, &stored[i], BYTES_OF(seed)), "retired");
            }
            assert_string_not_equal(parts_current(p), stored[3].key_id);
            start(modes[m]);
        }
    }
}

static void a_restart_goes_on_with_the_same_kek(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    struct provider_wrapped before = parts_wrap(p, BYTES_OF(seed));
    unsigned made = atomic_load(&fake_vault.calls[FAKE_ENCRYPT]);
    start(CONFIG_VAULT_HIERARCHY);
    struct provider_wrapped after = parts_wrap(p, BYTES_OF(seed));
    assert_int_equal(atomic_load(&fake_vault.calls[FAKE_ENCRYPT]), made);
    struct provider_annotations a = parts_annotations(&before);
    struct provider_annotations b = parts_annotations(&after);
    assert_true(bytes_equal(a.rows[0].value, b.rows[0].value));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_new_version_must_work_before_it_is_told(void **state)
{
    (void)state;
    static const enum fake_call calls[] = {FAKE_ENCRYPT, FAKE_DECRYPT};
    for (size_t m = 0; m < 2; m++) {
        for (size_t c = 0; c < ARRAY_LEN(calls); c++) {
            forget();
            fake_vault_reset();
            start(modes[m]);
            char first[64];
            (void)snprintf(first, sizeof first, "%s", parts_current(p));
            (void)fake_vault_rotate();
            atomic_store(&fake_vault.cause[calls[c]], VAULT_SERVER_ERROR);
            assert_int_not_equal(look(), KERR_OK);
            assert_string_equal(info().current_key_id, first);
            atomic_store(&fake_vault.cause[calls[c]], VAULT_NONE);
            assert_int_equal(look(), KERR_OK);
            assert_string_not_equal(parts_current(p), first);
        }
    }
}

static void what_cannot_be_written_down_is_not_used(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        forget();
        fake_vault_reset();
        start(modes[m]);
        char first[64];
        (void)snprintf(first, sizeof first, "%s", parts_current(p));
        (void)fake_vault_rotate();
        assert_int_equal(chmod(folder, 0755), 0); /* refused: not private */
        assert_int_equal(look(), KERR_DENIED);
        assert_string_equal(parts_current(p), first);
        assert_int_equal(wrap(true), KERR_OK);
        assert_int_equal(chmod(folder, 0700), 0);
        assert_int_equal(look(), KERR_OK);
        assert_string_not_equal(parts_current(p), first);
    }
}

static void a_worn_kek_is_replaced_under_the_same_key_id(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    struct provider_wrapped old = parts_wrap(p, BYTES_OF(seed));
    passed_ms += 30ULL * 24 * 3600 * 1000 + 1000;
    assert_int_equal(look(), KERR_OK);
    struct provider_wrapped new = parts_wrap(p, BYTES_OF(seed));
    assert_string_equal(old.key_id, new.key_id);
    assert_memory_not_equal(old.annotation_bytes, new.annotation_bytes, 40);
    (void)parts_check(p, &old, BYTES_OF(seed));
    config.vault.kek_max_uses = 3;
    for (int i = 0; i < 3; i++) {
        (void)parts_wrap(p, BYTES_OF(seed));
    }
    assert_int_equal(look(), KERR_OK);
    struct provider_wrapped newest = parts_wrap(p, BYTES_OF(seed));
    assert_string_equal(old.key_id, newest.key_id);
    assert_memory_not_equal(newest.annotation_bytes, new.annotation_bytes, 40);
}

static void a_raised_minimum_is_respected_and_explained(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        forget();
        fake_vault_reset();
        start(modes[m]);
        struct provider_wrapped old = parts_wrap(p, BYTES_OF(seed));
        (void)fake_vault_rotate();
        assert_true(parts_refresh(p));
        assert_int_equal(unwrap(&old, true), KERR_OK);
        atomic_store(&fake_vault.min_decryption, 2);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(look(), KERR_OK);
        }
        assert_int_equal(unwrap(&old, true), KERR_STATE);
        assert_non_null(strstr(e.text, "min_decryption_version"));
        atomic_store(&fake_vault.min_decryption, 1);
        assert_int_equal(look(), KERR_OK);
        assert_int_equal(unwrap(&old, true), KERR_OK);
    }
}

/* ---- a server that is not what it was ---- */

static void a_restored_server_is_an_alarm_and_no_outage(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    (void)fake_vault_rotate();
    assert_true(parts_refresh(p));
    struct provider_wrapped w = parts_wrap(p, BYTES_OF(seed));
    atomic_store(&fake_vault.latest, 1);
    assert_int_equal(look(), KERR_OK);
    assert_string_equal(parts_current(p), w.key_id);
    assert_int_equal(unwrap(&w, false), KERR_OK);
    assert_int_equal(wrap(false), KERR_OK);
    assert_non_null(strstr(info().warning, "restored from an older backup"));
    /* The way out: versions above. What is in memory stays readable. */
    (void)fake_vault_rotate();
    atomic_store(&fake_vault.created_s[2], clock_wall_s() - 10);
    atomic_store(&fake_vault.material[2], 77);
    assert_int_equal(look(), KERR_OK);
    assert_string_equal(parts_current(p), w.key_id);
    (void)fake_vault_rotate();
    assert_true(parts_refresh(p));
    assert_string_not_equal(parts_current(p), w.key_id);
    assert_int_equal(unwrap(&w, false), KERR_OK);
    assert_string_equal(info().warning, "");
}

static void a_start_with_a_changed_key_is_refused(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        forget();
        fake_vault_reset();
        start(modes[m]);
        (void)fake_vault_rotate();
        assert_true(parts_refresh(p));
        atomic_store(&fake_vault.latest, 1);
        open_as(modes[m]);
        assert_int_not_equal(look(), KERR_OK);
        assert_non_null(strstr(e.text, "key-changed"));
        const char *health = NULL;
        assert_int_equal(current(&health), KERR_DENIED);
        config.vault.epoch = 1; /* the operator says that he knows */
        assert_int_equal(look(), KERR_OK);
        assert_int_equal(wrap(true), KERR_OK);
    }
}

static void a_kek_that_no_longer_opens_is_no_reason_for_a_new_one(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    atomic_store(&fake_vault.material[1], 99);
    assert_int_equal(look(), KERR_OK); /* while it is in memory */
    assert_non_null(strstr(info().warning, "not the one that was used before"));
    open_as(CONFIG_VAULT_HIERARCHY);
    assert_int_equal(look(), KERR_INTEGRITY);
    assert_false(info().is_serving);
}

static void another_key_or_cluster_is_refused(void **state)
{
    (void)state;
    static char other[] = "other";
    start(CONFIG_VAULT_HIERARCHY);
    open_as(CONFIG_VAULT_HIERARCHY);
    config.vault.key = other;
    assert_refused(&e, KERR_CONFIG, "belongs to vault.key \"kube\"", look());
    const char *health = NULL;
    assert_int_equal(current(&health), KERR_SEALED);
    open_as(CONFIG_VAULT_HIERARCHY);
    config.vault.cluster_id = other;
    assert_refused(&e, KERR_CONFIG, "belongs to vault.cluster_id \"test-1\"", look());
}

static void an_epoch_gives_new_ids_and_keeps_all_readable(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        forget();
        fake_vault_reset();
        start(modes[m]);
        struct provider_wrapped old = parts_wrap(p, BYTES_OF(seed));
        open_as(modes[m]);
        config.vault.epoch = 1;
        assert_int_equal(look(), KERR_OK);
        assert_string_not_equal(parts_current(p), old.key_id);
        (void)parts_check(p, &old, BYTES_OF(seed));
        struct provider_wrapped new = parts_wrap(p, BYTES_OF(seed));
        open_as(modes[m]); /* epoch 0 again: it has used 1 */
        assert_int_equal(look(), KERR_OK);
        assert_string_equal(parts_current(p), new.key_id);
        assert_non_null(strstr(info().warning, "vault.epoch is 0"));
    }
}

static void a_node_that_is_an_epoch_behind_reads_all(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    char other_path[300];
    (void)snprintf(other_path, sizeof other_path, "%s.ahead", path);
    struct config ahead_config = parts_vault_config(CONFIG_VAULT_HIERARCHY, other_path);
    struct provider *ahead = NULL;
    ahead_config.vault.epoch = 1;
    assert_ok(&e, provider_open(&ahead_config, &ahead, &e));
    assert_true(parts_refresh(ahead));
    struct provider_wrapped w = parts_wrap(ahead, BYTES_OF(seed));
    provider_close(ahead);
    (void)parts_check(p, &w, BYTES_OF(seed));
}

/* ---- outages ---- */

struct outage {
    enum vault_cause cause;
    enum kerr code; /* of calls that must ask */
};

/* Every cause that a look can end with. */
static struct outage outage_at(size_t i)
{
    enum vault_cause c = (enum vault_cause)i;
    enum kerr k = vault_cause_class(c) == VAULT_CLASS_REFUSED ? KERR_DENIED
                  : c == VAULT_TIMEOUT                        ? KERR_TIMEOUT
                  : c == VAULT_OURS                           ? vault_cause_code(c)
                                                              : KERR_DOWN;
    return (struct outage){c, k};
}

static bool is_outage(size_t i)
{
    return vault_cause_class((enum vault_cause)i) != VAULT_CLASS_REQUEST;
}

static void at_start_nothing_is_served_and_it_heals(void **state)
{
    (void)state;
    for (size_t i = 0; i < VAULT_CAUSE_COUNT; i++) {
        for (size_t m = 0; m < 2 && is_outage(i); m++) {
            struct outage o = outage_at(i);
            const char *health = NULL;
            forget();
            fake_vault_fail(o.cause);
            open_as(modes[m]);
            assert_int_not_equal(look(), KERR_OK);
            assert_non_null(strstr(e.text, vault_cause_word(o.cause)));
            assert_int_not_equal(current(&health), KERR_OK);
            assert_int_not_equal(wrap(true), KERR_OK);
            struct provider_info told = info();
            assert_string_equal(told.remote.state, "starting");
            assert_string_equal(told.remote.cause, vault_cause_word(o.cause));
            assert_int_equal(told.is_sealed_final,
                             vault_cause_class(o.cause) == VAULT_CLASS_REFUSED);
            uint64_t due_ms = 0;
            assert_true(provider_due(p, &due_ms));
            assert_true(due_ms <= VAULT_LINK_RETRY_MS);
            fake_vault_fail(VAULT_NONE);
            assert_int_equal(look(), KERR_OK);
            assert_int_equal(current(&health), KERR_OK);
        }
    }
}

/* Refusals need their time and number to count. */
static void go_on_failing(enum vault_cause cause)
{
    fake_vault_fail(cause);
    for (int i = 0; i < VAULT_LINK_REFUSALS; i++) {
        assert_int_not_equal(look(), KERR_OK);
        passed_ms += VAULT_LINK_REFUSED_MS / 2;
    }
}

static void a_running_hierarchy_serves_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < VAULT_CAUSE_COUNT; i++) {
        if (!is_outage(i)) {
            continue;
        }
        struct outage o = outage_at(i);
        const char *health = NULL;
        forget();
        fake_vault_reset();
        struct provider_wrapped unknown = from_another_node(CONFIG_VAULT_HIERARCHY);
        start(CONFIG_VAULT_HIERARCHY);
        config.vault.on_refused = CONFIG_ON_REFUSED_GRACE;
        struct provider_wrapped known = parts_wrap(p, BYTES_OF(seed));
        go_on_failing(o.cause);
        assert_int_equal(current(&health), KERR_OK);
        assert_string_equal(health, "ok");
        assert_int_equal(wrap(false), KERR_OK);
        assert_int_equal(unwrap(&known, false), KERR_OK);
        enum kerr k = unwrap(&unknown, true);
        assert_int_equal(k, o.cause == VAULT_VERSION_TOO_OLD ? KERR_STATE : o.code);
        assert_string_equal(info().remote.state, "grace");
        assert_non_null(strstr(info().warning, vault_cause_sentence(o.cause)));
        passed_ms += config.vault.offline_grace_ms;
        assert_int_not_equal(look(), KERR_OK);
        assert_string_equal(info().remote.state, "stopped");
        assert_int_equal(info().remote.keks_cached, 0);
        assert_int_not_equal(current(&health), KERR_OK);
        assert_int_not_equal(wrap(true), KERR_OK);
        assert_int_not_equal(unwrap(&known, true), KERR_OK);
        fake_vault_fail(VAULT_NONE);
        assert_int_equal(look(), KERR_OK);
        assert_string_equal(parts_current(p), known.key_id);
        assert_int_equal(unwrap(&known, false), KERR_OK);
        assert_int_equal(unwrap(&unknown, true), KERR_OK);
    }
}

static void a_running_direct_mode_tells_status_and_fails_calls(void **state)
{
    (void)state;
    for (size_t i = 0; i < VAULT_CAUSE_COUNT; i++) {
        if (!is_outage(i)) {
            continue;
        }
        struct outage o = outage_at(i);
        const char *health = NULL;
        forget();
        fake_vault_reset();
        start(CONFIG_VAULT_DIRECT);
        config.vault.on_refused = CONFIG_ON_REFUSED_GRACE;
        struct provider_wrapped known = parts_wrap(p, BYTES_OF(seed));
        go_on_failing(o.cause);
        assert_int_equal(current(&health), KERR_OK);
        assert_string_equal(health, "the key service cannot be used");
        assert_int_equal(wrap(true), o.code);
        enum kerr k = unwrap(&known, true);
        assert_int_equal(k, o.cause == VAULT_VERSION_TOO_OLD ? KERR_STATE : o.code);
        passed_ms += config.vault.offline_grace_ms;
        assert_int_not_equal(look(), KERR_OK);
        assert_int_not_equal(current(&health), KERR_OK);
        fake_vault_fail(VAULT_NONE);
        assert_int_equal(look(), KERR_OK);
        assert_int_equal(current(&health), KERR_OK);
        assert_string_equal(health, "ok");
        assert_int_equal(unwrap(&known, true), KERR_OK);
    }
}

static void a_refusal_that_lasts_wipes_the_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < VAULT_CAUSE_COUNT; i++) {
        enum vault_cause cause = (enum vault_cause)i;
        if (vault_cause_class(cause) != VAULT_CLASS_REFUSED) {
            continue;
        }
        const char *health = NULL;
        forget();
        fake_vault_reset();
        start(CONFIG_VAULT_HIERARCHY);
        struct provider_wrapped known = parts_wrap(p, BYTES_OF(seed));
        go_on_failing(cause);
        assert_int_equal(info().remote.keks_cached, 0);
        assert_int_equal(current(&health), KERR_DENIED);
        assert_int_equal(unwrap(&known, true), KERR_DENIED);
        assert_true(info().is_sealed_final);
        fake_vault_fail(VAULT_NONE);
        assert_int_equal(look(), KERR_OK);
        assert_int_equal(unwrap(&known, false), KERR_OK);
    }
}

static void a_failing_login_is_an_alarm_while_calls_work(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    atomic_store(&fake_vault.login_cause, VAULT_LOGIN);
    assert_int_equal(look(), KERR_OK);
    assert_string_equal(info().remote.state, "serving");
    assert_string_equal(info().remote.login_cause, "login");
    assert_non_null(strstr(info().warning, vault_cause_sentence(VAULT_LOGIN)));
}

static void a_damaged_state_is_refused_with_a_cure(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    struct buf file = test_read_file(folder, "vault-keks");
    file.ptr[20] ^= 1;
    test_write_file(folder, "vault-keks", buf_view(&file));
    assert_int_equal(chmod(path, 0600), 0);
    open_as(CONFIG_VAULT_HIERARCHY);
    assert_refused(&e, KERR_FORMAT, "damaged", look());
    assert_non_null(strstr(e.text, "remove it"));
    const char *health = NULL;
    assert_int_equal(current(&health), KERR_SEALED);
    buf_done(&file);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(only_direct_calls_wait),
        TEST(a_kek_of_another_node_is_asked_for_once),
        TEST(both_modes_read_what_either_has_stored),
        TEST(a_newer_version_of_another_node_is_learned),
        TEST(invented_annotations_cost_little),
        TEST(a_rotation_keeps_all_readable_over_a_restart),
        TEST(a_restart_goes_on_with_the_same_kek),
        TEST(a_new_version_must_work_before_it_is_told),
        TEST(what_cannot_be_written_down_is_not_used),
        TEST(a_worn_kek_is_replaced_under_the_same_key_id),
        TEST(a_raised_minimum_is_respected_and_explained),
        TEST(a_restored_server_is_an_alarm_and_no_outage),
        TEST(a_start_with_a_changed_key_is_refused),
        TEST(a_kek_that_no_longer_opens_is_no_reason_for_a_new_one),
        TEST(another_key_or_cluster_is_refused),
        TEST(an_epoch_gives_new_ids_and_keeps_all_readable),
        TEST(a_node_that_is_an_epoch_behind_reads_all),
        TEST(at_start_nothing_is_served_and_it_heals),
        TEST(a_running_hierarchy_serves_on),
        TEST(a_running_direct_mode_tells_status_and_fails_calls),
        TEST(a_refusal_that_lasts_wipes_the_keys),
        TEST(a_failing_login_is_an_alarm_while_calls_work),
        TEST(a_damaged_state_is_refused_with_a_cure),
    };
    return cmocka_run_group_tests_name("provider.vault", tests, NULL, NULL);
}
