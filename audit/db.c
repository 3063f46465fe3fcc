/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/db.h"

#include <stdlib.h>

#include "audit/history.h"
#include "audit/object.h"
#include "audit/tables.h"
#include "base/text.h"

#define PROGRESS_ITEMS 0x3fff /* a mask: told once for that many */
#define PASSES         2
#define AHEAD          8 /* records that memory is told of before they are looked at */
#define VERSION_BYTES  32

struct feed {
    struct audit *audit;
    struct bbolt *b;
    struct index latest; /* by key: the number of the record of its latest revision */
    uint64_t *records;   /* where each lies in the file; and the flags below */
    size_t record_count;
    struct bytes *slacks; /* those that are not all zero */
    size_t slack_count;
    struct audit_store found;
    struct mvcc_meta meta;
    struct history history;
    bool has_meta;   /* the bucket */
    bool has_others; /* revisions in a bucket of another name */
    audit_progress_fn *progress;
    void *progress_ctx;
    uint64_t done;
    uint64_t items;
};

#define SUPERSEDED ((uint64_t)1 << 63) /* by a later record of the same key */
#define TOMBSTONE  ((uint64_t)1 << 62)
#define EMPTY      ((uint64_t)1 << 61)
#define VALUELESS  ((uint64_t)1 << 60) /* what lies behind its version is not of it */
#define OFFSET     (VALUELESS - 1)

struct item {
    struct mvcc_revision revision;
    struct mvcc_key_value kv;
    bool is_empty;   /* a revision without a record */
    uint64_t offset; /* of the record in the file */
};

/* STATE when the audit is to end. */
static enum kerr tell(struct feed *f, size_t len, struct kerrinfo *e)
{
    f->done += len;
    if (f->progress != NULL && (f->items++ & PROGRESS_ITEMS) == 0) {
        f->progress(f->progress_ctx, f->done, PASSES * f->b->file.len);
    }
    return audit_is_stopped(f->audit) ? kerr_set(e, KERR_STATE, "stopped") : KERR_OK;
}

static enum kerr read_item(struct feed *f, struct bytes key, struct bytes value, struct item *ret,
                           struct kerrinfo *e)
{
    enum kerr k = tell(f, key.len + value.len, e);
    if (k != KERR_OK) {
        return k;
    }
    if (!mvcc_revision_read(key, &ret->revision)) {
        return bbolt_damaged(f->b, key.ptr, e, "a key of %zu bytes, expected a revision of etcd",
                             key.len);
    }
    ret->is_empty = value.len == 0;
    if (!ret->is_empty && !mvcc_key_value_read(value, &ret->kv)) {
        return bbolt_damaged(f->b, key.ptr, e, "revision %llu holds no KeyValue",
                             (unsigned long long)ret->revision.main);
    }
    ret->offset = (uint64_t)(value.ptr - f->b->file.ptr);
    return KERR_OK;
}

/* ---- the walk: the latest revision of each key ---- */

/* A record that was read whole before, with whatever lies behind it. */
static struct bytes record_from(const struct feed *f, uint64_t record)
{
    size_t offset = (size_t)(f->records[record] & OFFSET);
    return bytes_of(f->b->file.ptr + offset, f->b->file.len - offset);
}

struct same_key {
    const struct feed *feed;
    struct bytes key;
};

static bool is_same_key(const void *ctx, uint64_t record)
{
    const struct same_key *s = ctx;
    struct bytes key;
    return mvcc_key_of(record_from(s->feed, record), &key) && bytes_equal(key, s->key);
}

static enum kerr add_record(struct feed *f, uint64_t offset, struct kerrinfo *e)
{
    void *rows = f->records;
    void *row = NULL;
    enum kerr k = tables_grow(f->audit->wanted.memory, &rows, &f->record_count, sizeof *f->records,
                              SIZE_MAX, "records", &row, e);
    f->records = rows;
    if (k == KERR_OK) {
        *(uint64_t *)row = offset;
    }
    return k;
}

/* Holds a record against the one of the same key before, if there is one. */
static enum kerr check_history(struct feed *f, struct bytes key, struct bytes value,
                               const struct item *item, const uint64_t *latest, struct kerrinfo *e)
{
    struct mvcc_key_value head;
    struct mvcc_key_value last;
    struct history_before before = {.kv = NULL};
    if (latest != NULL) {
        before.is_tombstone = (f->records[*latest] & TOMBSTONE) != 0;
        before.kv = &last;
        if (!before.is_tombstone && !mvcc_key_value_head(record_from(f, *latest), &last)) {
            return kerr_set(e, KERR_FORMAT, "%s: the file changed while it was read", f->b->name);
        }
    }
    if ((item->revision.is_tombstone && item->kv.value.len > 0) ||
        (!item->revision.is_tombstone && !mvcc_key_value_head(value, &head)) ||
        !history_record(&f->history, &item->revision, &head, &before, key.ptr)) {
        return bbolt_damaged(f->b, key.ptr, e,
                             "revision %llu holds a KeyValue of another revision, or one that etcd "
                             "does not write",
                             (unsigned long long)item->revision.main);
    }
    return KERR_OK;
}

