/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keystore/keyring.h"
#include "tests/lib/ks_fixture.h"

static struct ks_fixture f;

static int one_slot(void **state)
{
    (void)state;
    ks_fixture_init(&f, 1);
    return 0;
}

static int two_slots(void **state)
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

static mode_t mode_of(const char *name)
{
    char *path = test_path(f.folder, name);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    free(path);
    return st.st_mode & 07777;
}

static void init_makes_a_primary_key_and_private_files(void **state)
{
    (void)state;
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_model(ks)->generation, 1);
    assert_int_equal(ks_model(ks)->key_count, 1);
    assert_int_equal(ks_state(&ks_model(ks)->keys[0]), KS_PRIMARY);
    assert_memory_equal(ks_model(ks)->keys[0].id, f.first_key, KS_ID_BYTES);
    assert_string_equal(ks_opened_by(ks)->name, "boot");
    assert_int_equal(mode_of("keystore"), 0600);
    assert_int_equal(mode_of("keystore.unseal"), 0600);
    assert_int_equal(mode_of("keystore.accepted"), 0600);
}

static void init_never_overwrites(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    AUTO_BUF before = test_read_file(f.folder, "keystore");
    assert_refused(&e, KERR_EXISTS, "never overwritten",
                   ks_init(&f.place, f.slots, 1, SUITE_XAES_256_GCM, id, &e));
    AUTO_BUF after = test_read_file(f.folder, "keystore");
    assert_true(bytes_equal(buf_view(&before), buf_view(&after)));
}

static void init_refuses_equal_slot_names(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct ks_fixture g;
    uint8_t id[KS_ID_BYTES];
    ks_fixture_start(&g);
    struct ks_new_slot twice[] = {g.slots[0], g.slots[0]};
    assert_refused(&e, KERR_INPUT, "two slots are called boot",
                   ks_init(&g.place, twice, 2, SUITE_XAES_256_GCM, id, &e));
    assert_refused(&e, KERR_INPUT, "1 to 32 slots",
                   ks_init(&g.place, twice, 0, SUITE_XAES_256_GCM, id, &e));
    ks_fixture_end(&g);
}

static void each_change_is_one_generation_and_keeps_the_previous(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    AUTO_BUF first = test_read_file(f.folder, "keystore");
    assert_ok(&e, ks_stage_key(&f.place, SUITE_KBKDF_AES_256_GCM, id, &e));
    AUTO_BUF prev = test_read_file(f.folder, "keystore.prev");
    assert_true(bytes_equal(buf_view(&first), buf_view(&prev)));
    struct ks_command_args args = {.now_s = 5};
    assert_ok(&e, ks_run_command(&f.place, KS_PROMOTE, id, &args, NULL, &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_model(ks)->generation, 3);
    assert_int_equal(ks_state(ks_model_key(ks_model(ks), id)), KS_PRIMARY);
    assert_int_equal(ks_state(ks_model_key(ks_model(ks), f.first_key)), KS_RETIRED);
}

static void a_refused_command_changes_nothing(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct ks_command_args args = {.now_s = 5};
    AUTO_BUF before = test_read_file(f.folder, "keystore");
    assert_refused(&e, KERR_STATE, "is primary",
                   ks_run_command(&f.place, KS_DISABLE, f.first_key, &args, NULL, &e));
    AUTO_BUF after = test_read_file(f.folder, "keystore");
    assert_true(bytes_equal(buf_view(&before), buf_view(&after)));
}

static void destroying_removes_every_copy_in_the_folder(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    struct ks_command_args schedule = {.now_s = 100, .after_s = 1};
    struct ks_command_args wipe = {.now_s = 101, .note = "none"};
    bool destroyed = false;
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_DISABLE, id, &schedule, NULL, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_DESTROY, id, &schedule, &destroyed, &e));
    assert_false(destroyed);
    uint32_t epoch = 0;
    {
        AUTO_KS ks = ks_fixture_open(&f);
        epoch = ks_model(ks)->root_epoch;
    }
    /* What a crash may have left of keeping the previous one. */
    AUTO_BUF copy = test_read_file(f.folder, "keystore");
    test_write_file(f.folder, "keystore.prev.tmp", buf_view(&copy));
    assert_ok(&e, ks_run_command(&f.place, KS_DESTROY, id, &wipe, &destroyed, &e));
    assert_true(destroyed);
    static const char *const gone[] = {"keystore.prev", "keystore.prev.tmp", "keystore.damaged"};
    for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
        char *path = test_path(f.folder, gone[i]);
        assert_int_equal(access(path, F_OK), -1);
        free(path);
    }
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_model(ks)->root_epoch, epoch + 1);
    assert_null(ks_model_key(ks_model(ks), id)->material);
    assert_string_equal(ks_model_key(ks_model(ks), id)->note, "none");
}

