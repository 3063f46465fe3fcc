/* SPDX-License-Identifier: Apache-2.0 */
/* Each call that changes the disk fails in turn: disk full, read-only, I/O error. The change is
 * refused with the cause (ks_scenarios.h says what must be so then). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fault/ks_scenarios.h"

#include "tests/fault/file_calls.h"

static int fail_at;
static int fail_with;
static int calls;

bool file_call_step(const char *name, size_t *half)
{
    (void)name;
    (void)half;
    calls++;
    if (calls != fail_at) {
        return true;
    }
    errno = fail_with;
    return false;
}

void file_call_done(void)
{
}

/* The act with call n failing; true when there was no n-th call. */
static bool fail_one(const struct ks_scenario *s, int n, int error, int *refused)
{
    struct ks_trial t;
    struct kerrinfo e = {0};
    char what[128];
    (void)snprintf(what, sizeof what, "%s, call %d fails: %s", s->name, n, strerror(error));
    ks_scenario_begin(s, &t);
    calls = 0;
    fail_at = n;
    fail_with = error;
    enum kerr k = s->act(&t.f, &e);
    bool is_done = calls < n;
    fail_at = 0;
    if (k != KERR_OK && (k != KERR_IO || strstr(e.text, strerror(error)) == NULL)) {
        fail_msg("%s: %s: %s", what, kerr_name(k), e.text);
    }
    assert_true(k == KERR_OK || !is_done);
    *refused += k != KERR_OK;
    ks_scenario_check(&t, k == KERR_OK, what);
    ks_scenario_end(&t);
    return is_done;
}

static void each_failing_call_is_survived(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EROFS, EIO, EDQUOT};
    for (size_t i = 0; i < ks_scenario_count * ARRAY_LEN(errors); i++) {
        const struct ks_scenario *s = &ks_scenarios[i / ARRAY_LEN(errors)];
        int refused = 0;
        int n = 1;
        while (!fail_one(s, n, errors[i % ARRAY_LEN(errors)], &refused)) {
            n++;
        }
        assert_true(refused >= s->least_calls);
        print_message("%s, error %d: %d of %d refused\n", s->name, errors[i % ARRAY_LEN(errors)],
                      refused, n - 1);
    }
}

static bool exists(const char *folder, const char *name)
{
    char *path = test_path(folder, name);
    bool is_there = access(path, F_OK) == 0;
    free(path);
    return is_there;
}

static void hear(void *ctx, const char *text)
{
    bool *was_told = ctx;
    assert_non_null(strstr(text, "the copy is good"));
    *was_told = true;
}

/* A backup either fails, or its copy is whole; a record that could not be written is told. */
static bool back_up_with_failing_call(int n)
{
    struct ks_fixture f;
    struct kerrinfo e = {0};
    bool was_told = false;
    uint8_t hash[HASH_BYTES];
    fail_at = 0;
    ks_fixture_init(&f, 1);
    char *path = test_path(f.top, "copy");
    f.place.tell = hear;
    f.place.tell_ctx = &was_told;
    calls = 0;
    fail_at = n;
    fail_with = ENOSPC;
    enum kerr k = ks_backup(&f.place, path, hash, &e);
    bool is_done = calls < n;
    fail_at = 0;
    assert_true(k == KERR_OK || k == KERR_IO);
    if (k == KERR_OK) {
        AUTO_BUF copy = test_read_file(f.top, "copy");
        AUTO_BUF original = test_read_file(f.folder, "keystore");
        assert_true(bytes_equal(buf_view(&copy), buf_view(&original)));
        assert_true(was_told || exists(f.folder, "keystore.backed-up"));
        assert_true(!is_done || !was_told);
    }
    ks_close(ks_fixture_open(&f));
    ks_fixture_end(&f);
    free(path);
    return is_done;
}

static void a_backup_survives_each_failing_call(void **state)
{
    (void)state;
    int n = 1;
    while (!back_up_with_failing_call(n)) {
        n++;
    }
    assert_true(n > 8); /* the calls of the copy and those of the record */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failing_call_is_survived),
        cmocka_unit_test(a_backup_survives_each_failing_call),
    };
    return cmocka_run_group_tests_name("keystore.calls", tests, NULL, NULL);
}
