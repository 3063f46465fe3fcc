/* SPDX-License-Identifier: Apache-2.0 */
/* A file that changes between the two walks is refused. What it holds: tests/cli/test_audit.py. */
#include <string.h>

#include "audit/db.h"
#include "base/file.h"
#include "tests/lib/testlib.h"

#define PAGE_BYTES 1024
#define COUNT_AT   10
#define FLAGS_AT   8
#define IS_LEAF    2

static struct buf file;
static uint8_t *leaf; /* of the bucket `key`: the one with most items */
static int walks;
static uint8_t second_count;

enum kerr __real_bbolt_walk(struct bbolt *b, const struct bbolt_visit *visit, struct kerrinfo *e);
enum kerr __wrap_bbolt_walk(struct bbolt *b, const struct bbolt_visit *visit, struct kerrinfo *e);
enum kerr __wrap_bbolt_walk(struct bbolt *b, const struct bbolt_visit *visit, struct kerrinfo *e)
{
    if (++walks == 2) {
        leaf[COUNT_AT] = second_count;
    }
    return __real_bbolt_walk(b, visit, e);
}

static int set_up(void **state)
{
    struct kerrinfo e = {0};
    (void)state;
    assert_ok(&e, file_read(NULL, TEST_SOURCE "/tests/fuzz/seeds/etcd_db/cluster", 65536,
                            FILE_READ_ANY, &file, &e));
    for (size_t at = 2 * PAGE_BYTES; at + PAGE_BYTES <= file.len; at += PAGE_BYTES) {
        uint8_t *page = file.ptr + at;
        bool is_leaf = page[FLAGS_AT] == IS_LEAF;
        if (is_leaf && (leaf == NULL || page[COUNT_AT] > leaf[COUNT_AT])) {
            leaf = page;
        }
    }
    assert_non_null(leaf);
    assert_true(leaf[COUNT_AT] >= 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_done(&file);
    return 0;
}

static enum kerr run(uint8_t first, uint8_t second, struct kerrinfo *e)
{
    const struct audit_wanted wanted = {.demand_count = 0};
    AUTO_AUDIT a = {.tables = NULL};
    AUTO_BBOLT db = {.page_size = 0};
    struct audit_store found;
    walks = 0;
    leaf[COUNT_AT] = first;
    second_count = second;
    enum kerr k = audit_begin(&wanted, &a, e);
    k = k == KERR_OK ? bbolt_open(buf_view(&file), "file", &db, e) : k;
    return k == KERR_OK ? audit_db(&a, &db, NULL, NULL, &found, e) : k;
}

static void more_or_fewer_records(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t all = leaf[COUNT_AT];
    assert_ok(&e, run(all, all, &e));
    assert_refused(&e, KERR_FORMAT, "changed while it was read", run(all - 1, all, &e));
    assert_refused(&e, KERR_FORMAT, "changed while it was read", run(all, all - 1, &e));
    assert_ok(&e, run(all, all, &e));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_or_fewer_records),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
