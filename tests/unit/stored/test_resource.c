/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/resource.h"
#include "tests/lib/testlib.h"

static struct resource_key found;

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *resource; /* NULL: none */
        const char *name_space;
        const char *name;
        bool is_group_known;
    } rows[] = {
        {"/registry/secrets/ns/n", "secrets", "ns", "n", true},
        {"/registry/namespaces/n", "namespaces", "", "n", true},
        {"/registry/services/specs/ns/n", "services", "ns", "n", true},
        {"/registry/services/other", "services", "", "other", false},
        {"/registry/statefulsets/ns/n", "statefulsets.apps", "ns", "n", true},
        {"/registry/example.com/widgets/ns/n", "widgets.example.com", "ns", "n", true},
        {"/registry/example.com/widgets/n", "widgets.example.com", "", "n", true},
        {"/registry/secretsx/n", "secretsx", "", "n", false},
        {"/registry/secrets", "secrets", "", "", true},
        {"/registry/secrets/a/b/c", "secrets", "a", "b/c", true},
        {"/registry/a.b", "a.b", "", "", false},
        {"/registry/", NULL, "", "", false},
        {"/registry//x", NULL, "", "", false},
        {"/other/secrets/ns/n", NULL, "", "", false},
        {"", NULL, "", "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[64];
        bool is_one =
            resource_of_key(bytes_of_text(rows[i].key), bytes_of_text("/registry/"), &found);
        assert_int_equal(is_one, rows[i].resource != NULL);
        if (is_one) {
            resource_text(&found, text, sizeof text);
            assert_string_equal(text, rows[i].resource);
            assert_true(bytes_equal_text(found.name_space, rows[i].name_space));
            assert_true(bytes_equal_text(found.name, rows[i].name));
            assert_int_equal(found.is_group_known, rows[i].is_group_known);
            assert_false(found.is_bookkeeping);
        }
    }
    assert_true(resource_of_key(bytes_of_text("/registry/masterleases/10.0.0.1"),
                                bytes_of_text("/registry/"), &found));
    assert_true(found.is_bookkeeping);
}

/* From a name to its key, and back. */
static void test_put_key(void **state)
{
    (void)state;
    static const struct {
        const char *resource;
        const char *group;
        const char *name_space;
        const char *key;
    } rows[] = {
        {"secrets", "", "ns", "/registry/secrets/ns/n"},
        {"nodes", "", "", "/registry/minions/n"},
        {"services", "", "ns", "/registry/services/specs/ns/n"},
        {"endpoints", "", "ns", "/registry/services/endpoints/ns/n"},
        {"deployments", "apps", "ns", "/registry/deployments/ns/n"},
        {"deployments", "", "ns", "/registry/deployments/ns/n"},
        {"ingresses", "networking.k8s.io", "ns", "/registry/ingress/ns/n"},
        {"widgets", "example.com", "ns", "/registry/example.com/widgets/ns/n"},
        {"widgets", "example.com", "", "/registry/example.com/widgets/n"},
        {"secrets", "example.com", "ns", "/registry/example.com/secrets/ns/n"},
        {"widgets", "", "ns", "/registry/widgets/ns/n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_BUF key;
        struct kerrinfo e = {0};
        buf_init(&key, 64);
        const struct resource_key wanted = {.resource = bytes_of_text(rows[i].resource),
                                            .group = bytes_of_text(rows[i].group),
                                            .name_space = bytes_of_text(rows[i].name_space),
                                            .name = bytes_of_text("n")};
        assert_ok(&e, resource_put_key(&wanted, bytes_of_text("/registry/"), &key, &e));
        assert_true(bytes_equal_text(buf_view(&key), rows[i].key));
        assert_true(resource_of_key(buf_view(&key), bytes_of_text("/registry/"), &found));
        assert_true(bytes_equal(found.resource, wanted.resource));
        assert_true(bytes_equal(found.name_space, wanted.name_space));
        assert_true(wanted.group.len == 0 || bytes_equal(found.group, wanted.group));
        buf_done(&key);
        buf_init(&key, 8);
        assert_refused(&e, KERR_LIMIT, "",
                       resource_put_key(&wanted, bytes_of_text("/registry/"), &key, &e));
    }
}

static void test_within(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        const char *root; /* NULL: it is one itself */
    } rows[] = {
        {"/registry/secrets/", "/registry/"},
        {"/registry/secrets/default/", "/registry/"},
        {"/kubernetes.io/services/specs/", "/kubernetes.io/"},
        {"/a/b/minions/", "/a/b/"},
        {"registry/secrets/", "registry/"},
        {"/registry/", NULL},
        {"/secrets/", NULL},
        {"/registry/secretsx/", NULL},
        {"/a/b/", NULL},
        {"/", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct bytes root = {0};
        bool is_one = resource_is_within(bytes_of_text(rows[i].prefix), &root);
        assert_int_equal(is_one, rows[i].root != NULL);
        assert_true(!is_one || bytes_equal_text(root, rows[i].root));
    }
}

static void test_prefix(void **state)
{
    (void)state;
    struct bytes prefix;
    assert_true(resource_prefix_of(bytes_of_text("/a/b/namespaces/default"), &prefix));
    assert_true(bytes_equal_text(prefix, "/a/b/"));
    assert_true(resource_prefix_of(bytes_of_text("/registry/namespaces/kube-system"), &prefix));
    assert_true(bytes_equal_text(prefix, "/registry/"));
    assert_false(resource_prefix_of(bytes_of_text("/namespaces/default"), &prefix));
    assert_false(resource_prefix_of(bytes_of_text("/registry/namespaces/default2"), &prefix));
    assert_false(resource_prefix_of(bytes_of_text("/registry/secrets/default/x"), &prefix));
}

static void test_kind(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"v1", "Secret", "secrets"},
        {"apps/v1", "Deployment", "deployments.apps"},
        {"networking.k8s.io/v1", "NetworkPolicy", "networkpolicies.networking.k8s.io"},
        {"networking.k8s.io/v1", "Ingress", "ingresses.networking.k8s.io"},
        {"v1", "Endpoints", "endpoints"},
    };
    char plural[RESOURCE_KIND_MAX];
    char text[64];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(
            resource_of_kind(bytes_of_text(rows[i][0]), bytes_of_text(rows[i][1]), plural, &found));
        resource_text(&found, text, sizeof text);
        assert_string_equal(text, rows[i][2]);
    }
    assert_true(resource_of_kind(bytes_of(NULL, 0), bytes_of_text("Pod"), plural, &found));
    resource_text(&found, text, sizeof text);
    assert_string_equal(text, "pods");
    uint8_t longest[RESOURCE_KIND_MAX] = {0};
    for (size_t len = 0; len <= sizeof longest; len++) {
        bool is_one = resource_of_kind(bytes_of_text("v1"), bytes_of(longest, len), plural, &found);
        assert_int_equal(is_one, len > 0 && len <= RESOURCE_KIND_MAX - 4);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),   cmocka_unit_test(test_put_key),
        cmocka_unit_test(test_within), cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_kind),
    };
    return cmocka_run_group_tests_name("stored.resource", tests, NULL, NULL);
}
