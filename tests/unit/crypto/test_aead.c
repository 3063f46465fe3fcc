/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of the specifications (tests/data/README.md says where they come from), and refusals. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/aead.h"
#include "tests/lib/vectors.h"

typedef enum kerr aead_fn(const uint8_t *key, const uint8_t *nonce, struct bytes aad,
                          struct bytes text, uint8_t *to, struct kerrinfo *e);

static const struct aead {
    const char *name;
    size_t nonce_len;
    aead_fn *seal;
    aead_fn *open;
} kinds[] = {
    {"AES-256-GCM", AEAD_GCM_NONCE, aead_gcm_seal, aead_gcm_open},
    {"XAES-256-GCM", AEAD_XAES_NONCE, aead_xaes_seal, aead_xaes_open},
};
#define GCM  (&kinds[0])
#define XAES (&kinds[1])

/* Seals and opens; both must give what the vector says. */
static void check(const struct aead *kind, const uint8_t *key, const uint8_t *nonce,
                  struct bytes aad, struct bytes plain, struct bytes sealed)
{
    struct kerrinfo e = {0};
    uint8_t to[1024];
    assert_true(sealed.len == plain.len + AEAD_TAG && sealed.len <= sizeof to);
    assert_ok(&e, kind->seal(key, nonce, aad, plain, to, &e));
    assert_memory_equal(to, sealed.ptr, sealed.len);
    assert_ok(&e, kind->open(key, nonce, aad, sealed, to, &e));
    assert_memory_equal(to, plain.ptr, plain.len);
}

static void xaes_gives_the_vectors_of_its_specification(void **state)
{
    (void)state;
    AUTO_JSON doc = vectors_read("xaes-256-gcm.json");
    size_t count = json_count(json_root(doc));
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        const struct json_value *row = json_at(json_root(doc), i, NULL);
        AUTO_BUF key = vectors_hex(row, "key_hex");
        AUTO_BUF sealed = vectors_hex(row, "ciphertext_and_tag_hex");
        struct bytes nonce = bytes_of_text(vectors_text(row, "nonce_text"));
        assert_int_equal(key.len, AEAD_KEY);
        assert_int_equal(nonce.len, AEAD_XAES_NONCE);
        check(XAES, key.ptr, nonce.ptr, bytes_of_text(vectors_text(row, "aad")),
              bytes_of_text(vectors_text(row, "plaintext")), buf_view(&sealed));
    }
}

/* The accumulated test of the specification: keys, nonces, texts and AADs come from one SHAKE-128
 * stream, all ciphertexts go into another one. */
#define ITERATIONS    10000
#define ITERATION_MAX (32 + 24 + 1 + 255 + 1 + 255)

static struct bytes read_lv8(struct reader *r)
{
    return read_raw(r, read_u8(r));
}

static void xaes_gives_the_accumulated_hash_of_its_specification(void **state)
{
    (void)state;
    static const char want[] = "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939";
    struct kerrinfo e = {0};
    size_t size = (size_t)ITERATIONS * ITERATION_MAX;
    uint8_t *stream = malloc(size);
    EVP_MD_CTX *source = EVP_MD_CTX_new();
    EVP_MD_CTX *all = EVP_MD_CTX_new();
    assert_non_null(stream);
    assert_int_equal(EVP_DigestInit_ex(source, EVP_shake128(), NULL), 1);
    assert_int_equal(EVP_DigestFinalXOF(source, stream, size), 1);
    assert_int_equal(EVP_DigestInit_ex(all, EVP_shake128(), NULL), 1);
    struct reader r = reader_on(bytes_of(stream, size));
    for (size_t i = 0; i < ITERATIONS; i++) {
        uint8_t sealed[255 + AEAD_TAG];
        struct bytes key = read_raw(&r, AEAD_KEY);
        struct bytes nonce = read_raw(&r, AEAD_XAES_NONCE);
        struct bytes plain = read_lv8(&r);
        struct bytes aad = read_lv8(&r);
        assert_false(r.failed);
        assert_ok(&e, aead_xaes_seal(key.ptr, nonce.ptr, aad, plain, sealed, &e));
        check(XAES, key.ptr, nonce.ptr, aad, plain, bytes_of(sealed, plain.len + AEAD_TAG));
        assert_int_equal(EVP_DigestUpdate(all, sealed, plain.len + AEAD_TAG), 1);
    }
    uint8_t hash[32];
    char text[65];
    assert_int_equal(EVP_DigestFinalXOF(all, hash, sizeof hash), 1);
    text_hex(BYTES_OF(hash), text);
    assert_string_equal(text, want);
    EVP_MD_CTX_free(source);
    EVP_MD_CTX_free(all);
    free(stream);
}

