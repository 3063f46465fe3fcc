/* SPDX-License-Identifier: Apache-2.0 */
/* config/config.h: what is refused, with its place and what to do; and the limits. */
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "tests/lib/testlib.h"

struct bad {
    const char *yaml;
    const char *message; /* how it begins */
};

static const struct bad bad_socket[] = {
    {"socket: []", "F:1:9: socket: expected keys and values (a mapping), found a list"},
    {"socket:", "F:1:1: socket: expected keys and values (a mapping), found nothing"},
    {"socket: x", "F:1:9: socket: expected keys and values (a mapping), found text"},
    {"socket:\n  pth: /a",
     "F:2:3: unknown key 'pth' (did you mean 'path'?); expected one of: path, mode, owner, group, "
     "connections_max"},
    {"socket:\n  path: /a\n  mode: \"0600\"\n  path: /b",
     "F:4:3: repeated key 'path', first in line 2"},
    {"socket: { path: a/b }", "F:1:17: socket.path: expected an absolute path"},
    {"socket: { path: \"\" }", "F:1:17: socket.path: expected an absolute path"},
    {"socket: { path: /a/ }", "F:1:17: socket.path: expected the path of a file, without a '/'"},
    {"socket: { path: / }", "F:1:17: socket.path: expected the path of a file, without a '/'"},
    {"socket: { path: /a/.. }", "F:1:17: socket.path: expected the path of a file"},
    {"socket: { path: \"@a\" }",
     "F:1:17: socket.path: abstract sockets ('@') have neither owner nor mode; name a path such"},
    {"socket: { path: \"/a\\0b\" }", "F:1:17: a control character"},
    {"socket: { path: 7 }",
     "F:1:17: socket.path: expected an absolute path, found a number; put it in quotes"},
    {"socket: { path: [/a] }", "F:1:17: socket.path: expected an absolute path, found a list"},
    {"socket: { path: /run/status.sock }", "F:1:17: socket.path: status.sock is the name of the "
                                           "status socket in the same folder; choose another"},
    {"socket: { mode: 0600 }", "F:1:17: socket.mode: put the mode in quotes, as in \"0600\""},
    {"socket: { mode: 600 }", "F:1:17: socket.mode: put the mode in quotes"},
    {"socket: { mode: rw }",
     "F:1:17: socket.mode: expected a mode in quotes such as \"0600\", found text"},
    {"socket: { mode: \"0800\" }", "F:1:17: socket.mode: expected an octal mode"},
    {"socket: { mode: \"10600\" }", "F:1:17: socket.mode: expected an octal mode"},
    {"socket: { mode: \"0666\" }", "F:1:17: socket.mode: others must have no access"},
    {"socket: { mode: \"0601\" }", "F:1:17: socket.mode: others must have no access"},
    {"socket: { mode: {} }", "F:1:17: socket.mode: expected a mode in quotes"},
    {"socket: { owner: -x }", "F:1:18: socket.owner: expected the name or number of a user"},
    {"socket: { owner: a b }", "F:1:18: socket.owner: expected the name or number"},
    {"socket: { owner: \"\" }", "F:1:18: socket.owner: expected the name or number"},
    {"socket: { owner: ~ }",
     "F:1:18: socket.owner: expected the name or number of a user or group, found nothing"},
    {"socket: { owner: true }", "F:1:18: socket.owner: expected the name or number of a user or "
                                "group, found true or false"},
    {"socket: { owner: 4294967295 }", "F:1:18: socket.owner: expected the name or number"},
    {"socket: { group: abcdefghijabcdefghijabcdefghijabc }",
     "F:1:18: socket.group: expected the name or number"},
    {"socket: { connections_max: 0 }",
     "F:1:28: socket.connections_max: expected a whole number from 1 to 1024, without quotes"},
    {"socket: { connections_max: 1025 }", "F:1:28: socket.connections_max: expected a whole"},
    {"socket: { connections_max: \"5\" }", "F:1:28: socket.connections_max: expected a whole"},
    {"socket: { connections_max: 0x10 }", "F:1:28: socket.connections_max: expected a whole"},
    {"socket: { connections_max: -1 }", "F:1:28: socket.connections_max: expected a whole"},
    {"socket: { connections_max: 18446744073709551617 }", "F:1:28: socket.connections_max: exp"},
    {"socket: { connections_max: [1] }", "F:1:28: socket.connections_max: expected a whole"},
};

