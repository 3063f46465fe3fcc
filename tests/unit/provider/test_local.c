/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "tests/unit/provider/parts.h"

static bool is_lock_refused; /* sodium_mlock fails as if RLIMIT_MEMLOCK were used up */

int __real_sodium_mlock(void *const addr, const size_t len);
int __wrap_sodium_mlock(void *const addr, const size_t len);

int __wrap_sodium_mlock(void *const addr, const size_t len)
{
    return is_lock_refused ? -1 : __real_sodium_mlock(addr, len);
}

static struct ks_fixture f;
static struct config config;
static struct provider *p;

static const uint8_t seed[32] = "what kube-apiserver sends to us.";

static void open_provider(void)
{
    struct kerrinfo e = {0};
    config = parts_config(f.path);
    assert_ok(&e, provider_open(&config, &p, &e));
}

static int start_empty(void **state)
{
    (void)state;
    ks_fixture_start(&f);
    open_provider();
    return 0;
}

static int start(void **state)
{
    (void)state;
    ks_fixture_init(&f, 1);
    open_provider();
    return 0;
}

static int end(void **state)
{
    (void)state;
    provider_close(p);
    p = NULL;
    ks_fixture_end(&f);
    return 0;
}

static struct provider_info info_of(struct provider *of)
{
    struct provider_info info;
    provider_info(of, &info);
    return info;
}

static enum kerr code_of_current(void)
{
    char id[PROVIDER_KEY_ID_MAX + 1];
    const char *health = NULL;
    return provider_current(p, id, &health, NULL);
}

static void stage(uint8_t id[KS_ID_BYTES])
{
    struct kerrinfo e = {0};
    assert_ok(&e, ks_stage_key(&f.place, SUITE_KBKDF_AES_256_GCM, id, &e));
}

static void run(enum ks_command command, const uint8_t id[KS_ID_BYTES], struct ks_command_args args)
{
    struct kerrinfo e = {0};
    assert_ok(&e, ks_run_command(&f.place, command, id, &args, NULL, &e));
}

static void promote(const uint8_t id[KS_ID_BYTES])
{
    run(KS_PROMOTE, id, (struct ks_command_args){.now_s = 1000});
}

static void assert_is_primary(const uint8_t id[KS_ID_BYTES])
{
    char text[KS_KEY_ID_TEXT];
    ks_key_id_text(id, text);
    assert_string_equal(parts_current(p), text);
}

static void assert_unwrap_refused(const struct provider_wrapped *w, enum kerr code,
                                  const char *words, const char *state)
{
    struct kerrinfo e = {0};
    const char *of_key = NULL;
    assert_refused(&e, code, words,
                   parts_unwrap(p, w->key_id, bytes_of(w->ciphertext, w->ciphertext_len),
                                BYTES_OF(seed), &of_key, &e));
    if (state == NULL) {
        assert_null(of_key);
    } else {
        assert_string_equal(of_key, state);
    }
}

static void before_the_first_refresh_it_is_unsealing(void **state)
{
    (void)state;
    assert_int_equal(code_of_current(), KERR_UNSEALING);
    assert_false(info_of(p).is_sealed_final);
}

static void info_tells_what_is_served(void **state)
{
    (void)state;
    uint8_t second[KS_ID_BYTES];
    stage(second);
    assert_true(parts_refresh(p));
    AUTO_KS ks = ks_fixture_open(&f);
    struct provider_info info = info_of(p);
    char text[64];
    text_uuid(ks_model(ks)->store_id, text);
    assert_string_equal(info.store_id, text);
    assert_int_equal(info.generation, 2);
    assert_int_equal(info.slots_opened, 1);
    assert_string_equal(info.opened_by, "boot (file)");
    assert_int_equal(info.key_count, 2);
    for (size_t i = 0; i < info.key_count; i++) {
        bool is_primary = strcmp(info.keys[i].id, info.current_key_id) == 0;
        assert_string_equal(info.keys[i].state, is_primary ? "primary" : "staged");
    }
}

