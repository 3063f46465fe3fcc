/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "seal/seal_ops.h"
#include "tests/unit/seal/parts.h"

static void names_and_numbers_are_unique(void **state)
{
    (void)state;
    assert_true(seal_kinds_count > 0);
    assert_int_equal(seal_kind_count(), seal_kinds_count);
    for (size_t i = 0; i < seal_kinds_count; i++) {
        assert_int_equal(seal_kind_at(i), seal_kinds[i]->kind);
        assert_string_equal(seal_kind_name(seal_kind_at(i)), seal_kinds[i]->name);
        assert_int_not_equal(seal_kinds[i]->kind, 0);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(seal_kinds[i]->name, seal_kinds[j]->name);
            assert_int_not_equal(seal_kinds[i]->kind, seal_kinds[j]->kind);
        }
    }
}

static void no_table_has_an_empty_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < seal_kinds_count; i++) {
        const struct seal_ops *ops = seal_kinds[i];
        assert_non_null(ops->name);
        assert_non_null(ops->arg_help);
        assert_non_null(ops->check_arg);
        assert_non_null(ops->caps);
        assert_non_null(ops->warning);
        assert_non_null(ops->check_params);
        assert_non_null(ops->wrap);
        assert_non_null(ops->unwrap);
    }
}

/* Names stand before ':' in a SPEC and are slot names where none is given. */
static void names_are_slot_names(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    for (size_t i = 0; i < seal_kinds_count; i++) {
        assert_ok(&e, seal_check_slot_name(bytes_of_text(seal_kinds[i]->name), &e));
    }
}

static void numbers_on_disk_never_change(void **state)
{
    (void)state;
    assert_string_equal(seal_kind_name(1), "passphrase");
    assert_string_equal(seal_kind_name(2), "file");
    assert_string_equal(seal_kind_name(3), "credential");
    assert_string_equal(seal_kind_name(6), "vault");
    assert_null(seal_kind_name(0));
    assert_null(seal_kind_name(255));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_numbers_are_unique),
        cmocka_unit_test(no_table_has_an_empty_place),
        cmocka_unit_test(names_are_slot_names),
        cmocka_unit_test(numbers_on_disk_never_change),
    };
    return cmocka_run_group_tests_name("seal.registry", tests, NULL, NULL);
}
