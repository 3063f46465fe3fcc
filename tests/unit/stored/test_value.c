/* SPDX-License-Identifier: Apache-2.0 */
/* Every form and its limits: tests/cli/test_audit.py. Here what the report does not show. */
#include <string.h>

#include "stored/value.h"
#include "tests/lib/testlib.h"
#include "tests/lib/vectors.h"

static struct stored_value v;

static void read_text(const char *text)
{
    value_read(bytes_of_text(text), &v);
}

/* What Kubernetes keeps for its own tests. */
static void test_recorded_values(void **state)
{
    (void)state;
    static const char *const names[] = {"kms-v2-type0", "kms-v2-type1"};
    AUTO_JSON doc = vectors_read("kubernetes-stored-values.json");
    size_t seen = 0;
    for (size_t i = 0; i < json_count(json_root(doc)); i++) {
        const struct json_value *row = json_at(json_root(doc), i, NULL);
        for (size_t type = 0; type < ARRAY_LEN(names); type++) {
            if (strcmp(vectors_text(row, "name"), names[type]) != 0) {
                continue;
            }
            AUTO_BUF value = vectors_hex(row, "value_hex");
            AUTO_BUF plain = vectors_hex(row, "plaintext_hex");
            struct bytes name;
            struct bytes content;
            size_t at = 0;
            seen++;
            value_read(buf_view(&value), &v);
            assert_int_equal(v.class_of, VALUE_KMSV2);
            assert_null(v.fault);
            assert_true(bytes_equal_text(v.provider, "kms-provider"));
            assert_true(bytes_equal_text(v.kms.key_id, "1") && v.kms.source_type == type);
            assert_true(value_annotation(&v.kms, &at, &name, &content));
            assert_true(bytes_equal_text(name, "local-kek.kms.kubernetes.io"));
            assert_true(bytes_equal_text(content, "encrypted-local-kek"));
            assert_false(value_annotation(&v.kms, &at, &name, &content));
            assert_false(v.kms.has_unknown || v.kms.has_repeated);
            value_read(buf_view(&plain), &v);
            assert_true(v.class_of == VALUE_PLAINTEXT && v.form == VALUE_PROTOBUF);
            assert_true(bytes_equal_text(v.api_version, "v1") &&
                        bytes_equal_text(v.kind, "Secret"));
        }
    }
    assert_int_equal(seen, ARRAY_LEN(names));
}

static void test_names_with_colons(void **state)
{
    (void)state;
    read_text("k8s:enc:aescbc:v1:a:b:c:iv-of-16-bytes--and-a-block-of16");
    assert_true(v.fault == NULL && bytes_equal_text(v.provider, "a:b:c"));
    read_text("k8s:enc:aescbc:v1:a:b:iv-of-16-bytes--and-no-block");
    assert_true(v.fault != NULL && bytes_equal_text(v.provider, "a"));
    read_text("k8s:enc:aesgcm:v1:a:b:nonce-12-byte-and-a-tag-16-b");
    assert_true(bytes_equal_text(v.provider, "a"));
    assert_true(value_is_named(&v, bytes_of_text("a:b")));
    assert_true(bytes_equal_text(v.provider, "a:b") && v.fault == NULL);
    assert_true(bytes_equal_text(v.payload, "nonce-12-byte-and-a-tag-16-b"));
    assert_false(value_is_named(&v, bytes_of_text("a:b:c")));
    assert_false(value_is_named(&v, bytes_of_text("b")));
    assert_true(bytes_equal_text(v.provider, "a:b"));
    assert_true(value_is_named(&v, bytes_of_text("a")));
    assert_true(bytes_equal_text(v.provider, "a"));
}

static void test_forms(void **state)
{
    (void)state;
    read_text("{}");
    assert_true(v.class_of == VALUE_PLAINTEXT && v.form == VALUE_JSON);
    read_text("\xd9\xd9\xf7");
    assert_true(v.class_of == VALUE_PLAINTEXT && v.form == VALUE_CBOR);
    read_text("k8s");
    assert_true(v.class_of == VALUE_OTHER && v.form == VALUE_FORM_NONE && v.fault == NULL);
    read_text("k8s:enc:");
    assert_true(v.class_of == VALUE_OTHER && v.fault != NULL);
    read_text("k8s:enc:kms:v3:x:");
    assert_true(v.class_of == VALUE_OTHER && v.fault != NULL);
    read_text("");
    assert_true(v.class_of == VALUE_OTHER && v.fault == NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_values),
        cmocka_unit_test(test_names_with_colons),
        cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests_name("stored.value", tests, NULL, NULL);
}
