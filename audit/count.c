/* SPDX-License-Identifier: Apache-2.0 */
/* What sources hand in, counted. */
#include <string.h>

#include "audit/batch.h"
#include "audit/object.h"
#include "audit/tables.h"
#include "base/text.h"

/* ---- live keys ---- */

uint64_t count_seed_hash(const struct stored_value *v)
{
    const struct encrypted_object *o = &v->kms;
    uint64_t h = index_hash(index_seed() ^ o->source_type, v->provider);
    struct bytes name;
    struct bytes content;
    uint64_t annotations = 0;
    h = index_hash(index_hash(h, o->key_id), o->source);
    /* They have no order: their sum has none either. */
    for (size_t at = 0; value_annotation(o, &at, &name, &content);) {
        annotations += index_hash(index_hash(h, name), content);
    }
    h ^= annotations;
    return h == 0 ? 1 : h;
}

/* Encrypted, decrypted and authentic; also where it was moved to. */
static bool is_proved(const struct audit_item *item)
{
    return value_is_encrypted(item->v.class_of) &&
           (item->proof == PROOF_GOOD || item->proof == PROOF_MOVED);
}

void count_written(struct audit_key_id *row, uint64_t mod_revision)
{
    if (mod_revision == 0) {
        return;
    }
    row->oldest = row->oldest == 0 || mod_revision < row->oldest ? mod_revision : row->oldest;
    row->newest = mod_revision > row->newest ? mod_revision : row->newest;
}

static enum kerr count_key(struct audit *a, const struct audit_item *item, uint64_t times,
                           bool is_undecryptable, uint32_t *ret, struct kerrinfo *e)
{
    struct audit_tables *t = a->tables;
    const struct stored_value *v = &item->v;
    struct audit_key_id *row = item->has_key_id ? &a->key_ids[item->key_id] : NULL;
    enum kerr k = item->has_key_id ? KERR_OK : tables_key_id(a, v, &row, e);
    if (k != KERR_OK) {
        return k;
    }
    *ret = row == &a->other_keys ? AUDIT_NO_KEY_ID : (uint32_t)(row - a->key_ids);
    row->objects += times;
    count_written(row, item->mod_revision);
    row->proved += is_proved(item) ? times : 0;
    row->undecryptable += is_undecryptable ? times : 0;
    if (v->class_of != VALUE_KMSV2 || item->is_seed_known) {
        return KERR_OK;
    }
    uint64_t hash = item->seed_hash;
    if (index_find(&t->seeds, hash, NULL, NULL) != NULL) {
        return KERR_OK;
    }
    row->seeds++;
    batch_wait(a);
    return index_add(&t->seeds, hash, 1, e);
}

static bool has_key(const struct audit_item *item)
{
    return value_is_encrypted(item->v.class_of) && item->v.fault == NULL;
}

void count_find(const struct audit *a, struct audit_item *item)
{
    if (!has_key(item)) {
        return;
    }
    item->has_key_id = tables_find_key_id(a, &item->v, &item->key_id);
    item->is_seed_known = item->v.class_of == VALUE_KMSV2 &&
                          index_find(&a->tables->seeds, item->seed_hash, NULL, NULL) != NULL;
}

static bool is_refuted(const struct audit_item *item)
{
    return item->rule == AUDIT_RULE_MALFORMED || item->rule == AUDIT_RULE_WRONG_PROVIDER ||
           item->rule == AUDIT_RULE_UNKNOWN_KEY || item->proof == PROOF_REFUTED;
}

static void add(struct audit_counts *c, const struct audit_item *item, uint64_t times,
                bool is_undecryptable)
{
    bool is_encrypted = value_is_encrypted(item->v.class_of);
    c->keys += times;
    c->classes[item->v.class_of] += times;
    c->proved += is_proved(item) ? times : 0;
    c->undecryptable += is_undecryptable ? times : 0;
    c->unproved += is_encrypted && !is_undecryptable && !is_proved(item) ? times : 0;
    c->stale += item->is_stale && !is_undecryptable ? times : 0;
}

/* What is said of it: proof tells more than form. */
static enum audit_rule rule_of(const struct audit_item *item)
{
    if (item->proof == PROOF_REFUTED) {
        return AUDIT_RULE_UNDECRYPTABLE;
    }
    if (item->proof == PROOF_TOO_LARGE) {
        return AUDIT_RULE_TOO_LARGE;
    }
    bool is_moved = item->proof == PROOF_MOVED && item->rule != AUDIT_RULE_PLAINTEXT;
    return is_moved ? AUDIT_RULE_MOVED : item->rule;
}

