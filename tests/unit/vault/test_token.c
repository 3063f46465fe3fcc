/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a token: made, renewed, replaced, given back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "tests/lib/testlib.h"
#include "tests/unit/vault/fake.h"
#include "vault/vault.h"

#define ERRORS(text) "{\"errors\":[\"" text "\"]}"
#define REFUSED      ERRORS("invalid role or secret ID")

static struct fake one;
static struct kerrinfo e;
static char *folder;
static char *role_id;
static char *secret_id;
static struct config_vault config;
static char transit[] = "transit";
static char key[] = "k";
static char approle[] = "approle";
static char jwt[] = "jwt";
static char role[] = "the-role";

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
    test_write_file(folder, "role-id", bytes_of_text("the-role-id"));
    test_write_file(folder, "secret-id", bytes_of_text("the-secret-id"));
    fake_start(&one, folder, "one.sock");
    config = (struct config_vault){
        .addresses = {one.address},
        .address_count = 1,
        .mount = transit,
        .key = key,
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
    free(role_id);
    free(secret_id);
    test_folder_remove(folder);
    return 0;
}

static struct vault *client(void)
{
    struct vault *v = NULL;
    assert_ok(&e, vault_open(&config, &v, &e));
    return v;
}

static enum kerr encrypt(struct vault *v, struct vault_try *t, struct kerrinfo *why)
{
    AUTO_BUF sealed = {0};
    return vault_encrypt(v, t, 2, bytes_of_text("aad"), bytes_of_text("seed"), &sealed, why);
}

static void assert_encrypts(struct vault *v)
{
    struct vault_try t = within(3000);
    assert_ok(&e, encrypt(v, &t, &e));
    assert_int_equal(t.cause, VAULT_NONE);
}

static uint64_t tend(struct vault *v)
{
    struct vault_try t = within(3000);
    uint64_t due = 0;
    assert_ok(&e, vault_tend(v, &t, &due, &e));
    return due;
}

static struct vault_info info(struct vault *v)
{
    struct vault_info i;
    vault_info(v, &i);
    return i;
}

static void sleep_ms(uint64_t ms)
{
    (void)usleep((unsigned)ms * 1000);
}

static void test_due_at_two_thirds(void **state)
{
    (void)state;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    one.ttl_s = 300;
    for (size_t i = 0; i < 10; i++) {
        AUTO_VAULT v = client();
        uint64_t due = tend(v);
        least = due < least ? due : least;
        most = due > most ? due : most;
        assert_in_range(info(v).token_ends_at_s - clock_wall_s(), 298, 300);
        assert_true(info(v).has_token && info(v).is_renewable);
    }
    assert_in_range(least, 179000, 200000);
    assert_in_range(most, least + 1, 200000); /* they do not come together */
}

static void test_renewed(void **state)
{
    (void)state;
    one.ttl_s = 1;
    one.renewed_ttl_s = 1;
    AUTO_VAULT v = client();
    for (unsigned i = 0; i < 3; i++) {
        uint64_t due = tend(v);
        assert_in_range(due, 1, 667);
        assert_int_equal(tend(v) <= due, true); /* nothing is due yet */
        assert_int_equal(one.renewals, i);
        sleep_ms(due + 5);
    }
    (void)tend(v);
    assert_int_equal(one.renewals, 3);
    assert_int_equal(one.logins, 1);
    assert_int_equal(info(v).renewals, 3);
    assert_encrypts(v);
}

/* Renewing that gives less than before nears the end: a new login instead. */
static void test_renewing_no_longer_helps(void **state)
{
    (void)state;
    one.ttl_s = 2;
    one.renewed_ttl_s = 1;
    AUTO_VAULT v = client();
    sleep_ms(tend(v) + 5);
    uint64_t due = tend(v);
    assert_int_equal(one.renewals, 1);
    assert_false(info(v).is_renewable);
    sleep_ms(due + 5);
    (void)tend(v);
    assert_int_equal(one.renewals, 1);
    assert_int_equal(one.logins, 2);
    assert_encrypts(v);
}