static void check_wycheproof(const struct json_value *row, size_t *good, size_t *bad)
{
    struct kerrinfo e = {0};
    AUTO_BUF key = vectors_hex(row, "key");
    AUTO_BUF nonce = vectors_hex(row, "iv");
    AUTO_BUF aad = vectors_hex(row, "aad");
    AUTO_BUF plain = vectors_hex(row, "msg");
    AUTO_BUF sealed = vectors_hex(row, "ct");
    AUTO_BUF tag = vectors_hex(row, "tag");
    sealed.max += tag.len;
    assert_ok(&e, buf_put(&sealed, buf_view(&tag), &e));
    if (strcmp(vectors_text(row, "result"), "valid") == 0) {
        check(GCM, key.ptr, nonce.ptr, buf_view(&aad), buf_view(&plain), buf_view(&sealed));
        ++*good;
        return;
    }
    assert_string_equal(vectors_text(row, "result"), "invalid");
    uint8_t to[1024];
    assert_true(sealed.len <= sizeof to);
    assert_refused(&e, KERR_INTEGRITY, "authentication failed",
                   aead_gcm_open(key.ptr, nonce.ptr, buf_view(&aad), buf_view(&sealed), to, &e));
    ++*bad;
}

static void gcm_gives_the_wycheproof_vectors(void **state)
{
    (void)state;
    AUTO_JSON doc = vectors_read("wycheproof-aes-gcm.json");
    const struct json_value *groups = vectors_member(json_root(doc), "testGroups");
    size_t good = 0;
    size_t bad = 0;
    for (size_t i = 0; i < json_count(groups); i++) {
        const struct json_value *group = json_at(groups, i, NULL);
        if (vectors_u64(group, "keySize") != 256 || vectors_u64(group, "ivSize") != 96 ||
            vectors_u64(group, "tagSize") != 128) {
            continue;
        }
        const struct json_value *rows = vectors_member(group, "tests");
        for (size_t j = 0; j < json_count(rows); j++) {
            check_wycheproof(json_at(rows, j, NULL), &good, &bad);
        }
    }
    /* As many as the file holds of these sizes. */
    assert_int_equal(good, 39);
    assert_int_equal(bad, 27);
}

static const uint8_t key[AEAD_KEY] = {1, 2, 3};
static const uint8_t nonce[AEAD_XAES_NONCE] = {4, 5, 6};

static void flip(uint8_t *data, size_t bit)
{
    data[bit / 8] ^= (uint8_t)(1U << bit % 8);
}

