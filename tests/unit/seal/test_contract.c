/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every kind of seal keeps to. Each test walks the table of kinds; a new kind needs one row
 * in `rows` and no other line here.
 *
 * Argon2id is replaced by a cheap hash, because this suite opens a hundred passphrases; the real
 * one is at work in test_seal_passphrase.c.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/seal/parts.h"
#include "tests/unit/seal/transit.h"

int __wrap_crypto_pwhash(unsigned char *out, unsigned long long outlen, const char *passwd,
                         unsigned long long passwdlen, const unsigned char *salt,
                         unsigned long long opslimit, size_t memlimit, int alg);

int __wrap_crypto_pwhash(unsigned char *out, unsigned long long outlen, const char *passwd,
                         unsigned long long passwdlen, const unsigned char *salt,
                         unsigned long long opslimit, size_t memlimit, int alg)
{
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, (size_t)outlen);
    (void)crypto_generichash_update(&state, salt, crypto_pwhash_SALTBYTES);
    (void)crypto_generichash_update(&state, (const uint8_t *)&opslimit, sizeof opslimit);
    (void)crypto_generichash_update(&state, (const uint8_t *)&memlimit, sizeof memlimit);
    (void)crypto_generichash_update(&state, (const uint8_t *)&alg, sizeof alg);
    (void)crypto_generichash_update(&state, (const uint8_t *)passwd, passwdlen);
    return crypto_generichash_final(&state, out, (size_t)outlen);
}

static struct parts p;
static struct transit transit;

/* For each kind two SPECs with different keys behind them; "%s" is the folder. */
static const struct row {
    uint8_t kind;
    const char *mine;
    const char *other;
    bool has_salt; /* among the parameters */
} rows[] = {
    {SEAL_PASSPHRASE, "slot=passphrase:file=%s/mine.txt", "slot=passphrase:file=%s/other.txt",
     true},
    {SEAL_FILE, "slot=file:%s/mine.key", "slot=file:%s/other.key", true},
    {SEAL_CREDENTIAL, "slot=credential:mine,file=%s/mine", "slot=credential:other,file=%s/other",
     true},
    {SEAL_VAULT, "slot=vault:%s/mine.yaml", "slot=vault:%s/other.yaml", false},
};

/* Two keys of a Transit engine that this process serves. */
static void start_vault(void)
{
    static const char *const keys[] = {"mine", "other"};
    transit_start(&transit, p.folder, "transit.sock");
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        char name[32];
        char text[256];
        (void)snprintf(name, sizeof name, "%s.yaml", keys[i]);
        (void)snprintf(text, sizeof text,
                       "vault: { addresses: [ \"%s\" ], key: %s, auth: { none: {} } }\n",
                       transit.address, keys[i]);
        parts_text_file(&p, name, text);
    }
}

static int start(void **state)
{
    (void)state;
    parts_start(&p);
    start_vault();
    parts_text_file(&p, "mine.txt", "correct horse battery staple\n");
    parts_text_file(&p, "other.txt", "incorrect horse battery staple\n");
    parts_text_file(&p, "mine", "thirty-two bytes or some more of mine");
    parts_text_file(&p, "other", "thirty-two bytes or more of another");
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", p.folder, 1), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    transit_stop(&transit);
    parts_end(&p);
    return 0;
}

/* One kind at work: both SPECs and a record made with the first. */
struct kind {
    struct seal_spec mine;
    struct seal_spec other;
    struct seal_record record;
    bool has_salt;
};

static void kind_done(struct kind *k)
{
    seal_spec_done(&k->mine);
    seal_spec_done(&k->other);
}
#define AUTO_KIND AUTO(kind_done) struct kind

static struct kind kind_at(size_t i)
{
    for (size_t j = 0; j < ARRAY_LEN(rows); j++) {
        if (rows[j].kind == seal_kind_at(i)) {
            struct kind k = {.mine = parts_spec(&p, rows[j].mine),
                             .other = parts_spec(&p, rows[j].other),
                             .has_salt = rows[j].has_salt};
            k.record = parts_wrap(&p, &k.mine);
            return k;
        }
    }
    fail_msg("seal kind %s has no row in this suite", seal_kind_name(seal_kind_at(i)));
    return (struct kind){0};
}

