/* SPDX-License-Identifier: Apache-2.0 */
/* config/config.h: every key good, bad, absent, printed and read back; refusals with their place.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "config/config.h"
#include "tests/lib/testlib.h"

#define PRINTED_MAX 262144

static struct config *parse_good(const char *yaml)
{
    struct kerrinfo e = {0};
    struct config *c = NULL;
    enum kerr k = config_parse(bytes_of_text(yaml), "F", &c, &e);
    if (k != KERR_OK) {
        fail_msg("%s\n%s: %s", yaml, kerr_name(k), e.text);
    }
    return c;
}

/* The caller frees. */
static char *printed(const struct config *c)
{
    struct kerrinfo e = {0};
    AUTO_BUF b;
    buf_init(&b, PRINTED_MAX);
    assert_ok(&e, config_print(c, &b, &e));
    char *text = NULL;
    assert_ok(&e, text_dup(buf_view(&b), &text, &e));
    return text;
}

static const char defaults[] = "socket:\n"
                               "  path: \"/run/etcdseal/kms.sock\"\n"
                               "  mode: \"0600\"\n"
                               "  owner: \"root\"\n"
                               "  group: \"root\"\n"
                               "  connections_max: 64\n"
                               "peers:\n"
                               "  - { uid: 0, methods: [status, encrypt, decrypt], "
                               "decrypt_rate: 0 }\n"
                               "provider: local\n"
                               "also_unwrap: []\n"
                               "kms_version: v2\n"
                               "keystore:\n"
                               "  path: \"/var/lib/etcdseal/keystore\"\n"
                               "  unseal: {}\n"
                               "  poll: 10s\n"
                               "metrics:\n"
                               "  listen: \"off\"\n"
                               "log:\n"
                               "  level: info\n"
                               "  format: text\n"
                               "  requests: true\n"
                               "memory_lock: strict\n"
                               "shutdown_grace: 5s\n";

static void test_defaults(void **state)
{
    (void)state;
    AUTO_CONFIG c = parse_good("{}");
    assert_string_equal(c->file, "F");
    assert_string_equal(c->socket_path, "/run/etcdseal/kms.sock");
    assert_int_equal(c->socket_mode, 0600);
    assert_string_equal(c->socket_owner, "root");
    assert_string_equal(c->socket_group, "root");
    assert_int_equal(c->socket_connections_max, 64);
    assert_int_equal(c->peer_count, 1);
    assert_int_equal(c->peers[0].kind, CONFIG_PEER_UID);
    assert_int_equal(c->peers[0].id, 0);
    assert_int_equal(c->peers[0].methods, CONFIG_METHODS_ALL);
    assert_int_equal(c->peers[0].decrypt_rate, 0);
    assert_null(c->peers[0].note);
    assert_int_equal(c->provider, CONFIG_PROVIDER_LOCAL);
    assert_int_equal(c->also_unwrap, 0);
    /* Without the section nothing of it is set. */
    assert_null(c->vault.key);
    assert_null(c->vault.mount);
    assert_int_equal(c->version, CONFIG_VERSION_V2);
    assert_string_equal(c->keystore_path, "/var/lib/etcdseal/keystore");
    assert_int_equal(c->unseal_count, 0);
    assert_int_equal(c->poll_ms, 10000);
    assert_false(c->metrics_is_on);
    assert_null(c->metrics_host);
    assert_int_equal(c->log_level, LOG_LEVEL_INFO);
    assert_int_equal(c->log_format, LOG_FORMAT_TEXT);
    assert_true(c->log_requests);
    assert_int_equal(c->memory_lock, SECRET_LOCK_STRICT);
    assert_int_equal(c->shutdown_grace_ms, 5000);
    char *text = printed(c);
    assert_string_equal(text, defaults);
    free(text);
}

