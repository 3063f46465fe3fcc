/* SPDX-License-Identifier: Apache-2.0 */
/* Responses, and the text form of key ids. */
#include "tests/unit/kms/wire.h"

#include <string.h>

#include "kms/kms.h"

static struct kerrinfo e;

static void a_status_response_is_written(void **state)
{
    (void)state;
    struct kms_status_response r = {"v2", "ok", "es1-key"};
    AUTO_BUF b;
    buf_init(&b, 4096);
    assert_ok(&e, kms_encode_status_response(&r, &b, &e));
    struct wire *m = wire_new();
    put_text(m, 1, "v2");
    put_text(m, 2, "ok");
    put_text(m, 3, "es1-key");
    assert_true(bytes_equal(buf_view(&b), done(m)));

    char long_id[KMS_KEY_ID_MAX + 2];
    memset(long_id, 'k', sizeof long_id);
    long_id[KMS_KEY_ID_MAX + 1] = 0;
    r.key_id = long_id;
    b.len = 0;
    assert_refused(&e, KERR_LIMIT, "key_id of 1025 bytes", kms_encode_status_response(&r, &b, &e));
    long_id[KMS_KEY_ID_MAX] = 0;
    assert_ok(&e, kms_encode_status_response(&r, &b, &e));
    r.key_id = "\xff";
    assert_refused(&e, KERR_INPUT, "key_id that is not UTF-8",
                   kms_encode_status_response(&r, &b, &e));
}

static void an_encrypt_response_is_written(void **state)
{
    (void)state;
    struct kms_encrypt_response r = {
        .ciphertext = bytes_of("\0\1\2", 3),
        .key_id = bytes_of_text("es1-key"),
        .annotations = {.rows = {{bytes_of_text("a.b"), bytes_of_text("1")},
                                 {bytes_of_text("c.d"), bytes_of_text("2")}},
                        .count = 2},
    };
    AUTO_BUF b;
    buf_init(&b, 70000);
    assert_ok(&e, kms_encode_encrypt_response(&r, &b, &e));
    struct wire *m = wire_new();
    put_bytes(m, 1, bytes_of("\0\1\2", 3));
    put_text(m, 2, "es1-key");
    put_annotation(m, 3, bytes_of_text("a.b"), bytes_of_text("1"));
    put_annotation(m, 3, bytes_of_text("c.d"), bytes_of_text("2"));
    assert_true(bytes_equal(buf_view(&b), done(m)));
}

static void the_sizes_of_an_encrypt_response_are_exact(void **state)
{
    (void)state;
    struct kms_encrypt_response r = {.ciphertext = some(KMS_CIPHERTEXT_MAX),
                                     .key_id = some(KMS_KEY_ID_MAX)};
    AUTO_BUF b;
    buf_init(&b, 70000);
    assert_ok(&e, kms_encode_encrypt_response(&r, &b, &e));
    r.ciphertext.len++;
    assert_refused(&e, KERR_LIMIT, "ciphertext of 1025 bytes",
                   kms_encode_encrypt_response(&r, &b, &e));
    r.ciphertext.len = 10;
    r.key_id.len++;
    assert_refused(&e, KERR_LIMIT, "key_id of 1025 bytes", kms_encode_encrypt_response(&r, &b, &e));
    r.key_id.len = 10;
    r.annotations.count = 1;
    r.annotations.rows[0] = (struct kms_annotation){some(3), some(KMS_ANNOTATIONS_MAX_BYTES - 3)};
    b.len = 0;
    assert_ok(&e, kms_encode_encrypt_response(&r, &b, &e));
    r.annotations.rows[0].value.len++;
    assert_refused(&e, KERR_LIMIT, "annotations of 32769 bytes",
                   kms_encode_encrypt_response(&r, &b, &e));
    r.annotations.rows[0] = (struct kms_annotation){bytes_of_text("\xff"), some(1)};
    assert_refused(&e, KERR_INPUT, "annotation name that is not UTF-8",
                   kms_encode_encrypt_response(&r, &b, &e));
    r.annotations.count = KMS_ANNOTATIONS_MAX + 1;
    assert_refused(&e, KERR_LIMIT, "more than 8 annotations",
                   kms_encode_encrypt_response(&r, &b, &e));
    /* A buffer that is too small stays as it was. */
    struct buf small;
    buf_init(&small, 5);
    r.annotations.count = 0;
    assert_refused(&e, KERR_LIMIT, "", kms_encode_encrypt_response(&r, &small, &e));
    assert_int_equal(small.len, 0);
    buf_done(&small);
}

static void a_decrypt_response_is_a_secret(void **state)
{
    (void)state;
    struct secret *plaintext = NULL;
    struct secret *message = NULL;
    assert_ok(&e, secret_from_bytes(some(KMS_PLAINTEXT_MAX), &plaintext, &e));
    assert_ok(&e, kms_encode_decrypt_response(plaintext, &message, &e));
    struct wire *m = wire_new();
    put_bytes(m, 1, some(KMS_PLAINTEXT_MAX));
    assert_true(bytes_equal(secret_view(message), done(m)));
    secret_free(message);
    secret_free(plaintext);
    message = NULL;
    assert_ok(&e, secret_from_bytes(some(KMS_PLAINTEXT_MAX + 1), &plaintext, &e));
    assert_refused(&e, KERR_LIMIT, "plaintext of 1025 bytes",
                   kms_encode_decrypt_response(plaintext, &message, &e));
    assert_null(message);
    secret_free(plaintext);
}

static void key_ids_are_hashed_as_kube_apiserver_does(void **state)
{
    (void)state;
    char hash[KMS_KEY_ID_HASH_BYTES];
    kms_key_id_hash(bytes_of_text("1"), hash);
    assert_string_equal(hash,
                        "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b");
    kms_key_id_hash(bytes_of_text("es1-abc"), hash);
    assert_int_equal(strlen(hash), KMS_KEY_ID_HASH_BYTES - 1);
    kms_key_id_hash(bytes_of(NULL, 0), hash);
    assert_string_equal(hash, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_response_is_written),
        cmocka_unit_test(an_encrypt_response_is_written),
        cmocka_unit_test(the_sizes_of_an_encrypt_response_are_exact),
        cmocka_unit_test(a_decrypt_response_is_a_secret),
        cmocka_unit_test(key_ids_are_hashed_as_kube_apiserver_does),
    };
    if (secret_start(SECRET_LOCK_STRICT, NULL) != KERR_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