static uint64_t flags_of(const struct item *item)
{
    return item->revision.is_tombstone ? TOMBSTONE : item->kv.value.len == 0 ? VALUELESS : 0;
}

static enum kerr note_record(struct feed *f, struct bytes key, struct bytes value,
                             struct kerrinfo *e)
{
    struct item item;
    enum kerr k = read_item(f, key, value, &item, e);
    if (k != KERR_OK) {
        return k;
    }
    f->found.record_count++;
    f->found.tombstone_count += item.revision.is_tombstone;
    f->found.revision = item.revision.main;
    history_revision(&f->history, &item.revision, key.ptr);
    if (item.is_empty) {
        history_bump(&f->history, &item.revision, key.ptr);
        return add_record(f, item.offset | SUPERSEDED | EMPTY, e);
    }
    struct same_key same = {f, item.kv.key};
    uint64_t hash = index_hash(index_seed(), item.kv.key);
    uint64_t *latest = index_find(&f->latest, hash, is_same_key, &same);
    k = check_history(f, key, value, &item, latest, e);
    k = k == KERR_OK ? add_record(f, item.offset | flags_of(&item), e) : k;
    if (k != KERR_OK) {
        return k;
    }
    if (latest != NULL) {
        f->records[*latest] |= SUPERSEDED;
        *latest = f->record_count - 1;
        return KERR_OK;
    }
    k = audit_note_key(f->audit, item.kv.key, e);
    return k == KERR_OK ? index_add(&f->latest, hash, f->record_count - 1, e) : k;
}

static enum kerr note_meta(struct feed *f, struct bytes name, struct bytes value,
                           struct kerrinfo *e)
{
    f->has_meta = true;
    return mvcc_meta_take(name, value, &f->meta)
               ? KERR_OK
               : bbolt_damaged(f->b, name.ptr, e, "%zu bytes of a number in the bucket meta",
                               value.len);
}

static enum kerr note_item(void *ctx, struct bytes bucket, struct bytes key, struct bytes value,
                           struct kerrinfo *e)
{
    struct feed *f = ctx;
    struct mvcc_revision revision;
    if (bytes_equal_text(bucket, MVCC_BUCKET_META)) {
        return note_meta(f, key, value, e);
    }
    if (bytes_equal_text(bucket, MVCC_BUCKET_KEY)) {
        return note_record(f, key, value, e);
    }
    f->has_others = f->has_others || mvcc_revision_read(key, &revision);
    return KERR_OK;
}

/* What only all of it says. */
static enum kerr check_whole(const struct feed *f, struct kerrinfo *e)
{
    if (!mvcc_is_known_version(f->meta.storage_version)) {
        char version[VERSION_BYTES];
        text_escape(f->meta.storage_version, version, sizeof version);
        return kerr_set(e, KERR_UNSUP,
                        "%s was written by a newer etcd: storage version %s, known are those up to "
                        "%d.%d; ask that etcd itself, with --endpoints",
                        f->b->name, version, MVCC_MAJOR_KNOWN, MVCC_MINOR_KNOWN);
    }
    if (f->record_count > 0 ? !f->has_meta : f->has_others) {
        return kerr_set(e, KERR_FORMAT, "%s: damaged: it has no bucket %s", f->b->name,
                        f->has_meta ? MVCC_BUCKET_KEY : MVCC_BUCKET_META);
    }
    return history_is_whole(&f->history, &f->meta)
               ? KERR_OK
               : bbolt_damaged(f->b, f->history.where, e,
                               "a record of etcd, but %s, which no compaction explains",
                               f->history.what);
}

/* What lies behind the items of a page waits for the prefixes. */
static enum kerr note_slack(void *ctx, struct bytes slack, struct kerrinfo *e)
{
    struct feed *f = ctx;
    void *rows = f->slacks;
    void *row = NULL;
    enum kerr k = tell(f, slack.len, e);
    if (k != KERR_OK || scan_is_zero(slack)) {
        return k;
    }
    k = tables_grow(f->audit->wanted.memory, &rows, &f->slack_count, sizeof *f->slacks, SIZE_MAX,
                    "pages", &row, e);
    f->slacks = rows;
    if (k == KERR_OK) {
        *(struct bytes *)row = slack;
    }
    return k;
}

/* ---- then: counting ---- */

