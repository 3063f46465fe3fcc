/* SPDX-License-Identifier: Apache-2.0 */
/* What a manual page says beyond the tables of the program agrees with them. Linked with each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "pages/pages.h"
#include "tests/lib/testlib.h"

#define WORDS_MAX 32

static const struct opt_program *program;
static struct kerrinfo e;

/* A line of an example as the shell would split it; its options are the program's. */
static void check_line(const char *line)
{
    char copy[512];
    const char *argv[WORDS_MAX];
    int argc = 0;
    char *save = NULL;
    struct opt_call call;
    (void)snprintf(copy, sizeof copy, "%s", line);
    for (char *w = strtok_r(copy, " ()", &save); w != NULL; w = strtok_r(NULL, " ()", &save)) {
        assert_true(argc < WORDS_MAX);
        if (strcmp(w, "id=$") != 0) {
            argv[argc++] = w;
        }
    }
    assert_true(argc > 0);
    assert_string_equal(argv[0], program->name);
    void *values = calloc(1, program->values_size);
    assert_non_null(values);
    assert_ok(&e, opt_parse(program, argc, argv, values, &call, &e));
    assert_int_equal(call.what, OPT_RUN);
    free(values);
}

static void test_examples_are_command_lines(void **state)
{
    (void)state;
    assert_true(options_page.examples.count >= 2);
    for (size_t i = 0; i < options_page.examples.count; i++) {
        char copy[512];
        char *save = NULL;
        (void)snprintf(copy, sizeof copy, "%s", options_page.examples.rows[i].name);
        for (char *l = strtok_r(copy, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save)) {
            check_line(l);
        }
    }
}

/* However it fails, the page has a row for it, and no row is for nothing. */
static void test_exit_codes_are_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < options_page.exit_count; i++) {
        bool is_used = false;
        for (int k = 0; k < KERR_COUNT; k++) {
            is_used = is_used || options_page.exit_code((enum kerr)k) == options_page.exits[i].code;
        }
        assert_true(is_used);
    }
    for (int k = 0; k < KERR_COUNT; k++) {
        size_t i = 0;
        while (i < options_page.exit_count &&
               options_page.exits[i].code != options_page.exit_code((enum kerr)k)) {
            i++;
        }
        if (i == options_page.exit_count) {
            fail_msg("no row for exit code %d", options_page.exit_code((enum kerr)k));
        }
    }
}

static bool has_file(const char *path)
{
    for (size_t i = 0; i < options_page.files.count; i++) {
        if (strcmp(options_page.files.rows[i].name, path) == 0) {
            return true;
        }
    }
    return false;
}

static void test_files_are_the_defaults(void **state)
{
    (void)state;
    const struct config_key *key;
    bool has_keystore = false;
    assert_true(has_file(CONFIG_FILE_DEFAULT));
    for (size_t i = 0; (key = config_key_at(i)) != NULL; i++) {
        if (strcmp(key->path, "keystore.path") == 0) {
            has_keystore = has_file(key->preset);
        }
    }
    assert_true(has_keystore);
}

static int begin(void **state)
{
    (void)state;
    program = options_page.program;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_are_command_lines),
        cmocka_unit_test(test_exit_codes_are_complete),
        cmocka_unit_test(test_files_are_the_defaults),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
