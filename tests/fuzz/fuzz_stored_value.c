/* SPDX-License-Identifier: Apache-2.0 */
/* Stored values, EncryptedObject among them: all views lie in the value, and annotations end. */
#include <stdlib.h>

#include "base/text.h"
#include "stored/value_memo.h"
#include "tests/lib/same_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

static void within(struct bytes part, struct bytes all)
{
    must(part.len == 0 || (part.ptr >= all.ptr && part.ptr + part.len <= all.ptr + all.len));
}

static void check_object(const struct stored_value *v, struct bytes all)
{
    const struct encrypted_object *o = &v->kms;
    struct bytes name;
    struct bytes content;
    size_t count = 0;
    size_t at = 0;
    within(o->data, all);
    within(o->key_id, all);
    within(o->source, all);
    within(o->annotations, all);
    while (value_annotation(o, &at, &name, &content)) {
        count++;
        within(name, all);
        within(content, all);
    }
    must(count <= o->annotation_count);
    if (v->class_of == VALUE_KMSV2 && v->fault == NULL) {
        must(count == o->annotation_count && o->key_id.len > 0 && text_is_utf8(o->key_id));
        must(o->key_id.len <= VALUE_KEY_ID_MAX && o->source.len <= VALUE_SOURCE_MAX);
    }
}

/* A memo says what value_read says: at first, again, and of a value with other data. */
static void check_memo(struct bytes all)
{
    static struct value_memo *memo; /* of all inputs */
    struct kerrinfo e = {0};
    struct stored_value read;
    struct stored_value told;
    bool is_known = false;
    must(memo != NULL || value_memo_new(&memo, &e) == KERR_OK);
    uint8_t *copy = malloc(all.len + 1);
    must(copy != NULL);
    for (size_t i = 0; i < all.len; i++) {
        copy[i] = all.ptr[i];
    }
    struct bytes changed = bytes_of(copy, all.len);
    value_read(all, &read);
    for (size_t i = 0; i < 2; i++) {
        unsigned slot = value_memo_read(memo, all, &told, &is_known);
        must(is_same_value(&read, &told) && (!is_known || slot < VALUE_MEMO_SLOTS));
    }
    if (read.kms.data.len > 0) {
        copy[read.kms.data.ptr - all.ptr] ^= 1;
    }
    value_read(changed, &read);
    (void)value_memo_read(memo, changed, &told, &is_known);
    must(is_same_value(&read, &told));
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes all = bytes_of(data, size);
    check_memo(all);
    struct stored_value v;
    value_read(all, &v);
    must(v.class_of < VALUE_CLASS_COUNT);
    must((v.class_of == VALUE_PLAINTEXT) == (v.form != VALUE_FORM_NONE));
    must(v.class_of != VALUE_PLAINTEXT || v.fault == NULL);
    within(v.provider, all);
    within(v.payload, all);
    within(v.named, all);
    within(v.api_version, all);
    within(v.kind, all);
    check_object(&v, all);
    if (v.provider.len > 0) {
        must(value_is_named(&v, v.provider));
    }
    if (value_is_named(&v, bytes_of_text("a:b"))) {
        must(bytes_equal_text(v.provider, "a:b"));
        check_object(&v, all);
    }
    return 0;
}
