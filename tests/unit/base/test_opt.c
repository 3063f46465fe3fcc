/* SPDX-License-Identifier: Apache-2.0 */
/* base/opt.h over a small program with every type of option, and over one without commands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/opt.h"
#include "tests/lib/testlib.h"

struct values {
    bool is_quiet;
    bool is_verbose;
    const char *output;
    const char *keystore;
    const char *confirm;
    uint64_t count;
    uint64_t after_ms;
    struct opt_list seals;
};

static enum kerr run_nothing(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)ctx;
    (void)call;
    (void)e;
    return KERR_OK;
}

static const struct opt_row rows[] = {
    {.name = "output",
     .letter = 'o',
     .value = "FORMAT",
     .help = "how to print listings",
     .type = OPT_CHOICE,
     .choices = "table|json|yaml",
     .preset = "table",
     .commands = "key list,init",
     .offset = offsetof(struct values, output)},
    {.name = "quiet",
     .letter = 'q',
     .help = "say less",
     .type = OPT_FLAG,
     .offset = offsetof(struct values, is_quiet)},
    {.name = "verbose",
     .letter = 'v',
     .help = "say more",
     .type = OPT_FLAG,
     .offset = offsetof(struct values, is_verbose)},
    {.name = "keystore",
     .value = "FILE",
     .help = "the keystore to work on, instead of the one that the daemon's configuration names",
     .type = OPT_PATH,
     .offset = offsetof(struct values, keystore)},
    {.name = "confirm",
     .value = "ID",
     .help = "the key that is meant",
     .type = OPT_TEXT,
     .commands = "key",
     .offset = offsetof(struct values, confirm)},
    {.name = "count",
     .letter = 'n',
     .value = "N",
     .help = "how many",
     .type = OPT_U64,
     .min = 1,
     .max = 5,
     .preset = "3",
     .offset = offsetof(struct values, count)},
    {.name = "after",
     .value = "TIME",
     .help = "grace time",
     .type = OPT_DURATION,
     .min = 1000,
     .max = 86400000,
     .preset = "1h",
     .commands = "key destroy",
     .offset = offsetof(struct values, after_ms)},
    {.name = "seal",
     .value = "SPEC",
     .help = "a seal",
     .type = OPT_LIST,
     .commands = "init",
     .offset = offsetof(struct values, seals)},
};

static const struct opt_noun nouns[] = {{"key", "key life cycle"}};

static const struct opt_command commands[] = {
    {.noun = "init",
     .help = "make a keystore",
     .more = "First paragraph, which is long enough that it has to be broken into two lines "
             "because a line holds eighty columns.\n\n  as it  stands",
     .fn = run_nothing},
    {.noun = "key", .verb = "list", .help = "show keys", .fn = run_nothing},
    {.noun = "key",
     .verb = "stage",
     .args = "[NAME]",
     .args_max = 1,
     .help = "make a key",
     .fn = run_nothing},
    {.noun = "key",
     .verb = "destroy",
     .args = "ID",
     .args_min = 1,
     .args_max = 1,
     .help = "destroy a key",
     .fn = run_nothing},
};

static const struct opt_program tool = {
    .name = "tool",
    .version = "1.2.3",
    .help = "works on keys",
    .nouns = nouns,
    .noun_count = ARRAY_LEN(nouns),
    .commands = commands,
    .command_count = ARRAY_LEN(commands),
    .options = rows,
    .option_count = ARRAY_LEN(rows),
    .values_size = sizeof(struct values),
};

static const struct opt_command only[] = {{.help = "serve", .fn = run_nothing}};

static const struct opt_program daemon_program = {
    .name = "daemon",
    .version = "1",
    .help = "serves",
    .commands = only,
    .command_count = 1,
    .options = &rows[1],
    .option_count = 3,
    .values_size = sizeof(struct values),
};

static struct values values;
static struct opt_call call;

/* Splits at blanks; "%" stands for an empty word. */
static enum kerr parse(const struct opt_program *p, const char *line, struct kerrinfo *e)
{
    static char copy[512];
    static const char *argv[64];
    int argc = 0;
    (void)snprintf(copy, sizeof copy, "%s", line);
    argv[argc++] = p->name;
    char *save = NULL;
    for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        argv[argc++] = strcmp(w, "%") == 0 ? "" : w;
    }
    return opt_parse(p, argc, argv, &values, &call, e);
}

