/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/batch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/pool.h"
#include "audit/prove.h"
#include "stored/value_memo.h"

#define ROWS     2048 /* of a full set */
#define SHARE    16   /* of them, that a thread takes at once */
#define ROWS_MIN 32
#define KEPT_MAX ((size_t)8 << 20) /* bytes of a set's copies */

static const char stopped[] = "the audit was ended before";

enum state {
    ROW_NUMBERED,  /* fn is to tell it */
    ROW_READ,      /* a live key, whose resource may have no row yet */
    ROW_JUDGED,    /* all is known that a proof does not tell */
    ROW_LOOKED_AT, /* and what that tells */
    ROW_OLD_REVISION,
    ROW_NOTHING
};

struct row {
    enum state state;
    size_t number;
    struct audit_item item;
    struct bytes value;
    uint8_t *kept; /* key and value, where they pass */
};

struct set {
    struct row *rows;
    size_t count;
    size_t room;
    size_t kept; /* bytes */
};

struct batch {
    struct pool *pool; /* NULL: no set was full yet, and threads are not worth their beginning */
    struct audit *audit;
    uint64_t taken;     /* of the limit */
    struct set sets[2]; /* one is filled while the threads look at the other */
    struct set *filled;
    struct set *looked_at;
    batch_value_fn *fn;
    void *ctx;
};

/* ---- on any thread ---- */

static void read_row(const struct batch *b, struct row *row)
{
    static const enum state states[] = {[BATCH_NOTHING] = ROW_NOTHING,
                                        [BATCH_LIVE] = ROW_READ,
                                        [BATCH_OLD_REVISION] = ROW_OLD_REVISION};
    const struct batch_value v = b->fn(b->ctx, row->number);
    row->state = states[v.kind];
    row->value = v.value;
    if (v.like != NULL && row->state == ROW_READ) {
        row->item = *v.like;
        row->state = value_read_like(v.value, &v.like->v, &row->item.v) ? ROW_JUDGED : ROW_READ;
    }
    row->item.key = v.key;
    row->item.mod_revision = v.mod_revision;
    if (row->state == ROW_OLD_REVISION) {
        value_read(v.value, &row->item.v);
    }
}

static void judge_row(const struct batch *b, struct row *row)
{
    if (tables_find_resource(b->audit, row->item.key, &row->item.resource)) {
        item_read(b->audit, row->value, &row->item);
        row->state = ROW_JUDGED;
    }
}

static void look(void *ctx, unsigned worker, size_t index)
{
    const struct batch *b = ctx;
    struct row *row = &b->looked_at->rows[index];
    if (row->state == ROW_NUMBERED) {
        read_row(b, row);
    }
    if (row->state == ROW_READ) {
        judge_row(b, row);
    }
    if (row->state != ROW_JUDGED) {
        return;
    }
    if (b->audit->prove != NULL) {
        prove_item(b->audit, worker, &row->item);
    }
    if (!row->item.has_key_id) {
        count_find(b->audit, &row->item);
    }
    row->state = ROW_LOOKED_AT;
}

static void prove_again(void *ctx, unsigned worker, size_t index)
{
    struct batch *b = ctx;
    struct audit_item *item = &b->looked_at->rows[index].item;
    if (item->proof == PROOF_NEEDS_SEED) {
        prove_item(b->audit, worker, item);
    }
}

/* ---- one set ---- */

static void start(struct batch *b, pool_fn *fn)
{
    if (b->pool != NULL) {
        pool_start(b->pool, b->looked_at->count, SHARE, fn, b);
        return;
    }
    for (size_t i = 0; i < b->looked_at->count; i++) {
        fn(b, 0, i);
    }
}

static void wait_for_threads(const struct batch *b)
{
    if (b->pool != NULL) {
        pool_wait(b->pool);
    }
}

