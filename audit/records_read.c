/* SPDX-License-Identifier: Apache-2.0 */
/* Finding them: on the caller's thread the tree of pages, on all threads what is in its leaves. */
#include "audit/records.h"

#include <pthread.h>
#include <stdlib.h>

#include "audit/batch.h"
#include "audit/latest.h"
#include "audit/records_row.h"
#include "base/text.h"

#define LEAVES        1024 /* of a full set */
#define LEAVES_FEW    2    /* of one where threads were asked for */
#define SHARE         16   /* of them, that a thread takes at once */
#define VERSION_BYTES 32

struct leaf {
    struct bbolt_leaf leaf;
    size_t row; /* of its first item */
    struct history part;
    uint32_t tombstones;
    uint32_t firsts;
    bool has_news;  /* one of its keys tells something of prefixes */
    bool has_slack; /* that is not all zero */
    struct bytes slack;
};

struct set {
    struct leaf leaves[LEAVES];
    size_t count;
    size_t items;
    size_t bytes;
};

struct walker {
    struct audit *audit;
    struct records *records;
    records_tell_fn *tell;
    void *tell_ctx;
    struct pool *pool; /* NULL: no set was full yet */
    size_t full;       /* leaves of a set, before it is handed on */
    struct set *filled;
    struct set *looked_at;
    struct history history;
    uint64_t firsts;
    bool has_meta;   /* the bucket */
    bool has_others; /* revisions in a bucket of another name */
    pthread_mutex_t mutex;
    size_t failed_at; /* the lowest index of what is looked at; SIZE_MAX: none */
    enum kerr failed;
    struct kerrinfo failure;
};

/* ---- one leaf, on any thread ---- */

struct leaf_walk {
    const struct walker *walker;
    unsigned worker;
    struct leaf *leaf;
    size_t next; /* row */
};

static enum kerr read_record(const struct leaf_walk *w, struct bytes key, struct bytes value,
                             struct mvcc_revision *ret_revision, struct mvcc_key_value *ret,
                             struct kerrinfo *e)
{
    const struct bbolt *b = w->walker->records->b;
    if (!mvcc_revision_read(key, ret_revision)) {
        return bbolt_damaged(b, key.ptr, e, "a key of %zu bytes, expected a revision of etcd",
                             key.len);
    }
    if (value.len == 0) {
        return KERR_OK;
    }
    if (!mvcc_key_value_read(value, ret)) {
        return bbolt_damaged(b, key.ptr, e, "revision %llu holds no KeyValue",
                             (unsigned long long)ret_revision->main);
    }
    return history_is_sound(ret_revision, ret)
               ? KERR_OK
               : bbolt_damaged(b, key.ptr, e,
                               "revision %llu holds a KeyValue of another revision, or one that "
                               "etcd does not write",
                               (unsigned long long)ret_revision->main);
}

static uint64_t flags_of(const struct mvcc_revision *revision, const struct mvcc_key_value *kv)
{
    if (revision->is_tombstone) {
        return TOMBSTONE;
    }
    return (kv->value.len == 0 ? VALUELESS : 0) | (history_is_first(revision, kv) ? FIRST : 0);
}

static uint64_t sort_of(const struct leaf_walk *w, const struct mvcc_key_value *kv, size_t number)
{
    struct sorts *sorts = w->walker->records->sorts;
    return sorts == NULL ? SORTS_NONE : sorts_of(sorts, w->worker, kv->key, kv->value, number);
}

