/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every provider keeps to. Each test walks `rows`; a new provider needs one there and no other
 * line here. The key service of `vault` is the fake one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider/provider_ops.h"
#include "tests/unit/provider/fake_vault.h"
#include "tests/unit/provider/parts.h"

static struct ks_fixture f;

/* Makes what the provider needs to serve, and its configuration. */
typedef struct config make_fn(void);

static struct config make_local(void)
{
    return parts_config(f.path);
}

/* Two of them are two nodes: each has a state of its own. */
static struct config make_vault(enum config_vault_mode mode)
{
    static char paths[2][256];
    static size_t turn;
    char *path = paths[turn++ % 2];
    (void)snprintf(path, sizeof paths[0], "%s/vault-keks-%zu", f.folder, turn);
    return parts_vault_config(mode, path);
}

static struct config make_hierarchy(void)
{
    return make_vault(CONFIG_VAULT_HIERARCHY);
}

static struct config make_direct(void)
{
    return make_vault(CONFIG_VAULT_DIRECT);
}

static const struct row {
    const char *name;
    make_fn *make;
} rows[] = {
    {"local", make_local},
    {"vault", make_hierarchy},
    {"vault", make_direct},
};

static void every_provider_is_tested_here(void **state)
{
    (void)state;
    for (size_t i = 0; i < provider_kinds_count; i++) {
        bool has_row = false;
        for (size_t j = 0; j < ARRAY_LEN(rows); j++) {
            has_row = has_row || strcmp(rows[j].name, provider_kinds[i]->name) == 0;
        }
        assert_true(has_row);
    }
}

static int start(void **state)
{
    (void)state;
    ks_fixture_init(&f, 1);
    fake_vault_reset();
    return 0;
}

static int end(void **state)
{
    (void)state;
    ks_fixture_end(&f);
    return 0;
}

/* One provider at work, not refreshed yet. Its configuration must stay where it is. */
struct served {
    struct config config;
    struct provider *p;
};

static void served_done(struct served *s)
{
    provider_close(s->p);
}
#define AUTO_SERVED AUTO(served_done) struct served

static void serve(size_t i, struct served *s)
{
    struct kerrinfo e = {0};
    s->config = rows[i].make();
    assert_ok(&e, provider_open(&s->config, &s->p, &e));
}

static const uint8_t seed[32] = "what kube-apiserver sends to us.";

static void assert_not_serving(struct provider *p)
{
    static const char words[] = "sealed";
    struct kerrinfo e = {0};
    struct provider_wrapped w;
    const char *of_key = NULL;
    char id[PROVIDER_KEY_ID_MAX + 1] = "untouched";
    const char *health = NULL;
    enum kerr k = provider_current(p, id, &health, &e);
    assert_true(k == KERR_UNSEALING || k == KERR_SEALED);
    assert_non_null(strstr(e.text, words));
    assert_string_equal(id, "untouched");
    assert_refused(&e, k, words, provider_wrap(p, &parts_turn, BYTES_OF(seed), &w, &e));
    assert_refused(&e, k, words,
                   parts_unwrap(p, "es1-x", BYTES_OF(seed), BYTES_OF(seed), &of_key, &e));
    assert_null(of_key);
}

static void before_a_refresh_nothing_is_served(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SERVED s = {.p = NULL};
        struct provider_info info;
        serve(i, &s);
        assert_not_serving(s.p);
        provider_info(s.p, &info);
        assert_string_equal(info.name, rows[i].name);
        assert_false(info.is_serving);
        assert_string_equal(info.current_key_id, "");
        assert_int_equal(info.key_count, 0);
        assert_int_equal(info.slots_opened, 0);
    }
}

static void after_a_refresh_current_wrap_and_info_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SERVED s = {.p = NULL};
        struct provider_info info;
        serve(i, &s);
        assert_true(parts_refresh(s.p));
        struct provider_wrapped w = parts_wrap(s.p, BYTES_OF(seed));
        assert_string_equal(w.key_id, parts_current(s.p));
        provider_info(s.p, &info);
        assert_true(info.is_serving);
        assert_false(info.is_sealed_final);
        assert_string_equal(info.current_key_id, w.key_id);
        assert_true(info.key_count > 0);
        assert_int_not_equal(info.loaded_at_s, 0);
        assert_string_equal(parts_check(s.p, &w, BYTES_OF(seed)), "primary");
    }
}

