/* SPDX-License-Identifier: Apache-2.0 */
/* Every cause of cause.def is provoked here, and what the client does about it seen. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/lib/testlib.h"
#include "tests/unit/vault/fake.h"
#include "vault/vault.h"

#define ERRORS(text) "{\"errors\":[\"" text "\"]}"

static struct fake one;
static struct fake two;
static struct kerrinfo e;
static char *folder;
static char *role_id;
static char *secret_id;
static char *state_path;
static struct config_vault config;
static char transit[] = "transit";
static char key[] = "k";
static char approle[] = "approle";
static bool seen[VAULT_CAUSE_COUNT];
static unsigned patience_ms;

static struct vault_try within(unsigned ms)
{
    return (struct vault_try){.until_ms = clock_mono_ms() + ms, .cause = VAULT_CAUSE_COUNT};
}

static int start(void **state)
{
    (void)state;
    folder = test_folder_new();
    role_id = test_path(folder, "role-id");
    secret_id = test_path(folder, "secret-id");
    state_path = test_path(folder, "keks");
    test_write_file(folder, "role-id", bytes_of_text("the-role\n"));
    test_write_file(folder, "secret-id", bytes_of_text("the-secret-id\n"));
    fake_start(&one, folder, "one.sock");
    fake_start(&two, folder, "two.sock");
    patience_ms = 1000;
    config = (struct config_vault){
        .addresses = {one.address},
        .address_count = 1,
        .mount = transit,
        .key = key,
        .state_path = state_path,
        .auth = {.kind = CONFIG_LOGIN_APPROLE,
                 .mount = approle,
                 .role_id_file = role_id,
                 .secret_id_file = secret_id},
    };
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fake_stop(&one);
    fake_stop(&two);
    free(role_id);
    free(secret_id);
    free(state_path);
    test_folder_remove(folder);
    return 0;
}

static struct vault *client(void)
{
    struct vault *v = NULL;
    assert_ok(&e, vault_open(&config, &v, &e));
    return v;
}

enum call { READ_KEY, ENCRYPT, DECRYPT };

static enum kerr call(struct vault *v, enum call what, struct vault_try *t, struct kerrinfo *why)
{
    AUTO_VAULT_KEY found = {.version_count = 0};
    AUTO_BUF sealed = {0};
    AUTO_SECRET plain = NULL;
    struct bytes aad = bytes_of_text("aad");
    switch (what) {
    case READ_KEY:
        return vault_read_key(v, t, &found, why);
    case ENCRYPT:
        return vault_encrypt(v, t, 2, aad, bytes_of_text("seed"), &sealed, why);
    case DECRYPT:
        return vault_decrypt(v, t, 2, aad, bytes_of_text("sealed"), &plain, why);
    }
    return KERR_BUG;
}

/* One call of a fresh client that must fail with this cause, within its time. */
static void assert_cause(enum vault_cause cause, enum call what, const char *words)
{
    AUTO_VAULT v = client();
    struct vault_try t = within(patience_ms);
    kerr_clear(&e);
    enum kerr k = call(v, what, &t, &e);
    if (t.cause != cause || k != vault_cause_code(cause) || strstr(e.text, words) == NULL) {
        fail_msg("got %s %s \"%s\", expected %s with \"%s\"", kerr_name(k),
                 t.cause < VAULT_CAUSE_COUNT ? vault_cause_word(t.cause) : "?", e.text,
                 vault_cause_word(cause), words);
    }
    assert_true(clock_mono_ms() < t.until_ms + 300);
    seen[cause] = true;
}

