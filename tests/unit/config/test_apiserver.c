/* SPDX-License-Identifier: Apache-2.0 */
/* config/apiserver.h: what kubeadm, k3s, RKE2 and a command line say, and what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/secret.h"
#include "config/apiserver.h"
#include "tests/lib/testlib.h"

/* As kubeadm writes it, with what our guide adds. */
static const char kubeadm[] =
    "apiVersion: v1\n"                                                             /* line 1 */
    "kind: Pod\n"                                                                  /* 2 */
    "metadata:\n"                                                                  /* 3 */
    "  annotations:\n"                                                             /* 4 */
    "    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: "        /* 5 */
    "192.168.1.10:6443\n"                                                          /* */
    "  creationTimestamp: null\n"                                                  /* 6 */
    "  labels: {component: kube-apiserver, tier: control-plane}\n"                 /* 7 */
    "  name: kube-apiserver\n"                                                     /* 8 */
    "spec:\n"                                                                      /* 9 */
    "  containers:\n"                                                              /* 10 */
    "  - name: sidecar\n"                                                          /* 11 */
    "    command: [sleep, '--encryption-provider-config=/wrong']\n"                /* 12 */
    "  - command:\n"                                                               /* 13 */
    "    - kube-apiserver\n"                                                       /* 14 */
    "    - --advertise-address=192.168.1.10\n"                                     /* 15 */
    "    - --encryption-provider-config=/etc/kubernetes/enc/config.yaml\n"         /* 16 */
    "    - --encryption-provider-config-automatic-reload\n"                        /* 17 */
    "    - --secure-port\n"                                                        /* 18 */
    "    - \"6443\"\n"                                                             /* 19 */
    "    - --secure-port=7443\n"                                                   /* 20 */
    "    image: registry.k8s.io/kube-apiserver:v1.36.4\n"                          /* 21 */
    "    livenessProbe:\n"                                                         /* 22 */
    "      httpGet:\n"                                                             /* 23 */
    "        path: /livez\n"                                                       /* 24 */
    "        port: 6443\n"                                                         /* 25 */
    "        httpHeaders: [{name: a, value: b}]\n"                                 /* 26 */
    "    readinessProbe: {tcpSocket: {port: 6443}}\n"                              /* 27 */
    "    securityContext: {runAsUser: 65532}\n"                                    /* 28 */
    "    volumeMounts:\n"                                                          /* 29 */
    "    - {mountPath: /run/etcdseal, name: etcdseal}\n"                           /* 30 */
    "    - {mountPath: /tmp, name: scratch}\n"                                     /* 31 */
    "    - {mountPath: /etc/kubernetes/enc, name: enc, readOnly: true}\n"          /* 32 */
    "  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: " /* 33 */
    "{nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: [b]}]}]}}}\n"
    "  volumes:\n"
    "  - {name: scratch, emptyDir: {}}\n"
    "  - name: etcdseal\n"
    "    hostPath: {path: /run/etcdseal, type: Directory}\n"
    "  - name: enc\n"
    "    hostPath: {path: /srv/enc}\n"
    "status: {}\n";

static void check_value(const struct apiserver_value *v, const char *text, unsigned line,
                        unsigned column)
{
    assert_non_null(v->text);
    assert_string_equal(v->text, text);
    assert_int_equal(v->line, line);
    assert_int_equal(v->column, column);
}

static struct apiserver_spec *good_manifest(const char *text)
{
    struct kerrinfo e = {0};
    struct apiserver_spec *s = NULL;
    assert_ok(&e, apiserver_parse_manifest(bytes_of_text(text), "F", &s, &e));
    return s;
}

