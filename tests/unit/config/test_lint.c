/* SPDX-License-Identifier: Apache-2.0 */
/* config/lint.h: each rule finds its fault, at its place, and nothing else is found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/lint.h"
#include "tests/lib/testlib.h"

#define HEAD                          "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
#define ENTRY(resources, providers)   "- resources: [" resources "]\n  providers: [" providers "]\n"
#define FILE_OF(resources, providers) HEAD ENTRY(resources, providers)
#define V2                            "apiVersion: v2, "
#define KMS                           "{kms: {" V2 "name: a, endpoint: 'unix:///run/a.sock'}}"
#define KMS_B                         "{kms: {" V2 "name: b, endpoint: 'unix:///run/a.sock'}}"
#define ONE_KMS(fields)               FILE_OF("'*.*'", "{kms: {" fields "}}")
#define ENDPOINT(text)                ONE_KMS(V2 "name: a, endpoint: " text)
#define TIMEOUT(text)                 ENDPOINT("'unix:///run/a.sock', timeout: " text)
#define KEYS(kind, keys)              FILE_OF("'*.*'", KMS ", {" kind ": {keys: [" keys "]}}")
#define KEY16                         "MDEyMzQ1Njc4OWFiY2RlZg=="
#define KEY24                         "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
#define KEY32                         "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define PLAIN                         "{identity: {}}"

static const char socket_path[] = "/run/a.sock";

/* In each text '^' stands before the place of the finding. */
static const struct {
    enum lint_rule rule;
    const char *text;
} rows[] = {
    {LINT_FILE_KIND, "apiVersion: v1\nkind: ^Secret\n"},
    {LINT_JSON_FORM, "{^apiVersion: v1}"},
    {LINT_UNKNOWN_FIELD, FILE_OF("'*.*'", KMS) "  ^provider: []\n"},
    {LINT_UNKNOWN_FIELD, FILE_OF("'*.*'", KMS) "^metadata: {}\n"},
    {LINT_REPEATED_FIELD, FILE_OF("'*.*'", KMS) "  ^resources: ['*.*']\n"},
    {LINT_WRONG_TYPE, ONE_KMS(V2 "endpoint: 'unix:///run/a.sock', name: ^5")},
    {LINT_WRONG_TYPE, FILE_OF("'*.*', ^yes", KMS)},
    {LINT_NO_ENTRIES, "apiVersion: v1\nkind: EncryptionConfig\n^resources: []\n"},
    {LINT_NO_RESOURCES, HEAD "- ^resources: []\n  providers: [" KMS "]\n"},
    {LINT_NO_PROVIDERS, HEAD "- ^resources: ['*.*']\n"},
    {LINT_PROVIDER_EMPTY, FILE_OF("'*.*'", KMS ", ^{identity: }")},
    {LINT_PROVIDER_EMPTY, FILE_OF("'*.*'", KMS ", ^{}")},
    {LINT_PROVIDER_SEVERAL, FILE_OF("'*.*'", KMS ", ^{identity: {}, secretbox: {keys: [{name: a, "
                                                 "secret: " KEY32 "}]}}")},

    {LINT_RESOURCE_CAPITAL, FILE_OF("^Secrets", KMS)},
    {LINT_RESOURCE_STAR, FILE_OF("^'*'", KMS)},
    {LINT_RESOURCE_ACROSS, FILE_OF("^'secrets.*'", KMS)},
    {LINT_RESOURCE_GROUP, FILE_OF("secrets, ^events.events.k8s.io", KMS)},
    {LINT_RESOURCE_GROUP, FILE_OF("secrets, ^'*.extensions'", KMS)},
    {LINT_RESOURCE_INTERNAL, FILE_OF("secrets, ^apiserveripinfo", KMS)},
    {LINT_RESOURCE_INTERNAL, FILE_OF("secrets, ^serviceipallocations", KMS)},
    {LINT_RESOURCE_INTERNAL, FILE_OF("secrets, ^servicenodeportallocations", KMS)},
    {LINT_RESOURCE_DUPLICATE, FILE_OF("secrets, ^secrets.", KMS)},
    {LINT_RESOURCE_OVERLAP, FILE_OF("secrets, ^'*.'", KMS)},
    {LINT_RESOURCE_OVERLAP, FILE_OF("'*.*', ^deployments.apps", KMS)},
    {LINT_RESOURCE_OVERLAP, FILE_OF("'*.apps', ^'*.*'", KMS)},
    {LINT_RESOURCE_MASKED, FILE_OF("'*.'", KMS) ENTRY("^secrets", KMS_B)},
    {LINT_RESOURCE_MASKED, FILE_OF("'*.*'", KMS) ENTRY("^'*.apps'", KMS_B)},
    {LINT_RESOURCE_MASKED, FILE_OF("'*.apps'", KMS) ENTRY("^'*.apps'", KMS_B)},
    {LINT_RESOURCE_EMPTY, FILE_OF("^''", KMS) ENTRY("'*.*'", KMS_B)},
    {LINT_RESOURCE_EMPTY, FILE_OF("^~", KMS) ENTRY("'*.*'", KMS_B)},

    {LINT_NO_KEYS, FILE_OF("'*.*'", KMS ", {^aesgcm: {}}")},
    {LINT_KEY_NAME, KEYS("aescbc", "^{secret: " KEY16 "}")},
    {LINT_KEY_NAME, KEYS("aescbc", "^{name: '', secret: " KEY16 "}")},
    {LINT_KEY_SECRET, KEYS("aescbc", "^{name: k}")},
    {LINT_KEY_SECRET, KEYS("aescbc", "^{name: k, secret: ''}")},
    {LINT_KEY_BASE64, KEYS("aesgcm", "{name: k, secret: ^a-b}")},
    {LINT_KEY_BASE64, KEYS("aesgcm", "{name: k, secret: ^MDEyMzQ1Njc4OWFiY2RlZg}")},
    {LINT_KEY_LENGTH, KEYS("secretbox", "{name: k, secret: ^" KEY16 "}")},
    {LINT_KEY_LENGTH, KEYS("secretbox", "{name: k, secret: ^" KEY24 "}")},
    {LINT_KEY_LENGTH, KEYS("aescbc", "{name: k, secret: ^c2hvcnQ=}")},
    {LINT_KEY_LENGTH, KEYS("aesgcm", "{name: k, secret: ^" KEY24 KEY24 "}")},
    {LINT_KEY_LENGTH, KEYS("secretbox", "{name: k, secret: ^" KEY24 KEY24 "}")},

    {LINT_NAME_EMPTY, FILE_OF("'*.*'", "{^kms: {" V2 "endpoint: 'unix:///run/a.sock'}}")},
    {LINT_NAME_COLON, ONE_KMS(V2 "endpoint: 'unix:///run/a.sock', name: ^'a:b'")},
    {LINT_NAME_DUPLICATE, FILE_OF("secrets", KMS) ENTRY(
                              "'*.*'", "{kms: {" V2 "endpoint: 'unix:///run/b.sock', name: ^a}}")},
    {LINT_KMS_VERSION_MISSING,
     FILE_OF("'*.*'", KMS ", {^kms: {name: b, endpoint: 'unix:///run/b.sock'}}")},
    {LINT_KMS_V1,
     FILE_OF("'*.*'",
             KMS ", {kms: {apiVersion: ^v1, name: b, endpoint: 'unix:///b', cachesize: 9}}")},
    {LINT_KMS_VERSION,
     FILE_OF("'*.*'", KMS ", {kms: {apiVersion: ^v3, name: b, endpoint: 'unix:///b'}}")},
    {LINT_KMS_CACHESIZE, ENDPOINT("'unix:///run/a.sock', cachesize: ^100")},
    {LINT_TIMEOUT_INVALID, TIMEOUT("^3d")},
    {LINT_TIMEOUT_INVALID, TIMEOUT("^'3'")},
    {LINT_TIMEOUT_INVALID, TIMEOUT("^0s")},
    {LINT_TIMEOUT_INVALID, TIMEOUT("^-1s")},
    {LINT_TIMEOUT_LONG, TIMEOUT("^10001ms")},
    {LINT_TIMEOUT_SHORT, TIMEOUT("^499ms")},
    {LINT_ENDPOINT_MISSING, FILE_OF("'*.*'", KMS ", {^kms: {" V2 "name: b}}")},
    {LINT_ENDPOINT_SCHEME,
     FILE_OF("'*.*'", KMS ", {kms: {" V2 "name: b, endpoint: ^/run/a.sock}}")},
    {LINT_ENDPOINT_SCHEME,
     FILE_OF("'*.*'", KMS ", {kms: {" V2 "name: b, endpoint: ^'tcp://a:1'}}")},
    {LINT_ENDPOINT_SCHEME,
     FILE_OF("'*.*'", KMS ", {kms: {" V2 "name: b, endpoint: ^'unix:///%x'}}")},
    {LINT_ENDPOINT_PATH, FILE_OF("'*.*'", KMS ", {kms: {" V2 "name: b, endpoint: ^'unix:run/b'}}")},
    {LINT_ENDPOINT_PATH, FILE_OF("'*.*'", KMS ", {kms: {" V2 "name: b, endpoint: ^'unix:///'}}")},
    {LINT_ENDPOINT_DROPPED, ENDPOINT("^'unix://host/run/a.sock'")},
    {LINT_ENDPOINT_DROPPED, ENDPOINT("^'unix:///run/a.sock?x'")},
    {LINT_ENDPOINT_ABSTRACT,
     FILE_OF("'*.*'", KMS ", {kms: {" V2 "name: b, endpoint: ^'unix:///@b'}}")},
    {LINT_SOCKET_MISMATCH, ENDPOINT("^'unix:///run/b.sock'")},

    {LINT_SECRETS_PLAINTEXT,
     "apiVersion: v1\nkind: EncryptionConfig\n^resources:\n" ENTRY("configmaps", KMS)},
    {LINT_IDENTITY_FIRST, FILE_OF("'*.*'", "{^identity: {}}, " KMS)},
    {LINT_IDENTITY_FIRST, FILE_OF("secrets", "{^identity: {}}") ENTRY("'*.*'", KMS)},
    {LINT_IDENTITY_FIRST_OTHER,
     FILE_OF("configmaps", "{^identity: {}}, " KMS) ENTRY("'*.*'", KMS_B)},
    {LINT_IDENTITY_READABLE, FILE_OF("'*.*'", KMS ", {^identity: {}}")},
    {LINT_IDENTITY_READABLE,
     FILE_OF("secrets", KMS) ENTRY("secrets", "{^identity: {}}") ENTRY("'*.*'", KMS_B)},
    {LINT_KEY_IN_FILE, KEYS("^aesgcm", "{name: k, secret: " KEY24 "}")},
    {LINT_PARTIAL, "apiVersion: v1\nkind: EncryptionConfig\n^resources:\n" ENTRY("secrets", KMS)},
    {LINT_PARTIAL, "apiVersion: v1\nkind: EncryptionConfig\n^resources:\n" ENTRY("'*.'", KMS)},
};

