/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, and what happens without memory. */
#include "tests/unit/kms/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kms/kms.h"

/* The n-th allocation of ours from now on fails; 0: none. */
static int fail_at;

static bool must_fail(void)
{
    return fail_at > 0 && fail_at-- == 1;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size)
{
    return must_fail() ? NULL : __real_realloc(ptr, size);
}

static struct kerrinfo e;

static void status_requests(void **state)
{
    (void)state;
    assert_ok(&e, kms_decode_status_request(bytes_of(NULL, 0), &e));
    struct wire *m = wire_new();
    put_bytes(m, 7, some(62));
    assert_int_equal(done(m).len, KMS_STATUS_REQUEST_MAX);
    assert_ok(&e, kms_decode_status_request(done(m), &e));
    assert_refused(&e, KERR_LIMIT, "StatusRequest of 65 bytes, allowed are 64",
                   kms_decode_status_request(some(KMS_STATUS_REQUEST_MAX + 1), &e));
    assert_refused(&e, KERR_INPUT, "bytes that are no StatusRequest",
                   kms_decode_status_request(bytes_of("\x0a\x05", 2), &e));
}

static void an_encrypt_request_is_read(void **state)
{
    (void)state;
    struct wire *m = wire_new();
    put_bytes(m, 1, bytes_of("\0secret\xff", 8));
    put_text(m, 2, "8e4e2cf7-0d9a-4b4a-9d5c-1c7f0f0b9f51");
    struct kms_encrypt_request r;
    assert_ok(&e, kms_decode_encrypt_request(done(m), &r, &e));
    assert_true(bytes_equal(secret_view(r.plaintext), bytes_of("\0secret\xff", 8)));
    assert_true(bytes_equal_text(r.uid, "8e4e2cf7-0d9a-4b4a-9d5c-1c7f0f0b9f51"));
    kms_encrypt_request_done(&r);
    assert_null(r.plaintext);
    assert_null(r.arena);
    kms_encrypt_request_done(&r);
}

static void an_empty_plaintext_is_no_secret(void **state)
{
    (void)state;
    struct kms_encrypt_request r;
    assert_ok(&e, kms_decode_encrypt_request(bytes_of(NULL, 0), &r, &e));
    assert_null(r.plaintext);
    assert_int_equal(r.uid.len, 0);
    kms_encrypt_request_done(&r);
    struct wire *m = wire_new();
    put_text(m, 1, "");
    put_text(m, 2, "");
    assert_ok(&e, kms_decode_encrypt_request(done(m), &r, &e));
    assert_null(r.plaintext);
    kms_encrypt_request_done(&r);
}

static void the_last_of_a_field_counts(void **state)
{
    (void)state;
    struct wire *m = wire_new();
    put_text(m, 2, "first");
    put_text(m, 1, "first plaintext");
    put_text(m, 2, "second");
    put_text(m, 1, "second plaintext");
    struct kms_encrypt_request r;
    assert_ok(&e, kms_decode_encrypt_request(done(m), &r, &e));
    assert_true(bytes_equal_text(secret_view(r.plaintext), "second plaintext"));
    assert_true(bytes_equal_text(r.uid, "second"));
    kms_encrypt_request_done(&r);
    put_text(m, 1, "");
    assert_ok(&e, kms_decode_encrypt_request(done(m), &r, &e));
    assert_null(r.plaintext);
    kms_encrypt_request_done(&r);
}

static void unknown_fields_are_skipped(void **state)
{
    (void)state;
    struct wire *m = wire_new();
    put_text(m, 3, "from the future");
    put_varint(m, 4 << 3); /* varint */
    put_varint(m, UINT64_MAX);
    put_varint(m, 5 << 3 | 1); /* 64 bits */
    write_u64(&m->w, 1);
    put_varint(m, 6 << 3 | 5); /* 32 bits */
    write_u32(&m->w, 1);
    put_text(m, 536870911, "largest field number");
    put_text(m, 1, "plaintext");
    struct kms_encrypt_request r;
    assert_ok(&e, kms_decode_encrypt_request(done(m), &r, &e));
    assert_true(bytes_equal_text(secret_view(r.plaintext), "plaintext"));
    kms_encrypt_request_done(&r);
}

