/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/ks_fixture.h"

static struct ks_fixture f;
static char *backup_path;
static uint8_t fingerprint[HASH_BYTES];

static int setup(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    ks_fixture_init(&f, 2);
    backup_path = test_path(f.top, "backup");
    assert_ok(&e, ks_backup(&f.place, backup_path, fingerprint, &e));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_fixture_end(&f);
    free(backup_path);
    return 0;
}

static void remove_file(const char *name)
{
    char *path = test_path(f.folder, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void a_backup_is_never_written_over(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_refused(&e, KERR_EXISTS, "backup", ks_backup(&f.place, backup_path, fingerprint, &e));
}

static void restoring_over_damage(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    struct ks_restore r = {.from = backup_path};
    test_write_file(f.folder, "keystore", bytes_of_text("garbage"));
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_model(ks)->generation, generation);
    assert_memory_equal(ks_model(ks)->keys[0].id, f.first_key, KS_ID_BYTES);
    /* The slot that did not take part follows too. */
    struct ks_place place = f.place;
    struct ks *spare = NULL;
    place.specs = &f.specs[1];
    place.spec_count = 1;
    assert_ok(&e, ks_open(&place, NULL, &spare, &e));
    ks_close(spare);
}

static void keys_made_since_are_not_lost_unawares(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t id[1][KS_ID_BYTES];
    char text[KS_KEY_ID_TEXT];
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id[0], &e));
    ks_key_id_text(id[0], text);
    struct ks_restore r = {.from = backup_path};
    assert_refused(&e, KERR_DENIED, text, ks_restore(&f.place, &r, &generation, &e));
    assert_int_equal(ks_fixture_generation(&f), 2);
    r.lose = (const uint8_t(*)[KS_ID_BYTES])id;
    r.lose_count = 1;
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    assert_true(generation > 2);
    assert_int_equal(ks_fixture_generation(&f), generation);
}

static void destroyed_keys_stay_destroyed(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t id[KS_ID_BYTES];
    struct ks_command_args schedule = {.now_s = 100, .after_s = 1};
    struct ks_command_args wipe = {.now_s = 101, .note = "one backup kept"};
    char *second = test_path(f.top, "second");
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_DISABLE, id, &schedule, NULL, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_DESTROY, id, &schedule, NULL, &e));
    assert_ok(&e, ks_backup(&f.place, second, fingerprint, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_DESTROY, id, &wipe, NULL, &e));
    struct ks_restore r = {.from = second};
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_state(ks_model_key(ks_model(ks), id)), KS_DESTROYED);
    free(second);
}

static void nothing_vouches_on_a_new_node(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t wrong[HASH_BYTES] = {0};
    remove_file("keystore");
    remove_file("keystore.accepted");
    remove_file("keystore.unseal");
    struct ks_place place = f.place;
    place.specs = f.specs;
    place.spec_count = 1;
    struct ks_restore r = {.from = backup_path, .specs = f.specs, .spec_count = 1};
    assert_refused(&e, KERR_UNTRUSTED, "--fingerprint", ks_restore(&place, &r, &generation, &e));
    r.fingerprint = wrong;
    assert_refused(&e, KERR_UNTRUSTED, "does not have the given fingerprint",
                   ks_restore(&place, &r, &generation, &e));
    r.fingerprint = fingerprint;
    assert_ok(&e, ks_restore(&place, &r, &generation, &e));
    assert_int_equal(ks_fixture_generation(&f), generation);
}

static void an_altered_backup(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    AUTO_BUF file = test_read_file(f.top, "backup");
    file.ptr[200] ^= 1;
    test_write_file(f.top, "backup", buf_view(&file));
    struct ks_restore r = {.from = backup_path};
    assert_refused(&e, KERR_FORMAT, "damaged", ks_restore(&f.place, &r, &generation, &e));
    assert_int_equal(ks_fixture_generation(&f), 1);
}

static struct ks_place only_slot(size_t i)
{
    struct ks_place place = f.place;
    place.specs = &f.specs[i];
    place.spec_count = 1;
    return place;
}