static const char *fault_of(const struct audit_item *item)
{
    if (item->proof == PROOF_REFUTED) {
        return item->why;
    }
    if (item->v.fault != NULL) {
        return item->v.fault;
    }
    bool is_early = item->v.class_of == VALUE_KMSV2 && item->v.kms.source_type != 1;
    if (item->rule == AUDIT_RULE_STALE && is_early) {
        return "kmsv2 from before Kubernetes 1.29, whose seed is the key itself (type 0)";
    }
    return item->rule == AUDIT_RULE_MALFORMED ? "no form that kube-apiserver writes" : NULL;
}

enum kerr count_item(struct audit *a, const struct audit_item *item, struct kerrinfo *e)
{
    return count_items(a, item, 1, e);
}

bool count_is_silent(const struct audit_item *item)
{
    return rule_of(item) == AUDIT_RULE_COUNT;
}

enum kerr count_items(struct audit *a, const struct audit_item *item, uint64_t times,
                      struct kerrinfo *e)
{
    struct audit_resource *r = &a->resources[item->resource];
    uint32_t key_id = AUDIT_NO_KEY_ID;
    bool is_undecryptable = is_refuted(item);
    enum kerr k = KERR_OK;
    add(&r->counts, item, times, is_undecryptable);
    add(&a->totals, item, times, is_undecryptable);
    if (item->proof == PROOF_OPEN && r->unproved_why == NULL) {
        r->unproved_why = item->why;
    }
    if (has_key(item)) {
        k = count_key(a, item, times, is_undecryptable, &key_id, e);
    }
    if (k != KERR_OK || rule_of(item) == AUDIT_RULE_COUNT) {
        return k;
    }
    const struct audit_finding found = {.rule = rule_of(item),
                                        .resource = item->resource,
                                        .key = item->key,
                                        .mod_revision = item->mod_revision,
                                        .fault = fault_of(item),
                                        .detail = key_id};
    return tables_find(a, &found, e);
}

/* ---- what is left over ---- */

bool audit_is_stopped(const struct audit *a)
{
    return a->wanted.stop != NULL && *a->wanted.stop != 0;
}

void audit_shows(struct audit *a, enum audit_place place)
{
    a->residue[place].is_seen = true;
}

/* Whose value it was: by its key, else by what the object says itself. Nothing is kept of it, since
 * anybody may have written what looks like a value. */
static bool is_owner_expected(const struct audit *a, struct bytes key, const struct stored_value *v)
{
    char text[RESOURCE_KIND_MAX];
    struct resource_key owner;
    bool is_known = key.len > 0 ? tables_split(a, key, &owner)
                                : resource_of_kind(v->api_version, v->kind, text, &owner);
    return is_known && tables_expects(a, &owner);
}

static bool is_name(struct bytes text, size_t max)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < ' ') {
            return false;
        }
    }
    return text.len > 0 && text.len <= max && text_is_utf8(text);
}

/* Values that are left over are cut off, or others were written over them: what then stands where
 * their key id was is none. Behind a true one stands the encrypted seed, and each of them once. */
static bool is_credible(const struct stored_value *v)
{
    const struct encrypted_object *o = &v->kms;
    return is_name(v->provider, VALUE_KEY_ID_MAX) && is_name(o->key_id, VALUE_KEY_ID_MAX) &&
           o->source.len > 0 && o->source.len <= VALUE_SOURCE_MAX && !o->has_repeated;
}

enum kerr audit_left_over(struct audit *a, enum audit_place place, struct bytes key,
                          struct bytes value, struct kerrinfo *e)
{
    struct stored_value v;
    if (!object_counts(a, key)) {
        return KERR_OK;
    }
    value_read(value, &v);
    return count_left_over(a, place, key, &v, 1, e);
}

enum kerr count_left_over(struct audit *a, enum audit_place place, struct bytes key,
                          const struct stored_value *v, uint64_t times, struct kerrinfo *e)
{
    struct audit_residue *to = &a->residue[place];
    to->values += times;
    if (v->class_of == VALUE_PLAINTEXT) {
        to->plaintext += is_owner_expected(a, key, v) ? times : 0;
        return KERR_OK;
    }
    if (v->class_of != VALUE_KMSV2 || !is_credible(v)) {
        return KERR_OK;
    }
    struct audit_key_id *row = NULL;
    enum kerr k = tables_key_id(a, v, &row, e);
    if (k == KERR_OK) {
        row->residue[place] += times;
    }
    return k;
}
