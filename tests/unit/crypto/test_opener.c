/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors, what Kubernetes recorded, and refusals. That it opens what a kube-apiserver wrote with
 * each provider: tests/system/test_audit_prove.py. */
#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#include "crypto/opener.h"
#include "tests/lib/vectors.h"

#define MAX 4096

static struct opener *opener;
static struct bytes opened;
static struct kerrinfo e;

static int set_up(void **state)
{
    (void)state;
    assert_ok(&e, opener_new(MAX, &opener, &e));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    opener_free(opener);
    return 0;
}

/* All of 96-bit nonces and 128-bit tags, with keys of each size. */
static void gcm_gives_the_wycheproof_vectors(void **state)
{
    (void)state;
    AUTO_JSON doc = vectors_read("wycheproof-aes-gcm.json");
    const struct json_value *groups = vectors_member(json_root(doc), "testGroups");
    size_t good[3] = {0};
    size_t bad = 0;
    for (size_t i = 0; i < json_count(groups); i++) {
        const struct json_value *group = json_at(groups, i, NULL);
        if (vectors_u64(group, "ivSize") != 96 || vectors_u64(group, "tagSize") != 128) {
            continue;
        }
        const struct json_value *rows = vectors_member(group, "tests");
        for (size_t j = 0; j < json_count(rows); j++) {
            const struct json_value *row = json_at(rows, j, NULL);
            AUTO_BUF key = vectors_hex(row, "key");
            AUTO_BUF aad = vectors_hex(row, "aad");
            AUTO_BUF plain = vectors_hex(row, "msg");
            AUTO_BUF cipher = vectors_hex(row, "ct");
            AUTO_BUF tag = vectors_hex(row, "tag");
            AUTO_BUF sealed = vectors_hex(row, "iv");
            sealed.max += cipher.len + tag.len;
            assert_ok(&e, buf_put(&sealed, buf_view(&cipher), &e));
            assert_ok(&e, buf_put(&sealed, buf_view(&tag), &e));
            kerr_clear(&e);
            enum kerr k =
                opener_gcm(opener, buf_view(&key), buf_view(&aad), buf_view(&sealed), &opened, &e);
            if (strcmp(vectors_text(row, "result"), "valid") == 0) {
                assert_true(k == KERR_OK && bytes_equal(opened, buf_view(&plain)));
                good[key.len / 8 - 2]++;
            } else {
                assert_int_equal(k, KERR_INTEGRITY);
                bad++;
            }
        }
    }
    assert_true(good[0] > 20 && good[1] > 20 && good[2] == 39 && bad > 60);
}

static void seeds_give_what_kubernetes_recorded(void **state)
{
    (void)state;
    AUTO_JSON doc = vectors_read("kubernetes-stored-values.json");
    size_t seen = 0;
    for (size_t i = 0; i < json_count(json_root(doc)); i++) {
        const struct json_value *row = json_at(json_root(doc), i, NULL);
        const char *name = vectors_text(row, "name");
        bool is_seed = strcmp(name, "hkdf-xnonce-aes-gcm") == 0;
        if (!is_seed && strcmp(name, "aes-gcm-legacy") != 0) {
            continue;
        }
        seen++;
        AUTO_BUF key = vectors_hex(row, "key_hex");
        AUTO_BUF sealed = vectors_hex(row, "ciphertext_hex");
        struct bytes aad = bytes_of_text(vectors_text(row, "aad"));
        enum kerr k = is_seed
                          ? opener_seed_gcm(opener, key.ptr, aad, buf_view(&sealed), &opened, &e)
                          : opener_gcm(opener, buf_view(&key), aad, buf_view(&sealed), &opened, &e);
        assert_int_equal(k, KERR_OK);
        assert_true(bytes_equal_text(opened, vectors_text(row, "plaintext")));
        sealed.ptr[0] ^= 1;
        k = is_seed ? opener_seed_gcm(opener, key.ptr, aad, buf_view(&sealed), &opened, &e)
                    : opener_gcm(opener, buf_view(&key), aad, buf_view(&sealed), &opened, &e);
        assert_int_equal(k, KERR_INTEGRITY);
    }
    assert_int_equal(seen, 2);
}

static size_t seal_cbc(const uint8_t *key, const char *text, uint8_t *to)
{
    int len = 0;
    int last = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    memset(to, 7, OPENER_CBC_BLOCK);
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, to), 1);
    assert_int_equal(
        EVP_EncryptUpdate(ctx, to + 16, &len, (const uint8_t *)text, (int)strlen(text)), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, to + 16 + len, &last), 1);
    EVP_CIPHER_CTX_free(ctx);
    return 16 + (size_t)len + (size_t)last;
}

