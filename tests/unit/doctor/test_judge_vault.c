/* SPDX-License-Identifier: Apache-2.0 */
/* The judges of Vault over made-up facts: nothing is found while all is well, and of each change
 * exactly one thing. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/testlib.h"
#include "tests/unit/doctor/healthy.h"

static bool has_row(const char *id)
{
    for (size_t i = 0; i < report.row_count; i++) {
        if (strcmp(report.rows[i].check->id, id) == 0) {
            return true;
        }
    }
    return false;
}

static enum doctor_result result_of(const char *id)
{
    for (size_t i = 0; i < report.row_count; i++) {
        if (strcmp(report.rows[i].check->id, id) == 0) {
            return report.rows[i].result;
        }
    }
    fail_msg("no row %s", id);
    return DOCTOR_UNKNOWN;
}

static void nothing_found(void)
{
    judge();
    tell();
    assert_int_equal(report.finding_count, 0);
    assert_int_equal(report.unknown, 0);
}

static void test_healthy(void **state)
{
    (void)state;
    healthy_vault();
    nothing_found();
    for (size_t i = 0; i < doctor_check_count; i++) {
        bool is_of_keystore = doctor_checks[i].scope == SCOPE_KEYSTORE;
        assert_int_equal(has_row(doctor_checks[i].about.id), !is_of_keystore);
    }
    for (size_t i = 0; i < report.row_count; i++) {
        bool is_vault = strncmp(report.rows[i].check->id, "vault-", 6) == 0;
        assert_true(!is_vault || report.rows[i].result == DOCTOR_OK);
    }
}

/* A seal that uses Vault: a keystore, no provider. */
static void test_seal(void **state)
{
    (void)state;
    struct fact_keystore keystore = f.keystore;
    healthy_vault();
    struct config *before = config; /* some facts point into it */
    config = NULL;
    struct config *of_seal = NULL;
    struct kerrinfo e = {0};
    assert_ok(&e, config_parse(bytes_of_text("{}"), "/x", &config, &e));
    assert_ok(&e, config_parse(bytes_of_text("vault: { addresses: [ 'https://a', 'https://b' ], "
                                             "key: kube, auth: { token: { file: /t } } }"),
                               "/y", &of_seal, &e));
    q.config = config;
    f.vault.is_provider = false;
    f.vault.owned = of_seal;
    f.vault.config = &of_seal->vault;
    f.keystore = keystore;
    f.daemon.service.state = "";
    f.daemon.store_id = "store";
    f.daemon.key_id = "es1-x";
    nothing_found();
    assert_true(has_row("vault-key") && has_row("keystore-opens"));
    assert_false(has_row("vault-state") || has_row("vault-service") || has_row("vault-key-id"));
    f.vault.login = (struct fact_question){.look = LOOK_FAILED, .why = "no", .cure = "c"};
    found("vault-login", "no");
    assert_int_equal(result_of("keystore-opens"), DOCTOR_SKIPPED);
    config_free(before);
}

static void test_login_files(void **state)
{
    (void)state;
    static const struct {
        size_t file;
        mode_t mode;
        uid_t uid;
        const char *words; /* NULL: fine */
    } rows[] = {
        {0, S_IFREG | 0600, 0, "the daemon, as user 990, cannot read"},
        {0, S_IFREG | 0600, 990, NULL},
        {0, S_IFREG | 0444, 1000, NULL},
        {1, S_IFREG | 0400, 990, NULL},
        {1, S_IFREG | 0640, 990, "others than its owner can read it"},
        {1, S_IFREG | 0604, 990, "others than its owner can read it"},
        {1, S_IFREG | 0600, 0, "cannot read"},
        {1, S_IFDIR | 0700, 990, "is no file"},
        {1, S_IFLNK | 0777, 0, NULL},
    };
    healthy_vault();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fact_file *file = &f.vault.login_files[rows[i].file].file;
        struct fact_file before = *file;
        file->st.st_mode = rows[i].mode;
        file->st.st_uid = rows[i].uid;
        file->st.st_gid = rows[i].uid;
        if (rows[i].words == NULL) {
            nothing_found();
        } else {
            found("vault-credential", rows[i].words);
        }
        *file = before;
    }
    f.vault.login_files[1].file.look = LOOK_NO;
    found("vault-credential", "there is no file /etc/s");
    f.vault.login_files[1].file.look = LOOK_FAILED;
    f.vault.login_files[1].file.why = "forbidden";
    unknown("vault-credential", "forbidden");
}

