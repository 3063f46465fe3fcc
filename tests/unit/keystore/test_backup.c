/* SPDX-License-Identifier: Apache-2.0 */
/* PATH.backed-up: what a backup leaves there, what is read out of it, and that it never matters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keystore/ks_backup.h"
#include "tests/lib/ks_fixture.h"

static struct ks_fixture f;
static char *copy;
static struct ks_backup_record r;
static char told[KERRINFO_TEXT_MAX]; /* what a person was told; "": nothing */

static void hear(void *ctx, const char *text)
{
    (void)ctx;
    (void)snprintf(told, sizeof told, "%s", text);
}

static int setup(void **state)
{
    (void)state;
    ks_fixture_init(&f, 1);
    f.place.tell = hear;
    told[0] = 0;
    copy = test_path(f.top, "copy");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_fixture_end(&f);
    free(copy);
    return 0;
}

static void back_up(const char *name, uint8_t hash[HASH_BYTES])
{
    struct kerrinfo e = {0};
    char *path = test_path(f.top, name);
    assert_ok(&e, ks_backup(&f.place, path, hash, &e));
    free(path);
}

static void stage(uint8_t id[KS_ID_BYTES])
{
    struct kerrinfo e = {0};
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
}

static size_t missing(const struct ks_backup_record *record)
{
    AUTO_KS ks = ks_fixture_open(&f);
    return ks_backup_missing(ks_model(ks), record);
}

static void without_a_backup_none_is_known(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_refused(&e, KERR_NOTFOUND, "keystore.backed-up", ks_backup_record_read(f.path, &r, &e));
    assert_int_equal(missing(NULL), 1);
}

static void a_backup_records_what_it_copied(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t hash[HASH_BYTES];
    uint8_t second[KS_ID_BYTES];
    stage(second);
    back_up("copy", hash);
    assert_string_equal(told, "");
    assert_ok(&e, ks_backup_record_read(f.path, &r, &e));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_memory_equal(r.store_id, ks_model(ks)->store_id, KS_ID_BYTES);
    assert_memory_equal(r.hash, hash, HASH_BYTES);
    assert_int_equal(r.generation, 2);
    assert_true(r.at_s > 1700000000);
    assert_int_equal(r.key_count, 2);
    assert_int_equal(ks_backup_missing(ks_model(ks), &r), 0);
}

static void keys_made_since_are_missing_until_the_next_backup(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t hash[HASH_BYTES];
    uint8_t second[KS_ID_BYTES];
    struct ks_command_args now = {.now_s = 1000, .after_s = 1, .note = "none"};
    back_up("copy", hash);
    stage(second);
    assert_ok(&e, ks_backup_record_read(f.path, &r, &e));
    assert_int_equal(missing(&r), 1);
    back_up("copy2", hash);
    assert_ok(&e, ks_backup_record_read(f.path, &r, &e));
    assert_int_equal(r.generation, 2);
    assert_int_equal(missing(&r), 0);

    /* Other changes need no new backup, and a destroyed key is missed by nobody. */
    assert_ok(&e, ks_run_command(&f.place, KS_PROMOTE, second, &now, NULL, &e));
    assert_int_equal(missing(&r), 0);
    assert_ok(&e, ks_run_command(&f.place, KS_DISABLE, f.first_key, &now, NULL, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_DESTROY, f.first_key, &now, NULL, &e));
    now.now_s = 1001;
    assert_ok(&e, ks_run_command(&f.place, KS_DESTROY, f.first_key, &now, NULL, &e));
    assert_int_equal(missing(&r), 0);
    assert_int_equal(missing(NULL), 1);
}

static void the_record_of_another_keystore_counts_for_nothing(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t hash[HASH_BYTES];
    back_up("copy", hash);
    assert_ok(&e, ks_backup_record_read(f.path, &r, &e));
    r.store_id[0] ^= 1;
    assert_int_equal(missing(&r), 1);
}

static void a_record_that_cannot_be_written_fails_no_backup(void **state)
{
    (void)state;
    uint8_t hash[HASH_BYTES];
    char *path = test_path(f.folder, "keystore.backed-up");
    assert_int_equal(symlink("/nowhere", path), 0);
    back_up("copy", hash);
    assert_non_null(strstr(told, "the copy is good"));
    assert_non_null(strstr(told, "keystore.backed-up"));
    AUTO_BUF made = test_read_file(f.top, "copy");
    AUTO_BUF original = test_read_file(f.folder, "keystore");
    assert_true(bytes_equal(buf_view(&made), buf_view(&original)));
    free(path);
}