static void a_refresh_without_news_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SERVED s = {.p = NULL};
        serve(i, &s);
        assert_true(parts_refresh(s.p));
        assert_false(parts_refresh(s.p));
        assert_false(parts_refresh(s.p));
    }
}

static void every_size_survives_a_round_trip(void **state)
{
    (void)state;
    uint8_t plain[PROVIDER_PLAINTEXT_MAX];
    random_fill(plain, sizeof plain);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SERVED s = {.p = NULL};
        serve(i, &s);
        (void)parts_refresh(s.p);
        for (size_t len = 1; len <= sizeof plain; len++) {
            struct provider_wrapped w = parts_wrap(s.p, bytes_of(plain, len));
            (void)parts_check(s.p, &w, bytes_of(plain, len));
        }
    }
}

static void another_process_unwraps_what_one_has_wrapped(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SERVED one = {.p = NULL};
        AUTO_SERVED other = {.p = NULL};
        serve(i, &one);
        serve(i, &other);
        (void)parts_refresh(one.p);
        (void)parts_refresh(other.p);
        struct provider_wrapped w = parts_wrap(one.p, BYTES_OF(seed));
        (void)parts_check(other.p, &w, BYTES_OF(seed));
        assert_string_equal(parts_current(other.p), w.key_id);
    }
}

static void wrapping_again_gives_another_ciphertext(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SERVED s = {.p = NULL};
        serve(i, &s);
        (void)parts_refresh(s.p);
        struct provider_wrapped a = parts_wrap(s.p, BYTES_OF(seed));
        struct provider_wrapped b = parts_wrap(s.p, BYTES_OF(seed));
        assert_string_equal(a.key_id, b.key_id);
        assert_memory_not_equal(a.ciphertext, b.ciphertext, a.ciphertext_len);
        assert_null(memmem(a.ciphertext, a.ciphertext_len, seed, 8));
    }
}

static void every_altered_byte_and_every_cut_has_one_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SERVED s = {.p = NULL};
        struct kerrinfo e = {0};
        const char *of_key = NULL;
        serve(i, &s);
        (void)parts_refresh(s.p);
        struct provider_wrapped w = parts_wrap(s.p, BYTES_OF(seed));
        struct provider_annotations a = parts_annotations(&w);
        for (size_t at = 0; at < w.ciphertext_len; at++) {
            w.ciphertext[at] ^= 0x80;
            assert_refused(&e, KERR_INTEGRITY, "authentication failed",
                           parts_unwrap_with(s.p, &a, w.key_id,
                                             bytes_of(w.ciphertext, w.ciphertext_len),
                                             BYTES_OF(seed), &of_key, &e));
            assert_string_equal(e.text, "authentication failed");
            w.ciphertext[at] ^= 0x80;
        }
        for (size_t len = 1; len < w.ciphertext_len; len++) {
            assert_refused(&e, KERR_INTEGRITY, "authentication failed",
                           parts_unwrap_with(s.p, &a, w.key_id, bytes_of(w.ciphertext, len),
                                             BYTES_OF(seed), &of_key, &e));
        }
        (void)parts_check(s.p, &w, BYTES_OF(seed));
    }
}

