/* SPDX-License-Identifier: Apache-2.0 */
/* A live key: what its form and the configuration say of it. Pure, so that threads share it. */
#include <string.h>

#include "audit/tables.h"
#include "stored/object.h"

static bool is_other_key(const struct audit *a, const struct audit_resource *r,
                         const struct stored_value *v)
{
    if (r->current_key == NULL || !r->is_expected) {
        return false;
    }
    return v->class_of == VALUE_KMSV2
               ? v->kms.source_type != 1 || !bytes_equal_text(v->kms.key_id, r->current_key)
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
    if (reading == READ_BY_NOBODY && value_is_encrypted(v->class_of) && r->is_group_known) {
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

void item_read(const struct audit *a, struct bytes value, struct audit_item *item)
{
    const struct audit_resource *r = &a->resources[item->resource];
    value_read(value, &item->v);
    item->rule = judge_value(a, r, &item->v, &item->is_stale);
    if (item->v.class_of == VALUE_PLAINTEXT && item_is_moved(a, item, value)) {
        item->proof = PROOF_MOVED;
    }
    if (item->v.class_of == VALUE_KMSV2 && item->v.fault == NULL) {
        item->seed_hash = count_seed_hash(&item->v);
    }
}

/* ---- names ---- */

/* Cuts `last` and a '/' before it off the end. */
static bool ends_with(struct bytes *key, struct bytes last)
{
    if (key->len <= last.len || memcmp(key->ptr + key->len - last.len, last.ptr, last.len) != 0 ||
        key->ptr[key->len - last.len - 1] != '/') {
        return false;
    }
    key->len -= last.len + 1;
    return true;
}

/* Only the last words of a key are the same for every API server: "NAMESPACE/NAME", or "NAME". */
bool item_is_moved(const struct audit *a, const struct audit_item *item, struct bytes object)
{
    struct object_names names;
    struct bytes key = item->key;
    return a->resources[item->resource].is_named && object_names_read(object, &names) &&
           !(ends_with(&key, names.name) &&
             (names.name_space.len == 0 || ends_with(&key, names.name_space)));
}
