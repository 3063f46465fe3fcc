/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/status.h"
#include "tests/lib/testlib.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct kerrinfo e;
static struct metrics *metrics;
static struct config config;
static struct status_view view;
static struct buf text;

static char config_file[] = "/etc/x.yaml";
static char note[] = "the \"one\"";

static int setup(void **state)
{
    (void)state;
    assert_ok(&e, metrics_new(&metrics, &e));
    config = (struct config){.file = config_file,
                             .socket_connections_max = 64,
                             .memory_lock = SECRET_LOCK_STRICT,
                             .peer_count = 2};
    config.peers[0] = (struct config_peer){CONFIG_PEER_UID, 0, CONFIG_METHODS_ALL, 0, NULL};
    config.peers[1] = (struct config_peer){CONFIG_PEER_GID, 7, CONFIG_METHOD_DECRYPT, 5, note};
    view = (struct status_view){.config = &config,
                                .first = &config,
                                .version_wire = "v2",
                                .socket_path = "/run/k.sock",
                                .status_path = "/run/status.sock",
                                .started_at_s = 1795487500,
                                .provider = {.name = "local"},
                                .restart_needed = "",
                                .last_reload = {.code = KERR_OK}};
    buf_init(&text, STATUS_TEXT_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    metrics_free(metrics);
    buf_done(&text);
    return 0;
}

static json_t *render(void)
{
    json_error_t error;
    text.len = 0;
    assert_ok(&e, status_json(&view, metrics, &text, &e));
    json_t *root = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        fail_msg("%s in %.*s", error.text, (int)text.len, (const char *)text.ptr);
    }
    return root;
}

/* The value at "a.b.0.c". */
static json_t *at(json_t *root, const char *path)
{
    char copy[128];
    (void)snprintf(copy, sizeof copy, "%s", path);
    char *rest = copy;
    for (char *one = strsep(&rest, "."); one != NULL && root != NULL; one = strsep(&rest, ".")) {
        root = json_is_array(root) ? json_array_get(root, (size_t)(*one - '0'))
                                   : json_object_get(root, one);
    }
    if (root == NULL) {
        fail_msg("no %s", path);
    }
    return root;
}

static void assert_text_at(json_t *root, const char *path, const char *want)
{
    json_t *value = at(root, path);
    assert_true(json_is_string(value));
    assert_string_equal(json_string_value(value), want);
}

static void test_sealed(void **state)
{
    (void)state;
    view.last_reload = (struct status_reload){.at_s = 1795487501, .code = KERR_SEALED};
    (void)snprintf(view.last_reload.message, sizeof view.last_reload.message, "no \"slot\"\xff");
    json_t *root = render();
    assert_text_at(root, "version", ETCDSEAL_VERSION);
    assert_text_at(root, "kms_version", "v2");
    assert_int_equal(json_integer_value(at(root, "pid")), getpid());
    assert_text_at(root, "started_at", "2026-11-24T02:31:40Z");
    assert_true(json_is_true(at(root, "sealed")));
    assert_true(json_is_false(at(root, "ready")));
    assert_text_at(root, "provider.name", "local");
    assert_true(json_is_null(at(root, "provider.current_key_id")));
    assert_true(json_is_null(at(root, "provider.loaded_at")));
    assert_true(json_is_null(at(root, "provider.backup")));
    assert_int_equal(json_array_size(at(root, "provider.keys")), 0);
    assert_true(json_is_false(at(root, "last_reload.ok")));
    assert_text_at(root, "last_reload.code", "SEALED");
    assert_text_at(root, "last_reload.message", "no \"slot\"\xef\xbf\xbd");
    assert_int_equal(json_array_size(at(root, "restart_needed")), 0);
    assert_text_at(root, "memory_lock.policy", "strict");
    json_decref(root);
}

