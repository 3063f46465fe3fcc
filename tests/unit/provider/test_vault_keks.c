/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of KEKs: its limits, who gives way, what is asked and by how many. */
#include "provider/vault_keks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/lib/testlib.h"

static struct kerrinfo e;
static struct vault_keks *c;

static int setup(void **state)
{
    (void)state;
    assert_ok(&e, secret_start(SECRET_LOCK_BEST_EFFORT, &e));
    assert_ok(&e, vault_keks_new(&c, &e));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vault_keks_free(c);
    return 0;
}

struct name {
    char text[32];
};

static struct bytes name(struct name *n, unsigned number)
{
    int len = snprintf(n->text, sizeof n->text, "annotation %u", number);
    return bytes_of(n->text, (size_t)len);
}

static struct vault_kek *make(unsigned number, uint32_t version)
{
    static const uint8_t key[SUITE_KEK_BYTES] = {1};
    struct name n;
    struct vault_kek *k = NULL;
    assert_ok(&e, vault_kek_new("esv1-x", version, SUITE_XAES_256_GCM, BYTES_OF(key),
                                name(&n, number), &k, &e));
    return k;
}

/* Asks and gets a KEK, as a call does that found the service willing. */
static void learn(unsigned number, uint32_t version)
{
    struct name n;
    struct vault_kek *k = NULL;
    assert_int_equal(vault_keks_begin(c, name(&n, number), clock_mono_ms() + 1000, &k),
                     VAULT_KEKS_UNKNOWN);
    AUTO_KEK made = make(number, version);
    vault_keks_end(c, name(&n, number), made, false);
}

static enum vault_keks_answer peek(unsigned number)
{
    struct name n;
    AUTO_KEK k = NULL;
    return vault_keks_peek(c, name(&n, number), &k);
}

static void what_was_learned_is_found(void **state)
{
    (void)state;
    struct name n;
    AUTO_KEK k = NULL;
    assert_int_equal(peek(1), VAULT_KEKS_UNKNOWN);
    learn(1, 7);
    assert_int_equal(vault_keks_peek(c, name(&n, 1), &k), VAULT_KEKS_FOUND);
    assert_string_equal(vault_kek_key_id(k), "esv1-x");
    assert_int_equal(vault_kek_version(k), 7);
    assert_true(bytes_equal(vault_kek_annotation(k), name(&n, 1)));
    assert_int_equal(peek(2), VAULT_KEKS_UNKNOWN);
    assert_int_equal(vault_keks_counts(c).cached, 1);
}

static void a_kek_of_another_size_is_refused(void **state)
{
    (void)state;
    static const uint8_t key[SUITE_KEK_BYTES + 1] = {1};
    struct vault_kek *k = NULL;
    assert_refused(
        &e, KERR_INTEGRITY, "a KEK of 31 bytes",
        vault_kek_new("x", 1, SUITE_XAES_256_GCM, bytes_of(key, 31), bytes_of_text("a"), &k, &e));
    assert_refused(
        &e, KERR_INTEGRITY, "a KEK of 33 bytes",
        vault_kek_new("x", 1, SUITE_XAES_256_GCM, BYTES_OF(key), bytes_of_text("a"), &k, &e));
    static const uint8_t annotation[VAULT_WIRE_ANNOTATION_MAX + 1] = {0};
    assert_refused(
        &e, KERR_INTEGRITY, "",
        vault_kek_new("x", 1, SUITE_XAES_256_GCM, bytes_of(key, 32), BYTES_OF(annotation), &k, &e));
    assert_refused(&e, KERR_UNSUP, "",
                   vault_kek_new("x", 1, 9, bytes_of(key, 32), bytes_of_text("a"), &k, &e));
    assert_null(k);
}

static void forgeries_are_remembered_and_forgiven(void **state)
{
    (void)state;
    struct name n;
    struct vault_kek *k = NULL;
    uint64_t soon = clock_mono_ms() + 1000;
    assert_int_equal(vault_keks_begin(c, name(&n, 1), soon, &k), VAULT_KEKS_UNKNOWN);
    vault_keks_end(c, name(&n, 1), NULL, true);
    assert_int_equal(peek(1), VAULT_KEKS_FORGED);
    assert_int_equal(vault_keks_begin(c, name(&n, 1), soon, &k), VAULT_KEKS_FORGED);
    assert_int_equal(vault_keks_counts(c).refused, 2);
    vault_keks_forgive(c);
    assert_int_equal(peek(1), VAULT_KEKS_UNKNOWN);
    /* An outage says nothing about an annotation. */
    assert_int_equal(vault_keks_begin(c, name(&n, 2), soon, &k), VAULT_KEKS_UNKNOWN);
    vault_keks_end(c, name(&n, 2), NULL, false);
    assert_int_equal(peek(2), VAULT_KEKS_UNKNOWN);
    /* Nor does it use up what forgeries may cost. */
    for (unsigned i = 0; i < 2 * VAULT_KEKS_BUDGET_BURST; i++) {
        assert_int_equal(vault_keks_begin(c, name(&n, 2), soon, &k), VAULT_KEKS_UNKNOWN);
        vault_keks_end(c, name(&n, 2), NULL, false);
    }
}