static enum kerr note_record(void *ctx, struct bytes bucket, struct bytes key, struct bytes value,
                             struct kerrinfo *e)
{
    struct leaf_walk *w = ctx;
    struct leaf *l = w->leaf;
    struct mvcc_revision revision = {0};
    struct mvcc_key_value kv = {.key = {0}};
    (void)bucket;
    enum kerr k = read_record(w, key, value, &revision, &kv, e);
    if (k != KERR_OK) {
        return k;
    }
    size_t number = w->next++;
    struct records_row *row = &w->walker->records->rows[number];
    row->hash = 0;
    row->place = (uint64_t)(value.ptr - w->walker->records->b->file.ptr);
    history_revision(&l->part, &revision, key.ptr);
    l->tombstones += revision.is_tombstone;
    if (value.len == 0) {
        history_bump(&l->part, &revision, key.ptr);
        return KERR_OK;
    }
    row->hash = index_hash(index_seed(), kv.key);
    row->place |= flags_of(&revision, &kv) | sort_of(w, &kv, number) << OFFSET_BITS;
    l->firsts += (row->place & FIRST) != 0;
    l->has_news = l->has_news || prefix_is_news(w->walker->audit, kv.key);
    return KERR_OK;
}

static enum kerr note_slack(void *ctx, struct bytes slack, struct kerrinfo *e)
{
    const struct leaf_walk *w = ctx;
    (void)e;
    w->leaf->has_slack = !scan_is_zero(slack);
    w->leaf->slack = slack;
    return KERR_OK;
}

static void fail(struct walker *r, size_t index, enum kerr k, const struct kerrinfo *e)
{
    (void)pthread_mutex_lock(&r->mutex);
    if (index < r->failed_at) {
        r->failed_at = index;
        r->failed = k;
        r->failure = *e;
    }
    (void)pthread_mutex_unlock(&r->mutex);
}

static void read_leaf(void *ctx, unsigned worker, size_t index)
{
    struct walker *r = ctx;
    struct leaf *l = &r->looked_at->leaves[index];
    struct leaf_walk walk = {r, worker, l, l->row};
    const struct bbolt_visit visit = {.item = note_record, .slack = note_slack, .ctx = &walk};
    struct kerrinfo e = {0};
    if (index + 2 < r->looked_at->count) {
        __builtin_prefetch(l[2].leaf.run.ptr);
    }
    if (index + 1 < r->looked_at->count) {
        bbolt_leaf_prefetch(&l[1].leaf);
    }
    enum kerr k = bbolt_leaf_read(r->records->b, &l->leaf, &visit, &e);
    if (k != KERR_OK) {
        fail(r, index, k, &e);
    }
}

/* ---- one set of leaves ---- */

static void start(struct walker *r)
{
    size_t count = r->looked_at->count;
    if (r->pool != NULL) {
        pool_start(r->pool, count, SHARE, read_leaf, r);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        read_leaf(r, 0, i);
    }
}

static enum kerr wait_for_threads(struct walker *r, struct kerrinfo *e)
{
    if (r->pool != NULL) {
        pool_wait(r->pool);
    }
    return r->failed == KERR_OK ? KERR_OK : kerr_set(e, r->failed, "%s", r->failure.text);
}

static enum kerr keep_slack(struct records *r, struct bytes slack, struct kerrinfo *e)
{
    void *rows = r->slacks;
    void *row = NULL;
    enum kerr k = tables_grow(r->memory, &rows, &r->slack_count, sizeof *r->slacks, SIZE_MAX,
                              "pages", &row, e);
    r->slacks = rows;
    if (k == KERR_OK) {
        *(struct bytes *)row = slack;
    }
    return k;
}

static enum kerr note_keys(const struct walker *r, const struct leaf *l, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (size_t i = l->row; i < l->row + l->leaf.count && k == KERR_OK; i++) {
        struct bytes key;
        if (r->records->rows[i].hash != 0) {
            k = mvcc_key_of(records_from(r->records, i), &key) ? audit_note_key(r->audit, key, e)
                                                               : records_changed(r->records, e);
        }
    }
    return k;
}