static void test_manifest(void **state)
{
    (void)state;
    AUTO_APISERVER s = good_manifest(kubeadm);
    assert_int_equal(s->source, APISERVER_MANIFEST);
    assert_true(s->is_container);
    assert_string_equal(s->file, "F");
    check_value(&apiserver_flag(s, "encryption-provider-config")->value,
                "/etc/kubernetes/enc/config.yaml", 16, 7);
    assert_string_equal(
        apiserver_flag(s, "encryption-provider-config-automatic-reload")->value.text, "true");
    check_value(&apiserver_flag(s, "secure-port")->value, "7443", 20, 7); /* the last one counts */
    assert_null(apiserver_flag(s, "etcd-servers"));
    check_value(&s->image, "registry.k8s.io/kube-apiserver:v1.36.4", 21, 12);
    check_value(&s->probes[APISERVER_LIVENESS], "/livez", 24, 15);
    assert_null(s->probes[APISERVER_READINESS].text);
    assert_null(s->probes[APISERVER_STARTUP].text);
    assert_true(s->has_user);
    assert_int_equal(s->user, 65532);
}

static void test_mounts(void **state)
{
    (void)state;
    AUTO_APISERVER s = good_manifest(kubeadm);
    assert_int_equal(s->mount_count, 2);
    assert_string_equal(s->mounts[0].host, "/run/etcdseal");
    check_value(&s->mounts[0].inside, "/run/etcdseal", 30, 19);
    assert_string_equal(s->mounts[1].host, "/srv/enc");
    assert_string_equal(s->mounts[1].inside.text, "/etc/kubernetes/enc");
}

/* RKE2 and others keep the program and its flags apart. */
static void test_args(void **state)
{
    (void)state;
    AUTO_APISERVER s = good_manifest("{kind: Pod, spec: {containers: [{command: "
                                     "[/usr/local/bin/kube-apiserver], args: ["
                                     "--secure-port=6443, --profiling, --v=2]}]}}");
    assert_int_equal(s->flag_count, 3);
    assert_string_equal(apiserver_flag(s, "profiling")->value.text, "true");
    AUTO_APISERVER named =
        good_manifest("{kind: Pod, spec: {containers: [{name: kube-apiserver, args: [--v=2]}]}}");
    assert_int_equal(named->flag_count, 1);
    assert_false(named->has_user);
}

static void test_manifests_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } rows[] = {
        {"kind: ConfigMap\n", "F:1:1: not the manifest of a kube-apiserver"},
        {"kind: Pod\n", "not the manifest of a kube-apiserver"},
        {"kind: Pod\nspec: {containers: [{name: etcd, command: [etcd]}]}\n", "not the manifest"},
        {"kind: Pod\nspec: {containers: {name: kube-apiserver}}\n", "not the manifest"},
        {"[]", "not the manifest"},
        {"just text", "not the manifest"},
        {"kind: Pod\nspec: {containers: [{name: kube-apiserver, args: x}]}\n",
         "F:2:50: args: expected a list"},
        {"kind: Pod\nspec: {containers: [{name: kube-apiserver, args: [{a: b}]}]}\n",
         "F:2:51: an item: expected text"},
        {"kind: Pod\nspec: {containers: [{name: kube-apiserver, securityContext: {runAsUser: "
         "root}}]}\n",
         "runAsUser: expected the number"},
        {"a: &b c\n", "anchors"},
        {"a: !b c\n", "tags"},
        {"a: b\n---\nc: d\n", "second document"},
        {"a: [b\n", "not valid YAML"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kerrinfo e = {0};
        struct apiserver_spec *s = NULL;
        assert_refused(&e, KERR_CONFIG, rows[i].words,
                       apiserver_parse_manifest(bytes_of_text(rows[i].text), "F", &s, &e));
        assert_null(s);
    }
}

static void test_too_many_flags(void **state)
{
    (void)state;
    AUTO_BUF text;
    struct kerrinfo e = {0};
    struct apiserver_spec *s = NULL;
    buf_init(&text, APISERVER_FILE_MAX);
    assert_ok(&e, buf_put_text(&text,
                               "{kind: Pod, spec: {containers: [{name: kube-apiserver, "
                               "args: [--a",
                               &e));
    for (size_t i = 0; i < APISERVER_FLAGS_MAX; i++) {
        assert_ok(&e, buf_put_text(&text, ", --a", &e));
    }
    assert_ok(&e, buf_put_text(&text, "]}]}}", &e));
    assert_refused(&e, KERR_LIMIT, "more than 256 flags",
                   apiserver_parse_manifest(buf_view(&text), "F", &s, &e));
}

/* ---- k3s and RKE2 ---- */