/* Opens altered input: refused, and nothing of the plaintext stays in the output. */
static void assert_wiped_refusal(const struct aead *kind, const uint8_t *k, const uint8_t *n,
                                 struct bytes aad, struct bytes sealed)
{
    static const uint8_t zeros[64];
    struct kerrinfo e = {0};
    uint8_t to[64];
    memset(to, 0xee, sizeof to);
    assert_refused(&e, KERR_INTEGRITY, "authentication failed",
                   kind->open(k, n, aad, sealed, to, &e));
    assert_memory_equal(to, zeros, sealed.len - AEAD_TAG);
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct kerrinfo e = {0};
        uint8_t sealed[32 + AEAD_TAG];
        uint8_t aad[] = "aad";
        uint8_t k[sizeof key];
        uint8_t n[sizeof nonce];
        memcpy(k, key, sizeof k);
        memcpy(n, nonce, sizeof n);
        assert_ok(&e, kinds[i].seal(k, n, BYTES_OF(aad),
                                    bytes_of_text("thirty-two bytes of a plain text"), sealed, &e));
        struct {
            uint8_t *ptr;
            size_t len;
        } inputs[] = {
            {sealed, sizeof sealed}, {aad, sizeof aad}, {k, sizeof k}, {n, kinds[i].nonce_len}};
        for (size_t j = 0; j < ARRAY_LEN(inputs); j++) {
            for (size_t bit = 0; bit < 8 * inputs[j].len; bit++) {
                flip(inputs[j].ptr, bit);
                assert_wiped_refusal(&kinds[i], k, n, BYTES_OF(aad), BYTES_OF(sealed));
                flip(inputs[j].ptr, bit);
            }
        }
        assert_wiped_refusal(&kinds[i], k, n, bytes_of(aad, sizeof aad - 1), BYTES_OF(sealed));
        uint8_t to[32];
        assert_ok(&e, kinds[i].open(k, n, BYTES_OF(aad), BYTES_OF(sealed), to, &e));
    }
}

static void every_shorter_ciphertext_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct kerrinfo e = {0};
        uint8_t sealed[8 + AEAD_TAG];
        uint8_t to[8];
        assert_ok(&e, kinds[i].seal(key, nonce, bytes_of(NULL, 0), bytes_of_text("8 bytes."),
                                    sealed, &e));
        for (size_t len = 0; len < sizeof sealed; len++) {
            assert_refused(
                &e, KERR_INTEGRITY, "authentication failed",
                kinds[i].open(key, nonce, bytes_of(NULL, 0), bytes_of(sealed, len), to, &e));
        }
    }
}

static void an_empty_text_has_a_tag_too(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct kerrinfo e = {0};
        uint8_t sealed[AEAD_TAG];
        uint8_t to[1];
        assert_ok(&e,
                  kinds[i].seal(key, nonce, bytes_of_text("aad"), bytes_of(NULL, 0), sealed, &e));
        assert_ok(&e, kinds[i].open(key, nonce, bytes_of_text("aad"), BYTES_OF(sealed), to, &e));
        assert_refused(&e, KERR_INTEGRITY, "authentication failed",
                       kinds[i].open(key, nonce, bytes_of_text("bad"), BYTES_OF(sealed), to, &e));
    }
}

static void more_than_a_gibibyte_is_refused_unread(void **state)
{
    (void)state;
    /* The views claim more than there is: to read any of it would be caught by valgrind. */
    struct bytes large = bytes_of(key, ((size_t)1 << 30) + 1);
    struct bytes small = bytes_of_text("text");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct kerrinfo e = {0};
        uint8_t to[64];
        assert_refused(&e, KERR_LIMIT, "1 GiB", kinds[i].seal(key, nonce, small, large, to, &e));
        assert_refused(&e, KERR_LIMIT, "1 GiB", kinds[i].seal(key, nonce, large, small, to, &e));
        assert_refused(&e, KERR_LIMIT, "1 GiB", kinds[i].open(key, nonce, small, large, to, &e));
        assert_refused(&e, KERR_LIMIT, "1 GiB", kinds[i].open(key, nonce, large, small, to, &e));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(xaes_gives_the_vectors_of_its_specification),
        cmocka_unit_test(xaes_gives_the_accumulated_hash_of_its_specification),
        cmocka_unit_test(gcm_gives_the_wycheproof_vectors),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(every_shorter_ciphertext_is_refused),
        cmocka_unit_test(an_empty_text_has_a_tag_too),
        cmocka_unit_test(more_than_a_gibibyte_is_refused_unread),
    };
    return cmocka_run_group_tests_name("crypto.aead", tests, NULL, NULL);
}