static struct ks *open_with(size_t slot, enum kerr *ret, struct kerrinfo *e)
{
    struct ks_place place = f.place;
    struct ks *ks = NULL;
    place.specs = &f.specs[slot];
    place.spec_count = 1;
    kerr_clear(e);
    *ret = ks_open(&place, NULL, &ks, e);
    return ks;
}

static void every_slot_opens_alone(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    for (size_t i = 0; i < 2; i++) {
        enum kerr k;
        AUTO_KS ks = open_with(i, &k, &e);
        assert_int_equal(k, KERR_OK);
        assert_string_equal(ks_opened_by(ks)->name, f.specs[i].slot);
    }
}

static void a_slot_that_slept_follows_later_changes(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    for (int i = 0; i < 3; i++) {
        assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    }
    enum kerr k;
    AUTO_KS ks = open_with(1, &k, &e);
    assert_int_equal(k, KERR_OK);
    assert_int_equal(ks_model(ks)->generation, 4);
}

static void a_wrong_key_file_is_told_apart(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t other[32] = {1};
    enum kerr k;
    test_write_file(f.top, "boot.key", BYTES_OF(other));
    struct ks *ks = open_with(0, &k, &e);
    assert_null(ks);
    assert_int_equal(k, KERR_INTEGRITY);
    assert_non_null(strstr(e.text, "wrong secret, or the slot was altered"));
    /* The other slot still opens it. */
    AUTO_KS whole = ks_fixture_open(&f);
    assert_string_equal(ks_opened_by(whole)->name, "spare");
}