/* Each seed may take a plugin seconds: who wants to end does not wait for all of them. */
static enum kerr ask_for(struct batch *b, struct audit_item *item, struct kerrinfo *e)
{
    if (audit_is_stopped(b->audit)) {
        item->proof = PROOF_OPEN;
        item->why = stopped;
        return KERR_OK;
    }
    return prove_ask(b->audit, item, e);
}

static enum kerr ask_for_seeds(struct batch *b, struct kerrinfo *e)
{
    struct set *s = b->looked_at;
    bool is_any = false;
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < s->count && k == KERR_OK; i++) {
        if (s->rows[i].item.proof == PROOF_NEEDS_SEED) {
            is_any = true;
            k = ask_for(b, &s->rows[i].item, e);
        }
    }
    if (k == KERR_OK && is_any) {
        start(b, prove_again);
        wait_for_threads(b);
    }
    return k;
}

/* Keys of resources that are new: they get rows, and then the threads look at them again. */
static enum kerr make_resources(struct batch *b, struct kerrinfo *e)
{
    struct set *s = b->looked_at;
    bool is_any = false;
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < s->count && k == KERR_OK; i++) {
        if (s->rows[i].state == ROW_READ) {
            is_any = true;
            k = tables_resource(b->audit, s->rows[i].item.key, &s->rows[i].item.resource, e);
        }
    }
    if (k == KERR_OK && is_any) {
        start(b, look);
        wait_for_threads(b);
    }
    return k;
}

/* The end of what the threads do with the set. */
static enum kerr end_looking(struct batch *b, struct kerrinfo *e)
{
    wait_for_threads(b);
    enum kerr k = make_resources(b, e);
    if (k != KERR_OK || b->audit->prove == NULL) {
        return k;
    }
    k = ask_for_seeds(b, e);
    k = k == KERR_OK ? prove_failure(b->audit, e) : k;
    prove_wipe(b->audit);
    return k;
}

static void drop(struct set *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->rows[i].kept);
        s->rows[i].kept = NULL;
    }
    s->count = 0;
    s->kept = 0;
}

static enum kerr count(struct audit *a, const struct row *row, struct kerrinfo *e)
{
    if (row->state == ROW_OLD_REVISION) {
        return count_left_over(a, AUDIT_OLD_REVISIONS, row->item.key, &row->item.v, 1, e);
    }
    return row->state == ROW_LOOKED_AT ? count_item(a, &row->item, e) : KERR_OK;
}

/* Ends with one set, begins with the other, and counts the first meanwhile. */
static enum kerr turn(struct batch *b, struct kerrinfo *e)
{
    struct set *ended = b->looked_at;
    enum kerr k = end_looking(b, e);
    b->looked_at = b->filled;
    b->filled = ended;
    if (k == KERR_OK) {
        start(b, look);
    }
    for (size_t i = 0; i < ended->count && k == KERR_OK; i++) {
        k = count(b->audit, &ended->rows[i], e);
    }
    drop(ended);
    return k;
}

/* ---- what sources hand in ---- */

static enum kerr grow(struct set *s, struct kerrinfo *e)
{
    size_t room = s->room == 0 ? ROWS_MIN : s->room * 2;
    struct row *rows = realloc(s->rows, room * sizeof *rows);
    if (rows == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a batch");
    }
    s->rows = rows;
    s->room = room;
    return KERR_OK;
}

static enum kerr keep(struct set *s, struct row *row, struct kerrinfo *e)
{
    struct bytes *const from[] = {&row->item.key, &row->value};
    size_t at = 0;
    row->kept = malloc(from[0]->len + from[1]->len + 1);
    if (row->kept == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a copy of %zu bytes", from[1]->len);
    }
    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        if (from[i]->len > 0) {
            memcpy(row->kept + at, from[i]->ptr, from[i]->len);
        }
        *from[i] = bytes_of(row->kept + at, from[i]->len);
        at += from[i]->len;
    }
    s->kept += at;
    return KERR_OK;
}

