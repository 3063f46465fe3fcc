/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/harden.h"
#include "tests/lib/testlib.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child: the rest of the tests keeps its process as it was. The bit that is set says what is
 * not as it should be. */
static int child(void)
{
    int wrong = 0;
    struct rlimit core;
    struct sigaction pipe_action;
    if (harden_process(NULL) != KERR_OK) {
        return 1;
    }
    wrong |= (umask(0) != 077) << 1;
    wrong |= (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0) << 2;
    wrong |= (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) << 3;
#ifdef ETCDSEAL_SANITIZED
    wrong |= (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1) << 4;
#else
    wrong |= (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) << 4;
#endif
    wrong |= (sigaction(SIGPIPE, NULL, &pipe_action) != 0 || pipe_action.sa_handler != SIG_IGN)
             << 5;
    return wrong;
}

static void test_process(void **state)
{
    (void)state;
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(child());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_descriptors(void **state)
{
    (void)state;
    struct rlimit before;
    struct rlimit now;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit low = {.rlim_cur = 100, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_true(harden_allow_descriptors(50));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(now.rlim_cur, 100);
    assert_true(harden_allow_descriptors(200));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(now.rlim_cur, 200);
    assert_false(harden_allow_descriptors(before.rlim_max + 1));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(now.rlim_cur, before.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
