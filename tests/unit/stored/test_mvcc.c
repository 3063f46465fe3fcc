/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/mvcc.h"
#include "tests/lib/testlib.h"

#define REVISION "\0\0\0\0\0\0\1\2_\0\0\0\0\0\0\0\3"
/* key "k", create 1, mod 2, version 1, value "vvv", lease 9 */
#define RECORD "\x0a\x01k\x10\x01\x18\x02\x20\x01\x2a\x03vvv\x30\x09"

static struct bytes text(const char *p, size_t len)
{
    return bytes_of(p, len);
}
#define TEXT(literal) text(literal, sizeof(literal) - 1)

static void test_revision(void **state)
{
    (void)state;
    struct mvcc_revision r = {.main = 1};
    assert_true(mvcc_revision_read(TEXT(REVISION), &r));
    assert_true(r.main == 258 && r.sub == 3 && !r.is_tombstone);
    assert_true(mvcc_revision_read(TEXT(REVISION "t"), &r));
    assert_true(r.main == 258 && r.is_tombstone);
    const struct bytes bad[] = {
        TEXT(""),
        TEXT(REVISION "x"),
        TEXT(REVISION "tt"),
        text(REVISION, 16),
        TEXT("\0\0\0\0\0\0\1\2-\0\0\0\0\0\0\0\3"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        r.main = 7;
        assert_false(mvcc_revision_read(bad[i], &r));
        assert_true(r.main == 7);
    }
}

static void test_key_value(void **state)
{
    (void)state;
    struct mvcc_key_value kv;
    struct bytes key;
    assert_true(mvcc_key_value_read(TEXT(RECORD), &kv));
    assert_true(bytes_equal_text(kv.key, "k") && bytes_equal_text(kv.value, "vvv"));
    assert_true(kv.create_revision == 1 && kv.mod_revision == 2 && kv.version == 1);
    assert_true(kv.lease == 9);
    assert_true(mvcc_key_of(TEXT(RECORD), &key) && bytes_equal_text(key, "k"));
    assert_true(mvcc_key_value_read(TEXT(RECORD "\x3a\x01x"), &kv)); /* a field of the future */
    const struct bytes bad[] = {
        TEXT(""),
        TEXT("\x2a\x01v"),          /* no key */
        TEXT("\x0a\x00\x18\x02"),   /* an empty one */
        TEXT("\x18\x02\x0a\x01k"),  /* not first */
        TEXT("\x0a\x01k\x0a\x01l"), /* twice */
        TEXT("\x0a\x00\x0a\x01k"),  /* the first of them empty */
        TEXT("\x0a\x01k\x1a\x01x"), /* a revision that is no number */
        TEXT("\x0a\x01k\x28\x01"),  /* a value that is a number */
        text(RECORD, sizeof RECORD - 2) /* cut */,
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(mvcc_key_value_read(bad[i], &kv));
    }
}

static void test_what_is_left_of_a_record(void **state)
{
    (void)state;
    struct mvcc_key_value kv;
    size_t len = 0;
    assert_true(mvcc_key_value_cut(TEXT(RECORD "garbage"), &kv, &len));
    assert_true(bytes_equal_text(kv.value, "vvv") && len == sizeof RECORD - 3); /* not the lease */
    for (size_t cut = 12; cut < 14; cut++) {
        assert_true(mvcc_key_value_cut(text(RECORD, cut), &kv, &len));
        assert_int_equal(kv.value.len, cut - 11);
        assert_int_equal(len, cut);
    }
    for (size_t cut = 0; cut < 12; cut++) {
        assert_false(mvcc_key_value_cut(text(RECORD, cut), &kv, &len));
    }
    assert_false(mvcc_key_value_cut(TEXT("\x0a\x01k\x2a\x01v"), &kv, &len)); /* no revision */
}

static void test_meta(void **state)
{
    (void)state;
    struct mvcc_meta meta = {0};
    assert_true(mvcc_meta_take(bytes_of_text("finishedCompactRev"), TEXT(REVISION), &meta));
    assert_true(meta.finished_compact == 258);
    assert_true(mvcc_meta_take(bytes_of_text("term"), TEXT("\0\0\0\0\0\0\0\5"), &meta));
    assert_true(meta.term == 5);
    assert_true(mvcc_meta_take(bytes_of_text("confState"), TEXT("{}"), &meta));
    assert_false(mvcc_meta_take(bytes_of_text("term"), TEXT("5"), &meta));
    assert_false(mvcc_meta_take(bytes_of_text("scheduledCompactRev"), TEXT("\0"), &meta));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_revision),
        cmocka_unit_test(test_key_value),
        cmocka_unit_test(test_what_is_left_of_a_record),
        cmocka_unit_test(test_meta),
    };
    return cmocka_run_group_tests_name("stored.mvcc", tests, NULL, NULL);
}