static enum kerr take_leaf(struct walker *r, const struct leaf *l, struct kerrinfo *e)
{
    history_join(&r->history, &l->part);
    r->records->read += l->leaf.count;
    r->records->revision = l->leaf.count == 0 ? r->records->revision : r->history.last.main;
    r->records->tombstones += l->tombstones;
    r->firsts += l->firsts;
    enum kerr k = l->has_slack ? keep_slack(r->records, l->slack, e) : KERR_OK;
    bool is_wanted = l->has_news || !prefix_is_settled(r->audit);
    return k == KERR_OK && is_wanted ? note_keys(r, l, e) : k;
}

/* Ends with one set, begins with the other, and takes the first over meanwhile. */
static enum kerr turn(struct walker *r, struct kerrinfo *e)
{
    struct set *ended = r->looked_at;
    struct set *next = r->filled;
    enum kerr k = wait_for_threads(r, e);
    void *rows = r->records->rows;
    k = k == KERR_OK ? tables_extend(r->records->memory, &rows, &r->records->count, next->items,
                                     sizeof *r->records->rows, "records", e)
                     : k;
    r->records->rows = rows;
    k = k == KERR_OK ? r->tell(r->tell_ctx, next->bytes, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    r->looked_at = next;
    r->filled = ended;
    start(r);
    for (size_t i = 0; i < ended->count && k == KERR_OK; i++) {
        k = take_leaf(r, &ended->leaves[i], e);
    }
    ended->count = ended->items = ended->bytes = 0;
    return k;
}

/* ---- the walk ---- */

static enum kerr note_other(void *ctx, struct bytes bucket, struct bytes key, struct bytes value,
                            struct kerrinfo *e)
{
    struct walker *r = ctx;
    struct mvcc_revision revision;
    if (!bytes_equal_text(bucket, MVCC_BUCKET_META)) {
        r->has_others = r->has_others || mvcc_revision_read(key, &revision);
        return KERR_OK;
    }
    r->has_meta = true;
    return mvcc_meta_take(key, value, &r->records->meta)
               ? KERR_OK
               : bbolt_damaged(r->records->b, key.ptr, e,
                               "%zu bytes of a number in the bucket meta", value.len);
}

static enum kerr note_other_slack(void *ctx, struct bytes slack, struct kerrinfo *e)
{
    const struct walker *r = ctx;
    return scan_is_zero(slack) ? KERR_OK : keep_slack(r->records, slack, e);
}

/* A list of one object's revisions needs each. */
static enum kerr make_sorts(const struct audit *a, struct records *r, struct kerrinfo *e)
{
    if (a->object != NULL || a->wanted.prefix_count > 1) {
        return KERR_OK;
    }
    struct bytes prefix =
        a->wanted.prefix_count == 1 ? a->prefixes[0] : bytes_of_text(TABLES_PREFIX);
    return sorts_new(a->threads, prefix, &r->sorts, e);
}

/* There are so many that threads, and sorts, are worth their beginning. */
static enum kerr begin_many(struct walker *r, struct kerrinfo *e)
{
    enum kerr k = batch_pool(r->audit, &r->pool, e);
    return k == KERR_OK ? make_sorts(r->audit, r->records, e) : k;
}

static enum kerr add_leaf(void *ctx, const struct bbolt_leaf *leaf, struct kerrinfo *e)
{
    struct walker *r = ctx;
    if (!bytes_equal_text(leaf->bucket, MVCC_BUCKET_KEY)) {
        const struct bbolt_visit visit = {
            .item = note_other, .slack = note_other_slack, .ctx = ctx};
        return bbolt_leaf_read(r->records->b, leaf, &visit, e);
    }
    struct set *s = r->filled;
    enum kerr k = KERR_OK;
    if (s->count == r->full) {
        k = r->pool == NULL ? begin_many(r, e) : k;
        k = k == KERR_OK ? turn(r, e) : k;
        s = r->filled;
    }
    if (k == KERR_OK) {
        s->leaves[s->count++] = (struct leaf){.leaf = *leaf, .row = r->records->count + s->items};
        s->items += leaf->count;
        s->bytes += leaf->run.len;
    }
    return k;
}

/* What only all of it says. */
static enum kerr check_whole(const struct walker *r, struct kerrinfo *e)
{
    const struct records *found = r->records;
    if (!mvcc_is_known_version(found->meta.storage_version)) {
        char version[VERSION_BYTES];
        text_escape(found->meta.storage_version, version, sizeof version);
        return kerr_set(e, KERR_UNSUP,
                        "%s was written by a newer etcd: storage version %s, known are those up to "
                        "%d.%d; ask that etcd itself, with --endpoints",
                        found->b->name, version, MVCC_MAJOR_KNOWN, MVCC_MINOR_KNOWN);
    }
    if (found->count > 0 ? !r->has_meta : r->has_others) {
        return kerr_set(e, KERR_FORMAT, "%s: damaged: it has no bucket %s", found->b->name,
                        r->has_meta ? MVCC_BUCKET_KEY : MVCC_BUCKET_META);
    }
    return history_is_whole(&r->history, &found->meta)
               ? KERR_OK
               : bbolt_damaged(found->b, r->history.where, e,
                               "a record of etcd, but %s, which no compaction explains",
                               r->history.what);
}

/* ---- all of it ---- */

/* The leaves that were not read yet. */
static enum kerr read_rest(struct walker *r, struct kerrinfo *e)
{
    enum kerr k = turn(r, e);
    k = k == KERR_OK ? turn(r, e) : k; /* the one that was filled, too */
    struct kerrinfo later = {0};
    enum kerr last = wait_for_threads(r, &later);
    return k != KERR_OK || last == KERR_OK ? k : kerr_set(e, last, "%s", later.text);
}

static enum kerr read_all(struct walker *r, struct bbolt *b, struct kerrinfo *e)
{
    const struct bbolt_visit visit = {
        .leaf = add_leaf, .item = note_other, .slack = note_other_slack, .ctx = r};
    if (b->file.len >> OFFSET_BITS != 0) {
        return kerr_set(e, KERR_LIMIT, "%s is larger than 16 TiB", b->name);
    }
    enum kerr k = bbolt_walk(b, &visit, e);
    struct kerrinfo before = {0};
    enum kerr rest = read_rest(r, &before);
    /* What is wrong in a leaf stands before what the walk stumbled over: it is said whenever that
     * is. */
    bool is_damaged = k == KERR_OK || k == KERR_FORMAT || k == KERR_UNSUP;
    if (is_damaged && rest != KERR_OK) {
        kerr_clear(e);
        k = kerr_set(e, rest, "%s", before.text);
    }
    const struct latest_with with = {r->pool, r->audit->threads, r->firsts};
    k = k == KERR_OK ? latest_find(r->records, &with, &r->history, e) : k;
    return k == KERR_OK ? check_whole(r, e) : k;
}

enum kerr records_read(struct audit *a, struct bbolt *b, records_tell_fn *tell, void *tell_ctx,
                       struct records *ret, struct kerrinfo *e)
{
    struct walker r = {.audit = a,
                       .records = ret,
                       .tell = tell,
                       .tell_ctx = tell_ctx,
                       .filled = calloc(1, sizeof *r.filled),
                       .looked_at = calloc(1, sizeof *r.looked_at),
                       .full = a->wanted.threads > 0 ? LEAVES_FEW : LEAVES,
                       .history = history_start(),
                       .failed_at = SIZE_MAX};
    *ret = (struct records){.b = b, .memory = a->wanted.memory};
    (void)pthread_mutex_init(&r.mutex, NULL);
    enum kerr k = r.filled == NULL || r.looked_at == NULL
                      ? kerr_set(e, KERR_NOMEM, "no memory for pages")
                      : read_all(&r, b, e);
    (void)pthread_mutex_destroy(&r.mutex);
    free(r.filled);
    free(r.looked_at);
    return k;
}