static void test_login_credential(void **state)
{
    (void)state;
    healthy_vault();
    f.vault.login_files[1].credential = "bao";
    found("vault-credential", "is credential bao, which the unit does not load");
    f.units.ours[UNIT_SERVICE].credentials = " bao";
    nothing_found();
    f.units.ours[UNIT_SERVICE].credentials = "";
    f.units.look = LOOK_NO;
    f.units.has_user = false;
    f.vault.files[0].st.st_uid = 990;
    nothing_found();
    /* The client could not even be made. */
    f.vault.server_count = 0;
    f.vault.login = (struct fact_question){.look = LOOK_FAILED, .why = "bad CA", .cure = "mend"};
    found("vault-credential", "bad CA");
}

static void test_plain_http(void **state)
{
    (void)state;
    static const struct {
        char address[40];
        bool is_fine;
    } rows[] = {
        {"http://bao.example:8200", false}, {"http://127.0.0.1:8200", true},
        {"http://[::1]:8200", true},        {"http://localhost:8200", true},
        {"unix:/run/bao.sock", true},       {"https://a", true},
    };
    healthy_vault();
    char **address = &config->vault.addresses[1];
    char *before = *address;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[40];
        memcpy(text, rows[i].address, sizeof text);
        *address = text;
        if (rows[i].is_fine) {
            nothing_found();
        } else {
            found("vault-plain-http", "in the clear");
        }
        *address = before;
    }
}

static void test_servers(void **state)
{
    (void)state;
    healthy_vault();
    struct fact_server *s = f.vault.servers;
    s[1].look = LOOK_FAILED;
    s[1].why = "b: nobody answers";
    s[1].cure = "start it";
    found("vault-address", "b: nobody answers");
    assert_int_equal(report.findings[0].severity, DOCTOR_WARNING);
    healthy_vault();
    s[0].health.is_standby = true;
    nothing_found();
    s[0].health.is_sealed = true;
    found("vault-address", "https://a:8200: it is sealed");
    s[0].health.is_initialised = false;
    found("vault-address", "not initialised");
    /* None: what follows from it is not told. */
    f.vault.server_count = 1;
    f.vault.login.look = f.vault.capabilities.look = f.vault.described.look = LOOK_NO;
    f.daemon.service.state = "stopped";
    f.daemon.is_ready = false;
    f.daemon.key_id = f.daemon.key_id_hash = "";
    f.daemon.warning = "the key service";
    found("vault-answers", "not initialised");
}

static void test_clock(void **state)
{
    (void)state;
    static const struct {
        int off_s; /* of the server's clock */
        unsigned delay_ms;
        const char *words; /* NULL: fine */
    } rows[] = {
        {29, 60000, NULL},      {-29, 60000, NULL}, {32, 60000, "ahead"},
        {-32, 60000, "behind"}, {32, 600000, "30"}, {11, 20000, "at most 10"},
        {9, 20000, NULL},       {4, 0, NULL},       {7, 0, "at most 5"},
    };
    healthy_vault();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        config->vault.activation_delay_ms = rows[i].delay_ms;
        f.vault.servers[1].health.server_time_s = (uint64_t)(NOW + 1 + rows[i].off_s);
        if (rows[i].words == NULL) {
            nothing_found();
        } else {
            found("vault-clock", rows[i].words);
        }
    }
}