static void test_a_key_service(void **state)
{
    (void)state;
    json_t *root = render();
    assert_true(json_is_null(at(root, "provider.key_service")));
    json_decref(root);
    view.provider.remote = (struct provider_remote){.is_there = true,
                                                    .mode = "direct",
                                                    .state = "stopped",
                                                    .cause = "policy",
                                                    .meaning = "refused",
                                                    .cure = "write it",
                                                    .login_cause = "none",
                                                    .last_answer_s = 1795487500,
                                                    .version = 3,
                                                    .keks_cached = 2};
    root = render();
    assert_text_at(root, "provider.key_service.mode", "direct");
    assert_text_at(root, "provider.key_service.state", "stopped");
    assert_text_at(root, "provider.key_service.cause", "policy");
    assert_text_at(root, "provider.key_service.cure", "write it");
    assert_text_at(root, "provider.key_service.last_good_at", "2026-11-24T02:31:40Z");
    assert_true(json_is_null(at(root, "provider.key_service.address")));
    assert_int_equal(json_integer_value(at(root, "provider.key_service.key_version")), 3);
    assert_int_equal(json_integer_value(at(root, "provider.key_service.keks_cached")), 2);
    json_decref(root);
}

static void test_serving(void **state)
{
    (void)state;
    struct provider_info *p = &view.provider;
    p->is_serving = true;
    p->generation = 5;
    p->loaded_at_s = 1795487502;
    p->key_count = 2;
    p->slots_opened = 1;
    p->keys[0].state = "retired";
    p->keys[1].state = "primary";
    p->keys[1].created_at_s = 1795487500;
    p->keys[1].promoted_at_s = 1795487501;
    p->keeps_backup = true;
    p->backup = (struct provider_backup){4, 1795487499, "ab", 1};
    (void)snprintf(p->keys[0].id, sizeof p->keys[0].id, "es1-a");
    (void)snprintf(p->keys[1].id, sizeof p->keys[1].id, "es1-b");
    (void)snprintf(p->current_key_id, sizeof p->current_key_id, "es1-b");
    (void)snprintf(p->opened_by, sizeof p->opened_by, "boot (file)");
    (void)snprintf(p->warning, sizeof p->warning, "the disk is full");
    view.restart_needed = "socket.path, provider,keystore.path";
    view.last_reload.is_ok = true;
    metrics_decrypt(metrics, bytes_of_text("es1-a"), "retired", 1795487503);
    json_t *root = render();
    assert_true(json_is_true(at(root, "ready")));
    assert_int_equal(json_integer_value(at(root, "provider.generation")), 5);
    assert_text_at(root, "provider.current_key_id", "es1-b");
    char hash[KMS_KEY_ID_HASH_BYTES];
    kms_key_id_hash(bytes_of_text("es1-b"), hash);
    assert_text_at(root, "provider.current_key_id_hash", hash);
    assert_text_at(root, "provider.opened_by", "boot (file)");
    assert_text_at(root, "provider.warning", "the disk is full");
    assert_text_at(root, "provider.keys.0.id", "es1-a");
    assert_text_at(root, "provider.keys.0.state", "retired");
    assert_int_equal(json_integer_value(at(root, "provider.keys.0.version")), 0);
    assert_int_equal(json_integer_value(at(root, "provider.keys.0.decrypts")), 1);
    assert_text_at(root, "provider.keys.0.last_decrypt_at", "2026-11-24T02:31:43Z");
    assert_int_equal(json_integer_value(at(root, "provider.keys.1.decrypts")), 0);
    assert_true(json_is_null(at(root, "provider.keys.1.last_decrypt_at")));
    assert_true(json_is_null(at(root, "provider.keys.0.promoted_at")));
    assert_text_at(root, "provider.keys.1.created_at", "2026-11-24T02:31:40Z");
    assert_text_at(root, "provider.keys.1.promoted_at", "2026-11-24T02:31:41Z");
    assert_int_equal(json_integer_value(at(root, "provider.backup.generation")), 4);
    assert_text_at(root, "provider.backup.at", "2026-11-24T02:31:39Z");
    assert_text_at(root, "provider.backup.sha256", "ab");
    assert_int_equal(json_integer_value(at(root, "provider.backup.keys_missing")), 1);
    assert_text_at(root, "restart_needed.0", "socket.path");
    assert_text_at(root, "restart_needed.1", "provider");
    assert_text_at(root, "restart_needed.2", "keystore.path");
    assert_int_equal(json_array_size(at(root, "restart_needed")), 3);
    json_decref(root);
}

