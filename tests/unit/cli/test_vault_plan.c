/* SPDX-License-Identifier: Apache-2.0 */
/* Which versions are needed, and whether the minimum may rise. */
#include "cli/vault_plan.h"

#include <string.h>

#include "tests/lib/testlib.h"

#define NOW  1795420000
#define WEEK (7 * 24 * 3600)

static struct vault_plan p;

/* Versions 3 (primary), 2, 1, with nothing known of them but that. */
static void fresh(void)
{
    static const char *const ids[] = {"esv1-c", "esv1-b", "esv1-a"};
    p = (struct vault_plan){.min_version = 1, .loaded_at_s = NOW - 1000, .now_s = NOW, .count = 3};
    for (size_t i = 0; i < p.count; i++) {
        p.versions[i] = (struct vault_plan_version){.key = {.id = ids[i], .version = 3 - i},
                                                    .state = i == 0 ? "primary" : "retired"};
    }
}

static void count(const char *id, uint64_t objects)
{
    p.has_snapshot = true;
    vault_plan_count(&p, bytes_of_text(id), objects);
}

static void needs(enum vault_plan_need third, enum vault_plan_need second,
                  enum vault_plan_need first, uint64_t may_rise_to, const char *why)
{
    vault_plan_judge(&p);
    const enum vault_plan_need wanted[] = {third, second, first};
    for (size_t i = 0; i < p.count; i++) {
        assert_int_equal(p.versions[i].need, wanted[i]);
        assert_non_null(p.versions[i].why);
    }
    assert_int_equal(p.may_rise_to, may_rise_to);
    if (strstr(p.why, why) == NULL) {
        fail_msg("%s, expected %s", p.why, why);
    }
}

#define YES  VAULT_PLAN_NEEDED
#define NO   VAULT_PLAN_UNUSED
#define WHAT VAULT_PLAN_UNKNOWN

static void test_memory_proves_need_and_nothing_else(void **state)
{
    (void)state;
    fresh();
    needs(YES, WHAT, WHAT, 0, "not known without a snapshot");
    p.versions[2].key.decrypts = 1;
    p.versions[2].key.last_decrypt_s = NOW - WEEK + 1;
    needs(YES, WHAT, YES, 0, "not known without a snapshot");
    p.versions[2].key.last_decrypt_s = NOW - WEEK;
    needs(YES, WHAT, WHAT, 0, "not known without a snapshot");
    p.versions[2].key.last_decrypt_s = NOW + 5; /* the clock went back */
    needs(YES, WHAT, YES, 0, "not known without a snapshot");
}

static void test_a_snapshot_tells(void **state)
{
    (void)state;
    fresh();
    count("esv1-c", 10);
    needs(YES, NO, NO, 3, "no value in the snapshot needs");
    count("esv1-b", 1);
    count("esv1-b", 2); /* under another provider's name */
    needs(YES, YES, NO, 2, "no value in the snapshot needs");
    assert_int_equal(p.versions[1].objects, 3);
    count("esv1-a", 1);
    needs(YES, YES, YES, 0, "the lowest version that may decrypt is needed");
}

static void test_what_keeps_it_from_rising(void **state)
{
    (void)state;
    fresh();
    count("es1-x", 5); /* of a keystore: no business of ours */
    count("k8s", 5);
    count("esv1-", 5);
    needs(YES, NO, NO, 3, "");
    count("esv1-z", 1);
    needs(YES, NO, NO, 0, "versions that the daemon does not know");
    assert_int_equal(p.strange_objects, 1);
    fresh();
    count("esv1-c", 1);
    p.loaded_at_s = NOW - VAULT_PLAN_SETTLED_S + 1;
    needs(YES, NO, NO, 0, "five minutes");
    p.loaded_at_s = NOW - VAULT_PLAN_SETTLED_S;
    needs(YES, NO, NO, 3, "");
    p.versions[1].key.last_decrypt_s = NOW - 60; /* somebody still reads what is not in it */
    needs(YES, YES, NO, 2, "");
    fresh();
    count("esv1-a", 1);
    p.min_version = 2;
    p.versions[2].state = "below minimum";
    needs(YES, NO, YES, 0, "lower it");
}

static void test_a_pending_version_is_needed_and_counts_for_nothing(void **state)
{
    (void)state;
    fresh();
    count("esv1-b", 1);
    p.versions[0].state = "pending";
    p.versions[1].state = "primary";
    needs(YES, YES, NO, 2, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_proves_need_and_nothing_else),
        cmocka_unit_test(test_a_snapshot_tells),
        cmocka_unit_test(test_what_keeps_it_from_rising),
        cmocka_unit_test(test_a_pending_version_is_needed_and_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