/* A record that the walk has read; where the file has changed since, whatever stands there now. */
static enum kerr read_again(const struct feed *f, uint64_t record, struct item *ret,
                            struct kerrinfo *e)
{
    const struct bytes file = f->b->file;
    bool is_tombstone = (f->records[record] & TOMBSTONE) != 0;
    struct bytes from = record_from(f, record);
    /* bbolt puts each value behind its key. */
    size_t len = is_tombstone ? MVCC_TOMBSTONE_BYTES : MVCC_REVISION_BYTES;
    size_t used = 0;
    ret->is_empty = false;
    bool is_good = (size_t)(from.ptr - file.ptr) >= len &&
                   mvcc_revision_read(bytes_of(from.ptr - len, len), &ret->revision);
    if (is_tombstone) {
        is_good = is_good && mvcc_key_of(from, &ret->kv.key);
    } else if ((f->records[record] & VALUELESS) != 0) {
        is_good = is_good && mvcc_key_value_head(from, &ret->kv);
    } else {
        is_good = is_good && mvcc_key_value_cut(from, &ret->kv, &used);
    }
    return is_good ? KERR_OK
                   : kerr_set(e, KERR_FORMAT, "%s: the file changed while it was read", f->b->name);
}

static enum kerr note_revision(struct feed *f, const struct item *item, bool is_latest,
                               struct kerrinfo *e)
{
    const struct audit_revision r = {.when = item->revision.is_tombstone ? AUDIT_IS_DELETION
                                             : is_latest                 ? AUDIT_IS_LIVE
                                                                         : AUDIT_IS_OLDER,
                                     .key = item->kv.key,
                                     .value = item->kv.value,
                                     .revision = item->revision.main,
                                     .create_revision = item->kv.create_revision,
                                     .version = item->kv.version};
    return audit_revision(f->audit, &r, e);
}

static enum kerr count_record(struct feed *f, uint64_t record, struct kerrinfo *e)
{
    struct item item = {.is_empty = false};
    bool is_latest = (f->records[record] & SUPERSEDED) == 0;
    if ((f->records[record] & EMPTY) != 0) {
        return KERR_OK;
    }
    enum kerr k = read_again(f, record, &item, e);
    k = k == KERR_OK ? tell(f, item.kv.key.len + item.kv.value.len, e) : k;
    k = k == KERR_OK ? note_revision(f, &item, is_latest, e) : k;
    if (k != KERR_OK || item.revision.is_tombstone) {
        return k;
    }
    if (is_latest) {
        return audit_live(f->audit, item.kv.key, item.kv.value, item.kv.mod_revision, e);
    }
    return audit_left_over(f->audit, AUDIT_OLD_REVISIONS, item.kv.key, item.kv.value, e);
}

static enum kerr count_records(struct feed *f, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (uint64_t i = 0; i < f->record_count && k == KERR_OK; i++) {
        if (i + AHEAD < f->record_count) {
            __builtin_prefetch(record_from(f, i + AHEAD).ptr);
        }
        k = count_record(f, i, e);
    }
    return k;
}

static enum kerr count_slacks(struct feed *f, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < f->slack_count && k == KERR_OK; i++) {
        k = tell(f, f->slacks[i].len, e);
        k = k == KERR_OK ? audit_scan(f->audit, AUDIT_PAGE_SLACK, f->slacks[i], e) : k;
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

static enum kerr read_all(struct feed *f, struct kerrinfo *e)
{
    const struct bbolt_visit visit = {.item = note_item, .slack = note_slack, .ctx = f};
    enum kerr k = bbolt_walk(f->b, &visit, e);
    k = k == KERR_OK ? check_whole(f, e) : k;
    k = k == KERR_OK ? audit_take_prefixes(f->audit, e) : k;
    k = k == KERR_OK ? count_records(f, e) : k;
    k = k == KERR_OK ? count_slacks(f, e) : k;
    return k == KERR_OK ? count_free(f, e) : k;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

enum kerr audit_db(struct audit *a, struct bbolt *b, audit_progress_fn *progress,
                   void *progress_ctx, struct audit_store *ret, struct kerrinfo *e)
{
    struct memory *m = a->wanted.memory;
    struct feed f = {.audit = a,
                     .b = b,
                     .latest.memory = m,
                     .history = history_start(),
                     .progress = progress,
                     .progress_ctx = progress_ctx};
    audit_shows(a, AUDIT_OLD_REVISIONS);
    audit_shows(a, AUDIT_FREE_PAGES);
    audit_shows(a, AUDIT_PAGE_SLACK);
    enum kerr k = read_all(&f, e);
    if (k == KERR_STATE && audit_is_stopped(a)) {
        f.found.is_partial = true;
        kerr_clear(e);
        k = KERR_OK;
    }
    index_done(&f.latest);
    tables_free(m, f.records, f.record_count, sizeof *f.records);
    tables_free(m, f.slacks, f.slack_count, sizeof *f.slacks);
    if (k == KERR_OK) {
        f.found.has_records = true;
        f.found.compact_revision = f.meta.finished_compact;
        f.found.revision =
            larger(f.found.revision, larger(f.meta.finished_compact, f.meta.scheduled_compact));
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
