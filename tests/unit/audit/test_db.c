/* SPDX-License-Identifier: Apache-2.0 */
/* A file that changes between the two walks is refused. What it holds: tests/cli/test_audit.py;
 * what is damaged in it: test_damage.c. */
#include <string.h>

#include "audit/db.h"
#include "base/file.h"
#include "tests/lib/testlib.h"

#define PAGE_BYTES 1024
#define COUNT_AT   10
#define FLAGS_AT   8
#define IS_LEAF    2
#define LEAF_PAGE  5

#define HEADER  16
#define ELEMENT 16
#define POS_AT  4

static struct buf file;
static uint8_t *leaf; /* of the bucket `key`: the last one */
static uint8_t all[PAGE_BYTES];
static uint8_t fewer[PAGE_BYTES]; /* without its last record */
static int walks;
static int stop_in_walk;
static volatile sig_atomic_t stop;
static const uint8_t *second_leaf;

enum kerr __real_bbolt_walk(struct bbolt *b, const struct bbolt_visit *visit, struct kerrinfo *e);
enum kerr __wrap_bbolt_walk(struct bbolt *b, const struct bbolt_visit *visit, struct kerrinfo *e);
enum kerr __wrap_bbolt_walk(struct bbolt *b, const struct bbolt_visit *visit, struct kerrinfo *e)
{
    if (++walks == 2) {
        memcpy(leaf, second_leaf, PAGE_BYTES);
    }
    stop = stop || walks == stop_in_walk;
    return __real_bbolt_walk(b, visit, e);
}

/* The table of elements becomes shorter: what is behind it moves up. */
static void take_last_away(uint8_t *page)
{
    size_t count = --page[COUNT_AT];
    memmove(page + HEADER + count * ELEMENT, page + HEADER + (count + 1) * ELEMENT,
            PAGE_BYTES - HEADER - (count + 1) * ELEMENT);
    for (size_t i = 0; i < count; i++) {
        uint8_t *pos = page + HEADER + i * ELEMENT + POS_AT;
        unsigned value = (pos[0] | (unsigned)pos[1] << 8) - ELEMENT;
        pos[0] = (uint8_t)value;
        pos[1] = (uint8_t)(value >> 8);
    }
}

static int set_up(void **state)
{
    struct kerrinfo e = {0};
    (void)state;
    assert_ok(&e, file_read(NULL, TEST_SOURCE "/tests/fuzz/seeds/etcd_db/freelist", 65536,
                            FILE_READ_ANY, &file, &e));
    leaf = file.ptr + LEAF_PAGE * (size_t)PAGE_BYTES;
    assert_int_equal(leaf[FLAGS_AT], IS_LEAF);
    assert_true(leaf[COUNT_AT] >= 2);
    memcpy(all, leaf, sizeof all);
    memcpy(fewer, leaf, sizeof fewer);
    take_last_away(fewer);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_done(&file);
    return 0;
}

static enum kerr run(const uint8_t *first, const uint8_t *second, struct kerrinfo *e)
{
    const struct audit_wanted wanted = {.demand_count = 0};
    AUTO_AUDIT a = {.tables = NULL};
    AUTO_BBOLT db = {.page_size = 0};
    struct audit_store found;
    walks = 0;
    memcpy(leaf, first, PAGE_BYTES);
    second_leaf = second;
    enum kerr k = audit_begin(&wanted, &a, e);
    k = k == KERR_OK ? bbolt_open(buf_view(&file), "file", &db, e) : k;
    return k == KERR_OK ? audit_db(&a, &db, NULL, NULL, &found, e) : k;
}

static void more_or_fewer_records(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, run(all, all, &e));
    assert_refused(&e, KERR_FORMAT, "changed while it was read", run(fewer, all, &e));
    assert_refused(&e, KERR_FORMAT, "changed while it was read", run(all, fewer, &e));
    assert_ok(&e, run(all, all, &e));
}

/* ---- stopped ---- */

static uint64_t told_total;

static void stop_at_once(void *ctx, uint64_t done, uint64_t total)
{
    (void)ctx;
    told_total = total;
    assert_true(done <= total);
    stop = 1;
}

static enum kerr run_stopped(int walk, struct audit_store *found, uint64_t *ret_keys,
                             struct kerrinfo *e)
{
    const struct audit_wanted wanted = {.stop = &stop};
    AUTO_AUDIT a = {.tables = NULL};
    AUTO_BBOLT db = {.page_size = 0};
    walks = 0;
    stop = 0;
    stop_in_walk = walk;
    memcpy(leaf, all, PAGE_BYTES);
    second_leaf = all;
    enum kerr k = audit_begin(&wanted, &a, e);
    k = k == KERR_OK ? bbolt_open(buf_view(&file), "file", &db, e) : k;
    k = k == KERR_OK ? audit_db(&a, &db, walk == 0 ? stop_at_once : NULL, NULL, found, e) : k;
    k = k == KERR_OK ? audit_judge(&a, e) : k;
    *ret_keys = a.totals.keys;
    return k;
}

/* By what progress does, and at the beginning of either walk: the report says so, and is none of
 * what is not in it. */
static void stopped(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct audit_store found;
    uint64_t keys = 0;
    assert_ok(&e, run_stopped(0, &found, &keys, &e));
    assert_true(found.is_partial);
    assert_int_equal(keys, 0);
    assert_int_equal(told_total, 2 * file.len);
    assert_ok(&e, run_stopped(2, &found, &keys, &e));
    assert_true(found.is_partial);
    assert_int_equal(keys, 0);
    assert_ok(&e, run_stopped(3, &found, &keys, &e));
    assert_false(found.is_partial);
    assert_true(keys > 5);
    stop_in_walk = 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_or_fewer_records),
        cmocka_unit_test(stopped),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
