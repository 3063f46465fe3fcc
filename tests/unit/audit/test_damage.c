/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One byte of a database is changed, each in turn, in many ways. Whatever it is: a refusal, or the
 * same report. Only bytes which nothing in the file guards may change what is said, and only of
 * what they are: those of a record, what is said of that record; never how many there are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/db.h"
#include "base/file.h"
#include "stored/mvcc.h"
#include "tests/lib/testlib.h"

#define SEEDS TEST_SOURCE "/tests/fuzz/seeds/etcd_db/"

/* Nothing in the file guards bytes of these kinds, but for the first. */
enum kind { STRUCTURE, NAME, RECORD, META, FREE };

static struct buf file;
static uint8_t *kinds; /* of each byte: enum kind */

/* Names and numbers of a report as one text. */
struct told {
    char text[16384];
    size_t head; /* of it: what is said of all live keys */
    uint64_t keys;
    uint64_t records;
};

static void tell_counts(FILE *to, const char *name, const struct audit_counts *c)
{
    (void)fprintf(to, "%s %d", name, (int)c->keys);
    for (size_t i = 0; i < VALUE_CLASS_COUNT; i++) {
        (void)fprintf(to, " %d", (int)c->classes[i]);
    }
    (void)fprintf(to, " %d %d %d\n", (int)c->undecryptable, (int)c->unproved, (int)c->stale);
}

static void tell(const struct audit *a, const struct audit_store *found, struct told *ret)
{
    memset(ret->text, 0, sizeof ret->text);
    FILE *to = fmemopen(ret->text, sizeof ret->text - 1, "w");
    assert_non_null(to);
    (void)fprintf(to, "%d %d %d %d\n", (int)found->revision, (int)found->compact_revision,
                  (int)found->record_count, (int)found->tombstone_count);
    tell_counts(to, "all", &a->totals);
    ret->head = (size_t)ftell(to);
    for (size_t i = 0; i < a->resource_count; i++) {
        tell_counts(to, a->resources[i].name, &a->resources[i].counts);
    }
    for (size_t i = 0; i < a->key_id_count; i++) {
        const struct audit_key_id *k = &a->key_ids[i];
        (void)fprintf(to, "%.*s %d %d\n", (int)k->id.len, (const char *)k->id.ptr, (int)k->objects,
                      (int)k->seeds);
    }
    for (size_t i = 0; i < AUDIT_PLACE_COUNT; i++) {
        (void)fprintf(to, "%d %d\n", (int)a->residue[i].values, (int)a->residue[i].plaintext);
    }
    for (size_t i = 0; i < a->finding_count; i++) {
        (void)fprintf(to, "%d %.*s\n", (int)a->findings[i].rule, (int)a->findings[i].key.len,
                      (const char *)a->findings[i].key.ptr);
    }
    ret->keys = a->totals.keys;
    ret->records = found->record_count;
    assert_int_equal(fclose(to), 0);
}

static enum kerr run(struct told *ret, struct kerrinfo *e)
{
    const struct audit_wanted wanted = {.demand_count = 0};
    AUTO_AUDIT a = {.tables = NULL};
    AUTO_BBOLT db = {.page_size = 0};
    struct audit_store found = {.revision = 0};
    enum kerr k = audit_begin(&wanted, &a, e);
    k = k == KERR_OK ? bbolt_open(buf_view(&file), "file", &db, e) : k;
    k = k == KERR_OK ? audit_db(&a, &db, NULL, NULL, &found, e) : k;
    k = k == KERR_OK ? audit_judge(&a, e) : k;
    if (k == KERR_OK) {
        tell(&a, &found, ret);
    }
    return k;
}

static void mark(struct bytes what, enum kind kind)
{
    memset(kinds + (what.ptr - file.ptr), (int)kind, what.len);
}

