/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/suite.h"

#include <openssl/evp.h>
#include <string.h>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "tests/lib/vectors.h"

/* random_fill gives these bytes while they are set. */
static const uint8_t *planned_random;
static size_t aes_starts;

void __real_random_fill(void *to, size_t len);
void __wrap_random_fill(void *to, size_t len);
int __real_EVP_EncryptInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *type, ENGINE *impl,
                              const unsigned char *key, const unsigned char *iv);
int __wrap_EVP_EncryptInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *type, ENGINE *impl,
                              const unsigned char *key, const unsigned char *iv);
int __real_EVP_DecryptInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *type, ENGINE *impl,
                              const unsigned char *key, const unsigned char *iv);
int __wrap_EVP_DecryptInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *type, ENGINE *impl,
                              const unsigned char *key, const unsigned char *iv);

void __wrap_random_fill(void *to, size_t len)
{
    if (planned_random == NULL) {
        __real_random_fill(to, len);
        return;
    }
    assert_int_equal(len, 32);
    memcpy(to, planned_random, len);
}

int __wrap_EVP_EncryptInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *type, ENGINE *impl,
                              const unsigned char *key, const unsigned char *iv)
{
    aes_starts++;
    return __real_EVP_EncryptInit_ex(ctx, type, impl, key, iv);
}

int __wrap_EVP_DecryptInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *type, ENGINE *impl,
                              const unsigned char *key, const unsigned char *iv)
{
    aes_starts++;
    return __real_EVP_DecryptInit_ex(ctx, type, impl, key, iv);
}

static const enum suite suites[] = {SUITE_XAES_256_GCM, SUITE_KBKDF_AES_256_GCM};
static const size_t nonce_bytes[] = {24, 16};
static const uint8_t seed[32] = "the 32 bytes of some seed ......";
static struct secret *subkeys[ARRAY_LEN(suites)];

static int start(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t kek[SUITE_KEK_BYTES];
    assert_ok(&e, secret_start(SECRET_LOCK_STRICT, &e));
    random_fill(kek, sizeof kek);
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        assert_ok(&e, suite_subkeys((uint8_t)suites[i], BYTES_OF(kek), &subkeys[i], &e));
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        secret_free(subkeys[i]);
    }
    return 0;
}

struct wrapped {
    uint8_t bytes[256 + SUITE_OVERHEAD_MAX];
    size_t len;
};

static struct wrapped wrap(size_t i, struct bytes aad, struct bytes plain)
{
    struct kerrinfo e = {0};
    struct wrapped w = {.len = 0};
    assert_ok(&e, suite_wrap(suites[i], subkeys[i], aad, plain, w.bytes, &w.len, &e));
    return w;
}

static void assert_unwraps_not(size_t i, struct bytes aad, struct bytes wrapped)
{
    struct kerrinfo e = {0};
    struct secret *out = NULL;
    assert_refused(&e, KERR_INTEGRITY, "authentication failed",
                   suite_unwrap(suites[i], subkeys[i], aad, wrapped, &out, &e));
    /* One message for every reason. */
    assert_string_equal(e.text, "authentication failed");
    assert_null(out);
}

static void names_and_numbers_belong_together(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    enum suite found = 0;
    assert_string_equal(suite_name(1), "xaes-256-gcm");
    assert_string_equal(suite_name(2), "kbkdf-aes-256-gcm");
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        assert_ok(&e, suite_from_name(suite_name((uint8_t)suites[i]), &found, &e));
        assert_int_equal(found, suites[i]);
    }
    assert_null(suite_name(0));
    assert_null(suite_name(3));
    assert_null(suite_name(255));
    assert_refused(&e, KERR_INPUT, "known are xaes-256-gcm and kbkdf-aes-256-gcm",
                   suite_from_name("aes-128-gcm", &found, &e));
}

static void unknown_suites_and_wrong_keks_have_no_subkeys(void **state)
{
    (void)state;
    static const uint8_t unknown[] = {0, 3, 255};
    uint8_t kek[33] = {1};
    struct kerrinfo e = {0};
    struct secret *out = NULL;
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        assert_refused(&e, KERR_UNSUP, "is not known",
                       suite_subkeys(unknown[i], bytes_of(kek, 32), &out, &e));
    }
    assert_refused(&e, KERR_FORMAT, "31 bytes", suite_subkeys(1, bytes_of(kek, 31), &out, &e));
    assert_refused(&e, KERR_FORMAT, "33 bytes", suite_subkeys(1, bytes_of(kek, 33), &out, &e));
    assert_null(out);
}