static void a_copy_of_that_name_is_not_written_over(void **state)
{
    (void)state;
    uint8_t hash[HASH_BYTES];
    back_up("store/keystore.backed-up", hash);
    assert_non_null(strstr(told, "keystore.backed-up: line 1"));
    AUTO_BUF made = test_read_file(f.folder, "keystore.backed-up");
    AUTO_BUF original = test_read_file(f.folder, "keystore");
    assert_true(bytes_equal(buf_view(&made), buf_view(&original)));
}

#define STORE "store: 000102030405060708090a0b0c0d0e0f\n"
#define HASH  "sha256: 000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f\n"
#define KEY   "key: es1-aaaaaaaaaaaaaaaaaaaaaaaaaa\n"
#define GOOD  STORE "generation: 3\n" HASH "time: 1795487500\n" KEY

static void what_is_printed_is_read_again(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    static struct ks_backup_record again;
    AUTO_BUF text = {0};
    assert_ok(&e, ks_backup_record_parse(bytes_of_text("# words\n" GOOD "# more\n" KEY), &r, &e));
    assert_true(r.generation == 3 && r.at_s == 1795487500 && r.key_count == 2);
    assert_int_equal(r.store_id[15], 15);
    assert_int_equal(r.hash[31], 15);
    assert_ok(&e, ks_backup_record_print(&r, &text, &e));
    assert_ok(&e, ks_backup_record_parse(buf_view(&text), &again, &e));
    assert_int_equal(again.generation, r.generation);
    assert_int_equal(again.at_s, r.at_s);
    assert_int_equal(again.key_count, 2);
    assert_memory_equal(again.keys[1], r.keys[1], KS_ID_BYTES);
}

static void the_largest_record_fits(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF text = {0};
    assert_ok(&e, ks_backup_record_parse(bytes_of_text(GOOD), &r, &e));
    r.generation = KS_GENERATION_MAX;
    r.at_s = KS_BACKUP_TIME_MAX;
    r.key_count = KS_KEYS_MAX;
    assert_ok(&e, ks_backup_record_print(&r, &text, &e));
    assert_ok(&e, ks_backup_record_parse(buf_view(&text), &r, &e));
    assert_ok(&e, buf_put_text(&text, KEY, &e));
    assert_refused(&e, KERR_FORMAT, "1024", ks_backup_record_parse(buf_view(&text), &r, &e));
}

static void what_is_no_record_is_refused_by_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } rows[] = {
        {"", "ends before \"store: \""},
        {STORE "generation: 3\n" HASH, "ends before \"time: \""},
        {"nonsense", "line 1: expected \"store: \""},
        {"\n" GOOD, "line 1"},
        {STORE STORE, "line 2: expected \"generation: \""},
        {STORE "generation: 0\n", "line 2"},
        {STORE "generation: 4611686018427387905\n", "line 2"},
        {STORE "generation: -3\n", "line 2"},
        {STORE "generation: 3\n" HASH "time: 253402300800\n", "line 4"},
        {STORE "generation: 3\n" HASH "time: 1795487500\nkey: es1-\n",
         "line 5: expected \"key: \""},
        {STORE "generation: 3\nsha256: 00\n", "line 3: expected \"sha256: \" and 64"},
        {GOOD "colour: red\n", "line 6"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kerrinfo e = {0};
        assert_refused(&e, KERR_FORMAT, rows[i].words,
                       ks_backup_record_parse(bytes_of_text(rows[i].text), &r, &e));
    }
    struct kerrinfo e = {0};
    static const char nul[] = STORE "generation: 3\0\n";
    assert_refused(&e, KERR_FORMAT, "line 2",
                   ks_backup_record_parse(bytes_of(nul, sizeof nul - 1), &r, &e));
    char longest[300];
    memset(longest, '#', sizeof longest);
    assert_refused(&e, KERR_FORMAT, "line 1", ks_backup_record_parse(BYTES_OF(longest), &r, &e));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_backup_none_is_known),
        TEST(a_backup_records_what_it_copied),
        TEST(keys_made_since_are_missing_until_the_next_backup),
        TEST(the_record_of_another_keystore_counts_for_nothing),
        TEST(a_record_that_cannot_be_written_fails_no_backup),
        TEST(a_copy_of_that_name_is_not_written_over),
        cmocka_unit_test(what_is_printed_is_read_again),
        cmocka_unit_test(the_largest_record_fits),
        cmocka_unit_test(what_is_no_record_is_refused_by_line),
    };
    return cmocka_run_group_tests_name("keystore.backup", tests, NULL, NULL);
}