/* Files in which nothing is found. */
static const char *const clean[] = {
    FILE_OF("'*.*'", KMS),
    FILE_OF("secrets, '*.apps'", KMS) ENTRY("'*.*'", KMS_B),
    FILE_OF("events", PLAIN) ENTRY("'*.*'", KMS),
    FILE_OF("secrets", KMS) ENTRY("secrets, '*.rbac.authorization.k8s.io'", KMS_B),
    TIMEOUT("10s"),
    TIMEOUT("500ms"),
    TIMEOUT("~"),
    ENDPOINT("'UNIX:/run/a.sock', cachesize: ~"),
    "{\"apiVersion\":\"v1\",\"kind\":\"EncryptionConfig\",\"resources\":[{\"resources\":[\"*.*\"],"
    "\"providers\":[{\"kms\":{\"apiVersion\":\"v2\",\"name\":\"a\",\"endpoint\":"
    "\"unix:\\/\\/\\/run\\/a.sock\"}}]}]}",
};

static struct lint_list *lint(const char *text, const char *path)
{
    struct kerrinfo e = {0};
    AUTO_ENCRYPTION_CONFIG c = NULL;
    struct lint_list *list = NULL;
    struct lint_facts facts = {.socket_path = path};
    assert_ok(&e, encryption_config_parse(bytes_of_text(text), "F", &c, &e));
    assert_ok(&e, lint_encryption_config(c, &facts, &list, &e));
    return list;
}

