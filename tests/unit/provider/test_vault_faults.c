/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider vault over the fake service: faults of this node itself, answers that contradict
 * themselves, and what must not cost more because of them.
 */
#include <sys/stat.h>

#include "tests/unit/provider/vault_parts.h"

static uint64_t due(void)
{
    uint64_t ms = 0;
    assert_true(provider_due(p, &ms));
    return ms;
}

/* ---- this node ---- */

static void a_start_that_fails_here_is_tried_again_without_haste(void **state)
{
    (void)state;
    test_write_file(folder, "vault-keks", bytes_of_text("garbage"));
    assert_int_equal(chmod(path, 0600), 0);
    for (size_t m = 0; m < 2; m++) {
        open_as(modes[m]);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(look(), KERR_FORMAT);
            assert_in_range(due(), VAULT_LINK_RETRY_MS, VAULT_LINK_RETRY_MS);
        }
        assert_int_equal(fake_vault_calls(), 0);
    }
}

static void what_cannot_be_written_down_costs_the_service_little(void **state)
{
    (void)state;
    assert_int_equal(chmod(folder, 0755), 0); /* refused: not private */
    for (size_t m = 0; m < 2; m++) {
        open_as(modes[m]);
        assert_int_equal(look(), KERR_DENIED);
        assert_in_range(due(), VAULT_LINK_RETRY_MS, VAULT_LINK_RETRY_MS);
    }
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(look(), KERR_OK);
    assert_int_equal(due(), config.vault.poll_ms);
}

/* The service was there all the time: its grace counts from when it was seen last. */
static void a_full_disk_uses_up_no_grace(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        const char *health = NULL;
        forget();
        fake_vault_reset();
        start(modes[m]);
        (void)fake_vault_rotate();
        assert_int_equal(chmod(folder, 0755), 0);
        for (int i = 0; i < 4; i++) {
            passed_ms += config.vault.offline_grace_ms / 3;
            assert_int_equal(look(), KERR_DENIED);
            assert_string_equal(info().remote.state, "serving");
        }
        fake_vault_fail(VAULT_CONNECT);
        assert_int_equal(look(), KERR_DOWN);
        assert_string_equal(info().remote.state, "grace");
        assert_int_equal(current(&health), KERR_OK);
        assert_int_equal(chmod(folder, 0700), 0);
        fake_vault_fail(VAULT_NONE);
        assert_int_equal(look(), KERR_OK);
    }
}

/* Nor does it hide that nothing is served. */
static void a_fault_here_does_not_start_anything(void **state)
{
    (void)state;
    const char *health = NULL;
    assert_int_equal(chmod(folder, 0755), 0);
    open_as(CONFIG_VAULT_HIERARCHY);
    assert_int_equal(look(), KERR_DENIED);
    assert_string_equal(info().remote.state, "starting");
    assert_int_equal(current(&health), KERR_SEALED);
    assert_int_equal(chmod(folder, 0700), 0);
}

static ino_t file_now(void)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

static void uses_are_written_down_when_there_are_any(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    config.vault.kek_max_uses = 2;
    (void)parts_wrap(p, BYTES_OF(seed));
    (void)parts_wrap(p, BYTES_OF(seed));
    atomic_store(&fake_vault.cause[FAKE_ENCRYPT], VAULT_POLICY); /* it cannot be replaced */
    ino_t before = file_now();
    assert_int_equal(look(), KERR_OK);
    ino_t written = file_now();
    assert_int_not_equal(written, before);
    assert_int_equal(info().remote.kek_uses, 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(look(), KERR_OK);
        assert_int_equal(file_now(), written);
    }
    (void)parts_wrap(p, BYTES_OF(seed));
    assert_int_equal(look(), KERR_OK);
    assert_int_not_equal(file_now(), written);
    assert_int_equal(info().remote.kek_uses, 3);
    fake_vault_fail(VAULT_NONE);
    assert_int_equal(look(), KERR_OK);
    assert_int_equal(info().remote.kek_uses, 0); /* of a new KEK */
}