static void the_record_opens_and_holds_no_secret(void **state)
{
    (void)state;
    for (size_t i = 0; i < seal_kind_count(); i++) {
        AUTO_KIND k = kind_at(i);
        struct kerrinfo e = {0};
        assert_int_equal(k.record.kind, seal_kind_at(i));
        assert_ok(&e, seal_check(&k.record, &e));
        parts_assert_opens(&p, &k.mine, &k.record);
        struct bytes secret = secret_view(p.secret);
        assert_null(memmem(k.record.blob, k.record.blob_len, secret.ptr, 8));
        assert_null(memmem(k.record.params, k.record.params_len, secret.ptr, 8));
    }
}

static void wrapping_again_gives_another_record_under_the_same_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < seal_kind_count(); i++) {
        AUTO_KIND k = kind_at(i);
        struct seal_record again = parts_wrap(&p, &k.mine);
        assert_true(!k.has_salt || memcmp(again.params, k.record.params, k.record.params_len) != 0);
        assert_memory_not_equal(again.blob, k.record.blob, k.record.blob_len);
        parts_assert_opens(&p, &k.mine, &again);
        parts_assert_opens(&p, &k.mine, &k.record);
    }
}

static void another_key_is_an_integrity_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < seal_kind_count(); i++) {
        AUTO_KIND k = kind_at(i);
        struct kerrinfo e = {0};
        /* The other key exists and works. */
        struct seal_record other = parts_wrap(&p, &k.other);
        parts_assert_opens(&p, &k.other, &other);
        assert_refused(&e, KERR_INTEGRITY, "wrong secret, or the slot was altered",
                       parts_try(&p, &k.other, &k.record, &e));
        assert_refused(&e, KERR_INTEGRITY, "wrong secret, or the slot was altered",
                       parts_try(&p, &k.mine, &other, &e));
    }
}

/* An altered record is refused by what reads it, before or after the work. */
static void assert_refused_as_altered(const struct kind *k, const struct seal_record *record)
{
    struct kerrinfo e = {0};
    enum kerr code = parts_try(&p, &k->mine, record, &e);
    if (code != KERR_INTEGRITY && code != KERR_FORMAT && code != KERR_LIMIT && code != KERR_UNSUP) {
        fail_msg("%s: an altered record gave %s: %s", k->mine.text, kerr_name(code), e.text);
    }
}

static void every_altered_byte_of_a_record_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < seal_kind_count(); i++) {
        AUTO_KIND k = kind_at(i);
        struct seal_record r = k.record;
        for (size_t at = 0; at < r.params_len; at++) {
            r.params[at] ^= 1;
            assert_refused_as_altered(&k, &r);
            r.params[at] ^= 1;
        }
        for (size_t at = 0; at < r.blob_len; at++) {
            r.blob[at] ^= 1;
            assert_refused_as_altered(&k, &r);
            r.blob[at] ^= 1;
        }
        parts_assert_opens(&p, &k.mine, &r);
    }
}

static void other_sizes_of_a_record_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < seal_kind_count(); i++) {
        AUTO_KIND k = kind_at(i);
        const size_t params[] = {0, k.record.params_len - 1, k.record.params_len + 1,
                                 SEAL_PARAMS_MAX, SEAL_PARAMS_MAX + 1};
        const size_t blobs[] = {
            0, 1, k.record.blob_len - 1, k.record.blob_len + 1, SEAL_BLOB_MAX, SEAL_BLOB_MAX + 1};
        for (size_t j = 0; j < ARRAY_LEN(params); j++) {
            struct seal_record r = k.record;
            r.params_len = params[j];
            assert_refused_as_altered(&k, &r);
        }
        for (size_t j = 0; j < ARRAY_LEN(blobs); j++) {
            struct seal_record r = k.record;
            r.blob_len = blobs[j];
            assert_refused_as_altered(&k, &r);
        }
    }
}