static void info_tells_since_when_the_primary_key_wraps(void **state)
{
    (void)state;
    uint8_t second[KS_ID_BYTES];
    stage(second);
    promote(second);
    (void)parts_refresh(p);
    struct provider_info info = info_of(p);
    assert_int_equal(info.primary_promoted_at_s, 1000);
    assert_true(info.primary_created_at_s > 1700000000);
    for (size_t i = 0; i < info.key_count; i++) {
        assert_true(info.keys[i].created_at_s > 1700000000);
        bool is_primary = strcmp(info.keys[i].id, info.current_key_id) == 0;
        assert_true(!is_primary || info.keys[i].promoted_at_s == 1000);
    }
}

static void back_up(const char *name)
{
    struct kerrinfo e = {0};
    uint8_t hash[HASH_BYTES];
    char *path = test_path(f.top, name);
    assert_ok(&e, ks_backup(&f.place, path, hash, &e));
    free(path);
}

static void assert_backup(uint64_t generation, size_t keys_missing)
{
    struct provider_info info = info_of(p);
    assert_int_equal(info.backup.generation, generation);
    assert_int_equal(info.backup.keys_missing, keys_missing);
    assert_int_equal(strlen(info.backup.sha256), generation == 0 ? 0 : 64);
    assert_true((info.backup.at_s != 0) == (generation != 0));
}

/* The backup changes nothing in the keystore: the next look finds it all the same. */
static void info_tells_which_keys_have_no_backup(void **state)
{
    (void)state;
    uint8_t second[KS_ID_BYTES];
    (void)parts_refresh(p);
    assert_backup(0, 1);
    back_up("one");
    assert_false(parts_refresh(p));
    assert_backup(1, 0);
    stage(second);
    (void)parts_refresh(p);
    assert_backup(1, 1);
    back_up("two");
    assert_false(parts_refresh(p));
    assert_backup(2, 0);
}

/* Nothing vouches for the record; nonsense in its place is no backup and stops nothing. */
static void a_forged_backup_record_only_shows(void **state)
{
    (void)state;
    static const char of_another[] = "store: 000102030405060708090a0b0c0d0e0f\ngeneration: 3\n"
                                     "sha256: 000102030405060708090a0b0c0d0e0f"
                                     "000102030405060708090a0b0c0d0e0f\ntime: 5\n";
    test_write_file(f.folder, "keystore.backed-up", bytes_of_text(of_another));
    assert_true(parts_refresh(p));
    assert_backup(0, 1);
    test_write_file(f.folder, "keystore.backed-up", bytes_of_text("garbage"));
    assert_false(parts_refresh(p));
    assert_backup(0, 1);
    assert_is_primary(f.first_key);
}

static void the_keystores_folder_is_watched(void **state)
{
    (void)state;
    const char *folder = NULL;
    const char *name = NULL;
    assert_true(provider_watch(p, &folder, &name));
    assert_string_equal(folder, f.folder);
    assert_string_equal(name, "keystore");
}

static void without_a_keystore_a_person_must_act(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    bool is_changed = false;
    assert_refused(&e, KERR_NOTFOUND, "there is no keystore", provider_refresh(p, &is_changed, &e));
    assert_false(is_changed);
    assert_int_equal(code_of_current(), KERR_SEALED);
    assert_true(info_of(p).is_sealed_final);
    assert_ok(&e, ks_init(&f.place, f.slots, 1, SUITE_XAES_256_GCM, f.first_key, &e));
    assert_true(parts_refresh(p));
    assert_is_primary(f.first_key);
    assert_false(info_of(p).is_sealed_final);
}

static enum kerr answer_passphrase(void *ctx, const char *prompt, bool is_new, struct secret **ret,
                                   struct kerrinfo *e)
{
    (void)ctx;
    (void)prompt;
    (void)is_new;
    return secret_from_bytes(bytes_of_text("correct horse battery staple"), ret, e);
}

static void a_passphrase_that_a_person_must_enter_leaves_it_sealed(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    bool is_changed = false;
    AUTO_SPEC spec = {0};
    struct ks_new_slot slot = {.spec = &spec, .role = KS_ROLE_OPERATOR};
    assert_ok(&e, seal_spec_parse("ops=passphrase:", &spec, &e));
    f.place.env.ask = answer_passphrase;
    assert_ok(&e, ks_init(&f.place, &slot, 1, SUITE_XAES_256_GCM, f.first_key, &e));
    assert_refused(&e, KERR_SEALED, "by a person", provider_refresh(p, &is_changed, &e));
    assert_int_equal(code_of_current(), KERR_SEALED);
    assert_true(info_of(p).is_sealed_final);
}

