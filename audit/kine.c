/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/kine.h"

#include "audit/object.h"
#include "audit/tables.h"

#define PROGRESS_ITEMS 0xfff /* a mask: told once for that many */

struct feed {
    struct audit *audit;
    struct kine *kine;
    struct sqlite_pages *pages;
    struct index latest; /* by name: the id of its latest row */
    struct audit_store found;
    audit_progress_fn *progress;
    void *progress_ctx;
    uint64_t done;
    uint64_t items;
};

/* STATE when the audit is to end. */
static enum kerr tell(struct feed *f, size_t len, struct kerrinfo *e)
{
    f->done += len;
    if (f->progress != NULL && (f->items++ & PROGRESS_ITEMS) == 0) {
        f->progress(f->progress_ctx, f->done, f->pages->db.len + f->pages->wal.len);
    }
    return audit_is_stopped(f->audit) ? kerr_set(e, KERR_STATE, "stopped") : KERR_OK;
}

/* ---- first pass: the latest row of each name ---- */

struct same_name {
    struct kine *kine;
    struct bytes name;
    enum kerr *k;
    struct kerrinfo *e;
};

static bool is_same_name(const void *ctx, uint64_t id)
{
    const struct same_name *s = ctx;
    struct bytes name = {0};
    enum kerr k = kine_name(s->kine, id, &name, s->e);
    *s->k = *s->k == KERR_OK ? k : *s->k;
    return k == KERR_OK && bytes_equal(name, s->name);
}

static enum kerr note_row(void *ctx, const struct kine_row *row, struct kerrinfo *e)
{
    struct feed *f = ctx;
    enum kerr k = tell(f, 0, e);
    if (k != KERR_OK) {
        return k;
    }
    f->found.record_count++;
    f->found.tombstone_count += row->is_deleted;
    f->found.revision = row->id;
    if (bytes_equal_text(row->name, KINE_COMPACT_NAME)) {
        f->found.compact_revision = row->prev_revision;
        return KERR_OK;
    }
    struct same_name same = {f->kine, row->name, &k, e};
    uint64_t hash = index_hash(index_seed(), row->name);
    uint64_t *latest = index_find(&f->latest, hash, is_same_name, &same);
    if (k != KERR_OK) {
        return k;
    }
    if (latest != NULL) {
        *latest = row->id;
        return KERR_OK;
    }
    k = audit_note_key(f->audit, row->name, e);
    return k == KERR_OK ? index_add(&f->latest, hash, row->id, e) : k;
}

/* ---- second pass: counting ---- */

static bool is_id(const void *ctx, uint64_t id)
{
    return *(const uint64_t *)ctx == id;
}

static enum kerr note_revision(struct feed *f, const struct kine_row *row, enum audit_when when,
                               struct bytes value, struct kerrinfo *e)
{
    const struct audit_revision r = {
        .when = when, .key = row->name, .value = value, .revision = row->id};
    return audit_revision(f->audit, &r, e);
}

static enum kerr count_value(struct feed *f, const struct kine_row *row, struct kerrinfo *e)
{
    uint64_t hash = index_hash(index_seed(), row->name);
    bool is_latest = index_find(&f->latest, hash, is_id, &row->id) != NULL;
    enum audit_when when = row->is_deleted ? AUDIT_IS_DELETION
                           : is_latest     ? AUDIT_IS_LIVE
                                           : AUDIT_IS_OLDER;
    enum kerr k = note_revision(f, row, when, row->value, e);
    if (k != KERR_OK) {
        return k;
    }
    if (is_latest && !row->is_deleted) {
        return audit_live(f->audit, row->name, row->value, row->id, e);
    }
    return row->value.len == 0
               ? KERR_OK
               : audit_left_over(f->audit, AUDIT_OLD_REVISIONS, row->name, row->value, e);
}

