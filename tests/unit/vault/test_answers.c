/* SPDX-License-Identifier: Apache-2.0 */
/* vault/answers.h: what servers answer, and what they might. */
#include "vault/answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/testlib.h"

static struct kerrinfo e;

#define KEY_HEAD                                                                                   \
    "{\"data\":{\"type\":\"aes256-gcm96\",\"derived\":false,\"exportable\":true,"                  \
    "\"allow_plaintext_backup\":true,\"deletion_allowed\":true,"
#define KEY(latest, decrypt, encrypt, keys)                                                        \
    KEY_HEAD "\"latest_version\":" latest ",\"min_decryption_version\":" decrypt                   \
             ",\"min_encryption_version\":" encrypt ",\"keys\":{" keys "}}}"

static void test_key(void **state)
{
    (void)state;
    AUTO_VAULT_KEY k = {.version_count = 0};
    enum vault_cause cause = VAULT_CAUSE_COUNT;
    const char *text = KEY("10", "3", "4", "\"10\":5,\"3\":1,\"4\":2,\"9\":4,\"5\":3");
    assert_ok(&e, answer_key(bytes_of_text(text), &k, &cause, &e));
    assert_int_equal(cause, VAULT_NONE);
    assert_string_equal(k.type, "aes256-gcm96");
    assert_true(k.is_exportable && k.allows_plaintext_backup && k.is_deletion_allowed);
    assert_false(k.is_derived);
    assert_int_equal(k.latest, 10);
    assert_int_equal(k.min_decryption, 3);
    assert_int_equal(k.min_encryption, 4);
    assert_int_equal(k.version_count, 5);
    for (size_t i = 0; i < 5; i++) { /* ascending */
        assert_int_equal(k.versions[i].created_at_s, i + 1);
    }
}

static void test_keys_that_cannot_be_used(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        const char *derived;
        const char *deleted;
        const char *version;
        enum vault_cause cause;
    } rows[] = {
        {"aes128-gcm96", "false", "false", "1", VAULT_NONE},
        {"chacha20-poly1305", "false", "false", "1", VAULT_NONE},
        {"xchacha20-poly1305", "false", "false", "1", VAULT_NONE},
        {"aes256-gcm96", "true", "false", "1", VAULT_KEY_TYPE},
        {"rsa-2048", "false", "false", "{\"public_key\":\"x\"}", VAULT_KEY_TYPE},
        {"hmac", "false", "false", "1", VAULT_KEY_TYPE},
        {"aes256-gcm96", "false", "false", "{}", VAULT_KEY_TYPE},
        {"aes256-gcm96", "false", "true", "1", VAULT_KEY_DELETED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_VAULT_KEY k = {.version_count = 0};
        enum vault_cause cause = VAULT_CAUSE_COUNT;
        char text[600];
        (void)snprintf(text, sizeof text,
                       "{\"data\":{\"type\":\"%s\",\"derived\":%s,\"soft_deleted\":%s,"
                       "\"exportable\":false,\"allow_plaintext_backup\":false,"
                       "\"deletion_allowed\":false,\"latest_version\":1,"
                       "\"min_decryption_version\":1,\"min_encryption_version\":0,"
                       "\"keys\":{\"1\":%s}}}",
                       rows[i].type, rows[i].derived, rows[i].deleted, rows[i].version);
        assert_ok(&e, answer_key(bytes_of_text(text), &k, &cause, &e));
        assert_int_equal(cause, rows[i].cause);
    }
}

static void test_bad_keys(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } rows[] = {
        {"", "not a JSON object"},
        {"[]", "not a JSON object"},
        {"{}", "not a description"},
        {"{\"data\":null}", "not a description"},
        {"{\"data\":[]}", "not a description"},
        {KEY("1", "1", "0", ""), "expected 1 to 10000 versions"},
        {KEY("0", "1", "0", "\"1\":1"), "contradicts itself"},
        {KEY("3", "1", "0", "\"1\":1,\"2\":1"), "contradicts itself"},
        {KEY("1", "1", "0", "\"1\":1,\"2\":1"), "contradicts itself"},
        {KEY("1", "2", "0", "\"1\":1"), "contradicts itself"},
        {KEY("1", "0", "0", "\"1\":1"), "contradicts itself"},
        {KEY("1", "1", "2", "\"1\":1"), "contradicts itself"},
        {KEY("1", "1", "0", "\"1\":1,\"01\":1"), "stands twice"},
        {KEY("1", "1", "0", "\"1\":1,\"0\":1"), "keys"},
        {KEY("1", "1", "0", "\"1\":1,\"x\":1"), "keys"},
        {KEY("1", "1", "0", "\"4294967296\":1"), "keys"},
        {KEY("-1", "1", "0", "\"1\":1"), "not a description"},
        {KEY("4294967297", "1", "0", "\"1\":1"), "not a description"},
        {KEY("1.0", "1", "0", "\"1\":1"), "not a description"},
        {KEY("\"1\"", "1", "0", "\"1\":1"), "not a description"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct vault_key none = {.latest = 99};
        enum vault_cause cause = VAULT_CAUSE_COUNT;
        assert_refused(&e, KERR_INPUT, rows[i].words,
                       answer_key(bytes_of_text(rows[i].text), &none, &cause, &e));
        assert_int_equal(none.latest, 99);
        assert_int_equal(cause, VAULT_CAUSE_COUNT);
    }
}

