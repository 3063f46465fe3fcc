/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/db.h"

#include <stdatomic.h>

#include "audit/batch.h"
#include "audit/object.h"
#include "audit/tallies.h"

#define PASSES 2
#define AHEAD  6    /* records that memory is told of before they are looked at */
#define STEP   2048 /* records that are handed in at a time */

struct feed {
    struct audit *audit;
    struct bbolt *b;
    struct records records;
    struct tallies *tallies; /* NULL: each record is looked at */
    atomic_bool has_changed; /* the file, since the walk */
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
    return atomic_load(&f->has_changed) ? records_changed(&f->records, e) : KERR_OK;
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

/* On any thread. */
static struct batch_value read_value(void *ctx, size_t number)
{
    struct feed *f = ctx;
    struct record record;
    records_prefetch(&f->records, number + AHEAD);
    if (!records_get(&f->records, number, &record)) {
        atomic_store(&f->has_changed, true);
        return (struct batch_value){.kind = BATCH_NOTHING};
    }
    struct batch_value v = value_of(&record);
    v.like = tallies_like(f->tallies, number);
    return v;
}

/* Where one object is asked for: few records are of it, and each is told. */
static enum kerr count_record(struct feed *f, size_t number, struct kerrinfo *e)
{
    struct record record;
    if (!records_get(&f->records, number, &record)) {
        return records_changed(&f->records, e);
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

static enum kerr count_some(struct feed *f, size_t from, size_t to, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (size_t i = from; i < to && k == KERR_OK; i++) {
        if (f->audit->object != NULL) {
            k = count_record(f, i, e);
        } else if (!tallies_is_counted(f->tallies, i)) {
            k = batch_add_number(f->audit, i, read_value, f, e);
        }
    }
    return k;
}

static enum kerr count_records(struct feed *f, struct kerrinfo *e)
{
    size_t count = f->records.count;
    enum kerr k = tallies_take(f->audit, &f->records, &f->tallies, e);
    for (size_t from = 0; from < count && k == KERR_OK; from += STEP) {
        size_t to = count - from < STEP ? count : from + STEP;
        k = count_some(f, from, to, e);
        k = k == KERR_OK ? tell(f, f->b->file.len / count * (to - from), e) : k;
    }
    k = k == KERR_OK ? audit_settle(f->audit, e) : k;
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
    f->found.record_count = r->read;
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
        k = k == KERR_OK ? check_unchanged(&f, e) : k;
    }
    batch_wait(a);
    tallies_free(f.tallies);
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
