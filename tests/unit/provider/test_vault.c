/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider vault over the fake service: calls, versions, and a server that is not what it was.
 * Nothing stored becomes unreadable, and no key id goes back.
 */
#include <sys/stat.h>

#include "tests/unit/provider/vault_parts.h"

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

/* The right to encrypt is gone when the key is rotated: that must not be an outage, not even over a
 * restart. */
static void a_version_that_is_refused_is_held_back(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    struct provider_wrapped w = parts_wrap(p, BYTES_OF(seed));
    (void)fake_vault_rotate();
    atomic_store(&fake_vault.cause[FAKE_ENCRYPT], VAULT_POLICY);
    for (int again = 0; again < 2; again++) {
        for (int i = 0; i < 5; i++) {
            passed_ms += VAULT_LINK_REFUSED_MS;
            assert_int_equal(look(), KERR_OK);
        }
        assert_string_equal(parts_current(p), w.key_id);
        assert_string_equal(info().remote.state, "serving");
        assert_non_null(strstr(info().warning, "does not let version 2 be used"));
        assert_int_equal(wrap(false), KERR_OK);
        assert_int_equal(unwrap(&w, false), KERR_OK);
        open_as(CONFIG_VAULT_HIERARCHY);
        assert_int_equal(look(), KERR_OK);
    }
    atomic_store(&fake_vault.cause[FAKE_ENCRYPT], VAULT_NONE);
    assert_true(parts_refresh(p));
    assert_string_not_equal(parts_current(p), w.key_id);
    assert_string_equal(info().warning, "");
    assert_int_equal(unwrap(&w, true), KERR_OK);
}