static void test_rancher(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_APISERVER s = NULL;
    assert_ok(&e, apiserver_parse_rancher(
                      bytes_of_text("token: K10secret\nhttps-listen-port: 7443\n"
                                    "secrets-encryption: true\ndata-dir: /data\n"
                                    "kube-apiserver-arg:\n"
                                    "  - encryption-provider-config=/e.yaml\n"
                                    "  - '--v=2'\n"
                                    "kube-apiserver-extra-mount: /run/etcdseal:/k:ro\n"
                                    "node-label: [a=b]\n"),
                      "F", APISERVER_RKE2, &s, &e));
    check_value(&apiserver_flag(s, "encryption-provider-config")->value, "/e.yaml", 6, 5);
    assert_string_equal(apiserver_flag(s, "v")->value.text, "2");
    assert_int_equal(s->mount_count, 1);
    assert_string_equal(s->mounts[0].host, "/run/etcdseal");
    assert_string_equal(s->mounts[0].inside.text, "/k");
    check_value(&s->secrets_encryption, "true", 3, 21);
    assert_string_equal(s->listen_port.text, "7443");
    assert_string_equal(s->data_dir.text, "/data");
    assert_true(s->is_container);
}

static void test_rancher_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } rows[] = {
        {"[]", "F:1:1: the file: expected keys and values"},
        {"kube-apiserver-arg: {a: b}\n", "F:1:21: kube-apiserver-arg: expected a list"},
        {"kube-apiserver-extra-mount: [/no-colon]\n", "F:1:30: kube-apiserver-extra-mount"},
        {"token: &Zq9w x\n", "anchors"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kerrinfo e = {0};
        struct apiserver_spec *s = NULL;
        assert_refused(
            &e, KERR_CONFIG, rows[i].words,
            apiserver_parse_rancher(bytes_of_text(rows[i].text), "F", APISERVER_K3S, &s, &e));
    }
}

/* config.yaml, then config.yaml.d in the order of names: a list replaces, "KEY+" adds. */
static void test_rancher_files(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    char *folder = test_folder_new();
    char *path = test_path(folder, "config.yaml");
    char *drop_ins = test_path(folder, "config.yaml.d");
    AUTO_APISERVER none = NULL;
    assert_refused(&e, KERR_NOTFOUND, "neither",
                   apiserver_read_rancher(path, APISERVER_K3S, &none, &e));
    assert_int_equal(mkdir(drop_ins, 0700), 0);
    test_write_file(drop_ins, "20.yaml", bytes_of_text("kube-apiserver-arg+: [c=3]\n"));
    test_write_file(drop_ins, "10.yml", bytes_of_text("kube-apiserver-arg: b=2\n"));
    test_write_file(drop_ins, "30.txt", bytes_of_text("not: [yaml"));
    test_write_file(drop_ins, ".yaml", bytes_of_text("not: [yaml"));
    AUTO_APISERVER only = NULL;
    assert_ok(&e, apiserver_read_rancher(path, APISERVER_K3S, &only, &e));
    assert_int_equal(only->flag_count, 2);
    test_write_file(folder, "config.yaml", bytes_of_text("kube-apiserver-arg: [a=1]\n"));
    AUTO_APISERVER s = NULL;
    assert_ok(&e, apiserver_read_rancher(path, APISERVER_K3S, &s, &e));
    assert_null(apiserver_flag(s, "a"));
    assert_string_equal(apiserver_flag(s, "b")->value.text, "2");
    assert_string_equal(apiserver_flag(s, "c")->value.text, "3");
    assert_non_null(strstr(apiserver_flag(s, "c")->value.file, "20.yaml"));
    assert_false(s->is_container);
    test_write_file(drop_ins, "40.yaml", bytes_of_text("a: [Zq9w\n"));
    AUTO_APISERVER bad = NULL;
    assert_refused(&e, KERR_CONFIG, "40.yaml",
                   apiserver_read_rancher(path, APISERVER_K3S, &bad, &e));
    assert_null(strstr(e.text, "Zq9w"));
    free(drop_ins);
    free(path);
    test_folder_remove(folder);
}

