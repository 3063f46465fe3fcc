/* SPDX-License-Identifier: Apache-2.0 */
/* Records are of one sort where nothing but names and data differs. Reports with sorts and without:
 * tests/fuzz/fuzz_etcd_db.c, tests/system/test_audit_oracle.py. */
#include <stdio.h>

#include "audit/sorts.h"
#include "tests/lib/testlib.h"

#define MADE 256

static struct sorts *sorts;
static uint8_t made[MADE];

static int set_up(void **state)
{
    struct kerrinfo e = {0};
    (void)state;
    assert_ok(&e, sorts_new(2, bytes_of_text("/registry/"), &sorts, &e));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sorts_free(sorts);
    return 0;
}

static struct bytes value_of(const char *provider, unsigned seed, char data)
{
    int head = snprintf((char *)made, MADE, "k8s:enc:kms:v2:%s:%c%c", provider, 0x0a, 64);
    memset(made + head, data, 64);
    int tail = snprintf((char *)made + head + 64, MADE - 64 - (size_t)head,
                        "%c%ckey%c%cencrypted-seed-%08u-and-more-of-it%c%c", 0x12, 3, 0x1a, 38,
                        seed, 0x28, 1);
    return bytes_of(made, (size_t)head + 64 + (size_t)tail);
}

static uint16_t sort(unsigned worker, const char *key, struct bytes value)
{
    return sorts_of(sorts, worker, bytes_of_text(key), value, 7);
}

static void test_what_makes_a_sort(void **state)
{
    (void)state;
    uint16_t secret = sort(0, "/registry/secrets/ns/a", value_of("p", 1, 'x'));
    assert_int_not_equal(secret, SORTS_NONE);
    assert_int_equal(sort(0, "/registry/secrets/other/b", value_of("p", 1, 'y')), secret);
    uint16_t others[] = {
        sort(0, "/registry/configmaps/ns/a", value_of("p", 1, 'x')),
        sort(0, "/registry/secrets/ns/a", value_of("p", 2, 'x')),
        sort(0, "/registry/secrets/ns/a", value_of("q", 1, 'x')),
        sort(0, "/registry/widgets.example.com/gadgets/ns/a", value_of("p", 1, 'x')),
        sort(0, "/registry/widgets.example.com/others/ns/a", value_of("p", 1, 'x')),
        sort(0, "/registry/services/specs/ns/a", value_of("p", 1, 'x')),
        sort(0, "/registry/services/endpoints/ns/a", value_of("p", 1, 'x')),
        sort(1, "/registry/secrets/ns/a", value_of("p", 1, 'x')), /* of another thread */
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_not_equal(others[i], SORTS_NONE);
        assert_int_not_equal(others[i], secret);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(others[i], others[j]);
        }
    }
    assert_int_equal(sorts_count(sorts, 0), ARRAY_LEN(others));
    assert_int_equal(sorts_count(sorts, 1), 1);
    assert_int_equal(sorts_count(sorts, 2), 0);
    assert_int_equal(sorts_sample(sorts, secret), 7);
    assert_true(bytes_equal_text(sorts_prefix(sorts), "/registry/"));
}

static void test_what_counts_by_itself(void **state)
{
    (void)state;
    struct bytes cut = value_of("p", 1, 'x');
    static const char *const keys[] = {
        "/registry/secrets",      /* no name */
        "/other/secrets/ns/a",    /* not below the prefix */
        "/registry/widgets/ns/a", /* a resource that may be anything */
        "/registry/",
    };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        assert_int_equal(sort(0, keys[i], value_of("p", 1, 'x')), SORTS_NONE);
    }
    assert_int_equal(sort(0, "/registry/secrets/ns/a", bytes_of_text("k8s\0plain")), SORTS_NONE);
    assert_int_equal(sort(0, "/registry/secrets/ns/a", bytes_of_text("k8s:enc:aescbc:v1:k:x")),
                     SORTS_NONE);
    cut.len -= 3; /* no source type: kube-apiserver's older form, and a name less */
    cut.ptr += 1;
    assert_int_equal(sort(0, "/registry/secrets/ns/a", cut), SORTS_NONE);
}

static void test_more_than_there_are(void **state)
{
    (void)state;
    size_t none = 0;
    for (unsigned seed = 0; seed < 20000; seed++) {
        uint16_t found = sort(1, "/registry/secrets/ns/a", value_of("p", seed, 'x'));
        assert_true(found == SORTS_NONE || found >> SORTS_BITS == 1);
        none += found == SORTS_NONE;
    }
    assert_true(sorts_count(sorts, 1) == (1 << SORTS_BITS) - 1 &&
                none >= 20000 - (1 << SORTS_BITS));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_makes_a_sort, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_counts_by_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_than_there_are, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