static void another_binding_is_an_integrity_error(void **state)
{
    (void)state;
    static const size_t flips[] = {0, 15, 16, PARTS_BINDING_BYTES - 1};
    for (size_t i = 0; i < seal_kind_count(); i++) {
        AUTO_KIND k = kind_at(i);
        struct kerrinfo e = {0};
        struct secret *out = NULL;
        for (size_t j = 0; j < ARRAY_LEN(flips); j++) {
            p.binding[flips[j]] ^= 0x80;
            assert_refused(&e, KERR_INTEGRITY, "", parts_try(&p, &k.mine, &k.record, &e));
            p.binding[flips[j]] ^= 0x80;
        }
        assert_refused(&e, KERR_INTEGRITY, "",
                       seal_unwrap(&k.mine, &p.env, bytes_of(p.binding, PARTS_BINDING_BYTES - 1),
                                   &k.record, &out, &e));
        assert_null(out);
    }
}

static void a_record_of_another_kind_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < seal_kind_count(); i++) {
        AUTO_KIND k = kind_at(i);
        AUTO_KIND other = kind_at((i + 1) % seal_kind_count());
        struct kerrinfo e = {0};
        assert_refused(&e, KERR_INPUT, "but is to be opened with",
                       parts_try(&p, &k.mine, &other.record, &e));
        struct seal_record r = k.record;
        r.kind = 0;
        assert_refused(&e, KERR_UNSUP, "seal kind 0", parts_try(&p, &k.mine, &r, &e));
        r.kind = 255;
        assert_refused(&e, KERR_UNSUP, "seal kind 255", parts_try(&p, &k.mine, &r, &e));
    }
}

static void only_slot_secrets_are_wrapped(void **state)
{
    (void)state;
    for (size_t i = 0; i < seal_kind_count(); i++) {
        AUTO_KIND k = kind_at(i);
        AUTO_SECRET cut = NULL;
        struct kerrinfo e = {0};
        struct seal_record untouched = {.kind = 77};
        assert_ok(&e, secret_random(SEAL_SECRET_BYTES - 1, &cut, &e));
        assert_refused(&e, KERR_BUG, "31 bytes",
                       seal_wrap(&k.mine, &p.env, BYTES_OF(p.binding), cut, &untouched, &e));
        assert_int_equal(untouched.kind, 77);
    }
}

/* Whoever could copy the key with the keystore must be told so. */
static void a_secret_that_lies_beside_has_a_warning(void **state)
{
    (void)state;
    for (size_t i = 0; i < seal_kind_count(); i++) {
        AUTO_KIND k = kind_at(i);
        if ((seal_spec_caps(&k.mine) & SEAL_SECRET_LIES_BESIDE) != 0) {
            assert_non_null(seal_warning(&k.mine, &p.env));
        }
    }
}

static void the_text_that_is_kept_gives_the_same_spec(void **state)
{
    (void)state;
    for (size_t i = 0; i < seal_kind_count(); i++) {
        AUTO_KIND k = kind_at(i);
        AUTO_SPEC again = {0};
        struct kerrinfo e = {0};
        char *text = NULL;
        assert_ok(&e, seal_spec_keep(&k.mine, &text, &e));
        assert_ok(&e, seal_spec_parse(text, &again, &e));
        assert_int_equal(again.kind, k.mine.kind);
        assert_string_equal(again.arg, k.mine.arg);
        parts_assert_opens(&p, &again, &k.record);
        free(text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_record_opens_and_holds_no_secret),
        cmocka_unit_test(wrapping_again_gives_another_record_under_the_same_key),
        cmocka_unit_test(another_key_is_an_integrity_error),
        cmocka_unit_test(every_altered_byte_of_a_record_is_refused),
        cmocka_unit_test(other_sizes_of_a_record_are_refused),
        cmocka_unit_test(another_binding_is_an_integrity_error),
        cmocka_unit_test(a_record_of_another_kind_is_refused),
        cmocka_unit_test(only_slot_secrets_are_wrapped),
        cmocka_unit_test(a_secret_that_lies_beside_has_a_warning),
        cmocka_unit_test(the_text_that_is_kept_gives_the_same_spec),
    };
    return cmocka_run_group_tests_name("seal.contract", tests, start, end);
}