static void test_good_lines(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, parse(&tool, "key list", &e));
    assert_int_equal(call.what, OPT_RUN);
    assert_ptr_equal(call.command, &commands[1]);
    assert_ptr_equal(call.program, &tool);
    assert_string_equal(values.output, "table");
    assert_int_equal(values.count, 3);
    assert_int_equal(values.after_ms, 3600000);
    assert_null(values.keystore);
    assert_false(values.is_quiet);
    static const char *const outputs[] = {"key list -o json",         "key list -ojson",
                                          "key list -o=json",         "key list --output json",
                                          "--output=json key list",   "key -qo json list",
                                          "-q key --output=json list"};
    for (size_t i = 0; i < ARRAY_LEN(outputs); i++) {
        assert_ok(&e, parse(&tool, outputs[i], &e));
        assert_string_equal(values.output, "json");
        assert_ptr_equal(call.command, &commands[1]);
    }
    assert_ok(&e, parse(&tool, "key destroy --after 90s -qv --count=5 es1 --keystore=-x", &e));
    assert_int_equal(values.after_ms, 90000);
    assert_int_equal(values.count, 5);
    assert_true(values.is_quiet && values.is_verbose);
    assert_string_equal(values.keystore, "-x");
    assert_int_equal(call.arg_count, 1);
    assert_string_equal(call.args[0], "es1");
}

static void test_lists_and_ends(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, parse(&tool, "init --seal file:/k --seal ops=passphrase:", &e));
    assert_int_equal(values.seals.count, 2);
    assert_string_equal(values.seals.items[0], "file:/k");
    assert_string_equal(values.seals.items[1], "ops=passphrase:");
    assert_ok(&e, parse(&tool, "key stage -- --quiet", &e));
    assert_string_equal(call.args[0], "--quiet");
    assert_false(values.is_quiet);
    assert_ok(&e, parse(&tool, "key stage -", &e));
    assert_string_equal(call.args[0], "-");
    assert_ok(&e, parse(&tool, "key destroy %", &e));
    assert_string_equal(call.args[0], "");
    /* The maximum of a list, and one more. */
    const char *argv[3 + 2 * (OPT_LIST_MAX + 1)] = {"tool", "init"};
    int argc = 2;
    for (int i = 0; i < OPT_LIST_MAX; i++) {
        argv[argc++] = "--seal";
        argv[argc++] = "file:/k";
    }
    assert_ok(&e, opt_parse(&tool, argc, argv, &values, &call, &e));
    assert_int_equal(values.seals.count, OPT_LIST_MAX);
    argv[argc++] = "--seal=x";
    assert_refused(&e, KERR_USAGE, "'--seal' was given more than 32 times",
                   opt_parse(&tool, argc, argv, &values, &call, &e));
}

static void test_without_commands(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, parse(&daemon_program, "--keystore /k", &e));
    assert_ptr_equal(call.command, &only[0]);
    assert_string_equal(values.keystore, "/k");
    assert_ok(&e, parse(&daemon_program, "", &e));
    assert_refused(&e, KERR_USAGE,
                   "unexpected argument 'key': 'daemon' takes none. Try 'daemon --help'.",
                   parse(&daemon_program, "key", &e));
}

struct bad {
    const char *line;
    const char *message; /* the whole of it */
};

