/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a copy of the node's accept key, and that making it anew shuts nobody out unawares. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keystore/ks_change.h"
#include "tests/lib/ks_fixture.h"

static struct ks_fixture f;
static struct seal_spec third;
static char told[4096];

static void note(void *ctx, const char *text)
{
    (void)ctx;
    size_t len = strlen(told);
    (void)snprintf(told + len, sizeof told - len, "%s\n", text);
}

static int setup(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    ks_fixture_init(&f, 2);
    f.place.tell = note;
    told[0] = 0;
    struct ks_new_slot slot = ks_fixture_third(&f, &third);
    assert_ok(&e, ks_add_slot(&f.place, &slot, &e));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    seal_spec_done(&third);
    ks_fixture_end(&f);
    return 0;
}

static void stage(void)
{
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
}

static struct ks_place only(const struct seal_spec *spec)
{
    struct ks_place place = f.place;
    place.specs = spec;
    place.spec_count = 1;
    return place;
}

static bool opens_with(const struct seal_spec *spec)
{
    struct ks_place place = only(spec);
    struct ks *ks = NULL;
    enum kerr k = ks_open(&place, NULL, &ks, NULL);
    ks_close(ks);
    return k == KERR_OK;
}

static struct secret *accept_key_now(void)
{
    struct kerrinfo e = {0};
    AUTO_KS ks = ks_fixture_open(&f);
    struct secret *key = NULL;
    assert_ok(&e, secret_from_bytes(secret_view(ks->accepted->key), &key, &e));
    return key;
}

static bool is_owed(void)
{
    AUTO_KS ks = ks_fixture_open(&f);
    return ks_owes_accept_key(ks);
}

static void move_file(const char *from, const char *to)
{
    char *a = test_path(f.top, from);
    char *b = test_path(f.top, to);
    assert_int_equal(rename(a, b), 0);
    free(a);
    free(b);
}

static void a_removal_makes_the_key_anew(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET before = accept_key_now();
    assert_ok(&e, ks_remove_slot(&f.place, "third", &e));
    AUTO_SECRET after = accept_key_now();
    assert_false(secret_equal(before, after));
    assert_false(is_owed());
    assert_true(opens_with(&f.specs[0]));
    assert_true(opens_with(&f.specs[1]));
    assert_string_equal(told, "");
}

/* The removal reached the keystore, but not the record. */
static void a_cut_off_removal_makes_it_anew_later(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET before = accept_key_now();
    AUTO_BUF record = test_read_file(f.folder, "keystore.accepted");
    assert_ok(&e, ks_remove_slot(&f.place, "third", &e));
    test_write_file(f.folder, "keystore.accepted", buf_view(&record));
    assert_true(is_owed());
    stage();
    AUTO_SECRET after = accept_key_now();
    assert_false(secret_equal(before, after));
    assert_false(is_owed());
}

/* Or it was made on another node, and the daemon follows: it can ask nobody, so it leaves the key
 * for the tool, and the mark with it. */
static void a_daemon_leaves_it_to_the_tool(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET before = accept_key_now();
    AUTO_BUF record = test_read_file(f.folder, "keystore.accepted");
    assert_ok(&e, ks_remove_slot(&f.place, "third", &e));
    test_write_file(f.folder, "keystore.accepted", buf_view(&record));
    AUTO_KS ks = ks_fixture_open(&f);
    assert_ok(&e, ks_remember(&f.place, ks, &e));
    AUTO_SECRET meanwhile = accept_key_now();
    assert_true(secret_equal(before, meanwhile));
    assert_true(is_owed());
    stage();
    AUTO_SECRET after = accept_key_now();
    assert_false(secret_equal(before, after));
    assert_false(is_owed());
}

/* Its key file is on a medium that is not there. The daemon that opens with it must start again. */
static void a_slot_that_opens_by_itself_is_never_left_out(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET before = accept_key_now();
    move_file("spare.key", "away.key");
    assert_ok(&e, ks_remove_slot(&f.place, "third", &e));
    move_file("away.key", "spare.key");
    assert_non_null(strstr(told, "accept key stays as it is"));
    assert_non_null(strstr(told, "slot spare"));
    assert_non_null(strstr(told, "spare.key"));
    assert_true(opens_with(&f.specs[1]));
    assert_true(is_owed());
    assert_ok(&e, ks_test_slot(&f.place, "spare", &e));
    AUTO_SECRET after = accept_key_now();
    assert_false(secret_equal(before, after));
    assert_false(is_owed());
    assert_true(opens_with(&f.specs[1]));
}

