/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/db.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "audit/batch.h"
#include "audit/object.h"
#include "audit/records.h"

#define PASSES 2
#define AHEAD  6    /* records that memory is told of before they are looked at */
#define STEP   2048 /* records that are handed in at a time */

#define SORTS_FEW (AUDIT_KEY_IDS_MAX / 4)

/* Records that count alike. */
struct tally {
    struct audit_item item; /* of one of them */
    bool is_read;           /* its form is right */
    bool is_counted;        /* the others need no look: */
    uint64_t live;          /* so many there are */
    uint64_t old;
};

struct feed {
    struct audit *audit;
    struct bbolt *b;
    struct records records;
    struct tally *tallies[AUDIT_THREADS_MAX]; /* by thread and sort; NULL: none are taken */
    atomic_bool has_changed;                  /* the file, since the walk */
    struct audit_store found;
    audit_progress_fn *progress;
    void *progress_ctx;
    uint64_t done;
};

/* STATE when the audit is to end. */
static enum kerr tell(void *ctx, size_t bytes, struct kerrinfo *e)
{
    struct feed *f = ctx;
    f->done += bytes;
    if (f->progress != NULL) {
        f->progress(f->progress_ctx, f->done, PASSES * f->b->file.len);
    }
    return audit_is_stopped(f->audit) ? kerr_set(e, KERR_STATE, "stopped") : KERR_OK;
}

static enum kerr check_unchanged(const struct feed *f, struct kerrinfo *e)
{
    return atomic_load(&f->has_changed)
               ? kerr_set(e, KERR_FORMAT, "%s: the file changed while it was read", f->b->name)
               : KERR_OK;
}

/* ---- counting ---- */

static struct batch_value value_of(const struct record *r)
{
    return (struct batch_value){
        .kind = r->is_empty || r->revision.is_tombstone ? BATCH_NOTHING
                : r->is_latest                          ? BATCH_LIVE
                                                        : BATCH_OLD_REVISION,
        .key = r->kv.key,
        .value = r->kv.value,
        .mod_revision = r->kv.mod_revision,
    };
}

static const struct tally *tally_of(const struct feed *f, uint16_t sort)
{
    const struct tally *of_thread = f->tallies[sort >> SORTS_BITS];
    return of_thread == NULL ? NULL : &of_thread[sort & ((1 << SORTS_BITS) - 1)];
}

/* On any thread. */
static struct batch_value read_value(void *ctx, size_t number)
{
    struct feed *f = ctx;
    struct record record;
    bool is_latest = false;
    const struct tally *t = tally_of(f, records_sort(&f->records, number, &is_latest));
    records_prefetch(&f->records, number + AHEAD);
    if (!records_get(&f->records, number, &record)) {
        atomic_store(&f->has_changed, true);
        return (struct batch_value){.kind = BATCH_NOTHING};
    }
    struct batch_value v = value_of(&record);
    v.like = t != NULL && t->is_read ? &t->item : NULL;
    return v;
}

/* Where one object is asked for: few records are of it, and each is told. */
static enum kerr count_record(struct feed *f, size_t number, struct kerrinfo *e)
{
    struct record record;
    if (!records_get(&f->records, number, &record)) {
        atomic_store(&f->has_changed, true);
        return check_unchanged(f, e);
    }
    if (record.is_empty) {
        return KERR_OK;
    }
    const struct batch_value v = value_of(&record);
    const struct audit_revision r = {.when = record.revision.is_tombstone ? AUDIT_IS_DELETION
                                             : record.is_latest           ? AUDIT_IS_LIVE
                                                                          : AUDIT_IS_OLDER,
                                     .key = v.key,
                                     .value = v.value,
                                     .revision = record.revision.main,
                                     .create_revision = record.kv.create_revision,
                                     .version = record.kv.version};
    enum kerr k = audit_revision(f->audit, &r, e);
    if (k != KERR_OK || v.kind == BATCH_NOTHING) {
        return k;
    }
    return v.kind == BATCH_LIVE ? audit_live(f->audit, v.key, v.value, v.mod_revision, e)
                                : audit_left_over(f->audit, AUDIT_OLD_REVISIONS, v.key, v.value, e);
}

static enum kerr find_key_id(struct audit *a, struct audit_item *item, struct kerrinfo *e)
{
    struct audit_key_id *row = NULL;
    enum kerr k = tables_key_id(a, &item->v, &row, e);
    item->has_key_id = k == KERR_OK && row != &a->other_keys;
    item->key_id = item->has_key_id ? (uint32_t)(row - a->key_ids) : 0;
    return k;
}