static void show_all(const char *text, const struct lint_list *list)
{
    (void)fprintf(stderr, "%s", text);
    for (size_t i = 0; i < list->count; i++) {
        const struct lint_finding *f = &list->items[i];
        (void)fprintf(stderr, "%u:%u: %s: %s\n", f->line, f->column, lint_rules[f->rule].id,
                      f->message);
    }
}

/* Takes the mark out; its place. */
static void take_mark(char *text, unsigned *line, unsigned *column)
{
    char *mark = strchr(text, '^');
    *line = 1;
    *column = 1;
    assert_non_null(mark);
    for (const char *p = text; p < mark; p++) {
        *column = *p == '\n' ? 1 : *column + 1;
        *line += *p == '\n';
    }
    memmove(mark, mark + 1, strlen(mark));
}

static void test_each_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned line;
        unsigned column;
        char *text = strdup(rows[i].text);
        take_mark(text, &line, &column);
        AUTO_LINT list = lint(text, socket_path);
        const struct lint_finding *f = &list->items[0];
        const struct lint_rule_info *rule = &lint_rules[rows[i].rule];
        if (list->count != 1 || f->rule != rows[i].rule || f->line != line || f->column != column) {
            show_all(text, list);
            fail_msg("expected %u:%u: %s alone", line, column, rule->id);
        }
        assert_int_equal(list->totals[rule->severity], 1);
        assert_int_equal(list->is_refused, rule->refused_from != NULL);
        free(text);
    }
}