static void memory_that_cannot_be_locked_may_heal(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    bool is_changed = false;
    is_lock_refused = true;
    assert_refused(&e, KERR_NOMEM, "RLIMIT_MEMLOCK", provider_refresh(p, &is_changed, &e));
    is_lock_refused = false;
    assert_int_equal(code_of_current(), KERR_UNSEALING);
    assert_true(parts_refresh(p));
    assert_is_primary(f.first_key);
}

static void a_staged_key_unwraps_and_a_promoted_one_wraps(void **state)
{
    (void)state;
    uint8_t second[KS_ID_BYTES];
    struct kerrinfo e = {0};
    (void)parts_refresh(p);
    struct provider_wrapped old = parts_wrap(p, BYTES_OF(seed));
    stage(second);
    assert_true(parts_refresh(p));
    assert_is_primary(f.first_key);

    /* Another node promotes the key first; this one still has it staged. */
    promote(second);
    struct provider *ahead = NULL;
    assert_ok(&e, provider_open(&config, &ahead, &e));
    (void)parts_refresh(ahead);
    struct provider_wrapped new = parts_wrap(ahead, BYTES_OF(seed));
    provider_close(ahead);
    assert_string_equal(parts_check(p, &new, BYTES_OF(seed)), "staged");

    assert_is_primary(f.first_key);
    assert_true(parts_refresh(p));
    assert_is_primary(second);
    assert_string_equal(parts_check(p, &new, BYTES_OF(seed)), "primary");
    assert_string_equal(parts_check(p, &old, BYTES_OF(seed)), "retired");
}

static void ciphertexts_of_two_keys_cannot_be_swapped(void **state)
{
    (void)state;
    uint8_t second[KS_ID_BYTES];
    uint8_t third[KS_ID_BYTES];
    struct kerrinfo e = {0};
    (void)parts_refresh(p);
    struct provider_wrapped a = parts_wrap(p, BYTES_OF(seed));
    stage(second);
    promote(second);
    (void)parts_refresh(p);
    struct provider_wrapped b = parts_wrap(p, BYTES_OF(seed));
    stage(third);
    promote(third);
    (void)parts_refresh(p);
    struct provider_wrapped c = parts_wrap(p, BYTES_OF(seed));
    const struct provider_wrapped *const all[] = {&a, &b, &c};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        for (size_t j = 0; j < ARRAY_LEN(all); j++) {
            const char *of_key = NULL;
            enum kerr k = parts_unwrap(p, all[i]->key_id,
                                       bytes_of(all[j]->ciphertext, all[j]->ciphertext_len),
                                       BYTES_OF(seed), &of_key, &e);
            assert_int_equal(k, i == j ? KERR_OK : KERR_INTEGRITY);
        }
    }
}

static void keys_that_do_not_unwrap_say_their_state(void **state)
{
    (void)state;
    uint8_t second[KS_ID_BYTES];
    const struct ks_command_args now = {.now_s = 1000};
    (void)parts_refresh(p);
    struct provider_wrapped w = parts_wrap(p, BYTES_OF(seed));
    stage(second);
    promote(second);

    run(KS_DISABLE, f.first_key, now);
    (void)parts_refresh(p);
    assert_unwrap_refused(&w, KERR_STATE, "is disabled", "disabled");

    run(KS_ENABLE, f.first_key, now);
    (void)parts_refresh(p);
    assert_string_equal(parts_check(p, &w, BYTES_OF(seed)), "retired");

    run(KS_DESTROY, f.first_key, (struct ks_command_args){.now_s = 1000, .after_s = 10});
    (void)parts_refresh(p);
    assert_unwrap_refused(&w, KERR_STATE, "is destroy-scheduled", "destroy-scheduled");

    run(KS_CANCEL_DESTROY, f.first_key, now);
    run(KS_DESTROY, f.first_key, (struct ks_command_args){.now_s = 1000, .after_s = 10});
    run(KS_DESTROY, f.first_key, (struct ks_command_args){.now_s = 1010, .note = "no backups"});
    (void)parts_refresh(p);
    assert_unwrap_refused(&w, KERR_STATE, "is destroyed", "destroyed");
    assert_is_primary(second);
}

