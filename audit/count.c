/* SPDX-License-Identifier: Apache-2.0 */
/* What sources hand in, counted. */
#include <string.h>

#include "audit/tables.h"

#define PREFIX_DEFAULT "/registry/"

/* ---- prefixes ---- */

enum kerr audit_note_key(struct audit *a, struct bytes key, struct kerrinfo *e)
{
    struct audit_tables *t = a->tables;
    const struct bytes preset = bytes_of_text(PREFIX_DEFAULT);
    struct bytes prefix;
    t->has_default_prefix = t->has_default_prefix ||
                            (key.len > preset.len && memcmp(key.ptr, preset.ptr, preset.len) == 0);
    if (a->wanted.prefix_count > 0 || !resource_prefix_of(key, &prefix)) {
        return KERR_OK;
    }
    for (size_t i = 0; i < a->prefix_count; i++) {
        if (bytes_equal(a->prefixes[i], prefix)) {
            return KERR_OK;
        }
    }
    if (a->prefix_count == AUDIT_PREFIXES_MAX) {
        return kerr_set(e, KERR_LIMIT,
                        "more than %d prefixes: name those to be looked at with "
                        "--prefix",
                        AUDIT_PREFIXES_MAX);
    }
    enum kerr k = tables_keep(a, &prefix, e);
    if (k == KERR_OK) {
        a->prefixes[a->prefix_count++] = prefix;
    }
    return k;
}

enum kerr audit_take_prefixes(struct audit *a, struct kerrinfo *e)
{
    const struct audit_tables *t = a->tables;
    if (a->prefix_count == 0 && t->has_default_prefix) {
        a->prefixes[a->prefix_count++] = bytes_of_text(PREFIX_DEFAULT);
    }
    if (a->prefix_count == 0) {
        return kerr_set(
            e, KERR_NOTFOUND,
            "no key of Kubernetes in it: neither PREFIX/namespaces/default nor anything "
            "below " PREFIX_DEFAULT "; name the API server's --etcd-prefix with "
            "--prefix");
    }
    return KERR_OK;
}

/* ---- live keys ---- */

static uint64_t seed_hash(const struct stored_value *v)
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

static enum kerr count_key(struct audit *a, const struct stored_value *v, bool is_undecryptable,
                           uint32_t *ret, struct kerrinfo *e)
{
    struct audit_tables *t = a->tables;
    struct audit_key_id *row = NULL;
    enum kerr k = tables_key_id(a, v, &row, e);
    if (k != KERR_OK) {
        return k;
    }
    *ret = (uint32_t)(row - a->key_ids);
    row->objects++;
    row->undecryptable += is_undecryptable;
    if (v->class_of != VALUE_KMSV2) {
        return KERR_OK;
    }
    uint64_t hash = seed_hash(v);
    if (index_find(&t->seeds, hash, NULL, NULL) != NULL) {
        return KERR_OK;
    }
    row->seeds++;
    return index_add(&t->seeds, hash, 1, e);
}

static bool is_other_key(const struct audit *a, const struct audit_resource *r,
                         const struct stored_value *v)
{
    if (a->wanted.current_key == NULL || !r->is_expected) {
        return false;
    }
    return v->class_of == VALUE_KMSV2
               ? v->kms.source_type != 1 || !bytes_equal_text(v->kms.key_id, a->wanted.current_key)
               : a->wanted.config == NULL; /* the key of a KMS writes, so nothing else does */
}

/* The one rule that says what is wrong with a value; AUDIT_RULE_COUNT for none. */
static enum audit_rule judge_value(const struct audit *a, const struct audit_resource *r,
                                   struct stored_value *v, bool *ret_is_stale)
{
    bool is_inside = strcmp(r->name, TABLES_OUTSIDE) != 0;
    enum reading reading =
        a->wanted.config == NULL || !is_inside ? READ_BY_WRITER : expect_reading(r, v);
    *ret_is_stale = reading == READ_BY_OTHER || is_other_key(a, r, v);
    if (v->fault != NULL || (v->class_of == VALUE_OTHER && r->is_expected)) {
        return AUDIT_RULE_MALFORMED;
    }
    if (v->class_of == VALUE_PLAINTEXT && r->is_expected) {
        *ret_is_stale = true; /* even where no provider reads it any more */
        return AUDIT_RULE_PLAINTEXT;
    }
    if (reading == READ_BY_NOBODY && value_is_encrypted(v->class_of)) {
        return AUDIT_RULE_WRONG_PROVIDER;
    }
    if (reading == READ_NO_KEY) {
        return AUDIT_RULE_UNKNOWN_KEY;
    }
    if (*ret_is_stale) {
        return AUDIT_RULE_STALE;
    }
    return v->kms.has_unknown || v->kms.has_repeated ? AUDIT_RULE_UNUSUAL : AUDIT_RULE_COUNT;
}