static void promote_new(struct ks_place *place, uint8_t id[KS_ID_BYTES])
{
    struct kerrinfo e = {0};
    struct ks_command_args args = {.now_s = 50};
    assert_ok(&e, ks_stage_key(place, SUITE_XAES_256_GCM, id, &e));
    assert_ok(&e, ks_run_command(place, KS_PROMOTE, id, &args, NULL, &e));
}

/* The slot that restores took no part in the changes since; they count all the same. */
static void a_slot_that_slept_loses_nothing(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t second[KS_ID_BYTES];
    struct ks_place boot = only_slot(0);
    struct ks_place spare = only_slot(1);
    struct ks_command_args schedule = {.now_s = 100, .after_s = 1};
    struct ks_command_args wipe = {.now_s = 101, .note = "none"};
    promote_new(&boot, second);
    assert_ok(&e, ks_run_command(&boot, KS_DESTROY, f.first_key, &schedule, NULL, &e));
    assert_ok(&e, ks_run_command(&boot, KS_DESTROY, f.first_key, &wipe, NULL, &e));
    struct ks_restore r = {.from = backup_path};
    assert_refused(&e, KERR_DENIED, "would be lost", ks_restore(&spare, &r, &generation, &e));
    /* Nor when the keystore itself is gone. */
    remove_file("keystore");
    assert_refused(&e, KERR_DENIED, "would be lost", ks_restore(&spare, &r, &generation, &e));
}

static void every_slot_follows_a_restore_through_another(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t id[KS_ID_BYTES];
    struct ks_place boot = only_slot(0);
    struct ks_place spare = only_slot(1);
    struct ks_restore r = {.from = backup_path};
    struct ks_command_args args = {.now_s = 5};
    assert_ok(&e, ks_run_command(&boot, KS_COMPROMISE, f.first_key, &args, NULL, &e));
    test_write_file(f.folder, "keystore", bytes_of_text("garbage"));
    assert_ok(&e, ks_restore(&spare, &r, &generation, &e));
    assert_ok(&e, ks_stage_key(&boot, SUITE_XAES_256_GCM, id, &e));
    AUTO_KS ks = NULL;
    assert_ok(&e, ks_open(&boot, NULL, &ks, &e));
    /* What was known of the key is not undone. */
    assert_true(ks_model_key(ks_model(ks), f.first_key)->compromised_at_s != 0);
}

static void without_a_record_all_slots_at_hand_are_taken_up(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    struct ks_restore r = {.from = backup_path, .fingerprint = fingerprint};
    remove_file("keystore.accepted");
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    for (size_t i = 0; i < 2; i++) {
        struct ks_place place = only_slot(i);
        AUTO_KS ks = NULL;
        assert_ok(&e, ks_open(&place, NULL, &ks, &e));
    }
}

static void no_key_id_comes_back(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t second[1][KS_ID_BYTES];
    promote_new(&f.place, second[0]);
    struct ks_restore r = {
        .from = backup_path, .lose = (const uint8_t(*)[KS_ID_BYTES])second, .lose_count = 1};
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_state(ks_model_key(ks_model(ks), f.first_key)), KS_RETIRED);
    assert_int_equal(ks_model(ks)->key_count, 2);
}

static void a_staged_key_that_became_primary_stays_so(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t id[KS_ID_BYTES];
    struct ks_command_args args = {.now_s = 50};
    char *second = test_path(f.top, "second");
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    assert_ok(&e, ks_backup(&f.place, second, fingerprint, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_PROMOTE, id, &args, NULL, &e));
    struct ks_restore r = {.from = second};
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_state(ks_model_key(ks_model(ks), id)), KS_PRIMARY);
    assert_int_equal(ks_model(ks)->key_count, 2);
    free(second);
}

