/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"
#include "tests/lib/testlib.h"

#include <string.h>

static struct kerrinfo e;
static struct options options;
static struct opt_call call;

#define PARSE(...)                                                                                 \
    parse((const char *[]){"etcdseal", __VA_ARGS__},                                               \
          (int)ARRAY_LEN(((const char *[]){"etcdseal", __VA_ARGS__})))

static enum kerr parse(const char *const *argv, int argc)
{
    return opt_parse(&options_program, argc, argv, &options, &call, &e);
}

static void test_tables_are_sound(void **state)
{
    (void)state;
    assert_ok(&e, opt_check(&options_program, &e));
}

/* A page of help has at most 80 columns, also where lines stand as they are. */
static void check_page(const struct opt_command *command, const char *noun)
{
    struct opt_call help = {
        .what = OPT_SHOW_HELP, .program = &options_program, .command = command, .noun = noun};
    AUTO_BUF page;
    const char *text = NULL;
    buf_init(&page, OPT_HELP_MAX);
    assert_ok(&e, opt_help(&help, &page, &e));
    assert_ok(&e, buf_text(&page, &text, &e));
    for (const char *line = text; *line != 0; line += strcspn(line, "\n") + 1) {
        if (strcspn(line, "\n") > 80) {
            fail_msg("too long: %.100s", line);
        }
    }
}

static void test_help_fits(void **state)
{
    (void)state;
    check_page(NULL, NULL);
    for (size_t i = 0; i < options_program.noun_count; i++) {
        check_page(NULL, options_program.nouns[i].name);
    }
    for (size_t i = 0; i < options_program.command_count; i++) {
        check_page(&options_program.commands[i], options_program.commands[i].noun);
    }
}

static void test_presets(void **state)
{
    (void)state;
    assert_ok(&e, PARSE("init", "--seal", "file:/x"));
    assert_string_equal(options.output, "table");
    assert_string_equal(options.suite, "xaes-256-gcm");
    assert_string_equal(options.passphrase_cost, "default");
    assert_false(options.is_quiet);
    assert_null(options.config);
    assert_int_equal(options.seals.count, 1);
}

static void test_every_option_reaches_its_field(void **state)
{
    (void)state;
    assert_ok(&e, PARSE("-c", "c", "--keystore", "k", "--socket", "s", "-q", "--unseal", "u", "key",
                        "destroy", "id", "--confirm", "f", "--after", "7d", "--backups", "b",
                        "--without-daemon"));
    assert_string_equal(options.config, "c");
    assert_string_equal(options.keystore, "k");
    assert_string_equal(options.socket, "s");
    assert_string_equal(options.unseal.items[0], "u");
    assert_string_equal(options.confirm, "f");
    assert_string_equal(options.backups, "b");
    assert_true(options.after_ms == 7ULL * 24 * 3600 * 1000);
    assert_true(options.is_quiet && options.without_daemon);
    assert_ok(&e, PARSE("keystore", "restore", "x", "--fingerprint", "p", "--lose", "l", "--lose",
                        "m", "--seal", "file:/x"));
    assert_string_equal(options.fingerprint, "p");
    assert_int_equal(options.lose.count, 2);
    assert_ok(&e, PARSE("status", "-w", "-ojson"));
    assert_true(options.watch);
    assert_string_equal(options.output, "json");
    assert_ok(&e, PARSE("config", "check", "--encryption-config", "e"));
    assert_string_equal(options.encryption_config, "e");
    assert_ok(&e, PARSE("seal", "add", "file:/x", "--role", "node", "--passphrase-cost", "min"));
    assert_string_equal(options.roles.items[0], "node");
    assert_string_equal(options.passphrase_cost, "min");
}

static void test_grace_time_is_bounded(void **state)
{
    (void)state;
    static const char *const bad[] = {"0", "999ms", "3651d", "7", "-1d", "1y"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_refused(&e, KERR_USAGE, "--after", PARSE("key", "destroy", "id", "--after", bad[i]));
    }
    assert_ok(&e, PARSE("key", "destroy", "id", "--after", "1s"));
    assert_ok(&e, PARSE("key", "destroy", "id", "--after", "3650d"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_are_sound),
        cmocka_unit_test(test_help_fits),
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_every_option_reaches_its_field),
        cmocka_unit_test(test_grace_time_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
