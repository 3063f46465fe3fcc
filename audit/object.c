/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/object.h"

#include <stdlib.h>
#include <string.h>

#include "audit/batch.h"
#include "audit/prove.h"

#define SHOWN 100 /* characters of a key in a message */

const char *const audit_when_names[AUDIT_WHEN_COUNT] = {
    [AUDIT_IS_LIVE] = "live",
    [AUDIT_IS_OLDER] = "older",
    [AUDIT_IS_DELETION] = "deletion",
    [AUDIT_IS_OLD_VALUE] = "old_value",
};

const char *const audit_opens_names[AUDIT_OPENS_COUNT] = {
    [AUDIT_OPENS_UNKNOWN] = "unknown",
    [AUDIT_OPENS] = "yes",
    [AUDIT_OPENS_MOVED] = "moved",
    [AUDIT_OPENS_NOT] = "no",
};

/* ---- which one ---- */

static struct bytes take_word(const char **rest)
{
    size_t len = strcspn(*rest, "/");
    struct bytes word = bytes_of(*rest, len);
    *rest += len + ((*rest)[len] == '/');
    return word;
}

static enum kerr read_name(const char *text, struct resource_key *to, struct kerrinfo *e)
{
    const char *rest = text;
    size_t slashes = 0;
    for (const char *at = text; *at != 0; at++) {
        slashes += *at == '/';
    }
    to->resource = take_word(&rest);
    to->name_space = slashes == 2 ? take_word(&rest) : bytes_of(rest, 0);
    to->name = bytes_of_text(rest);
    if (slashes < 1 || slashes > 2 || to->resource.len == 0 || to->name.len == 0 ||
        (slashes == 2 && to->name_space.len == 0)) {
        return kerr_set(e, KERR_USAGE,
                        "object '%s': expected RESOURCE/NAMESPACE/NAME, or RESOURCE/NAME of what "
                        "lives in no namespace, such as secrets/default/db or "
                        "widgets.example.com/default/w1",
                        text);
    }
    const uint8_t *dot = memchr(to->resource.ptr, '.', to->resource.len);
    if (dot != NULL) {
        size_t len = (size_t)(dot - to->resource.ptr);
        to->group = bytes_of(dot + 1, to->resource.len - len - 1);
        to->resource.len = len;
    }
    return KERR_OK;
}

enum kerr object_begin(const char *text, struct audit_object **ret, struct kerrinfo *e)
{
    struct audit_object *o = calloc(1, sizeof *o);
    *ret = o;
    return o == NULL ? kerr_set(e, KERR_NOMEM, "no memory for an object")
                     : read_name(text, &o->wanted, e);
}

void object_end(struct audit_object *o)
{
    if (o != NULL) {
        free(o->versions);
    }
    free(o);
}

const struct audit_version *audit_object_live(const struct audit_object *o)
{
    for (size_t i = 0; i < o->count; i++) {
        if (o->versions[i].when == AUDIT_IS_LIVE) {
            return &o->versions[i];
        }
    }
    return NULL;
}

/* A group that was not given, or that the key does not tell, is any. */
static bool is_same_resource(const struct resource_key *wanted, const struct resource_key *found)
{
    return bytes_equal(wanted->resource, found->resource) &&
           (wanted->group.len == 0 || !found->is_group_known ||
            bytes_equal(wanted->group, found->group));
}

static bool is_wanted(const struct audit *a, struct bytes key)
{
    struct audit_object *o = a->object;
    struct resource_key found;
    for (size_t i = 0; i < a->prefix_count; i++) {
        if (!resource_of_key(key, a->prefixes[i], &found) ||
            !is_same_resource(&o->wanted, &found)) {
            continue;
        }
        bool is_near = bytes_equal(o->wanted.name_space, found.name_space);
        o->has_resource = true;
        o->has_name_space = o->has_name_space || is_near;
        if (is_near && bytes_equal(o->wanted.name, found.name)) {
            return true;
        }
    }
    return false;
}

bool object_counts(const struct audit *a, struct bytes key)
{
    return a->object == NULL || (key.len > 0 && bytes_equal(key, a->object->key));
}

static enum kerr take_key(struct audit *a, struct bytes key, struct kerrinfo *e)
{
    struct audit_object *o = a->object;
    struct bytes kept = key;
    if (o->key.len > 0) {
        return bytes_equal(key, o->key)
                   ? KERR_OK
                   : kerr_set(e, KERR_USAGE,
                              "two keys are of that name, %.*s and %.*s: name the resource with "
                              "its group, or one prefix with --prefix",
                              (int)(o->key.len < SHOWN ? o->key.len : SHOWN),
                              (const char *)o->key.ptr, (int)(key.len < SHOWN ? key.len : SHOWN),
                              (const char *)key.ptr);
    }
    enum kerr k = tables_resource(a, key, &o->resource, e);
    k = k == KERR_OK ? tables_keep(a, &kept, e) : k;
    o->key = k == KERR_OK ? kept : o->key;
    return k;
}

/* ---- what is stored of it ---- */

