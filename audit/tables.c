/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/tables.h"

#include <stdlib.h>
#include <string.h>

#include "audit/batch.h"

#define FIRST_ROWS   16
#define FINDINGS_MAX ((size_t)1 << 32) /* as many as there are objects */
#define KEPT_BYTES   ((size_t)64 << 10)

/* What an array of so many rows has room for: a power of two. */
static size_t room_for(size_t count)
{
    size_t room = count == 0 ? 0 : FIRST_ROWS;
    while (room < count) {
        room *= 2;
    }
    return room;
}

/* Rows double whenever there is no room for more. While they are moved both arrays are there. */
static enum kerr make_room(struct memory *m, void **rows, size_t count, size_t more,
                           size_t row_bytes, const char *what, struct kerrinfo *e)
{
    size_t room = room_for(count + more);
    if (room == room_for(count)) {
        return KERR_OK;
    }
    enum kerr k = memory_take(m, room * row_bytes, what, e); /* of rows under 2 kB, below 2^33 */
    if (k != KERR_OK) {
        return k;
    }
    void *larger = realloc(*rows, room * row_bytes);
    memory_give(m, (larger == NULL ? room : room_for(count)) * row_bytes);
    if (larger == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for %zu %s", room, what);
    }
    *rows = larger;
    return KERR_OK;
}

enum kerr tables_grow(struct memory *m, void **rows, size_t *count, size_t row_bytes, size_t max,
                      const char *what, void **ret, struct kerrinfo *e)
{
    if (*count == max) {
        return kerr_set(e, KERR_LIMIT, "more than %zu %s", max, what);
    }
    enum kerr k = make_room(m, rows, *count, 1, row_bytes, what, e);
    if (k != KERR_OK) {
        return k;
    }
    *ret = (char *)*rows + *count * row_bytes;
    memset(*ret, 0, row_bytes);
    (*count)++;
    return KERR_OK;
}

enum kerr tables_extend(struct memory *m, void **rows, size_t *count, size_t more, size_t row_bytes,
                        const char *what, struct kerrinfo *e)
{
    enum kerr k = make_room(m, rows, *count, more, row_bytes, what, e);
    *count += k == KERR_OK ? more : 0;
    return k;
}

void tables_free(struct memory *m, void *rows, size_t count, size_t row_bytes)
{
    free(rows);
    memory_give(m, room_for(count) * row_bytes);
}

/* ---- copies ---- */

struct kept {
    struct kept *before;
    size_t used;
    size_t room;
    uint8_t bytes[];
};

static enum kerr grow_kept(struct audit *a, size_t least, struct kerrinfo *e)
{
    struct audit_tables *t = a->tables;
    size_t room = least > KEPT_BYTES ? least : KEPT_BYTES;
    enum kerr k = memory_take(a->wanted.memory, room, "a list of keys that were found", e);
    if (k != KERR_OK) {
        return k;
    }
    struct kept *more = malloc(sizeof *more + room);
    if (more == NULL) {
        memory_give(a->wanted.memory, room);
        return kerr_set(e, KERR_NOMEM, "no memory for a copy of %zu bytes", least);
    }
    *more = (struct kept){.before = t->kept, .room = room};
    t->kept = more;
    return KERR_OK;
}

enum kerr tables_keep(struct audit *a, struct bytes *what, struct kerrinfo *e)
{
    struct audit_tables *t = a->tables;
    if (!a->wanted.is_passing || what->len == 0) {
        return KERR_OK;
    }
    bool is_full = t->kept == NULL || t->kept->room - t->kept->used < what->len;
    enum kerr k = is_full ? grow_kept(a, what->len, e) : KERR_OK;
    if (k == KERR_OK) {
        uint8_t *to = t->kept->bytes + t->kept->used;
        memcpy(to, what->ptr, what->len);
        t->kept->used += what->len;
        what->ptr = to;
    }
    return k;
}

enum kerr tables_begin(struct audit *a, struct kerrinfo *e)
{
    struct audit_tables *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for an audit");
    }
    t->resources.memory = t->key_ids.memory = t->seeds.memory = a->wanted.memory;
    a->tables = t;
    return KERR_OK;
}

