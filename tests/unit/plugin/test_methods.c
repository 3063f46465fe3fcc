/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/methods.h"
#include "tests/lib/testlib.h"

#include <stdio.h>
#include <string.h>

static void test_every_row_is_complete(void **state)
{
    (void)state;
    static const char *const names[] = {"Status", "Encrypt", "Decrypt"};
    const size_t maxima[] = {KMS_STATUS_REQUEST_MAX, KMS_ENCRYPT_REQUEST_MAX,
                             KMS_DECRYPT_REQUEST_MAX};
    for (size_t i = 0; i < KMS_METHOD_COUNT; i++) {
        char path[100];
        (void)snprintf(path, sizeof path, "/v2.KeyManagementService/%s", names[i]);
        assert_string_equal(methods[i].name, names[i]);
        assert_string_equal(methods[i].path, path);
        assert_int_equal(methods[i].request_max, maxima[i]);
        assert_in_range(methods[i].deadline_ms, 1, 3000);
        assert_non_null(methods[i].answer);
        assert_true(methods[i].request_max < (size_t)rpc_limits_default.max_message_bytes);
        for (size_t j = 0; j < i; j++) {
            assert_ptr_not_equal(methods[i].answer, methods[j].answer);
        }
    }
}

/* What a client sees of each code; the rest is INTERNAL (13). */
struct told {
    enum kerr code;
    int status;
    bool is_for[KMS_METHOD_COUNT];
};

static const struct told table[] = {
    {KERR_INPUT, 3, {true, true, true}},       {KERR_LIMIT, 3, {true, true, true}},
    {KERR_NOMEM, 8, {true, true, true}},       {KERR_SEALED, 9, {true, true, true}},
    {KERR_UNSEALING, 14, {true, true, true}},  {KERR_TIMEOUT, 4, {true, true, true}},
    {KERR_KEYID, 5, {false, false, true}},     {KERR_STATE, 9, {false, false, true}},
    {KERR_INTEGRITY, 3, {false, false, true}}, {KERR_DOWN, 14, {true, true, true}},
    {KERR_DENIED, 7, {true, true, true}},
};

static const struct told *told_row(enum kerr code)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].code == code) {
            return &table[i];
        }
    }
    return NULL;
}

static void test_every_code_of_every_method(void **state)
{
    (void)state;
    for (size_t m = 0; m < KMS_METHOD_COUNT; m++) {
        const char *message = "untouched";
        assert_int_equal(method_status(m, KERR_OK, &message), 0);
        assert_null(message);
        for (int code = KERR_OK + 1; code < KERR_COUNT; code++) {
            const struct told *row = told_row((enum kerr)code);
            bool is_told = row != NULL && row->is_for[m];
            int status = method_status(m, (enum kerr)code, &message);
            assert_int_equal(status, is_told ? row->status : 13);
            assert_string_equal(message, kerr_sentence(is_told ? (enum kerr)code : KERR_BUG));
            assert_null(strchr(message, '/'));
        }
        assert_int_equal(method_status(m, KERR_COUNT, &message), 13);
        assert_int_equal(method_status(m, (enum kerr)1000, &message), 13);
    }
}

static void test_status_names(void **state)
{
    (void)state;
    assert_string_equal(method_status_name(0), "OK");
    assert_string_equal(method_status_name(3), "INVALID_ARGUMENT");
    assert_string_equal(method_status_name(9), "FAILED_PRECONDITION");
    assert_string_equal(method_status_name(14), "UNAVAILABLE");
    assert_string_equal(method_status_name(16), "UNAUTHENTICATED");
    assert_string_equal(method_status_name(17), "UNKNOWN");
    assert_string_equal(method_status_name(-1), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_complete),
        cmocka_unit_test(test_every_code_of_every_method),
        cmocka_unit_test(test_status_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