/* Each is refused by all three decoders, and leaves the output as it was. */
static void refused_by_all(struct bytes message, enum kerr code, const char *words)
{
    struct kms_encrypt_request enc;
    struct kms_decrypt_request dec;
    memset(&enc, 0x55, sizeof enc);
    memset(&dec, 0x55, sizeof dec);
    assert_refused(&e, code, words, kms_decode_status_request(message, &e));
    assert_refused(&e, code, words, kms_decode_encrypt_request(message, &enc, &e));
    assert_refused(&e, code, words, kms_decode_decrypt_request(message, &dec, &e));
    for (size_t i = 0; i < sizeof enc; i++) {
        assert_int_equal(((const uint8_t *)&enc)[i], 0x55);
    }
    for (size_t i = 0; i < sizeof dec; i++) {
        assert_int_equal(((const uint8_t *)&dec)[i], 0x55);
    }
}

static void what_is_no_protobuf_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {"\x02\x01x", 3},                /* field number 0 */
        {"\x7a", 1},                     /* tag without value */
        {"\x7a\x05", 2},                 /* shorter than its length says */
        {"\x7a\x05xxxx", 6},             /* by one */
        {"\x7a\xff\xff\xff\xff\x0f", 6}, /* 4 GiB */
        {"\x7a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
        {"\x78\xff\xff\xff", 4}, /* varint without end */
        {"\x79xxxxxxx", 8},      /* 64 bits, one byte short */
        {"\x7dxxx", 4},          /* 32 bits, one byte short */
        {"\x7bx\x7c", 3},        /* group */
        {"\x7e", 1},             /* wire types that do not exist */
        {"\x7f", 1},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11}, /* tag without end */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        refused_by_all(bytes_of(rows[i].bytes, rows[i].len), KERR_INPUT, "bytes that are no ");
    }
    struct kms_encrypt_request r;
    assert_refused(&e, KERR_INPUT, "bytes that are no EncryptRequest", /* plaintext as a number */
                   kms_decode_encrypt_request(bytes_of("\x08\x01", 2), &r, &e));
}

static void text_must_be_utf8(void **state)
{
    (void)state;
    static const char *const bad[] = {"\xff", "a\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xc3"};
    struct kms_encrypt_request enc;
    struct kms_decrypt_request dec;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct wire *m = wire_new();
        put_text(m, 2, bad[i]);
        assert_refused(&e, KERR_INPUT, "uid that is not UTF-8",
                       kms_decode_encrypt_request(done(m), &enc, &e));
        assert_refused(&e, KERR_INPUT, "uid that is not UTF-8",
                       kms_decode_decrypt_request(done(m), &dec, &e));
        m = wire_new();
        put_text(m, 3, bad[i]);
        assert_refused(&e, KERR_INPUT, "key_id that is not UTF-8",
                       kms_decode_decrypt_request(done(m), &dec, &e));
        m = wire_new();
        put_annotation(m, 4, bytes_of_text(bad[i]), some(1));
        assert_refused(&e, KERR_INPUT, "annotation name that is not UTF-8",
                       kms_decode_decrypt_request(done(m), &dec, &e));
    }
    /* Bytes may be anything, and text may hold anything that is UTF-8: it keeps its length. */
    struct wire *m = wire_new();
    put_text(m, 1, "\xff\xfe");
    put_bytes(m, 3, bytes_of("a\0b\xc3\xa9", 5));
    put_annotation(m, 4, bytes_of("n\0m", 3), bytes_of_text("\xff"));
    assert_ok(&e, kms_decode_decrypt_request(done(m), &dec, &e));
    assert_true(bytes_equal_text(dec.ciphertext, "\xff\xfe"));
    assert_true(bytes_equal(dec.key_id, bytes_of("a\0b\xc3\xa9", 5)));
    assert_true(bytes_equal(dec.annotations.rows[0].name, bytes_of("n\0m", 3)));
    kms_decrypt_request_done(&dec);
}