void tables_done(struct audit *a)
{
    struct audit_tables *t = a->tables;
    struct memory *m = a->wanted.memory;
    if (t == NULL) {
        return;
    }
    tables_free(m, a->resources, a->resource_count, sizeof *a->resources);
    tables_free(m, a->key_ids, a->key_id_count, sizeof *a->key_ids);
    tables_free(m, a->findings, a->finding_count, sizeof *a->findings);
    while (t->kept != NULL) {
        struct kept *before = t->kept->before;
        memory_give(m, t->kept->room);
        free(t->kept);
        t->kept = before;
    }
    index_done(&t->resources);
    index_done(&t->key_ids);
    index_done(&t->seeds);
    free(t);
}

/* ---- findings ---- */

enum kerr tables_find(struct audit *a, const struct audit_finding *found, struct kerrinfo *e)
{
    struct audit_finding kept = *found;
    enum kerr k = tables_keep(a, &kept.key, e);
    if (k != KERR_OK) {
        return k;
    }
    void *rows = a->findings;
    void *row = NULL;
    k = tables_grow(a->wanted.memory, &rows, &a->finding_count, sizeof *a->findings, FINDINGS_MAX,
                    "findings", &row, e);
    a->findings = rows;
    if (k != KERR_OK) {
        return k;
    }
    *(struct audit_finding *)row = kept;
    a->by_rule[kept.rule]++;
    a->by_severity[audit_rules[kept.rule].severity]++;
    return KERR_OK;
}

/* ---- resources ---- */

struct named {
    const struct audit *audit;
    const char *name;
};

static bool is_resource(const void *ctx, uint64_t value)
{
    const struct named *n = ctx;
    return strcmp(n->audit->resources[value].name, n->name) == 0;
}

/* NULL: there is no row yet. */
static const uint64_t *find_resource(const struct audit *a, const char *name, uint64_t *ret_hash)
{
    struct named wanted = {a, name};
    *ret_hash = index_hash(index_seed(), bytes_of_text(name));
    return index_find(&a->tables->resources, *ret_hash, is_resource, &wanted);
}

/* Of prefixes within each other: where a key is of a resource that is known the outer one tells it,
 * since names below may be anything; else the inner one does. */
static bool is_better(bool is_known, size_t len, bool is_best_known, size_t best_len)
{
    if (best_len == 0 || is_known != is_best_known) {
        return best_len == 0 || is_known;
    }
    return is_known ? len < best_len : len > best_len;
}

bool tables_split(const struct audit *a, struct bytes key, struct resource_key *ret)
{
    size_t len = 0;
    *ret = (struct resource_key){.is_group_known = false};
    for (size_t i = 0; i < a->prefix_count; i++) {
        struct resource_key found;
        if (resource_of_key(key, a->prefixes[i], &found) &&
            is_better(found.is_group_known, a->prefixes[i].len, ret->is_group_known, len)) {
            len = a->prefixes[i].len;
            *ret = found;
        }
    }
    return len > 0;
}

bool tables_expects(const struct audit *a, const struct resource_key *key)
{
    char name[AUDIT_NAME_BYTES];
    uint64_t hash = 0;
    resource_text(key, name, sizeof name);
    const uint64_t *found = find_resource(a, name, &hash);
    if (found != NULL) {
        return a->resources[*found].is_expected;
    }
    struct audit_resource r = {.is_expected = false};
    expect_of(a, key, &r);
    return r.is_expected;
}

struct owner {
    struct resource_key split;
    bool is_inside;
    char name[AUDIT_NAME_BYTES];
    uint64_t hash;
};

static const uint64_t *find_owner(const struct audit *a, struct bytes key, struct owner *ret)
{
    ret->is_inside = tables_split(a, key, &ret->split);
    if (ret->is_inside) {
        resource_text(&ret->split, ret->name, sizeof ret->name);
    } else {
        memcpy(ret->name, TABLES_OUTSIDE, sizeof TABLES_OUTSIDE);
    }
    return find_resource(a, ret->name, &ret->hash);
}

