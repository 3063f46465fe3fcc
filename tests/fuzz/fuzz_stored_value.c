/* SPDX-License-Identifier: Apache-2.0 */
/* Stored values, EncryptedObject among them: all views lie in the value, and annotations end. */
#include <stdlib.h>

#include "base/text.h"
#include "stored/value.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes all = bytes_of(data, size);
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