/* A configuration in which nothing has its default. */
static const char everything[] = "# comment\n"
                                 "socket: { path: /tmp/a b.sock, mode: \"0660\", owner: '1000', "
                                 "group: 12, connections_max: 1 }\n"
                                 "peers:\n"
                                 "  - uid: 1001\n"
                                 "    methods: [decrypt, status]\n"
                                 "    decrypt_rate: 50\n"
                                 "    note: 'say \"hi\" \\ \xc3\xa9'\n"
                                 "  - gid: 4294967294\n"
                                 "provider: \"local\"\n"
                                 "kms_version: v2beta1\n"
                                 "keystore:\n"
                                 "  path: /k\n"
                                 "  poll: 1500ms\n"
                                 "  unseal:\n"
                                 "    boot: \"credential:boot\"\n"
                                 "    ops-2: passphrase:file=/p\n"
                                 "    \"123\": \"file:/k\\\"q\\\\\"\n"
                                 "metrics: { listen: \"[::1]:9655\" }\n"
                                 "log: { level: debug, format: json, requests: false }\n"
                                 "memory_lock: best-effort\n"
                                 "shutdown_grace: 0\n";

static void check_everything(const struct config *c)
{
    assert_string_equal(c->socket_path, "/tmp/a b.sock");
    assert_int_equal(c->socket_mode, 0660);
    assert_string_equal(c->socket_owner, "1000");
    assert_string_equal(c->socket_group, "12");
    assert_int_equal(c->socket_connections_max, 1);
    assert_int_equal(c->peer_count, 2);
    assert_int_equal(c->peers[0].kind, CONFIG_PEER_UID);
    assert_int_equal(c->peers[0].id, 1001);
    assert_int_equal(c->peers[0].methods, CONFIG_METHOD_STATUS | CONFIG_METHOD_DECRYPT);
    assert_int_equal(c->peers[0].decrypt_rate, 50);
    assert_string_equal(c->peers[0].note, "say \"hi\" \\ \xc3\xa9");
    assert_int_equal(c->peers[1].kind, CONFIG_PEER_GID);
    assert_int_equal(c->peers[1].id, 4294967294);
    assert_int_equal(c->peers[1].methods, CONFIG_METHODS_ALL);
    assert_int_equal(c->version, CONFIG_VERSION_V2BETA1);
    assert_string_equal(c->keystore_path, "/k");
    assert_int_equal(c->poll_ms, 1500);
    assert_int_equal(c->unseal_count, 3);
    assert_string_equal(c->unseal[0].slot, "boot");
    assert_string_equal(c->unseal[0].spec, "credential:boot");
    assert_string_equal(c->unseal[1].slot, "ops-2");
    assert_string_equal(c->unseal[1].spec, "passphrase:file=/p");
    assert_string_equal(c->unseal[2].slot, "123");
    assert_string_equal(c->unseal[2].spec, "file:/k\"q\\");
    assert_true(c->metrics_is_on);
    assert_string_equal(c->metrics_host, "::1");
    assert_int_equal(c->metrics_port, 9655);
    assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(c->log_format, LOG_FORMAT_JSON);
    assert_false(c->log_requests);
    assert_int_equal(c->memory_lock, SECRET_LOCK_BEST_EFFORT);
    assert_int_equal(c->shutdown_grace_ms, 0);
}

static void test_everything_is_read_printed_and_read_again(void **state)
{
    (void)state;
    AUTO_CONFIG c = parse_good(everything);
    check_everything(c);
    char *text = printed(c);
    AUTO_CONFIG again = parse_good(text);
    check_everything(again);
    char *twice = printed(again);
    assert_string_equal(text, twice);
    free(twice);
    free(text);
}

static void test_json_is_yaml(void **state)
{
    (void)state;
    AUTO_CONFIG c =
        parse_good("{\n\t\"socket\": { \"path\": \"/a\" },\n\t\"peers\": [ { \"uid\": 7 "
                   "} ]\n}\n");
    assert_string_equal(c->socket_path, "/a");
    assert_int_equal(c->peers[0].id, 7);
}

struct good {
    const char *yaml;
    const char *line; /* of what config_print says */
};

