/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation that our own code makes during an audit fails in turn: it ends with NOMEM and
 * leaks nothing (seen by the address sanitizer's run of this test). */
#include <string.h>

#include "audit/db.h"
#include "audit/kine.h"
#include "tests/fault/failing_alloc.h"
#include "tests/lib/testlib.h"

#define LEAST 9 /* tables of resources, key ids, seeds, findings, latest revisions, pages; rows */

#define LIMIT_STEP 4096

#define LEAST_KINE 11 /* the same, but for revisions and pages: the database, its names, copies */

static const char *object; /* NULL: all */
static struct buf file;
static struct buf kine_file; /* four bytes, then a database */

static struct memory *memory; /* NULL: no limit */

static enum kerr audit_file(struct kerrinfo *e)
{
    const struct audit_wanted wanted = {.memory = memory, .current_key = "none", .object = object};
    AUTO_AUDIT a = {.tables = NULL};
    AUTO_BBOLT db = {.page_size = 0};
    struct audit_store found;
    enum kerr k = audit_begin(&wanted, &a, e);
    k = k == KERR_OK ? bbolt_open(buf_view(&file), "file", &db, e) : k;
    k = k == KERR_OK ? audit_db(&a, &db, NULL, NULL, &found, e) : k;
    return k == KERR_OK ? audit_judge(&a, e) : k;
}

static enum kerr audit_kine_file(struct kerrinfo *e)
{
    const struct audit_wanted wanted = {
        .memory = memory, .current_key = "none", .is_passing = true, .object = object};
    AUTO_AUDIT a = {.tables = NULL};
    AUTO_SQLITE_PAGES pages = {.count = 0};
    AUTO_KINE kine = NULL;
    struct audit_store found;
    enum kerr k = audit_begin(&wanted, &a, e);
    k = k == KERR_OK ? sqlite_pages_open(bytes_of(kine_file.ptr + 4, kine_file.len - 4),
                                         bytes_of(NULL, 0), "file", &pages, e)
                     : k;
    k = k == KERR_OK ? kine_open(&pages, KINE_MEMORY_MAX, &kine, e) : k;
    k = k == KERR_OK ? audit_kine(&a, kine, &pages, NULL, NULL, &found, e) : k;
    return k == KERR_OK ? audit_judge(&a, e) : k;
}

static void fail_each(enum kerr (*audit)(struct kerrinfo *e), int least)
{
    int n = 0;
    bool is_done = false;
    while (!is_done) {
        struct kerrinfo e = {0};
        allocations = 0;
        fail_at = ++n;
        enum kerr k = audit(&e);
        is_done = allocations < n;
        fail_at = 0;
        if (k != (is_done ? KERR_OK : KERR_NOMEM)) {
            fail_msg("allocation %d: %s: %s", n, kerr_name(k), e.text);
        }
    }
    assert_true(n > least);
}

static void auditing(void **state)
{
    (void)state;
    fail_each(audit_file, LEAST);
}

static void auditing_kine(void **state)
{
    (void)state;
    fail_each(audit_kine_file, LEAST_KINE);
}

static void auditing_one_object(void **state)
{
    (void)state;
    object = "secrets/default/b";
    fail_each(audit_file, LEAST - 2);
    fail_each(audit_kine_file, LEAST_KINE - 2);
    object = NULL;
}

/* With a little more of it each time: it ends with NOMEM until it is enough, never takes more, and
 * gives all of it back. */
static void limit_each(enum kerr (*audit)(struct kerrinfo *e))
{
    unsigned refused = 0;
    enum kerr k = KERR_NOMEM;
    for (uint64_t max = 0; k == KERR_NOMEM; max += LIMIT_STEP) {
        struct memory m = {.max = max, .advice = "allow more"};
        struct kerrinfo e = {0};
        memory = &m;
        k = audit(&e);
        memory = NULL;
        assert_true(k == KERR_OK || k == KERR_NOMEM);
        assert_true(k == KERR_OK || strstr(e.text, "limit of memory") != NULL);
        assert_int_equal(m.used, 0);
        refused += k == KERR_NOMEM;
    }
    assert_int_equal(k, KERR_OK);
    assert_true(refused > 10);
}

static void limiting(void **state)
{
    (void)state;
    limit_each(audit_file);
    limit_each(audit_kine_file);
}

/* What an allocation that failed was to take is given back too. */
static void failing_under_a_limit(void **state)
{
    struct memory m = {.max = UINT64_MAX, .advice = ""};
    (void)state;
    memory = &m;
    fail_each(audit_file, LEAST);
    fail_each(audit_kine_file, LEAST_KINE);
    memory = NULL;
    assert_int_equal(m.used, 0);
}

static int read_seed(void **state)
{
    (void)state;
    file = test_read_file(TEST_SOURCE "/tests/fuzz/seeds/etcd_db", "left-over");
    kine_file = test_read_file(TEST_SOURCE "/tests/fuzz/seeds/kine", "rows");
    return 0;
}

static int free_seed(void **state)
{
    (void)state;
    buf_done(&file);
    buf_done(&kine_file);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(auditing), cmocka_unit_test(auditing_kine),
        cmocka_unit_test(auditing_one_object), cmocka_unit_test(limiting),
        cmocka_unit_test(failing_under_a_limit)};
    return cmocka_run_group_tests_name("audit.alloc", tests, read_seed, free_seed);
}