static enum kerr add_row(struct batch *b, const struct row *row, struct kerrinfo *e)
{
    struct set *s = b->filled;
    enum kerr k = s->count == s->room ? grow(s, e) : KERR_OK;
    if (k == KERR_OK) {
        s->rows[s->count++] = *row;
    }
    return k;
}

static enum kerr turn_when_full(struct batch *b, struct kerrinfo *e)
{
    const struct set *s = b->filled;
    if (s->count < ROWS && s->kept <= KEPT_MAX) {
        return KERR_OK;
    }
    enum kerr k = b->pool == NULL ? batch_pool(b->audit, &b->pool, e) : KERR_OK;
    return k == KERR_OK ? turn(b, e) : k;
}

enum kerr batch_add(struct audit *a, struct bytes key, struct bytes value, uint64_t mod_revision,
                    struct kerrinfo *e)
{
    struct batch *b = a->batch;
    struct row row = {
        .state = ROW_READ, .item = {.key = key, .mod_revision = mod_revision}, .value = value};
    enum kerr k = a->wanted.is_passing ? keep(b->filled, &row, e) : KERR_OK;
    k = k == KERR_OK ? add_row(b, &row, e) : k;
    if (k != KERR_OK) {
        free(row.kept);
        return k;
    }
    return turn_when_full(b, e);
}

enum kerr batch_add_number(struct audit *a, size_t number, batch_value_fn *fn, void *ctx,
                           struct kerrinfo *e)
{
    struct batch *b = a->batch;
    const struct row row = {.state = ROW_NUMBERED, .number = number};
    if (b->fn != fn || b->ctx != ctx) {
        wait_for_threads(b);
        b->fn = fn;
        b->ctx = ctx;
    }
    enum kerr k = add_row(b, &row, e);
    return k == KERR_OK ? turn_when_full(b, e) : k;
}

enum kerr batch_rest(struct audit *a, struct kerrinfo *e)
{
    struct batch *b = a->batch;
    enum kerr k = turn(b, e);
    return k == KERR_OK ? turn(b, e) : k; /* the one that was filled, too */
}

void batch_wait(const struct audit *a)
{
    if (a->batch != NULL) {
        wait_for_threads(a->batch);
    }
}

/* ---- beginning and end ---- */

unsigned batch_threads(const struct audit_wanted *wanted)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned count = wanted->threads > 0 ? wanted->threads : online < 1 ? 1 : (unsigned)online;
    return count < AUDIT_THREADS_MAX ? count : AUDIT_THREADS_MAX;
}

/* Two sets, and their copies with one value more. */
static uint64_t batch_bytes(const struct audit *a)
{
    uint64_t copies = a->wanted.is_passing ? KEPT_MAX + AUDIT_OBJECT_MAX : 0;
    return 2 * (ROWS * sizeof(struct row) + copies);
}

enum kerr batch_pool(struct audit *a, struct pool **ret, struct kerrinfo *e)
{
    batch_wait(a);
    enum kerr k = a->pool == NULL ? pool_new(a->threads, &a->pool, e) : KERR_OK;
    *ret = a->pool;
    return k;
}

enum kerr batch_begin(struct audit *a, struct kerrinfo *e)
{
    struct batch *b = calloc(1, sizeof *b);
    a->batch = b;
    if (b == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a batch");
    }
    b->audit = a;
    uint64_t taken = batch_bytes(a);
    enum kerr k = memory_take(a->wanted.memory, taken, "room for a batch of values", e);
    if (k != KERR_OK) {
        return k;
    }
    b->taken = taken;
    b->looked_at = &b->sets[0];
    b->filled = &b->sets[1];
    return KERR_OK;
}

void batch_end(struct audit *a)
{
    struct batch *b = a->batch;
    pool_free(a->pool);
    a->pool = NULL;
    if (b == NULL) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(b->sets); i++) {
        drop(&b->sets[i]);
        free(b->sets[i].rows);
    }
    memory_give(a->wanted.memory, b->taken);
    free(b);
    a->batch = NULL;
}
