/* SPDX-License-Identifier: Apache-2.0 */
/* One object fed by hand: which revisions are its own, how they are told, and what is kept when
 * they are many. Of whole files: tests/cli/test_audit_object.py. */
#include "audit/object.h"
#include "tests/lib/testlib.h"

#define KEY   "/registry/secrets/ns/n"
#define OTHER "/registry/secrets/ns/o"
#define KMS   "k8s:enc:kms:v2:p:"

static const char plaintext[] = "k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret";

static enum kerr begin(struct audit *a, const char *object, struct kerrinfo *e)
{
    static const char *const prefixes[] = {"/registry/", "/x/"};
    const struct audit_wanted wanted = {
        .object = object, .prefixes = prefixes, .prefix_count = 2, .is_passing = true};
    enum kerr k = audit_begin(&wanted, a, e);
    return k == KERR_OK ? audit_take_prefixes(a, e) : k;
}

static enum kerr feed(struct audit *a, enum audit_when when, const char *key, struct bytes value,
                      uint64_t revision, struct kerrinfo *e)
{
    const struct audit_revision r = {
        .when = when, .key = bytes_of_text(key), .value = value, .revision = revision};
    return audit_revision(a, &r, e);
}

static void its_own(void **state)
{
    (void)state;
    AUTO_AUDIT a = {.tables = NULL};
    struct kerrinfo e = {0};
    struct bytes value = BYTES_OF(plaintext);
    assert_ok(&e, begin(&a, "secrets/ns/n", &e));
    assert_ok(&e, feed(&a, AUDIT_IS_LIVE, OTHER, value, 9, &e));
    assert_int_equal(a.object->count, 0);
    assert_true(a.object->has_resource && a.object->has_name_space);
    assert_ok(&e, feed(&a, AUDIT_IS_OLDER, KEY, value, 3, &e));
    assert_ok(&e, feed(&a, AUDIT_IS_OLD_VALUE, KEY, value, 5, &e));
    assert_ok(&e, feed(&a, AUDIT_IS_DELETION, KEY, bytes_of(NULL, 0), 4, &e));
    assert_null(audit_object_live(a.object));
    assert_ok(&e, feed(&a, AUDIT_IS_LIVE, KEY, bytes_of_text(KMS), 5, &e));
    assert_ok(&e, audit_live(&a, bytes_of_text(OTHER), value, 9, &e));
    assert_ok(&e, audit_live(&a, bytes_of_text(KEY), bytes_of_text(KMS), 5, &e));
    assert_ok(&e, audit_left_over(&a, AUDIT_FREE_PAGES, bytes_of(NULL, 0), value, &e));
    assert_ok(&e, audit_left_over(&a, AUDIT_FREE_PAGES, bytes_of_text(KEY), value, &e));
    assert_ok(&e, audit_judge(&a, &e));
    assert_int_equal(a.totals.keys, 1);
    assert_int_equal(a.residue[AUDIT_FREE_PAGES].values, 1);

    static const struct {
        enum audit_when when;
        uint64_t revision;
        bool has_value;
    } wanted[] = {{AUDIT_IS_LIVE, 5, true},
                  {AUDIT_IS_OLD_VALUE, 5, true},
                  {AUDIT_IS_DELETION, 4, false},
                  {AUDIT_IS_OLDER, 3, true}};
    assert_int_equal(a.object->count, ARRAY_LEN(wanted));
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        const struct audit_version *v = &a.object->versions[i];
        assert_int_equal(v->when, wanted[i].when);
        assert_int_equal(v->revision, wanted[i].revision);
        assert_int_equal(v->has_value, wanted[i].has_value);
        assert_int_equal(v->v.payload.len, 0);
    }
    /* A prefix with nothing behind opens under no key. */
    const struct audit_version *live = audit_object_live(a.object);
    assert_int_equal(live->opens, AUDIT_OPENS_NOT);
    assert_non_null(live->why);
    assert_true(bytes_equal_text(live->v.provider, "p"));
}

static void of_one_name(void **state)
{
    (void)state;
    AUTO_AUDIT a = {.tables = NULL};
    struct kerrinfo e = {0};
    assert_ok(&e, begin(&a, "secrets/ns/n", &e));
    assert_ok(&e, feed(&a, AUDIT_IS_LIVE, KEY, BYTES_OF(plaintext), 1, &e));
    assert_refused(&e, KERR_USAGE, "/x/secrets/ns/n",
                   feed(&a, AUDIT_IS_LIVE, "/x/secrets/ns/n", BYTES_OF(plaintext), 2, &e));
}

static void no_names(void **state)
{
    static const char *const bad[] = {"", "/", "a", "a/", "/a/b", "a//b", "a/b/", "a/b/c/d"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_AUDIT a = {.tables = NULL};
        struct kerrinfo e = {0};
        assert_refused(&e, KERR_USAGE, "RESOURCE/NAMESPACE/NAME", begin(&a, bad[i], &e));
    }
}

static void many(void **state)
{
    (void)state;
    AUTO_AUDIT a = {.tables = NULL};
    struct kerrinfo e = {0};
    assert_ok(&e, begin(&a, "secrets/ns/n", &e));
    for (uint64_t i = 1; i <= AUDIT_VERSIONS_MAX + 1; i++) {
        assert_ok(&e, feed(&a, AUDIT_IS_OLDER, KEY, BYTES_OF(plaintext), i, &e));
        assert_int_equal(a.object->count + a.object->left_out, i);
    }
    assert_ok(&e, audit_judge(&a, &e));
    assert_int_equal(a.object->left_out, AUDIT_VERSIONS_MAX / 2);
    assert_int_equal(a.object->versions[0].revision, AUDIT_VERSIONS_MAX + 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_own),
        cmocka_unit_test(of_one_name),
        cmocka_unit_test(no_names),
        cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