static const struct {
    const char *path;
    unsigned status;
    const char *text;
    enum call call;
    enum vault_cause cause;
    unsigned requests; /* to the path */
} rows[] = {
    /* As OpenBao 2.7.2 answers. */
    {"transit/encrypt/k", 403, ERRORS("1 error occurred:\\n\\t* permission denied\\n\\n"), ENCRYPT,
     VAULT_POLICY, 2},
    {"transit/keys/k", 404, "{\"errors\":[]}", READ_KEY, VAULT_NO_KEY, 1},
    {"transit/decrypt/k", 400, ERRORS("encryption key not found"), DECRYPT, VAULT_NO_KEY, 1},
    {"transit/keys/k", 404, ERRORS("no handler for route \\\"x\\\". route entry not found."),
     READ_KEY, VAULT_NO_MOUNT, 1},
    {"transit/keys/k", 404, ERRORS("namespace not found"), READ_KEY, VAULT_NO_MOUNT, 1},
    {"transit/encrypt/k", 400, ERRORS("refusing to use soft-deleted key"), ENCRYPT,
     VAULT_KEY_DELETED, 1},
    {"transit/decrypt/k", 400, ERRORS("cipher: message authentication failed"), DECRYPT,
     VAULT_CIPHERTEXT, 1},
    {"transit/decrypt/k", 400, ERRORS("invalid ciphertext: version is too new"), DECRYPT,
     VAULT_CIPHERTEXT, 1},
    {"transit/decrypt/k", 400,
     ERRORS("ciphertext or signature version is disallowed by policy (too old)"), DECRYPT,
     VAULT_VERSION_TOO_OLD, 1},
    {"transit/encrypt/k", 400,
     ERRORS("requested version for encryption is higher than the latest key version"), ENCRYPT,
     VAULT_KEY_CHANGED, 1},
    {"transit/encrypt/k", 400,
     ERRORS("'[0].associated_data' provided for non-AEAD cipher suite rsa-2048"), ENCRYPT,
     VAULT_KEY_TYPE, 1},
    {"transit/encrypt/k", 400, ERRORS("missing 'context' for key derivation; the key was created"),
     ENCRYPT, VAULT_KEY_TYPE, 1},
    {"transit/encrypt/k", 400, ERRORS("something new"), ENCRYPT, VAULT_BAD_ANSWER, 1},
    {"transit/encrypt/k", 429, ERRORS("request path: rate limit quota exceeded"), ENCRYPT,
     VAULT_RATE_LIMIT, 1},
    {"transit/encrypt/k", 503, ERRORS("Vault is sealed"), ENCRYPT, VAULT_SEALED, 1},
    {"transit/encrypt/k", 501, "", ENCRYPT, VAULT_UNINITIALISED, 1},
    {"transit/encrypt/k", 307, "", ENCRYPT, VAULT_STANDBY, 1},
    {"transit/encrypt/k", 472, "", ENCRYPT, VAULT_STANDBY, 1},
    {"transit/encrypt/k", 473, "", ENCRYPT, VAULT_STANDBY, 1},
    {"transit/encrypt/k", 412, ERRORS("required index state not present"), ENCRYPT,
     VAULT_SERVER_ERROR, 2},
    {"transit/encrypt/k", 500, ERRORS("internal error"), ENCRYPT, VAULT_SERVER_ERROR, 2},
    {"transit/encrypt/k", 502, "<html>", ENCRYPT, VAULT_SERVER_ERROR, 2},
    {"transit/encrypt/k", 503, "<html>sealed", ENCRYPT, VAULT_SERVER_ERROR, 2},
    /* Not Vault: no refusal, whatever the status says. */
    {"transit/encrypt/k", 403, "<html>forbidden", ENCRYPT, VAULT_BAD_ANSWER, 1},
    {"transit/encrypt/k", 404, "", ENCRYPT, VAULT_BAD_ANSWER, 1},
    {"transit/encrypt/k", 400, "{\"error\":1}", ENCRYPT, VAULT_BAD_ANSWER, 1},
    {"transit/encrypt/k", 302, "", ENCRYPT, VAULT_BAD_ANSWER, 1},
    {"transit/encrypt/k", 405, ERRORS("unsupported operation"), ENCRYPT, VAULT_BAD_ANSWER, 1},
    {"transit/encrypt/k", 413, ERRORS("too large"), ENCRYPT, VAULT_BAD_ANSWER, 1},
    {"transit/encrypt/k", 200, "no json", ENCRYPT, VAULT_BAD_ANSWER, 1},
    {"transit/encrypt/k", 204, "", ENCRYPT, VAULT_BAD_ANSWER, 1},
    {"transit/encrypt/k", 200, "{\"data\":{\"ciphertext\":\"vault:v3:c2Vk\",\"key_version\":3}}",
     ENCRYPT, VAULT_BAD_ANSWER, 1},
    {"transit/encrypt/k", 0, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", ENCRYPT,
     VAULT_BAD_ANSWER, 1},
    {"transit/encrypt/k", 0, "hello\r\n", ENCRYPT, VAULT_BAD_ANSWER, 1},
    {"transit/encrypt/k", 0, "HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n", ENCRYPT,
     VAULT_BAD_ANSWER, 1},
    /* Logins: 400, 403 and 404 all mean the credential. */
    {"auth/approle/login", 400, ERRORS("invalid role or secret ID"), ENCRYPT, VAULT_LOGIN, 1},
    {"auth/approle/login", 403, ERRORS("permission denied"), ENCRYPT, VAULT_LOGIN, 1},
    {"auth/approle/login", 404, ERRORS("no handler for route"), ENCRYPT, VAULT_LOGIN, 1},
    {"auth/approle/login", 500,
     ERRORS("failed to verify client's certificate: x509: certificate has expired"), ENCRYPT,
     VAULT_LOGIN, 1},
    {"auth/approle/login", 403, "<html>", ENCRYPT, VAULT_BAD_ANSWER, 1},
    {"auth/approle/login", 503, ERRORS("Vault is sealed"), ENCRYPT, VAULT_SEALED, 1},
    {"auth/approle/login", 200, "{}", ENCRYPT, VAULT_BAD_ANSWER, 1},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fake_rule(&one, (struct fake_rule){rows[i].path, rows[i].status, rows[i].text, 0, 0});
        unsigned before = one.requests;
        unsigned logins = one.logins;
        assert_cause(rows[i].cause, rows[i].call, vault_cause_sentence(rows[i].cause));
        /* With them the logins, and the tokens given back at the end. */
        unsigned others = one.logins - logins == 0 ? 0 : one.logins - logins + 1;
        if (one.requests - before - others != rows[i].requests) {
            fail_msg("row %zu: %u requests, %u logins", i, one.requests - before,
                     one.logins - logins);
        }
        fake_forget_rules(&one);
    }
}

