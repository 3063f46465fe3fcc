/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "tests/lib/testlib.h"

#define VALUE_MAX 160 /* bytes of the longest value in the tables */

static int start(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, secret_start(SECRET_LOCK_STRICT, &e));
    return 0;
}

static void assert_hex(struct bytes got, const char *want)
{
    char text[2 * VALUE_MAX + 1];
    assert_true(got.len <= VALUE_MAX);
    text_hex(got, text);
    assert_string_equal(text, want);
}

static struct bytes from_hex(const char *hex, uint8_t to[static VALUE_MAX])
{
    struct kerrinfo e = {0};
    size_t len = strlen(hex) / 2;
    assert_true(len <= VALUE_MAX);
    assert_ok(&e, text_from_hex(hex, to, len, &e));
    return bytes_of(to, len);
}

static void sha256_gives_the_examples_of_fips_180_4(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t hash[HASH_BYTES];
        hash_sha256(bytes_of_text(rows[i][0]), hash);
        assert_hex(BYTES_OF(hash), rows[i][1]);
    }
}

#define X10(hex)  hex hex hex hex hex hex hex hex hex hex
#define X131(hex) X10(X10(hex)) X10(hex) X10(hex) X10(hex) hex

/* RFC 4231, section 4, test cases 1 to 7: key, data, MAC. Case 5 is cut to 128 bits there. */
static const char *const rfc_4231[][3] = {
    {X10("0b") X10("0b"), "4869205468657265",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {X10("aa") X10("aa"), X10("dd") X10("dd") X10("dd") X10("dd") X10("dd"),
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"0102030405060708090a0b0c0d0e0f10111213141516171819",
     X10("cd") X10("cd") X10("cd") X10("cd") X10("cd"),
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {X10("0c") X10("0c"), "546573742057697468205472756e636174696f6e",
     "a3b6167473100ee06e0c796c2955552b"},
    {X131("aa"),
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b"
     "6579204669727374",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {X131("aa"),
     "5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73697a6520"
     "6b657920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174612e20546865206b6579"
     "206e6565647320746f20626520686173686564206265666f7265206265696e6720757365642062792074686520"
     "484d414320616c676f726974686d2e",
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

/* The first is RFC 7693's own, appendix A. */
static void blake2b_gives_the_example_of_rfc_7693(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"abc", "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
                "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"},
        {"", "786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419"
             "d25e1031afee585313896444934eb04b903a685b1448b755d56f701afe9be2ce"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct hash_blake2b h;
        uint8_t got[HASH_BLAKE2B_BYTES];
        hash_blake2b_begin(&h);
        for (const char *p = rows[i][0]; *p != 0; p++) {
            hash_blake2b_add(&h, bytes_of(p, 1));
        }
        hash_blake2b_end(&h, got);
        assert_hex(BYTES_OF(got), rows[i][1]);
    }
}

static void hmac_gives_the_values_of_rfc_4231(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rfc_4231); i++) {
        uint8_t key[VALUE_MAX];
        uint8_t data[VALUE_MAX];
        uint8_t mac[HASH_BYTES];
        struct bytes part = from_hex(rfc_4231[i][1], data);
        hash_hmac(from_hex(rfc_4231[i][0], key), &part, 1, mac);
        assert_hex(bytes_of(mac, strlen(rfc_4231[i][2]) / 2), rfc_4231[i][2]);
    }
}

static void hmac_is_over_the_concatenation_of_its_parts(void **state)
{
    (void)state;
    struct bytes whole = bytes_of_text("what do ya want for nothing?");
    struct bytes parts[] = {bytes_of(whole.ptr, 5), bytes_of(NULL, 0),
                            bytes_of(whole.ptr + 5, whole.len - 5)};
    uint8_t one[HASH_BYTES];
    uint8_t three[HASH_BYTES];
    uint8_t none[HASH_BYTES];
    hash_hmac(bytes_of_text("Jefe"), &whole, 1, one);
    hash_hmac(bytes_of_text("Jefe"), parts, ARRAY_LEN(parts), three);
    hash_hmac(bytes_of_text("Jefe"), parts, 0, none);
    assert_memory_equal(one, three, sizeof one);
    assert_memory_not_equal(one, none, sizeof one);
}

/* RFC 5869, appendix A.1 to A.3: input key, salt, info, output. */
static const char *const rfc_5869[][4] = {
    {X10("0b") X10("0b") "0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d"
     "2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
     "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d"
     "8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
     "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdd"
     "dedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e59"
     "0e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
    {X10("0b") X10("0b") "0b0b", "", "",
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
};

static void hkdf_gives_the_values_of_rfc_5869(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    for (size_t i = 0; i < ARRAY_LEN(rfc_5869); i++) {
        uint8_t ikm[VALUE_MAX];
        uint8_t salt[VALUE_MAX];
        uint8_t info[VALUE_MAX];
        AUTO_SECRET out = NULL;
        assert_ok(&e,
                  hash_hkdf(from_hex(rfc_5869[i][0], ikm), from_hex(rfc_5869[i][1], salt),
                            from_hex(rfc_5869[i][2], info), strlen(rfc_5869[i][3]) / 2, &out, &e));
        assert_hex(secret_view(out), rfc_5869[i][3]);
    }
}

static void hkdf_gives_1_to_255_blocks(void **state)
{
    (void)state;
    static const size_t good[] = {1, 31, 33, 255 * 32};
    static const size_t bad[] = {0, 255 * 32 + 1};
    struct kerrinfo e = {0};
    struct bytes ikm = bytes_of_text("input");
    AUTO_SECRET longest = NULL;
    assert_ok(&e, hash_hkdf(ikm, bytes_of(NULL, 0), ikm, 255 * 32, &longest, &e));
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        AUTO_SECRET out = NULL;
        assert_ok(&e, hash_hkdf(ikm, bytes_of(NULL, 0), ikm, good[i], &out, &e));
        assert_int_equal(secret_len(out), good[i]);
        assert_memory_equal(secret_view(out).ptr, secret_view(longest).ptr, good[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct secret *out = NULL;
        assert_int_not_equal(hash_hkdf(ikm, bytes_of(NULL, 0), ikm, bad[i], &out, &e), KERR_OK);
        assert_null(out);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_examples_of_fips_180_4),
        cmocka_unit_test(blake2b_gives_the_example_of_rfc_7693),
        cmocka_unit_test(hmac_gives_the_values_of_rfc_4231),
        cmocka_unit_test(hmac_is_over_the_concatenation_of_its_parts),
        cmocka_unit_test(hkdf_gives_the_values_of_rfc_5869),
        cmocka_unit_test(hkdf_gives_1_to_255_blocks),
    };
    return cmocka_run_group_tests_name("crypto.hash", tests, start, NULL);
}