static enum kerr take_sample(struct feed *f, size_t number, struct tally *t, struct kerrinfo *e)
{
    struct audit *a = f->audit;
    struct record record;
    if (!records_get(&f->records, number, &record)) {
        atomic_store(&f->has_changed, true);
        return check_unchanged(f, e);
    }
    t->item.key = record.kv.key;
    enum kerr k = tables_resource(a, record.kv.key, &t->item.resource, e);
    if (k != KERR_OK) {
        return k;
    }
    item_read(a, record.kv.value, &t->item);
    t->is_read = t->item.v.class_of == VALUE_KMSV2 && t->item.v.fault == NULL;
    t->is_counted = t->is_read && a->prove == NULL && count_is_silent(&t->item);
    return t->is_read ? find_key_id(a, &t->item, e) : KERR_OK;
}

/* Sorts are good where the prefix is the one by which they were told apart; and where they are few:
 * their key ids come before all others, whichever thread found them. */
static bool has_sorts(const struct feed *f)
{
    const struct audit *a = f->audit;
    const struct sorts *s = f->records.sorts;
    size_t count = 0;
    for (unsigned i = 0; s != NULL && i < AUDIT_THREADS_MAX; i++) {
        count += sorts_count(s, i);
    }
    return s != NULL && count <= SORTS_FEW && a->prefix_count == 1 &&
           bytes_equal(a->prefixes[0], sorts_prefix(s));
}

static enum kerr take_samples(struct feed *f, unsigned worker, struct kerrinfo *e)
{
    const struct sorts *sorts = f->records.sorts;
    size_t count = sorts_count(sorts, worker);
    struct tally *tallies = calloc(count + 1, sizeof *tallies);
    enum kerr k = KERR_OK;
    f->tallies[worker] = tallies;
    if (tallies == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for sorts of records");
    }
    for (size_t i = 1; i <= count && k == KERR_OK; i++) {
        uint16_t sort = (uint16_t)(worker << SORTS_BITS | i);
        k = take_sample(f, sorts_sample(sorts, sort), &tallies[i], e);
    }
    return k;
}

/* Of some records those that count by themselves go to the batch. */
static enum kerr tally_some(struct feed *f, size_t from, size_t to, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (size_t i = from; i < to && k == KERR_OK; i++) {
        bool is_latest = false;
        uint16_t sort = records_sort(&f->records, i, &is_latest);
        struct tally *t = &f->tallies[sort >> SORTS_BITS][sort & ((1 << SORTS_BITS) - 1)];
        if (t->is_counted) {
            *(is_latest ? &t->live : &t->old) += 1;
        } else {
            k = batch_add_numbers(f->audit, i, i + 1, read_value, f, e);
        }
    }
    return k;
}

static enum kerr count_tally(struct feed *f, const struct tally *t, struct kerrinfo *e)
{
    enum kerr k = t->live > 0 ? count_items(f->audit, &t->item, t->live, e) : KERR_OK;
    if (k == KERR_OK && t->old > 0) {
        k = count_left_over(f->audit, AUDIT_OLD_REVISIONS, t->item.key, &t->item.v, t->old, e);
    }
    return k;
}

static enum kerr count_tallies(struct feed *f, unsigned worker, struct kerrinfo *e)
{
    size_t count = sorts_count(f->records.sorts, worker);
    enum kerr k = KERR_OK;
    for (size_t i = 1; i <= count && k == KERR_OK; i++) {
        k = count_tally(f, &f->tallies[worker][i], e);
    }
    return k;
}

static enum kerr count_each(struct feed *f, size_t from, size_t to, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (size_t i = from; i < to && k == KERR_OK; i++) {
        k = count_record(f, i, e);
    }
    return k;
}

static enum kerr count_some(struct feed *f, size_t from, size_t to, struct kerrinfo *e)
{
    if (f->audit->object != NULL) {
        return count_each(f, from, to, e);
    }
    return f->tallies[0] == NULL ? batch_add_numbers(f->audit, from, to, read_value, f, e)
                                 : tally_some(f, from, to, e);
}