static const struct bad bad_lines[] = {
    {"", "'tool' needs a command: init, key. Try 'tool --help'."},
    {"-q", "'tool' needs a command: init, key. Try 'tool --help'."},
    {"key", "'tool key' needs a command: list, stage, destroy. Try 'tool key --help'."},
    {"kye list", "unknown command 'kye'; did you mean 'key'? Try 'tool --help'."},
    {"frobnicate", "unknown command 'frobnicate'. Try 'tool --help'."},
    {"key stagge",
     "unknown command 'stagge' of 'tool key'; did you mean 'stage'? Try 'tool key --help'."},
    {"key dest",
     "unknown command 'dest' of 'tool key'; did you mean 'destroy'? Try 'tool key --help'."},
    {"key \n", "unknown command '\\x0a' of 'tool key'. Try 'tool key --help'."},
    {"init --seall x", "unknown option '--seall'; did you mean '--seal'? Try 'tool init --help'."},
    {"init --passphrase=hunter2", "unknown option '--passphrase'. Try 'tool init --help'."},
    {"--hlep", "unknown option '--hlep'; did you mean '--help'? Try 'tool --help'."},
    {"key list -x", "unknown option '-x'. Try 'tool key list --help'."},
    {"key list -qx", "unknown option '-x'. Try 'tool key list --help'."},
    {"key list --seal x", "option '--seal' can't be used with 'tool key list', only with: init. "
                          "Try 'tool key list --help'."},
    {"--after 2s init", "option '--after' can't be used with 'tool init', only with: key destroy. "
                        "Try 'tool init --help'."},
    {"init --confirm x",
     "option '--confirm' can't be used with 'tool init', only with: key. Try 'tool init --help'."},
    {"key stage -o json",
     "option '--output' can't be used with 'tool key stage', only with: key list,init. "
     "Try 'tool key stage --help'."},
    {"init --keystore", "'--keystore' needs a value: --keystore FILE. Try 'tool init --help'."},
    {"init -o", "'--output' needs a value: --output FORMAT. Try 'tool init --help'."},
    {"init --keystore -q",
     "'--keystore' needs a value; one that begins with '-' is written --keystore=FILE. "
     "Try 'tool init --help'."},
    {"init --keystore=", "'--keystore' needs a value of 1 to 4096 bytes. Try 'tool init --help'."},
    {"init -o=", "'--output' needs a value of 1 to 4096 bytes. Try 'tool init --help'."},
    {"init --quiet=yes", "'--quiet' takes no value. Try 'tool init --help'."},
    {"--help=x", "'--help' takes no value. Try 'tool --help'."},
    {"init -q --quiet", "'--quiet' was given twice. Try 'tool init --help'."},
    {"init -o json -o yaml", "'--output' was given twice. Try 'tool init --help'."},
    {"init -o jsn",
     "'--output' can't be 'jsn': expected one of table, json, yaml. Try 'tool init --help'."},
    {"init --count 6", "--count: expected a whole number from 1 to 5. Try 'tool init --help'."},
    {"init --count 0", "--count: expected a whole number from 1 to 5. Try 'tool init --help'."},
    {"init --count 2x", "--count: expected a whole number from 1 to 5. Try 'tool init --help'."},
    {"key destroy x --after 10",
     "--after: expected a duration such as 500ms, 30s, 10m, 24h or 7d, from 1000 ms to 86400000 "
     "ms. Try 'tool key destroy --help'."},
    {"key destroy",
     "missing argument: 'tool key destroy' takes ID. Try 'tool key destroy --help'."},
    {"key destroy a b",
     "unexpected argument 'b': 'tool key destroy' takes ID. Try 'tool key destroy --help'."},
    {"key list x",
     "unexpected argument 'x': 'tool key list' takes none. Try 'tool key list --help'."},
};