static void a_key_of_another_keystore_is_not_known(void **state)
{
    (void)state;
    struct ks_fixture other;
    struct kerrinfo e = {0};
    struct provider *of_other = NULL;
    ks_fixture_init(&other, 1);
    struct config other_config = parts_config(other.path);
    assert_ok(&e, provider_open(&other_config, &of_other, &e));
    (void)parts_refresh(of_other);
    (void)parts_refresh(p);
    struct provider_wrapped w = parts_wrap(of_other, BYTES_OF(seed));
    assert_unwrap_refused(&w, KERR_KEYID, "no key of this id", NULL);
    provider_close(of_other);
    ks_fixture_end(&other);
}

/* The provider goes on with the state from before. */
static void assert_serves(const struct provider_wrapped *w)
{
    assert_string_equal(parts_check(p, w, BYTES_OF(seed)), "primary");
    assert_is_primary(f.first_key);
    assert_true(info_of(p).is_serving);
}

static void a_refused_file_leaves_the_old_state_serving(void **state)
{
    (void)state;
    static const char garbage[] = "this is no keystore";
    struct kerrinfo e = {0};
    bool is_changed = false;
    uint8_t second[KS_ID_BYTES];
    (void)parts_refresh(p);
    struct provider_wrapped w = parts_wrap(p, BYTES_OF(seed));
    stage(second);
    AUTO_BUF good = test_read_file(f.folder, "keystore");
    AUTO_BUF bad = test_read_file(f.folder, "keystore");

    test_write_file(f.folder, "keystore", BYTES_OF(garbage));
    assert_refused(&e, KERR_FORMAT, "damaged", provider_refresh(p, &is_changed, &e));
    assert_serves(&w);
    test_write_file(f.folder, "keystore", bytes_of(good.ptr, good.len - 1));
    assert_refused(&e, KERR_FORMAT, "damaged", provider_refresh(p, &is_changed, &e));
    assert_serves(&w);
    bad.ptr[bad.len / 2] ^= 1;
    test_write_file(f.folder, "keystore", buf_view(&bad));
    assert_refused(&e, KERR_FORMAT, "damaged", provider_refresh(p, &is_changed, &e));
    assert_serves(&w);
    assert_int_equal(unlink(f.path), 0);
    assert_refused(&e, KERR_NOTFOUND, "", provider_refresh(p, &is_changed, &e));
    assert_serves(&w);
    assert_false(is_changed);

    test_write_file(f.folder, "keystore", buf_view(&good));
    assert_true(parts_refresh(p));
    assert_int_equal(info_of(p).generation, 2);
    assert_int_equal(info_of(p).key_count, 2);
}

static void an_older_file_is_refused_also_without_the_accepted_record(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    bool is_changed = false;
    uint8_t second[KS_ID_BYTES];
    AUTO_BUF old_store = test_read_file(f.folder, "keystore");
    AUTO_BUF old_accepted = test_read_file(f.folder, "keystore.accepted");
    stage(second);
    promote(second);
    (void)parts_refresh(p);
    test_write_file(f.folder, "keystore", buf_view(&old_store));
    assert_refused(&e, KERR_UNTRUSTED, "rolled back", provider_refresh(p, &is_changed, &e));
    test_write_file(f.folder, "keystore.accepted", buf_view(&old_accepted));
    assert_refused(&e, KERR_UNTRUSTED, "rolled back", provider_refresh(p, &is_changed, &e));
    assert_is_primary(second);
}

static void a_change_needs_no_seal(void **state)
{
    (void)state;
    uint8_t second[KS_ID_BYTES];
    (void)parts_refresh(p);
    stage(second);
    promote(second);
    char *key_file = test_path(f.top, "boot.key");
    assert_int_equal(unlink(key_file), 0);
    assert_true(parts_refresh(p));
    assert_is_primary(second);
    free(key_file);
}