bool tables_find_resource(const struct audit *a, struct bytes key, uint32_t *ret)
{
    struct owner owner;
    const uint64_t *found = find_owner(a, key, &owner);
    if (found != NULL) {
        *ret = (uint32_t)*found;
    }
    return found != NULL;
}

enum kerr tables_resource(struct audit *a, struct bytes key, uint32_t *ret, struct kerrinfo *e)
{
    struct owner owner;
    const uint64_t *found = find_owner(a, key, &owner);
    if (found != NULL) {
        *ret = (uint32_t)*found;
        return KERR_OK;
    }
    const struct resource_key *of = owner.is_inside ? &owner.split : NULL;
    void *rows = a->resources;
    void *row = NULL;
    batch_wait(a);
    enum kerr k = tables_grow(a->wanted.memory, &rows, &a->resource_count, sizeof *a->resources,
                              AUDIT_RESOURCES_MAX, "resources", &row, e);
    a->resources = rows;
    k = k == KERR_OK ? index_add(&a->tables->resources, owner.hash, a->resource_count - 1, e) : k;
    if (k == KERR_OK) {
        struct audit_resource *r = row;
        memcpy(r->name, owner.name, strlen(owner.name) + 1);
        r->is_named = of != NULL && !of->is_bookkeeping;
        expect_of(a, of, r);
        *ret = (uint32_t)(a->resource_count - 1);
    }
    return k;
}

/* ---- key ids ---- */

struct key_wanted {
    const struct audit *audit;
    const struct audit_key_id *row;
};

static bool is_key_id(const void *ctx, uint64_t value)
{
    const struct key_wanted *w = ctx;
    const struct audit_key_id *row = &w->audit->key_ids[value];
    return row->class_of == w->row->class_of && bytes_equal(row->provider, w->row->provider) &&
           bytes_equal(row->id, w->row->id);
}

static const uint64_t *find_key_id(const struct audit *a, const struct stored_value *v,
                                   struct audit_key_id *ret_wanted, uint64_t *ret_hash)
{
    bool is_kms = v->class_of == VALUE_KMSV2 || v->class_of == VALUE_KMSV1;
    *ret_wanted = (struct audit_key_id){
        .class_of = v->class_of,
        .provider = is_kms ? v->provider : bytes_of(NULL, 0),
        .id = is_kms ? v->kms.key_id : v->provider,
    };
    struct key_wanted ctx = {a, ret_wanted};
    *ret_hash =
        index_hash(index_hash(index_seed() ^ v->class_of, ret_wanted->provider), ret_wanted->id);
    return index_find(&a->tables->key_ids, *ret_hash, is_key_id, &ctx);
}

bool tables_find_key_id(const struct audit *a, const struct stored_value *v, uint32_t *ret)
{
    struct audit_key_id wanted;
    uint64_t hash = 0;
    const uint64_t *found = find_key_id(a, v, &wanted, &hash);
    if (found != NULL) {
        *ret = (uint32_t)*found;
    }
    return found != NULL;
}

enum kerr tables_key_id(struct audit *a, const struct stored_value *v, struct audit_key_id **ret,
                        struct kerrinfo *e)
{
    struct audit_tables *t = a->tables;
    struct audit_key_id wanted;
    uint64_t hash = 0;
    const uint64_t *found = find_key_id(a, v, &wanted, &hash);
    if (found != NULL) {
        *ret = &a->key_ids[*found];
        return KERR_OK;
    }
    if (a->key_id_count == AUDIT_KEY_IDS_MAX) {
        *ret = &a->other_keys;
        return KERR_OK;
    }
    enum kerr k = tables_keep(a, &wanted.provider, e);
    k = k == KERR_OK ? tables_keep(a, &wanted.id, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    void *rows = a->key_ids;
    void *row = NULL;
    batch_wait(a);
    k = tables_grow(a->wanted.memory, &rows, &a->key_id_count, sizeof *a->key_ids,
                    AUDIT_KEY_IDS_MAX, "key ids", &row, e);
    a->key_ids = rows;
    if (k == KERR_OK) {
        *ret = row;
        **ret = wanted;
        k = index_add(&t->key_ids, hash, a->key_id_count - 1, e);
    }
    return k;
}