static void unknown_key_ids_are_not_tried(void **state)
{
    (void)state;
    static const char *const unknown[] = {"x",
                                          "es1-",
                                          "es1-aaaaaaaaaaaaaaaaaaaaaaaaaa",
                                          "ES1-aaaaaaaaaaaaaaaaaaaaaaaaaa",
                                          " ",
                                          "../../etc/passwd"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SERVED s = {.p = NULL};
        struct kerrinfo e = {0};
        const char *of_key = "unset";
        serve(i, &s);
        (void)parts_refresh(s.p);
        struct provider_wrapped w = parts_wrap(s.p, BYTES_OF(seed));
        struct bytes ciphertext = bytes_of(w.ciphertext, w.ciphertext_len);
        struct provider_annotations a = parts_annotations(&w);
        for (size_t j = 0; j < ARRAY_LEN(unknown); j++) {
            assert_refused(
                &e, KERR_KEYID, "",
                parts_unwrap_with(s.p, &a, unknown[j], ciphertext, BYTES_OF(seed), &of_key, &e));
            assert_null(of_key);
        }
        /* The right id, one byte short, one long, in another case, with a NUL behind it. */
        char id[PROVIDER_KEY_ID_MAX + 1] = "";
        size_t len = strlen(w.key_id);
        memcpy(id, w.key_id, len + 1);
        id[len - 1] = 0;
        assert_refused(&e, KERR_KEYID, "",
                       parts_unwrap_with(s.p, &a, id, ciphertext, BYTES_OF(seed), &of_key, &e));
        memcpy(id, w.key_id, len);
        id[len] = 'a';
        id[len + 1] = 0;
        assert_refused(&e, KERR_KEYID, "",
                       parts_unwrap_with(s.p, &a, id, ciphertext, BYTES_OF(seed), &of_key, &e));
        id[len] = 0;
        AUTO_SECRET out = NULL;
        assert_refused(&e, KERR_KEYID, "",
                       provider_unwrap(s.p, &parts_turn, bytes_of(id, len + 1), ciphertext,
                                       &parts_none, &out, &of_key, &e));
    }
}

static void annotations_that_were_not_made_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SERVED s = {.p = NULL};
        AUTO_SECRET out = NULL;
        struct kerrinfo e = {0};
        const char *of_key = NULL;
        serve(i, &s);
        (void)parts_refresh(s.p);
        struct provider_wrapped w = parts_wrap(s.p, BYTES_OF(seed));
        struct bytes ciphertext = bytes_of(w.ciphertext, w.ciphertext_len);
        struct provider_annotations more = parts_annotations(&w);
        more.rows[more.count++] = (struct provider_annotation){
            .name = bytes_of_text("kek.example.org"), .value = bytes_of_text("1")};
        assert_refused(&e, KERR_INTEGRITY, "authentication failed",
                       provider_unwrap(s.p, &parts_turn, bytes_of_text(w.key_id), ciphertext, &more,
                                       &out, &of_key, &e));
        struct provider_annotations empty = parts_annotations(&w);
        empty.rows[empty.count++] =
            (struct provider_annotation){.name = bytes_of(NULL, 0), .value = bytes_of(NULL, 0)};
        assert_refused(&e, KERR_INTEGRITY, "authentication failed",
                       provider_unwrap(s.p, &parts_turn, bytes_of_text(w.key_id), ciphertext,
                                       &empty, &out, &of_key, &e));
        assert_null(out);
    }
}

static void key_ids_can_be_shown_and_stored(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SERVED s = {.p = NULL};
        serve(i, &s);
        (void)parts_refresh(s.p);
        const char *id = parts_current(s.p);
        assert_true(strlen(id) > 0 && strlen(id) <= PROVIDER_KEY_ID_MAX);
        for (const char *c = id; *c != 0; c++) {
            assert_true(*c > 0x20 && *c < 0x7f);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_provider_is_tested_here),
        cmocka_unit_test(before_a_refresh_nothing_is_served),
        cmocka_unit_test(after_a_refresh_current_wrap_and_info_agree),
        cmocka_unit_test(a_refresh_without_news_changes_nothing),
        cmocka_unit_test(every_size_survives_a_round_trip),
        cmocka_unit_test(another_process_unwraps_what_one_has_wrapped),
        cmocka_unit_test(wrapping_again_gives_another_ciphertext),
        cmocka_unit_test(every_altered_byte_and_every_cut_has_one_answer),
        cmocka_unit_test(unknown_key_ids_are_not_tried),
        cmocka_unit_test(annotations_that_were_not_made_are_refused),
        cmocka_unit_test(key_ids_can_be_shown_and_stored),
    };
    return cmocka_run_group_tests_name("provider.contract", tests, start, end);
}