static void test_what_the_server_said_is_bounded(void **state)
{
    (void)state;
    char text[2000];
    (void)snprintf(text, sizeof text, "{\"errors\":[\"%0900d\\u0007\"]}", 7);
    fake_rule(&one, (struct fake_rule){"transit/encrypt/k", 400, text, 0, 0});
    assert_cause(VAULT_BAD_ANSWER, ENCRYPT, "0000...");
    assert_true(strlen(e.text) < 420);
}

static void test_nobody_there(void **state)
{
    (void)state;
    static char none[] = "unix:/nonexistent/vault.sock";
    static char port[] = "http://127.0.0.1:1";
    config.addresses[0] = none;
    assert_cause(VAULT_CONNECT, ENCRYPT, "/nonexistent/vault.sock");
    config.addresses[0] = port;
    assert_cause(VAULT_CONNECT, ENCRYPT, "127.0.0.1:1");
}

static void test_too_slow(void **state)
{
    (void)state;
    fake_rule(&one, (struct fake_rule){"transit/encrypt/k", 200, "", 0, 1500});
    assert_cause(VAULT_TIMEOUT, ENCRYPT, "did not answer in time");
    AUTO_VAULT v = client();
    struct vault_try t = {.until_ms = clock_mono_ms()};
    assert_refused(&e, KERR_TIMEOUT, "no time", call(v, DECRYPT, &t, &e));
    assert_int_equal(t.cause, VAULT_TIMEOUT);
}

