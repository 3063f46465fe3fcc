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

static void every_byte_flipped(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF file = test_read_file(f.folder, "keystore");
    for (size_t i = 0; i < file.len; i++) {
        file.ptr[i] ^= 0x01;
        enum kerr k = try_file(buf_view(&file), &e);
        /* Bytes 8 and 9 are the version, which is told apart from damage. */
        assert_int_equal(k, i == 8 || i == 9 ? KERR_UNSUP : KERR_FORMAT);
        file.ptr[i] ^= 0x01;
    }
    assert_int_equal(try_file(buf_view(&file), &e), KERR_OK);
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
        bool is_named = k == KERR_FORMAT || k == KERR_UNSUP || k == KERR_INTEGRITY ||
                        k == KERR_UNTRUSTED || k == KERR_LIMIT || k == KERR_NOTFOUND ||
                        k == KERR_INPUT;
        if (!is_named) {
            fail_msg("byte %zu: %s: %s", i, kerr_name(k), e.text);
        }
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
