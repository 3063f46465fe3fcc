/* SPDX-License-Identifier: Apache-2.0 */
/* Which version wraps: what a server may show, and that nothing ever goes back. */
#include "provider/vault_choice.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/testlib.h"

#define NOW_S  1000000
#define NOW_MS 5000000
#define MAX    8

static struct config_vault config;
static struct vault_version versions[MAX];
static struct vault_key key;
static struct vault_choice_input in;
static struct vault_choice got;

/* A server that shows versions 1 to `latest`, made a day apart, all of them old. */
static int setup(void **state)
{
    (void)state;
    config = (struct config_vault){.activation_delay_ms = 60000, .stability_ms = 20000};
    for (uint32_t i = 0; i < MAX; i++) {
        versions[i] = (struct vault_version){i + 1, 1000 * (i + 1)};
    }
    key = (struct vault_key){
        .latest = 3, .min_decryption = 1, .versions = versions, .version_count = 3};
    in = (struct vault_choice_input){.config = &config,
                                     .key = &key,
                                     .seen_version = 3,
                                     .seen_ms = NOW_MS - 3600000,
                                     .now_ms = NOW_MS,
                                     .now_s = NOW_S};
    return 0;
}

static void show(uint32_t latest)
{
    key.latest = latest;
    key.version_count = latest;
    in.seen_version = latest;
}

static void mark(uint8_t epoch, uint32_t number)
{
    in.mark = (struct vault_wire_version){epoch, number, versions[number - 1].created_at_s};
    in.is_wrapping = true;
}

static void expect(uint8_t epoch, uint32_t number, enum vault_cause cause, uint32_t pending)
{
    vault_choose(&in, &got);
    assert_int_equal(got.use.number, number);
    assert_int_equal(got.use.epoch, epoch);
    assert_int_equal(got.cause, cause);
    assert_int_equal(got.pending, pending);
    assert_true((got.pending != 0) == (got.pending_at_s != 0));
}

static void the_first_start_takes_the_newest_that_is_due(void **state)
{
    (void)state;
    expect(0, 3, VAULT_NONE, 0);
    versions[2].created_at_s = NOW_S - 59;
    expect(0, 2, VAULT_NONE, 3);
    assert_int_equal(got.pending_at_s, NOW_S + 1);
    versions[2].created_at_s = NOW_S - 60;
    expect(0, 3, VAULT_NONE, 0);
}

static void a_key_made_just_now_is_used_at_once(void **state)
{
    (void)state;
    show(1);
    versions[0].created_at_s = NOW_S;
    expect(0, 1, VAULT_NONE, 0);
    show(2);
    versions[1].created_at_s = NOW_S;
    expect(0, 1, VAULT_NONE, 0);
}

static void a_new_version_waits_for_its_time_and_for_stability(void **state)
{
    (void)state;
    mark(0, 2);
    expect(0, 3, VAULT_NONE, 0);
    in.seen_ms = NOW_MS - 5000; /* of 20 s */
    expect(0, 2, VAULT_NONE, 3);
    assert_int_equal(got.pending_at_s, NOW_S + 15);
    in.seen_ms = NOW_MS - 19001; /* a part of a second is one */
    expect(0, 2, VAULT_NONE, 3);
    assert_int_equal(got.pending_at_s, NOW_S + 1);
    in.seen_ms = NOW_MS - 20000;
    expect(0, 3, VAULT_NONE, 0);
    versions[2].created_at_s = NOW_S - 10; /* of 60 s */
    expect(0, 2, VAULT_NONE, 3);
    assert_int_equal(got.pending_at_s, NOW_S + 50);
}

/* Stability is for what came up while this process wrapped: after a restart, and for a version that
 * is not the latest, the age alone counts. */
static void stability_is_for_the_latest_of_a_running_node(void **state)
{
    (void)state;
    mark(0, 2);
    in.seen_ms = NOW_MS;
    expect(0, 2, VAULT_NONE, 3);
    in.is_wrapping = false;
    expect(0, 3, VAULT_NONE, 0);
    in.is_wrapping = true;
    show(4);
    expect(0, 3, VAULT_NONE, 4);
}

/* Whenever they looked first: both have the same moment, that of the version's age. */
static void nodes_change_together(void **state)
{
    (void)state;
    mark(0, 2);
    versions[2].created_at_s = NOW_S;
    for (uint64_t t = 0; t <= 70; t++) {
        in.now_s = NOW_S + t;
        in.now_ms = NOW_MS + 1000 * t;
        in.seen_ms = NOW_MS;
        vault_choose(&in, &got);
        uint32_t one = got.use.number;
        in.seen_ms = NOW_MS + 30000; /* a poll late */
        if (t >= 30) {
            vault_choose(&in, &got);
            assert_int_equal(got.use.number, one);
        }
        assert_int_equal(one, t < 60 ? 2 : 3);
    }
}

static void two_rotations_in_a_row(void **state)
{
    (void)state;
    show(4);
    mark(0, 2);
    versions[2].created_at_s = NOW_S - 61;
    versions[3].created_at_s = NOW_S - 5;
    expect(0, 3, VAULT_NONE, 4);
    assert_int_equal(got.pending_at_s, NOW_S + 55);
}