static const struct good goods[] = {
    {"socket: { path: /s }", "  path: \"/s\"\n"},
    {"socket: { mode: '0640' }", "  mode: \"0640\"\n"},
    {"socket: { mode: \"600\" }", "  mode: \"0600\"\n"},
    {"socket: { mode: \"0000\" }", "  mode: \"0000\"\n"},
    {"socket: { owner: etcd.seal_1-x$ }", "  owner: \"etcd.seal_1-x$\"\n"},
    {"socket: { owner: 4294967294 }", "  owner: \"4294967294\"\n"},
    {"socket: { group: kube }", "  group: \"kube\"\n"},
    {"socket: { connections_max: 1024 }", "  connections_max: 1024\n"},
    {"peers: [ { uid: 65533 }, { uid: 65535 }, { gid: 0 } ]", "  - { uid: 65533, "},
    {"peers: [ { uid: 5 }, { gid: 5 } ]", "  - { gid: 5, "},
    {"peers: [ { uid: 5, methods: [encrypt] } ]", "methods: [encrypt], "},
    {"peers: [ { uid: 5, decrypt_rate: 1000000 } ]", "decrypt_rate: 1000000 }"},
    {"peers: [ { uid: 5, note: \"on: off\" } ]", "note: \"on: off\" }"},
    {"provider: local", "provider: local\n"},
    {"kms_version: v2", "kms_version: v2\n"},
    {"keystore: { path: /a/b }", "  path: \"/a/b\"\n"},
    {"keystore: { poll: 1s }", "  poll: 1s\n"},
    {"keystore: { poll: 1h }", "  poll: 3600s\n"},
    {"keystore: { poll: 1001ms }", "  poll: 1001ms\n"},
    {"keystore: { unseal: {} }", "  unseal: {}\n"},
    {"keystore: { unseal: { a: \"passphrase:\" } }", "  unseal:\n    a: \"passphrase:\"\n"},
    {"metrics: { listen: off }", "  listen: \"off\"\n"},
    {"metrics: { listen: 127.0.0.1:1 }", "  listen: \"127.0.0.1:1\"\n"},
    {"metrics: { listen: \"127.255.0.9:65535\" }", "  listen: \"127.255.0.9:65535\"\n"},
    {"log: { level: error }", "  level: error\n"},
    {"log: { level: warn }", "  level: warn\n"},
    {"log: { requests: true }", "  requests: true\n"},
    {"memory_lock: strict", "memory_lock: strict\n"},
    {"shutdown_grace: 60s", "shutdown_grace: 60s\n"},
    {"shutdown_grace: \"0\"", "shutdown_grace: 0s\n"},
};

static void test_good_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
        AUTO_CONFIG c = parse_good(goods[i].yaml);
        char *text = printed(c);
        if (strstr(text, goods[i].line) == NULL) {
            fail_msg("%s: no \"%s\" in\n%s", goods[i].yaml, goods[i].line, text);
        }
        AUTO_CONFIG again = parse_good(text);
        char *twice = printed(again);
        assert_string_equal(text, twice);
        free(twice);
        free(text);
    }
}

/* ---- files ---- */

static void test_files(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_CONFIG c = NULL;
    char *folder = test_folder_new();
    char *path = test_path(folder, "etcdseald.yaml");
    assert_refused(&e, KERR_NOTFOUND, "etcdseald.yaml", config_read(path, &c, &e));
    test_write_file(folder, "etcdseald.yaml", bytes_of_text("log: { level: debug }\n"));
    assert_ok(&e, config_read(path, &c, &e));
    assert_string_equal(c->file, path);
    assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
    config_free_at(&c);
    char *link = test_path(folder, "link");
    assert_int_equal(symlink("etcdseald.yaml", link), 0);
    assert_refused(&e, KERR_DENIED, "symbolic link", config_read(link, &c, &e));
    assert_refused(&e, KERR_INPUT, "not a regular file", config_read(folder, &c, &e));
    test_write_file(folder, "etcdseald.yaml", bytes_of_text("log: { levl: debug }\n"));
    char want[600];
    (void)snprintf(want, sizeof want, "%s:1:8: unknown key 'levl'", path);
    assert_refused(&e, KERR_CONFIG, want, config_read(path, &c, &e));
    test_write_file(folder, "etcdseald.yaml", bytes_of_text(""));
    assert_refused(&e, KERR_CONFIG, "empty", config_read(path, &c, &e));
    free(link);
    free(path);
    test_folder_remove(folder);
}