static void many_uses_are_written_down_before_a_crash_could_lose_them(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    ino_t before = file_now();
    for (int i = 0; i < 999; i++) {
        (void)parts_wrap(p, BYTES_OF(seed));
    }
    assert_int_equal(look(), KERR_OK);
    assert_int_equal(file_now(), before);
    (void)parts_wrap(p, BYTES_OF(seed));
    assert_int_equal(look(), KERR_OK);
    assert_int_not_equal(file_now(), before);
    start(CONFIG_VAULT_HIERARCHY);
    assert_int_equal(info().remote.kek_uses, 1000);
}

/* ---- answers that contradict themselves ---- */

static void what_does_not_decrypt_at_once_is_a_bad_answer(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        const char *health = NULL;
        forget();
        fake_vault_reset();
        atomic_store(&fake_vault.cause[FAKE_DECRYPT], VAULT_CIPHERTEXT);
        open_as(modes[m]);
        assert_refused(&e, KERR_IO, "(bad-answer)", look());
        assert_int_equal(current(&health), KERR_DOWN);
        assert_string_equal(info().remote.cause, "bad-answer");
        assert_false(info().is_sealed_final);
        assert_int_equal(access(path, F_OK), -1); /* nothing was used */
        fake_vault_fail(VAULT_NONE);
        assert_int_equal(look(), KERR_OK);
        atomic_store(&fake_vault.cause[FAKE_DECRYPT], VAULT_CIPHERTEXT);
        (void)fake_vault_rotate();
        assert_refused(&e, KERR_IO, "(bad-answer)", look());
        assert_string_equal(info().remote.state, "grace");
        assert_string_equal(info().remote.cause, "bad-answer");
    }
}

/* ---- what is told ---- */

static void what_is_stopped_has_no_warning_about_what_serves(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    (void)fake_vault_rotate();
    atomic_store(&fake_vault.cause[FAKE_ENCRYPT], VAULT_POLICY);
    assert_int_equal(look(), KERR_OK);
    assert_non_null(strstr(info().warning, "version 1 wraps on"));
    fake_vault_fail(VAULT_CONNECT);
    assert_int_equal(look(), KERR_DOWN);
    passed_ms += config.vault.offline_grace_ms;
    assert_int_equal(look(), KERR_DOWN);
    assert_string_equal(info().remote.state, "stopped");
    assert_string_equal(info().warning, "");
}

/* ---- versions ---- */

/* A call that heard of the new minimum is no look that has seen it. */
static void a_minimum_that_a_call_heard_of_counts_from_the_next_look(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    struct provider_wrapped old = parts_wrap(p, BYTES_OF(seed));
    (void)fake_vault_rotate();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(look(), KERR_OK);
    }
    (void)fake_vault_rotate();
    atomic_store(&fake_vault.min_decryption, 2);
    struct provider_wrapped newest = from_another_node(CONFIG_VAULT_HIERARCHY);
    assert_int_equal(unwrap(&newest, true), KERR_OK);
    for (int i = 1; i < VAULT_LINK_REFUSALS; i++) {
        assert_int_equal(look(), KERR_OK);
        assert_int_equal(unwrap(&old, true), KERR_OK);
    }
    assert_int_equal(look(), KERR_OK);
    assert_int_equal(unwrap(&old, true), KERR_STATE);
}

/* The same number, but made anew: for as long as that lasts, what does not authenticate is no
 * forgery, and it is asked for again when the right key is back. */
static void what_another_key_did_not_open_is_no_forgery(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        forget();
        fake_vault_reset();
        uint64_t made_s = atomic_load(&fake_vault.created_s[1]);
        struct provider_wrapped w = from_another_node(modes[m]);
        start(modes[m]);
        atomic_store(&fake_vault.material[1], 99);
        atomic_store(&fake_vault.created_s[1], made_s + 60);
        assert_int_equal(unwrap(&w, true), KERR_INTEGRITY);
        assert_int_equal(look(), KERR_OK);
        assert_non_null(strstr(info().warning, "not the one that was used before"));
        assert_int_equal(unwrap(&w, true), KERR_INTEGRITY);
        atomic_store(&fake_vault.material[1], 1);
        atomic_store(&fake_vault.created_s[1], made_s);
        assert_int_equal(look(), KERR_OK);
        assert_string_equal(info().warning, "");
        assert_int_equal(unwrap(&w, true), KERR_OK);
    }
}