static void versions_that_may_not_wrap_do_not_count(void **state)
{
    (void)state;
    key.min_encryption = 3;
    versions[2].created_at_s = NOW_S; /* not due, and the only one that may */
    expect(0, 3, VAULT_NONE, 0);
    mark(0, 2);
    expect(0, 3, VAULT_NONE, 0);
    key.min_encryption = 0;
    key.min_decryption = 3;
    expect(0, 3, VAULT_NONE, 0);
    key.min_decryption = 2;
    expect(0, 2, VAULT_NONE, 3);
}

static void a_restored_server_changes_nothing(void **state)
{
    (void)state;
    mark(0, 3);
    show(2); /* version 3 is lost */
    expect(0, 3, VAULT_KEY_CHANGED, 0);
    assert_int_equal(got.use.created_at_s, 3000);
    show(3);
    versions[2].created_at_s = 3001; /* made anew under the same number */
    expect(0, 3, VAULT_KEY_CHANGED, 0);
    assert_int_equal(got.use.created_at_s, 3000);
    show(3);
    key.version_count = 2; /* or it is not shown, although it is said to be the latest */
    expect(0, 3, VAULT_KEY_CHANGED, 0);
    show(4);
    key.min_encryption = 4; /* no reason to hurry: it may be another key altogether */
    versions[3].created_at_s = NOW_S;
    expect(0, 3, VAULT_KEY_CHANGED, 4);
    key.min_encryption = 0;
    show(4); /* a version above is the way out: its key id is new */
    versions[3].created_at_s = NOW_S;
    expect(0, 3, VAULT_KEY_CHANGED, 4);
    versions[3].created_at_s = NOW_S - 100;
    expect(0, 4, VAULT_NONE, 0);
}

static void a_version_that_was_trimmed_is_no_alarm(void **state)
{
    (void)state;
    mark(0, 2);
    key.versions = versions + 2; /* 3 alone */
    key.version_count = 1;
    in.seen_ms = NOW_MS;
    expect(0, 2, VAULT_NONE, 3);
    in.seen_ms = NOW_MS - 20000;
    expect(0, 3, VAULT_NONE, 0);
    key.versions = versions;
}

static void an_epoch_makes_all_new_and_never_goes_back(void **state)
{
    (void)state;
    mark(1, 3);
    config.epoch = 1;
    expect(1, 3, VAULT_NONE, 0);
    assert_false(got.is_epoch_back);
    config.epoch = 2;
    expect(2, 3, VAULT_NONE, 0);
    show(1); /* the key was made anew, and the operator says so */
    expect(2, 1, VAULT_NONE, 0);
    config.epoch = 0;
    show(3);
    expect(1, 3, VAULT_NONE, 0);
    assert_true(got.is_epoch_back);
}

static void a_key_without_versions(void **state)
{
    (void)state;
    key.version_count = 0;
    expect(0, 0, VAULT_BAD_ANSWER, 0);
    key.version_count = 3;
    key.min_encryption = 4;
    expect(0, 0, VAULT_BAD_ANSWER, 0);
}

static void a_server_from_the_future_is_waited_for(void **state)
{
    (void)state;
    mark(0, 2);
    versions[2].created_at_s = NOW_S + 5000;
    expect(0, 2, VAULT_NONE, 3);
    assert_int_equal(got.pending_at_s, NOW_S + 5060);
}

/* Whatever a server shows in whatever order: what is used never goes below what was used, and a
 * number never comes back with another creation time in the same epoch. */
static void nothing_ever_goes_back(void **state)
{
    (void)state;
    unsigned seed = 12345;
    uint64_t used_at[MAX + 1] = {0};
    size_t changes = 0;
    for (int turn = 0; turn < 200000; turn++) {
        seed = seed * 1103515245 + 12345;
        unsigned r = seed >> 8;
        show(1 + r % MAX);
        versions[r / 8 % MAX].created_at_s = NOW_S - 200 + r / 64 % 400;
        key.min_decryption = 1 + r / 4096 % 3;
        key.min_encryption = r / 32768 % 4;
        in.now_s = NOW_S + (uint64_t)turn / 1000;
        vault_choose(&in, &got);
        if (got.use.number == 0) {
            assert_int_equal(in.mark.number, 0);
            continue;
        }
        assert_true(got.use.number >= in.mark.number);
        if (got.use.number != in.mark.number) {
            assert_int_equal(used_at[got.use.number], 0);
            used_at[got.use.number] = got.use.created_at_s;
            changes++;
        }
        assert_int_equal(got.use.created_at_s, used_at[got.use.number]);
        in.mark = got.use;
        in.is_wrapping = true;
    }
    assert_true(changes >= 2);
}

#define TEST(fn) cmocka_unit_test_setup(fn, setup)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(the_first_start_takes_the_newest_that_is_due),
        TEST(a_key_made_just_now_is_used_at_once),
        TEST(a_new_version_waits_for_its_time_and_for_stability),
        TEST(stability_is_for_the_latest_of_a_running_node),
        TEST(nodes_change_together),
        TEST(two_rotations_in_a_row),
        TEST(versions_that_may_not_wrap_do_not_count),
        TEST(a_restored_server_changes_nothing),
        TEST(a_version_that_was_trimmed_is_no_alarm),
        TEST(an_epoch_makes_all_new_and_never_goes_back),
        TEST(a_key_without_versions),
        TEST(a_server_from_the_future_is_waited_for),
        TEST(nothing_ever_goes_back),
    };
    return cmocka_run_group_tests_name("provider.vault_choice", tests, NULL, NULL);
}
