/* SPDX-License-Identifier: Apache-2.0 */
/* The table of vault_link.h, row by row, and its clocks. */
#include "provider/vault_link.h"

#include "tests/lib/testlib.h"

#define GRACE_MS 3600000

static struct config_vault rules;
static struct vault_link l;
static struct vault_link_now now;

static int setup(void **state)
{
    (void)state;
    rules = (struct config_vault){.offline_grace_ms = GRACE_MS, .poll_ms = 10000};
    l = (struct vault_link){.state = VAULT_LINK_STARTING};
    now = (struct vault_link_now){.mono_ms = 50000, .wall_s = 1000000};
    return 0;
}

static void pass(uint64_t ms)
{
    now.mono_ms += ms;
    now.wall_s += ms / 1000;
}

static void good(void)
{
    vault_link_good(&l, now);
    assert_int_equal(l.state, VAULT_LINK_SERVING);
    assert_int_equal(l.cause, VAULT_NONE);
}

static void bad(enum vault_cause cause, enum vault_link_state want)
{
    vault_link_bad(&l, cause, now, &rules);
    assert_int_equal(l.state, want);
    assert_int_equal(l.cause, cause);
}

static void starting_stays_so_until_a_good_look(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        bad(VAULT_CONNECT, VAULT_LINK_STARTING);
        bad(VAULT_POLICY, VAULT_LINK_STARTING);
        pass(GRACE_MS);
    }
    good();
}

static void an_outage_has_its_grace_from_the_last_good_look(void **state)
{
    (void)state;
    good();
    pass(10000);
    good();
    pass(GRACE_MS - 1000);
    bad(VAULT_SEALED, VAULT_LINK_GRACE);
    assert_int_equal(vault_link_grace_ends_s(&l, &rules), 1000000 + 10 + GRACE_MS / 1000);
    pass(999);
    bad(VAULT_SEALED, VAULT_LINK_GRACE);
    pass(1);
    bad(VAULT_SEALED, VAULT_LINK_STOPPED);
    assert_int_equal(vault_link_grace_ends_s(&l, &rules), 0);
    bad(VAULT_CONNECT, VAULT_LINK_STOPPED);
    good();
    bad(VAULT_CONNECT, VAULT_LINK_GRACE);
}

static void either_clock_ends_it(void **state)
{
    (void)state;
    good();
    bad(VAULT_TIMEOUT, VAULT_LINK_GRACE);
    now.wall_s += GRACE_MS / 1000; /* the machine was suspended */
    bad(VAULT_TIMEOUT, VAULT_LINK_STOPPED);
    good();
    bad(VAULT_TIMEOUT, VAULT_LINK_GRACE);
    now.wall_s -= 500000; /* somebody put the clock back */
    now.mono_ms += GRACE_MS;
    bad(VAULT_TIMEOUT, VAULT_LINK_STOPPED);
}

static void a_tick_ends_it_too(void **state)
{
    (void)state;
    good();
    bad(VAULT_TLS, VAULT_LINK_GRACE);
    pass(GRACE_MS);
    vault_link_tick(&l, now, &rules);
    assert_int_equal(l.state, VAULT_LINK_STOPPED);
    setup(NULL);
    good();
    pass(10ULL * GRACE_MS);
    vault_link_tick(&l, now, &rules); /* no look has failed: nothing is known */
    assert_int_equal(l.state, VAULT_LINK_SERVING);
}

static void without_grace_the_first_failure_stops(void **state)
{
    (void)state;
    rules.offline_grace_ms = 0;
    good();
    bad(VAULT_CONNECT, VAULT_LINK_STOPPED);
    good();
}

