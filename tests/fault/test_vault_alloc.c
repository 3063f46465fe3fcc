/* SPDX-License-Identifier: Apache-2.0 */
/* The state file of provider vault: every allocation fails in turn (failing_alloc.h). The write
 * ends with NOMEM, leaks nothing, and leaves a state as vs_trial.h wants it. */
#include <stdio.h>

#include "tests/fault/vs_trial.h"

#include "tests/fault/failing_alloc.h"

/* A read and a write with the n-th allocation failing; true when there was no n-th one. */
static bool fail_one(bool has_file, int n, int *failures)
{
    struct vs_trial t;
    struct vault_state got;
    struct kerrinfo e = {0};
    char what[128];
    (void)snprintf(what, sizeof what, "file %d, allocation %d fails", has_file, n);
    vs_trial_begin(&t, has_file);
    allocations = 0;
    fail_at = n;
    enum kerr read = vault_state_read(&t.config, &got, &e);
    enum kerr k = read == KERR_OK ? vs_trial_act(&t, &e) : read;
    bool is_done = allocations < n;
    fail_at = 0;
    if (k != KERR_OK && (k != KERR_NOMEM || is_done)) {
        fail_msg("%s: %s: %s", what, kerr_name(k), e.text);
    }
    *failures += k != KERR_OK;
    vs_trial_check(&t, k == KERR_OK, what);
    vs_trial_end(&t);
    return is_done;
}

static void each_failing_allocation_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vs_trials); i++) {
        int failures = 0;
        int n = 1;
        while (!fail_one(vs_trials[i], n, &failures)) {
            n++;
        }
        assert_true(failures > 10);
        print_message("file %d: %d of %d allocations refused\n", vs_trials[i], failures, n - 1);
    }
}

/* That the file could not be read for want of memory must not make it none. */
static void a_mark_is_never_given_up_for_want_of_memory(void **state)
{
    (void)state;
    int failures = 0;
    bool is_done = false;
    for (int n = 1; !is_done; n++) {
        struct vs_trial t;
        struct vault_state got;
        struct kerrinfo e = {0};
        vs_trial_begin(&t, true);
        t.next.mark.number = t.before.mark.number - 1;
        allocations = 0;
        fail_at = n;
        enum kerr k = vs_trial_act(&t, &e);
        is_done = allocations < n;
        fail_at = 0;
        if (k != KERR_UNTRUSTED && (k != KERR_NOMEM || is_done)) {
            fail_msg("allocation %d: %s: %s", n, kerr_name(k), e.text);
        }
        failures += k == KERR_NOMEM;
        assert_ok(&e, vault_state_read(&t.config, &got, &e));
        assert_int_equal(got.mark.number, t.before.mark.number);
        vs_trial_end(&t);
    }
    assert_true(failures > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failing_allocation_is_survived),
        cmocka_unit_test(a_mark_is_never_given_up_for_want_of_memory),
    };
    return cmocka_run_group_tests_name("vault_state.alloc", tests, NULL, NULL);
}
