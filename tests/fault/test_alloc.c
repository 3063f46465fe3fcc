/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation that our own code makes fails in turn (failing_alloc.h). The call ends with
 * NOMEM, leaks nothing (seen by the address sanitizer's run of this test) and loses nothing
 * (ks_scenarios.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "keystore/keyring.h"
#include "tests/fault/ks_scenarios.h"

#include "tests/fault/failing_alloc.h"

static enum kerr open_and_serve(struct ks_fixture *f, struct kerrinfo *e)
{
    AUTO_KS ks = NULL;
    struct keyring *ring = NULL;
    enum kerr k = ks_open(&f->place, NULL, &ks, e);
    if (k == KERR_OK) {
        k = keyring_new(ks_model(ks), &ring, e);
    }
    keyring_unref(ring);
    return k;
}

static void make_one(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    assert_ok(&e, ks_init(&f->place, f->slots, 1, SUITE_XAES_256_GCM, f->first_key, &e));
}

/* One run with the n-th allocation failing; true when there was no n-th one. */
static bool fail_one(const struct ks_scenario *s, int n, int *failures)
{
    struct ks_trial t;
    struct kerrinfo e = {0};
    char what[128];
    (void)snprintf(what, sizeof what, "%s, allocation %d fails", s->name, n);
    ks_scenario_begin(s, &t);
    allocations = 0;
    fail_at = n;
    enum kerr k = s->act(&t.f, &e);
    bool is_done = allocations < n;
    fail_at = 0;
    if (k != KERR_OK && (k != KERR_NOMEM || is_done)) {
        fail_msg("%s: %s: %s", what, kerr_name(k), e.text);
    }
    *failures += k != KERR_OK;
    ks_scenario_check(&t, k == KERR_OK, what);
    ks_scenario_end(&t);
    return is_done;
}

static void fail_each(const struct ks_scenario *s)
{
    int failures = 0;
    int n = 1;
    while (!fail_one(s, n, &failures)) {
        n++;
    }
    assert_true(failures > 20);
    print_message("%s: %d of %d allocations refused\n", s->name, failures, n - 1);
}

static void opening(void **state)
{
    (void)state;
    fail_each(&(struct ks_scenario){.name = "open", .prepare = make_one, .act = open_and_serve});
}

static void writing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_scenario_count; i++) {
        fail_each(&ks_scenarios[i]);
    }
}

/* Without a record the keystore in place is the only witness of a key that the backup has not; that
 * it could not be read for want of memory must not make it none. */
static void a_key_is_never_given_up_for_want_of_memory(void **state)
{
    (void)state;
    int failures = 0;
    bool is_done = false;
    for (int n = 1; !is_done; n++) {
        struct ks_fixture f;
        struct kerrinfo e = {0};
        uint8_t hash[HASH_BYTES];
        uint8_t id[KS_ID_BYTES];
        uint64_t generation = 0;
        ks_fixture_init(&f, 1);
        char *backup = test_path(f.top, "backup");
        char *record = test_path(f.folder, "keystore.accepted");
        assert_ok(&e, ks_backup(&f.place, backup, hash, &e));
        assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
        assert_int_equal(unlink(record), 0);
        struct ks_restore r = {.from = backup, .fingerprint = hash};
        allocations = 0;
        fail_at = n;
        enum kerr k = ks_restore(&f.place, &r, &generation, &e);
        is_done = allocations < n;
        fail_at = 0;
        if (k != KERR_DENIED && (k != KERR_NOMEM || is_done)) {
            fail_msg("allocation %d: %s: %s", n, kerr_name(k), e.text);
        }
        failures += k == KERR_NOMEM;
        free(backup);
        free(record);
        ks_fixture_end(&f);
    }
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening),
        cmocka_unit_test(writing),
        cmocka_unit_test(a_key_is_never_given_up_for_want_of_memory),
    };
    return cmocka_run_group_tests_name("keystore.alloc", tests, NULL, NULL);
}
