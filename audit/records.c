/* SPDX-License-Identifier: Apache-2.0 */
/* Records that were found. Finding them: records_read.c. */
#include <stdlib.h>

#include "audit/records_row.h"
#include "audit/tables.h"

enum kerr records_changed(const struct records *r, struct kerrinfo *e)
{
    return kerr_set(e, KERR_FORMAT, "%s: the file changed while it was read", r->b->name);
}

void records_done(struct records *r)
{
    tables_free(r->memory, r->rows, r->count, sizeof *r->rows);
    tables_free(r->memory, r->slacks, r->slack_count, sizeof *r->slacks);
    sorts_free(r->sorts);
    *r = (struct records){.b = NULL};
}

bool records_head(const struct records *r, size_t number, struct mvcc_revision *ret_revision,
                  struct mvcc_key_value *ret)
{
    bool is_tombstone = (r->rows[number].place & TOMBSTONE) != 0;
    struct bytes from = records_from(r, number);
    /* bbolt puts each value behind its key. */
    size_t len = is_tombstone ? MVCC_TOMBSTONE_BYTES : MVCC_REVISION_BYTES;
    return (size_t)(from.ptr - r->b->file.ptr) >= len &&
           mvcc_revision_read(bytes_of(from.ptr - len, len), ret_revision) &&
           (is_tombstone ? mvcc_key_of(from, &ret->key) : mvcc_key_value_head(from, ret));
}

bool records_get(const struct records *r, size_t number, struct record *ret)
{
    uint64_t place = r->rows[number].place;
    struct bytes from = records_from(r, number);
    size_t used = 0;
    *ret = (struct record){.is_empty = r->rows[number].hash == 0,
                           .is_latest = (place & SUPERSEDED) == 0};
    if (ret->is_empty) {
        return true;
    }
    if ((place & (TOMBSTONE | VALUELESS)) != 0) {
        return records_head(r, number, &ret->revision, &ret->kv);
    }
    size_t offset = (size_t)(from.ptr - r->b->file.ptr);
    return offset >= MVCC_REVISION_BYTES &&
           mvcc_revision_read(bytes_of(from.ptr - MVCC_REVISION_BYTES, MVCC_REVISION_BYTES),
                              &ret->revision) &&
           mvcc_key_value_cut(from, &ret->kv, &used);
}

uint16_t records_sort(const struct records *r, size_t number, bool *ret_is_latest)
{
    uint64_t place = r->rows[number].place;
    *ret_is_latest = (place & SUPERSEDED) == 0;
    return (uint16_t)(place >> OFFSET_BITS);
}

void records_prefetch(const struct records *r, size_t number)
{
    if (number < r->count) {
        __builtin_prefetch(records_from(r, number).ptr);
    }
}
