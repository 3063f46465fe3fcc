/* SPDX-License-Identifier: Apache-2.0 */
/* What needs a terminal is tested from outside: tests/cli/test_terminal.py. */
#include "cli/prompt.h"
#include "tests/lib/testlib.h"

#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static struct kerrinfo e;

static void test_made_passphrases(void **state)
{
    (void)state;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    size_t counts[32] = {0};
    for (int round = 0; round < 400; round++) {
        AUTO_SECRET made = NULL;
        assert_ok(&e, prompt_make(&made, &e));
        struct bytes text = secret_view(made);
        assert_int_equal(text.len, PROMPT_MADE_BYTES);
        for (size_t i = 0; i < text.len; i++) {
            if (i % 6 == 5) {
                assert_int_equal(text.ptr[i], '-');
                continue;
            }
            const char *at = memchr(letters, text.ptr[i], 32);
            assert_non_null(at);
            counts[at - letters]++;
        }
    }
    /* 10,000 letters: 312 of each, give or take 17; none is left out or preferred. */
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        assert_in_range(counts[i], 200, 430);
    }
    assert_true(PROMPT_GROUPS * PROMPT_GROUP_SIZE * 5 >= 125);
    assert_true(PROMPT_MADE_BYTES >= SEAL_PASSPHRASE_MIN);
}

/* In a session without a terminal; the exit code says which assertion failed. */
static int without_terminal(void)
{
    struct prompt p = {.is_quiet = true};
    struct secret *answer = NULL;
    struct kerrinfo why = {0};
    if (setsid() < 0) {
        return 1;
    }
    if (prompt_ask(&p, "x", true, &answer, &why) != KERR_USAGE ||
        strstr(why.text, "passphrase:fd=N") == NULL) {
        return 2;
    }
    kerr_clear(&why);
    if (prompt_ask(&p, "x", false, &answer, &why) != KERR_SEALED ||
        strstr(why.text, "passphrase:fd=N") == NULL) {
        return 3;
    }
    return answer == NULL ? 0 : 4;
}

static void test_without_a_terminal(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(without_terminal());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int start(void **state)
{
    (void)state;
    return secret_start(SECRET_LOCK_BEST_EFFORT, &e) == KERR_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_passphrases),
        cmocka_unit_test(test_without_a_terminal),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