static void test_questions(void **state)
{
    (void)state;
    static const struct {
        struct fact_question *question;
        const char *id;
    } rows[] = {
        {&f.vault.login, "vault-login"},
        {&f.vault.capabilities, "vault-policy"},
        {&f.vault.described, "vault-key"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        healthy_vault();
        *rows[i].question = (struct fact_question){.look = LOOK_FAILED, .why = "no", .cure = "c"};
        f.daemon.warning = "the key service"; /* explained by it */
        found(rows[i].id, "no");
        assert_string_equal(report.findings[0].cure, "c");
    }
    /* What only the daemon can log in with is nothing that is wrong here. */
    healthy_vault();
    f.vault.no_login = "for the daemon alone";
    f.vault.login.look = f.vault.capabilities.look = f.vault.described.look = LOOK_NO;
    nothing_found();
    assert_int_equal(result_of("vault-login"), DOCTOR_SKIPPED);
    assert_int_equal(result_of("vault-key"), DOCTOR_SKIPPED);
    assert_int_equal(result_of("vault-service"), DOCTOR_OK);
}

static size_t path_index(const char *path)
{
    struct fact_path row;
    for (size_t i = 0; facts_vault_path(f.vault.config, i, &row); i++) {
        if (strcmp(row.path, path) == 0) {
            return i;
        }
    }
    fail_msg("no path %s", path);
    return 0;
}

static void test_policy(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        unsigned rights;
        const char *id; /* NULL: fine */
        const char *words;
    } rows[] = {
        {"transit/encrypt/kube", 0, "vault-policy", "lacks update on transit/encrypt/kube"},
        {"transit/decrypt/kube", VAULT_MAY_READ, "vault-policy", "lacks update on transit/decrypt"},
        {"transit/keys/kube", 0, "vault-policy", "lacks read on transit/keys/kube"},
        {"auth/token/renew-self", 0, "vault-policy", "lacks update on auth/token/renew-self"},
        {"auth/token/renew-self", ~0U & ~(unsigned)VAULT_MAY_ALL, NULL, NULL},
        {"transit/encrypt/kube", VAULT_MAY_UPDATE | VAULT_MAY_CREATE, "vault-policy-wide",
         "create on transit/encrypt/kube: a mistyped vault.key"},
        {"transit/decrypt/kube", VAULT_MAY_UPDATE | VAULT_MAY_CREATE, "vault-policy-wide",
         "can do more"},
        {"transit/decrypt/kube", VAULT_MAY_UPDATE | VAULT_MAY_SUDO, "vault-policy-wide", "sudo"},
        {"transit/keys/kube", VAULT_MAY_READ | VAULT_MAY_DELETE | VAULT_MAY_LIST,
         "vault-policy-wide", "delete, list on transit/keys/kube"},
        {"transit/keys/kube/config", VAULT_MAY_UPDATE, "vault-policy-wide", "update"},
        {"transit/keys/kube/rotate", VAULT_MAY_CREATE, "vault-policy-wide", "rotate"},
        {"transit/keys/kube/trim", VAULT_MAY_UPDATE, "vault-policy-wide", "trim"},
        {"transit/backup/kube", VAULT_MAY_READ, "vault-policy-wide", "backup"},
        {"transit/restore/kube", VAULT_MAY_UPDATE, "vault-policy-wide", "restore"},
        {"transit/export/encryption-key/kube", VAULT_MAY_READ, "vault-policy-wide", "export"},
        {"transit/encrypt/kube", VAULT_MAY_ALL, "vault-policy-wide", "root token"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        healthy_vault();
        f.vault.rights[path_index(rows[i].path)] = rows[i].rights;
        if (rows[i].id == NULL) {
            nothing_found();
        } else {
            found(rows[i].id, rows[i].words);
        }
    }
    /* Behind a proxy the token is not ours to look after. */
    healthy_vault();
    config->vault.auth.kind = CONFIG_LOGIN_NONE;
    f.vault.rights[path_index("auth/token/renew-self")] = 0;
    nothing_found();
}

static void test_key(void **state)
{
    (void)state;
    healthy_vault();
    f.vault.key.is_exportable = true;
    found("vault-key-guard", "exportable");
    healthy_vault();
    f.vault.key.allows_plaintext_backup = true;
    found("vault-key-guard", "allow_plaintext_backup");
    healthy_vault();
    f.vault.key.is_deletion_allowed = true;
    found("vault-key-guard", "deletion_allowed");
    healthy_vault();
    /* A seal's, because the key id too hangs on the time. */
    f.vault.is_provider = false;
    f.vault.key.versions[1].created_at_s = NOW - FACTS_KEY_AGE_S;
    nothing_found();
    f.vault.key.versions[1].created_at_s--;
    found("vault-key-age", "version 2, the newest, is from 2026-");
    assert_int_equal(report.count[DOCTOR_NOTE], 1);
}

static void test_state(void **state)
{
    (void)state;
    healthy_vault();
    f.vault.files[0].st.st_mode = S_IFREG | 0640;
    found("vault-state", "/v/vault-keks");
    healthy_vault();
    f.vault.files[1] = file_of("/v/vault-keks.prev", S_IFREG | 0600, 0);
    found("vault-state", "vault-keks.prev belongs to 0");
    healthy_vault();
    f.vault.state_code = KERR_FORMAT;
    f.vault.state_error = "damaged";
    found("vault-state", "damaged");
    healthy_vault();
    f.vault.state.mark.number = 0;
    f.vault.files[0].look = LOOK_NO;
    found("vault-state", "is gone");
    healthy_vault();
    f.is_root = false;
    f.vault.state_code = KERR_DENIED;
    f.vault.state_error = "forbidden";
    unknown("vault-state", "forbidden");
    f.is_root = true;
    found("vault-state", "forbidden");
}

static void test_key_changed(void **state)
{
    (void)state;
    healthy_vault();
    f.vault.choice.cause = VAULT_KEY_CHANGED;
    f.daemon.warning = "the key is not the one";
    found("vault-key-changed", "another one of that number");
    f.vault.state.mark.number = 3;
    found("vault-key-changed", "none above 2");
}

static void test_service(void **state)
{
    (void)state;
    static const char *const states[] = {"starting", "stopped"};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        healthy_vault();
        f.daemon.is_ready = false;
        f.daemon.key_id = f.daemon.key_id_hash = "";
        f.daemon.service.state = states[i];
        f.daemon.service.cause = "policy";
        f.daemon.service.meaning = "its policy does not allow this";
        f.daemon.service.cure = "widen it";
        found("vault-service", "its policy does not allow this");
        assert_string_equal(report.findings[0].cure, "widen it");
        f.daemon.service.cause = "none";
        f.daemon.service.cure = "";
        f.daemon.reload_message = "vault-keks: damaged";
        found("vault-service", "vault-keks: damaged");
    }
    healthy_vault();
    f.daemon.service.state = "grace";
    f.daemon.service.meaning = "it is sealed";
    f.daemon.service.cure = "unseal";
    f.daemon.service.grace_ends_s = NOW + 100;
    f.daemon.warning = "the key service: it is sealed";
    found("vault-grace", "it is sealed; what is in memory serves until 2026-");
    healthy_vault();
    f.daemon.service.login_cause = "wrapping-used";
    f.daemon.warning = "revoke that secret id";
    found("vault-grace", "wrapping-used");
    assert_string_equal(report.findings[0].cure, "revoke that secret id");
}