static void test_many_versions(void **state)
{
    (void)state;
    for (unsigned count = VAULT_VERSIONS_MAX; count <= VAULT_VERSIONS_MAX + 1; count++) {
        AUTO_BUF text;
        AUTO_VAULT_KEY k = {.version_count = 0};
        enum vault_cause cause = VAULT_CAUSE_COUNT;
        buf_init(&text, 1 << 20);
        struct appender a = appender_on(&text, &e);
        append_printf(&a,
                      KEY_HEAD "\"latest_version\":%u,\"min_decryption_version\":1,"
                               "\"min_encryption_version\":0,\"keys\":{",
                      count);
        for (unsigned i = count; i > 0; i--) {
            append_printf(&a, "\"%u\":1795420094%s", i, i == 1 ? "}}}" : ",");
        }
        assert_int_equal(a.k, KERR_OK);
        enum kerr got = answer_key(buf_view(&text), &k, &cause, NULL);
        assert_int_equal(got, count == VAULT_VERSIONS_MAX ? KERR_OK : KERR_INPUT);
        assert_int_equal(k.version_count, count == VAULT_VERSIONS_MAX ? count : 0);
    }
}

static void test_encrypt(void **state)
{
    (void)state;
    AUTO_BUF raw = {0};
    assert_ok(&e, answer_encrypt(bytes_of_text("{\"data\":{\"ciphertext\":\"vault:v12:Zm9v\","
                                               "\"key_version\":12}}"),
                                 12, &raw, &e));
    assert_true(bytes_equal_text(buf_view(&raw), "foo"));
    static const char *const bad[] = {
        "{}",
        "{\"data\":{\"ciphertext\":\"vault:v12:Zm9v\"}}",
        "{\"data\":{\"key_version\":12}}",
        "{\"data\":{\"ciphertext\":\"vault:v12:Zm9v\",\"key_version\":13}}",
        "{\"data\":{\"ciphertext\":\"vault:v1:Zm9v\",\"key_version\":12}}",
        "{\"data\":{\"ciphertext\":\"vault:v12\",\"key_version\":12}}",
        "{\"data\":{\"ciphertext\":\"vault:v12:\",\"key_version\":12}}",
        "{\"data\":{\"ciphertext\":\"vault:v12:Zm9\",\"key_version\":12}}",
        "{\"data\":{\"ciphertext\":\"Vault:v12:Zm9v\",\"key_version\":12}}",
        "{\"data\":{\"ciphertext\":7,\"key_version\":12}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf none = {0};
        assert_refused(&e, KERR_INPUT, "", answer_encrypt(bytes_of_text(bad[i]), 12, &none, &e));
        assert_null(none.ptr);
    }
}

static void test_decrypt(void **state)
{
    (void)state;
    AUTO_SECRET s = NULL;
    assert_ok(&e, answer_decrypt(bytes_of_text("{\"data\":{\"plaintext\":\"Zm9v\"}}"), &s, &e));
    assert_true(bytes_equal_text(secret_view(s), "foo"));
    static const char *const bad[] = {
        "{}",
        "{\"data\":{\"plaintext\":\"\"}}",
        "{\"data\":{\"plaintext\":\"Zm9\"}}",
        "{\"data\":{\"plaintext\":null}}",
        "Zm9v",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct secret *none = NULL;
        assert_refused(&e, KERR_INPUT, "", answer_decrypt(bytes_of_text(bad[i]), &none, &e));
        assert_null(none);
        assert_null(strstr(e.text, "Zm9")); /* it may be a piece of a secret */
    }
}

