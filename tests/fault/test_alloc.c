/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation that our own code makes fails in turn (failing_alloc.h). The call ends with
 * NOMEM, leaks nothing (seen by the address sanitizer's run of this test) and leaves the keystore
 * as it was.
 */
#include <stdio.h>
#include <stdlib.h>

#include "keystore/keyring.h"
#include "tests/lib/ks_fixture.h"

#include "tests/fault/failing_alloc.h"

static enum kerr open_and_serve(struct ks_fixture *f, struct kerrinfo *e)
{
    struct ks *ks = NULL;
    struct keyring *ring = NULL;
    enum kerr k = ks_open(&f->place, NULL, &ks, e);
    if (k == KERR_OK) {
        k = keyring_new(ks_model(ks), &ring, e);
    }
    keyring_unref(ring);
    ks_close(ks);
    return k;
}

static enum kerr stage(struct ks_fixture *f, struct kerrinfo *e)
{
    uint8_t id[KS_ID_BYTES];
    return ks_stage_key(&f->place, SUITE_XAES_256_GCM, id, e);
}

static enum kerr add_slot(struct ks_fixture *f, struct kerrinfo *e)
{
    return ks_add_slot(&f->place, &f->slots[1], e);
}

/* A record that could not be written is told, and the backup succeeds without it. */
static enum kerr back_up(struct ks_fixture *f, struct kerrinfo *e)
{
    static char path[4096];
    uint8_t hash[HASH_BYTES];
    (void)snprintf(path, sizeof path, "%s/copy", f->top);
    return ks_backup(&f->place, path, hash, e);
}

/* One run with the n-th allocation failing; true when there was no n-th one. */
static bool fail_one(enum kerr (*act)(struct ks_fixture *, struct kerrinfo *), bool is_read, int n,
                     int *failures)
{
    struct ks_fixture f;
    struct kerrinfo e = {0};
    ks_fixture_init(&f, 1);
    AUTO_BUF before = test_read_file(f.folder, "keystore");
    allocations = 0;
    fail_at = n;
    enum kerr k = act(&f, &e);
    bool is_done = allocations < n;
    fail_at = 0;
    if (k != KERR_OK && k != KERR_NOMEM) {
        fail_msg("allocation %d: %s: %s", n, kerr_name(k), e.text);
    }
    assert_true(!is_done || k == KERR_OK);
    *failures += k == KERR_NOMEM;
    AUTO_BUF after = test_read_file(f.folder, "keystore");
    assert_true(!is_read || bytes_equal(buf_view(&before), buf_view(&after)));
    ks_close(ks_fixture_open(&f));
    ks_fixture_end(&f);
    return is_done;
}

static void fail_each(enum kerr (*act)(struct ks_fixture *, struct kerrinfo *), bool is_read)
{
    int failures = 0;
    for (int n = 1; !fail_one(act, is_read, n, &failures); n++) {
    }
    assert_true(failures > 20);
}

static void opening(void **state)
{
    (void)state;
    fail_each(open_and_serve, true);
}

static void staging(void **state)
{
    (void)state;
    fail_each(stage, false);
}

static void adding_a_slot(void **state)
{
    (void)state;
    fail_each(add_slot, false);
}

static void backing_up(void **state)
{
    (void)state;
    fail_each(back_up, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening),
        cmocka_unit_test(staging),
        cmocka_unit_test(adding_a_slot),
        cmocka_unit_test(backing_up),
    };
    return cmocka_run_group_tests_name("keystore.alloc", tests, NULL, NULL);
}