static void every_size_survives_a_round_trip(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t plain[256];
    random_fill(plain, sizeof plain);
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        for (size_t len = 1; len <= sizeof plain; len++) {
            AUTO_SECRET out = NULL;
            struct wrapped w = wrap(i, bytes_of_text("aad"), bytes_of(plain, len));
            assert_int_equal(w.len, 2 + nonce_bytes[i] + len + 16);
            assert_int_equal(w.bytes[0], suites[i]);
            assert_int_equal(w.bytes[1], 1);
            assert_ok(&e, suite_unwrap(suites[i], subkeys[i], bytes_of_text("aad"),
                                       bytes_of(w.bytes, w.len), &out, &e));
            assert_true(bytes_equal(secret_view(out), bytes_of(plain, len)));
        }
    }
}

static void every_flipped_bit_and_every_cut_is_refused(void **state)
{
    (void)state;
    struct bytes aad = bytes_of_text("aad");
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        struct wrapped w = wrap(i, aad, BYTES_OF(seed));
        for (size_t bit = 0; bit < 8 * w.len; bit++) {
            w.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_unwraps_not(i, aad, bytes_of(w.bytes, w.len));
            w.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        for (size_t len = 0; len < w.len; len++) {
            assert_unwraps_not(i, aad, bytes_of(w.bytes, len));
        }
        assert_unwraps_not(i, aad, bytes_of(w.bytes, w.len + 1));
    }
}

static void other_associated_data_are_refused(void **state)
{
    (void)state;
    uint8_t aad[] = "associated data";
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        struct wrapped w = wrap(i, BYTES_OF(aad), BYTES_OF(seed));
        for (size_t bit = 0; bit < 8 * sizeof aad; bit++) {
            aad[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_unwraps_not(i, BYTES_OF(aad), bytes_of(w.bytes, w.len));
            aad[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        assert_unwraps_not(i, bytes_of(aad, sizeof aad - 1), bytes_of(w.bytes, w.len));
        assert_unwraps_not(i, bytes_of(NULL, 0), bytes_of(w.bytes, w.len));
    }
}

static void another_kek_is_refused(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        AUTO_SECRET kek = NULL;
        AUTO_SECRET other = NULL;
        struct secret *out = NULL;
        struct wrapped w = wrap(i, bytes_of_text("aad"), BYTES_OF(seed));
        assert_ok(&e, secret_random(SUITE_KEK_BYTES, &kek, &e));
        assert_ok(&e, suite_subkeys((uint8_t)suites[i], secret_view(kek), &other, &e));
        assert_refused(&e, KERR_INTEGRITY, "authentication failed",
                       suite_unwrap(suites[i], other, bytes_of_text("aad"),
                                    bytes_of(w.bytes, w.len), &out, &e));
    }
}

static void another_suite_or_format_is_refused_before_any_aes(void **state)
{
    (void)state;
    struct bytes aad = bytes_of_text("aad");
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        struct wrapped w = wrap(i, aad, BYTES_OF(seed));
        struct wrapped other = wrap(1 - i, aad, BYTES_OF(seed));
        aes_starts = 0;
        assert_unwraps_not(i, aad, bytes_of(other.bytes, other.len));
        for (unsigned byte = 0; byte < 256; byte++) {
            if (byte != (unsigned)suites[i]) {
                w.bytes[0] = (uint8_t)byte;
                assert_unwraps_not(i, aad, bytes_of(w.bytes, w.len));
            }
        }
        w.bytes[0] = (uint8_t)suites[i];
        w.bytes[1] = 2;
        assert_unwraps_not(i, aad, bytes_of(w.bytes, w.len));
        assert_int_equal(aes_starts, 0);
        /* The counter counts. */
        w.bytes[1] = SUITE_FORMAT;
        w.bytes[w.len - 1] ^= 1;
        assert_unwraps_not(i, aad, bytes_of(w.bytes, w.len));
        assert_int_not_equal(aes_starts, 0);
    }
}

static void suites_that_do_not_exist_are_our_bug(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t to[128];
    size_t len = 0;
    struct secret *out = NULL;
    assert_refused(
        &e, KERR_BUG, "does not exist",
        suite_wrap((enum suite)3, subkeys[0], bytes_of(NULL, 0), BYTES_OF(seed), to, &len, &e));
    assert_refused(
        &e, KERR_BUG, "does not exist",
        suite_unwrap((enum suite)0, subkeys[0], bytes_of(NULL, 0), BYTES_OF(seed), &out, &e));
}