static void test_renewing_refused(void **state)
{
    (void)state;
    one.ttl_s = 1;
    AUTO_VAULT v = client();
    sleep_ms(tend(v) + 5);
    one.oldest = 2; /* revoked */
    (void)tend(v);
    assert_int_equal(one.renewals, 0);
    assert_int_equal(one.logins, 2);
    assert_encrypts(v);
}

/* What OpenBao and Vault say to a renewal beyond the role's token_max_ttl. */
static void test_renewing_past_the_longest_life(void **state)
{
    (void)state;
    one.ttl_s = 1;
    AUTO_VAULT v = client();
    sleep_ms(tend(v) + 5);
    fake_rule(&one, (struct fake_rule){
                        "auth/token/renew-self", 500,
                        ERRORS("1 error occurred:\\n\\t* past the max TTL, cannot renew"), 0, 0});
    (void)tend(v);
    assert_int_equal(one.logins, 2);
    assert_int_equal(info(v).login_cause, VAULT_NONE);
    assert_encrypts(v);
}

/* Nobody there when it is due: the token goes on as long as it lives, and the alarm is in info. */
static void test_renewing_not_answered(void **state)
{
    (void)state;
    one.ttl_s = 1;
    AUTO_VAULT v = client();
    sleep_ms(tend(v) + 5);
    fake_rule(&one,
              (struct fake_rule){"auth/token/renew-self", 503, ERRORS("Vault is sealed"), 0, 0});
    assert_in_range(tend(v), 1, 140); /* again before the token ends */
    assert_int_equal(info(v).login_cause, VAULT_SEALED);
    assert_encrypts(v);
    assert_int_equal(one.logins, 1);
}

static void test_expired(void **state)
{
    (void)state;
    one.ttl_s = 1;
    AUTO_VAULT v = client();
    assert_encrypts(v);
    sleep_ms(1050);
    assert_false(info(v).has_token);
    assert_encrypts(v);
    assert_int_equal(one.logins, 2);
}

static void test_revoked(void **state)
{
    (void)state;
    AUTO_VAULT v = client();
    for (unsigned i = 1; i <= 5; i++) {
        assert_encrypts(v);
        assert_int_equal(one.logins, i);
        one.oldest = i + 1;
    }
}

/* The policy lacks something: a login against it, but not one for each call. */
static void test_policy_costs_few_logins(void **state)
{
    (void)state;
    AUTO_VAULT v = client();
    fake_rule(&one,
              (struct fake_rule){"transit/encrypt/k", 403, ERRORS("permission denied"), 0, 0});
    for (size_t i = 0; i < 50; i++) {
        struct vault_try t = within(1000);
        assert_refused(&e, KERR_DENIED, "policy", encrypt(v, &t, &e));
        assert_int_equal(t.cause, VAULT_POLICY);
    }
    assert_int_equal(one.logins, 2);
    /* Other paths go on. */
    AUTO_VAULT_KEY found = {.version_count = 0};
    struct vault_try t = within(1000);
    assert_ok(&e, vault_read_key(v, &t, &found, &e));
    assert_int_equal(found.version_count, 2);
    assert_int_equal(vault_key_version(&found, 1)->created_at_s, 1795420094);
    assert_null(vault_key_version(&found, 3));
    fake_forget_rules(&one);
    assert_encrypts(v);
}