static const struct bad bad_peers[] = {
    {"peers:", "F:1:1: peers: expected a list of rows such as { uid: 0 }, found nothing"},
    {"peers: { uid: 0 }", "F:1:8: peers: expected a list of rows such as { uid: 0 }, found a map"},
    {"peers: []", "F:1:8: peers: at least one row is needed, or nobody may call; the default is [ "
                  "{ uid: 0 } ]"},
    {"peers: [ 0 ]", "F:1:10: a row of peers: expected keys and values (a mapping), found a num"},
    {"peers: [ {} ]", "F:1:10: a row of peers needs uid or gid, has none"},
    {"peers:\n  - note: x\n    methods: [status]", "F:2:5: a row of peers needs uid or gid, has"},
    {"peers: [ { uid: 0, gid: 0 } ]", "F:1:10: a row of peers needs uid or gid, not both"},
    {"peers: [ { uid: root } ]",
     "F:1:17: peers[].uid: expected a whole number from 0 to 4294967294, without quotes"},
    {"peers: [ { uid: \"0\" } ]", "F:1:17: peers[].uid: expected a whole number from 0 to 429496"},
    {"peers: [ { uid: 4294967295 } ]", "F:1:17: peers[].uid: expected a whole number from 0 to 4"},
    {"peers: [ { gid: } ]", "F:1:12: peers[].gid: expected a whole number from 0 to 4"},
    {"peers: [ { uid: 65534 } ]", "F:1:17: peers[].uid: 65534 stands for everyone who has no id of "
                                  "his own here (nobody, and all unmapped ids of containers); "
                                  "name a real one"},
    {"peers: [ { gid: 65534 } ]", "F:1:17: peers[].gid: 65534 stands for everyone"},
    {"peers:\n- uid: 1\n- gid: 1\n- { uid: 1, methods: [status] }",
     "F:4:3: peers: uid 1 stands here a second time, first in line 2"},
    {"peers: [ { gid: 1 }, { gid: 1 } ]", "F:1:22: peers: gid 1 stands here a second time"},
    {"peers: [ { uid: 1, methods: status } ]",
     "F:1:29: peers[].methods: expected a list such as [status, encrypt, decrypt], found text"},
    {"peers: [ { uid: 1, methods: [] } ]",
     "F:1:29: peers[].methods: expected at least one of status|encrypt|decrypt"},
    {"peers: [ { uid: 1, methods: [status, decrpt] } ]",
     "F:1:38: peers[].methods: 'decrpt' is not known; allowed: status, encrypt, decrypt"},
    {"peers: [ { uid: 1, methods: [status, status] } ]",
     "F:1:38: peers[].methods: status stands here a second time"},
    {"peers: [ { uid: 1, methods: [1] } ]",
     "F:1:30: peers[].methods: expected status|encrypt|decrypt, found a number; put it in quotes"},
    {"peers: [ { uid: 1, decrypt_rate: 1000001 } ]",
     "F:1:34: peers[].decrypt_rate: expected a whole number from 0 to 1000000, without quotes"},
    {"peers: [ { uid: 1, note: \"\" } ]", "F:1:26: peers[].note: expected 1 to 200 bytes"},
    {"peers: [ { uid: 1, note: 5 } ]", "F:1:26: peers[].note: expected text, found a number; put"},
    {"peers: [ { uid: 1, note: \"a\\nb\" } ]", "F:1:26: a control character or line end"},
    {"peers: [ { uid: 1, rate: 5 } ]",
     "F:1:20: unknown key 'rate'; expected one of: uid, gid, methods, decrypt_rate, note"},
    {"peers: [ { uid: 1, method: [] } ]", "F:1:20: unknown key 'method' (did you mean 'methods'?)"},
    {"peers: [ { uid: 1, uid: 2 } ]", "F:1:20: repeated key 'uid', first in line 1"},
};