static void slots_are_added_and_removed(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, ks_add_slot(&f.place, &f.slots[1], &e));
    assert_refused(&e, KERR_EXISTS, "there is a slot spare",
                   ks_add_slot(&f.place, &f.slots[1], &e));
    enum kerr k;
    {
        AUTO_KS ks = open_with(1, &k, &e);
        assert_int_equal(k, KERR_OK);
        assert_int_equal(ks_model(ks)->change_count, 1);
    }
    assert_refused(&e, KERR_DENIED, "the one that opened", ks_remove_slot(&f.place, "boot", &e));
    assert_refused(&e, KERR_NOTFOUND, "no slot other", ks_remove_slot(&f.place, "other", &e));
    assert_ok(&e, ks_remove_slot(&f.place, "spare", &e));
    struct ks *gone = open_with(1, &k, &e);
    assert_null(gone);
    assert_int_equal(k, KERR_NOTFOUND);
    assert_refused(&e, KERR_DENIED, "last one", ks_remove_slot(&f.place, "boot", &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_int_equal(ks_model(ks)->root_epoch, 2);
    assert_int_equal(ks_model(ks)->slot_count, 1);
}

static void a_removed_slot_cannot_open_later_files(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF old_unseal = test_read_file(f.folder, "keystore.unseal");
    assert_ok(&e, ks_remove_slot(&f.place, "spare", &e));
    AUTO_BUF unseal = test_read_file(f.folder, "keystore.unseal");
    assert_null(memmem(unseal.ptr, unseal.len, "spare", 5));
    assert_non_null(memmem(old_unseal.ptr, old_unseal.len, "spare", 5));
}

static void only_untested_slots_may_not_be_left(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct ks_place place = f.place;
    AUTO_SPEC words = {0};
    char text[256];
    static const uint8_t phrase[] = "correct horse battery";
    test_write_file(f.top, "phrase", bytes_of(phrase, sizeof phrase - 1));
    char *path = test_path(f.top, "phrase");
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    (void)snprintf(text, sizeof text, "ops=passphrase:fd=%d", fd);
    assert_ok(&e, seal_spec_parse(text, &words, &e));
    struct ks_new_slot slot = {.spec = &words, .role = KS_ROLE_RECOVERY};
    assert_ok(&e, ks_add_slot(&f.place, &slot, &e));
    /* Opened by the passphrase, it may not drop the one slot that was seen to open. */
    place.specs = &words;
    place.spec_count = 1;
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_refused(&e, KERR_DENIED, "never seen to open", ks_remove_slot(&place, "boot", &e));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(close(fd), 0);
    free(path);
}

static void testing_a_slot_is_remembered(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, ks_test_slot(&f.place, "spare", &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_true(ks_model_slot_named(ks_model(ks), "spare")->tested_at_s > 0);
    assert_int_equal(ks_model(ks)->generation, 2);
    assert_refused(&e, KERR_NOTFOUND, "no slot nobody", ks_test_slot(&f.place, "nobody", &e));
}

static void writers_exclude_each_other(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    char *path = test_path(f.folder, "keystore.lock");
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_refused(&e, KERR_BUSY, "locked by another process",
                   ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    assert_int_equal(close(fd), 0);
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    free(path);
}

static void links_modes_and_strange_files_are_refused(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct ks *ks = NULL;
    char *path = test_path(f.folder, "keystore");
    char *moved = test_path(f.folder, "moved");
    assert_int_equal(chmod(path, 0640), 0);
    assert_refused(&e, KERR_DENIED, "chmod 0600", ks_open(&f.place, NULL, &ks, &e));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(chmod(f.folder, 0750), 0);
    assert_refused(&e, KERR_DENIED, "chmod 0700", ks_open(&f.place, NULL, &ks, &e));
    assert_int_equal(chmod(f.folder, 0700), 0);
    assert_int_equal(rename(path, moved), 0);
    assert_refused(&e, KERR_NOTFOUND, "etcdseal init", ks_open(&f.place, NULL, &ks, &e));
    assert_int_equal(symlink("moved", path), 0);
    assert_refused(&e, KERR_DENIED, "symbolic link", ks_open(&f.place, NULL, &ks, &e));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(&e, KERR_INPUT, "not a regular file", ks_open(&f.place, NULL, &ks, &e));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(moved, path), 0);
    free(path);
    free(moved);
    AUTO_KS good = ks_fixture_open(&f);
    assert_non_null(good);
}

static void a_foreign_folder_is_refused_or_worked_in_as_its_owner(void **state)
{
    (void)state;
    test_needs_root();
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    static const char *const names[] = {"", "keystore", "keystore.lock", "keystore.unseal",
                                        "keystore.accepted"};
    assert_int_equal(chmod(f.top, 0711), 0);
    assert_int_equal(chown(f.folder, 1234, 1234), 0);
    /* The folder's owner cannot read files of root in it. */
    assert_refused(&e, KERR_DENIED, "chown", ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *path = test_path(f.folder, names[i]);
        assert_int_equal(chown(path, 1234, 1234), 0);
        free(path);
    }
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    struct stat st;
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_uid, 1234);
    assert_int_equal(geteuid(), 0);
}

static void a_keyring_holds_what_may_unwrap(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    char text[KS_KEY_ID_TEXT];
    struct ks_command_args args = {.now_s = 5};
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_DISABLE, id, &args, NULL, &e));
    AUTO_KS ks = ks_fixture_open(&f);
    AUTO_KEYRING ring = NULL;
    assert_ok(&e, keyring_new(ks_model(ks), &ring, &e));
    assert_int_equal(keyring_count(ring), 2);
    ks_key_id_text(f.first_key, text);
    assert_string_equal(keyring_primary(ring)->id, text);
    ks_key_id_text(id, text);
    assert_non_null(keyring_find(ring, bytes_of_text(text)));
    assert_null(keyring_find(ring, bytes_of_text(text))->subkeys);
    assert_null(keyring_find(ring, bytes_of_text("es1-")));
    assert_null(keyring_find(ring, bytes_of(text, sizeof text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(init_makes_a_primary_key_and_private_files, one_slot,
                                        teardown),
        cmocka_unit_test_setup_teardown(init_never_overwrites, one_slot, teardown),
        cmocka_unit_test_setup_teardown(init_refuses_equal_slot_names, one_slot, teardown),
        cmocka_unit_test_setup_teardown(each_change_is_one_generation_and_keeps_the_previous,
                                        one_slot, teardown),
        cmocka_unit_test_setup_teardown(a_refused_command_changes_nothing, one_slot, teardown),
        cmocka_unit_test_setup_teardown(destroying_removes_every_copy_in_the_folder, one_slot,
                                        teardown),
        cmocka_unit_test_setup_teardown(every_slot_opens_alone, two_slots, teardown),
        cmocka_unit_test_setup_teardown(a_slot_that_slept_follows_later_changes, two_slots,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_wrong_key_file_is_told_apart, two_slots, teardown),
        cmocka_unit_test_setup_teardown(slots_are_added_and_removed, one_slot, teardown),
        cmocka_unit_test_setup_teardown(a_removed_slot_cannot_open_later_files, two_slots,
                                        teardown),
        cmocka_unit_test_setup_teardown(only_untested_slots_may_not_be_left, one_slot, teardown),
        cmocka_unit_test_setup_teardown(testing_a_slot_is_remembered, two_slots, teardown),
        cmocka_unit_test_setup_teardown(writers_exclude_each_other, one_slot, teardown),
        cmocka_unit_test_setup_teardown(links_modes_and_strange_files_are_refused, one_slot,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_foreign_folder_is_refused_or_worked_in_as_its_owner,
                                        one_slot, teardown),
        cmocka_unit_test_setup_teardown(a_keyring_holds_what_may_unwrap, one_slot, teardown),
    };
    return cmocka_run_group_tests_name("keystore.keystore", tests, NULL, NULL);
}