/* Whether two messages, wrapped with the same random bytes, get one nonce. */
static bool same_nonce(size_t i, const char *aad_a, const char *text_a, const char *aad_b,
                       const char *text_b)
{
    static const uint8_t repeated[32] = "bytes that a cloned host repeats";
    planned_random = repeated;
    struct wrapped a = wrap(i, bytes_of_text(aad_a), bytes_of_text(text_a));
    struct wrapped b = wrap(i, bytes_of_text(aad_b), bytes_of_text(text_b));
    planned_random = NULL;
    return memcmp(a.bytes + 2, b.bytes + 2, nonce_bytes[i]) == 0;
}

static void repeated_random_bytes_repeat_a_nonce_for_the_same_message_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        assert_true(same_nonce(i, "aad", "text", "aad", "text"));
        assert_false(same_nonce(i, "aad", "text", "aad", "texu"));
        assert_false(same_nonce(i, "aad", "text", "aae", "text"));
        assert_false(same_nonce(i, "aad", "text", "aad", "text."));
        /* The border between the two is part of what is hashed. */
        assert_false(same_nonce(i, "aadt", "ext", "aad", "text"));
    }
}

static void fresh_random_bytes_give_fresh_nonces(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        struct wrapped a = wrap(i, bytes_of_text("aad"), BYTES_OF(seed));
        struct wrapped b = wrap(i, bytes_of_text("aad"), BYTES_OF(seed));
        assert_memory_not_equal(a.bytes + 2, b.bytes + 2, nonce_bytes[i]);
    }
}

static void check_vector(const struct json_value *row)
{
    struct kerrinfo e = {0};
    AUTO_BUF kek = vectors_hex(row, "kek");
    AUTO_BUF wrap_key = vectors_hex(row, "wrap_subkey");
    AUTO_BUF nonce_key = vectors_hex(row, "nonce_subkey");
    AUTO_BUF aad = vectors_hex(row, "aad");
    AUTO_BUF fresh = vectors_hex(row, "random");
    AUTO_BUF plain = vectors_hex(row, "plaintext");
    AUTO_BUF want = vectors_hex(row, "wrapped");
    AUTO_SECRET keys = NULL;
    AUTO_SECRET out = NULL;
    enum suite suite = 0;
    struct wrapped w = {.len = 0};
    assert_ok(&e, suite_from_name(vectors_text(row, "suite_name"), &suite, &e));
    assert_int_equal(suite, vectors_u64(row, "suite"));
    assert_ok(&e, suite_subkeys((uint8_t)suite, buf_view(&kek), &keys, &e));
    assert_int_equal(secret_len(keys), 64);
    assert_memory_equal(secret_view(keys).ptr, wrap_key.ptr, 32);
    assert_memory_equal(secret_view(keys).ptr + 32, nonce_key.ptr, 32);

    assert_int_equal(fresh.len, 32);
    planned_random = fresh.ptr;
    assert_ok(&e, suite_wrap(suite, keys, buf_view(&aad), buf_view(&plain), w.bytes, &w.len, &e));
    planned_random = NULL;
    assert_true(bytes_equal(bytes_of(w.bytes, w.len), buf_view(&want)));
    assert_ok(&e, suite_unwrap(suite, keys, buf_view(&aad), buf_view(&want), &out, &e));
    assert_true(bytes_equal(secret_view(out), buf_view(&plain)));
}

static void our_published_vectors_are_kept(void **state)
{
    (void)state;
    AUTO_JSON doc = vectors_read("envelope-vectors.json");
    size_t count = json_count(json_root(doc));
    assert_int_equal(count, 10);
    for (size_t i = 0; i < count; i++) {
        check_vector(json_at(json_root(doc), i, NULL));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_numbers_belong_together),
        cmocka_unit_test(unknown_suites_and_wrong_keks_have_no_subkeys),
        cmocka_unit_test(every_size_survives_a_round_trip),
        cmocka_unit_test(every_flipped_bit_and_every_cut_is_refused),
        cmocka_unit_test(other_associated_data_are_refused),
        cmocka_unit_test(another_kek_is_refused),
        cmocka_unit_test(another_suite_or_format_is_refused_before_any_aes),
        cmocka_unit_test(suites_that_do_not_exist_are_our_bug),
        cmocka_unit_test(repeated_random_bytes_repeat_a_nonce_for_the_same_message_only),
        cmocka_unit_test(fresh_random_bytes_give_fresh_nonces),
        cmocka_unit_test(our_published_vectors_are_kept),
    };
    return cmocka_run_group_tests_name("crypto.suite", tests, start, end);
}
