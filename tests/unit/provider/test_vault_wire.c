/* SPDX-License-Identifier: Apache-2.0 */
/* What is written down and sent, against vectors that a program of its own makes; and that the
 * readers take nothing else. */
#include "provider/vault_wire.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/vectors.h"

#define SEED_RAW 45

/* ---- vectors ---- */

static void check_annotation(const struct json_value *v)
{
    struct kerrinfo e = {0};
    struct vault_wire_kek kek = {.suite = (uint8_t)vectors_u64(v, "suite"),
                                 .epoch = (uint8_t)vectors_u64(v, "epoch"),
                                 .version = (uint32_t)vectors_u64(v, "version")};
    struct vault_wire_kek back;
    uint8_t got[VAULT_WIRE_ANNOTATION_MAX];
    size_t len = 0;
    AUTO_BUF kek_id = vectors_hex(v, "kek_id");
    AUTO_BUF raw = vectors_hex(v, "raw");
    AUTO_BUF want = vectors_hex(v, "annotation");
    assert_int_equal(kek_id.len, sizeof kek.kek_id);
    memcpy(kek.kek_id, kek_id.ptr, sizeof kek.kek_id);
    kek.raw = buf_view(&raw);
    assert_ok(&e, vault_wire_put_annotation(&kek, got, &len, &e));
    assert_true(bytes_equal(bytes_of(got, len), buf_view(&want)));
    assert_true(vault_wire_read_annotation(buf_view(&want), &back));
    assert_int_equal(back.suite, kek.suite);
    assert_int_equal(back.epoch, kek.epoch);
    assert_int_equal(back.version, kek.version);
    assert_memory_equal(back.kek_id, kek.kek_id, sizeof kek.kek_id);
    assert_true(bytes_equal(back.raw, kek.raw));
}

static void check_direct(const struct json_value *v)
{
    const struct vault_wire_seed seed = {.epoch = (uint8_t)vectors_u64(v, "epoch"),
                                         .version = (uint32_t)vectors_u64(v, "version")};
    struct vault_wire_seed back;
    uint8_t head[VAULT_WIRE_DIRECT_HEAD];
    AUTO_BUF raw = vectors_hex(v, "raw");
    AUTO_BUF want = vectors_hex(v, "direct");
    vault_wire_put_head(&seed, head);
    assert_int_equal(want.len, sizeof head + raw.len);
    assert_memory_equal(head, want.ptr, sizeof head);
    assert_true(vault_wire_read_seed(buf_view(&want), &back));
    assert_int_equal(back.epoch, seed.epoch);
    assert_int_equal(back.version, seed.version);
    assert_true(bytes_equal(back.raw, buf_view(&raw)));
}

static void check_aads(const struct json_value *v)
{
    uint8_t got[VAULT_WIRE_AAD_MAX];
    AUTO_BUF kek_id = vectors_hex(v, "kek_id");
    AUTO_BUF kek_aad = vectors_hex(v, "kek_aad");
    AUTO_BUF seed_aad = vectors_hex(v, "seed_aad");
    size_t len = vault_wire_kek_aad(vectors_text(v, "key_id"), kek_id.ptr,
                                    (uint8_t)vectors_u64(v, "suite"), got);
    assert_true(bytes_equal(bytes_of(got, len), buf_view(&kek_aad)));
    len = vault_wire_seed_aad(vectors_text(v, "cluster_id"), vectors_text(v, "key_id"), got);
    assert_true(bytes_equal(bytes_of(got, len), buf_view(&seed_aad)));
}

static void check_key_id(const struct json_value *v)
{
    char cluster_id[65];
    char mount[CONFIG_VAULT_NAME_MAX + 1];
    char key[CONFIG_VAULT_NAME_MAX + 1];
    char got[VAULT_WIRE_ID_BYTES];
    (void)snprintf(cluster_id, sizeof cluster_id, "%s", vectors_text(v, "cluster_id"));
    (void)snprintf(mount, sizeof mount, "%s", vectors_text(v, "mount"));
    (void)snprintf(key, sizeof key, "%s", vectors_text(v, "key"));
    const struct config_vault config = {.cluster_id = cluster_id, .mount = mount, .key = key};
    const struct vault_wire_version version = {.epoch = (uint8_t)vectors_u64(v, "epoch"),
                                               .number = (uint32_t)vectors_u64(v, "version"),
                                               .created_at_s = vectors_u64(v, "created_at")};
    vault_wire_key_id(&config, &version, got);
    assert_string_equal(got, vectors_text(v, "key_id"));
}

static void the_published_vectors_are_kept(void **state)
{
    (void)state;
    AUTO_JSON doc = vectors_read("vault-vectors.json");
    size_t count = json_count(json_root(doc));
    assert_int_equal(count, 7);
    for (size_t i = 0; i < count; i++) {
        const struct json_value *v = json_at(json_root(doc), i, NULL);
        check_key_id(v);
        check_aads(v);
        check_annotation(v);
        check_direct(v);
    }
}

/* ---- key ids ---- */