static void removed_slots_stay_removed_and_the_root_is_new(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    struct ks_restore r = {.from = backup_path};
    assert_ok(&e, ks_remove_slot(&f.place, "spare", &e));
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_null(ks_model_slot_named(ks_model(ks), "spare"));
    assert_true(ks_model(ks)->root_epoch > 1);
    struct ks_place spare = only_slot(1);
    struct ks *none = NULL;
    assert_refused(&e, KERR_NOTFOUND, "no slot spare", ks_open(&spare, NULL, &none, &e));
    assert_refused(&e, KERR_UNTRUSTED, "knows nothing of the slot",
                   ks_restore(&spare, &r, &generation, &e));
}

static void slots_added_since_are_not_lost_unawares(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    AUTO_SPEC third = {0};
    struct ks_new_slot slot = ks_fixture_third(&f, &third);
    assert_ok(&e, ks_add_slot(&f.place, &slot, &e));
    struct ks_restore r = {.from = backup_path};
    assert_refused(&e, KERR_DENIED, "--lose-slots", ks_restore(&f.place, &r, &generation, &e));
    r.lose_slots = true;
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
}

/* Only the last good copy of newer keys may be in keystore.prev. */
static void damage_does_not_displace_the_previous_keystore(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t id[KS_ID_BYTES];
    promote_new(&f.place, id);
    AUTO_BUF prev = test_read_file(f.folder, "keystore.prev");
    test_write_file(f.folder, "keystore", bytes_of_text("garbage"));
    char *path = test_path(f.folder, "keystore.prev");
    struct ks_restore r = {.from = path};
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    AUTO_BUF after = test_read_file(f.folder, "keystore.prev");
    AUTO_BUF damaged = test_read_file(f.folder, "keystore.damaged");
    assert_true(bytes_equal(buf_view(&prev), buf_view(&after)));
    assert_true(bytes_equal_text(buf_view(&damaged), "garbage"));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_state(ks_model_key(ks_model(ks), id)), KS_PRIMARY);
    free(path);
}

/* A planted file cannot push the generation to its end. */
static void a_planted_generation_is_not_believed(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    AUTO_BUF file = test_read_file(f.folder, "keystore");
    struct writer w = writer_on(file.ptr + 44, 8);
    write_u64(&w, KS_GENERATION_MAX - 1);
    hash_sha256(bytes_of(file.ptr, file.len - HASH_BYTES), file.ptr + file.len - HASH_BYTES);
    test_write_file(f.folder, "keystore", buf_view(&file));
    struct ks_restore r = {.from = backup_path};
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    assert_true(generation < 10);
}

/* Without a record the keystore in place still says what would be lost. */
static void without_a_record_keys_are_not_lost_unawares(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t second[KS_ID_BYTES];
    promote_new(&f.place, second);
    uint64_t present = ks_fixture_generation(&f);
    remove_file("keystore.accepted");
    struct ks_restore r = {.from = backup_path, .fingerprint = fingerprint};
    assert_refused(&e, KERR_DENIED, "would be lost", ks_restore(&f.place, &r, &generation, &e));
    r.lose = (const uint8_t(*)[KS_ID_BYTES]) & second;
    r.lose_count = 1;
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    assert_true(generation > present);
}

static void a_record_is_forgotten_only_by_an_explicit_word(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    AUTO_BUF record = test_read_file(f.folder, "keystore.accepted");
    record.ptr[record.len - 1] ^= 1;
    test_write_file(f.folder, "keystore.accepted", buf_view(&record));
    struct ks_restore r = {.from = backup_path, .fingerprint = fingerprint};
    assert_refused(&e, KERR_UNTRUSTED, "--forget-record",
                   ks_restore(&f.place, &r, &generation, &e));
    r.forget_record = true;
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    assert_int_equal(ks_fixture_generation(&f), generation);
}

/* A slot that was left out cannot be the way around what the record knows. */
static void a_slot_without_a_copy_is_no_way_around_the_record(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    assert_ok(&e, ks_remove_slot(&f.place, "spare", &e));
    struct ks_place spare = only_slot(1);
    struct ks_restore r = {.from = backup_path, .fingerprint = fingerprint};
    assert_refused(&e, KERR_UNTRUSTED, "knows nothing of the slot",
                   ks_restore(&spare, &r, &generation, &e));
}

