/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/envelope.h"

#include <string.h>

#include "tests/lib/vectors.h"

static struct provider_annotation row(const char *name, const char *value)
{
    return (struct provider_annotation){.name = bytes_of_text(name), .value = bytes_of_text(value)};
}

static struct buf aad_of(const struct provider_annotations *annotations)
{
    static const uint8_t store_id[16] = {1};
    struct kerrinfo e = {0};
    struct buf out = {0};
    assert_ok(&e, envelope_aad(SUITE_XAES_256_GCM, BYTES_OF(store_id), bytes_of_text("es1-x"),
                               annotations, &out, &e));
    return out;
}

static void check_vector(const struct json_value *v)
{
    struct kerrinfo e = {0};
    struct buf values[PROVIDER_ANNOTATIONS_MAX] = {{0}};
    struct provider_annotations annotations = {.count = 0};
    const struct json_value *rows = vectors_member(v, "annotations");
    assert_true(json_count(rows) <= PROVIDER_ANNOTATIONS_MAX);
    for (size_t i = 0; i < json_count(rows); i++) {
        const struct json_value *one = json_at(rows, i, NULL);
        values[i] = vectors_hex(one, "value");
        annotations.rows[i] = (struct provider_annotation){
            .name = bytes_of_text(vectors_text(one, "name")), .value = buf_view(&values[i])};
        annotations.count = i + 1;
    }
    AUTO_BUF store_id = vectors_hex(v, "store_id");
    AUTO_BUF want = vectors_hex(v, "aad");
    AUTO_BUF got = {0};
    assert_ok(&e, envelope_aad((enum suite)vectors_u64(v, "suite"), buf_view(&store_id),
                               bytes_of_text(vectors_text(v, "key_id")), &annotations, &got, &e));
    assert_true(bytes_equal(buf_view(&got), buf_view(&want)));
    for (size_t i = 0; i < annotations.count; i++) {
        buf_done(&values[i]);
    }
}

static void our_published_vectors_are_kept(void **state)
{
    (void)state;
    AUTO_JSON doc = vectors_read("envelope-vectors.json");
    size_t with_annotations = 0;
    assert_int_equal(json_count(json_root(doc)), 10);
    for (size_t i = 0; i < json_count(json_root(doc)); i++) {
        const struct json_value *v = json_at(json_root(doc), i, NULL);
        check_vector(v);
        with_annotations += json_count(vectors_member(v, "annotations")) > 1;
    }
    assert_int_equal(with_annotations, 4);
}

static void the_order_of_annotations_does_not_matter(void **state)
{
    (void)state;
    struct provider_annotations a = {.rows = {row("a.b", "1"), row("ab", "2"), row("a", "3")},
                                     .count = 3};
    struct provider_annotations b = {.rows = {row("ab", "2"), row("a", "3"), row("a.b", "1")},
                                     .count = 3};
    AUTO_BUF of_a = aad_of(&a);
    AUTO_BUF of_b = aad_of(&b);
    assert_true(bytes_equal(buf_view(&of_a), buf_view(&of_b)));
    assert_string_equal((const char *)a.rows[0].name.ptr, "a.b"); /* the caller's is not sorted */
}

static void no_two_sets_of_annotations_have_the_same_encoding(void **state)
{
    (void)state;
    const struct provider_annotations sets[] = {
        {.count = 0},
        {.rows = {row("", "")}, .count = 1},
        {.rows = {row("a", "")}, .count = 1},
        {.rows = {row("", "a")}, .count = 1},
        {.rows = {row("a", "bc")}, .count = 1},
        {.rows = {row("ab", "c")}, .count = 1},
        {.rows = {row("a", "b"), row("c", "d")}, .count = 2},
        {.rows = {row("a", "d"), row("c", "b")}, .count = 2},
        {.rows = {row("a", "b"), row("c", "")}, .count = 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        AUTO_BUF one = aad_of(&sets[i]);
        for (size_t j = 0; j < i; j++) {
            AUTO_BUF other = aad_of(&sets[j]);
            assert_false(bytes_equal(buf_view(&one), buf_view(&other)));
        }
    }
}

static void a_name_stands_once(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct buf out = {0};
    struct provider_annotations twice = {.rows = {row("a", "1"), row("b", "2"), row("a", "1")},
                                         .count = 3};
    assert_refused(&e, KERR_INPUT, "stands twice",
                   envelope_aad(SUITE_XAES_256_GCM, bytes_of_text("0123456789abcdef"),
                                bytes_of_text("k"), &twice, &out, &e));
    assert_null(out.ptr);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_published_vectors_are_kept),
        cmocka_unit_test(the_order_of_annotations_does_not_matter),
        cmocka_unit_test(no_two_sets_of_annotations_have_the_same_encoding),
        cmocka_unit_test(a_name_stands_once),
    };
    return cmocka_run_group_tests_name("provider.envelope", tests, NULL, NULL);
}
