/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state file of provider vault: each call that changes the disk fails in turn, and a process is
 * killed before each, after each, and in the middle of each write (vs_trial.h says what must be so
 * then).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/fault/vs_trial.h"

#include "tests/fault/file_calls.h"

#define LEAST_CALLS 6 /* fewer would mean that nothing was walked through */

enum fault { FAIL, KILL_BEFORE, KILL_AFTER, KILL_WITHIN, FAULT_COUNT };

static enum fault fault;
static int fault_at; /* number of the call; 0: never */
static int fail_with;
static int calls;

bool file_call_step(const char *name, size_t *half)
{
    calls++;
    if (calls != fault_at) {
        return true;
    }
    if (fault == KILL_BEFORE) {
        (void)raise(SIGKILL);
    }
    if (fault == KILL_WITHIN && strcmp(name, "write") == 0) {
        *half = *half / 2;
    }
    errno = fail_with;
    return fault != FAIL;
}

void file_call_done(void)
{
    if (calls == fault_at && (fault == KILL_AFTER || fault == KILL_WITHIN)) {
        (void)raise(SIGKILL);
    }
}

static void arm(enum fault how, int n)
{
    fault = how;
    fault_at = n;
    calls = 0;
}

/* The act with call n failing; true when there was no n-th call. */
static bool fail_one(bool has_file, int n, int error, int *refused)
{
    struct vs_trial t;
    struct kerrinfo e = {0};
    char what[128];
    (void)snprintf(what, sizeof what, "file %d, call %d fails: %s", has_file, n, strerror(error));
    vs_trial_begin(&t, has_file);
    arm(FAIL, n);
    fail_with = error;
    enum kerr k = vs_trial_act(&t, &e);
    bool is_done = calls < n;
    fault_at = 0;
    if (k != KERR_OK && (k != KERR_IO || strstr(e.text, strerror(error)) == NULL)) {
        fail_msg("%s: %s: %s", what, kerr_name(k), e.text);
    }
    assert_true(k == KERR_OK || !is_done);
    *refused += k != KERR_OK;
    vs_trial_check(&t, k == KERR_OK, what);
    vs_trial_end(&t);
    return is_done;
}

static void each_failing_call_is_survived(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EROFS, EIO, EDQUOT};
    for (size_t i = 0; i < ARRAY_LEN(vs_trials) * ARRAY_LEN(errors); i++) {
        bool has_file = vs_trials[i / ARRAY_LEN(errors)];
        int error = errors[i % ARRAY_LEN(errors)];
        int refused = 0;
        int n = 1;
        while (!fail_one(has_file, n, error, &refused)) {
            n++;
        }
        assert_true(refused >= LEAST_CALLS);
        print_message("file %d, error %d: %d of %d refused\n", has_file, error, refused, n - 1);
    }
}

/* Runs the act in a child that dies at call n. True when the child got to the end. */
static bool run_child(struct vs_trial *t, int n, enum fault how)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        arm(how, n);
        _exit(vs_trial_act(t, NULL) == KERR_OK ? 0 : 3);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return true;
    }
    assert_int_equal(WTERMSIG(status), SIGKILL);
    return false;
}

static int kill_at_each_call(bool has_file, enum fault how)
{
    for (int n = 1;; n++) {
        struct vs_trial t;
        char what[128];
        (void)snprintf(what, sizeof what, "file %d, kill %d at call %d", has_file, (int)how, n);
        vs_trial_begin(&t, has_file);
        bool is_done = run_child(&t, n, how);
        vs_trial_check(&t, is_done, what);
        vs_trial_end(&t);
        if (is_done) {
            return n - 1;
        }
    }
}

static void no_kill_leaves_half_a_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vs_trials); i++) {
        for (int how = KILL_BEFORE; how < FAULT_COUNT; how++) {
            int kills = kill_at_each_call(vs_trials[i], (enum fault)how);
            assert_true(kills >= LEAST_CALLS);
            print_message("file %d, kill %d: killed %d times\n", vs_trials[i], how, kills);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failing_call_is_survived),
        cmocka_unit_test(no_kill_leaves_half_a_state),
    };
    return cmocka_run_group_tests_name("vault_state.calls", tests, NULL, NULL);
}