static void the_sizes_of_encrypt_are_exact(void **state)
{
    (void)state;
    struct kms_encrypt_request r;
    struct wire *m = wire_new();
    put_bytes(m, 1, some(KMS_PLAINTEXT_MAX));
    put_bytes(m, 2, some(KMS_UID_MAX));
    assert_ok(&e, kms_decode_encrypt_request(done(m), &r, &e));
    assert_int_equal(secret_len(r.plaintext), KMS_PLAINTEXT_MAX);
    assert_int_equal(r.uid.len, KMS_UID_MAX);
    kms_encrypt_request_done(&r);
    m = wire_new();
    put_bytes(m, 1, some(KMS_PLAINTEXT_MAX + 1));
    assert_refused(&e, KERR_LIMIT, "plaintext of 1025 bytes, allowed are 1024",
                   kms_decode_encrypt_request(done(m), &r, &e));
    m = wire_new();
    put_bytes(m, 2, some(KMS_UID_MAX + 1));
    assert_refused(&e, KERR_LIMIT, "uid of 257 bytes, allowed are 256",
                   kms_decode_encrypt_request(done(m), &r, &e));
    m = wire_new();
    put_bytes(m, 9, some(KMS_ENCRYPT_REQUEST_MAX - 3));
    assert_int_equal(done(m).len, KMS_ENCRYPT_REQUEST_MAX);
    assert_ok(&e, kms_decode_encrypt_request(done(m), &r, &e));
    kms_encrypt_request_done(&r);
    assert_refused(&e, KERR_LIMIT, "EncryptRequest of 2049 bytes",
                   kms_decode_encrypt_request(some(KMS_ENCRYPT_REQUEST_MAX + 1), &r, &e));
}

static void a_decrypt_request_is_read(void **state)
{
    (void)state;
    struct wire *m = wire_new();
    put_annotation(m, 4, bytes_of_text("a.example.com"), bytes_of("\0\1", 2));
    put_text(m, 3, "es1-key");
    put_text(m, 1, "ciphertext");
    put_text(m, 2, "uid");
    put_annotation(m, 4, bytes_of_text("b.example.com"), bytes_of_text(""));
    put_bytes(m, 4, bytes_of(NULL, 0)); /* empty entry: empty name, empty value */
    struct kms_decrypt_request r;
    assert_ok(&e, kms_decode_decrypt_request(done(m), &r, &e));
    assert_true(bytes_equal_text(r.ciphertext, "ciphertext"));
    assert_true(bytes_equal_text(r.uid, "uid"));
    assert_true(bytes_equal_text(r.key_id, "es1-key"));
    assert_int_equal(r.annotations.count, 3);
    assert_true(bytes_equal_text(r.annotations.rows[0].name, "a.example.com"));
    assert_true(bytes_equal(r.annotations.rows[0].value, bytes_of("\0\1", 2)));
    assert_true(bytes_equal_text(r.annotations.rows[1].name, "b.example.com"));
    assert_int_equal(r.annotations.rows[1].value.len, 0);
    assert_int_equal(r.annotations.rows[2].name.len, 0);
    kms_decrypt_request_done(&r);
    assert_null(r.arena);
    kms_decrypt_request_done(&r);

    assert_ok(&e, kms_decode_decrypt_request(bytes_of(NULL, 0), &r, &e));
    assert_int_equal(r.ciphertext.len + r.uid.len + r.key_id.len + r.annotations.count, 0);
    kms_decrypt_request_done(&r);
}

static void an_annotation_that_comes_twice_counts_once(void **state)
{
    (void)state;
    struct wire *m = wire_new();
    for (int i = 0; i < 100; i++) {
        char value[8];
        (void)snprintf(value, sizeof value, "%d", i);
        put_annotation(m, 4, bytes_of_text(i % 2 == 0 ? "even" : "odd"), bytes_of_text(value));
    }
    struct kms_decrypt_request r;
    assert_ok(&e, kms_decode_decrypt_request(done(m), &r, &e));
    assert_int_equal(r.annotations.count, 2);
    assert_true(bytes_equal_text(r.annotations.rows[0].name, "even"));
    assert_true(bytes_equal_text(r.annotations.rows[0].value, "98"));
    assert_true(bytes_equal_text(r.annotations.rows[1].value, "99"));
    kms_decrypt_request_done(&r);
}