/* ---- what is asked for ---- */

static void a_call_that_may_not_wait_asks_nothing(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    (void)fake_vault_rotate();
    struct provider_wrapped newer = from_another_node(CONFIG_VAULT_HIERARCHY);
    unsigned before = fake_vault_calls();
    assert_int_equal(unwrap(&newer, false), KERR_WAITS);
    assert_int_equal(fake_vault_calls(), before);
}

static void invented_versions_are_asked_about_rarely(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    struct provider_wrapped w = parts_wrap(p, BYTES_OF(seed));
    unsigned before = fake_vault_calls();
    uint64_t began_ms = clock_mono_ms();
    w.key_id[10] = w.key_id[10] == 'a' ? 'b' : 'a';
    for (uint32_t i = 0; i < 1000; i++) {
        w.annotation_bytes[4] = 1; /* version 65,536 and more */
        memcpy(w.annotation_bytes + 5, &i, 2);
        assert_int_equal(unwrap(&w, true), KERR_KEYID);
    }
    uint64_t passed_s = (clock_mono_ms() - began_ms) / 1000 + 1;
    unsigned asked = fake_vault_calls() - before;
    assert_true(asked >= 3 && asked <= 3 + passed_s);
    passed_ms += 10000;
    (void)fake_vault_rotate();
    struct provider_wrapped newer = from_another_node(CONFIG_VAULT_HIERARCHY);
    assert_int_equal(unwrap(&newer, true), KERR_OK); /* that of another node is learned again */
}

static void a_known_kek_is_bound_to_its_key_id(void **state)
{
    (void)state;
    start(CONFIG_VAULT_HIERARCHY);
    struct provider_wrapped old = parts_wrap(p, BYTES_OF(seed));
    (void)fake_vault_rotate();
    assert_int_equal(look(), KERR_OK);
    struct provider_wrapped new = parts_wrap(p, BYTES_OF(seed));
    unsigned before = fake_vault_calls();
    struct provider_wrapped mixed = old;
    memcpy(mixed.key_id, new.key_id, sizeof mixed.key_id);
    assert_int_equal(unwrap(&mixed, true), KERR_KEYID);
    assert_int_equal(fake_vault_calls(), before);
}

static void only_its_own_annotation_is_asked_about(void **state)
{
    (void)state;
    static const char *const others[] = {"kek.etcdseal.interna", "kek.etcdseal.internal2", "KEK",
                                         ""};
    struct provider_wrapped w = from_another_node(CONFIG_VAULT_HIERARCHY);
    start(CONFIG_VAULT_HIERARCHY);
    unsigned before = fake_vault_calls();
    for (size_t i = 0; i <= ARRAY_LEN(others); i++) {
        struct provider_annotations a = parts_annotations(&w);
        const char *of_key = NULL;
        if (i < ARRAY_LEN(others)) {
            a.rows[0].name = bytes_of_text(others[i]);
        } else {
            a.rows[a.count++] = a.rows[0]; /* twice */
        }
        assert_int_equal(parts_unwrap_with(p, &a, w.key_id,
                                           bytes_of(w.ciphertext, w.ciphertext_len), BYTES_OF(seed),
                                           &of_key, &e),
                         KERR_INTEGRITY);
    }
    assert_int_equal(fake_vault_calls(), before);
    assert_int_equal(unwrap(&w, true), KERR_OK);
}

/* Its annotation authenticates and nothing else does: it was copied from another value. */
static void a_kek_under_which_nothing_authenticated_is_forgotten(void **state)
{
    (void)state;
    struct provider_wrapped w = from_another_node(CONFIG_VAULT_HIERARCHY);
    start(CONFIG_VAULT_HIERARCHY);
    w.ciphertext[w.ciphertext_len - 1] ^= 1;
    assert_int_equal(unwrap(&w, true), KERR_INTEGRITY);
    assert_int_equal(info().remote.keks_cached, 2);
    passed_ms += 48ULL * 3600 * 1000 + 1000;
    assert_int_equal(look(), KERR_OK);
    assert_int_equal(info().remote.keks_cached, 1);
}