static enum kerr count_records(struct feed *f, struct kerrinfo *e)
{
    unsigned sorters = has_sorts(f) ? AUDIT_THREADS_MAX : 0;
    size_t count = f->records.count;
    enum kerr k = KERR_OK;
    for (unsigned i = 0; i < sorters && k == KERR_OK; i++) {
        k = take_samples(f, i, e);
    }
    for (size_t from = 0; from < count && k == KERR_OK; from += STEP) {
        size_t to = count - from < STEP ? count : from + STEP;
        k = count_some(f, from, to, e);
        k = k == KERR_OK ? tell(f, f->b->file.len / count * (to - from), e) : k;
    }
    k = k == KERR_OK ? audit_settle(f->audit, e) : k;
    for (unsigned i = 0; i < sorters && k == KERR_OK; i++) {
        k = count_tallies(f, i, e);
    }
    return k == KERR_OK ? check_unchanged(f, e) : k;
}

static enum kerr count_slacks(struct feed *f, struct kerrinfo *e)
{
    const struct records *r = &f->records;
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < r->slack_count && k == KERR_OK; i++) {
        k = tell(f, 0, e);
        k = k == KERR_OK ? audit_scan(f->audit, AUDIT_PAGE_SLACK, r->slacks[i], e) : k;
    }
    return k;
}

static enum kerr count_free(struct feed *f, struct kerrinfo *e)
{
    size_t at = 0;
    struct bytes run;
    enum kerr k = KERR_OK;
    while (k == KERR_OK && bbolt_unreached(f->b, &at, &run)) {
        k = tell(f, run.len, e);
        k = k == KERR_OK ? audit_scan(f->audit, AUDIT_FREE_PAGES, run, e) : k;
    }
    return k;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void take_records(struct feed *f)
{
    const struct records *r = &f->records;
    const struct mvcc_meta *meta = &r->meta;
    f->found.has_records = true;
    f->found.record_count = r->count;
    f->found.tombstone_count = r->tombstones;
    f->found.compact_revision = meta->finished_compact;
    f->found.revision =
        larger(r->revision, larger(meta->finished_compact, meta->scheduled_compact));
}

static enum kerr read_all(struct feed *f, struct kerrinfo *e)
{
    enum kerr k = records_read(f->audit, f->b, tell, f, &f->records, e);
    take_records(f);
    k = k == KERR_OK ? audit_take_prefixes(f->audit, e) : k;
    k = k == KERR_OK && f->audit->batch == NULL ? batch_begin(f->audit, e) : k;
    k = k == KERR_OK ? count_records(f, e) : k;
    k = k == KERR_OK ? count_slacks(f, e) : k;
    return k == KERR_OK ? count_free(f, e) : k;
}

enum kerr audit_db(struct audit *a, struct bbolt *b, audit_progress_fn *progress,
                   void *progress_ctx, struct audit_store *ret, struct kerrinfo *e)
{
    struct feed f = {.audit = a, .b = b, .progress = progress, .progress_ctx = progress_ctx};
    audit_shows(a, AUDIT_OLD_REVISIONS);
    audit_shows(a, AUDIT_FREE_PAGES);
    audit_shows(a, AUDIT_PAGE_SLACK);
    enum kerr k = read_all(&f, e);
    if (k == KERR_STATE && audit_is_stopped(a)) {
        f.found.is_partial = true;
        kerr_clear(e);
        k = audit_settle(a, e);
    }
    batch_wait(a);
    for (size_t i = 0; i < AUDIT_THREADS_MAX; i++) {
        free(f.tallies[i]);
    }
    records_done(&f.records);
    if (k == KERR_OK) {
        *ret = f.found;
    }
    return k;
}

/* ---- the write-ahead log ---- */

static enum kerr count_put(void *ctx, struct bytes key, struct bytes value, struct kerrinfo *e)
{
    return audit_left_over(ctx, AUDIT_WAL, key, value, e);
}

enum kerr audit_wal(struct audit *a, struct wal *w, struct audit_store *ret, struct kerrinfo *e)
{
    struct bytes entry = {0};
    bool is_end = false;
    audit_shows(a, AUDIT_WAL);
    enum kerr k = wal_next(w, &entry, &is_end, e);
    while (k == KERR_OK && !is_end && !audit_is_stopped(a)) {
        k = wal_puts(w, entry, count_put, a, e);
        k = k == KERR_OK ? wal_next(w, &entry, &is_end, e) : k;
    }
    ret->is_partial = ret->is_partial || audit_is_stopped(a);
    return k;
}