static const struct bad bad_others[] = {
    {"[]", "F:1:1: the file: expected keys and values (a mapping), found a list"},
    {"x", "F:1:1: the file: expected keys and values (a mapping), found text"},
    {"~", "F:1:1: the file: expected keys and values (a mapping), found nothing"},
    {"", "F:1:1: empty; to take every default write {}"},
    {"# nothing\n", "F:1:1: empty"},
    {"\n\nkeystor: {}", "F:3:1: unknown key 'keystor' (did you mean 'keystore'?); expected one of: "
                        "socket, peers, provider, also_unwrap, kms_version, keystore, "
                        "vault, metrics, log, memory_lock, shutdown_grace"},
    {"zzz: 1", "F:1:1: unknown key 'zzz'; expected one of: socket, peers"},
    {"log: {}\nlog: {}", "F:2:1: repeated key 'log', first in line 1"},
    {"provider: remote", "F:1:11: provider: 'remote' is not known; allowed: local, vault"},
    {"provider: null", "F:1:11: provider: expected local|vault, found nothing"},
    {"provider: [local]", "F:1:11: provider: expected local|vault, found a list"},
    {"kms_version: v1", "F:1:14: kms_version: 'v1' is not known; allowed: v2, v2beta1"},
    {"kms_version: 2", "F:1:14: kms_version: expected v2|v2beta1, found a number; put it in"},
    {"keystore: { path: keystore }", "F:1:19: keystore.path: expected an absolute path"},
    {"keystore: { path: /a/ }", "F:1:19: keystore.path: expected the path of a file, without"},
    {"keystore: { path: /. }", "F:1:19: keystore.path: expected the path of a file"},
    {"keystore: { poll: 10 }", "F:1:19: keystore.poll: expected a duration such as"},
    {"keystore: { poll: 999ms }", "F:1:19: keystore.poll: expected a duration such as 500ms, 30s, "
                                  "10m, 24h or 7d, from 1000 ms to 3600000 ms"},
    {"keystore: { poll: 3601s }", "F:1:19: keystore.poll: expected a duration"},
    {"keystore: { poll: }", "F:1:13: keystore.poll: expected a duration such as 10s, found noth"},
    {"keystore: { unseal: [] }", "F:1:21: keystore.unseal: expected slot names and seals such as"},
    {"keystore: { unseal: { Boot: \"file:/k\" } }",
     "F:1:23: keystore.unseal: expected a slot name of 1 to 31 of a-z, 0-9 and '-'"},
    {"keystore: { unseal: { -a: \"file:/k\" } }", "F:1:23: keystore.unseal: expected a slot name"},
    {"keystore: { unseal: { a: /k } }",
     "F:1:26: keystore.unseal: expected KIND:WHERE with KIND one of "
     "passphrase|file|credential|vault"},
    {"keystore: { unseal: { a: \"tpm2:\" } }", "F:1:26: keystore.unseal: expected KIND:WHERE"},
    {"keystore: { unseal: { a: \":x\" } }", "F:1:26: keystore.unseal: expected KIND:WHERE"},
    {"keystore: { unseal: { a: \"fil:x\" } }", "F:1:26: keystore.unseal: expected KIND:WHERE"},
    {"keystore: { unseal: { a: \"file:/k\", a: \"file:/l\" } }", "F:1:37: repeated key 'a'"},
    {"metrics: { listen: on }", "F:1:20: metrics.listen: expected \"off\" or a loopback address"},
    {"metrics: { listen: 9655 }", "F:1:20: metrics.listen: expected \"off\" or a loopback address "
                                  "such as \"127.0.0.1:9655\", found a number"},
    {"metrics: { listen: \"127.0.0.1\" }", "F:1:20: metrics.listen: expected \"off\""},
    {"metrics: { listen: \"127.0.0.1:0\" }", "F:1:20: metrics.listen: expected \"off\""},
    {"metrics: { listen: \"127.0.0.1:65536\" }", "F:1:20: metrics.listen: expected \"off\""},
    {"metrics: { listen: \"::1:9655\" }", "F:1:20: metrics.listen: expected \"off\""},
    {"metrics: { listen: \"[]:9655\" }", "F:1:20: metrics.listen: expected \"off\""},
    {"metrics: { listen: \"0.0.0.0:9655\" }",
     "F:1:20: metrics.listen: not a numeric address of the loopback; it is served without "
     "authentication, so put a proxy before it for other hosts"},
    {"metrics: { listen: \"[::]:9655\" }", "F:1:20: metrics.listen: not a numeric address"},
    {"metrics: { listen: \"localhost:9655\" }", "F:1:20: metrics.listen: not a numeric address"},
    {"metrics: { listen: \"127.1:9655\" }", "F:1:20: metrics.listen: not a numeric address"},
    {"metrics: { listen: \"10.0.0.1:9655\" }", "F:1:20: metrics.listen: not a numeric address"},
    {"metrics: { listen: \"[::ffff:127.0.0.1]:1\" }", "F:1:20: metrics.listen: not a numeric addr"},
    {"log: { level: loud }",
     "F:1:15: log.level: 'loud' is not known; allowed: error, warn, info, debug"},
    {"log: { format: xml }", "F:1:16: log.format: 'xml' is not known; allowed: text, json"},
    {"log: { requests: yes }", "F:1:18: log.requests: expected true or false"},
    {"log: { requests: \"true\" }", "F:1:18: log.requests: expected true or false"},
    {"log: { requests: {} }", "F:1:18: log.requests: expected true or false"},
    {"memory_lock: lax", "F:1:14: memory_lock: 'lax' is not known; allowed: strict, best-effort"},
    {"shutdown_grace: 61s", "F:1:17: shutdown_grace: expected a duration"},
    {"shutdown_grace: 5", "F:1:17: shutdown_grace: expected a duration"},
};