static void a_refusal_counts_when_it_is_seen_again_and_again(void **state)
{
    (void)state;
    good();
    bad(VAULT_POLICY, VAULT_LINK_GRACE);
    bad(VAULT_POLICY, VAULT_LINK_GRACE);
    bad(VAULT_POLICY, VAULT_LINK_GRACE); /* three, but at once */
    pass(VAULT_LINK_REFUSED_MS - 1);
    bad(VAULT_NO_KEY, VAULT_LINK_GRACE);
    pass(1);
    bad(VAULT_POLICY, VAULT_LINK_STOPPED);
    good();
    bad(VAULT_POLICY, VAULT_LINK_GRACE);
    pass(VAULT_LINK_REFUSED_MS);
    bad(VAULT_POLICY, VAULT_LINK_GRACE); /* long enough, but twice */
    bad(VAULT_POLICY, VAULT_LINK_STOPPED);
}

static void an_outage_between_begins_the_count_anew(void **state)
{
    (void)state;
    good();
    bad(VAULT_POLICY, VAULT_LINK_GRACE);
    bad(VAULT_POLICY, VAULT_LINK_GRACE);
    pass(VAULT_LINK_REFUSED_MS);
    bad(VAULT_CONNECT, VAULT_LINK_GRACE);
    bad(VAULT_POLICY, VAULT_LINK_GRACE);
    bad(VAULT_POLICY, VAULT_LINK_GRACE);
    bad(VAULT_POLICY, VAULT_LINK_GRACE);
}

static void on_refused_grace_takes_it_for_an_outage(void **state)
{
    (void)state;
    rules.on_refused = CONFIG_ON_REFUSED_GRACE;
    good();
    for (int i = 0; i < 100; i++) {
        bad(VAULT_POLICY, VAULT_LINK_GRACE);
        pass(VAULT_LINK_REFUSED_MS);
    }
    pass(GRACE_MS);
    bad(VAULT_POLICY, VAULT_LINK_STOPPED);
}

/* Every cause is of one of the two classes, or never comes here. */
static void causes_have_their_class(void **state)
{
    (void)state;
    for (int c = 0; c < VAULT_CAUSE_COUNT; c++) {
        enum vault_cause cause = (enum vault_cause)c;
        bool is_told = vault_cause_class(cause) != VAULT_CLASS_REQUEST;
        assert_true(!is_told || *vault_cause_cure(cause) != 0);
        assert_true(*vault_cause_word(cause) != 0 && *vault_cause_sentence(cause) != 0);
    }
}

static void looks_come_soon_after_a_failure(void **state)
{
    (void)state;
    static const uint64_t want[] = {500, 1000, 2000, 4000, 5000, 5000};
    assert_int_equal(vault_link_due_ms(&l, &rules), 500); /* nothing is served yet */
    good();
    assert_int_equal(vault_link_due_ms(&l, &rules), 10000);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        bad(VAULT_CONNECT, VAULT_LINK_GRACE);
        assert_int_equal(vault_link_due_ms(&l, &rules), want[i]);
    }
    good();
    assert_int_equal(vault_link_due_ms(&l, &rules), 10000);
    rules.poll_ms = 1000;
    for (int i = 0; i < 5; i++) {
        bad(VAULT_CONNECT, VAULT_LINK_GRACE);
        assert_true(vault_link_due_ms(&l, &rules) <= 1000);
    }
}

static void words(void **state)
{
    (void)state;
    assert_string_equal(vault_link_word(VAULT_LINK_STARTING), "starting");
    assert_string_equal(vault_link_word(VAULT_LINK_STOPPED), "stopped");
}

#define TEST(fn) cmocka_unit_test_setup(fn, setup)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(starting_stays_so_until_a_good_look),
        TEST(an_outage_has_its_grace_from_the_last_good_look),
        TEST(either_clock_ends_it),
        TEST(a_tick_ends_it_too),
        TEST(without_grace_the_first_failure_stops),
        TEST(a_refusal_counts_when_it_is_seen_again_and_again),
        TEST(an_outage_between_begins_the_count_anew),
        TEST(on_refused_grace_takes_it_for_an_outage),
        TEST(causes_have_their_class),
        TEST(looks_come_soon_after_a_failure),
        TEST(words),
    };
    return cmocka_run_group_tests_name("provider.vault_link", tests, NULL, NULL);
}
