/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that changes the keystore is killed before each call that changes the disk, and after
 * each, and in the middle of each write (ks_scenarios.h says what must be so then).
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/fault/ks_scenarios.h"

#include "tests/fault/file_calls.h"

enum cut { CUT_BEFORE, CUT_AFTER, CUT_WITHIN, CUT_COUNT };

static int kill_at; /* number of the call; 0: never */
static enum cut cut;
static int calls;

bool file_call_step(const char *name, size_t *half)
{
    calls++;
    if (calls == kill_at && cut == CUT_BEFORE) {
        (void)raise(SIGKILL);
    }
    if (calls == kill_at && cut == CUT_WITHIN && strcmp(name, "write") == 0) {
        *half = *half / 2;
    }
    return true;
}

void file_call_done(void)
{
    if (calls == kill_at && cut != CUT_BEFORE) {
        (void)raise(SIGKILL);
    }
}

/* Runs the act in a child that dies at call n. True when the child got to the end. */
static bool run_child(struct ks_trial *t, int n, enum cut how)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        calls = 0;
        kill_at = n;
        cut = how;
        _exit(t->scenario->act(&t->f, NULL) == KERR_OK ? 0 : 3);
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

static int kill_at_each_call(const struct ks_scenario *s, enum cut how)
{
    for (int n = 1;; n++) {
        struct ks_trial t;
        char what[128];
        (void)snprintf(what, sizeof what, "%s, cut %d, killed at call %d", s->name, (int)how, n);
        ks_scenario_begin(s, &t);
        bool is_done = run_child(&t, n, how);
        ks_scenario_check(&t, is_done, what);
        ks_scenario_end(&t);
        if (is_done) {
            return n - 1;
        }
    }
}

static void no_kill_loses_a_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_scenario_count; i++) {
        const struct ks_scenario *s = &ks_scenarios[i];
        for (int how = 0; how < CUT_COUNT; how++) {
            int kills = kill_at_each_call(s, (enum cut)how);
            assert_true(kills >= s->least_calls);
            print_message("%s, cut %d: killed %d times\n", s->name, how, kills);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_kill_loses_a_key),
    };
    return cmocka_run_group_tests_name("keystore.kill", tests, NULL, NULL);
}