static void check_bad(const struct bad *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct kerrinfo e = {0};
        struct config *c = NULL;
        enum kerr k = config_parse(bytes_of_text(rows[i].yaml), "F", &c, &e);
        if (k != KERR_CONFIG || strncmp(e.text, rows[i].message, strlen(rows[i].message)) != 0) {
            fail_msg("%s\ngot %s \"%s\"\nexpected \"%s\"", rows[i].yaml, kerr_name(k), e.text,
                     rows[i].message);
        }
        assert_null(c);
    }
}

static void test_bad_socket(void **state)
{
    (void)state;
    check_bad(bad_socket, ARRAY_LEN(bad_socket));
}

static void test_bad_peers(void **state)
{
    (void)state;
    check_bad(bad_peers, ARRAY_LEN(bad_peers));
}

static void test_bad_others(void **state)
{
    (void)state;
    check_bad(bad_others, ARRAY_LEN(bad_others));
}

/* The longest socket path that is allowed, and one byte more. */
static void test_socket_path_limit(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_CONFIG c = NULL;
    char folder[CONFIG_SOCKET_PATH_MAX] = "";
    char yaml[256];
    /* The folder leaves room for the 11 bytes of status.sock exactly. */
    memset(folder, 'a', CONFIG_SOCKET_PATH_MAX - 2 - strlen("status.sock"));
    (void)snprintf(yaml, sizeof yaml, "socket: { path: /%s/kms.sock-xyz }", folder);
    assert_refused(&e, KERR_CONFIG, "108 bytes, a unix socket's path holds at most 107",
                   config_parse(bytes_of_text(yaml), "F", &c, &e));
    (void)snprintf(yaml, sizeof yaml, "socket: { path: /%sa/k }", folder);
    assert_refused(&e, KERR_CONFIG, "no room for status.sock",
                   config_parse(bytes_of_text(yaml), "F", &c, &e));
    (void)snprintf(yaml, sizeof yaml, "socket: { path: /%s/kms.sock-xy }", folder);
    assert_ok(&e, config_parse(bytes_of_text(yaml), "F", &c, &e));
    assert_int_equal(strlen(c->socket_path), CONFIG_SOCKET_PATH_MAX);
}

static void test_row_limits(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_CONFIG c = NULL;
    AUTO_BUF peers;
    AUTO_BUF slots;
    buf_init(&peers, CONFIG_FILE_MAX);
    buf_init(&slots, CONFIG_FILE_MAX);
    assert_ok(&e, buf_put_text(&peers, "peers:\n", &e));
    for (int i = 0; i < CONFIG_PEERS_MAX; i++) {
        assert_ok(&e, buf_printf(&peers, &e, "- uid: %d\n", i));
    }
    assert_ok(&e, config_parse(buf_view(&peers), "F", &c, &e));
    assert_int_equal(c->peer_count, CONFIG_PEERS_MAX);
    config_free_at(&c);
    assert_ok(&e, buf_put_text(&peers, "- uid: 99\n", &e));
    assert_refused(&e, KERR_CONFIG, "F:18:3: peers: more than 16 rows",
                   config_parse(buf_view(&peers), "F", &c, &e));

    assert_ok(&e, buf_put_text(&slots, "keystore:\n  unseal:\n", &e));
    for (int i = 0; i < CONFIG_SLOTS_MAX; i++) {
        assert_ok(&e, buf_printf(&slots, &e, "    s%d: \"file:/k\"\n", i));
    }
    assert_ok(&e, config_parse(buf_view(&slots), "F", &c, &e));
    assert_int_equal(c->unseal_count, CONFIG_SLOTS_MAX);
    config_free_at(&c);
    assert_ok(&e, buf_put_text(&slots, "    more: \"file:/k\"\n", &e));
    assert_refused(&e, KERR_CONFIG, "F:35:5: keystore.unseal: more than 32 slots",
                   config_parse(buf_view(&slots), "F", &c, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_socket), cmocka_unit_test(test_bad_peers),
        cmocka_unit_test(test_bad_others), cmocka_unit_test(test_socket_path_limit),
        cmocka_unit_test(test_row_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