/* Whatever differs, and wherever one name ends and the next begins. */
static void another_key_or_version_has_another_id(void **state)
{
    (void)state;
    static char names[][4] = {"a", "b", "ab", "bc", "c", "x", "abc"};
    enum { A, B, AB, BC, C, X, ABC };
    static const struct {
        int cluster;
        int mount;
        int key;
        struct vault_wire_version version;
    } rows[] = {
        {X, A, BC, {0, 1, 1000}},
        {A, A, BC, {0, 1, 1000}},   /* cluster */
        {X, B, BC, {0, 1, 1000}},   /* mount */
        {X, A, B, {0, 1, 1000}},    /* key */
        {X, A, BC, {1, 1, 1000}},   /* epoch */
        {X, A, BC, {0, 2, 1000}},   /* version */
        {X, A, BC, {0, 1, 1001}},   /* made anew under the same number */
        {X, AB, C, {0, 1, 1000}},   /* the same bytes in a row */
        {X, BC, A, {0, 1, 1000}},   /* the two names changed */
        {X, ABC, BC, {0, 1, 1000}}, /* one the end of the other */
        {X, A, BC, {1, 0, 1000}},   /* epoch and version changed */
        {X, A, BC, {0, 1000, 1}},   /* version and time changed */
        {X, A, BC, {0, 1, 1ULL << 32 | 1000}},
    };
    char ids[ARRAY_LEN(rows)][VAULT_WIRE_ID_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct config_vault config = {.cluster_id = names[rows[i].cluster],
                                            .mount = names[rows[i].mount],
                                            .key = names[rows[i].key]};
        vault_wire_key_id(&config, &rows[i].version, ids[i]);
        assert_int_equal(strlen(ids[i]), VAULT_WIRE_ID_BYTES - 1);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(ids[i], ids[j]);
        }
    }
}

/* Each of these is bound, and neither kind can stand for the other. */
static void another_use_has_other_associated_data(void **state)
{
    (void)state;
    static const uint8_t one[VAULT_WIRE_KEK_ID] = {1};
    static const uint8_t two[VAULT_WIRE_KEK_ID] = {2};
    uint8_t aads[6][VAULT_WIRE_AAD_MAX];
    size_t lens[6] = {
        vault_wire_kek_aad("esv1-a", one, 1, aads[0]),
        vault_wire_kek_aad("esv1-b", one, 1, aads[1]),
        vault_wire_kek_aad("esv1-a", two, 1, aads[2]),
        vault_wire_kek_aad("esv1-a", one, 2, aads[3]),
        vault_wire_seed_aad("c", "esv1-a", aads[4]),
        vault_wire_seed_aad("ce", "sv1-a", aads[5]),
    };
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        for (size_t j = 0; j < i; j++) {
            assert_false(bytes_equal(bytes_of(aads[i], lens[i]), bytes_of(aads[j], lens[j])));
        }
    }
}

/* ---- strict readers ---- */

static size_t make_annotation(size_t raw_len, uint8_t to[static VAULT_WIRE_ANNOTATION_MAX])
{
    struct kerrinfo e = {0};
    uint8_t raw[VAULT_WIRE_RAW_MAX];
    size_t len = 0;
    memset(raw, 0x5a, sizeof raw);
    const struct vault_wire_kek kek = {
        .suite = 2, .epoch = 3, .version = 1, .kek_id = {7}, .raw = bytes_of(raw, raw_len)};
    assert_ok(&e, vault_wire_put_annotation(&kek, to, &len, &e));
    return len;
}

static bool reads(const uint8_t *data, size_t len)
{
    struct vault_wire_kek kek;
    static const struct vault_wire_kek none;
    memset(&kek, 0, sizeof kek);
    bool is_read = vault_wire_read_annotation(bytes_of(data, len), &kek);
    assert_true(is_read || memcmp(&kek, &none, sizeof kek) == 0); /* nothing comes out */
    return is_read;
}

static void an_annotation_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    uint8_t data[VAULT_WIRE_ANNOTATION_MAX + 1] = {0};
    size_t len = make_annotation(VAULT_WIRE_RAW_MIN, data);
    assert_true(reads(data, len));
    for (size_t cut = 0; cut < len; cut++) {
        assert_false(reads(data, cut));
    }
    assert_false(reads(data, len + 1));
    len = make_annotation(VAULT_WIRE_RAW_MAX, data);
    assert_true(reads(data, len));
    assert_false(reads(data, len + 1));
}

/* The format, the version's zero and the length: each other value is refused or is what is written
 * for other content. */