/* Anybody's: reading the system's takes long under valgrind. */
static const char ca_text[] = "-----BEGIN CERTIFICATE-----\n"
                              "MIIBcDCCARWgAwIBAgIUW0+eHjLoxHFo/mSusGMDEUWzLXwwCgYIKoZIzj0EAwIw\n"
                              "DDEKMAgGA1UEAwwBdDAgFw0yNjExMjYwMDAzMDRaGA8yMTI2MTEwMjAwMDMwNFow\n"
                              "DDEKMAgGA1UEAwwBdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPVwka+DFBpt\n"
                              "LeVVYWDAD8W5BVGyjynsRfsTDmZSkE99pFbysDFB0BoVCc5bvzPHqZw9FY5K1P/z\n"
                              "TIUJYaOrs7ujUzBRMB0GA1UdDgQWBBQpJTsK/7lnx3Jt2V+V88I0NOtGvTAfBgNV\n"
                              "HSMEGDAWgBQpJTsK/7lnx3Jt2V+V88I0NOtGvTAPBgNVHRMBAf8EBTADAQH/MAoG\n"
                              "CCqGSM49BAMCA0kAMEYCIQCqt4mBYLYB4aiO66H2j8lz+zu5llVc3aMo3T50WLVD\n"
                              "EwIhAJOeRwlQf4/Bv9H4Qse8dh4meo42b461LPe9Gld3a85u\n"
                              "-----END CERTIFICATE-----\n";

/* Something that is no TLS behind https. */
static void test_no_tls(void **state)
{
    (void)state;
    char *ca_file = test_path(folder, "ca.pem");
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    char address[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    (void)snprintf(address, sizeof address, "https://127.0.0.1:%u", ntohs(in.sin_port));
    struct fake plain;
    fake_start_on(&plain, fd);
    test_write_file(folder, "ca.pem", bytes_of_text(ca_text));
    config.addresses[0] = address;
    config.ca_file = ca_file;
    patience_ms = 5000;
    assert_cause(VAULT_TLS, ENCRYPT, address);
    fake_stop(&plain);
    free(ca_file);
}

static void test_files_of_ours(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "\n", "two words", "nul\x01", "two\nlines\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        test_write_file(folder, "secret-id", bytes_of_text(bad[i]));
        assert_cause(VAULT_CREDENTIAL_FILE, ENCRYPT, "secret-id");
    }
    assert_int_equal(unlink(secret_id), 0);
    assert_cause(VAULT_CREDENTIAL_FILE, ENCRYPT, "secret-id");
    assert_int_equal(one.requests, 0);
}

static void test_of_our_own(void **state)
{
    (void)state;
    AUTO_VAULT v = client();
    struct vault_try t = within(1000);
    unsigned bits = 0;
    assert_refused(&e, KERR_BUG, "0 paths", vault_capabilities(v, &t, NULL, 0, &bits, &e));
    assert_int_equal(t.cause, VAULT_OURS);
    seen[VAULT_OURS] = true;
    /* Sizes are looked at before anybody is asked. */
    static const uint8_t zeros[VAULT_CIPHERTEXT_MAX + 1];
    AUTO_BUF sealed = {0};
    AUTO_SECRET plain = NULL;
    t = within(1000);
    assert_refused(&e, KERR_INTEGRITY, "1025 bytes",
                   vault_encrypt(v, &t, 1, bytes_of(zeros, 0), bytes_of(zeros, 1025), &sealed, &e));
    assert_refused(&e, KERR_INTEGRITY, "2049 bytes",
                   vault_decrypt(v, &t, 1, bytes_of(zeros, 0), bytes_of(zeros, 2049), &plain, &e));
    assert_refused(&e, KERR_INTEGRITY, "0 bytes",
                   vault_decrypt(v, &t, 1, bytes_of(zeros, 0), bytes_of(zeros, 0), &plain, &e));
    assert_int_equal(t.cause, VAULT_CIPHERTEXT);
    assert_int_equal(one.requests, 0);
}

