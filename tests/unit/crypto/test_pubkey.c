/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/pubkey.h"

#include <sodium.h>
#include <string.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "tests/lib/testlib.h"

static struct secret *seed;
static uint8_t box_key[PUBKEY_BYTES];
static uint8_t sign_key[PUBKEY_BYTES];

static const uint8_t text[32] = "the root key that is to be boxed";
static uint8_t boxed[sizeof text + PUBKEY_BOX_OVERHEAD];

static int start(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, secret_start(SECRET_LOCK_STRICT, &e));
    assert_ok(&e, secret_random(PUBKEY_SEED, &seed, &e));
    assert_ok(&e, pubkey_box_public(seed, box_key, &e));
    assert_ok(&e, pubkey_sign_public(seed, sign_key, &e));
    assert_ok(&e, pubkey_box(box_key, bytes_of_text("binding"), BYTES_OF(text), boxed, &e));
    return 0;
}

static int end(void **state)
{
    (void)state;
    secret_free(seed);
    return 0;
}

typedef enum kerr public_fn(const struct secret *seed, uint8_t to[static PUBKEY_BYTES],
                            struct kerrinfo *e);

static void assert_public(public_fn *fn, const char *seed_hex, const char *want)
{
    struct kerrinfo e = {0};
    uint8_t raw[PUBKEY_SEED];
    uint8_t got[PUBKEY_BYTES];
    char got_hex[2 * PUBKEY_BYTES + 1];
    AUTO_SECRET s = NULL;
    assert_ok(&e, text_from_hex(seed_hex, raw, sizeof raw, &e));
    assert_ok(&e, secret_from_bytes(BYTES_OF(raw), &s, &e));
    assert_ok(&e, fn(s, got, &e));
    text_hex(BYTES_OF(got), got_hex);
    assert_string_equal(got_hex, want);
}

/* RFC 7748, section 6.1; RFC 8032, section 7.1, tests 1 and 2. */
static void public_keys_are_those_of_the_rfcs(void **state)
{
    (void)state;
    assert_public(pubkey_box_public,
                  "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
                  "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    assert_public(pubkey_box_public,
                  "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
                  "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    assert_public(pubkey_sign_public,
                  "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_public(pubkey_sign_public,
                  "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                  "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
}

static void seeds_have_32_bytes(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET cut = NULL;
    uint8_t to[PUBKEY_SIGNATURE];
    struct secret *out = NULL;
    assert_ok(&e, secret_random(PUBKEY_SEED - 1, &cut, &e));
    assert_refused(&e, KERR_BUG, "32 bytes", pubkey_box_public(cut, to, &e));
    assert_refused(&e, KERR_BUG, "32 bytes", pubkey_sign_public(cut, to, &e));
    assert_refused(&e, KERR_BUG, "32 bytes",
                   pubkey_unbox(cut, bytes_of_text("binding"), BYTES_OF(boxed), &out, &e));
    assert_refused(&e, KERR_BUG, "32 bytes", pubkey_sign(cut, "label", BYTES_OF(text), to, &e));
}

static void a_box_opens_with_its_seed(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 31, 32, 1000};
    struct kerrinfo e = {0};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint8_t plain[1000];
        uint8_t to[sizeof plain + PUBKEY_BOX_OVERHEAD];
        AUTO_SECRET out = NULL;
        random_fill(plain, sizeof plain);
        struct bytes view = bytes_of(plain, sizes[i]);
        assert_ok(&e, pubkey_box(box_key, bytes_of_text("binding"), view, to, &e));
        assert_ok(&e, pubkey_unbox(seed, bytes_of_text("binding"),
                                   bytes_of(to, sizes[i] + PUBKEY_BOX_OVERHEAD), &out, &e));
        assert_true(bytes_equal(secret_view(out), view));
    }
}

static void assert_stays_shut(const struct secret *with, struct bytes binding, struct bytes box)
{
    struct kerrinfo e = {0};
    struct secret *out = NULL;
    assert_int_equal(pubkey_unbox(with, binding, box, &out, &e), KERR_INTEGRITY);
    assert_null(out);
}

static void every_flipped_bit_and_every_cut_of_a_box_is_refused(void **state)
{
    (void)state;
    uint8_t copy[sizeof boxed];
    memcpy(copy, boxed, sizeof copy);
    for (size_t bit = 0; bit < 8 * sizeof copy; bit++) {
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_stays_shut(seed, bytes_of_text("binding"), BYTES_OF(copy));
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t len = 0; len < sizeof copy; len++) {
        assert_stays_shut(seed, bytes_of_text("binding"), bytes_of(copy, len));
    }
}

static void another_binding_or_recipient_is_refused(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET other = NULL;
    assert_ok(&e, secret_random(PUBKEY_SEED, &other, &e));
    assert_stays_shut(other, bytes_of_text("binding"), BYTES_OF(boxed));
    assert_stays_shut(seed, bytes_of_text("binding."), BYTES_OF(boxed));
    assert_stays_shut(seed, bytes_of_text("bindinG"), BYTES_OF(boxed));
    assert_stays_shut(seed, bytes_of(NULL, 0), BYTES_OF(boxed));
}