static void only_forgeries_use_up_the_budget(void **state)
{
    (void)state;
    struct name n;
    struct vault_kek *k = NULL;
    for (unsigned i = 0; i < 4 * VAULT_KEKS_BUDGET_BURST; i++) {
        learn(i, 1);
    }
    size_t asked = 0;
    uint64_t began_ms = clock_mono_ms();
    for (unsigned i = 0; i < 100000; i++) {
        if (vault_keks_begin(c, name(&n, 1000 + i), began_ms, &k) == VAULT_KEKS_UNKNOWN) {
            vault_keks_end(c, name(&n, 1000 + i), NULL, true);
            asked++;
        }
    }
    uint64_t passed_s = (clock_mono_ms() - began_ms) / 1000 + 1;
    assert_true(asked >= VAULT_KEKS_BUDGET_BURST);
    assert_true(asked <= VAULT_KEKS_BUDGET_BURST + passed_s * VAULT_KEKS_BUDGET_RATE);
    assert_int_equal(vault_keks_begin(c, name(&n, 999999), began_ms, &k), VAULT_KEKS_BUDGET);
    assert_true(vault_keks_counts(c).refused >= 99000);
    assert_int_equal(peek(1), VAULT_KEKS_FOUND); /* what is known is served all the same */
}

static enum vault_keks_answer begin_seed(unsigned number, bool has_budget)
{
    struct name n;
    return vault_keks_begin_seed(c, name(&n, number), has_budget);
}

static void end_seed(unsigned number, bool has_budget, bool is_forged)
{
    struct name n;
    vault_keks_end_seed(c, name(&n, number), has_budget, is_forged);
}

static void seeds_are_asked_for_but_not_their_forgeries(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) { /* good ones are not kept */
        assert_int_equal(begin_seed(1, true), VAULT_KEKS_UNKNOWN);
        end_seed(1, true, false);
    }
    assert_int_equal(begin_seed(1, true), VAULT_KEKS_UNKNOWN);
    assert_int_equal(begin_seed(1, true), VAULT_KEKS_UNKNOWN); /* nobody waits for another */
    end_seed(1, true, true);
    end_seed(1, true, true);
    assert_int_equal(begin_seed(1, true), VAULT_KEKS_FORGED);
    assert_int_equal(begin_seed(1, false), VAULT_KEKS_FORGED);
    assert_int_equal(vault_keks_counts(c).refused, 2);
    assert_int_equal(vault_keks_counts(c).cached, 0);
    vault_keks_forgive(c);
    assert_int_equal(begin_seed(1, false), VAULT_KEKS_UNKNOWN);
}

static void a_budget_is_used_up_by_forged_seeds_alone(void **state)
{
    (void)state;
    uint64_t began_ms = clock_mono_ms();
    for (unsigned i = 0; i < 4 * VAULT_KEKS_BUDGET_BURST; i++) {
        assert_int_equal(begin_seed(i, true), VAULT_KEKS_UNKNOWN);
        end_seed(i, true, false);
    }
    size_t asked = 0;
    for (unsigned i = 1000; i < 3000; i++) {
        if (begin_seed(i, true) == VAULT_KEKS_UNKNOWN) {
            end_seed(i, true, true);
            asked++;
        }
    }
    uint64_t passed_s = (clock_mono_ms() - began_ms) / 1000 + 1;
    assert_true(asked >= VAULT_KEKS_BUDGET_BURST);
    assert_true(asked <= VAULT_KEKS_BUDGET_BURST + passed_s * VAULT_KEKS_BUDGET_RATE);
    assert_int_equal(begin_seed(5000, true), VAULT_KEKS_BUDGET);
    assert_int_equal(begin_seed(5000, false), VAULT_KEKS_UNKNOWN); /* who has none needs none */
    end_seed(5000, false, false);
    assert_int_equal(begin_seed(5000, true), VAULT_KEKS_BUDGET); /* nor gives any back */
}

