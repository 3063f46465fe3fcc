/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/options.h"
#include "tests/lib/testlib.h"

#include <stdlib.h>
#include <string.h>

#include "config/config.h"

static struct kerrinfo e;
static struct options options;
static struct opt_call call;

/* The daemon's own is in main.c, which is not linked here. */
enum kerr options_run(void *ctx, const struct opt_call *c, struct kerrinfo *cause)
{
    (void)ctx;
    (void)c;
    (void)cause;
    return KERR_OK;
}

#define PARSE(...)                                                                                 \
    parse((const char *[]){"etcdseald", __VA_ARGS__},                                              \
          (int)ARRAY_LEN(((const char *[]){"etcdseald", __VA_ARGS__})))

static enum kerr parse(const char *const *argv, int argc)
{
    options = (struct options){.config = NULL};
    return opt_parse(&options_program, argc, argv, &options, &call, &e);
}

static void test_tables_are_sound(void **state)
{
    (void)state;
    assert_ok(&e, opt_check(&options_program, &e));
}

static void test_words(void **state)
{
    (void)state;
    assert_ok(&e, PARSE("--config", "/x.yaml"));
    assert_int_equal(call.what, OPT_RUN);
    assert_string_equal(options.config, "/x.yaml");
    assert_false(options.check_config);
    assert_ok(&e, PARSE("--check-config", "-c/y.yaml"));
    assert_string_equal(options_config_path(&options), "/y.yaml");
    assert_true(options.check_config);
    assert_ok(&e, PARSE("--help"));
    assert_int_equal(call.what, OPT_SHOW_HELP);
    assert_ok(&e, PARSE("--version"));
    assert_int_equal(call.what, OPT_SHOW_VERSION);
}

static void test_wrong_words(void **state)
{
    (void)state;
    assert_refused(&e, KERR_USAGE, "--confg", PARSE("--confg", "x"));
    assert_refused(&e, KERR_USAGE, "config", PARSE("--config"));
    assert_refused(&e, KERR_USAGE, "serve", PARSE("serve"));
    assert_refused(&e, KERR_USAGE, "config", PARSE("--config", "a", "--config", "b"));
}

static void test_where_the_configuration_is(void **state)
{
    (void)state;
    options = (struct options){.config = NULL};
    assert_int_equal(unsetenv("ETCDSEAL_CONFIG"), 0);
    assert_string_equal(options_config_path(&options), CONFIG_FILE_DEFAULT);
    assert_int_equal(setenv("ETCDSEAL_CONFIG", "", 1), 0);
    assert_string_equal(options_config_path(&options), CONFIG_FILE_DEFAULT);
    assert_int_equal(setenv("ETCDSEAL_CONFIG", "/env.yaml", 1), 0);
    assert_string_equal(options_config_path(&options), "/env.yaml");
    options.config = "/option.yaml";
    assert_string_equal(options_config_path(&options), "/option.yaml");
}

static void test_help_names_everything(void **state)
{
    (void)state;
    struct buf page;
    const char *text = NULL;
    buf_init(&page, OPT_HELP_MAX);
    assert_ok(&e, PARSE("--help"));
    assert_ok(&e, opt_help(&call, &page, &e));
    assert_ok(&e, buf_text(&page, &text, &e));
    static const char *const words[] = {"--config", "--check-config",  "--version",
                                        "SIGHUP",   "ETCDSEAL_CONFIG", CONFIG_FILE_DEFAULT};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strstr(text, words[i]) == NULL) {
            fail_msg("no %s in\n%s", words[i], text);
        }
    }
    buf_done(&page);
}

static void test_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(options_exit_code(KERR_OK), 0);
    assert_int_equal(options_exit_code(KERR_USAGE), 2);
    assert_int_equal(options_exit_code(KERR_CONFIG), 2);
    /* 1 and 4 of the tool: here it did not start. */
    assert_int_equal(options_exit_code(KERR_DENIED), 3);
    assert_int_equal(options_exit_code(KERR_INTEGRITY), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_are_sound),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_wrong_words),
        cmocka_unit_test(test_where_the_configuration_is),
        cmocka_unit_test(test_help_names_everything),
        cmocka_unit_test(test_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