/* --unseal names another slot for one call; the daemon's own one stands in the configuration. */
static void the_daemons_slots_keep_their_way_in(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    char *unseal = test_path(f.folder, "keystore.unseal");
    assert_int_equal(unlink(unseal), 0);
    free(unseal);
    struct ks_place spare = only(&f.specs[1]);
    spare.daemon_specs = &f.specs[0];
    spare.daemon_spec_count = 1;
    assert_ok(&e, ks_remove_slot(&spare, "third", &e));
    assert_string_equal(told, "");
    assert_true(opens_with(&f.specs[0]));
    assert_true(opens_with(&f.specs[1]));
}

/* Nothing says how to open it; a key file is not a person. */
static void an_unknown_way_counts_as_one_without_a_person(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    char *unseal = test_path(f.folder, "keystore.unseal");
    assert_int_equal(unlink(unseal), 0);
    free(unseal);
    struct ks_place spare = only(&f.specs[1]);
    assert_ok(&e, ks_remove_slot(&spare, "third", &e));
    assert_non_null(strstr(told, "slot boot would be left out"));
    assert_non_null(strstr(told, "nothing here says how to open it"));
    assert_true(opens_with(&f.specs[0]));
}

static enum kerr answer(void *ctx, const char *prompt, bool is_new, struct secret **ret,
                        struct kerrinfo *e)
{
    (void)prompt;
    (void)is_new;
    return secret_from_bytes(bytes_of_text(ctx), ret, e);
}

/* What a person must enter, and does not, is left out by name, and mended by a test. */
static void a_slot_that_needs_a_person_is_named(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SPEC ops = {0};
    assert_ok(&e, seal_spec_parse("ops=passphrase:", &ops, &e));
    struct ks_new_slot slot = {.spec = &ops, .role = KS_ROLE_RECOVERY};
    struct ks_place asked = f.place;
    static char right[] = "a passphrase that is long enough";
    static char wrong[] = "a passphrase that is not the one";
    asked.env.ask = answer;
    asked.env.ask_ctx = right;
    assert_ok(&e, ks_add_slot(&asked, &slot, &e));
    struct ks_place mistyped = asked;
    mistyped.env.ask_ctx = wrong;
    assert_ok(&e, ks_remove_slot(&mistyped, "third", &e));
    assert_non_null(strstr(told, "slot ops does not open now"));
    assert_non_null(strstr(told, "wrong secret"));
    assert_non_null(strstr(told, "etcdseal seal test ops"));
    assert_false(is_owed());
    struct ks_place as_ops = only(&ops);
    as_ops.env = asked.env;
    struct ks *none = NULL;
    assert_refused(&e, KERR_UNTRUSTED, "etcdseal seal test", ks_open(&as_ops, NULL, &none, &e));
    assert_ok(&e, ks_test_slot(&asked, "ops", &e));
    AUTO_KS ks = NULL;
    assert_ok(&e, ks_open(&as_ops, NULL, &ks, &e));
}

/* Its secret never left memory, so nobody knows the accept key by it. */
static void an_addition_that_failed_leaves_no_mark(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, ks_remove_slot(&f.place, "third", &e));
    struct ks_new_slot slot = {.spec = &third, .role = KS_ROLE_NODE};
    AUTO_BUF unseal = test_read_file(f.folder, "keystore.unseal");
    test_write_file(f.folder, "keystore.unseal", bytes_of_text("no line of its kind\n"));
    struct ks_place boot = only(&f.specs[0]);
    assert_int_not_equal(ks_add_slot(&boot, &slot, &e), KERR_OK);
    test_write_file(f.folder, "keystore.unseal", buf_view(&unseal));
    AUTO_SECRET before = accept_key_now();
    assert_false(is_owed());
    stage();
    AUTO_SECRET after = accept_key_now();
    assert_true(secret_equal(before, after));
    assert_true(opens_with(&f.specs[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_removal_makes_the_key_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cut_off_removal_makes_it_anew_later, setup, teardown),
        cmocka_unit_test_setup_teardown(a_daemon_leaves_it_to_the_tool, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slot_that_opens_by_itself_is_never_left_out, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_daemons_slots_keep_their_way_in, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_way_counts_as_one_without_a_person, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_slot_that_needs_a_person_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(an_addition_that_failed_leaves_no_mark, setup, teardown),
    };
    return cmocka_run_group_tests_name("keystore.share", tests, NULL, NULL);
}