static void test_file_limit(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_CONFIG c = NULL;
    char *folder = test_folder_new();
    char *path = test_path(folder, "c");
    static char text[CONFIG_FILE_MAX + 1];
    memset(text, '#', sizeof text);
    memcpy(text, "{} ", 3);
    test_write_file(folder, "c", bytes_of(text, CONFIG_FILE_MAX));
    assert_ok(&e, config_read(path, &c, &e));
    config_free_at(&c);
    test_write_file(folder, "c", bytes_of(text, CONFIG_FILE_MAX + 1));
    assert_refused(&e, KERR_LIMIT, "larger than 65536 bytes", config_read(path, &c, &e));
    assert_refused(&e, KERR_LIMIT, "F is larger than 65536 bytes",
                   config_parse(bytes_of(text, CONFIG_FILE_MAX + 1), "F", &c, &e));
    free(path);
    test_folder_remove(folder);
}

/* ---- restart ---- */

static void check_restart(const char *yaml, const char *want)
{
    struct kerrinfo e = {0};
    AUTO_CONFIG running = parse_good("{}");
    AUTO_CONFIG fresh = parse_good(yaml);
    AUTO_BUF names;
    buf_init(&names, 1024);
    assert_ok(&e, config_restart_needed(running, fresh, &names, &e));
    const char *text = NULL;
    assert_ok(&e, buf_text(&names, &text, &e));
    assert_string_equal(text, want);
}

static void test_restart_needed(void **state)
{
    (void)state;
    check_restart("{}", "");
    check_restart(defaults, "");
    check_restart("peers: [ { uid: 1 } ]\nlog: { level: debug, format: json, requests: false }\n"
                  "shutdown_grace: 1s\nkeystore: { poll: 20s }\n",
                  "");
    check_restart("socket: { path: /s }", "socket.path");
    check_restart("socket: { mode: \"0660\", owner: a, group: b, connections_max: 2 }",
                  "socket.mode, socket.owner, socket.group, socket.connections_max");
    check_restart("keystore: { unseal: { a: \"file:/k\" } }", "keystore.unseal");
    check_restart("kms_version: v2beta1\nkeystore: { path: /k }\nmemory_lock: best-effort",
                  "kms_version, keystore.path, memory_lock");
    check_restart("metrics: { listen: \"127.0.0.1:1\" }", "metrics.listen");
}

/* ---- the list itself ---- */

static void test_list_of_keys(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct config_key *key; (key = config_key_at(count)) != NULL; count++) {
        assert_non_null(key->path);
        assert_true(strlen(key->meaning) > 3);
        for (size_t j = 0; j < count; j++) {
            assert_string_not_equal(key->path, config_key_at(j)->path);
        }
    }
    assert_int_equal(count, 54);
    /* A section's keys stand together, or they would be printed twice. */
    AUTO_CONFIG c = parse_good("{}");
    char *text = printed(c);
    assert_ptr_equal(strstr(strstr(text, "socket:\n") + 1, "socket:\n"), NULL);
    assert_ptr_equal(strstr(strstr(text, "keystore:\n") + 1, "keystore:\n"), NULL);
    free(text);
    config_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything_is_read_printed_and_read_again),
        cmocka_unit_test(test_json_is_yaml),
        cmocka_unit_test(test_good_values),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_file_limit),
        cmocka_unit_test(test_restart_needed),
        cmocka_unit_test(test_list_of_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
