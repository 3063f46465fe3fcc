/* SPDX-License-Identifier: Apache-2.0 */
/* The judges over made-up facts: of a healthy host nothing is found, and of each change exactly
 * one thing. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/testlib.h"
#include "tests/unit/doctor/healthy.h"

static void test_healthy(void **state)
{
    (void)state;
    judge();
    tell();
    assert_int_equal(report.finding_count, 0);
    assert_int_equal(report.unknown, 0);
    size_t others = 0;
    for (size_t i = 0; i < doctor_check_count; i++) {
        others += doctor_checks[i].scope >= SCOPE_VAULT;
    }
    assert_int_equal(report.row_count, doctor_check_count - others);
    for (size_t i = 0; i < report.row_count; i++) {
        const char *id = report.rows[i].check->id;
        bool is_other =
            strcmp(id, "rancher-encryption") == 0 || strcmp(id, "apiserver-running") == 0;
        assert_int_equal(report.rows[i].result, is_other ? DOCTOR_SKIPPED : DOCTOR_OK);
    }
}

/* A fault is told once, also by way of checks that follow from one that follows. */
static void test_consequences(void **state)
{
    (void)state;
    f.keystore.clear_code = KERR_NOTFOUND;
    f.keystore.clear_error = "gone";
    f.keystore.slot_count = 0;
    f.keystore.open_code = KERR_NOTFOUND;
    f.daemon.is_ready = false;
    f.daemon.key_id_hash = "";
    f.apiserver.health = 500;
    found("keystore-there", "gone");
    for (size_t i = 0; i < report.row_count; i++) {
        if (strcmp(report.rows[i].check->id, "key-agreement") == 0) {
            assert_string_equal(report.rows[i].about, "see keystore-there");
            assert_string_equal(report.rows[i].cause->id, "keystore-there");
        }
    }
}

static void test_config(void **state)
{
    (void)state;
    q.config_error = "x:1:1: nonsense";
    found("config-loads", "nonsense");
}

static void test_modes(void **state)
{
    (void)state;
    static const struct {
        struct fact_file *file;
        mode_t mode;
        uid_t uid;
        const char *id; /* NULL: fine */
    } rows[] = {
        {&f.config, S_IFREG | 0600, 0, NULL},
        {&f.config, S_IFREG | 0664, 0, "config-mode"},
        {&f.config, S_IFREG | 0644, 990, "config-mode"},
        {&f.keystore.folder, S_IFDIR | 0700, 990, NULL},
        {&f.keystore.folder, S_IFDIR | 0710, 990, "keystore-folder-mode"},
        {&f.keystore.folder, S_IFDIR | 0700, 0, "keystore-folder-mode"},
        {&f.keystore.files[0], S_IFREG | 0604, 990, "keystore-file-mode"},
        {&f.keystore.files[0], S_IFREG | 0600, 0, "keystore-file-mode"},
        {&f.keystore.seals[0].key, S_IFREG | 0400, 990, NULL},
        {&f.keystore.seals[0].key, S_IFREG | 0640, 990, "seal-file-mode"},
        {&f.keystore.seals[0].key, S_IFREG | 0600, 0, "seal-file-mode"},
        {&f.socket.folders[2], S_IFDIR | 0750, 0, NULL},
        {&f.socket.folders[2], S_IFDIR | 0755, 990, NULL}, /* a daemon that makes its socket */
        {&f.socket.folders[2], S_IFDIR | 0775, 0, "socket-folder"},
        {&f.socket.folders[2], S_IFDIR | 0755, 1000, "socket-folder"},
        {&f.socket.folders[1], S_IFDIR | 01777, 0, NULL},
        {&f.socket.folders[1], S_IFDIR | 0777, 0, "socket-folder"},
        {&f.socket.file, S_IFSOCK | 0660, 0, "socket-mode"},
        {&f.socket.file, S_IFSOCK | 0600, 990, "socket-mode"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fact_file before = *rows[i].file;
        rows[i].file->st.st_mode = rows[i].mode;
        rows[i].file->st.st_uid = rows[i].uid;
        if (rows[i].id != NULL) {
            found(rows[i].id, rows[i].file->path);
        } else {
            judge();
            assert_int_equal(report.finding_count, 0);
        }
        *rows[i].file = before;
    }
}

static void test_keystore(void **state)
{
    (void)state;
    f.keystore.open_code = KERR_UNTRUSTED;
    f.keystore.open_error = "not accepted";
    found("keystore-opens", "not accepted");
    healthy_keystore();
    f.keystore.slot_count = 1;
    found("slots-one", "one slot");
    healthy_keystore();
    f.keystore.slots[1].tested_at_s = 0;
    found("slots-untested", "slot ops was never seen to open");
    healthy_keystore();
    f.keystore.slots[1].is_accepted = false;
    found("slots-untested", "on this node");
    healthy_keystore();
    /* Nothing here opens it: it is another node's. */
    f.keystore.slots[2] = (struct fact_slot){.name = "node2", .tested_at_s = 1};
    f.keystore.slot_count = 3;
    judge();
    tell();
    assert_int_equal(report.finding_count, 0);
    healthy_keystore();
    f.keystore.seals[0].is_beside = true;
    found("seal-beside", "slot boot: a key file");
    healthy_keystore();
    f.keystore.seals[0].is_unattended = false;
    found("seal-unattended", "without a person");
    healthy_keystore();
    f.keystore.seals_code = KERR_FORMAT;
    f.keystore.seals_error = "line 3";
    found("seal-unattended", "line 3");
    healthy_keystore();
    f.keystore.written_at_s = NOW + 1000;
    found("clock-future", "generation of the keystore");
    healthy_keystore();
    f.keystore.newest_key_s = NOW + 1000;
    found("clock-future", "key es1-x");
}

static void test_credential(void **state)
{
    (void)state;
    static const struct {
        const char *loaded;
        bool is_fine;
    } rows[] = {
        {"boot", true}, {" a boot b", true}, {"bo*", true},        {"a *", true},
        {"", false},    {"boot2", false},    {"reboot", false},    {"boo", false},
        {"ba*", false}, {"boot2*", false},   {"boots boot", true},
    };
    f.keystore.seals[0].credential = "boot";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        f.units.ours[UNIT_SERVICE].credentials = rows[i].loaded;
        if (rows[i].is_fine) {
            judge();
            assert_int_equal(report.finding_count, 0);
        } else {
            found("unit-credential", "credential boot");
        }
    }
    f.units.ours[UNIT_SERVICE].is_loaded = false;
    judge();
    assert_int_equal(report.finding_count, 0);
}

