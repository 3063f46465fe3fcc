/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/setup.h"
#include "tests/lib/testlib.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct kerrinfo e;
static char *folder;
static char *file;

static const char config_text[] =
    "socket: { path: /run/one/kms.sock }\n"
    "keystore:\n  path: /one/keystore\n  unseal: { boot: 'file:/x', ops: 'passphrase:' }\n"
    "memory_lock: best-effort\n";

static int start(void **state)
{
    (void)state;
    folder = test_folder_new();
    file = test_path(folder, "c.yaml");
    test_write_file(folder, "c.yaml", bytes_of_text(config_text));
    (void)unsetenv("ETCDSEAL_CONFIG");
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(file);
    test_folder_remove(folder);
    return 0;
}

static struct options options(void)
{
    return (struct options){.config = file, .output = "table", .passphrase_cost = "min"};
}

static void test_from_the_configuration(void **state)
{
    (void)state;
    AUTO_SETUP s = {0};
    struct options o = options();
    assert_ok(&e, setup_open(&o, &s, &e));
    assert_string_equal(s.place.path, "/one/keystore");
    assert_int_equal(s.place.spec_count, 2);
    assert_string_equal(s.place.specs[1].slot, "ops");
    assert_string_equal(s.place.specs[0].text, "file:/x");
    assert_string_equal(s.status_socket, "/run/one/status.sock");
    assert_true(s.place.env.may_run_tools && s.place.env.ask == prompt_ask);
    assert_int_equal(s.place.env.cost.memory_kib, passphrase_cost_min.memory_kib);
    assert_int_equal(s.place.env.owner, geteuid());
}

static void test_options_win(void **state)
{
    (void)state;
    AUTO_SETUP s = {0};
    struct options o = options();
    o.keystore = "/two/keystore";
    o.socket = "/run/two/kms.sock";
    o.unseal = (struct opt_list){.items = {"a=file:/a"}, .count = 1};
    assert_ok(&e, setup_open(&o, &s, &e));
    assert_string_equal(s.place.path, "/two/keystore");
    assert_int_equal(s.place.spec_count, 1);
    assert_string_equal(s.place.specs[0].slot, "a");
    assert_string_equal(s.status_socket, "/run/two/status.sock");
}

/* The configuration's slots are those of its keystore, not of another one. */
static void test_another_keystore(void **state)
{
    (void)state;
    AUTO_SETUP s = {0};
    struct options o = options();
    o.keystore = "/two/keystore";
    assert_ok(&e, setup_open(&o, &s, &e));
    assert_int_equal(s.place.spec_count, 0);
    AUTO_SETUP same = {0};
    o.keystore = "/one/keystore";
    assert_ok(&e, setup_open(&o, &same, &e));
    assert_int_equal(same.place.spec_count, 2);
}

static void test_status_socket(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"/run/x/status.sock", "/run/x/status.sock"},
        {"/run/x/other", "/run/x/status.sock"},
        {"/kms.sock", "/status.sock"},
        {"kms.sock", "./status.sock"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SETUP s = {0};
        struct options o = options();
        o.socket = rows[i][0];
        assert_ok(&e, setup_open(&o, &s, &e));
        assert_string_equal(s.status_socket, rows[i][1]);
    }
    AUTO_SETUP s = {0};
    struct options o = options();
    o.socket = "/run/x/";
    assert_refused(&e, KERR_INPUT, "path of a file", setup_open(&o, &s, &e));
}

static void test_owner_is_the_folders(void **state)
{
    (void)state;
    test_needs_root();
    AUTO_SETUP s = {0};
    struct options o = options();
    char path[512];
    (void)snprintf(path, sizeof path, "%s/store", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chown(path, 4321, 4322), 0);
    (void)snprintf(path, sizeof path, "%s/store/keystore", folder);
    o.keystore = path;
    assert_ok(&e, setup_open(&o, &s, &e));
    assert_int_equal(s.place.env.owner, 4321);
    assert_int_equal(s.place.env.group, 4322);
}

static void test_which_configuration(void **state)
{
    (void)state;
    AUTO_CONFIG c = NULL;
    const char *path = NULL;
    struct options o = {.config = NULL};
    assert_int_equal(setenv("ETCDSEAL_CONFIG", file, 1), 0);
    assert_ok(&e, setup_config(&o, &c, &path, &e));
    assert_string_equal(path, file);
    struct config *none = NULL;
    o.config = "/nowhere/c.yaml";
    assert_refused(&e, KERR_NOTFOUND, "c.yaml", setup_config(&o, &none, &path, &e));
    o.config = NULL;
    assert_int_equal(setenv("ETCDSEAL_CONFIG", "/nowhere/d.yaml", 1), 0);
    assert_refused(&e, KERR_NOTFOUND, "d.yaml", setup_config(&o, &none, &path, &e));
    assert_null(none);
    assert_int_equal(setenv("ETCDSEAL_CONFIG", "", 1), 0);
    if (access(CONFIG_FILE_DEFAULT, F_OK) != 0) {
        AUTO_CONFIG defaults = NULL;
        assert_ok(&e, setup_config(&o, &defaults, &path, &e));
        assert_null(path);
        assert_string_equal(defaults->socket_path, "/run/etcdseal/kms.sock");
    }
    assert_int_equal(unsetenv("ETCDSEAL_CONFIG"), 0);
}

static void test_specs(void **state)
{
    (void)state;
    struct seal_spec specs[KS_SLOTS_MAX] = {{0}};
    size_t count = 99;
    struct opt_list list = {.items = {"file:/a", "b=file:/b"}, .count = 2};
    assert_ok(&e, setup_specs(&list, "seal", specs, &count, &e));
    assert_int_equal(count, 2);
    assert_string_equal(specs[0].slot, "file");
    setup_specs_done(specs);
    list.items[1] = "file:/b";
    assert_refused(&e, KERR_INPUT, "--seal, number 2: two slots are called file",
                   setup_specs(&list, "seal", specs, &count, &e));
    setup_specs_done(specs);
    list.items[1] = "secret words";
    assert_refused(&e, KERR_INPUT, "--unseal, number 2",
                   setup_specs(&list, "unseal", specs, &count, &e));
    assert_null(strstr(e.text, "secret"));
    setup_specs_done(specs);
    list.count = KS_SLOTS_MAX + 1;
    assert_refused(&e, KERR_USAGE, "more than 32", setup_specs(&list, "seal", specs, &count, &e));
    setup_specs_done(specs);
    assert_int_equal(count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_the_configuration),
        cmocka_unit_test(test_options_win),
        cmocka_unit_test(test_another_keystore),
        cmocka_unit_test(test_status_socket),
        cmocka_unit_test(test_owner_is_the_folders),
        cmocka_unit_test(test_which_configuration),
        cmocka_unit_test(test_specs),
    };
    return cmocka_run_group_tests(tests, start, end);
}