static void test_auth(void **state)
{
    (void)state;
    struct answer_auth auth;
    assert_ok(&e, answer_auth(bytes_of_text("{\"auth\":{\"client_token\":\"s.x\","
                                            "\"lease_duration\":60,\"renewable\":true}}"),
                              &auth, &e));
    assert_true(bytes_equal_text(secret_view(auth.token), "s.x"));
    assert_int_equal(auth.ttl_s, 60);
    assert_true(auth.is_renewable);
    secret_free(auth.token);
    static const char *const bad[] = {
        "{}",
        "{\"auth\":null}",
        "{\"auth\":{\"client_token\":\"s.x\",\"lease_duration\":60}}",
        "{\"auth\":{\"client_token\":\"\",\"lease_duration\":60,\"renewable\":true}}",
        "{\"auth\":{\"client_token\":\"s.x\",\"lease_duration\":-1,\"renewable\":true}}",
        "{\"auth\":{\"client_token\":\"s.x\",\"lease_duration\":\"60\",\"renewable\":true}}",
        "{\"auth\":{\"client_token\":\"s.x\",\"lease_duration\":60,\"renewable\":1}}",
        "s.x",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_refused(&e, KERR_INPUT, "", answer_auth(bytes_of_text(bad[i]), &auth, &e));
        assert_null(strstr(e.text, "s.x"));
    }
    /* A life that nobody can add up. */
    assert_ok(&e,
              answer_lookup(bytes_of_text("{\"data\":{\"ttl\":9223372036854775807}}"), &auth, &e));
    assert_int_equal(auth.ttl_s, ANSWER_TTL_MAX_S);
    assert_false(auth.is_renewable);
    assert_refused(&e, KERR_INPUT, "ttl", answer_lookup(bytes_of_text("{\"data\":{}}"), &auth, &e));
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_vault;
        const char *want;
    } rows[] = {
        {"{\"errors\":[]}", true, ""},
        {"{\"errors\":[\"a\",\"b\"]}", true, "a; b"},
        {"{\"errors\":[\"1 error occurred:\\n\\t* permission denied\\n\\n\"]}", true,
         "1 error occurred: * permission denied"},
        {"{\"errors\":[\"\\u0007\xc3\xa4\\\"\"]}", true, "\\xc3\\xa4\\x22"},
        {"{\"errors\":[7]}", true, ""},
        {"{\"errors\":[\"01234567890123456789012345678901234567890123456789\"]}", true,
         "0123456789012345678901234567890123456..."},
        {"{\"errors\":\"x\"}", false, ""},
        {"{\"errors\":null}", false, ""},
        {"{}", false, ""},
        {"[]", false, ""},
        {"<html>", false, ""},
        {"", false, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char to[41];
        assert_int_equal(answer_errors(bytes_of_text(rows[i].text), to, sizeof to),
                         rows[i].is_vault);
        assert_string_equal(to, rows[i].want);
    }
}

static void test_others(void **state)
{
    (void)state;
    struct vault_health h;
    unsigned bits[2] = {99, 99};
    AUTO_SECRET s = NULL;
    static const char *const paths[] = {"a", "b"};
    assert_ok(&e, answer_health(bytes_of_text("{\"initialized\":false,\"sealed\":true,"
                                              "\"standby\":true,\"server_time_utc\":5,"
                                              "\"version\":\"1.14.1\\n\"}"),
                                &h, &e));
    assert_true(!h.is_initialised && h.is_sealed && h.is_standby && h.server_time_s == 5);
    assert_string_equal(h.version, "1.14.1\\x0a");
    assert_refused(&e, KERR_INPUT, "health", answer_health(bytes_of_text("{}"), &h, &e));
    assert_ok(&e, answer_capabilities(
                      bytes_of_text("{\"data\":{\"b\":[\"deny\"],\"a\":[\"read\",\"list\",\"new\","
                                    "\"sudo\",\"delete\",\"update\",\"create\"]}}"),
                      paths, 2, bits, &e));
    assert_int_equal(bits[0], VAULT_MAY_ALL - 1);
    assert_int_equal(bits[1], 0);
    bits[0] = 99;
    assert_refused(
        &e, KERR_INPUT, "capabilities",
        answer_capabilities(bytes_of_text("{\"data\":{\"a\":[\"read\"]}}"), paths, 2, bits, &e));
    assert_int_equal(bits[0], 99);
    assert_refused(
        &e, KERR_INPUT, "capabilities",
        answer_capabilities(bytes_of_text("{\"data\":{\"a\":[1],\"b\":[]}}"), paths, 2, bits, &e));
    assert_ok(&e, answer_secret_id(bytes_of_text("{\"data\":{\"secret_id\":\"i\"}}"), &s, &e));
    assert_true(bytes_equal_text(secret_view(s), "i"));
    struct secret *none = NULL;
    assert_refused(&e, KERR_INPUT, "secret_id",
                   answer_secret_id(bytes_of_text("{\"data\":{\"token\":\"i\"}}"), &none, &e));
    assert_null(none);
}

static void test_causes(void **state)
{
    (void)state;
    for (size_t i = 0; i < VAULT_CAUSE_COUNT; i++) {
        enum vault_cause c = (enum vault_cause)i;
        assert_true(*vault_cause_word(c) != 0 && *vault_cause_sentence(c) != 0);
        assert_true((vault_cause_code(c) == KERR_OK) == (c == VAULT_NONE));
        assert_true((*vault_cause_cure(c) == 0) == (vault_cause_class(c) == VAULT_CLASS_REQUEST));
    }
}

static int setup(void **state)
{
    (void)state;
    return secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key),      cmocka_unit_test(test_keys_that_cannot_be_used),
        cmocka_unit_test(test_bad_keys), cmocka_unit_test(test_many_versions),
        cmocka_unit_test(test_encrypt),  cmocka_unit_test(test_decrypt),
        cmocka_unit_test(test_auth),     cmocka_unit_test(test_errors),
        cmocka_unit_test(test_others),   cmocka_unit_test(test_causes),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
