/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/limit.h"
#include "tests/lib/testlib.h"

#include <string.h>

static void test_log_gate_counts_what_it_held_back(void **state)
{
    (void)state;
    struct log_gate g;
    uint64_t suppressed = 99;
    log_gate_init(&g, 1, 2, 0);
    assert_true(log_gate_pass(&g, 0, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_true(log_gate_pass(&g, 0, &suppressed));
    assert_false(log_gate_pass(&g, 10, &suppressed));
    assert_false(log_gate_pass(&g, 20, &suppressed));
    assert_true(log_gate_pass(&g, 1500, &suppressed));
    assert_int_equal(suppressed, 2);
    assert_true(log_gate_pass(&g, 3000, &suppressed));
    assert_int_equal(suppressed, 0);
}

static void test_repeat(void **state)
{
    (void)state;
    struct repeat r = {.last_ms = 0};
    uint64_t suppressed = 99;
    assert_true(repeat_pass(&r, "a", 1000, 5, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(repeat_pass(&r, "a", 1000, 6, &suppressed));
    assert_false(repeat_pass(&r, "a", 1000, 1004, &suppressed));
    assert_true(repeat_pass(&r, "a", 1000, 1005, &suppressed));
    assert_int_equal(suppressed, 2);
    assert_true(repeat_pass(&r, "b", 1000, 1006, &suppressed));
    assert_int_equal(suppressed, 0);
    repeat_clear(&r);
    assert_true(repeat_pass(&r, "b", 1000, 1007, &suppressed));
    repeat_clear(&r);
    assert_true(repeat_pass(&r, "", 1000, 1007, &suppressed));
}

static void test_repeat_with_a_long_text(void **state)
{
    (void)state;
    struct repeat r = {.last_ms = 0};
    uint64_t suppressed = 0;
    char text[2 * KERRINFO_TEXT_MAX];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    assert_true(repeat_pass(&r, text, 1000, 1, &suppressed));
    assert_false(repeat_pass(&r, text, 1000, 2, &suppressed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_gate_counts_what_it_held_back),
        cmocka_unit_test(test_repeat),
        cmocka_unit_test(test_repeat_with_a_long_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