static void test_key_ids(void **state)
{
    (void)state;
    healthy_vault();
    f.daemon.key_id = "esv1-another";
    found("vault-key-id", "esv1-another");
    /* A node that was told of a higher epoch once goes on with it. */
    char id[VAULT_WIRE_ID_BYTES];
    f.vault.state.mark.epoch = 3;
    vault_wire_key_id(f.vault.config, &f.vault.state.mark, id);
    f.daemon.key_id = id;
    nothing_found();
    healthy_vault();
    f.vault.choice.pending = 3;
    f.vault.choice.pending_at_s = NOW + 40;
    found("vault-key-pending", "version 3 of the key is not used before 2026-");
    assert_int_equal(report.count[DOCTOR_NOTE], 1);
    healthy_vault();
    f.daemon.service.min_version = 2;
    f.daemon.service.old_decrypts = 17;
    f.daemon.service.old_key = "esv1-old";
    found("vault-min-decryption", "decrypted 17 values");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_healthy),     TEST(test_seal),
        TEST(test_login_files), TEST(test_login_credential),
        TEST(test_plain_http),  TEST(test_servers),
        TEST(test_clock),       TEST(test_questions),
        TEST(test_policy),      TEST(test_key),
        TEST(test_state),       TEST(test_key_changed),
        TEST(test_service),     TEST(test_key_ids),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
