/* SPDX-License-Identifier: Apache-2.0 */
/* seal/seal_vault.c: which key of which server, what is bound, and what is told when it fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "tests/unit/seal/parts.h"
#include "tests/unit/seal/transit.h"

static struct parts p;
static struct transit t;

static void write_config(const char *name, const char *address, const char *more)
{
    char text[512];
    (void)snprintf(text, sizeof text, "vault: { addresses: [ \"%s\" ], key: kube, %s }\n", address,
                   more);
    parts_text_file(&p, name, text);
}

static int start(void **state)
{
    (void)state;
    char address[128];
    parts_start(&p);
    transit_start(&t, p.folder, "bao.sock");
    write_config("c.yaml", t.address, "auth: { none: {} }");
    (void)snprintf(address, sizeof address, "unix:%s/nobody.sock", p.folder);
    write_config("away.yaml", address, "auth: { none: {} }");
    return 0;
}

static int end(void **state)
{
    (void)state;
    transit_stop(&t);
    parts_end(&p);
    return 0;
}

static int all_well(void **state)
{
    (void)state;
    t.status = 0;
    t.is_lying = false;
    t.latest = 1;
    return 0;
}

static enum kerr try_wrap(const char *format, struct kerrinfo *e)
{
    AUTO_SPEC spec = parts_spec(&p, format);
    struct seal_record record = {0};
    return seal_wrap(&spec, &p.env, BYTES_OF(p.binding), p.secret, &record, e);
}

static void specs(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SPEC plain = {0};
    AUTO_SPEC spec = {0};
    assert_ok(&e, seal_spec_parse("vault:", &plain, &e));
    assert_string_equal(plain.slot, "vault");
    assert_string_equal(plain.arg, "");
    assert_int_equal(plain.kind, SEAL_VAULT);
    assert_int_equal(seal_spec_caps(&plain), SEAL_CAN_OPEN_UNATTENDED);
    assert_non_null(strstr(seal_warning(&plain, &p.env), "must not run on this cluster"));
    assert_refused(&e, KERR_INPUT, "expected nothing behind 'vault:' or the absolute path",
                   seal_spec_parse("vault:kube", &spec, &e));
    assert_refused(&e, KERR_INPUT, "absolute path",
                   seal_spec_parse("vault:https://bao:8200", &spec, &e));
    char *kept = NULL;
    assert_ok(&e, seal_spec_keep(&plain, &kept, &e));
    assert_string_equal(kept, "vault:");
    free(kept);
}

static void the_latest_version_wraps_and_older_ones_open(void **state)
{
    (void)state;
    AUTO_SPEC spec = parts_spec(&p, "vault:%s/c.yaml");
    struct seal_record one = parts_wrap(&p, &spec);
    static const uint8_t params[] = {1, 0, 0, 0, 1};
    assert_int_equal(one.params_len, sizeof params);
    assert_memory_equal(one.params, params, sizeof params);
    assert_int_equal(one.blob_len, 12 + SEAL_SECRET_BYTES + 16);
    assert_string_equal(t.last_path, "decrypt/kube");
    t.latest = 258;
    struct seal_record two = parts_wrap(&p, &spec);
    static const uint8_t later[] = {1, 0, 0, 1, 2};
    assert_memory_equal(two.params, later, sizeof later);
    parts_assert_opens(&p, &spec, &one);
    parts_assert_opens(&p, &spec, &two);
}

/* Byte for byte what docs/keystore-format.md says, opened without the seal's code. */
static void the_associated_data_are_those_of_the_page(void **state)
{
    (void)state;
    AUTO_SPEC spec = parts_spec(&p, "vault:%s/c.yaml");
    struct seal_record r = parts_wrap(&p, &spec);
    struct kerrinfo e = {0};
    uint8_t raw[128];
    uint8_t out[SEAL_SECRET_BYTES];
    struct writer w = writer_on(raw, sizeof raw);
    write_raw(&w, bytes_of_text("etcdseal/v1/seal/vault"));
    write_lv16(&w, BYTES_OF(p.binding));
    write_u8(&w, 6);
    write_lv16(&w, bytes_of(r.params, r.params_len));
    assert_ok(&e, aead_gcm_open(t.keys[0].key, r.blob, writer_view(&w),
                                bytes_of(r.blob + 12, r.blob_len - 12), out, &e));
    assert_memory_equal(out, secret_view(p.secret).ptr, sizeof out);
}

static void what_is_not_read_back_is_not_believed(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    t.is_lying = true;
    assert_refused(&e, KERR_INTEGRITY, "the server gave other bytes back than it was given",
                   try_wrap("vault:%s/c.yaml", &e));
}

static void parameters_are_checked_before_any_call(void **state)
{
    (void)state;
    AUTO_SPEC spec = parts_spec(&p, "vault:%s/c.yaml");
    struct seal_record good = parts_wrap(&p, &spec);
    static const uint8_t bad[][6] = {{0, 0, 0, 0, 1}, {2, 0, 0, 0, 1}, {1, 0, 0, 0, 0}};
    struct kerrinfo e = {0};
    unsigned calls = t.calls;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct seal_record r = good;
        memcpy(r.params, bad[i], 5);
        assert_refused(&e, KERR_FORMAT, "seal parameters of 5 bytes, expected 5, version 1",
                       parts_try(&p, &spec, &r, &e));
    }
    struct seal_record r = good;
    r.blob_len = 2049;
    assert_refused(&e, KERR_FORMAT, "2049 bytes", parts_try(&p, &spec, &r, &e));
    assert_int_equal(t.calls, calls);
}

