/* SPDX-License-Identifier: Apache-2.0 */
/* Each call that changes the disk fails in turn: disk full, read-only, I/O error. The change is
 * refused with the cause, and the keystore is the old one or, where only the last steps failed, the
 * new one; it opens and takes the next change. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/ks_fixture.h"

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

static void each_failing_call_is_survived(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EROFS, EIO, EDQUOT};
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        bool is_done = false;
        for (int n = 1; !is_done; n++) {
            struct ks_fixture f;
            struct kerrinfo e = {0};
            uint8_t id[KS_ID_BYTES];
            fail_at = 0;
            ks_fixture_init(&f, 1);
            calls = 0;
            fail_at = n;
            fail_with = errors[i];
            enum kerr k = ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e);
            is_done = calls < n;
            fail_at = 0;
            if (k != KERR_OK) {
                assert_int_equal(k, KERR_IO);
                assert_non_null(strstr(e.text, strerror(errors[i])));
            }
            AUTO_KS ks = ks_fixture_open(&f);
            uint64_t generation = ks_model(ks)->generation;
            assert_true(generation == 1 || generation == 2);
            assert_true(k != KERR_OK || generation == 2);
            kerr_clear(&e);
            assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
            ks_fixture_end(&f);
        }
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