static void add(struct audit_counts *c, enum value_class class_of, bool is_undecryptable,
                bool is_stale)
{
    c->keys++;
    c->classes[class_of]++;
    c->undecryptable += is_undecryptable;
    c->unproved += value_is_encrypted(class_of) && !is_undecryptable;
    c->stale += is_stale;
}

enum kerr audit_live(struct audit *a, struct bytes key, struct bytes value, uint64_t mod_revision,
                     struct kerrinfo *e)
{
    uint32_t at = 0;
    uint32_t key_id = AUDIT_NO_KEY_ID;
    struct stored_value v;
    bool is_stale = false;
    enum kerr k = tables_resource(a, key, &at, e);
    if (k != KERR_OK) {
        return k;
    }
    struct audit_resource *r = &a->resources[at];
    value_read(value, &v);
    enum audit_rule rule = judge_value(a, r, &v, &is_stale);
    bool is_undecryptable = rule == AUDIT_RULE_MALFORMED || rule == AUDIT_RULE_WRONG_PROVIDER ||
                            rule == AUDIT_RULE_UNKNOWN_KEY;
    is_stale = is_stale && !is_undecryptable;
    add(&r->counts, v.class_of, is_undecryptable, is_stale);
    add(&a->totals, v.class_of, is_undecryptable, is_stale);
    if (value_is_encrypted(v.class_of) && v.fault == NULL) {
        k = count_key(a, &v, is_undecryptable, &key_id, e);
    }
    if (k != KERR_OK || rule == AUDIT_RULE_COUNT) {
        return k;
    }
    const char *other = rule == AUDIT_RULE_MALFORMED ? "no form that kube-apiserver writes" : NULL;
    const struct audit_finding found = {.rule = rule,
                                        .resource = at,
                                        .key = key,
                                        .mod_revision = mod_revision,
                                        .fault = v.fault != NULL ? v.fault : other,
                                        .detail = key_id};
    return tables_find(a, &found, e);
}

/* ---- what is left over ---- */

void audit_shows(struct audit *a, enum audit_place place)
{
    a->residue[place].is_seen = true;
}

/* Whose value it was: by its key, else by what the object says itself. */
static enum kerr find_owner(struct audit *a, struct bytes key, const struct stored_value *v,
                            uint32_t *ret, struct kerrinfo *e)
{
    char text[RESOURCE_KIND_MAX];
    struct resource_key said;
    if (key.len > 0) {
        return tables_resource(a, key, ret, e);
    }
    bool is_known = resource_of_kind(v->api_version, v->kind, text, &said);
    return tables_resource_named(a, is_known ? &said : NULL, ret, e);
}

enum kerr audit_left_over(struct audit *a, enum audit_place place, struct bytes key,
                          struct bytes value, struct kerrinfo *e)
{
    struct stored_value v;
    struct audit_residue *to = &a->residue[place];
    uint32_t at = 0;
    value_read(value, &v);
    to->values++;
    if (v.class_of == VALUE_PLAINTEXT) {
        enum kerr k = find_owner(a, key, &v, &at, e);
        to->plaintext += k == KERR_OK && a->resources[at].is_expected;
        return k;
    }
    if (v.class_of != VALUE_KMSV2 || v.kms.key_id.len == 0) {
        return KERR_OK;
    }
    struct audit_key_id *row = NULL;
    enum kerr k = tables_key_id(a, &v, &row, e);
    if (k == KERR_OK) {
        row->residue[place]++;
    }
    return k;
}
