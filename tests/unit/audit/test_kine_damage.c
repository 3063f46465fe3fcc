/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One byte of kine's database or of its log is changed, each in turn, in several ways: a refusal,
 * or a report with as many keys. See test_damage.c, which does it with etcd's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/kine.h"
#include "tests/lib/kine_file.h"
#include "tests/lib/testlib.h"

#define SECRET    "k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x05hello"
#define ENCRYPTED "k8s:enc:aescbc:v1:key1:0123456789abcdef0123456789abcdef"

/* As kine makes it, with all its indexes. */
#define SCHEMA                                                                                     \
    KINE_FILE_SCHEMA                                                                               \
    "CREATE INDEX kine_name_index ON kine (name);"                                                 \
    "CREATE INDEX kine_id_deleted_index ON kine (id, deleted);"                                    \
    "CREATE INDEX kine_prev_revision_index ON kine (prev_revision);"                               \
    "CREATE UNIQUE INDEX kine_name_prev_revision_uindex ON kine (name, prev_revision);"

/* The log. */
#define WAL_HEADER   32
#define FRAME_HEADER 24
#define PAGE_STEP    97

struct told {
    uint64_t keys;
    uint64_t records;
};

static enum kerr run(const struct kine_file *f, struct told *ret, struct kerrinfo *e)
{
    static const struct audit_wanted wanted = {.is_passing = true};
    AUTO_AUDIT a = {.tables = NULL};
    AUTO_SQLITE_PAGES pages = {.count = 0};
    AUTO_KINE kine = NULL;
    struct audit_store found = {.revision = 0};
    enum kerr k = audit_begin(&wanted, &a, e);
    k = k == KERR_OK ? sqlite_pages_open(buf_view(&f->db), buf_view(&f->wal), "file", &pages, e)
                     : k;
    k = k == KERR_OK ? kine_open(&pages, KINE_MEMORY_MAX, &kine, e) : k;
    k = k == KERR_OK ? audit_kine(&a, kine, &pages, NULL, NULL, &found, e) : k;
    k = k == KERR_OK ? kine_check(kine, e) : k;
    *ret = (struct told){.keys = a.totals.keys, .records = found.record_count};
    return k;
}

/* One byte in one way; false when that was not noticed. */
static bool is_noticed(const struct kine_file *f, uint8_t *byte, uint8_t mask,
                       const struct told *good)
{
    struct kerrinfo e = {0};
    struct told changed;
    *byte ^= mask;
    enum kerr k = run(f, &changed, &e);
    *byte ^= mask;
    if (k == KERR_OK) {
        return changed.keys == good->keys && changed.records == good->records;
    }
    return e.text[0] != 0 && (k == KERR_FORMAT || k == KERR_UNSUP || k == KERR_NOTFOUND);
}

static void fill(struct kine_file *f, bool with_wal)
{
    char name[64];
    static char value[1500];
    memcpy(value, ENCRYPTED, sizeof ENCRYPTED - 1);
    kine_file_new(f, with_wal, SCHEMA);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(name, sizeof name, "/registry/secrets/default/s-%02d", i);
        kine_file_put(f, name, SECRET, sizeof SECRET - 1);
        kine_file_put(f, name, value, i == 3 ? sizeof value : sizeof ENCRYPTED - 1);
    }
    kine_file_put(f, "/registry/secrets/default/s-04", NULL, 0);
    kine_file_sql(f, "DELETE FROM kine WHERE id < 3");
    kine_file_read(f);
}

static const uint8_t masks[] = {1, 0xff, 16, 2, 128};

static void test_database(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct kine_file f;
    struct told good;
    fill(&f, false);
    assert_ok(&e, run(&f, &good, &e));
    for (size_t at = 0; at < f.db.len; at++) {
        if (!is_noticed(&f, &f.db.ptr[at], masks[at % ARRAY_LEN(masks)], &good)) {
            fail_msg("byte %zu: not noticed", at);
        }
    }
    kine_file_done(&f);
}

/* The frame that was written last may have been torn by a crash, as for SQLite: what it held is as
 * it was before. All of the others, by their heads and some bytes of their pages. */
static void test_log(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct kine_file f;
    struct told good;
    fill(&f, true);
    assert_ok(&e, run(&f, &good, &e));
    size_t last = f.wal.len - FRAME_HEADER - KINE_FILE_PAGE;
    for (size_t at = 0; at < last; at++) {
        size_t in_frame = (at - WAL_HEADER) % (FRAME_HEADER + KINE_FILE_PAGE);
        bool is_head = at < WAL_HEADER || in_frame < FRAME_HEADER;
        if ((is_head || at % PAGE_STEP == 0) &&
            !is_noticed(&f, &f.wal.ptr[at], masks[at % ARRAY_LEN(masks)], &good)) {
            fail_msg("byte %zu of the log: not noticed", at);
        }
    }
    kine_file_done(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_database),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests_name("audit.kine_damage", tests, NULL, NULL);
}
