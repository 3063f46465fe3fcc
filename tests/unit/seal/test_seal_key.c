/* SPDX-License-Identifier: Apache-2.0 */
/* Pins the bytes that docs/keystore-format.md promises; the rest is in the contract suite. */
#include <string.h>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "seal/seal_ops.h"
#include "tests/unit/seal/parts.h"

static struct parts p;

static int start(void **state)
{
    (void)state;
    parts_start(&p);
    return 0;
}

static int end(void **state)
{
    (void)state;
    parts_end(&p);
    return 0;
}

/* Opens the blob by hand, as another program would. */
static void assert_blob(const struct seal_record *r, const struct secret *key)
{
    struct kerrinfo e = {0};
    uint8_t aad[512];
    uint8_t out[SEAL_SECRET_BYTES];
    struct writer w = writer_on(aad, sizeof aad);
    write_raw(&w, bytes_of_text("etcdseal/v1/seal"));
    write_u16(&w, PARTS_BINDING_BYTES);
    write_raw(&w, BYTES_OF(p.binding));
    write_u8(&w, r->kind);
    write_u16(&w, (uint16_t)r->params_len);
    write_raw(&w, bytes_of(r->params, r->params_len));
    assert_int_equal(r->blob_len, 24 + 32 + 16);
    assert_ok(&e, aead_xaes_open(secret_view(key).ptr, r->blob, writer_view(&w),
                                 bytes_of(r->blob + 24, r->blob_len - 24), out, &e));
    assert_true(bytes_equal(BYTES_OF(out), secret_view(p.secret)));
}

static void the_blob_is_nonce_and_sealed_secret(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET key = NULL;
    struct seal_record r = {.kind = 9, .params = {1, 2, 3}, .params_len = 3};
    assert_ok(&e, secret_random(AEAD_KEY, &key, &e));
    assert_ok(&e, seal_key_wrap(key, BYTES_OF(p.binding), p.secret, &r, &e));
    assert_blob(&r, key);
}

static void a_files_content_becomes_the_key_by_hkdf(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET content = NULL;
    AUTO_SECRET key = NULL;
    struct seal_record r = {.kind = 9};
    assert_ok(&e, secret_random(100, &content, &e));
    assert_ok(&e, seal_content_wrap(content, "label", "x", BYTES_OF(p.binding), p.secret, &r, &e));
    assert_int_equal(r.params_len, 17);
    assert_int_equal(r.params[0], 1);
    assert_ok(&e, hash_hkdf(secret_view(content), bytes_of(r.params + 1, 16),
                            bytes_of_text("label"), AEAD_KEY, &key, &e));
    assert_blob(&r, key);
}

static void another_label_opens_nothing(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET content = NULL;
    struct secret *out = NULL;
    struct seal_record r = {.kind = 9};
    assert_ok(&e, secret_random(32, &content, &e));
    assert_ok(&e, seal_content_wrap(content, "label", "x", BYTES_OF(p.binding), p.secret, &r, &e));
    assert_refused(
        &e, KERR_INTEGRITY, "the-name: wrong secret",
        seal_content_unwrap(content, "other", "the-name", BYTES_OF(p.binding), &r, &out, &e));
    assert_null(out);
}

static void a_binding_has_a_largest_size(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET key = NULL;
    static const uint8_t huge[2048];
    struct secret *out = NULL;
    struct seal_record r = {.kind = 9};
    assert_ok(&e, secret_random(AEAD_KEY, &key, &e));
    assert_refused(&e, KERR_BUG, "2048 bytes",
                   seal_key_wrap(key, BYTES_OF(huge), p.secret, &r, &e));
    r.blob_len = 72;
    assert_refused(&e, KERR_BUG, "2048 bytes", seal_key_unwrap(key, BYTES_OF(huge), &r, &out, &e));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_blob_is_nonce_and_sealed_secret),
        cmocka_unit_test(a_files_content_becomes_the_key_by_hkdf),
        cmocka_unit_test(another_label_opens_nothing),
        cmocka_unit_test(a_binding_has_a_largest_size),
    };
    return cmocka_run_group_tests_name("seal.seal_key", tests, start, end);
}