static void test_pause_after_refused_logins(void **state)
{
    (void)state;
    AUTO_VAULT v = client();
    struct vault_try t = within(5000);
    fake_rule(&one, (struct fake_rule){"auth/approle/login", 400, REFUSED, 0, 0});
    for (size_t i = 0; i < 20; i++) {
        assert_refused(&e, KERR_DENIED, "invalid role or secret ID", encrypt(v, &t, &e));
        assert_int_equal(t.cause, VAULT_LOGIN);
    }
    assert_int_equal(one.requests, 1);
    uint64_t due = 0;
    assert_refused(&e, KERR_DENIED, "invalid role", vault_tend(v, &t, &due, &e));
    assert_in_range(due, 500, 1000);
    assert_int_equal(info(v).login_cause, VAULT_LOGIN);
    assert_non_null(strstr(info(v).login_text, "invalid role or secret ID"));
    assert_false(info(v).has_token);
    sleep_ms(due + 5);
    assert_refused(&e, KERR_DENIED, "invalid role", vault_tend(v, &t, &due, &e));
    assert_int_equal(one.requests, 2);
    assert_in_range(due, 1500, 2000); /* longer */
    /* A new secret id is tried at once. */
    fake_forget_rules(&one);
    test_write_file(folder, "secret-id", bytes_of_text("the-new-secret-id"));
    assert_encrypts(v);
    assert_int_equal(info(v).login_cause, VAULT_NONE);
    assert_string_equal(info(v).login_text, "");
}

/* No message holds a credential. */
static void test_messages_hold_no_secret(void **state)
{
    (void)state;
    AUTO_VAULT v = client();
    struct vault_try t = within(5000);
    fake_rule(&one, (struct fake_rule){"auth/approle/login", 200, "{\"auth\":\"token-77\"", 0, 0});
    assert_refused(&e, KERR_IO, "not a JSON object", encrypt(v, &t, &e));
    assert_null(strstr(e.text, "token-77"));
    assert_null(strstr(e.text, "the-secret-id"));
}

static void *call_soon(void *ctx)
{
    struct vault_try t = within(200);
    uint64_t began = clock_mono_ms();
    bool is_good = encrypt(ctx, &t, NULL) == KERR_TIMEOUT && t.cause == VAULT_TIMEOUT &&
                   clock_mono_ms() - began < 600;
    return is_good ? NULL : ctx;
}

static void test_waiting_for_a_login_is_bounded(void **state)
{
    (void)state;
    AUTO_VAULT v = client();
    pthread_t thread;
    void *bad = NULL;
    fake_rule(&one, (struct fake_rule){"auth/approle/login", 400, REFUSED, 1, 1000});
    assert_int_equal(pthread_create(&thread, NULL, call_soon, v), 0);
    sleep_ms(50);
    struct vault_try t = within(100);
    assert_refused(&e, KERR_TIMEOUT, "no time is left", encrypt(v, &t, &e));
    assert_int_equal(pthread_join(thread, &bad), 0);
    assert_null(bad);
}

static void test_jwt_is_read_at_each_login(void **state)
{
    (void)state;
    config.auth = (struct config_auth){
        .kind = CONFIG_LOGIN_JWT, .mount = jwt, .role = role, .file = secret_id};
    AUTO_VAULT v = client();
    struct vault_try t = within(1000);
    uint64_t due = 0;
    test_write_file(folder, "secret-id", bytes_of_text("first.jwt.x\n"));
    assert_ok(&e, vault_tend(v, &t, &due, &e));
    assert_non_null(strstr(one.last, "POST /v1/auth/jwt/login "));
    assert_non_null(strstr(one.last, "{\"role\":\"the-role\",\"jwt\":\"first.jwt.x\"}"));
    test_write_file(folder, "secret-id", bytes_of_text("second.jwt.x\n"));
    assert_encrypts(v); /* the token is good: no new login */
    assert_int_equal(one.logins, 1);
    one.oldest = 2;
    fake_rule(&one,
              (struct fake_rule){"transit/encrypt/k", 403, ERRORS("permission denied"), 0, 0});
    assert_refused(&e, KERR_DENIED, "", encrypt(v, &t, &e));
    assert_int_equal(one.logins, 2);
}