static void test_bad_lines(void **state)
{
    (void)state;
    assert_int_equal(kerr_exit_code(KERR_USAGE), 2);
    for (size_t i = 0; i < ARRAY_LEN(bad_lines); i++) {
        struct kerrinfo e = {0};
        struct opt_call before;
        memset(&call, 0x5a, sizeof call);
        memcpy(&before, &call, sizeof call);
        enum kerr k = parse(&tool, bad_lines[i].line, &e);
        if (k != KERR_USAGE || strcmp(e.text, bad_lines[i].message) != 0) {
            fail_msg("\"%s\": %s \"%s\", expected \"%s\"", bad_lines[i].line, kerr_name(k), e.text,
                     bad_lines[i].message);
        }
        assert_memory_equal(&before, &call, sizeof call);
    }
}

/* A hostile word neither overflows a message nor hides its end. */
static void test_long_words(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    static char word[OPT_VALUE_MAX + 16];
    memset(word, 'k', OPT_VALUE_MAX + 1);
    const char *argv[] = {"tool", "key", word, word};
    assert_refused(&e, KERR_USAGE, "kkk...' of 'tool key'. Try 'tool key --help'.",
                   opt_parse(&tool, 3, argv, &values, &call, &e));
    argv[1] = "init";
    argv[2] = "--keystore";
    assert_refused(&e, KERR_USAGE, "1 to 4096 bytes",
                   opt_parse(&tool, 4, argv, &values, &call, &e));
    word[OPT_VALUE_MAX] = 0;
    assert_ok(&e, opt_parse(&tool, 4, argv, &values, &call, &e));
    assert_ptr_equal(values.keystore, word);
}

static void test_help_and_version_win(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, parse(&tool, "--help", &e));
    assert_int_equal(call.what, OPT_SHOW_HELP);
    assert_null(call.noun);
    assert_null(call.command);
    assert_ok(&e, parse(&tool, "key -h --nonsense", &e));
    assert_int_equal(call.what, OPT_SHOW_HELP);
    assert_string_equal(call.noun, "key");
    assert_null(call.command);
    assert_ok(&e, parse(&tool, "key destroy -qh", &e));
    assert_int_equal(call.what, OPT_SHOW_HELP);
    assert_ptr_equal(call.command, &commands[3]);
    assert_ok(&e, parse(&tool, "--version nonsense", &e));
    assert_int_equal(call.what, OPT_SHOW_VERSION);
}

static void check_help(const char *line, const char *want)
{
    struct kerrinfo e = {0};
    assert_ok(&e, parse(&tool, line, &e));
    AUTO_BUF page;
    buf_init(&page, OPT_HELP_MAX);
    assert_ok(&e, opt_help(&call, &page, &e));
    const char *text = NULL;
    assert_ok(&e, buf_text(&page, &text, &e));
    assert_string_equal(text, want);
}

static void test_help_pages(void **state)
{
    (void)state;
    check_help("--help",
               "Usage: tool COMMAND [OPTIONS]\n\n"
               "works on keys\n\n"
               "Commands:\n"
               "  init  make a keystore\n"
               "  key   key life cycle\n\n"
               "Options:\n"
               "  -q, --quiet          say less\n"
               "  -v, --verbose        say more\n"
               "      --keystore FILE  the keystore to work on, instead of the one that the\n"
               "                       daemon's configuration names\n"
               "  -n, --count N        how many (default: 3)\n"
               "  -h, --help           show this help\n"
               "      --version        show the version\n\n"
               "More about a command: tool COMMAND --help\n");
    check_help("key --help",
               "Usage: tool key COMMAND [OPTIONS]\n\n"
               "key life cycle\n\n"
               "Commands:\n"
               "  list     show keys\n"
               "  stage    make a key\n"
               "  destroy  destroy a key\n\n"
               "Options:\n"
               "  -q, --quiet          say less\n"
               "  -v, --verbose        say more\n"
               "      --keystore FILE  the keystore to work on, instead of the one that the\n"
               "                       daemon's configuration names\n"
               "  -n, --count N        how many (default: 3)\n"
               "  -h, --help           show this help\n"
               "      --version        show the version\n\n"
               "More about a command: tool key COMMAND --help\n");
    check_help("init --help",
               "Usage: tool init [OPTIONS]\n\n"
               "make a keystore\n\n"
               "First paragraph, which is long enough that it has to be broken into two lines\n"
               "because a line holds eighty columns.\n\n"
               "  as it  stands\n\n"
               "Options:\n"
               "  -o, --output FORMAT  how to print listings: table, json, yaml (default: table)\n"
               "  -q, --quiet          say less\n"
               "  -v, --verbose        say more\n"
               "      --keystore FILE  the keystore to work on, instead of the one that the\n"
               "                       daemon's configuration names\n"
               "  -n, --count N        how many (default: 3)\n"
               "      --seal SPEC      a seal; may be repeated\n"
               "  -h, --help           show this help\n"
               "      --version        show the version\n");
}