static void test_wrapped_secret_id(void **state)
{
    (void)state;
    config.auth.secret_id_wrapped = true;
    struct vault_try t = within(1000);
    {
        AUTO_VAULT v = client();
        assert_ok(&e, call(v, ENCRYPT, &t, &e));
    }
    assert_int_equal(one.logins, 1);
    /* A restart does not unwrap again, and the file with the token may be gone. */
    fake_rule(&one,
              (struct fake_rule){"sys/wrapping/unwrap", 400,
                                 ERRORS("wrapping token is not valid or does not exist"), 0, 0});
    for (size_t i = 0; i < 2; i++) {
        AUTO_VAULT again = client();
        assert_ok(&e, call(again, ENCRYPT, &t, &e));
        (void)unlink(secret_id);
    }
    assert_int_equal(one.logins, 3);
    /* One that the server does not know and that was never unwrapped here. */
    test_write_file(folder, "secret-id", bytes_of_text("another-wrapping-token"));
    assert_cause(VAULT_WRAPPING_USED, ENCRYPT, "maybe by a thief");
    assert_int_equal(one.logins, 3);
    /* A new one is unwrapped anew. */
    fake_forget_rules(&one);
    AUTO_VAULT v = client();
    assert_ok(&e, call(v, ENCRYPT, &t, &e));
    struct buf kept = test_read_file(folder, "keks.secret-id");
    assert_true(memmem(kept.ptr, kept.len, "\nunwrapped-secret-id\n", 21) != NULL);
    assert_null(memmem(kept.ptr, kept.len, "another-wrapping-token", 22));
    buf_done(&kept);
}

static void test_wrapped_secret_id_without_a_place(void **state)
{
    (void)state;
    char *keks = test_path(folder, "later/keks");
    config.auth.secret_id_wrapped = true;
    config.state_path = keks;
    AUTO_VAULT v = client();
    struct vault_try t = within(1000);
    assert_refused(&e, KERR_INPUT, "secret id is kept", call(v, ENCRYPT, &t, &e));
    assert_int_equal(t.cause, VAULT_CREDENTIAL_FILE);
    assert_int_equal(one.requests, 0); /* not unwrapped before it is known where to keep it */
    free(keks);
}

/* What was unwrapped but could not be kept is not lost: it is the only copy. */
static void test_wrapped_secret_id_not_kept(void **state)
{
    (void)state;
    char *in_the_way = test_path(folder, ".keks.secret-id.tmp");
    config.auth.secret_id_wrapped = true;
    assert_int_equal(mkdir(in_the_way, 0700), 0);
    AUTO_VAULT v = client();
    struct vault_try t = within(1000);
    assert_refused(&e, KERR_INPUT, "secret id is kept", call(v, ENCRYPT, &t, &e));
    assert_int_equal(t.cause, VAULT_CREDENTIAL_FILE);
    assert_int_equal(one.requests, 1);
    assert_int_equal(one.logins, 0);
    /* The wrapping token is spent now; the next attempt does without it. */
    fake_rule(&one, (struct fake_rule){"sys/wrapping/unwrap", 400, ERRORS("not valid"), 0, 0});
    assert_int_equal(rmdir(in_the_way), 0);
    free(in_the_way);
    (void)usleep(1050000); /* the pause after a failed login */
    t = within(1000);
    assert_ok(&e, call(v, ENCRYPT, &t, &e));
    assert_int_equal(one.logins, 1);
}

static void test_fail_over(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *text;
        unsigned wait_ms;
    } faults[] = {
        {503, ERRORS("Vault is sealed"), 0},
        {307, "", 0},
        {472, "", 0},
        {501, "", 0},
        {500, ERRORS("x"), 0},
        {0, "", 0},
        {200, "", 5000},
    };
    config.addresses[1] = two.address;
    config.address_count = 2;
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        AUTO_VAULT v = client();
        struct vault_try t = within(2000);
        struct vault_info info;
        assert_ok(&e, call(v, READ_KEY, &t, &e));
        vault_info(v, &info);
        assert_string_equal(info.address, one.address);
        two.logins = one.logins; /* they share their tokens */
        fake_rule(&one, (struct fake_rule){"transit/encrypt/k", faults[i].status, faults[i].text, 0,
                                           faults[i].wait_ms});
        assert_ok(&e, call(v, ENCRYPT, &t, &e));
        assert_int_equal(t.cause, VAULT_NONE);
        vault_info(v, &info);
        assert_string_equal(info.address, two.address);
        /* It is first from now on. */
        unsigned before = one.requests;
        assert_ok(&e, call(v, ENCRYPT, &t, &e));
        assert_int_equal(one.requests, before);
        fake_forget_rules(&one);
    }
}

