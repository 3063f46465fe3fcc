/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One byte of a log of two files is changed, each in turn, in many ways: a refusal, or the same
 * puts. CRCs guard what records hold, and not their types and lengths. Single damages, and files
 * that are missing: tests/cli/test_audit_wal.py.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "stored/wal.h"
#include "tests/lib/testlib.h"

#define SEEDS TEST_SOURCE "/tests/fuzz/seeds/wal/"
#define FILES 2

static struct buf files[FILES];

struct puts {
    char text[8192];
    size_t len;
};

static enum kerr take(void *ctx, struct bytes key, struct bytes value, struct kerrinfo *e)
{
    struct puts *p = ctx;
    (void)e;
    assert_true(p->len + key.len + value.len < sizeof p->text);
    memcpy(p->text + p->len, key.ptr, key.len);
    memcpy(p->text + p->len + key.len, value.ptr, value.len);
    p->len += key.len + value.len;
    return KERR_OK;
}

static enum kerr run(struct puts *ret, struct kerrinfo *e)
{
    struct wal w = wal_on(bytes_of(NULL, 0), "log");
    enum kerr k = KERR_OK;
    ret->len = 0;
    for (size_t i = 0; i < FILES && k == KERR_OK; i++) {
        struct bytes entry = {0};
        bool is_end = false;
        wal_next_file(&w, buf_view(&files[i]), i == 0 ? "first" : "second", i + 1 == FILES);
        k = wal_next(&w, &entry, &is_end, e);
        while (k == KERR_OK && !is_end) {
            k = wal_puts(&w, entry, take, ret, e);
            k = k == KERR_OK ? wal_next(&w, &entry, &is_end, e) : k;
        }
    }
    return k;
}

static int set_up(void **state)
{
    struct kerrinfo e = {0};
    (void)state;
    assert_ok(&e, file_read(NULL, SEEDS "log-1", 65536, FILE_READ_ANY, &files[0], &e));
    assert_ok(&e, file_read(NULL, SEEDS "log-2", 65536, FILE_READ_ANY, &files[1], &e));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_done(&files[0]);
    buf_done(&files[1]);
    return 0;
}

static void each_byte(void **state)
{
    static const uint8_t masks[] = {1, 2, 4, 8, 16, 32, 64, 128, 0xff, 0x55, 0x07, 0x03};
    static struct puts good;
    static struct puts changed;
    struct kerrinfo e = {0};
    size_t refused = 0;
    (void)state;
    assert_ok(&e, run(&good, &e));
    assert_true(good.len > 300);
    for (size_t i = 0; i < (files[0].len + files[1].len) * ARRAY_LEN(masks); i++) {
        size_t at = i / ARRAY_LEN(masks);
        struct buf *file = &files[at >= files[0].len];
        at -= at >= files[0].len ? files[0].len : 0;
        uint8_t mask = masks[i % ARRAY_LEN(masks)];
        kerr_clear(&e);
        file->ptr[at] ^= mask;
        enum kerr k = run(&changed, &e);
        file->ptr[at] ^= mask;
        bool is_same = k == KERR_OK && changed.len == good.len &&
                       memcmp(changed.text, good.text, good.len) == 0;
        bool is_told = k == KERR_FORMAT && strstr(e.text, "damaged at byte") != NULL;
        refused += is_told;
        if (!is_same && !is_told) {
            fail_msg("file %d, byte %zu ^ %x: %s", (int)(file - files), at, mask, e.text);
        }
    }
    assert_true(refused > 5000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte),
    };
    return cmocka_run_group_tests_name("stored.wal", tests, set_up, tear_down);
}
