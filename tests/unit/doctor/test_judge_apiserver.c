/* SPDX-License-Identifier: Apache-2.0 */
/* The judges of the API server, its files and its answers, over made-up facts. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/testlib.h"
#include "tests/unit/doctor/healthy.h"

static void with_manifest(const char *old, const char *new)
{
    char text[2048];
    struct kerrinfo e = {0};
    const char *at = strstr(manifest, old);
    assert_non_null(at);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - manifest), manifest, new,
                   at + strlen(old));
    apiserver_free(f.apiserver.file);
    f.apiserver.file = NULL;
    assert_ok(&e, apiserver_parse_manifest(bytes_of_text(text), "/m.yaml", &f.apiserver.file, &e));
}

static void test_probes(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        unsigned minor;
        bool is_found;
    } rows[] = {
        {"/livez", 36, false},
        {"/livez", 0, false}, /* an image that does not say its version */
        {"/livez", 28, true},
        {"/livez?exclude=kms-providers", 28, false},
        {"/healthz", 36, true},
        {"/healthz?verbose", 36, true},
        {"/healthz?exclude=kms-providers", 36, false},
        {"/healthz/kms-providers", 36, true},
        {"/healthz/etcd", 36, false},
        {"/readyz", 36, true},
        {"/readyz/kms-provider-0", 36, true},
        {"/livez/ping", 36, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char probe[128];
        (void)snprintf(probe, sizeof probe, "path: '%s'", rows[i].path);
        with_manifest("path: /livez", probe);
        f.apiserver.minor = rows[i].minor;
        if (rows[i].is_found) {
            found("apiserver-probes", "livenessProbe");
        } else {
            judge();
            assert_int_equal(report.finding_count, 0);
        }
    }
    with_manifest("livenessProbe: {httpGet: {path: /livez",
                  "startupProbe: {httpGet: {path: /healthz");
    found("apiserver-probes", "startupProbe");
}

static void test_flags(void **state)
{
    (void)state;
    with_manifest("-automatic-reload=true", "-automatic-reload=false");
    found("apiserver-reload", "is false");
    with_manifest("--encryption-provider-config-automatic-reload=true", "--v=2");
    found("apiserver-reload", "is not set");
    with_manifest("kube-apiserver,", "kube-apiserver,"); /* as it was */
    f.apiserver.config_inside = "";
    f.apiserver.config_look = LOOK_NO;
    found("apiserver-flag", "not among the flags");
    assert_string_equal(report.findings[0].where, "/m.yaml");
    f.apiserver.config_inside = "enc.yaml";
    found("apiserver-flag", "not an absolute path");
    assert_string_equal(report.findings[0].where, "/m.yaml:4:31");
    f.apiserver.config_inside = f.apiserver.config_path;
    f.apiserver.config_look = LOOK_DONE;
    q.encryption_config = "/other.yaml";
    found("apiserver-flag", "not /other.yaml");
}

static void test_running(void **state)
{
    (void)state;
    static const char words[] = "kube-apiserver\0--encryption-provider-config=/old.yaml\0"
                                "--encryption-provider-config-automatic-reload\0";
    struct kerrinfo e = {0};
    assert_ok(&e, apiserver_read_words(bytes_of(words, sizeof words - 1), "process 9",
                                       &f.apiserver.process, &e));
    found("apiserver-running", "/old.yaml");
    assert_string_equal(report.findings[0].where, "process 9");
}

static void test_mounts(void **state)
{
    (void)state;
    with_manifest("{name: e, mountPath: /etc/enc}, ", "");
    f.apiserver.config_path = "";
    f.apiserver.config_look = LOOK_NO;
    found("apiserver-config-mount", "/etc/enc/config.yaml");
    f.apiserver.config_path = "/etc/enc/config.yaml";
    f.apiserver.config_look = LOOK_DONE;
    with_manifest("mountPath: /etc/enc}", "mountPath: /etc/enc/config.yaml}");
    found("apiserver-config-mount-file", "not its folder");
    with_manifest(", {name: r, mountPath: /run/etcdseal}", "");
    f.apiserver.socket_inside = "";
    found("apiserver-socket-mount", "/run/etcdseal/kms.sock");
    f.apiserver.socket_inside = "/run/etcdseal/kms.sock";
    with_manifest("hostPath: {path: /run/etcdseal}", "hostPath: {path: /run/etcdseal/kms.sock}");
    found("apiserver-socket-mount-file", "not its folder");
}

static void test_no_apiserver(void **state)
{
    (void)state;
    apiserver_free(f.apiserver.file);
    f.apiserver.file = NULL;
    unknown("apiserver-found", "--manifest");
    f.apiserver.file_error = "/m.yaml:1:1: not the manifest";
    found("apiserver-found", "not the manifest");
}

