/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/passphrase.h"

#include <string.h>

#include "base/text.h"
#include "tests/lib/testlib.h"

/* Counts the times that real work begins, and can make it fail as if memory were short. */
static size_t works;
static bool is_short_of_memory;

int __real_crypto_pwhash(unsigned char *out, unsigned long long outlen, const char *passwd,
                         unsigned long long passwdlen, const unsigned char *salt,
                         unsigned long long opslimit, size_t memlimit, int alg);
int __wrap_crypto_pwhash(unsigned char *out, unsigned long long outlen, const char *passwd,
                         unsigned long long passwdlen, const unsigned char *salt,
                         unsigned long long opslimit, size_t memlimit, int alg);

int __wrap_crypto_pwhash(unsigned char *out, unsigned long long outlen, const char *passwd,
                         unsigned long long passwdlen, const unsigned char *salt,
                         unsigned long long opslimit, size_t memlimit, int alg)
{
    works++;
    if (is_short_of_memory) {
        return -1;
    }
    return __real_crypto_pwhash(out, outlen, passwd, passwdlen, salt, opslimit, memlimit, alg);
}

static struct secret *passphrase;
static const uint8_t salt[PASSPHRASE_SALT] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static int start(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, secret_start(SECRET_LOCK_STRICT, &e));
    assert_ok(&e,
              secret_from_bytes(bytes_of_text("correct horse battery staple"), &passphrase, &e));
    return 0;
}

static int end(void **state)
{
    (void)state;
    secret_free(passphrase);
    return 0;
}

/* Made with the reference implementation (libargon2 20171227, argon2id_hash_raw, version 1.3, one
 * lane, 64 MiB, salt 00 01 … 0f), which itself was checked with its published value for
 * "password", "somesalt", 2 passes. */
static void keys_are_those_of_the_reference_implementation(void **state)
{
    (void)state;
    static const struct {
        uint32_t passes;
        const char *key;
    } rows[] = {
        {1, "ddb47644b1c7fcedcde4bf9220a884f033e8635be9329cf1c4ee3ad7941e3a62"},
        {3, "0d1a3c6523c8f06e4e0af9c515aa5b5448cfebd6838f2d52c3d8b6ef8ddc3c2e"},
    };
    struct kerrinfo e = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SECRET key = NULL;
        char hex[2 * PASSPHRASE_KEY + 1];
        struct passphrase_cost cost = {.passes = rows[i].passes, .memory_kib = 64 * 1024};
        assert_ok(&e, passphrase_key(passphrase, BYTES_OF(salt), cost, &key, &e));
        text_hex(secret_view(key), hex);
        assert_string_equal(hex, rows[i].key);
    }
}

static void passphrase_and_salt_change_the_key(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET other = NULL;
    AUTO_SECRET first = NULL;
    AUTO_SECRET second = NULL;
    AUTO_SECRET third = NULL;
    uint8_t other_salt[PASSPHRASE_SALT] = {1};
    assert_ok(&e, secret_from_bytes(bytes_of_text("correct horse battery stapler"), &other, &e));
    struct passphrase_cost cost = passphrase_cost_min;
    assert_ok(&e, passphrase_key(passphrase, BYTES_OF(salt), cost, &first, &e));
    assert_ok(&e, passphrase_key(other, BYTES_OF(salt), cost, &second, &e));
    assert_ok(&e, passphrase_key(passphrase, BYTES_OF(other_salt), cost, &third, &e));
    assert_false(secret_equal(first, second));
    assert_false(secret_equal(first, third));
}

static void costs_from_floor_to_cap_are_allowed(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, passphrase_cost_check(passphrase_cost_min, &e));
    assert_ok(&e, passphrase_cost_check(passphrase_cost_default, &e));
    assert_ok(&e, passphrase_cost_check(passphrase_cost_max, &e));
    assert_int_equal(passphrase_cost_min.memory_kib, 64 * 1024);
    assert_int_equal(passphrase_cost_default.memory_kib, 256 * 1024);
    assert_int_equal(passphrase_cost_default.passes, 3);
}

static void costs_outside_are_refused_before_any_work(void **state)
{
    (void)state;
    const struct passphrase_cost bad[] = {
        {passphrase_cost_min.passes - 1, passphrase_cost_default.memory_kib},
        {passphrase_cost_max.passes + 1, passphrase_cost_default.memory_kib},
        {passphrase_cost_default.passes, passphrase_cost_min.memory_kib - 1},
        {passphrase_cost_default.passes, passphrase_cost_max.memory_kib + 1},
        {0, 0},
        {UINT32_MAX, UINT32_MAX},
    };
    struct kerrinfo e = {0};
    struct secret *key = NULL;
    works = 0;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_refused(&e, KERR_LIMIT, "allowed are 1 to 10 passes over 65536 to 1048576 KiB",
                       passphrase_cost_check(bad[i], &e));
        assert_refused(&e, KERR_LIMIT, "allowed are",
                       passphrase_key(passphrase, BYTES_OF(salt), bad[i], &key, &e));
    }
    assert_int_equal(works, 0);
    assert_null(key);
}

static void salts_have_16_bytes(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct secret *key = NULL;
    works = 0;
    assert_refused(&e, KERR_BUG, "15 bytes",
                   passphrase_key(passphrase, bytes_of(salt, 15), passphrase_cost_min, &key, &e));
    assert_int_equal(works, 0);
    assert_null(key);
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct secret *key = NULL;
    works = 0;
    is_short_of_memory = true;
    assert_refused(&e, KERR_NOMEM, "needs 64 MiB",
                   passphrase_key(passphrase, BYTES_OF(salt), passphrase_cost_min, &key, &e));
    is_short_of_memory = false;
    assert_int_equal(works, 1);
    assert_null(key);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_the_reference_implementation),
        cmocka_unit_test(passphrase_and_salt_change_the_key),
        cmocka_unit_test(costs_from_floor_to_cap_are_allowed),
        cmocka_unit_test(costs_outside_are_refused_before_any_work),
        cmocka_unit_test(salts_have_16_bytes),
        cmocka_unit_test(too_little_memory_is_told),
    };
    return cmocka_run_group_tests_name("crypto.passphrase", tests, start, end);
}