/* Points whose product with any scalar is zero: the box's key would be known to everybody. */
static const char *const low_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static void points_of_low_order_are_refused(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    for (size_t i = 0; i < ARRAY_LEN(low_order); i++) {
        uint8_t point[PUBKEY_BYTES];
        uint8_t to[sizeof boxed];
        struct secret *out = NULL;
        assert_ok(&e, text_from_hex(low_order[i], point, sizeof point, &e));
        assert_refused(&e, KERR_INTEGRITY, "low order",
                       pubkey_box(point, bytes_of_text("binding"), BYTES_OF(text), to, &e));
        memcpy(to, boxed, sizeof to);
        memcpy(to, point, sizeof point);
        assert_refused(&e, KERR_INTEGRITY, "low order",
                       pubkey_unbox(seed, bytes_of_text("binding"), BYTES_OF(to), &out, &e));
    }
}

static void boxes_of_one_text_differ(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t again[sizeof boxed];
    assert_ok(&e, pubkey_box(box_key, bytes_of_text("binding"), BYTES_OF(text), again, &e));
    assert_memory_not_equal(again, boxed, PUBKEY_BYTES);
    assert_memory_not_equal(again + PUBKEY_BYTES, boxed + PUBKEY_BYTES, sizeof text);
}

static void a_signature_covers_label_and_message(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t message[] = "message";
    uint8_t signature[PUBKEY_SIGNATURE];
    uint8_t other[PUBKEY_BYTES];
    assert_ok(&e, pubkey_sign(seed, "label", BYTES_OF(message), signature, &e));
    assert_true(pubkey_verify(sign_key, "label", BYTES_OF(message), signature));
    assert_false(pubkey_verify(sign_key, "labe", BYTES_OF(message), signature));
    assert_false(pubkey_verify(sign_key, "label ", BYTES_OF(message), signature));
    assert_false(
        pubkey_verify(sign_key, "label", bytes_of(message, sizeof message - 1), signature));
    assert_false(pubkey_verify(sign_key, "label", bytes_of(NULL, 0), signature));
    memcpy(other, sign_key, sizeof other);
    other[0] ^= 1;
    assert_false(pubkey_verify(other, "label", BYTES_OF(message), signature));
    for (size_t bit = 0; bit < 8 * sizeof message; bit++) {
        message[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(pubkey_verify(sign_key, "label", BYTES_OF(message), signature));
        message[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof signature; bit++) {
        signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(pubkey_verify(sign_key, "label", BYTES_OF(message), signature));
        signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

/* As docs/keystore-format.md has it: Ed25519 of SHA-256(label ‖ 0 ‖ SHA-256(message)). */
static void a_signature_is_over_the_documented_digest(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t signature[PUBKEY_SIGNATURE];
    uint8_t inner[6 + HASH_BYTES] = "label";
    uint8_t digest[HASH_BYTES];
    assert_ok(&e, pubkey_sign(seed, "label", BYTES_OF(text), signature, &e));
    hash_sha256(BYTES_OF(text), inner + 6);
    hash_sha256(BYTES_OF(inner), digest);
    assert_int_equal(crypto_sign_verify_detached(signature, digest, sizeof digest, sign_key), 0);
}

/* RFC 8032, 7.1, tests 1 and 2. */
static void plain_signatures_are_those_of_rfc_8032(void **state)
{
    (void)state;
    static const struct {
        const char *seed;
        const char *message;
        const char *signature;
    } rows[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
         "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "r",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
         "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kerrinfo e = {0};
        uint8_t raw[PUBKEY_SEED];
        uint8_t want[PUBKEY_SIGNATURE];
        uint8_t got[PUBKEY_SIGNATURE];
        uint8_t public[PUBKEY_BYTES];
        AUTO_SECRET key = NULL;
        struct bytes message = bytes_of_text(rows[i].message);
        assert_ok(&e, text_from_hex(rows[i].seed, raw, sizeof raw, &e));
        assert_ok(&e, text_from_hex(rows[i].signature, want, sizeof want, &e));
        assert_ok(&e, secret_from_bytes(BYTES_OF(raw), &key, &e));
        assert_ok(&e, pubkey_sign_public(key, public, &e));
        assert_ok(&e, pubkey_sign_plain(key, message, got, &e));
        assert_memory_equal(got, want, sizeof want);
        assert_true(pubkey_verify_plain(public, message, got));
        assert_false(pubkey_verify(public, "", message, got));
        assert_false(pubkey_verify_plain(public, bytes_of_text("x"), got));
        got[i] ^= 1;
        assert_false(pubkey_verify_plain(public, message, got));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_keys_are_those_of_the_rfcs),
        cmocka_unit_test(seeds_have_32_bytes),
        cmocka_unit_test(a_box_opens_with_its_seed),
        cmocka_unit_test(every_flipped_bit_and_every_cut_of_a_box_is_refused),
        cmocka_unit_test(another_binding_or_recipient_is_refused),
        cmocka_unit_test(points_of_low_order_are_refused),
        cmocka_unit_test(boxes_of_one_text_differ),
        cmocka_unit_test(a_signature_covers_label_and_message),
        cmocka_unit_test(a_signature_is_over_the_documented_digest),
        cmocka_unit_test(plain_signatures_are_those_of_rfc_8032),
    };
    return cmocka_run_group_tests_name("crypto.pubkey", tests, start, end);
}
