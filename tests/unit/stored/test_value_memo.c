/* SPDX-License-Identifier: Apache-2.0 */
/* A memo says what value_read says. Of any bytes: tests/fuzz/fuzz_stored_value.c. */
#include <stdio.h>

#include "stored/value_memo.h"
#include "tests/lib/same_value.h"
#include "tests/lib/testlib.h"

#define DATA  70
#define VALUE 400

struct made {
    uint8_t bytes[VALUE];
    size_t len;
};

/* "k8s:enc:kms:v2:NAME:" and an EncryptedObject of a seed; `fill` is each byte of the data. */
static struct bytes make(struct made *to, const char *name, unsigned seed, uint8_t fill,
                         size_t data_len)
{
    int head = snprintf((char *)to->bytes, sizeof to->bytes, "k8s:enc:kms:v2:%s:", name);
    uint8_t *at = to->bytes + head;
    *at++ = 0x0a;
    *at++ = (uint8_t)data_len;
    memset(at, fill, data_len);
    at += data_len;
    int tail = snprintf((char *)at, 100, "%c%ckey-%04u%c%cencrypted-seed-%08u-and-more-of-it%c%c",
                        0x12, 8, seed % 7, 0x1a, 38, seed, 0x28, 1);
    to->len = (size_t)(at - to->bytes) + (size_t)tail;
    return bytes_of(to->bytes, to->len);
}

static void check(struct value_memo *memo, struct bytes value, bool is_known)
{
    struct stored_value read;
    struct stored_value told;
    bool was_known = !is_known;
    value_read(value, &read);
    unsigned slot = value_memo_read(memo, value, &told, &was_known);
    assert_true(is_same_value(&read, &told));
    assert_int_equal(was_known, is_known);
    assert_true(!is_known || slot < VALUE_MEMO_SLOTS);
}

static struct value_memo *memo_new(void)
{
    struct kerrinfo e = {0};
    struct value_memo *memo = NULL;
    assert_ok(&e, value_memo_new(&memo, &e));
    return memo;
}

static void test_same_but_for_data(void **state)
{
    (void)state;
    struct made one;
    struct made other;
    struct value_memo *memo = memo_new();
    struct stored_value v;
    value_read(make(&one, "a", 1, 'x', DATA), &v);
    assert_true(v.class_of == VALUE_KMSV2 && v.fault == NULL && v.kms.source_type == 1);
    check(memo, make(&one, "a", 1, 'x', DATA), false);
    check(memo, make(&other, "a", 1, 'y', DATA + 9), true);
    check(memo, make(&other, "a", 2, 'y', DATA), false);
    check(memo, make(&other, "b", 1, 'y', DATA), false); /* another provider */
    check(memo, make(&other, "b", 1, 'z', DATA), true);
    check(memo, make(&one, "a", 1, 'z', DATA), true);
    value_memo_free(memo);
}

static void test_what_is_wrong_is_told(void **state)
{
    (void)state;
    struct made made;
    struct value_memo *memo = memo_new();
    check(memo, make(&made, "a", 1, 'x', DATA), false);
    check(memo, make(&made, "a", 1, 'x', 10), false); /* data too short */
    check(memo, make(&made, "a", 1, 'x', DATA), true);
    for (size_t i = 0; i < made.len; i++) { /* any byte another one, and cut off there */
        bool is_data = made.bytes[i] == 'x';
        make(&made, "a", 1, 'x', DATA);
        check(memo, bytes_of(made.bytes, i), false);
        made.bytes[i] ^= 0x40;
        check(memo, bytes_of(made.bytes, made.len), is_data);
    }
    check(memo, bytes_of_text("k8s:enc:aescbc:v1:key:payload"), false);
    check(memo, bytes_of_text(""), false);
    value_memo_free(memo);
}

/* As many as are promised stay, in whatever order they come. */
static void test_as_many_as_are_kept(void **state)
{
    (void)state;
    struct made made;
    for (unsigned first = 0; first < 50 * VALUE_MEMO_KEPT; first += VALUE_MEMO_KEPT) {
        struct value_memo *memo = memo_new();
        for (unsigned i = 0; i < 3 * VALUE_MEMO_KEPT; i++) {
            unsigned seed = first + i % VALUE_MEMO_KEPT;
            check(memo, make(&made, "a", seed, (uint8_t)i, DATA), i >= VALUE_MEMO_KEPT);
        }
        value_memo_free(memo);
    }
}

/* And they make room for those that come later. */
static void test_later_ones(void **state)
{
    (void)state;
    struct made made;
    struct value_memo *memo = memo_new();
    for (unsigned seed = 0; seed < 4 * VALUE_MEMO_KEPT; seed++) {
        check(memo, make(&made, "a", seed, 'x', DATA), false);
        check(memo, make(&made, "a", seed, 'y', DATA), true);
    }
    value_memo_free(memo);
}

static void test_more_than_fit(void **state)
{
    (void)state;
    struct made made;
    struct value_memo *memo = memo_new();
    size_t known = 0;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned seed = 0; seed < 4 * VALUE_MEMO_SLOTS; seed++) {
            struct stored_value read;
            struct stored_value told;
            bool is_known = false;
            struct bytes value = make(&made, "a", seed, (uint8_t)seed, DATA);
            value_read(value, &read);
            (void)value_memo_read(memo, value, &told, &is_known);
            assert_true(is_same_value(&read, &told));
            known += is_known;
        }
    }
    assert_true(known < 4 * VALUE_MEMO_SLOTS);
    for (char name = 'b'; name <= 'z'; name++) { /* providers, too */
        check(memo, make(&made, (char[]){name, 0}, 1, 'x', DATA), false);
    }
    value_memo_free(memo);
}

static void test_read_like(void **state)
{
    (void)state;
    struct made one;
    struct made other;
    struct stored_value like;
    struct stored_value told;
    value_read(make(&one, "a", 1, 'x', DATA), &like);
    struct bytes value = make(&other, "a", 1, 'y', DATA + 9);
    assert_true(value_read_like(value, &like, &told));
    struct stored_value read;
    value_read(value, &read);
    assert_true(is_same_view(told.kms.data, read.kms.data));
    assert_true(is_same_view(told.payload, read.payload) && is_same_view(told.named, read.named));
    assert_true(bytes_equal(told.kms.source, read.kms.source));
    assert_true(bytes_equal(told.kms.key_id, read.kms.key_id));
    assert_false(value_read_like(make(&other, "a", 1, 'y', 10), &like, &told));
    for (size_t len = 0; len < 17 + DATA; len++) {
        assert_false(value_read_like(bytes_of(one.bytes, len), &like, &told));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_but_for_data),   cmocka_unit_test(test_what_is_wrong_is_told),
        cmocka_unit_test(test_as_many_as_are_kept), cmocka_unit_test(test_later_ones),
        cmocka_unit_test(test_more_than_fit),       cmocka_unit_test(test_read_like),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