/* ---- floods ---- */

/* Invented seeds of the form of mode direct, with the key id that is served. */
static unsigned ask_for_invented_seeds(uint32_t count)
{
    struct provider_wrapped w = {.ciphertext_len = 80};
    const struct vault_wire_seed head = {.epoch = 0, .version = 1};
    unsigned before = fake_vault_calls();
    (void)snprintf(w.key_id, sizeof w.key_id, "%s", info().current_key_id);
    vault_wire_put_head(&head, w.ciphertext);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(w.ciphertext + 20, &i, sizeof i);
        enum kerr k = unwrap(&w, true);
        assert_true(k == KERR_INTEGRITY || k == KERR_LIMIT);
    }
    return fake_vault_calls() - before;
}

static void invented_seeds_cost_mode_hierarchy_little(void **state)
{
    (void)state;
    start(CONFIG_VAULT_DIRECT);
    struct provider_wrapped stored = parts_wrap(p, BYTES_OF(seed));
    start(CONFIG_VAULT_HIERARCHY);
    struct provider_wrapped known = parts_wrap(p, BYTES_OF(seed));
    uint64_t began_ms = clock_mono_ms();
    unsigned asked = ask_for_invented_seeds(100000);
    uint64_t passed_s = (clock_mono_ms() - began_ms) / 1000 + 1;
    print_message("100000 invented seeds: %u calls\n", asked);
    assert_true(asked >= 50 && asked <= 51 + 2 * passed_s);
    assert_true(info().remote.unknown_refused >= 99000);
    assert_int_equal(unwrap(&known, false), KERR_OK);
    passed_ms += 10000; /* what was stored in mode direct is read again soon, as often as wanted */
    for (int i = 0; i < 200; i++) {
        assert_int_equal(unwrap(&stored, true), KERR_OK);
    }
}

/* Where every read asks, a flood must not stop the reads of others; the same one asks once. */
static void invented_seeds_are_asked_for_once_in_mode_direct(void **state)
{
    (void)state;
    start(CONFIG_VAULT_DIRECT);
    struct provider_wrapped stored = parts_wrap(p, BYTES_OF(seed));
    assert_int_equal(ask_for_invented_seeds(200), 200);
    assert_true(ask_for_invented_seeds(200) < 20); /* some share a place in the table */
    assert_int_equal(unwrap(&stored, true), KERR_OK);
    passed_ms += 600000;
    assert_int_equal(ask_for_invented_seeds(1), 1);
    assert_int_equal(ask_for_invented_seeds(1), 0);
    fake_vault_fail(VAULT_CONNECT);
    assert_int_not_equal(look(), KERR_OK);
    fake_vault_fail(VAULT_NONE);
    assert_int_equal(look(), KERR_OK); /* it may be another server, or have been restored */
    assert_int_equal(ask_for_invented_seeds(1), 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_start_that_fails_here_is_tried_again_without_haste),
        TEST(what_cannot_be_written_down_costs_the_service_little),
        TEST(a_full_disk_uses_up_no_grace),
        TEST(a_fault_here_does_not_start_anything),
        TEST(uses_are_written_down_when_there_are_any),
        TEST(many_uses_are_written_down_before_a_crash_could_lose_them),
        TEST(what_does_not_decrypt_at_once_is_a_bad_answer),
        TEST(what_is_stopped_has_no_warning_about_what_serves),
        TEST(a_minimum_that_a_call_heard_of_counts_from_the_next_look),
        TEST(what_another_key_did_not_open_is_no_forgery),
        TEST(a_call_that_may_not_wait_asks_nothing),
        TEST(invented_versions_are_asked_about_rarely),
        TEST(a_known_kek_is_bound_to_its_key_id),
        TEST(only_its_own_annotation_is_asked_about),
        TEST(a_kek_under_which_nothing_authenticated_is_forgotten),
        TEST(invented_seeds_cost_mode_hierarchy_little),
        TEST(invented_seeds_are_asked_for_once_in_mode_direct),
    };
    return cmocka_run_group_tests_name("provider.vault_faults", tests, NULL, NULL);
}
