/* SPDX-License-Identifier: Apache-2.0 */
/* Each thread has a share of the keys, by their hashes, and goes through all rows. */
#include "audit/latest.h"

#include "audit/records_row.h"
#include "audit/tables.h"

#define AHEAD        16 /* rows whose place in the index is fetched before they are looked at */
#define RESERVED_MAX ((size_t)1 << 20) /* keys; for more an index grows as it must */

struct share {
    struct index latest; /* by key: the number of its latest record so far */
    struct history history;
    enum kerr k;
    struct kerrinfo e;
};

struct link {
    struct records *records;
    struct share *shares;
    unsigned count;
};

struct same_key {
    const struct records *records;
    size_t number;
};

/* Only where the hashes are equal, so that the file is not looked at for each record. */
static bool is_same_key(const void *ctx, uint64_t record)
{
    const struct same_key *s = ctx;
    struct bytes one;
    struct bytes other;
    return mvcc_key_of(records_from(s->records, record), &one) &&
           mvcc_key_of(records_from(s->records, s->number), &other) && bytes_equal(one, other);
}

/* Whether flags alone say that a record follows the one before, or none. */
static bool follows(uint64_t place, const struct records_row *before)
{
    bool has_live = before != NULL && (before->place & TOMBSTONE) == 0;
    return has_live ? (place & TOMBSTONE) != 0 : (place & FIRST) != 0;
}

static enum kerr check_history(const struct link *l, struct share *s, size_t number,
                               const uint64_t *latest, struct kerrinfo *e)
{
    const struct records *r = l->records;
    struct mvcc_revision revision;
    struct mvcc_revision old_revision;
    struct mvcc_key_value kv = {.key = {0}};
    struct mvcc_key_value old = {.key = {0}};
    struct history_before before = {.kv = NULL};
    if (!records_head(r, number, &revision, &kv) ||
        (latest != NULL && !records_head(r, *latest, &old_revision, &old))) {
        return records_changed(r, e);
    }
    if (latest != NULL) {
        before.kv = &old;
        before.is_tombstone = (r->rows[*latest].place & TOMBSTONE) != 0;
    }
    history_record(&s->history, &revision, &kv, &before, records_from(r, number).ptr);
    return KERR_OK;
}

static enum kerr link_record(const struct link *l, struct share *s, size_t number,
                             struct kerrinfo *e)
{
    struct records_row *row = &l->records->rows[number];
    const struct same_key same = {l->records, number};
    enum kerr k = KERR_OK;
    uint64_t *latest = index_find(&s->latest, row->hash, is_same_key, &same);
    if (!follows(row->place, latest == NULL ? NULL : &l->records->rows[*latest])) {
        k = check_history(l, s, number, latest, e);
    }
    if (k != KERR_OK || latest == NULL) {
        return k == KERR_OK ? index_add(&s->latest, row->hash, number, e) : k;
    }
    l->records->rows[*latest].place |= SUPERSEDED;
    *latest = number;
    return KERR_OK;
}

/* Whose it is: by other bits of the hash than those that choose its place in an index. */
static bool is_of(const struct link *l, uint64_t hash, size_t share)
{
    return hash != 0 && ((hash >> 32) * l->count) >> 32 == share;
}

static void link_share(void *ctx, unsigned worker, size_t index)
{
    const struct link *l = ctx;
    struct share *s = &l->shares[index];
    const struct records_row *rows = l->records->rows;
    (void)worker;
    for (size_t i = 0; i < l->records->count && s->k == KERR_OK; i++) {
        if (i + AHEAD < l->records->count && is_of(l, rows[i + AHEAD].hash, index)) {
            index_prefetch(&s->latest, rows[i + AHEAD].hash);
        }
        if (is_of(l, rows[i].hash, index)) {
            s->k = link_record(l, s, i, &s->e);
        }
    }
}

enum kerr latest_find(struct records *r, const struct latest_with *with, struct history *h,
                      struct kerrinfo *e)
{
    struct share shares[AUDIT_THREADS_MAX] = {{.k = KERR_OK}};
    struct link l = {r, shares, with->pool == NULL ? 1 : with->threads};
    enum kerr k = KERR_OK;
    size_t keys = (size_t)with->firsts / l.count;
    for (unsigned i = 0; i < l.count; i++) {
        shares[i].latest.memory = r->memory;
        k = k == KERR_OK
                ? index_reserve(&shares[i].latest, keys < RESERVED_MAX ? keys : RESERVED_MAX, e)
                : k;
    }
    if (k == KERR_OK && with->pool != NULL) {
        pool_start(with->pool, l.count, 1, link_share, &l);
        pool_wait(with->pool);
    } else if (k == KERR_OK) {
        link_share(&l, 0, 0);
    }
    for (unsigned i = 0; i < l.count; i++) {
        k = k == KERR_OK && shares[i].k != KERR_OK
                ? kerr_set(e, shares[i].k, "%s", shares[i].e.text)
                : k;
        history_join(h, &shares[i].history);
        index_done(&shares[i].latest);
    }
    return k;
}