static void test_encryption(void **state)
{
    (void)state;
    f.apiserver.config_look = LOOK_FAILED;
    f.apiserver.config_error = "/e.yaml:1:1: nonsense";
    found("encryption-config-loads", "nonsense");
    f.apiserver.config_look = LOOK_DONE;
    f.apiserver.ours = NULL;
    found("encryption-config-endpoint", "/run/etcdseal/kms.sock");
    f.apiserver.ours = &f.apiserver.config->entries[0].providers[0];
    f.apiserver.config_hash = "sha256:2";
    found("apiserver-config-loaded", "sha256:2");
}

/* Each finding of the linter, with its severity, place, cure and page. */
static void test_lint(void **state)
{
    (void)state;
    static const struct {
        const char *old;
        const char *new;
        const char *id;
        const char *rule;
        enum doctor_severity severity;
    } rows[] = {
        {"apiVersion: v2, ", "", "encryption-config-loads", "kms-version-missing", DOCTOR_ERROR},
        {"    providers:\n", "    providers:\n      - identity: {}\n", "encryption-config",
         "identity-first", DOCTOR_ERROR},
        {"'*.*'", "secrets", "encryption-config", "partial-encryption", DOCTOR_NOTE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[1024];
        struct kerrinfo e = {0};
        const struct lint_facts facts = {.socket_path = NULL};
        const char *at = strstr(encryption, rows[i].old);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - encryption), encryption,
                       rows[i].new, at + strlen(rows[i].old));
        AUTO_ENCRYPTION_CONFIG c = NULL;
        assert_ok(&e, encryption_config_parse(bytes_of_text(text), "/e.yaml", &c, &e));
        lint_free_at(&f.apiserver.lint);
        assert_ok(&e, lint_encryption_config(c, &facts, &f.apiserver.lint, &e));
        judge();
        const struct doctor_finding *x = &report.findings[0];
        assert_true(report.finding_count >= 1);
        assert_string_equal(x->check->id, rows[i].id);
        assert_string_equal(x->rule, rows[i].rule);
        assert_int_equal(x->severity, rows[i].severity);
        assert_non_null(strstr(x->where, "/etc/enc/config.yaml:"));
        assert_non_null(strstr(x->docs, "docs/encryption-config.md#"));
        assert_true(*x->cure != 0 && *x->why != 0);
    }
}

static void test_answers(void **state)
{
    (void)state;
    f.apiserver.look = LOOK_FAILED;
    f.apiserver.why = "cannot connect";
    unknown("apiserver-answers", "cannot connect");
    f.apiserver.look = LOOK_DONE;
    f.apiserver.metrics_status = 403;
    unknown("apiserver-answers", "HTTP 403");
    f.apiserver.metrics_status = 200;
    f.apiserver.url = "";
    unknown("apiserver-answers", "--apiserver");
    f.apiserver.url = "https://x";
    f.apiserver.health = 500;
    f.apiserver.health_text = "kms-provider-0: down";
    found("apiserver-health", "HTTP 500: kms-provider-0: down");
    f.apiserver.health = 404;
    found("apiserver-health", "no KMS v2 provider");
}

static void test_keys(void **state)
{
    (void)state;
    f.daemon.key_id_hash = "sha256:2";
    found("key-agreement", "sha256:2");
    f.daemon.loaded_at_s = NOW - FACTS_AGREE_S + 1;
    found("key-agreement-pending", "sha256:2");
    assert_int_equal(report.findings[0].severity, DOCTOR_NOTE);
    healthy_daemon();
    f.apiserver.metrics.provider_count = 0;
    found("key-agreement", "no key id of provider etcdseal");
}

static void test_other_nodes(void **state)
{
    (void)state;
    struct fact_other *other = &f.apiserver.others[0];
    other->hash = "sha256:2";
    found("nodes-agree", "has key sha256:2...");
    other->hash = "";
    found("nodes-agree", "has told no key id of provider etcdseal");
    other->why = "refused";
    found("nodes-agree", "could not be asked: refused");
    f.apiserver.others[1] = f.apiserver.others[0];
    f.apiserver.other_count = 2;
    judge();
    assert_int_equal(report.finding_count, 2);
    f.daemon.loaded_at_s = NOW - FACTS_AGREE_S + 1;
    judge();
    assert_int_equal(report.finding_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_probes),       TEST(test_flags),       TEST(test_running), TEST(test_mounts),
        TEST(test_no_apiserver), TEST(test_encryption),  TEST(test_lint),    TEST(test_answers),
        TEST(test_keys),         TEST(test_other_nodes),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