static void the_configuration_says_how_to_open(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    bool is_changed = false;
    static char slot[] = "boot";
    char *unseal = test_path(f.folder, "keystore.unseal");
    assert_int_equal(unlink(unseal), 0);
    assert_refused(&e, KERR_NOTFOUND, "nothing says how to open",
                   provider_refresh(p, &is_changed, &e));
    provider_close(p);
    p = NULL;
    config.unseal[0] = (struct config_unseal){.slot = slot, .spec = f.specs[0].text};
    config.unseal_count = 1;
    assert_ok(&e, provider_open(&config, &p, &e));
    assert_true(parts_refresh(p));
    assert_is_primary(f.first_key);
    free(unseal);
}

static void a_wrong_spec_in_the_configuration_is_refused_at_once(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct provider *other = NULL;
    static char slot[] = "boot";
    static char bad_slot[] = "Boot";
    static char relative[] = "file:relative";
    static char good[] = "file:/absolute";
    config.unseal[0] = (struct config_unseal){.slot = slot, .spec = good};
    config.unseal[1] = (struct config_unseal){.slot = slot, .spec = relative};
    config.unseal_count = 2;
    assert_refused(&e, KERR_CONFIG, "etcdseald.yaml: keystore.unseal",
                   provider_open(&config, &other, &e));
    config.unseal[1] = (struct config_unseal){.slot = bad_slot, .spec = good};
    assert_refused(&e, KERR_CONFIG, "etcdseald.yaml: keystore.unseal",
                   provider_open(&config, &other, &e));
    assert_null(other);
}

/* People disable keys by what is shown here: none that could be needed may be missing. */
static void every_key_but_destroyed_ones_is_shown(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t last[KS_ID_BYTES];
    struct ks_command_args schedule = {.now_s = 100, .after_s = 1};
    struct ks_command_args wipe = {.now_s = 101, .note = "none"};
    for (size_t i = 0; i < 80; i++) {
        stage(last);
    }
    promote(last);
    assert_ok(&e, ks_run_command(&f.place, KS_DESTROY, f.first_key, &schedule, NULL, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_DESTROY, f.first_key, &wipe, NULL, &e));
    (void)parts_refresh(p);
    struct provider_info info = info_of(p);
    assert_int_equal(info.key_count, 80);
    for (size_t i = 0; i < info.key_count; i++) {
        assert_string_not_equal(info.keys[i].state, "destroyed");
    }
    assert_is_primary(last);
    struct provider_wrapped w = parts_wrap(p, BYTES_OF(seed));
    assert_string_equal(parts_check(p, &w, BYTES_OF(seed)), "primary");
}

#define TEST(fn)       cmocka_unit_test_setup_teardown(fn, start, end)
#define TEST_EMPTY(fn) cmocka_unit_test_setup_teardown(fn, start_empty, end)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(before_the_first_refresh_it_is_unsealing),
        TEST(info_tells_what_is_served),
        TEST(info_tells_since_when_the_primary_key_wraps),
        TEST(info_tells_which_keys_have_no_backup),
        TEST(a_forged_backup_record_only_shows),
        TEST(the_keystores_folder_is_watched),
        TEST_EMPTY(without_a_keystore_a_person_must_act),
        TEST_EMPTY(a_passphrase_that_a_person_must_enter_leaves_it_sealed),
        TEST(memory_that_cannot_be_locked_may_heal),
        TEST(a_staged_key_unwraps_and_a_promoted_one_wraps),
        TEST(ciphertexts_of_two_keys_cannot_be_swapped),
        TEST(keys_that_do_not_unwrap_say_their_state),
        TEST(a_key_of_another_keystore_is_not_known),
        TEST(a_refused_file_leaves_the_old_state_serving),
        TEST(an_older_file_is_refused_also_without_the_accepted_record),
        TEST(a_change_needs_no_seal),
        TEST(the_configuration_says_how_to_open),
        TEST(a_wrong_spec_in_the_configuration_is_refused_at_once),
        TEST(every_key_but_destroyed_ones_is_shown),
    };
    return cmocka_run_group_tests_name("provider.local", tests, NULL, NULL);
}
