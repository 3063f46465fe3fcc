/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation that our own code makes while it reads or prints a configuration fails in turn:
 * the call ends with NOMEM and leaks nothing (seen by the address sanitizer's run of this test).
 * libfyaml is left out: version 0.7 crashes when it gets no memory.
 */
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/apiserver.h"
#include "config/config.h"
#include "config/encryption_config.h"
#include "tests/fault/failing_alloc.h"
#include "tests/lib/testlib.h"

static const char daemon_text[] =
    "socket: { path: /s, owner: a, group: b }\n"
    "peers: [ { uid: 1, note: one }, { gid: 2, note: two } ]\n"
    "keystore: { path: /k, unseal: { a: \"file:/a\", b: \"file:/b\" } }\n"
    "metrics: { listen: \"127.0.0.1:1\" }\n"
    "vault: { addresses: [\"https://a:1\", \"unix:/p\"], ca_file: /ca, namespace: n, key: k, "
    "cluster_id: c, auth: { approle: { role_id_file: /r, secret_id_file: \"credential:s\" } } }\n";

static const char encryption_text[] =
    "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n"
    "resources: [{resources: [secrets], providers: [{kms: {name: a}}, {identity: {}}]}]\n";

static const char manifest_text[] =
    "{kind: Pod, spec: {containers: [{command: [kube-apiserver, --a=b], volumeMounts: [{name: v, "
    "mountPath: /r}]}], volumes: [{name: v, hostPath: {path: /r}}]}}";

static const char rancher_text[] = "kube-apiserver-arg: [a=b]\n";

static char *folder;
static char *daemon_path;
static char *encryption_path;

static enum kerr read_config(struct kerrinfo *e)
{
    AUTO_CONFIG c = NULL;
    return config_read(daemon_path, &c, e);
}

static enum kerr print_config(struct kerrinfo *e)
{
    AUTO_CONFIG c = NULL;
    AUTO_CONFIG other = NULL;
    AUTO_BUF text;
    AUTO_BUF names;
    buf_init(&text, 65536);
    buf_init(&names, 1024);
    enum kerr k = config_parse(bytes_of_text(daemon_text), "F", &c, e);
    if (k == KERR_OK) {
        k = config_parse(bytes_of_text("{}"), "F", &other, e);
    }
    if (k == KERR_OK) {
        k = config_print(c, &text, e);
    }
    return k == KERR_OK ? config_restart_needed(other, c, &names, e) : k;
}

static enum kerr read_encryption_config(struct kerrinfo *e)
{
    AUTO_ENCRYPTION_CONFIG c = NULL;
    return encryption_config_read(encryption_path, &c, e);
}

static enum kerr read_apiserver(struct kerrinfo *e)
{
    AUTO_APISERVER manifest = NULL;
    AUTO_APISERVER rancher = NULL;
    enum kerr k = apiserver_parse_manifest(bytes_of_text(manifest_text), "F", &manifest, e);
    return k == KERR_OK ? apiserver_parse_rancher(bytes_of_text(rancher_text), "F", APISERVER_K3S,
                                                  &rancher, e)
                        : k;
}

/* A file that is refused: the way out frees as well. */
static enum kerr read_bad_config(struct kerrinfo *e)
{
    AUTO_CONFIG c = NULL;
    static const char text[] = "peers: [ { uid: 1, note: one }, { uid: 1, note: two } ]\n";
    enum kerr k = config_parse(bytes_of_text(text), "F", &c, e);
    return k == KERR_CONFIG ? KERR_OK : k == KERR_OK ? KERR_BUG : k;
}

/* The same for the section vault: refused at its last key, after all others were kept. */
static enum kerr read_bad_vault(struct kerrinfo *e)
{
    AUTO_CONFIG c = NULL;
    static const char text[] =
        "vault: { addresses: [\"http://a:1\"], key: k, auth: { jwt: { role: r, file: /f } } }\n";
    enum kerr k = config_parse(bytes_of_text(text), "F", &c, e);
    return k == KERR_CONFIG ? KERR_OK : k == KERR_OK ? KERR_BUG : k;
}

static enum kerr make_pages(struct kerrinfo *e)
{
    AUTO_BUF schema;
    AUTO_BUF man;
    buf_init(&schema, CONFIG_PAGE_MAX);
    buf_init(&man, CONFIG_PAGE_MAX);
    enum kerr k = config_schema(&schema, e);
    return k == KERR_OK ? config_man(&man, e) : k;
}

/* Fails each allocation in turn; how many there were is checked, so that an empty loop is seen. */
static void fail_each(enum kerr (*act)(struct kerrinfo *), int least)
{
    int n = 0;
    bool is_done = false;
    while (!is_done) {
        struct kerrinfo e = {0};
        allocations = 0;
        fail_at = ++n;
        enum kerr k = act(&e);
        is_done = allocations < n;
        fail_at = 0;
        if (k != (is_done ? KERR_OK : KERR_NOMEM)) {
            fail_msg("allocation %d: %s: %s", n, kerr_name(k), e.text);
        }
    }
    if (n <= least) {
        fail_msg("only %d allocations, expected more than %d", n - 1, least - 1);
    }
}

static void reading(void **state)
{
    (void)state;
    fail_each(read_config, 20);
}

static void printing(void **state)
{
    (void)state;
    fail_each(print_config, 40);
}

static void reading_what_is_refused(void **state)
{
    (void)state;
    fail_each(read_bad_config, 10);
    fail_each(read_bad_vault, 18);
}

static void reading_encryption_config(void **state)
{
    (void)state;
    fail_each(read_encryption_config, 8);
}

static void making_pages(void **state)
{
    (void)state;
    fail_each(make_pages, 40);
}

static void reading_apiserver(void **state)
{
    (void)state;
    fail_each(read_apiserver, 20);
}

static int make_files(void **state)
{
    (void)state;
    folder = test_folder_new();
    daemon_path = test_path(folder, "etcdseald.yaml");
    encryption_path = test_path(folder, "enc.yaml");
    test_write_file(folder, "etcdseald.yaml", bytes_of_text(daemon_text));
    test_write_file(folder, "enc.yaml", bytes_of_text(encryption_text));
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    free(daemon_path);
    free(encryption_path);
    test_folder_remove(folder);
    return 0;
}

int main(void)
{
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading),
        cmocka_unit_test(printing),
        cmocka_unit_test(reading_what_is_refused),
        cmocka_unit_test(reading_encryption_config),
        cmocka_unit_test(making_pages),
        cmocka_unit_test(reading_apiserver),
    };
    return cmocka_run_group_tests_name("config.alloc", tests, make_files, remove_files);
}