/* Older ones go when there are too many, half of them at once. */
static enum kerr add_version(struct audit_object *o, struct audit_version **ret, struct kerrinfo *e)
{
    void *rows = o->versions;
    void *row = NULL;
    if (o->count == AUDIT_VERSIONS_MAX) {
        const size_t gone = AUDIT_VERSIONS_MAX / 2;
        memmove(o->versions, o->versions + gone, (o->count - gone) * sizeof *o->versions);
        o->count -= gone;
        o->left_out += gone;
        *ret = &o->versions[o->count++];
        return KERR_OK;
    }
    enum kerr k = tables_grow(NULL, &rows, &o->count, sizeof *o->versions, AUDIT_VERSIONS_MAX,
                              "revisions", &row, e);
    o->versions = rows;
    *ret = row;
    return k;
}

static void take_proof(const struct audit_item *item, struct audit_version *to)
{
    static const struct {
        enum audit_opens opens;
        const char *why;
    } proofs[] = {
        [PROOF_NONE] = {AUDIT_OPENS_UNKNOWN, "nothing was decrypted: that takes --prove"},
        [PROOF_GOOD] = {AUDIT_OPENS, NULL},
        [PROOF_MOVED] = {AUDIT_OPENS_MOVED, "it holds an object of another name"},
        [PROOF_REFUTED] = {AUDIT_OPENS_NOT, NULL},
        [PROOF_OPEN] = {AUDIT_OPENS_UNKNOWN, NULL},
        [PROOF_TOO_LARGE] = {AUDIT_OPENS_UNKNOWN, NULL},
    };
    bool is_by_config =
        item->rule == AUDIT_RULE_WRONG_PROVIDER || item->rule == AUDIT_RULE_UNKNOWN_KEY;
    to->opens = proofs[item->proof].opens;
    to->why = proofs[item->proof].why;
    if (to->why == NULL && item->proof != PROOF_GOOD) {
        to->why = item->why;
    }
    if (item->v.fault != NULL || is_by_config) {
        to->opens = AUDIT_OPENS_NOT;
        to->why = item->v.fault != NULL ? item->v.fault : audit_rules[item->rule].message;
    }
}

/* Only what is told of it stays: the payload may be a Secret. */
static enum kerr keep_told(struct audit *a, struct bytes value, struct audit_version *to,
                           struct kerrinfo *e)
{
    struct stored_value *v = &to->v;
    struct bytes *const kept[] = {&to->prefix, &v->provider, &v->kms.key_id, &v->kms.annotations};
    bool has_prefix = value_is_encrypted(v->class_of) && v->payload.ptr != NULL;
    enum kerr k = KERR_OK;
    to->prefix =
        has_prefix ? bytes_of(value.ptr, (size_t)(v->payload.ptr - value.ptr)) : bytes_of(NULL, 0);
    v->payload = v->named = v->api_version = v->kind = bytes_of(NULL, 0);
    v->kms.data = v->kms.source = bytes_of(NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(kept) && k == KERR_OK; i++) {
        k = tables_keep(a, kept[i], e);
    }
    return k;
}

static enum kerr describe(struct audit *a, const struct audit_revision *r, struct audit_version *to,
                          struct kerrinfo *e)
{
    struct audit_item item = {
        .key = r->key, .mod_revision = r->revision, .resource = a->object->resource};
    item_read(a, r->value, &item);
    batch_wait(a);
    enum kerr k = a->prove == NULL ? KERR_OK : prove_alone(a, &item, e);
    if (k != KERR_OK) {
        return k;
    }
    to->has_value = true;
    to->size = r->value.len;
    to->v = item.v;
    to->is_stale = item.is_stale;
    if (value_is_encrypted(item.v.class_of) || item.proof == PROOF_MOVED) {
        take_proof(&item, to);
    }
    return keep_told(a, r->value, to, e);
}

enum kerr audit_revision(struct audit *a, const struct audit_revision *r, struct kerrinfo *e)
{
    struct audit_version *row = NULL;
    if (a->object == NULL || !is_wanted(a, r->key)) {
        return KERR_OK;
    }
    enum kerr k = take_key(a, r->key, e);
    k = k == KERR_OK ? add_version(a->object, &row, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    *row = (struct audit_version){.when = r->when,
                                  .revision = r->revision,
                                  .create_revision = r->create_revision,
                                  .version = r->version};
    bool has_value = r->value.len > 0 || r->when != AUDIT_IS_DELETION;
    return has_value ? describe(a, r, row, e) : KERR_OK;
}

/* The newest first; what a row says of itself before what it keeps of older times. */
static int by_age(const void *a, const void *b)
{
    const struct audit_version *x = a;
    const struct audit_version *y = b;
    if (x->revision != y->revision) {
        return x->revision > y->revision ? -1 : 1;
    }
    return (x->when > y->when) - (x->when < y->when);
}

void object_sort(struct audit_object *o)
{
    if (o->count > 0) {
        qsort(o->versions, o->count, sizeof *o->versions, by_age);
    }
}
