/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that changes while it is read: each byte, altered when the walk hands in its first leaf,
 * and again behind the walk. A report or a refusal, and no step beyond the file, which the
 * sanitizers look at. What it holds: tests/cli/test_audit.py; what is damaged in it: test_damage.c.
 */
#include <string.h>

#include "audit/db.h"
#include "base/file.h"
#include "tests/lib/testlib.h"

static struct buf file;
static uint8_t *altered; /* NULL: nothing is */
static bool is_altered_behind;

struct spy {
    const struct bbolt_visit *visit;
    bool is_first;
};

static void alter(void)
{
    if (altered != NULL) {
        *altered ^= 0xff;
    }
}

static void alter_at_first(struct spy *spy)
{
    if (spy->is_first && !is_altered_behind) {
        alter();
    }
    spy->is_first = false;
}

static enum kerr leaf(void *ctx, const struct bbolt_leaf *found, struct kerrinfo *e)
{
    struct spy *spy = ctx;
    alter_at_first(spy);
    return spy->visit->leaf(spy->visit->ctx, found, e);
}

static enum kerr slack(void *ctx, struct bytes bytes, struct kerrinfo *e)
{
    const struct spy *spy = ctx;
    return spy->visit->slack(spy->visit->ctx, bytes, e);
}

enum kerr __real_bbolt_walk(struct bbolt *b, const struct bbolt_visit *visit, struct kerrinfo *e);
enum kerr __wrap_bbolt_walk(struct bbolt *b, const struct bbolt_visit *visit, struct kerrinfo *e);
enum kerr __wrap_bbolt_walk(struct bbolt *b, const struct bbolt_visit *visit, struct kerrinfo *e)
{
    struct spy spy = {visit, true};
    const struct bbolt_visit spied = {.leaf = leaf, .slack = slack, .ctx = &spy};
    enum kerr k = __real_bbolt_walk(b, &spied, e);
    if (is_altered_behind) {
        alter();
    }
    return k;
}

static int set_up(void **state)
{
    struct kerrinfo e = {0};
    (void)state;
    assert_ok(&e, file_read(NULL, TEST_SOURCE "/tests/fuzz/seeds/etcd_db/history", 65536,
                            FILE_READ_ANY, &file, &e));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_done(&file);
    return 0;
}

static enum kerr run_on(unsigned threads, struct audit *a, struct audit_store *found,
                        struct kerrinfo *e)
{
    const struct audit_wanted wanted = {.current_key = "none", .threads = threads};
    AUTO_BBOLT db = {.page_size = 0};
    enum kerr k = audit_begin(&wanted, a, e);
    k = k == KERR_OK ? bbolt_open(buf_view(&file), "file", &db, e) : k;
    k = k == KERR_OK ? audit_db(a, &db, NULL, NULL, found, e) : k;
    return k == KERR_OK ? audit_judge(a, e) : k;
}

static enum kerr run(struct kerrinfo *e)
{
    AUTO_AUDIT a = {.tables = NULL};
    struct audit_store found;
    return run_on(0, &a, &found, e);
}

/* Returns how many of them were refused. */
static size_t alter_each(void)
{
    size_t refused = 0;
    for (size_t at = 0; at < file.len; at++) {
        struct kerrinfo e = {0};
        uint8_t before = file.ptr[at];
        altered = file.ptr + at;
        enum kerr k = run(&e);
        assert_true(k == KERR_OK || ((k == KERR_FORMAT || k == KERR_UNSUP || k == KERR_NOTFOUND) &&
                                     e.text[0] != 0));
        refused += k != KERR_OK;
        file.ptr[at] = before;
    }
    altered = NULL;
    return refused;
}

static void while_it_is_walked(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, run(&e));
    is_altered_behind = false;
    assert_true(alter_each() > 100);
}

static void behind_the_walk(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    is_altered_behind = true;
    assert_ok(&e, run(&e));
    assert_true(alter_each() > 50);
}

static void on_any_number_of_threads(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_AUDIT one = {.tables = NULL};
    struct audit_store found_by_one = {0};
    assert_ok(&e, run_on(0, &one, &found_by_one, &e));
    for (unsigned threads = 1; threads <= 4; threads++) {
        AUTO_AUDIT a = {.tables = NULL};
        struct audit_store found = {0};
        assert_ok(&e, run_on(threads, &a, &found, &e));
        assert_memory_equal(&a.totals, &one.totals, sizeof a.totals);
        assert_memory_equal(a.residue, one.residue, sizeof a.residue);
        assert_memory_equal(a.by_rule, one.by_rule, sizeof a.by_rule);
        assert_true(found.record_count == found_by_one.record_count &&
                    found.tombstone_count == found_by_one.tombstone_count &&
                    found.revision == found_by_one.revision);
        assert_int_equal(a.finding_count, one.finding_count);
        for (size_t i = 0; i < a.finding_count; i++) { /* in the same order */
            assert_true(bytes_equal(a.findings[i].key, one.findings[i].key));
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_any_number_of_threads),
        cmocka_unit_test(while_it_is_walked),
        cmocka_unit_test(behind_the_walk),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
