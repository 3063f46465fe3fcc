/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about an EncryptionConfiguration that was read. */
#include "config/encryption_config.h"
#include "config/lint.h"
#include "tests/lib/testlib.h"

#define HEAD             "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n"
#define ENTRY(providers) HEAD "resources: [{resources: [a], providers: [" providers "]}]"

static const char *const two_sockets =
    ENTRY("{kms: {name: a, endpoint: \"unix:///run/v1.sock\"}},"
          "{kms: {apiVersion: v2, name: b}},"
          "{kms: {apiVersion: v2, name: c, endpoint: \"unix:///run/v2.sock\"}},"
          "{kms: {apiVersion: v2, name: d, endpoint: \"unix:/run/short.sock\"}},"
          "{kms: {apiVersion: v2, name: e, endpoint: \"unix:///run/v2.sock\"}}");

static struct encryption_config *parse_good(const char *text)
{
    struct kerrinfo e = {0};
    struct encryption_config *c = NULL;
    assert_ok(&e, encryption_config_parse(bytes_of_text(text), "F", &c, &e));
    return c;
}

static void test_find_kms(void **state)
{
    (void)state;
    AUTO_ENCRYPTION_CONFIG c = parse_good(two_sockets);
    const struct encryption_provider *p = encryption_config_find_kms(c, "/run/v2.sock");
    assert_ptr_equal(p, &c->entries[0].providers[2]);
    p = encryption_config_find_kms(c, "/run/short.sock");
    assert_string_equal(p->name.text, "d");
    assert_null(encryption_config_find_kms(c, "/run/v1.sock"));
    assert_null(encryption_config_find_kms(c, "/run/v2.soc"));
    assert_null(encryption_config_find_kms(c, "/run/v2.sock2"));
    assert_null(encryption_config_find_kms(c, "/RUN/v2.sock"));
    AUTO_ENCRYPTION_CONFIG empty = parse_good(HEAD "resources: []");
    assert_null(encryption_config_find_kms(empty, "/run/v2.sock"));
}

static void test_find_resource(void **state)
{
    (void)state;
    AUTO_ENCRYPTION_CONFIG c =
        parse_good(HEAD "resources: [{resources: [secrets, deployments.apps], providers: []}, "
                        "{resources: [\"*.apps\"], providers: []}, {resources: [secrets, \"*.\"], "
                        "providers: []}, {resources: [\"*.*\"], providers: []}]");
    static const struct {
        const char *resource;
        const char *group;
        size_t count;
        size_t at[2];
    } rows[] = {
        {"secrets", "", 2, {0, 2}}, {"deployments", "apps", 1, {0}}, {"daemonsets", "apps", 1, {1}},
        {"configmaps", "", 1, {2}}, {"jobs", "batch", 1, {3}},       {"secrets", "apps", 1, {1}},
    };
    const struct encryption_entry *found[ENCRYPTION_CONFIG_ENTRIES_MAX];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t count = encryption_config_find_resource(c, bytes_of_text(rows[i].resource),
                                                       bytes_of_text(rows[i].group), found);
        assert_int_equal(count, rows[i].count);
        for (size_t j = 0; j < count; j++) {
            assert_ptr_equal(found[j], &c->entries[rows[i].at[j]]);
        }
    }
    AUTO_ENCRYPTION_CONFIG none = parse_good(HEAD "resources: []");
    assert_int_equal(
        encryption_config_find_resource(none, bytes_of_text("secrets"), bytes_of_text(""), found),
        0);
}

static void test_socket_of(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"unix:///run/a.sock", "/run/a.sock"},
        {"unix:/run/a.sock", "/run/a.sock"},
        {"unix:///@a", "@a"},
        {"http://a/b", NULL},
        {"unix:", NULL},
        {NULL, NULL},
        {"unix:///run/longer-than-that.sock", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct encryption_provider p = {.endpoint = {.text = rows[i][0]}};
        char to[20];
        bool is_one = encryption_config_socket_of(&p, to, sizeof to);
        assert_int_equal(is_one, rows[i][1] != NULL);
        if (is_one) {
            assert_string_equal(to, rows[i][1]);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_kms),
        cmocka_unit_test(test_find_resource),
        cmocka_unit_test(test_socket_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