/* Each cause of the client by the order of seal.h. */
static void failures(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *why;
        enum kerr code;
        const char *words;
    } rows[] = {
        {503, "Vault is sealed", KERR_DOWN, "unseal the server"},
        {429, "request path rate limit quota exceeded", KERR_DOWN, "raise the server's quota"},
        {500, "internal error", KERR_DOWN, "read the server's log"},
        {501, "not initialised", KERR_DOWN, "initialise the server"},
        {403, "permission denied", KERR_DENIED, "deliver a new secret id"},
        {403, "1 error occurred: * permission denied", KERR_DENIED, "etcdseal vault policy"},
        {404, "no handler for route", KERR_DENIED, "mend vault.mount"},
        {400, "encryption key not found", KERR_DENIED, "mend vault.key"},
        {400, "ciphertext or signature version is disallowed by policy (too old)", KERR_DENIED,
         "lower min_decryption_version"},
        {400, "cipher: message authentication failed", KERR_INTEGRITY,
         "key kube of mount transit: wrong secret, or the slot was altered"},
        {418, "teapot", KERR_IO, "see what stands between"},
    };
    AUTO_SPEC spec = parts_spec(&p, "vault:%s/c.yaml");
    struct seal_record r = parts_wrap(&p, &spec);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kerrinfo e = {0};
        t.status = rows[i].status;
        t.why = rows[i].why;
        assert_refused(&e, rows[i].code, rows[i].words, parts_try(&p, &spec, &r, &e));
        assert_non_null(strstr(e.text, "seal vault: "));
        assert_int_not_equal(try_wrap("vault:%s/c.yaml", &e), KERR_OK);
    }
    t.status = 0;
    parts_assert_opens(&p, &spec, &r);
}

static void a_version_that_the_server_does_not_know(void **state)
{
    (void)state;
    AUTO_SPEC spec = parts_spec(&p, "vault:%s/c.yaml");
    struct seal_record r = parts_wrap(&p, &spec);
    struct kerrinfo e = {0};
    r.params[4] = 9;
    assert_refused(&e, KERR_INTEGRITY, "seal vault: ", parts_try(&p, &spec, &r, &e));
}

static void nobody_answers(void **state)
{
    (void)state;
    AUTO_SPEC good = parts_spec(&p, "vault:%s/c.yaml");
    AUTO_SPEC away = parts_spec(&p, "vault:%s/away.yaml");
    struct seal_record r = parts_wrap(&p, &good);
    struct kerrinfo e = {0};
    uint64_t began_ms = clock_mono_ms();
    assert_refused(&e, KERR_DOWN, "start the server, or mend vault.addresses",
                   parts_try(&p, &away, &r, &e));
    assert_refused(&e, KERR_DOWN, "start the server", try_wrap("vault:%s/away.yaml", &e));
    assert_true(clock_mono_ms() - began_ms < 12000);
}

static void files_that_cannot_serve(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    parts_text_file(&p, "none.yaml", "{}\n");
    assert_refused(&e, KERR_INPUT, "none.yaml has no section vault that says where the Transit key",
                   try_wrap("vault:%s/none.yaml", &e));
    parts_text_file(&p, "bad.yaml", "vault: { key: k }\n");
    assert_refused(&e, KERR_INPUT, "bad.yaml:1:1: vault: addresses is missing",
                   try_wrap("vault:%s/bad.yaml", &e));
    assert_refused(&e, KERR_NOTFOUND, "seal vault: ", try_wrap("vault:%s/missing.yaml", &e));
    write_config("wrapped.yaml", t.address,
                 "auth: { approle: { role_id_file: /r, secret_id_file: /s, secret_id_wrapped: "
                 "true } }");
    assert_refused(&e, KERR_INPUT, "a seal logs in at every start; deliver a plain one",
                   try_wrap("vault:%s/wrapped.yaml", &e));
    write_config("token.yaml", t.address, "auth: { token: { file: /nonexistent/token } }");
    assert_refused(&e, KERR_INPUT, "/nonexistent/token", try_wrap("vault:%s/token.yaml", &e));
}

/* The tool works as root for the daemon's user, whose files they are. */
static void the_daemons_user_may_own_the_token(void **state)
{
    (void)state;
    test_needs_root();
    struct kerrinfo e = {0};
    char more[256];
    char *token = test_path(p.folder, "token");
    parts_text_file(&p, "token", "hvs.not-a-real-one\n");
    assert_int_equal(chmod(token, 0600), 0);
    assert_int_equal(chown(token, 4711, 4712), 0);
    (void)snprintf(more, sizeof more, "auth: { token: { file: %s } }", token);
    write_config("owned.yaml", t.address, more);
    assert_refused(&e, KERR_INPUT, token, try_wrap("vault:%s/owned.yaml", &e));
    p.env.owner = 4711;
    assert_ok(&e, try_wrap("vault:%s/owned.yaml", &e));
    p.env.owner = geteuid();
    free(token);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(specs, all_well),
        cmocka_unit_test_setup(the_latest_version_wraps_and_older_ones_open, all_well),
        cmocka_unit_test_setup(the_associated_data_are_those_of_the_page, all_well),
        cmocka_unit_test_setup(what_is_not_read_back_is_not_believed, all_well),
        cmocka_unit_test_setup(parameters_are_checked_before_any_call, all_well),
        cmocka_unit_test_setup(failures, all_well),
        cmocka_unit_test_setup(a_version_that_the_server_does_not_know, all_well),
        cmocka_unit_test_setup(nobody_answers, all_well),
        cmocka_unit_test_setup(files_that_cannot_serve, all_well),
        cmocka_unit_test_setup(the_daemons_user_may_own_the_token, all_well),
    };
    return cmocka_run_group_tests_name("seal.seal_vault", tests, start, end);
}