static void cbc(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "short", "sixteen bytes ok",
                                        "a little more than one block"};
    uint8_t key[32] = {1};
    uint8_t sealed[128];
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        size_t len = seal_cbc(key, texts[i], sealed);
        assert_ok(&e, opener_cbc(opener, BYTES_OF(key), bytes_of(sealed, len), &opened, &e));
        assert_true(bytes_equal_text(opened, texts[i]));
        sealed[len - 17] ^= 1; /* flips a bit of the padding */
        assert_refused(&e, KERR_INTEGRITY, "authentication failed",
                       opener_cbc(opener, BYTES_OF(key), bytes_of(sealed, len), &opened, &e));
        for (size_t cut = 0; cut < len; cut++) {
            struct bytes part = bytes_of(sealed, cut);
            kerr_clear(&e);
            enum kerr k = opener_cbc(opener, BYTES_OF(key), part, &opened, &e);
            assert_true(k == KERR_INTEGRITY || (k == KERR_OK && cut % 16 == 0));
        }
    }
}

static void secretbox(void **state)
{
    (void)state;
    uint8_t key[32] = {2};
    uint8_t sealed[24 + 16 + 20] = {3};
    static const uint8_t text[20] = "twenty bytes of text";
    assert_int_equal(crypto_secretbox_easy(sealed + 24, text, sizeof text, sealed, key), 0);
    assert_ok(&e, opener_secretbox(opener, key, BYTES_OF(sealed), &opened, &e));
    assert_true(bytes_equal(opened, BYTES_OF(text)));
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_refused(&e, KERR_INTEGRITY, "authentication failed",
                       opener_secretbox(opener, key, BYTES_OF(sealed), &opened, &e));
        sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t len = 0; len < sizeof sealed; len++) {
        assert_refused(&e, KERR_INTEGRITY, "authentication failed",
                       opener_secretbox(opener, key, bytes_of(sealed, len), &opened, &e));
    }
}

static void limits(void **state)
{
    (void)state;
    static uint8_t large[MAX + 64];
    static const uint8_t key[32] = {1};
    struct bytes all = BYTES_OF(large);
    assert_refused(&e, KERR_LIMIT, "opened are at most 4096",
                   opener_gcm(opener, BYTES_OF(key), bytes_of(NULL, 0), all, &opened, &e));
    assert_refused(&e, KERR_LIMIT, "opened are at most 4096",
                   opener_secretbox(opener, key, all, &opened, &e));
    all.len = MAX + 32;
    assert_refused(&e, KERR_LIMIT, "opened are at most 4096",
                   opener_cbc(opener, BYTES_OF(key), all, &opened, &e));
    for (size_t len = 0; len <= sizeof key; len++) {
        bool is_key = len == 16 || len == 24 || len == 32;
        assert_refused(&e, is_key ? KERR_INTEGRITY : KERR_INPUT, "",
                       opener_gcm(opener, bytes_of(key, len), bytes_of(NULL, 0),
                                  bytes_of(large, 64), &opened, &e));
    }
    assert_refused(&e, KERR_LIMIT, "",
                   opener_new(SECRET_MAX_BYTES + 1, &(struct opener *){NULL}, &e));
}

/* What is shorter than the one before leaves nothing of it, and neither does a refusal. */
static void nothing_stays(void **state)
{
    (void)state;
    uint8_t key[32] = {1};
    uint8_t sealed[128];
    size_t len = seal_cbc(key, "a text of more than two blocks, then a short one", sealed);
    assert_ok(&e, opener_cbc(opener, BYTES_OF(key), bytes_of(sealed, len), &opened, &e));
    const uint8_t *at = opened.ptr;
    len = seal_cbc(key, "short", sealed);
    assert_ok(&e, opener_cbc(opener, BYTES_OF(key), bytes_of(sealed, len), &opened, &e));
    for (size_t i = 16; i < 48; i++) {
        assert_int_equal(at[i], 0);
    }
    opener_wipe(opener);
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(at[i], 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcm_gives_the_wycheproof_vectors),
        cmocka_unit_test(seeds_give_what_kubernetes_recorded),
        cmocka_unit_test(cbc),
        cmocka_unit_test(secretbox),
        cmocka_unit_test(limits),
        cmocka_unit_test(nothing_stays),
    };
    if (secret_start(SECRET_LOCK_BEST_EFFORT, &e) != KERR_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
