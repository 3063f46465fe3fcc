/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/object.h"
#include "tests/lib/vectors.h"

static struct object_names found;

static bool read_text(const char *text)
{
    return object_names_read(bytes_of_text(text), &found);
}

static void test_json(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\"}}", "a", "b"},
        {"{\"metadata\":{\"name\":\"a\"}}", "a", ""},
        {" \n", NULL, NULL},
        {"{ \"kind\" : \"W\" , \"metadata\" : { \"labels\" : {\"name\":\"no\"}, \"name\" : \"a.b\" "
         "} }",
         "a.b", ""},
        {"{\"spec\":{\"metadata\":{\"name\":\"no\"}},\"list\":[{\"metadata\":[1,{}]},\"}]\"],"
         "\"metadata\":{\"finalizers\":[],\"name\":\"a\",\"x\":-1.5e3,\"y\":null,\"namespace\":"
         "\"b\"}}",
         "a", "b"},
        /* The last of two counts, for readers of JSON as well. */
        {"{\"metadata\":{\"name\":\"x\",\"name\":\"a\"}}", "a", ""},
        {"{\"metadata\":{\"name\":\"x\"},\"metadata\":{\"name\":\"a\"}}", "a", ""},
        {"{\"a\":\"\\\"\\\\\",\"metadata\":{\"name\":\"a\"}}", "a", ""},
        /* Not a name that anything of Kubernetes has. */
        {"{\"metadata\":{\"name\":\"a\\u0062\"}}", NULL, NULL},
        {"{\"metadata\":{\"name\":1}}", NULL, NULL},
        {"{\"metadata\":{}}", NULL, NULL},
        {"{\"metadata\":\"name\"}", NULL, NULL},
        {"{}", NULL, NULL},
        {"{\"a\":}", NULL, NULL},
        {"{\"metadata\"", NULL, NULL},
        {"{\"metadata\":", NULL, NULL},
        {"{\"metadata\":{\"name\":\"a", NULL, NULL},
        {"{\"a\":\"\\", NULL, NULL},
        {"{\"a\":[[[[", NULL, NULL},
        {"[{\"metadata\":{\"name\":\"a\"}}]", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool is_there = read_text(rows[i][0]);
        if (is_there != (rows[i][1] != NULL)) {
            fail_msg("%s", rows[i][0]);
        }
        if (is_there && (!bytes_equal_text(found.name, rows[i][1]) ||
                         !bytes_equal_text(found.name_space, rows[i][2]))) {
            fail_msg("%s: %.*s, %.*s", rows[i][0], (int)found.name.len,
                     (const char *)found.name.ptr, (int)found.name_space.len,
                     (const char *)found.name_space.ptr);
        }
    }
}

/* What Kubernetes keeps for its own tests, whole and cut at every byte. */
static void test_protobuf(void **state)
{
    (void)state;
    AUTO_JSON doc = vectors_read("kubernetes-stored-values.json");
    const struct json_value *row = json_at(json_root(doc), 0, NULL);
    AUTO_BUF plain = vectors_hex(row, "plaintext_hex");
    assert_true(object_names_read(buf_view(&plain), &found));
    assert_true(bytes_equal_text(found.name, "dek-source-aes-gcm-key"));
    assert_true(bytes_equal_text(found.name_space, "kms-v2-legacy-data"));
    for (size_t len = 0; len < plain.len; len++) {
        if (object_names_read(bytes_of(plain.ptr, len), &found)) {
            assert_true(found.name.ptr > plain.ptr &&
                        found.name.ptr + found.name.len <= plain.ptr + len);
        }
    }
    assert_false(read_text("\xd9\xd9\xf7\xa0")); /* CBOR */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_protobuf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
