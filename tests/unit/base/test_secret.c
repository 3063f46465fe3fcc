/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/secret.h. What must end the process is tried in a child; so is memory that cannot be locked,
 * as an unprivileged user with a small limit.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "tests/lib/testlib.h"

#define PAGE 4096

static void test_lengths(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET s = NULL;
    assert_refused(&e, KERR_LIMIT, "a secret of 0 bytes", secret_new(0, &s, &e));
    assert_refused(&e, KERR_LIMIT, "allowed are 1 to 2097152",
                   secret_new(SECRET_MAX_BYTES + 1, &s, &e));
    assert_refused(&e, KERR_LIMIT, "a secret of 0 bytes",
                   secret_from_bytes(bytes_of(NULL, 0), &s, &e));
    assert_null(s);
    assert_ok(&e, secret_new(SECRET_MAX_BYTES, &s, &e));
    assert_int_equal(secret_len(s), SECRET_MAX_BYTES);
    secret_free_at(&s);
    assert_ok(&e, secret_new(1, &s, &e));
    assert_int_equal(secret_view(s).len, 1);
    assert_int_equal(secret_view(s).ptr[0], 0);
}

static void test_contents(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET a = NULL;
    AUTO_SECRET b = NULL;
    AUTO_SECRET c = NULL;
    assert_ok(&e, secret_from_bytes(bytes_of_text("same text"), &a, &e));
    assert_ok(&e, secret_from_bytes(bytes_of_text("same text"), &b, &e));
    assert_ok(&e, secret_from_bytes(bytes_of_text("same tex"), &c, &e));
    assert_true(bytes_equal_text(secret_view(a), "same text"));
    assert_true(secret_equal(a, b));
    assert_false(secret_equal(a, c));
    secret_bytes(b)[8] ^= 1;
    assert_false(secret_equal(a, b));
    assert_true(secret_equal_bytes(bytes_of(NULL, 0), bytes_of("", 0)));
    assert_false(secret_equal_bytes(bytes_of_text("a"), bytes_of_text("")));
}

static void test_random(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET a = NULL;
    AUTO_SECRET b = NULL;
    uint8_t x[16] = {0};
    uint8_t y[16] = {0};
    assert_ok(&e, secret_random(32, &a, &e));
    assert_ok(&e, secret_random(32, &b, &e));
    assert_false(secret_equal(a, b));
    random_fill(x, sizeof x);
    random_fill(y, sizeof y);
    assert_memory_not_equal(x, y, sizeof x);
}

static void test_truncate_wipes(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET s = NULL;
    assert_ok(&e, secret_from_bytes(bytes_of_text("abcdef"), &s, &e));
    const uint8_t *raw = secret_view(s).ptr;
    secret_truncate(s, 2);
    assert_true(bytes_equal_text(secret_view(s), "ab"));
    assert_memory_equal(raw + 2, "\0\0\0\0", 4);
    secret_truncate(s, 2);
    assert_int_equal(secret_len(s), 2);
}

static void test_take_and_free(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct secret *s = NULL;
    assert_ok(&e, secret_new(8, &s, &e));
    struct secret *moved = secret_take(&s);
    assert_null(s);
    secret_freeze(moved);
    assert_int_equal(secret_view(moved).ptr[7], 0); /* may still be read */
    secret_free_at(&moved);
    assert_null(moved);
    secret_free(NULL);
    char text[] = "transient";
    secret_wipe(text, sizeof text);
    assert_memory_equal(text, "\0\0\0\0\0\0\0\0\0", sizeof text);
}

/* Pages may be used again, what was in them may not be seen again. */
static void test_fresh_secrets_are_zero(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 32, 200, 511, 512, 513, 4096, 64, 32};
    static const uint8_t zeros[4096];
    struct kerrinfo e = {0};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        for (int again = 0; again < 3; again++) {
            AUTO_SECRET s = NULL;
            assert_ok(&e, secret_new(lengths[i], &s, &e));
            assert_int_equal(secret_len(s), lengths[i]);
            assert_memory_equal(secret_view(s).ptr, zeros, lengths[i]);
            memset(secret_bytes(s), 0xa5, lengths[i]);
            if (again == 1) {
                secret_truncate(s, lengths[i] / 2);
            } else if (again == 2) {
                secret_freeze(s);
            }
        }
    }
}

/* ---- what must end the process ---- */

