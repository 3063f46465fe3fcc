/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/slots.h"
#include "tests/lib/testlib.h"

#include <string.h>

static struct kerrinfo e;
static struct seal_spec specs[KS_SLOTS_MAX];
static size_t count;

static int start(void **state)
{
    (void)state;
    static const struct opt_list list = {
        .items = {"boot=file:/x", "ops=passphrase:", "cards=passphrase:file=/y"}, .count = 3};
    return setup_specs(&list, "seal", specs, &count, &e) == KERR_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    setup_specs_done(specs);
    return 0;
}

static void test_usual_roles(void **state)
{
    (void)state;
    static const struct opt_list none = {.count = 0};
    static const struct {
        size_t spec;
        bool is_first;
        uint8_t role;
    } rows[] = {
        {0, true, KS_ROLE_NODE},      {0, false, KS_ROLE_NODE}, {1, true, KS_ROLE_NODE},
        {1, false, KS_ROLE_RECOVERY}, {2, false, KS_ROLE_NODE}, /* a key file in all but name */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t role = 0;
        assert_ok(&e, slots_role(&none, &specs[rows[i].spec], rows[i].is_first, &role, &e));
        assert_int_equal(role, rows[i].role);
    }
}

static void test_given_roles(void **state)
{
    (void)state;
    static const struct opt_list list = {.items = {"ops=operator", "boot=recovery"}, .count = 2};
    uint8_t role = 0;
    assert_ok(&e, slots_check_roles(&list, specs, count, &e));
    assert_ok(&e, slots_role(&list, &specs[0], true, &role, &e));
    assert_int_equal(role, KS_ROLE_RECOVERY);
    assert_ok(&e, slots_role(&list, &specs[1], false, &role, &e));
    assert_int_equal(role, KS_ROLE_OPERATOR);
    assert_ok(&e, slots_role(&list, &specs[2], false, &role, &e));
    assert_int_equal(role, KS_ROLE_NODE);
    /* Without a name for a single slot. */
    static const struct opt_list bare = {.items = {"operator"}, .count = 1};
    assert_ok(&e, slots_check_roles(&bare, specs, 1, &e));
    assert_ok(&e, slots_role(&bare, &specs[0], true, &role, &e));
    assert_int_equal(role, KS_ROLE_OPERATOR);
}

static void test_refused_roles(void **state)
{
    (void)state;
    static const char *const wrong[] = {"ops=king", "nobody=node", "=node",    "node",
                                        "ops=",     "op=node",     "ops=Node", "opsx=node",
                                        "ops",      "ops==node"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct opt_list list = {.items = {wrong[i]}, .count = 1};
        assert_refused(&e, KERR_USAGE, wrong[i], slots_check_roles(&list, specs, count, &e));
    }
    static const struct opt_list twice = {.items = {"ops=node", "ops=node"}, .count = 2};
    uint8_t role = 99;
    assert_refused(&e, KERR_USAGE, "twice", slots_role(&twice, &specs[1], false, &role, &e));
    assert_int_equal(role, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual_roles),
        cmocka_unit_test(test_given_roles),
        cmocka_unit_test(test_refused_roles),
    };
    return cmocka_run_group_tests(tests, start, end);
}
