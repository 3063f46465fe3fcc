/* SPDX-License-Identifier: Apache-2.0 */
/* A keystore file that is cut or changed anywhere is refused, with the right word. */
#include <stdlib.h>
#include <string.h>

#include "keystore/ks_format.h"
#include "tests/lib/ks_fixture.h"

static struct ks_fixture f;

static int setup(void **state)
{
    (void)state;
    ks_fixture_init(&f, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_fixture_end(&f);
    return 0;
}

static enum kerr try_file(struct bytes data, struct kerrinfo *e)
{
    struct ks *ks = NULL;
    test_write_file(f.folder, "keystore", data);
    kerr_clear(e);
    enum kerr k = ks_open(&f.place, NULL, &ks, e);
    ks_close(ks);
    return k;
}

static void fix_checksum(struct buf *file)
{
    hash_sha256(bytes_of(file->ptr, file->len - HASH_BYTES), file->ptr + file->len - HASH_BYTES);
}

static void cut_at_every_length(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF file = test_read_file(f.folder, "keystore");
    for (size_t len = 0; len < file.len; len++) {
        assert_int_equal(try_file(bytes_of(file.ptr, len), &e), KERR_FORMAT);
        assert_non_null(strstr(e.text, "damaged"));
    }
    assert_int_equal(try_file(buf_view(&file), &e), KERR_OK);
}

/* What the refusal of a change must say, from a byte of the file on (docs/keystore-format.md). */
struct words {
    size_t from;
    const char *text;
};

static void check_words(const struct words *rows, size_t count, size_t at, const struct kerrinfo *e)
{
    while (rows[count - 1].from > at) {
        count--;
    }
    if (strstr(e->text, rows[count - 1].text) == NULL) {
        fail_msg("byte %zu: \"%s\" in: %s", at, rows[count - 1].text, e->text);
    }
}

static void every_byte_flipped(void **state)
{
    (void)state;
    static const struct words words[] = {
        {0, "damaged, or not a keystore: it does not begin as one"},
        {8, "this program knows 1: use a newer etcdseal"},
        {10, "damaged: the checksum does not fit the content; restore it with"},
        {16, "damaged: the file has "}, /* … bytes, its header says … */
        {28, "damaged: the checksum does not fit the content; restore it with"},
    };
    struct kerrinfo e = {0};
    AUTO_BUF file = test_read_file(f.folder, "keystore");
    for (size_t i = 0; i < file.len; i++) {
        file.ptr[i] ^= 0x01;
        enum kerr k = try_file(buf_view(&file), &e);
        /* Bytes 8 and 9 are the version, which is told apart from damage. */
        assert_int_equal(k, i == 8 || i == 9 ? KERR_UNSUP : KERR_FORMAT);
        check_words(words, ARRAY_LEN(words), i, &e);
        file.ptr[i] ^= 0x01;
    }
    assert_int_equal(try_file(buf_view(&file), &e), KERR_OK);
}

/* Of the clear part's header each field has its words; behind it each kind of refusal has. */
static void check_named(size_t at, enum kerr k, const struct kerrinfo *e)
{
    static const struct words header[] = {
        {0, "it does not begin as one"},
        {8, "format version"},
        {10, "header size"},
        {12, "needs features"},
        {16, "it was cut or grown"},
        {28, "wrong secret, or the slot was altered"}, /* store id: bound into each slot */
        {44, "out of range"},
        {45, "altered: the keystore's MAC does not fit"}, /* generation, previous hash */
        {84, "the slot was altered"},                     /* root epoch */
        {88, "name different writers"},
        {104, "altered: the keystore's MAC does not fit"},
        {144, "algorithm"},
        {148, ""},
    };
    static const struct words by_code[] = {
        {KERR_FORMAT, "damaged"},    {KERR_UNSUP, "use a newer etcdseal"},
        {KERR_INTEGRITY, "altered"}, {KERR_UNTRUSTED, "refused: "},
        {KERR_INPUT, "expected"},
    };
    check_words(header, ARRAY_LEN(header), at, e);
    bool is_name = strstr(e->text, "slot name") != NULL;
    for (size_t i = 0; i < ARRAY_LEN(by_code); i++) {
        if (by_code[i].from == (size_t)k) {
            const char *text = is_name ? "expected" : by_code[i].text;
            check_words(&(struct words){0, text}, 1, at, e);
            return;
        }
    }
    fail_msg("byte %zu: %s: %s", at, kerr_name(k), e->text);
}

/* A deliberate change comes with a new checksum, so the other proofs must catch it. */
static void every_byte_changed_with_a_new_checksum(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF file = test_read_file(f.folder, "keystore");
    AUTO_BUF good = test_read_file(f.folder, "keystore");
    for (size_t i = 0; i < file.len - HASH_BYTES; i++) {
        memcpy(file.ptr, good.ptr, good.len);
        file.ptr[i] ^= 0x80;
        fix_checksum(&file);
        enum kerr k = try_file(buf_view(&file), &e);
        if (k == KERR_OK) {
            fail_msg("byte %zu can be changed unnoticed", i);
        }
        check_named(i, k, &e);
    }
    assert_int_equal(try_file(buf_view(&good), &e), KERR_OK);
}

static void newer_versions_and_features(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF file = test_read_file(f.folder, "keystore");
    file.ptr[9] = 2;
    fix_checksum(&file);
    assert_int_equal(try_file(buf_view(&file), &e), KERR_UNSUP);
    assert_non_null(strstr(e.text, "format version 2, this program knows 1"));
    file.ptr[9] = 1;
    file.ptr[15] = 4;
    fix_checksum(&file);
    assert_int_equal(try_file(buf_view(&file), &e), KERR_UNSUP);
    assert_non_null(strstr(e.text, "features 0x4"));
    file.ptr[15] = 0;
    fix_checksum(&file);
    assert_int_equal(try_file(buf_view(&file), &e), KERR_OK);
}

static void other_files(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF file = test_read_file(f.folder, "keystore");
    uint8_t zeros[4096] = {0};
    assert_int_equal(try_file(BYTES_OF(zeros), &e), KERR_FORMAT);
    assert_non_null(strstr(e.text, "not a keystore"));
    uint8_t *large = calloc(1, KS_FILE_MAX + 1);
    assert_non_null(large);
    assert_int_equal(try_file(bytes_of(large, KS_FILE_MAX + 1), &e), KERR_LIMIT);
    free(large);
    assert_int_equal(try_file(buf_view(&file), &e), KERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_at_every_length),
        cmocka_unit_test(every_byte_flipped),
        cmocka_unit_test(every_byte_changed_with_a_new_checksum),
        cmocka_unit_test(newer_versions_and_features),
        cmocka_unit_test(other_files),
    };
    return cmocka_run_group_tests_name("keystore.format", tests, setup, teardown);
}