static void test_the_most_telling_cause(void **state)
{
    (void)state;
    static char none[] = "unix:/nonexistent/vault.sock";
    config.addresses[1] = none;
    config.address_count = 2;
    fake_rule(&one, (struct fake_rule){"auth/approle/login", 503, ERRORS("Vault is sealed"), 0, 0});
    assert_cause(VAULT_SEALED, ENCRYPT, one.address);
    config.addresses[1] = one.address;
    config.addresses[0] = none;
    assert_cause(VAULT_SEALED, ENCRYPT, one.address);
}

static void test_health_and_capabilities(void **state)
{
    (void)state;
    static char space[] = "team/a";
    config.namespace_path = space;
    AUTO_VAULT v = client();
    struct vault_try t = within(1000);
    struct vault_health h;
    assert_ok(&e, vault_health(v, &t, 0, &h, &e));
    assert_true(h.is_initialised && !h.is_sealed && h.is_standby);
    assert_string_equal(h.version, "2.7.2");
    assert_int_equal(h.server_time_s, 1795650457);
    assert_null(strstr(one.last, "X-Vault-Token"));
    assert_null(strstr(one.last, "X-Vault-Namespace")); /* it is the server's */
    static const char *const paths[] = {"transit/decrypt/k", "transit/encrypt/k"};
    unsigned bits[2];
    assert_ok(&e, vault_capabilities(v, &t, paths, 2, bits, &e));
    assert_int_equal(bits[0], VAULT_MAY_CREATE | VAULT_MAY_ALL);
    assert_int_equal(bits[1], VAULT_MAY_UPDATE);
    assert_non_null(strstr(one.last, "X-Vault-Namespace: team/a\r\n"));
    assert_non_null(strstr(one.last, "X-Vault-Token: token-1\r\n"));
    assert_non_null(strstr(one.last, "X-Vault-Request: true\r\n"));
}

static void test_what_is_sent(void **state)
{
    (void)state;
    static char odd_mount[] = "team a/transit";
    static char odd_key[] = "k/1?x";
    AUTO_VAULT v = client();
    struct vault_try t = within(1000);
    assert_ok(&e, call(v, ENCRYPT, &t, &e));
    assert_non_null(strstr(one.last, "\r\n\r\n{\"plaintext\":\"c2VlZA==\",\"associated_data\":"
                                     "\"YWFk\",\"key_version\":2}"));
    assert_ok(&e, call(v, DECRYPT, &t, &e));
    assert_non_null(strstr(one.last, "{\"ciphertext\":\"vault:v2:c2VhbGVk\",\"associated_data\":"
                                     "\"YWFk\"}"));
    config.mount = odd_mount;
    config.key = odd_key;
    AUTO_VAULT odd = client();
    assert_refused(&e, KERR_NOTFOUND, "no Transit", call(odd, ENCRYPT, &t, &e));
    assert_non_null(strstr(one.last, "POST /v1/team%20a/transit/encrypt/k%2F1%3Fx HTTP/1.1\r\n"));
}

static void test_all_were_seen(void **state)
{
    (void)state;
    seen[VAULT_NONE] = true;
    for (size_t i = 0; i < VAULT_CAUSE_COUNT; i++) {
        if (!seen[i]) {
            fail_msg("nothing provokes %s", vault_cause_word((enum vault_cause)i));
        }
    }
}

static int setup_all(void **state)
{
    (void)state;
    return secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_table),
        TEST(test_what_the_server_said_is_bounded),
        TEST(test_nobody_there),
        TEST(test_too_slow),
        TEST(test_no_tls),
        TEST(test_files_of_ours),
        TEST(test_of_our_own),
        TEST(test_wrapped_secret_id),
        TEST(test_wrapped_secret_id_without_a_place),
        TEST(test_wrapped_secret_id_not_kept),
        TEST(test_fail_over),
        TEST(test_the_most_telling_cause),
        TEST(test_health_and_capabilities),
        TEST(test_what_is_sent),
        cmocka_unit_test(test_all_were_seen),
    };
    return cmocka_run_group_tests(tests, setup_all, NULL);
}