static void each_altered_byte_is_refused_or_is_other_content(void **state)
{
    (void)state;
    uint8_t data[VAULT_WIRE_ANNOTATION_MAX];
    uint8_t again[VAULT_WIRE_ANNOTATION_MAX];
    size_t len = make_annotation(72, data);
    size_t head = len - 72;
    for (size_t at = 0; at < len; at++) {
        uint8_t was = data[at];
        for (unsigned value = 0; value < 256; value++) {
            struct kerrinfo e = {0};
            struct vault_wire_kek kek;
            size_t again_len = 0;
            bool is_structure = at == 0 || (at >= head - 2 && at < head); /* format; length */
            data[at] = (uint8_t)value;
            bool is_read = vault_wire_read_annotation(bytes_of(data, len), &kek);
            bool is_zero_version = at == 6 && value == 0;
            bool want = value == was || (!is_structure && !is_zero_version);
            assert_int_equal(is_read, want);
            if (is_read) {
                assert_ok(&e, vault_wire_put_annotation(&kek, again, &again_len, &e));
                assert_true(bytes_equal(bytes_of(again, again_len), bytes_of(data, len)));
            }
        }
        data[at] = was;
    }
}

/* The length agrees with what follows, and is none that Transit makes. */
static void a_wrapped_kek_has_a_size_that_transit_makes(void **state)
{
    (void)state;
    uint8_t data[VAULT_WIRE_ANNOTATION_MAX + 1];
    for (size_t raw_len = 0; raw_len <= VAULT_WIRE_RAW_MAX + 1; raw_len++) {
        struct writer w = writer_on(data, sizeof data);
        static const uint8_t raw[VAULT_WIRE_RAW_MAX + 1];
        static const uint8_t kek_id[VAULT_WIRE_KEK_ID];
        write_u8(&w, 1);
        write_u8(&w, 1);
        write_u8(&w, 0);
        write_u32(&w, 1);
        write_raw(&w, BYTES_OF(kek_id));
        write_lv16(&w, bytes_of(raw, raw_len));
        assert_false(w.failed);
        bool is_good = raw_len >= VAULT_WIRE_RAW_MIN && raw_len <= VAULT_WIRE_RAW_MAX;
        assert_int_equal(reads(data, w.len), is_good);
    }
    static const size_t bad[] = {0, VAULT_WIRE_RAW_MIN - 1, VAULT_WIRE_RAW_MAX + 1, SIZE_MAX};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kerrinfo e = {0};
        size_t len = 99;
        const struct vault_wire_kek kek = {.version = 1, .raw = bytes_of(data, bad[i])};
        assert_refused(&e, KERR_INPUT, "expected 60 to 128",
                       vault_wire_put_annotation(&kek, data, &len, &e));
        assert_int_equal(len, 99);
    }
}

static void a_direct_ciphertext_has_its_head_and_something_behind(void **state)
{
    (void)state;
    uint8_t data[VAULT_WIRE_DIRECT_HEAD + SEED_RAW];
    const struct vault_wire_seed seed = {.epoch = 3, .version = 1};
    struct vault_wire_seed got;
    memset(data, 0x5a, sizeof data);
    vault_wire_put_head(&seed, data);
    for (size_t cut = 0; cut <= sizeof data; cut++) {
        bool is_read = vault_wire_read_seed(bytes_of(data, cut), &got);
        assert_int_equal(is_read, cut > VAULT_WIRE_DIRECT_HEAD);
        assert_true(!is_read || got.raw.len == cut - VAULT_WIRE_DIRECT_HEAD);
    }
    for (size_t at = 0; at < VAULT_WIRE_DIRECT_HEAD; at++) {
        uint8_t was = data[at];
        for (unsigned value = 0; value < 256; value++) {
            uint8_t head[VAULT_WIRE_DIRECT_HEAD];
            data[at] = (uint8_t)value;
            bool want = value == was || (at != 0 && !(at == 5 && value == 0));
            bool is_read = vault_wire_read_seed(BYTES_OF(data), &got);
            assert_int_equal(is_read, want);
            if (is_read) {
                vault_wire_put_head(&got, head);
                assert_memory_equal(head, data, sizeof head);
            }
        }
        data[at] = was;
    }
}

/* What one mode stores is never taken for what the other stores. */
static void neither_form_is_read_as_the_other(void **state)
{
    (void)state;
    uint8_t data[VAULT_WIRE_ANNOTATION_MAX];
    struct vault_wire_seed seed;
    size_t len = make_annotation(60, data);
    assert_false(vault_wire_read_seed(bytes_of(data, len), &seed));
    vault_wire_put_head(&(struct vault_wire_seed){.version = 1}, data);
    assert_true(vault_wire_read_seed(bytes_of(data, len), &seed));
    assert_false(reads(data, len));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_are_kept),
        cmocka_unit_test(another_key_or_version_has_another_id),
        cmocka_unit_test(another_use_has_other_associated_data),
        cmocka_unit_test(an_annotation_is_read_whole_or_not_at_all),
        cmocka_unit_test(each_altered_byte_is_refused_or_is_other_content),
        cmocka_unit_test(a_wrapped_kek_has_a_size_that_transit_makes),
        cmocka_unit_test(a_direct_ciphertext_has_its_head_and_something_behind),
        cmocka_unit_test(neither_form_is_read_as_the_other),
    };
    return cmocka_run_group_tests_name("provider.vault_wire", tests, NULL, NULL);
}