static enum kerr mark_item(void *ctx, struct bytes bucket, struct bytes key, struct bytes value,
                           struct kerrinfo *e)
{
    struct mvcc_key_value kv = {.key = {0}};
    (void)ctx;
    (void)e;
    if (bytes_equal_text(bucket, "key")) {
        assert_true(mvcc_key_value_read(value, &kv));
        mark(value, RECORD);
        mark(kv.key, NAME);
    } else {
        mark(key, META);
        mark(value, META);
    }
    return KERR_OK;
}

static enum kerr mark_slack(void *ctx, struct bytes slack, struct kerrinfo *e)
{
    (void)ctx;
    (void)e;
    mark(slack, FREE);
    return KERR_OK;
}

static void start(const char *seed)
{
    struct kerrinfo e = {0};
    AUTO_BBOLT db = {.page_size = 0};
    const struct bbolt_visit visit = {.item = mark_item, .slack = mark_slack};
    size_t at = 0;
    struct bytes free_pages;
    assert_ok(&e, file_read(NULL, seed, 65536, FILE_READ_ANY, &file, &e));
    kinds = calloc(file.len, 1);
    assert_non_null(kinds);
    assert_ok(&e, bbolt_open(buf_view(&file), "file", &db, &e));
    assert_ok(&e, bbolt_walk(&db, &visit, &e));
    while (bbolt_unreached(&db, &at, &free_pages)) {
        mark(free_pages, FREE);
    }
}

static void end(void)
{
    free(kinds);
    buf_done(&file);
}

/* What a byte of the kind may change in a report. */
static bool may_change(enum kind kind, const struct told *good, const struct told *changed)
{
    const struct told *a = good;
    const struct told *b = changed;
    switch (kind) {
    case NAME: /* below the compaction one may become another that is there */
        return a->keys - b->keys <= 1 && a->records == b->records;
    case RECORD:
        return a->keys == b->keys && a->records == b->records;
    case META: /* of the compaction */
        return strcmp(strchr(a->text, '\n'), strchr(b->text, '\n')) == 0;
    case FREE: /* what is left over there */
        return strncmp(a->text, b->text, a->head) == 0;
    case STRUCTURE:
    default:
        return false;
    }
}

/* Returns how many changes were refused. */
static size_t change_each(const char *seed)
{
    static const uint8_t masks[] = {1, 2, 4, 8, 16, 32, 64, 128, 0xff, 0x55, 0x07};
    static struct told good;
    static struct told changed;
    struct kerrinfo e = {0};
    size_t refused = 0;
    start(seed);
    assert_ok(&e, run(&good, &e));
    for (size_t i = 0; i < file.len * ARRAY_LEN(masks); i++) {
        size_t at = i / ARRAY_LEN(masks);
        uint8_t mask = masks[i % ARRAY_LEN(masks)];
        /* Where nothing is guarded, each byte in one way only: valgrind is slow. */
        if (kinds[at] != STRUCTURE && i % ARRAY_LEN(masks) != at % ARRAY_LEN(masks)) {
            continue;
        }
        kerr_clear(&e);
        file.ptr[at] ^= mask;
        enum kerr k = run(&changed, &e);
        file.ptr[at] ^= mask;
        refused += k != KERR_OK;
        bool is_same = k == KERR_OK && strcmp(changed.text, good.text) == 0;
        bool is_told =
            (k == KERR_FORMAT || k == KERR_UNSUP || k == KERR_NOTFOUND) && e.text[0] != 0;
        if (!is_same && !is_told && !(k == KERR_OK && may_change(kinds[at], &good, &changed))) {
            fail_msg("%s, byte %zu ^ %x: %s\n%s---\n%s", seed, at, mask, e.text, good.text,
                     changed.text);
        }
    }
    end();
    return refused;
}

/* Compacted, with tombstones, keys made again, an inline bucket, free pages, a page of two. */
static void test_history(void **state)
{
    (void)state;
    assert_true(change_each(SEEDS "history") > 5000);
}

static void test_freelist(void **state)
{
    (void)state;
    assert_true(change_each(SEEDS "freelist") > 5000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_freelist),
    };
    return cmocka_run_group_tests_name("audit.damage", tests, NULL, NULL);
}