static void write_when_frozen(struct secret *s)
{
    secret_freeze(s);
    (void)secret_bytes(s);
}

static void truncate_when_frozen(struct secret *s)
{
    secret_freeze(s);
    secret_truncate(s, 1);
}

static void truncate_longer(struct secret *s)
{
    secret_truncate(s, 33);
}

static void write_frozen_page(struct secret *s)
{
    volatile uint8_t *p = secret_bytes(s);
    secret_freeze(s);
    p[0] = 1;
}

static void read_beyond(struct secret *s)
{
    const volatile uint8_t *p = secret_view(s).ptr;
    volatile uint8_t got = p[32];
    (void)got;
}

static void write_before(struct secret *s)
{
    volatile uint8_t *p = secret_bytes(s);
    p[-1] ^= 0xff; /* the canary, which is looked at when it is freed */
    secret_free(s);
}

/* The child must not get to its exit. */
static void check_dies(void (*act)(struct secret *))
{
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        struct secret *s = NULL;
        /* cmocka catches these and would go on with the next test. */
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGBUS, SIG_DFL);
        (void)signal(SIGABRT, SIG_DFL);
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)close(STDERR_FILENO);
        if (secret_new(32, &s, NULL) == KERR_OK) {
            act(s);
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_misuse_ends_the_process(void **state)
{
    (void)state;
    static void (*const acts[])(struct secret *) = {write_when_frozen, truncate_when_frozen,
                                                    truncate_longer,   write_frozen_page,
                                                    read_beyond,       write_before};
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        check_dies(acts[i]);
    }
}

/* ---- memory that can't be locked ---- */

enum child_answer { CHILD_GOOD, CHILD_SETUP, CHILD_CODE, CHILD_TEXT, CHILD_COUNT, CHILD_KEPT };

static bool drop_privileges(rlim_t limit)
{
    struct rlimit lock = {limit, limit};
    if (setrlimit(RLIMIT_MEMLOCK, &lock) != 0) {
        return false;
    }
    return geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0);
}

static enum child_answer strict_child(void)
{
    struct kerrinfo e = {0};
    struct secret *first = NULL;
    struct secret *second = NULL;
    if (!drop_privileges(PAGE) || secret_start(SECRET_LOCK_STRICT, &e) != KERR_OK) {
        return CHILD_SETUP;
    }
    if (secret_new(32, &first, &e) != KERR_OK) {
        return CHILD_KEPT; /* one page is allowed */
    }
    if (secret_new(32, &second, &e) != KERR_NOMEM || second != NULL) {
        return CHILD_CODE;
    }
    if (strstr(e.text, "RLIMIT_MEMLOCK") == NULL || strstr(e.text, "best-effort") == NULL) {
        return CHILD_TEXT;
    }
    if (secret_unlocked_count() != 0) {
        return CHILD_COUNT;
    }
    /* What is freed can be locked again. */
    secret_free(first);
    kerr_clear(&e);
    enum kerr k = secret_new(32, &second, &e);
    secret_free(second);
    return k == KERR_OK ? CHILD_GOOD : CHILD_KEPT;
}

static enum child_answer best_effort_child(void)
{
    struct kerrinfo e = {0};
    struct secret *s[3] = {NULL};
    if (!drop_privileges(PAGE) || secret_start(SECRET_LOCK_BEST_EFFORT, &e) != KERR_OK) {
        return CHILD_SETUP;
    }
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        if (secret_from_bytes(bytes_of_text("x"), &s[i], &e) != KERR_OK) {
            return CHILD_CODE;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        secret_free(s[i]);
    }
    return secret_unlocked_count() == 2 ? CHILD_GOOD : CHILD_COUNT;
}

static void check_child(enum child_answer (*act)(void))
{
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit((int)act());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), CHILD_GOOD);
}

static void test_lock_failure(void **state)
{
    (void)state;
    check_child(strict_child);
    check_child(best_effort_child);
}

int main(void)
{
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK) {
        return 1;
    }
    (void)test_lock_failure; /* not below a sanitizer */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_truncate_wipes),
        cmocka_unit_test(test_take_and_free),
        cmocka_unit_test(test_fresh_secrets_are_zero),
        cmocka_unit_test(test_misuse_ends_the_process),
#ifndef ETCDSEAL_SANITIZED /* sanitizers answer every mlock with success */
        cmocka_unit_test(test_lock_failure),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