static void test_help_details(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF page;
    buf_init(&page, OPT_HELP_MAX);
    assert_ok(&e, parse(&tool, "key destroy -h", &e));
    assert_ok(&e, opt_help(&call, &page, &e));
    const char *text = NULL;
    assert_ok(&e, buf_text(&page, &text, &e));
    assert_non_null(strstr(text, "Usage: tool key destroy [OPTIONS] ID\n"));
    assert_non_null(strstr(text, "      --after TIME     grace time (default: 1h)\n"));
    assert_null(strstr(text, "--seal"));
    AUTO_BUF small;
    buf_init(&small, 20);
    assert_refused(&e, KERR_LIMIT, "more than 20 bytes", opt_help(&call, &small, &e));
    assert_ok(&e, parse(&daemon_program, "-h", &e));
    page.len = 0;
    assert_ok(&e, opt_help(&call, &page, &e));
    assert_ok(&e, buf_text(&page, &text, &e));
    assert_ptr_equal(strstr(text, "Usage: daemon [OPTIONS]\n\nserve\n\nOptions:\n"), text);
    page.len = 0;
    assert_ok(&e, opt_version(&tool, &page, &e));
    assert_ok(&e, buf_text(&page, &text, &e));
    assert_string_equal(text, "tool 1.2.3\n");
}

/* A label that is wider than the column has its text on the next line. */
static void test_wide_label(void **state)
{
    (void)state;
    struct opt_row wide = {
        .name = "a-long-option", .value = "WITH-A-LONG-VALUE", .help = "help", .type = OPT_TEXT};
    struct opt_program p = daemon_program;
    p.options = &wide;
    p.option_count = 1;
    struct kerrinfo e = {0};
    assert_ok(&e, parse(&p, "-h", &e));
    AUTO_BUF page;
    buf_init(&page, OPT_HELP_MAX);
    assert_ok(&e, opt_help(&call, &page, &e));
    const char *text = NULL;
    assert_ok(&e, buf_text(&page, &text, &e));
    assert_non_null(strstr(text, "      --a-long-option WITH-A-LONG-VALUE\n"
                                 "                 help\n"
                                 "  -h, --help     show this help\n"));
}

static void test_tables_can_be_walked(void **state)
{
    (void)state;
    static const char *const destroy[] = {"quiet", "verbose", "keystore", "confirm",
                                          "count", "after",   "help",     "version"};
    for (size_t i = 0; i < ARRAY_LEN(destroy); i++) {
        assert_string_equal(opt_row_at(&tool, &commands[3], i)->name, destroy[i]);
    }
    assert_null(opt_row_at(&tool, &commands[3], ARRAY_LEN(destroy)));
    assert_string_equal(opt_row_at(&tool, NULL, 0)->name, "quiet");
    assert_string_equal(opt_noun_help(&tool, "key"), "key life cycle");
    assert_string_equal(opt_noun_help(&tool, "init"), "make a keystore");
    assert_null(opt_noun_help(&tool, "node"));
}

