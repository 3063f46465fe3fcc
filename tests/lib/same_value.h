/* SPDX-License-Identifier: Apache-2.0 */
/* Whether two readings of one value say the same. */
#ifndef ETCDSEAL_TESTS_SAME_VALUE_H
#define ETCDSEAL_TESTS_SAME_VALUE_H

#include "stored/value.h"

/* The same bytes at the same place, or none. */
static inline bool is_same_view(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || a.ptr == b.ptr);
}

static inline bool is_same_value(const struct stored_value *a, const struct stored_value *b)
{
    const struct encrypted_object *x = &a->kms;
    const struct encrypted_object *y = &b->kms;
    return a->class_of == b->class_of && a->form == b->form && a->fault == b->fault &&
           is_same_view(a->provider, b->provider) && is_same_view(a->payload, b->payload) &&
           is_same_view(a->named, b->named) && is_same_view(a->api_version, b->api_version) &&
           is_same_view(a->kind, b->kind) && is_same_view(x->data, y->data) &&
           is_same_view(x->key_id, y->key_id) && is_same_view(x->source, y->source) &&
           is_same_view(x->annotations, y->annotations) &&
           x->annotation_count == y->annotation_count && x->source_type == y->source_type &&
           x->has_unknown == y->has_unknown && x->has_repeated == y->has_repeated;
}

#endif
