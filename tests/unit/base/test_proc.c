/* SPDX-License-Identifier: Apache-2.0 */
/* base/proc.h: what a program gets and what comes back. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/proc.h"
#include "tests/lib/testlib.h"

static enum kerr run(const char *script, struct bytes input, struct secret **ret,
                     struct kerrinfo *e)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    return proc_run(argv, input, ret, e);
}

static void test_input_and_output(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET out = NULL;
    const char *const argv[] = {"/bin/cat", NULL};
    assert_ok(&e, proc_run(argv, bytes_of_text("a\0b"), &out, &e));
    assert_true(bytes_equal_text(secret_view(out), "a"));
    secret_free_at(&out);
    assert_ok(&e, proc_run(argv, bytes_of("a\0b", 3), &out, &e));
    assert_true(bytes_equal(secret_view(out), bytes_of("a\0b", 3)));
    secret_free_at(&out);
    assert_ok(&e, proc_run(argv, bytes_of(NULL, 0), &out, &e));
    assert_null(out);
}

static void test_the_environment_is_empty(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET out = NULL;
    assert_int_equal(setenv("ETCDSEAL_TEST_SECRET", "x", 1), 0);
    const char *const argv[] = {"/usr/bin/env", NULL};
    assert_ok(&e, proc_run(argv, bytes_of(NULL, 0), &out, &e));
    assert_true(bytes_equal_text(secret_view(out), "PATH=/usr/bin:/bin:/usr/sbin:/sbin\n"));
}

static void test_descriptors_are_closed(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET out = NULL;
    /* What whoever started the test left open is not ours. */
    for (int fd = 3; fd < 256; fd++) {
        (void)close(fd);
    }
    /* 0, 1, 2 and the folder that ls itself reads. */
    assert_ok(&e, run("ls /proc/self/fd | wc -l", bytes_of(NULL, 0), &out, &e));
    assert_true(bytes_equal_text(secret_view(out), "4\n"));
}

static void test_failures(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET out = NULL;
    const char *const missing[] = {"/bin/etcdseal-no-such-program", NULL};
    assert_refused(&e, KERR_NOTFOUND, "cannot start /bin/etcdseal-no-such-program",
                   proc_run(missing, bytes_of(NULL, 0), &out, &e));
    assert_refused(&e, KERR_IO, "/bin/sh failed with status 7",
                   run("echo out; exit 7", bytes_of(NULL, 0), &out, &e));
    assert_refused(&e, KERR_IO, "/bin/sh failed with status 137",
                   run("kill -9 $$", bytes_of(NULL, 0), &out, &e));
    assert_null(out);
}

static void test_limits(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET out = NULL;
    static uint8_t large[PROC_OUTPUT_MAX + 1];
    memset(large, 'x', sizeof large);
    const char *const argv[] = {"/bin/cat", NULL};
    assert_ok(&e, proc_run(argv, bytes_of(large, PROC_OUTPUT_MAX), &out, &e));
    assert_int_equal(secret_len(out), PROC_OUTPUT_MAX);
    secret_free_at(&out);
    assert_refused(&e, KERR_IO, "cannot pass 65537 bytes to /bin/cat",
                   proc_run(argv, BYTES_OF(large), &out, &e));
    /* A program that prints without end is stopped by its pipe: the limit is the cause. */
    assert_refused(&e, KERR_LIMIT, "/bin/sh is larger than 65536 bytes",
                   run("exec cat /dev/zero", bytes_of(NULL, 0), &out, &e));
    assert_null(out);
}

/* A program that does not read its input must not hang or kill us. */
static void test_unread_input(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET out = NULL;
    assert_ok(&e, run("echo done", bytes_of_text("nobody reads this"), &out, &e));
    assert_true(bytes_equal_text(secret_view(out), "done\n"));
}

int main(void)
{
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input_and_output),
        cmocka_unit_test(test_the_environment_is_empty),
        cmocka_unit_test(test_descriptors_are_closed),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_unread_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