/* A node that lags restores the newer file of another one: slots added there are no removed ones.
 */
static void a_backup_that_is_newer_than_the_record_is_followed(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    AUTO_BUF old = test_read_file(f.folder, "keystore");
    AUTO_BUF record = test_read_file(f.folder, "keystore.accepted");
    AUTO_SPEC third = {0};
    struct ks_new_slot slot = ks_fixture_third(&f, &third);
    assert_ok(&e, ks_add_slot(&f.place, &slot, &e));
    char *newer = test_path(f.top, "newer");
    assert_ok(&e, ks_backup(&f.place, newer, fingerprint, &e));
    test_write_file(f.folder, "keystore", buf_view(&old));
    test_write_file(f.folder, "keystore.accepted", buf_view(&record));
    struct ks_restore r = {.from = newer};
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_model(ks)->slot_count, 3);
    assert_int_equal(ks_model(ks)->key_count, 1);
    free(newer);
}

/* etcd's present data may be wrapped by it: the backup's word is not the last one. */
static void a_key_that_was_enabled_since_comes_back_enabled(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t id[KS_ID_BYTES];
    struct ks_command_args args = {.now_s = 50};
    char *second = test_path(f.top, "second");
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_DISABLE, id, &args, NULL, &e));
    assert_ok(&e, ks_backup(&f.place, second, fingerprint, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_ENABLE, id, &args, NULL, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_PROMOTE, id, &args, NULL, &e));
    struct ks_restore r = {.from = second};
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_state(ks_model_key(ks_model(ks), id)), KS_PRIMARY);
    assert_int_equal(ks_model(ks)->key_count, 2);
    free(second);
}

static void a_destruction_that_was_cancelled_stays_so(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t second[KS_ID_BYTES];
    struct ks_command_args schedule = {.now_s = 100, .after_s = 1};
    char *scheduled = test_path(f.top, "scheduled");
    promote_new(&f.place, second);
    assert_ok(&e, ks_run_command(&f.place, KS_DESTROY, f.first_key, &schedule, NULL, &e));
    assert_ok(&e, ks_backup(&f.place, scheduled, fingerprint, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_CANCEL_DESTROY, f.first_key, &schedule, NULL, &e));
    struct ks_restore r = {.from = scheduled};
    /* Whether it was cancelled the record does not say: a person must schedule it again. */
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    {
        AUTO_KS ks = ks_fixture_open(&f);
        assert_int_equal(ks_state(ks_model_key(ks_model(ks), f.first_key)), KS_DISABLED);
    }
    assert_ok(&e, ks_run_command(&f.place, KS_ENABLE, f.first_key, &schedule, NULL, &e));
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_state(ks_model_key(ks_model(ks), f.first_key)), KS_RETIRED);
    free(scheduled);
}

static void what_was_primary_since_is_never_promoted_again(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t id[KS_ID_BYTES];
    uint8_t later[1][KS_ID_BYTES];
    struct ks_command_args args = {.now_s = 50};
    char *second = test_path(f.top, "second");
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    assert_ok(&e, ks_backup(&f.place, second, fingerprint, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_PROMOTE, id, &args, NULL, &e));
    promote_new(&f.place, later[0]);
    struct ks_restore r = {
        .from = second, .lose = (const uint8_t(*)[KS_ID_BYTES])later, .lose_count = 1};
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_state(ks_model_key(ks_model(ks), id)), KS_RETIRED);
    assert_int_equal(ks_state(ks_model_key(ks_model(ks), f.first_key)), KS_RETIRED);
    free(second);
}