static void test_peers_and_socket(void **state)
{
    (void)state;
    view.connections_open = 2;
    view.is_activated = true;
    view.status_path = NULL;
    json_t *root = render();
    assert_int_equal(json_integer_value(at(root, "peers.0.uid")), 0);
    assert_int_equal(json_array_size(at(root, "peers.0.methods")), 3);
    assert_int_equal(json_integer_value(at(root, "peers.1.gid")), 7);
    assert_int_equal(json_array_size(at(root, "peers.1.methods")), 1);
    assert_text_at(root, "peers.1.methods.0", "decrypt");
    assert_int_equal(json_integer_value(at(root, "peers.1.decrypt_rate")), 5);
    assert_text_at(root, "peers.1.note", note);
    assert_text_at(root, "socket.path", "/run/k.sock");
    assert_true(json_is_null(at(root, "socket.status_path")));
    assert_true(json_is_true(at(root, "socket.activated")));
    assert_int_equal(json_integer_value(at(root, "connections.open")), 2);
    assert_int_equal(json_integer_value(at(root, "connections.max")), 64);
    json_decref(root);
}

static void test_the_fullest_text_fits(void **state)
{
    (void)state;
    static char long_note[201]; /* the longest that a configuration may hold */
    memset(long_note, '"', sizeof long_note - 1);
    config.peer_count = CONFIG_PEERS_MAX;
    for (size_t i = 0; i < CONFIG_PEERS_MAX; i++) {
        config.peers[i] = config.peers[1];
        config.peers[i].methods = CONFIG_METHODS_ALL;
        config.peers[i].note = long_note;
    }
    view.provider.key_count = PROVIDER_INFO_KEYS;
    for (size_t i = 0; i < PROVIDER_INFO_KEYS; i++) {
        view.provider.keys[i].state = "destroy-scheduled";
        view.provider.keys[i].created_at_s = view.provider.keys[i].promoted_at_s = 1795487500;
        memset(view.provider.keys[i].id, 'k', sizeof view.provider.keys[i].id - 1);
    }
    memset(view.last_reload.message, 1, sizeof view.last_reload.message - 1);
    json_decref(render());
    text.len = 0;
    text.max = 100;
    assert_refused(&e, KERR_LIMIT, "", status_json(&view, metrics, &text, &e));
}

static void assert_line(bool (*fn)(const struct status_view *, struct buf *), bool is_good,
                        const char *want)
{
    const char *line = NULL;
    text.len = 0;
    assert_int_equal(fn(&view, &text), is_good);
    assert_ok(&e, buf_text(&text, &line, &e));
    assert_string_equal(line, want);
}

static void test_live_and_ready(void **state)
{
    (void)state;
    assert_line(status_livez, true, "ok\n");
    assert_line(status_readyz, false, "sealed: unsealing for the first time\n");
    view.has_tried_unseal = true;
    (void)snprintf(view.last_reload.message, sizeof view.last_reload.message, "why");
    assert_line(status_readyz, false, "sealed: unsealing is tried again: why\n");
    view.provider.is_sealed_final = true;
    assert_line(status_readyz, false, "sealed: a person must act: why\n");
    assert_line(status_livez, true, "ok\n");
    view.provider.is_serving = true;
    assert_line(status_readyz, true, "ok\n");
    view.rpc_turn_age_ms = STATUS_LOOP_MAX_MS - 1;
    assert_line(status_livez, true, "ok\n");
    view.rpc_turn_age_ms = STATUS_LOOP_MAX_MS;
    assert_line(status_livez, false, "the rpc loop hangs\n");
    assert_line(status_readyz, false, "the rpc loop hangs\n");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sealed),           TEST(test_a_key_service),         TEST(test_serving),
        TEST(test_peers_and_socket), TEST(test_the_fullest_text_fits), TEST(test_live_and_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