static void test_not_root(void **state)
{
    (void)state;
    f.is_root = false;
    f.keystore.open_code = KERR_DENIED;
    f.keystore.open_error = "permission denied";
    unknown("keystore-opens", "permission denied");
    healthy_keystore();
    f.socket.connect = CONNECT_UNTRIED;
    f.socket.connect_why = "only root";
    unknown("socket-listens", "only root");
}

static void test_socket(void **state)
{
    (void)state;
    static const struct {
        enum fact_connect connect;
        const char *id;
    } rows[] = {{CONNECT_REFUSED, "socket-listens"},
                {CONNECT_SILENT, "socket-listens"},
                {CONNECT_CLOSED, "socket-peers"},
                {CONNECT_DENIED, "socket-peers"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        f.socket.connect = rows[i].connect;
        found(rows[i].id, "");
    }
    f.socket.connect = CONNECT_ANSWERED;
    f.socket.file.look = LOOK_NO;
    found("socket-there", "there is no socket");
    f.socket.file = file_of("/run/etcdseal/kms.sock", S_IFREG | 0600, 0);
    found("socket-there", "not a socket");
    healthy_daemon();
    f.units.ours[UNIT_SOCKET].listen = "/run/kms.sock (Stream)";
    found("unit-socket", "/run/kms.sock");
    healthy_daemon();
    f.apiserver.uid = 4711;
    found("socket-peers", "uid 4711");
    f.socket.folders[1].st.st_mode = S_IFDIR | 0700;
    found("socket-folder", "uid 4711");
}

static void test_daemon(void **state)
{
    (void)state;
    f.daemon.look = LOOK_FAILED;
    f.daemon.why = "nobody";
    found("daemon-answers", "nobody");
    healthy_daemon();
    f.daemon.is_ready = false;
    f.daemon.reload_message = "wrong secret";
    found("daemon-unsealed", "sealed: wrong secret");
    healthy_daemon();
    f.daemon.is_reload_ok = false;
    f.daemon.reload_message = "damaged";
    found("daemon-reload", "damaged");
    f.daemon.reload_at_s = 0; /* none yet */
    judge();
    assert_int_equal(report.finding_count, 0);
    healthy_daemon();
    f.daemon.warning = "disk full";
    found("daemon-warning", "disk full");
    healthy_daemon();
    f.daemon.restart_needed = "socket.path";
    found("daemon-restart", "socket.path");
    healthy_daemon();
    f.daemon.version = "9.9.8";
    found("daemon-version", "9.9.8");
    healthy_daemon();
    f.daemon.kms_version = "v2beta1";
    found("kms-version", "v2beta1");
    healthy_daemon();
    f.daemon.store_id = "other";
    found("daemon-keystore", "other");
    healthy_daemon();
    f.daemon.generation = 6;
    found("daemon-keystore", "generation 6");
    healthy_daemon();
    f.daemon.unlocked_secrets = 3;
    found("memory-lock", "3 secrets");
    healthy_daemon();
    f.daemon.memory_policy = "best-effort";
    found("memory-lock", "best-effort");
    healthy_daemon();
    f.daemon.memlock = 65536;
    found("memory-limit", "65536 bytes");
}

static void test_host(void **state)
{
    (void)state;
    f.is_clock_synchronised = false;
    found("clock-synchronised", "not synchronised");
    f.is_clock_known = false;
    unknown("clock-synchronised", "does not tell");
    f.is_clock_known = f.is_clock_synchronised = true;
    f.units.ours[UNIT_SOCKET].enabled = "disabled";
    found("unit-enabled", "etcdseald.socket is disabled");
    healthy_daemon();
    f.units.ours[UNIT_SERVICE].before = "kubelet.service2";
    found("unit-order", "kubelet.service");
    healthy_daemon();
    f.units.callers[UNIT_RKE2] = unit_of("rke2-server.service");
    found("unit-order", "rke2-server.service");
    f.units.look = LOOK_NO;
    judge();
    assert_int_equal(report.finding_count, 0);
}

/* More findings than a report holds are counted. */
static void test_many(void **state)
{
    (void)state;
    struct verdict v = {.report = &report, .texts = &texts, .row = &report.rows[0]};
    judge();
    for (size_t i = 0; i < DOCTOR_FINDINGS_MAX + 3; i++) {
        verdict_found(&v, "", "", "%zu", i);
    }
    assert_int_equal(report.finding_count, DOCTOR_FINDINGS_MAX);
    assert_int_equal(report.left_out, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_healthy),  TEST(test_consequences), TEST(test_config),   TEST(test_modes),
        TEST(test_keystore), TEST(test_credential),   TEST(test_not_root), TEST(test_socket),
        TEST(test_daemon),   TEST(test_host),         TEST(test_many),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
