/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/sorts.h"

#include <stdlib.h>
#include <string.h>

#include "audit/tables.h"
#include "stored/heads.h"
#include "stored/value_memo.h"

#define OF_ONE ((1 << SORTS_BITS) - 1) /* numbers of one thread, from 1 */

/* One thread's. */
struct sorter {
    struct value_memo *memo;
    struct heads heads;                            /* of keys: up to namespace or name */
    uint16_t numbers[VALUE_MEMO_SLOTS][HEADS_MAX]; /* 0: none yet */
    size_t samples[OF_ONE];
    size_t count;
};

struct sorts {
    struct bytes prefix;
    struct sorter *sorters[AUDIT_THREADS_MAX];
};

static enum kerr sorter_new(struct sorter **ret, struct kerrinfo *e)
{
    *ret = calloc(1, sizeof **ret);
    return *ret == NULL ? kerr_set(e, KERR_NOMEM, "no memory for sorts of records")
                        : value_memo_new(&(*ret)->memo, e);
}

enum kerr sorts_new(unsigned threads, struct bytes prefix, struct sorts **ret, struct kerrinfo *e)
{
    struct sorts *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for sorts of records");
    }
    enum kerr k = KERR_OK;
    s->prefix = prefix;
    for (unsigned i = 0; i < threads && k == KERR_OK; i++) {
        k = sorter_new(&s->sorters[i], e);
    }
    if (k != KERR_OK) {
        sorts_free(s);
        return k;
    }
    *ret = s;
    return KERR_OK;
}

void sorts_free(struct sorts *s)
{
    for (size_t i = 0; s != NULL && i < AUDIT_THREADS_MAX; i++) {
        if (s->sorters[i] != NULL) {
            value_memo_free(s->sorters[i]->memo);
        }
        free(s->sorters[i]);
    }
    free(s);
}

/* Built-in resources, and those in a group, are told by what stands before namespace and name. */
static size_t head_len(struct bytes key, struct bytes prefix)
{
    struct resource_key found;
    if (!resource_of_key(key, prefix, &found) || !found.is_group_known || found.name.len == 0) {
        return 0;
    }
    const uint8_t *behind = found.name_space.len > 0 ? found.name_space.ptr : found.name.ptr;
    return (size_t)(behind - key.ptr);
}

static size_t head_of(struct sorter *s, struct bytes key, struct bytes prefix)
{
    size_t head = heads_find(&s->heads, key);
    return head != HEADS_NONE || s->heads.count == HEADS_MAX
               ? head
               : heads_add(&s->heads, bytes_of(key.ptr, head_len(key, prefix)));
}

uint16_t sorts_of(struct sorts *s, unsigned worker, struct bytes key, struct bytes value,
                  size_t record)
{
    struct sorter *own = s->sorters[worker];
    struct stored_value v;
    bool is_known = false;
    if (!bytes_begin_with(value, bytes_of_text(VALUE_KMSV2_PREFIX))) {
        return SORTS_NONE;
    }
    unsigned slot = value_memo_read(own->memo, value, &v, &is_known);
    size_t head = slot == VALUE_MEMO_NONE ? HEADS_NONE : head_of(own, key, s->prefix);
    if (slot != VALUE_MEMO_NONE && !is_known) {
        memset(own->numbers[slot], 0, sizeof own->numbers[slot]);
    }
    if (head == HEADS_NONE) {
        return SORTS_NONE;
    }
    uint16_t *number = &own->numbers[slot][head];
    if (*number == 0 && own->count < OF_ONE) {
        own->samples[own->count++] = record;
        *number = (uint16_t)own->count;
    }
    return *number == 0 ? SORTS_NONE : (uint16_t)(worker << SORTS_BITS | *number);
}

size_t sorts_count(const struct sorts *s, unsigned worker)
{
    return s->sorters[worker] == NULL ? 0 : s->sorters[worker]->count;
}

size_t sorts_sample(const struct sorts *s, uint16_t sort)
{
    return s->sorters[sort >> SORTS_BITS]->samples[(sort & OF_ONE) - 1];
}

struct bytes sorts_prefix(const struct sorts *s)
{
    return s->prefix;
}