static void pinned_ones_survive_a_flood(void **state)
{
    (void)state;
    AUTO_KEK own = make(0, 1);
    vault_keks_keep(c, own);
    for (unsigned i = 1; i <= 100; i++) {
        struct name n;
        learn(i, 1);
        AUTO_KEK k = NULL;
        assert_int_equal(vault_keks_peek(c, name(&n, i), &k), VAULT_KEKS_FOUND);
        vault_keks_keep(c, k);
    }
    for (unsigned i = 1000; i < 1000 + 3 * VAULT_KEKS_MAX; i++) {
        learn(i, 1);
    }
    for (unsigned i = 0; i <= 100; i++) {
        assert_int_equal(peek(i), VAULT_KEKS_FOUND);
    }
    assert_int_equal(vault_keks_counts(c).cached, VAULT_KEKS_MAX);
    assert_int_equal(vault_keks_counts(c).pinned, 101);
    /* Among the others the newest is kept. */
    assert_int_equal(peek(1000 + 3 * VAULT_KEKS_MAX - 1), VAULT_KEKS_FOUND);
    assert_int_equal(peek(1000), VAULT_KEKS_UNKNOWN);
}

static void pinned_ones_give_way_to_pinned_ones_only(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VAULT_KEKS_MAX; i++) {
        AUTO_KEK k = make(i, 1);
        vault_keks_keep(c, k);
    }
    learn(5000, 1);
    assert_int_equal(peek(5000), VAULT_KEKS_UNKNOWN);
    AUTO_KEK newest = make(6000, 1);
    vault_keks_keep(c, newest);
    assert_int_equal(peek(6000), VAULT_KEKS_FOUND);
    assert_int_equal(vault_keks_counts(c).cached, VAULT_KEKS_MAX);
}

static void wiping(void **state)
{
    (void)state;
    AUTO_KEK own = make(0, 1);
    vault_keks_keep(c, own);
    learn(1, 2);
    learn(2, 3);
    assert_int_equal(vault_keks_wipe_below(c, 2), 1);
    assert_int_equal(peek(0), VAULT_KEKS_UNKNOWN);
    assert_int_equal(vault_keks_wipe_unused(c, 60000), 0);
    (void)usleep(20000);
    assert_int_equal(peek(2), VAULT_KEKS_FOUND); /* used */
    assert_int_equal(vault_keks_wipe_unused(c, 10), 1);
    assert_int_equal(peek(1), VAULT_KEKS_UNKNOWN);
    vault_keks_keep(c, own);
    (void)usleep(20000);
    assert_int_equal(vault_keks_wipe_unused(c, 10), 1);
    assert_int_equal(peek(0), VAULT_KEKS_FOUND);
    assert_int_equal(vault_keks_wipe(c), 1);
    assert_int_equal(vault_keks_counts(c).cached, 0);
}

/* ---- threads ---- */

#define CALLERS 8

static atomic_size_t questions;
static atomic_size_t found;

static void *call(void *unused)
{
    (void)unused;
    struct name n;
    AUTO_KEK k = NULL;
    enum vault_keks_answer a = vault_keks_begin(c, name(&n, 1), clock_mono_ms() + 5000, &k);
    if (a == VAULT_KEKS_UNKNOWN) {
        (void)atomic_fetch_add(&questions, 1);
        (void)usleep(50000);
        AUTO_KEK made = make(1, 1);
        vault_keks_end(c, name(&n, 1), made, false);
    }
    (void)atomic_fetch_add(&found, a == VAULT_KEKS_FOUND);
    return NULL;
}

static void one_asks_and_all_get_the_answer(void **state)
{
    (void)state;
    pthread_t threads[CALLERS];
    atomic_store(&questions, 0);
    atomic_store(&found, 0);
    for (size_t i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, call, NULL), 0);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&questions), 1);
    assert_int_equal(atomic_load(&found), CALLERS - 1);
}

static void nobody_waits_longer_than_he_may(void **state)
{
    (void)state;
    struct name n;
    struct vault_kek *k = NULL;
    assert_int_equal(vault_keks_begin(c, name(&n, 1), 0, &k), VAULT_KEKS_UNKNOWN);
    uint64_t began_ms = clock_mono_ms();
    assert_int_equal(vault_keks_begin(c, name(&n, 1), began_ms + 30, &k), VAULT_KEKS_LATE);
    assert_true(clock_mono_ms() >= began_ms + 30);
    vault_keks_end(c, name(&n, 1), NULL, false);
    assert_int_equal(vault_keks_begin(c, name(&n, 1), 0, &k), VAULT_KEKS_UNKNOWN);
    vault_keks_end(c, name(&n, 1), NULL, false);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_was_learned_is_found),
        TEST(a_kek_of_another_size_is_refused),
        TEST(forgeries_are_remembered_and_forgiven),
        TEST(only_forgeries_use_up_the_budget),
        TEST(seeds_are_asked_for_but_not_their_forgeries),
        TEST(a_budget_is_used_up_by_forged_seeds_alone),
        TEST(pinned_ones_survive_a_flood),
        TEST(pinned_ones_give_way_to_pinned_ones_only),
        TEST(wiping),
        TEST(one_asks_and_all_get_the_answer),
        TEST(nobody_waits_longer_than_he_may),
    };
    return cmocka_run_group_tests_name("provider.vault_keks", tests, NULL, NULL);
}