static enum kerr count_row(void *ctx, const struct kine_row *row, struct kerrinfo *e)
{
    struct feed *f = ctx;
    enum kerr k = tell(f, row->name.len + row->value.len + row->old_value.len, e);
    k = k == KERR_OK ? count_value(f, row, e) : k;
    if (k != KERR_OK || row->old_value.len == 0) {
        return k;
    }
    k = note_revision(f, row, AUDIT_IS_OLD_VALUE, row->old_value, e);
    return k == KERR_OK
               ? audit_left_over(f->audit, AUDIT_KINE_OLD_VALUE, row->name, row->old_value, e)
               : k;
}

/* ---- what SQLite does not use ---- */

static bool row_around(const void *ctx, struct bytes in, const uint8_t *key, struct scan_found *ret)
{
    struct kine_found found;
    if (!kine_row_around(in, key, *(const size_t *)ctx, &found)) {
        return false;
    }
    /* SQLite puts rows over parts of older ones: there may be others in what was this one. */
    *ret = (struct scan_found){.at = found.at,
                               .len = (size_t)(found.name.ptr + found.name.len - found.at),
                               .key = found.name,
                               .values = {found.value, found.old_value}};
    return true;
}

static enum kerr scan(struct feed *f, enum audit_place place, struct bytes data, struct kerrinfo *e)
{
    enum kerr k = tell(f, data.len, e);
    return k == KERR_OK ? scan_with(f->audit, place, data, row_around, &f->pages->usable, e) : k;
}

static enum kerr count_slack(void *ctx, struct bytes slack, struct kerrinfo *e)
{
    return scan(ctx, AUDIT_PAGE_SLACK, slack, e);
}

static enum kerr count_unused(struct feed *f, struct kerrinfo *e)
{
    uint64_t at = 0;
    struct bytes data;
    bool is_wal = false;
    enum kerr k = KERR_OK;
    while (k == KERR_OK && sqlite_pages_unused(f->pages, &at, &data, &is_wal)) {
        k = scan(f, is_wal ? AUDIT_WAL : AUDIT_FREE_PAGES, data, e);
    }
    return k;
}

/* The pages first: what is damaged in them is said with its place. */
static enum kerr feed_all(struct feed *f, struct kerrinfo *e)
{
    const struct sqlite_visit check = {.slack = NULL};
    const struct sqlite_visit slack = {.slack = count_slack, .ctx = f};
    enum kerr k = kine_walk(f->kine, &check, e);
    k = k == KERR_OK ? kine_rows(f->kine, false, note_row, f, e) : k;
    k = k == KERR_OK ? audit_take_prefixes(f->audit, e) : k;
    k = k == KERR_OK ? kine_rows(f->kine, true, count_row, f, e) : k;
    k = k == KERR_OK ? kine_walk(f->kine, &slack, e) : k;
    return k == KERR_OK ? count_unused(f, e) : k;
}

enum kerr audit_kine(struct audit *a, struct kine *kine, struct sqlite_pages *pages,
                     audit_progress_fn *progress, void *progress_ctx, struct audit_store *ret,
                     struct kerrinfo *e)
{
    static const enum audit_place shown[] = {AUDIT_OLD_REVISIONS, AUDIT_KINE_OLD_VALUE,
                                             AUDIT_FREE_PAGES, AUDIT_PAGE_SLACK, AUDIT_WAL};
    struct feed f = {.audit = a,
                     .kine = kine,
                     .pages = pages,
                     .latest.memory = a->wanted.memory,
                     .found = {.has_records = true},
                     .progress = progress,
                     .progress_ctx = progress_ctx};
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        audit_shows(a, shown[i]);
    }
    enum kerr k = feed_all(&f, e);
    if (k == KERR_STATE && audit_is_stopped(a)) {
        f.found.is_partial = true;
        kerr_clear(e);
        k = KERR_OK;
    }
    index_done(&f.latest);
    if (k == KERR_OK) {
        *ret = f.found;
    }
    return k;
}