static void test_words(void **state)
{
    (void)state;
    static const char words[] = "kube-apiserver\0--a=1\0--b\0two\0three\0--c\0--d=\0";
    struct kerrinfo e = {0};
    AUTO_APISERVER s = NULL;
    assert_ok(&e, apiserver_read_words(bytes_of(words, sizeof words - 1), "process 7", &s, &e));
    assert_int_equal(s->flag_count, 4);
    assert_string_equal(apiserver_flag(s, "a")->value.text, "1");
    assert_string_equal(apiserver_flag(s, "b")->value.text, "two");
    assert_string_equal(apiserver_flag(s, "c")->value.text, "true");
    assert_string_equal(apiserver_flag(s, "d")->value.text, "");
    assert_int_equal(s->source, APISERVER_PROCESS);
    assert_string_equal(s->file, "process 7");
    AUTO_APISERVER cut = NULL;
    assert_ok(&e, apiserver_read_words(bytes_of_text("kube-apiserver"), "x", &cut, &e));
    assert_int_equal(cut->flag_count, 0);
}

static int start(void **state)
{
    (void)state;
    return (int)secret_start(SECRET_LOCK_BEST_EFFORT, NULL);
}

/* ---- places ---- */

static void test_data_dirs(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_APISERVER s = NULL;
    AUTO_APISERVER bare = NULL;
    const char *text = "data-dir: /data\ndatastore-endpoint: 'mysql://u:p@db'\n";
    assert_string_equal(apiserver_data_dir(NULL, APISERVER_K3S), "/var/lib/rancher/k3s");
    assert_string_equal(apiserver_data_dir(NULL, APISERVER_RKE2), "/var/lib/rancher/rke2");
    assert_null(apiserver_data_dir(NULL, APISERVER_MANIFEST));
    assert_null(apiserver_data_dir(NULL, APISERVER_PROCESS));
    assert_ok(&e, apiserver_parse_rancher(bytes_of_text(text), "F", APISERVER_RKE2, &s, &e));
    assert_string_equal(apiserver_data_dir(s, APISERVER_RKE2), "/data");
    assert_string_equal(s->datastore.text, "mysql://u:p@db");
    assert_int_equal(s->datastore.line, 2);
    assert_ok(&e, apiserver_parse_rancher(bytes_of_text("{}"), "F", APISERVER_K3S, &bare, &e));
    assert_string_equal(apiserver_data_dir(bare, APISERVER_K3S), "/var/lib/rancher/k3s");
    assert_null(bare->datastore.text);
}

static void test_paths(void **state)
{
    (void)state;
    static const struct apiserver_mount mounts[] = {
        {.host = "/srv//", .inside = {.text = "/enc"}},
        {.host = "/", .inside = {.text = "/host"}},
    };
    static const struct apiserver_spec pod = {
        .is_container = true, .mounts = mounts, .mount_count = ARRAY_LEN(mounts)};
    static const struct apiserver_spec bare = {.is_container = false};
    static const struct {
        const char *inside;
        const char *host; /* NULL: nowhere */
    } rows[] = {{"/enc/a", "/srv/a"}, {"/host/x", "/x"}, {"/encrypted", NULL}, {"", NULL}};
    struct apiserver_path path;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[64];
        assert_int_equal(apiserver_host_path(&pod, rows[i].inside, &path), rows[i].host != NULL);
        (void)snprintf(text, sizeof text, "%.*s%s", path.head_len, path.head, path.tail);
        assert_string_equal(text, rows[i].host != NULL ? rows[i].host : rows[i].inside);
    }
    assert_true(apiserver_inside_path(&pod, "/srv/a", &path));
    assert_ptr_equal(path.mount, &mounts[0]);
    assert_true(apiserver_host_path(&bare, "/enc/a", &path));
    assert_null(path.mount);
    assert_string_equal(path.tail, "/enc/a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_mounts),
        cmocka_unit_test(test_args),
        cmocka_unit_test(test_manifests_refused),
        cmocka_unit_test(test_too_many_flags),
        cmocka_unit_test(test_rancher),
        cmocka_unit_test(test_rancher_refused),
        cmocka_unit_test(test_rancher_files),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_data_dirs),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