/* A provider that is unauthenticated has its keys in the file, so two findings are right there. */
static void test_unauthenticated(void **state)
{
    (void)state;
    static const char *const texts[] = {
        KEYS("aescbc", "{name: k, secret: " KEY16 "}"),
        KEYS("secretbox", "{name: k, secret: '" KEY32 "'}"),
        FILE_OF("'*.*'", "{aescbc: {keys: [{name: k, secret: \"" KEY32 "\"}]}}, " KMS),
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO_LINT list = lint(texts[i], socket_path);
        assert_int_equal(list->count, 2);
        assert_non_null(lint_find(list, LINT_UNAUTHENTICATED));
        assert_non_null(lint_find(list, LINT_KEY_IN_FILE));
        assert_null(lint_find(list, LINT_KEY_LENGTH));
    }
}

static void test_clean(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(clean); i++) {
        AUTO_LINT list = lint(clean[i], socket_path);
        if (list->count != 0) {
            show_all(clean[i], list);
            fail_msg("found something");
        }
    }
}

static void test_socket_is_compared_only_when_known(void **state)
{
    (void)state;
    AUTO_LINT list = lint(ENDPOINT("'unix:///run/b.sock'"), NULL);
    assert_int_equal(list->count, 0);
    AUTO_LINT other = lint(ENDPOINT("'unix:///run/b.sock'"), socket_path);
    const struct lint_finding *f = lint_find(other, LINT_SOCKET_MISMATCH);
    assert_non_null(f);
    assert_string_equal(f->cure, "write `endpoint: unix:///run/a.sock`, or correct socket.path");
}

/* By its name or by default. */
static void test_v1_where_it_may_be_on(void **state)
{
    (void)state;
    static const char *const texts[] = {
        FILE_OF("'*.*'", KMS ", {kms: {apiVersion: v1, name: b, endpoint: 'unix:///b'}}"),
        FILE_OF("'*.*'", KMS ", {kms: {name: b, endpoint: 'unix:///run/b.sock', cachesize: 9}}")};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct kerrinfo e = {0};
        AUTO_ENCRYPTION_CONFIG c = NULL;
        const struct lint_facts facts = {.may_be_v1 = true};
        AUTO_LINT before = lint(texts[i], NULL);
        AUTO_LINT list = NULL;
        assert_true(before->is_refused);
        assert_ok(&e, encryption_config_parse(bytes_of_text(texts[i]), "F", &c, &e));
        assert_ok(&e, lint_encryption_config(c, &facts, &list, &e));
        assert_false(list->is_refused);
    }
}

static void test_rows_and_rules_agree(void **state)
{
    (void)state;
    for (size_t r = 0; r < LINT_RULE_COUNT; r++) {
        bool has_row = r == LINT_UNAUTHENTICATED;
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            has_row = has_row || rows[i].rule == r;
        }
        if (!has_row) {
            fail_msg("no test makes the fault %s", lint_rules[r].id);
        }
    }
}

/* The meaning of a file that does not load is not told, and findings stand in the file's order. */
static void test_order(void **state)
{
    (void)state;
    AUTO_LINT list = lint(FILE_OF("configmaps", PLAIN ", {aescbc: {keys: [{name: k}]}}, {kms: {}}")
                              ENTRY("Pods", KMS),
                          NULL);
    static const enum lint_rule expected[] = {LINT_KEY_SECRET, LINT_KMS_VERSION_MISSING,
                                              LINT_NAME_EMPTY, LINT_ENDPOINT_MISSING,
                                              LINT_RESOURCE_CAPITAL};
    assert_int_equal(list->count, ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_int_equal(list->items[i].rule, expected[i]);
    }
}

static void test_bound(void **state)
{
    (void)state;
    AUTO_BUF text;
    const char *whole = NULL;
    struct kerrinfo e = {0};
    buf_init(&text, ENCRYPTION_CONFIG_FILE_MAX);
    assert_ok(&e, buf_put_text(&text, HEAD "- resources: ['*.*'", &e));
    for (size_t i = 0; i < LINT_FINDINGS_MAX + 50; i++) {
        assert_ok(&e, buf_printf(&text, &e, ", X%zu.a", i));
    }
    assert_ok(&e, buf_put_text(&text, "]\n  providers: [" KMS "]\n", &e));
    assert_ok(&e, buf_text(&text, &whole, &e));
    AUTO_LINT list = lint(whole, NULL);
    assert_int_equal(list->count, LINT_FINDINGS_MAX);
    assert_int_equal(list->totals[LINT_ERROR], 2 * (LINT_FINDINGS_MAX + 50));
}

int main(void)
{
    assert_int_equal(secret_start(SECRET_LOCK_BEST_EFFORT, NULL), KERR_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_rule),
        cmocka_unit_test(test_unauthenticated),
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_socket_is_compared_only_when_known),
        cmocka_unit_test(test_v1_where_it_may_be_on),
        cmocka_unit_test(test_rows_and_rules_agree),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
