/* SPDX-License-Identifier: Apache-2.0 */
/* Each call that changes the disk fails in turn: disk full, read-only, I/O error. The change is
 * refused with the cause, and the keystore is the old one or, where only the last steps failed, the
 * new one; it opens and takes the next change. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failing_call_is_survived),
    };
    return cmocka_run_group_tests_name("keystore.calls", tests, NULL, NULL);
}
