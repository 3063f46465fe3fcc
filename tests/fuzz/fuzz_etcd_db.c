/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A database file: any bytes give a report whose numbers agree, or a refusal that says why. The
 * checksums of the meta pages are made right first, so that what lies behind them is reached.
 */
#include <stdlib.h>
#include <string.h>

#include "audit/db.h"

#define META      16 /* in its page */
#define PAGE_SIZE 8  /* in the meta */
#define CHECKSUM  56
#define ALL       64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

static void mend_meta(uint8_t *file, size_t len, size_t page)
{
    if (len < META + ALL || page > len - META - ALL) {
        return;
    }
    uint8_t *meta = file + page + META;
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < CHECKSUM; i++) {
        h = (h ^ meta[i]) * 0x100000001b3;
    }
    for (size_t i = 0; i < 8; i++) {
        meta[CHECKSUM + i] = (uint8_t)(h >> (8 * i));
    }
}

static void mend(uint8_t *file, size_t len)
{
    uint32_t page = 0;
    mend_meta(file, len, 0);
    if (len >= META + ALL) {
        memcpy(&page, file + META + PAGE_SIZE, sizeof page);
        mend_meta(file, len, page);
    }
}

static void check(struct audit *a)
{
    struct audit_counts sum = {.keys = 0};
    for (size_t i = 0; i < a->resource_count; i++) {
        sum.keys += a->resources[i].counts.keys;
        sum.undecryptable += a->resources[i].counts.undecryptable;
    }
    uint64_t classes = 0;
    for (size_t i = 0; i < VALUE_CLASS_COUNT; i++) {
        classes += a->totals.classes[i];
    }
    must(sum.keys == a->totals.keys && classes == a->totals.keys);
    must(sum.undecryptable == a->totals.undecryptable);
    for (size_t i = 0; i < a->finding_count; i++) {
        struct audit_said said;
        audit_say(a, &a->findings[i], &said);
        must(said.rule != NULL && said.message[0] != 0 && said.cure[0] != 0);
    }
}

/* What a file says does not depend on how it is read. */
static void check_same(const struct audit *a, const struct audit *b)
{
    must(memcmp(&a->totals, &b->totals, sizeof a->totals) == 0);
    must(memcmp(a->residue, b->residue, sizeof a->residue) == 0);
    must(memcmp(a->by_rule, b->by_rule, sizeof a->by_rule) == 0);
    must(a->resource_count == b->resource_count && a->key_id_count == b->key_id_count);
    for (size_t i = 0; i < a->key_id_count; i++) {
        const struct audit_key_id *x = &a->key_ids[i];
        const struct audit_key_id *y = &b->key_ids[i];
        must(bytes_equal(x->id, y->id) && x->objects == y->objects && x->seeds == y->seeds);
        must(memcmp(x->residue, y->residue, sizeof x->residue) == 0);
    }
}

/* `object` NULL: all. `before`: the same with other threads; NULL: none. */
static void run(struct bytes file, const char *object, unsigned threads, struct audit *before)
{
    struct kerrinfo e = {0};
    const struct audit_wanted wanted = {.object = object, .threads = threads};
    AUTO_AUDIT a = {.tables = NULL};
    AUTO_BBOLT db = {.page_size = 0};
    struct audit_store found;
    must(audit_begin(&wanted, &a, &e) == KERR_OK);
    enum kerr k = bbolt_open(file, "file", &db, &e);
    k = k == KERR_OK ? audit_db(&a, &db, NULL, NULL, &found, &e) : k;
    if (k != KERR_OK) {
        must(k == KERR_FORMAT || k == KERR_UNSUP || k == KERR_NOTFOUND || k == KERR_LIMIT ||
             (object != NULL && k == KERR_USAGE));
        must(e.code == k && e.text[0] != 0);
        must(before == NULL);
        return;
    }
    must(audit_judge(&a, &e) == KERR_OK);
    check(&a);
    if (before != NULL) {
        check_same(before, &a);
    }
    if (object == NULL && before == NULL) {
        run(file, NULL, 1, &a); /* by sets of few leaves, and by sorts */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = malloc(size + (size == 0));
    if (file == NULL) {
        return 0;
    }
    memcpy(file, data, size);
    mend(file, size);
    run(bytes_of(file, size), NULL, 0, NULL);
    run(bytes_of(file, size), "secrets/default/a", 0, NULL);
    free(file);
    return 0;
}