static void a_worn_kek_that_may_not_be_replaced_serves_on(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    struct provider_wrapped w = parts_wrap(p, BYTES_OF(seed));
    atomic_store(&fake_vault.cause[FAKE_ENCRYPT], VAULT_POLICY);
    passed_ms += 40ULL * 24 * 3600 * 1000;
    assert_int_equal(look(), KERR_OK);
    assert_int_equal(wrap(false), KERR_OK);
    assert_int_equal(unwrap(&w, false), KERR_OK);
    assert_non_null(strstr(info().warning, "does not let version 1 be used"));
    open_as(CONFIG_VAULT_HIERARCHY); /* nor does a restart change that */
    assert_int_equal(look(), KERR_OK);
    assert_int_equal(look(), KERR_OK);
    assert_int_equal(unwrap(&w, false), KERR_OK);
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

/* A fault of this node while the service is well: the grace does not run, and no blip ends it. */
static void a_full_disk_is_no_outage_of_the_service(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    (void)fake_vault_rotate();
    assert_int_equal(chmod(folder, 0755), 0);
    for (int i = 0; i < 10; i++) {
        passed_ms += config.vault.offline_grace_ms / 2;
        assert_int_equal(look(), KERR_DENIED);
        assert_int_equal(wrap(false), KERR_OK);
    }
    fake_vault_fail(VAULT_CONNECT);
    assert_int_not_equal(look(), KERR_OK);
    assert_string_equal(info().remote.state, "grace");
    assert_int_equal(wrap(false), KERR_OK);
    fake_vault_fail(VAULT_NONE);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(look(), KERR_OK);
}

/* More of them than are kept: one that is real takes the place of the longest unused. */
static void a_kek_beyond_the_limit_is_kept_once_it_is_real(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    struct provider_wrapped w;
    for (int i = 0; i < 260; i++) {
        w = from_another_node(CONFIG_VAULT_HIERARCHY);
        assert_int_equal(unwrap(&w, true), KERR_OK);
    }
    unsigned before = fake_vault_calls();
    assert_int_equal(unwrap(&w, false), KERR_OK);
    assert_int_equal(fake_vault_calls(), before);
}

static void a_key_that_was_put_back_opens_again(void **state)
{
    (void)state;
    struct provider_wrapped w = from_another_node(CONFIG_VAULT_HIERARCHY);
    start(CONFIG_VAULT_HIERARCHY);
    atomic_store(&fake_vault.material[1], 99);
    assert_int_equal(unwrap(&w, true), KERR_INTEGRITY);
    assert_int_equal(look(), KERR_OK);
    assert_int_equal(unwrap(&w, true), KERR_INTEGRITY);
    atomic_store(&fake_vault.material[1], 1);
    assert_int_equal(look(), KERR_OK);
    assert_int_equal(unwrap(&w, true), KERR_OK);
}

static void unknown_keks_in_an_outage_are_readable_after_it(void **state)
{
    (void)state;
    struct provider_wrapped w[60];
    for (size_t i = 0; i < ARRAY_LEN(w); i++) {
        w[i] = from_another_node(CONFIG_VAULT_HIERARCHY);
    }
    start(CONFIG_VAULT_HIERARCHY);
    fake_vault_fail(VAULT_CONNECT);
    for (size_t i = 0; i < ARRAY_LEN(w); i++) {
        assert_int_equal(unwrap(&w[i], true), KERR_DOWN);
    }
    fake_vault_fail(VAULT_NONE);
    for (size_t i = 0; i < ARRAY_LEN(w); i++) {
        assert_int_equal(unwrap(&w[i], true), KERR_OK);
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

/* In what state the version is shown; once. */
static const char *state_of(uint32_t version)
{
    struct provider_info i = info();
    const char *state = NULL;
    for (size_t k = 0; k < i.key_count; k++) {
        if (i.keys[k].version == version) {
            assert_null(state);
            state = i.keys[k].state;
        }
    }
    return state;
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
        /* The service no longer shows it. */
        assert_string_equal(state_of(1), "disabled");
        assert_string_equal(state_of(2), "primary");
        atomic_store(&fake_vault.min_decryption, 1);
        assert_int_equal(look(), KERR_OK);
        assert_int_equal(unwrap(&old, true), KERR_OK);
        assert_string_equal(state_of(1), "retired");
    }
}

/* The form of what is stored decides; Encrypt under a version that is lost cannot work. */
static void mode_direct_tells_status_that_the_key_changed(void **state)
{
    (void)state;
    start(CONFIG_VAULT_DIRECT);
    struct provider_wrapped old = parts_wrap(p, BYTES_OF(seed));
    (void)fake_vault_rotate();
    assert_true(parts_refresh(p));
    atomic_store(&fake_vault.latest, 1);
    const char *health = NULL;
    assert_int_equal(look(), KERR_OK);
    assert_int_equal(current(&health), KERR_OK);
    assert_string_equal(health, "the key service cannot be used");
    assert_int_not_equal(wrap(true), KERR_OK);
    assert_int_equal(unwrap(&old, true), KERR_OK);
}

/* An API server may restart in an outage, and then asks for every seed of its peers. */
static void known_keks_stay_however_long_they_are_not_used(void **state)
{
    (void)state;
    struct provider_wrapped used = from_another_node(CONFIG_VAULT_HIERARCHY);
    start(CONFIG_VAULT_HIERARCHY);
    assert_int_equal(unwrap(&used, true), KERR_OK);
    passed_ms += 20ULL * 24 * 3600 * 1000;
    assert_int_equal(look(), KERR_OK);
    fake_vault_fail(VAULT_CONNECT);
    assert_int_not_equal(look(), KERR_OK);
    assert_int_equal(unwrap(&used, false), KERR_OK);
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
    assert_refused(&e, KERR_INTEGRITY, "(key-changed)", look());
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
        TEST(a_version_that_is_refused_is_held_back),
        TEST(a_worn_kek_that_may_not_be_replaced_serves_on),
        TEST(what_cannot_be_written_down_is_not_used),
        TEST(a_full_disk_is_no_outage_of_the_service),
        TEST(a_kek_beyond_the_limit_is_kept_once_it_is_real),
        TEST(a_key_that_was_put_back_opens_again),
        TEST(unknown_keks_in_an_outage_are_readable_after_it),
        TEST(a_worn_kek_is_replaced_under_the_same_key_id),
        TEST(a_raised_minimum_is_respected_and_explained),
        TEST(mode_direct_tells_status_that_the_key_changed),
        TEST(known_keks_stay_however_long_they_are_not_used),
        TEST(a_restored_server_is_an_alarm_and_no_outage),
        TEST(a_start_with_a_changed_key_is_refused),
        TEST(a_kek_that_no_longer_opens_is_no_reason_for_a_new_one),
        TEST(another_key_or_cluster_is_refused),
        TEST(an_epoch_gives_new_ids_and_keeps_all_readable),
        TEST(a_node_that_is_an_epoch_behind_reads_all),
    };
    return cmocka_run_group_tests_name("provider.vault", tests, NULL, NULL);
}
