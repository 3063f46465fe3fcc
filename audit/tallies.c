/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/tallies.h"

#include <stdlib.h>

/* The key ids of sorts come before all others, whichever thread found them: so they must be few for
 * the first key ids of a file to be the same each time. */
#define SORTS_FEW (AUDIT_KEY_IDS_MAX / 4)

struct tally {
    uint64_t live;
    uint64_t old;
    size_t first; /* record of the live ones, and last */
    size_t last;
    struct audit_item item; /* of one of them */
    bool is_read;           /* its form is right */
    bool is_counted;        /* with all that are like it */
};

struct tallies {
    const struct records *records;
    struct tally *of[AUDIT_THREADS_MAX]; /* by thread, and number of the sort */
};

static struct tally *tally_of(const struct tallies *t, uint16_t sort)
{
    return &t->of[sort >> SORTS_BITS][sort & ((1 << SORTS_BITS) - 1)];
}

/* ---- looking at one of each ---- */

static enum kerr find_key_id(struct audit *a, struct audit_item *item, struct kerrinfo *e)
{
    struct audit_key_id *row = NULL;
    enum kerr k = tables_key_id(a, &item->v, &row, e);
    item->has_key_id = k == KERR_OK && row != &a->other_keys;
    item->key_id = item->has_key_id ? (uint32_t)(row - a->key_ids) : 0;
    return k;
}

/* Older ones alone make no row of their resource. */
static enum kerr read_sample(struct audit *a, const struct record *record, struct tally *t,
                             struct kerrinfo *e)
{
    struct audit_item *item = &t->item;
    item->key = record->kv.key;
    if (t->live == 0) {
        value_read(record->kv.value, &item->v);
        t->is_counted = true;
        return KERR_OK;
    }
    enum kerr k = tables_resource(a, item->key, &item->resource, e);
    if (k != KERR_OK) {
        return k;
    }
    item_read(a, record->kv.value, item);
    t->is_read = item->v.class_of == VALUE_KMSV2 && item->v.fault == NULL;
    t->is_counted = t->is_read && a->prove == NULL && count_is_silent(item);
    return t->is_read ? find_key_id(a, item, e) : KERR_OK;
}

/* Records stand in the order of revisions. */
static enum kerr note_written(struct audit *a, const struct records *r, const struct tally *t,
                              struct kerrinfo *e)
{
    const size_t numbers[] = {t->first, t->last};
    for (size_t i = 0; i < ARRAY_LEN(numbers) && t->item.has_key_id; i++) {
        struct record record;
        if (!records_get(r, numbers[i], &record)) {
            return records_changed(r, e);
        }
        count_written(&a->key_ids[t->item.key_id], record.kv.mod_revision);
    }
    return KERR_OK;
}

static enum kerr count_live(struct audit *a, const struct records *r, const struct tally *t,
                            struct kerrinfo *e)
{
    enum kerr k = count_items(a, &t->item, t->live, e);
    return k == KERR_OK ? note_written(a, r, t, e) : k;
}

static enum kerr count(struct audit *a, const struct records *r, const struct tally *t,
                       struct kerrinfo *e)
{
    enum kerr k = t->live > 0 ? count_live(a, r, t, e) : KERR_OK;
    if (k == KERR_OK && t->old > 0) {
        k = count_left_over(a, AUDIT_OLD_REVISIONS, t->item.key, &t->item.v, t->old, e);
    }
    return k;
}

static enum kerr take_sort(struct audit *a, const struct tallies *t, uint16_t sort,
                           struct kerrinfo *e)
{
    struct tally *tally = tally_of(t, sort);
    struct record record;
    if (!records_get(t->records, sorts_sample(t->records->sorts, sort), &record)) {
        return records_changed(t->records, e);
    }
    enum kerr k = read_sample(a, &record, tally, e);
    return k == KERR_OK && tally->is_counted ? count(a, t->records, tally, e) : k;
}

/* ---- all of them ---- */

/* Sorts are good where the prefix is the one by which they were told apart, and where they are few.
 */
static bool has_sorts(const struct audit *a, const struct records *r)
{
    size_t count_all = 0;
    for (unsigned i = 0; r->sorts != NULL && i < AUDIT_THREADS_MAX; i++) {
        count_all += sorts_count(r->sorts, i);
    }
    return count_all > 0 && count_all <= SORTS_FEW && a->prefix_count == 1 &&
           bytes_equal(a->prefixes[0], sorts_prefix(r->sorts));
}

static enum kerr make_room(struct tallies *t, struct kerrinfo *e)
{
    for (unsigned i = 0; i < AUDIT_THREADS_MAX; i++) {
        t->of[i] = calloc(sorts_count(t->records->sorts, i) + 1, sizeof *t->of[i]);
        if (t->of[i] == NULL) {
            return kerr_set(e, KERR_NOMEM, "no memory for sorts of records");
        }
    }
    return KERR_OK;
}

static void tally_all(const struct tallies *t)
{
    for (size_t i = 0; i < t->records->count; i++) {
        bool is_latest = false;
        struct tally *tally = tally_of(t, records_sort(t->records, i, &is_latest));
        tally->first = is_latest && tally->live == 0 ? i : tally->first;
        tally->last = is_latest ? i : tally->last;
        *(is_latest ? &tally->live : &tally->old) += 1;
    }
}

enum kerr tallies_take(struct audit *a, const struct records *r, struct tallies **ret,
                       struct kerrinfo *e)
{
    *ret = NULL;
    if (!has_sorts(a, r)) {
        return KERR_OK;
    }
    struct tallies *t = calloc(1, sizeof *t);
    *ret = t;
    if (t == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for sorts of records");
    }
    t->records = r;
    enum kerr k = make_room(t, e);
    if (k == KERR_OK) {
        tally_all(t);
    }
    for (unsigned i = 0; i < AUDIT_THREADS_MAX; i++) {
        size_t sorts = sorts_count(r->sorts, i);
        for (size_t j = 1; j <= sorts && k == KERR_OK; j++) {
            k = take_sort(a, t, (uint16_t)(i << SORTS_BITS | j), e);
        }
    }
    return k;
}

void tallies_free(struct tallies *t)
{
    for (size_t i = 0; t != NULL && i < AUDIT_THREADS_MAX; i++) {
        free(t->of[i]);
    }
    free(t);
}

static const struct tally *tally_of_record(const struct tallies *t, size_t record)
{
    bool is_latest = false;
    return tally_of(t, records_sort(t->records, record, &is_latest));
}

bool tallies_is_counted(const struct tallies *t, size_t record)
{
    return t != NULL && tally_of_record(t, record)->is_counted;
}

const struct audit_item *tallies_like(const struct tallies *t, size_t record)
{
    const struct tally *tally = t == NULL ? NULL : tally_of_record(t, record);
    return tally != NULL && tally->is_read ? &tally->item : NULL;
}