/* Each change breaks one rule of the tables. */
static void break_row(struct opt_row *r, const char *rule)
{
    struct kerrinfo e = {0};
    struct opt_row copy[ARRAY_LEN(rows)];
    memcpy(copy, rows, sizeof copy);
    copy[0] = *r;
    struct opt_program p = tool;
    p.options = copy;
    assert_refused(&e, KERR_BUG, rule, opt_check(&p, &e));
}

static void test_check_finds_bad_rows(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, opt_check(&tool, &e));
    assert_ok(&e, opt_check(&daemon_program, &e));
    struct opt_row r = rows[0];
    r.offset = sizeof(struct values) - 1;
    break_row(&r, "outside of the struct");
    r = rows[0];
    r.name = "Output";
    break_row(&r, "no name or no help");
    r = rows[0];
    r.help = "caf\xc3\xa9";
    break_row(&r, "no name or no help");
    r = rows[0];
    r.value = NULL;
    break_row(&r, "a value has a name");
    r = rows[0];
    r.choices = NULL;
    break_row(&r, "choices and type");
    static const char *const choices[] = {"table|j*", "table||json", "-x|table", "table|a b"};
    for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
        r = rows[0];
        r.choices = choices[i];
        break_row(&r, "a letter or choice that shells");
    }
    r = rows[0];
    r.letter = '?';
    break_row(&r, "a letter or choice that shells");
    r = rows[0];
    r.max = 1;
    break_row(&r, "range and type");
    r = rows[0];
    r.name = "help";
    break_row(&r, "name or letter twice");
    r = rows[0];
    r.letter = 'q';
    break_row(&r, "name or letter twice");
    r = rows[0];
    r.commands = "init,key lst";
    break_row(&r, "for a command that is not there");
    r = rows[0];
    r.preset = "xml";
    break_row(&r, "preset of option output");
}

static void break_command(const struct opt_command *c, const char *rule)
{
    struct kerrinfo e = {0};
    struct opt_command copy[ARRAY_LEN(commands)];
    memcpy(copy, commands, sizeof copy);
    copy[ARRAY_LEN(commands) - 1] = *c;
    struct opt_program p = tool;
    p.commands = copy;
    p.options = &rows[1]; /* none that names `key destroy` */
    p.option_count = 3;
    assert_refused(&e, KERR_BUG, rule, opt_check(&p, &e));
}

static void test_check_finds_bad_commands(void **state)
{
    (void)state;
    const struct opt_command good = commands[3];
    struct opt_command c = good;
    c.noun = NULL;
    break_command(&c, "no first word");
    c = good;
    c.verb = "De";
    break_command(&c, "not a word");
    c = good;
    c.fn = NULL;
    break_command(&c, "no help or no function");
    c = good;
    c.args_max = 0;
    break_command(&c, "arguments and their number");
    c = good;
    c.args_max = OPT_ARGS_MAX + 1;
    break_command(&c, "arguments and their number");
    c = good;
    c.noun = "node";
    break_command(&c, "no row for the first word");
    c = good;
    c.verb = "list";
    break_command(&c, "twice, or not beside");
    c = good;
    c.verb = NULL;
    break_command(&c, "twice, or not beside");
    c = good;
    c.noun = "init";
    break_command(&c, "no row for the first word");
    c = good;
    c.is_under = true; /* and nothing that it is under */
    break_command(&c, "twice, or not beside");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_lines),
        cmocka_unit_test(test_lists_and_ends),
        cmocka_unit_test(test_without_commands),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_help_and_version_win),
        cmocka_unit_test(test_help_pages),
        cmocka_unit_test(test_help_details),
        cmocka_unit_test(test_wide_label),
        cmocka_unit_test(test_tables_can_be_walked),
        cmocka_unit_test(test_check_finds_bad_rows),
        cmocka_unit_test(test_check_finds_bad_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