static void test_token_file(void **state)
{
    (void)state;
    config.auth = (struct config_auth){.kind = CONFIG_LOGIN_TOKEN, .file = secret_id};
    test_write_file(folder, "secret-id", bytes_of_text("token-5\n"));
    {
        AUTO_VAULT v = client();
        assert_encrypts(v);
        assert_non_null(strstr(one.last, "X-Vault-Token: token-5\r\n"));
        assert_in_range(tend(v), 1, 30000);
        /* It changes: used at the next call. */
        test_write_file(folder, "secret-id", bytes_of_text("token-60\n"));
        assert_encrypts(v);
        assert_non_null(strstr(one.last, "X-Vault-Token: token-60\r\n"));
        /* It is refused, and no new one lies there. */
        one.oldest = 61;
        struct vault_try t = within(1000);
        assert_refused(&e, KERR_DENIED, "does not take", encrypt(v, &t, &e));
        assert_int_equal(t.cause, VAULT_LOGIN);
        test_write_file(folder, "secret-id", bytes_of_text("token-700\n"));
        assert_encrypts(v);
    }
    assert_null(strstr(one.last, "revoke-self")); /* it is not ours to give back */
    /* Others may read it. */
    assert_int_equal(chmod(secret_id, 0644), 0);
    AUTO_VAULT v = client();
    struct vault_try t = within(1000);
    assert_refused(&e, KERR_INPUT, "chmod 0600", encrypt(v, &t, &e));
    assert_int_equal(t.cause, VAULT_CREDENTIAL_FILE);
}

static void test_no_login(void **state)
{
    (void)state;
    config.auth = (struct config_auth){.kind = CONFIG_LOGIN_NONE};
    AUTO_VAULT v = client();
    struct vault_try t = within(1000);
    assert_true(info(v).has_token);
    assert_int_equal(tend(v), 3600000);
    /* Who logs in for us has no token, or none that is believed: that is no policy's word. */
    assert_refused(&e, KERR_DENIED, "credential", encrypt(v, &t, &e));
    assert_int_equal(t.cause, VAULT_LOGIN);
    assert_int_equal(one.requests, 1);
    assert_null(strstr(one.last, "X-Vault-Token"));
    fake_rule(&one, (struct fake_rule){"transit/encrypt/k", 403,
                                       ERRORS("1 error occurred:\\n\\t* permission denied"), 0, 0});
    assert_refused(&e, KERR_DENIED, "policy", encrypt(v, &t, &e));
    assert_int_equal(t.cause, VAULT_POLICY);
}

static void test_given_back(void **state)
{
    (void)state;
    struct vault *v = client();
    assert_encrypts(v);
    vault_close(v);
    assert_non_null(strstr(one.last, "POST /v1/auth/token/revoke-self "));
    assert_non_null(strstr(one.last, "X-Vault-Token: token-1\r\n"));
    vault_close(NULL);
    /* Not when there is none, and no failure when nobody answers. */
    unsigned before = one.requests;
    vault_close(client());
    assert_int_equal(one.requests, before);
}

static void test_credentials_of_systemd(void **state)
{
    (void)state;
    static char name[] = "credential:secret-id";
    config.auth.secret_id_file = name;
    struct vault *none = NULL;
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_refused(&e, KERR_CONFIG, "LoadCredential=secret-id", vault_open(&config, &none, &e));
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
    assert_int_equal(chmod(secret_id, 0440), 0); /* as systemd leaves them to a user's service */
    AUTO_VAULT v = client();
    assert_encrypts(v);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
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
        TEST(test_due_at_two_thirds),
        TEST(test_renewed),
        TEST(test_renewing_no_longer_helps),
        TEST(test_renewing_refused),
        TEST(test_renewing_past_the_longest_life),
        TEST(test_renewing_not_answered),
        TEST(test_expired),
        TEST(test_revoked),
        TEST(test_policy_costs_few_logins),
        TEST(test_pause_after_refused_logins),
        TEST(test_messages_hold_no_secret),
        TEST(test_waiting_for_a_login_is_bounded),
        TEST(test_jwt_is_read_at_each_login),
        TEST(test_token_file),
        TEST(test_no_login),
        TEST(test_given_back),
        TEST(test_credentials_of_systemd),
    };
    return cmocka_run_group_tests(tests, setup_all, NULL);
}