static void annotations_are_checked_inside(void **state)
{
    (void)state;
    static const struct {
        const char *entry;
        size_t len;
    } rows[] = {{"\x0a\x05x", 3}, {"\x08\x01", 2}, {"\x02\x01x", 3}};
    struct kms_decrypt_request r;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct wire *m = wire_new();
        put_bytes(m, 4, bytes_of(rows[i].entry, rows[i].len));
        assert_refused(&e, KERR_INPUT, "bytes that are no DecryptRequest",
                       kms_decode_decrypt_request(done(m), &r, &e));
    }
    struct wire *m = wire_new();
    put_bytes(m, 4, bytes_of("\x1a\x01x\x0a\x01n", 6)); /* an unknown field inside */
    assert_ok(&e, kms_decode_decrypt_request(done(m), &r, &e));
    assert_true(bytes_equal_text(r.annotations.rows[0].name, "n"));
    kms_decrypt_request_done(&r);
}

static struct wire *with_annotations(unsigned field, size_t count)
{
    struct wire *m = wire_new();
    for (size_t i = 0; i < count; i++) {
        uint8_t name = (uint8_t)('a' + i);
        put_annotation(m, field, bytes_of(&name, 1), some(1));
    }
    return m;
}

static void the_sizes_of_decrypt_are_exact(void **state)
{
    (void)state;
    struct kms_decrypt_request r;
    struct wire *m = wire_new();
    put_bytes(m, 1, some(KMS_CIPHERTEXT_MAX));
    put_bytes(m, 2, some(KMS_UID_MAX));
    put_bytes(m, 3, some(KMS_KEY_ID_MAX));
    put_annotation(m, 4, some(1000), some(KMS_ANNOTATIONS_MAX_BYTES - 1000));
    assert_ok(&e, kms_decode_decrypt_request(done(m), &r, &e));
    assert_int_equal(r.annotations.rows[0].value.len, KMS_ANNOTATIONS_MAX_BYTES - 1000);
    kms_decrypt_request_done(&r);

    static const struct {
        unsigned field;
        size_t len;
        const char *words;
    } rows[] = {
        {1, KMS_CIPHERTEXT_MAX + 1, "ciphertext of 1025 bytes, allowed are 1024"},
        {2, KMS_UID_MAX + 1, "uid of 257 bytes, allowed are 256"},
        {3, KMS_KEY_ID_MAX + 1, "key_id of 1025 bytes, allowed are 1024"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        m = wire_new();
        put_bytes(m, rows[i].field, some(rows[i].len));
        assert_refused(&e, KERR_LIMIT, rows[i].words, kms_decode_decrypt_request(done(m), &r, &e));
    }
    m = wire_new();
    put_annotation(m, 4, some(1000), some(KMS_ANNOTATIONS_MAX_BYTES - 999));
    assert_refused(&e, KERR_LIMIT, "annotations of 32769 bytes together, allowed are 32768",
                   kms_decode_decrypt_request(done(m), &r, &e));
    m = with_annotations(4, KMS_ANNOTATIONS_MAX);
    assert_ok(&e, kms_decode_decrypt_request(done(m), &r, &e));
    assert_int_equal(r.annotations.count, KMS_ANNOTATIONS_MAX);
    kms_decrypt_request_done(&r);
    m = with_annotations(4, KMS_ANNOTATIONS_MAX + 1);
    assert_refused(&e, KERR_LIMIT, "more than 8 annotations",
                   kms_decode_decrypt_request(done(m), &r, &e));
    assert_refused(&e, KERR_LIMIT, "DecryptRequest of 40961 bytes",
                   kms_decode_decrypt_request(some(KMS_DECRYPT_REQUEST_MAX + 1), &r, &e));
}

static void thousands_of_fields_are_refused(void **state)
{
    (void)state;
    struct kms_decrypt_request r;
    struct wire *unknown = wire_new();
    struct wire *entries = wire_new();
    for (int i = 0; i < 20000; i++) {
        put_text(unknown, 9, "");
        put_text(entries, 4, "");
    }
    assert_refused(&e, KERR_LIMIT, "DecryptRequest with too many fields",
                   kms_decode_decrypt_request(done(unknown), &r, &e));
    assert_refused(&e, KERR_LIMIT, "DecryptRequest with too many fields",
                   kms_decode_decrypt_request(done(entries), &r, &e));
}

static void no_length_breaks_a_decoder(void **state)
{
    (void)state;
    struct wire *m = with_annotations(4, 3);
    put_text(m, 1, "ciphertext");
    put_text(m, 3, "key");
    uint8_t *exact = malloc(done(m).len);
    assert_non_null(exact);
    memcpy(exact, done(m).ptr, done(m).len);
    for (size_t len = 0; len < done(m).len; len++) {
        struct kms_decrypt_request r;
        struct kms_encrypt_request q;
        kerr_clear(&e);
        /* At the end of the block, so that valgrind and ASan see any byte read beyond. */
        struct bytes cut = bytes_of(exact + done(m).len - len, len);
        if (kms_decode_decrypt_request(cut, &r, &e) == KERR_OK) {
            kms_decrypt_request_done(&r);
        }
        kerr_clear(&e);
        if (kms_decode_encrypt_request(cut, &q, &e) == KERR_OK) {
            kms_encrypt_request_done(&q);
        }
    }
    free(exact);
}

static enum kerr decode_and_encode(struct bytes encrypt, struct bytes decrypt)
{
    AUTO(kms_encrypt_request_done) struct kms_encrypt_request enc = {0};
    AUTO(kms_decrypt_request_done) struct kms_decrypt_request dec = {0};
    AUTO_SECRET message = NULL;
    AUTO_BUF b;
    buf_init(&b, 4096);
    kerr_clear(&e);
    enum kerr k = kms_decode_status_request(bytes_of("\x7a\x01x", 3), &e);
    k = k == KERR_OK ? kms_decode_encrypt_request(encrypt, &enc, &e) : k;
    k = k == KERR_OK ? kms_decode_decrypt_request(decrypt, &dec, &e) : k;
    k = k == KERR_OK ? kms_encode_decrypt_response(enc.plaintext, &message, &e) : k;
    struct kms_encrypt_response r = {.ciphertext = dec.ciphertext, .key_id = dec.key_id};
    return k == KERR_OK ? kms_encode_encrypt_response(&r, &b, &e) : k;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    struct wire *enc = wire_new();
    put_text(enc, 1, "plaintext");
    put_text(enc, 2, "uid");
    static uint8_t enc_copy[100];
    size_t enc_len = done(enc).len;
    memcpy(enc_copy, enc->room, enc_len);
    struct wire *dec = with_annotations(4, 8);
    put_bytes(dec, 1, some(900));
    put_bytes(dec, 3, some(900));
    put_bytes(dec, 9, some(9000));
    for (int i = 0; i < 100; i++) {
        put_text(dec, 9, "");
    }
    int n = 0;
    enum kerr k;
    do {
        fail_at = ++n;
        k = decode_and_encode(bytes_of(enc_copy, enc_len), done(dec));
        fail_at = 0;
        assert_true(k == KERR_OK || k == KERR_NOMEM);
    } while (k != KERR_OK);
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_requests),
        cmocka_unit_test(an_encrypt_request_is_read),
        cmocka_unit_test(an_empty_plaintext_is_no_secret),
        cmocka_unit_test(the_last_of_a_field_counts),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(what_is_no_protobuf_is_refused),
        cmocka_unit_test(text_must_be_utf8),
        cmocka_unit_test(the_sizes_of_encrypt_are_exact),
        cmocka_unit_test(a_decrypt_request_is_read),
        cmocka_unit_test(an_annotation_that_comes_twice_counts_once),
        cmocka_unit_test(annotations_are_checked_inside),
        cmocka_unit_test(the_sizes_of_decrypt_are_exact),
        cmocka_unit_test(thousands_of_fields_are_refused),
        cmocka_unit_test(no_length_breaks_a_decoder),
        cmocka_unit_test(each_allocation_may_fail),
    };
    if (secret_start(SECRET_LOCK_STRICT, NULL) != KERR_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
