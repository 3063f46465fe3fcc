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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_backup_is_never_written_over, setup, teardown),
        cmocka_unit_test_setup_teardown(restoring_over_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_made_since_are_not_lost_unawares, setup, teardown),
        cmocka_unit_test_setup_teardown(destroyed_keys_stay_destroyed, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_vouches_on_a_new_node, setup, teardown),
        cmocka_unit_test_setup_teardown(an_altered_backup, setup, teardown),
    };
    return cmocka_run_group_tests_name("keystore.restore", tests, NULL, NULL);
}
