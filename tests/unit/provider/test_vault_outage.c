/* SPDX-License-Identifier: Apache-2.0 */
/* The provider vault over the fake service: what each cause of vault/cause.def means for Status,
 * Encrypt and Decrypt, at the start, in the grace time and after it, in both modes. */
#include <sys/stat.h>

#include "tests/unit/provider/vault_parts.h"

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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(at_start_nothing_is_served_and_it_heals),
        TEST(a_running_hierarchy_serves_on),
        TEST(a_running_direct_mode_tells_status_and_fails_calls),
        TEST(a_refusal_that_lasts_wipes_the_keys),
        TEST(a_failing_login_is_an_alarm_while_calls_work),
        TEST(a_damaged_state_is_refused_with_a_cure),
    };
    return cmocka_run_group_tests_name("provider.vault_outage", tests, NULL, NULL);
}