/* It may be the last copy of the keys that were given up. */
static void a_second_damaged_keystore_does_not_displace_the_first(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    struct ks_restore r = {.from = backup_path};
    test_write_file(f.folder, "keystore", bytes_of_text("first garbage"));
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    test_write_file(f.folder, "keystore", bytes_of_text("second garbage"));
    assert_refused(&e, KERR_DENIED, "keystore.damaged is there from an earlier restore",
                   ks_restore(&f.place, &r, &generation, &e));
    AUTO_BUF damaged = test_read_file(f.folder, "keystore.damaged");
    AUTO_BUF present = test_read_file(f.folder, "keystore");
    assert_true(bytes_equal_text(buf_view(&damaged), "first garbage"));
    assert_true(bytes_equal_text(buf_view(&present), "second garbage"));
    remove_file("keystore.damaged");
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    AUTO_BUF now = test_read_file(f.folder, "keystore.damaged");
    assert_true(bytes_equal_text(buf_view(&now), "second garbage"));
}

/* The keystore was written, the record not: to be run again, and nothing is displaced by it. */
static void a_restore_that_was_cut_off_is_run_again(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t newer[1][KS_ID_BYTES];
    promote_new(&f.place, newer[0]);
    AUTO_BUF record = test_read_file(f.folder, "keystore.accepted");
    test_write_file(f.folder, "keystore", bytes_of_text("garbage"));
    struct ks_restore r = {
        .from = backup_path, .lose = (const uint8_t(*)[KS_ID_BYTES])newer, .lose_count = 1};
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    test_write_file(f.folder, "keystore.accepted", buf_view(&record));
    struct ks *none = NULL;
    assert_refused(&e, KERR_UNTRUSTED, "run that restore again",
                   ks_open(&f.place, NULL, &none, &e));
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    AUTO_BUF damaged = test_read_file(f.folder, "keystore.damaged");
    assert_true(bytes_equal_text(buf_view(&damaged), "garbage"));
    assert_int_equal(ks_fixture_generation(&f), generation);
}

/* Nothing vouches for the present keystore; that its primary key was retired counts all the same.
 */
static void without_a_record_no_key_id_comes_back(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint64_t generation = 0;
    uint8_t id[KS_ID_BYTES];
    struct ks_command_args args = {.now_s = 50};
    uint8_t hash[HASH_BYTES];
    char *second = test_path(f.top, "second");
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    assert_ok(&e, ks_backup(&f.place, second, hash, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_PROMOTE, id, &args, NULL, &e));
    remove_file("keystore.accepted");
    struct ks_restore r = {.from = second, .fingerprint = hash};
    assert_ok(&e, ks_restore(&f.place, &r, &generation, &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_state(ks_model_key(ks_model(ks), f.first_key)), KS_RETIRED);
    assert_int_equal(ks_state(ks_model_key(ks_model(ks), id)), KS_PRIMARY);
    free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_backup_is_never_written_over, setup, teardown),
        cmocka_unit_test_setup_teardown(restoring_over_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_made_since_are_not_lost_unawares, setup, teardown),
        cmocka_unit_test_setup_teardown(destroyed_keys_stay_destroyed, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_vouches_on_a_new_node, setup, teardown),
        cmocka_unit_test_setup_teardown(an_altered_backup, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slot_that_slept_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(every_slot_follows_a_restore_through_another, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_a_record_all_slots_at_hand_are_taken_up, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_key_id_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_staged_key_that_became_primary_stays_so, setup, teardown),
        cmocka_unit_test_setup_teardown(removed_slots_stay_removed_and_the_root_is_new, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(slots_added_since_are_not_lost_unawares, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_does_not_displace_the_previous_keystore, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_planted_generation_is_not_believed, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_record_keys_are_not_lost_unawares, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_record_is_forgotten_only_by_an_explicit_word, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_slot_without_a_copy_is_no_way_around_the_record, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_backup_that_is_newer_than_the_record_is_followed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_key_that_was_enabled_since_comes_back_enabled, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_destruction_that_was_cancelled_stays_so, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_primary_since_is_never_promoted_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_second_damaged_keystore_does_not_displace_the_first,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_restore_that_was_cut_off_is_run_again, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_record_no_key_id_comes_back, setup, teardown),
    };
    return cmocka_run_group_tests_name("keystore.restore", tests, NULL, NULL);
}
