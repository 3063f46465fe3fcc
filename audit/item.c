/* SPDX-License-Identifier: Apache-2.0 */
/* A live key as a source hands it in: what its form and the configuration say of it, and then on to
 * be proved or counted. */
#include <string.h>

#include "audit/object.h"
#include "audit/prove.h"

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

void item_judge(const struct audit *a, struct bytes value, struct audit_item *to)
{
    value_read(value, &to->v);
    to->rule = judge_value(a, &a->resources[to->resource], &to->v, &to->is_stale);
    if (to->v.class_of == VALUE_PLAINTEXT && prove_is_moved(a, to->key, value)) {
        to->proof = PROOF_MOVED;
    }
}

enum kerr audit_live(struct audit *a, struct bytes key, struct bytes value, uint64_t mod_revision,
                     struct kerrinfo *e)
{
    struct audit_item item = {.key = key, .mod_revision = mod_revision};
    if (!object_counts(a, key)) {
        return KERR_OK;
    }
    enum kerr k = tables_resource(a, key, &item.resource, e);
    if (k == KERR_OK && a->prove != NULL && a->wanted.is_passing) {
        k = prove_keep(a, &key, &value, e);
        item.key = key;
    }
    if (k != KERR_OK) {
        return k;
    }
    item_judge(a, value, &item);
    return a->prove == NULL ? count_item(a, &item, e) : prove_item(a, &item, e);
}
