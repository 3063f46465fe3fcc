/* SPDX-License-Identifier: Apache-2.0 */
/* base/kerr.h: first cause wins, prefixes, cut and cleaned messages, the facts of each code. */
#include <errno.h>
#include <string.h>

#include "tests/lib/testlib.h"

static void test_first_cause_wins(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_int_equal(kerr_set(&e, KERR_LIMIT, "first %d", 1), KERR_LIMIT);
    assert_int_equal(e.code, KERR_LIMIT);
    assert_string_equal(e.text, "first 1");
    assert_int_equal(e.line, __LINE__ - 3);
    assert_non_null(strstr(e.file, "test_kerr.c"));
    assert_int_equal(kerr_set(&e, KERR_IO, "second"), KERR_IO);
    assert_int_equal(kerr_errno(&e, ENOENT, "third"), KERR_NOTFOUND);
    assert_int_equal(e.code, KERR_LIMIT);
    assert_string_equal(e.text, "first 1");
    kerr_clear(&e);
    assert_int_equal(e.code, KERR_OK);
    assert_string_equal(e.text, "");
    assert_int_equal(kerr_set(&e, KERR_IO, "fresh"), KERR_IO);
    assert_string_equal(e.text, "fresh");
}

static void test_without_a_record(void **state)
{
    (void)state;
    assert_int_equal(kerr_set(NULL, KERR_BUSY, "%s", "x"), KERR_BUSY);
    assert_int_equal(kerr_errno(NULL, EACCES, "x"), KERR_DENIED);
    kerr_prefix(NULL, "x");
    kerr_clear(NULL);
}

static void test_errno(void **state)
{
    (void)state;
    static const struct {
        int err;
        enum kerr code;
    } rows[] = {{ENOENT, KERR_NOTFOUND}, {EEXIST, KERR_EXISTS}, {ENOMEM, KERR_NOMEM},
                {EACCES, KERR_DENIED},   {EPERM, KERR_DENIED},  {ENOSPC, KERR_IO},
                {EIO, KERR_IO},          {0, KERR_IO},          {99999, KERR_IO}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kerrinfo e = {0};
        assert_int_equal(kerr_errno(&e, rows[i].err, "cannot %s", "x"), rows[i].code);
        assert_int_equal(e.code, rows[i].code);
        assert_ptr_equal(strstr(e.text, "cannot x: "), e.text);
        assert_true(strlen(e.text) > strlen("cannot x: "));
    }
    struct kerrinfo e = {0};
    (void)kerr_errno(&e, ENOSPC, "write");
    assert_string_equal(e.text, "write: No space left on device");
}

static void test_prefix(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    kerr_prefix(&e, "on an empty one");
    assert_string_equal(e.text, "");
    (void)kerr_set(&e, KERR_IO, "cause");
    kerr_prefix(&e, "slot %d", 2);
    kerr_prefix(&e, "store");
    assert_string_equal(e.text, "store: slot 2: cause");
    assert_int_equal(e.code, KERR_IO);
}

static void test_long_messages_are_cut(void **state)
{
    (void)state;
    char word[KERRINFO_TEXT_MAX * 2];
    memset(word, 'w', sizeof word);
    word[sizeof word - 1] = 0;
    struct kerrinfo e = {0};
    (void)kerr_set(&e, KERR_IO, "%s", word);
    assert_int_equal(strlen(e.text), KERRINFO_TEXT_MAX - 1);
    kerr_prefix(&e, "short");
    assert_int_equal(strlen(e.text), KERRINFO_TEXT_MAX - 1);
    assert_ptr_equal(strstr(e.text, "short: www"), e.text);
    kerr_prefix(&e, "%s", word);
    assert_int_equal(strlen(e.text), KERRINFO_TEXT_MAX - 1);
    kerr_clear(&e);
    (void)kerr_errno(&e, EIO, "%s", word);
    assert_int_equal(strlen(e.text), KERRINFO_TEXT_MAX - 1);
}

static void test_control_characters_are_replaced(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    (void)kerr_set(&e, KERR_IO, "a\nb\x1b[1mc\x7f\xc3\xa9");
    assert_string_equal(e.text, "a?b?[1mc?\xc3\xa9");
    kerr_prefix(&e, "x\ry");
    assert_string_equal(e.text, "x?y: a?b?[1mc?\xc3\xa9");
}

static void test_facts(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KERR_COUNT; i++) {
        enum kerr code = (enum kerr)i;
        assert_true(strlen(kerr_name(code)) > 0);
        assert_true(strlen(kerr_sentence(code)) > 0);
        assert_in_range(kerr_exit_code(code), code == KERR_OK ? 0 : 1, code == KERR_OK ? 0 : 4);
        assert_in_range(kerr_grpc_status(code), code == KERR_OK ? 0 : 1, code == KERR_OK ? 0 : 16);
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(kerr_name(code), kerr_name((enum kerr)j));
        }
    }
    assert_string_equal(kerr_name(KERR_INTEGRITY), "INTEGRITY");
    assert_string_equal(kerr_sentence(KERR_INTEGRITY), "authentication failed");
    assert_int_equal(kerr_exit_code(KERR_INTEGRITY), 4);
    assert_int_equal(kerr_exit_code(KERR_USAGE), 2);
    assert_int_equal(kerr_grpc_status(KERR_SEALED), 9);
    assert_int_equal(kerr_grpc_status(KERR_UNSEALING), 14);
    assert_true(kerr_may_retry(KERR_BUSY));
    assert_false(kerr_may_retry(KERR_DENIED));
    assert_string_equal(kerr_name(KERR_COUNT), "BUG");
    assert_string_equal(kerr_name((enum kerr) - 1), "BUG");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_cause_wins),
        cmocka_unit_test(test_without_a_record),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_long_messages_are_cut),
        cmocka_unit_test(test_control_characters_are_replaced),
        cmocka_unit_test(test_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
