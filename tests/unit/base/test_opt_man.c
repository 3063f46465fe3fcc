/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/opt_man.h over two small programs. That the scripts do what they shall in a shell, and that
 * mandoc accepts the pages, is tested in tests/cli.
 */
#include <string.h>

#include "base/opt_man.h"
#include "base/opt_table.h"
#include "tests/lib/testlib.h"

struct values {
    bool is_quiet;
    const char *output;
    const char *path;
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
    {.name = "quiet",
     .letter = 'q',
     .help = "don't talk [much]",
     .type = OPT_FLAG,
     .offset = offsetof(struct values, is_quiet)},
    {.name = "output",
     .letter = 'o',
     .value = "FORMAT",
     .help = "how to print",
     .type = OPT_CHOICE,
     .choices = "table|json",
     .preset = "table",
     .commands = "key list",
     .offset = offsetof(struct values, output)},
    {.name = "path",
     .value = "FILE",
     .help = "where",
     .type = OPT_PATH,
     .commands = "copy,key",
     .offset = offsetof(struct values, path)},
    {.name = "seal",
     .value = "NAME:SPEC",
     .help = "a seal",
     .type = OPT_LIST,
     .commands = "copy",
     .offset = offsetof(struct values, seals)},
};

static const struct opt_noun nouns[] = {{"key", "keys: their life"}};

static const struct opt_command commands[] = {
    {.noun = "copy",
     .args = "FILE [NAME...]",
     .args_min = 1,
     .args_max = 3,
     .help = "copy it",
     .more = "First.\n\nSecond.",
     .fn = run_nothing},
    {.noun = "key", .verb = "list", .help = "show keys", .fn = run_nothing},
    {.noun = "key",
     .verb = "stage",
     .args = "[ID]",
     .args_max = 1,
     .help = "make a key",
     .fn = run_nothing},
};

static const struct opt_program tool = {
    .name = "tool",
    .version = "1.2",
    .help = "works on keys",
    .more = "About it.",
    .nouns = nouns,
    .noun_count = ARRAY_LEN(nouns),
    .commands = commands,
    .command_count = ARRAY_LEN(commands),
    .options = rows,
    .option_count = ARRAY_LEN(rows),
    .values_size = sizeof(struct values),
};

static const struct opt_command only[] = {{.args = "FILE",
                                           .args_min = 1,
                                           .args_max = 1,
                                           .help = "serve it",
                                           .more = "More.",
                                           .fn = run_nothing}};

static const struct opt_program daemon_program = {
    .name = "daemon",
    .version = "1",
    .help = "serves",
    .commands = only,
    .command_count = 1,
    .options = rows,
    .option_count = 1,
    .values_size = sizeof(struct values),
};

static const struct opt_entry environment[] = {{"TOOL_CONFIG", "The file."}};
static const struct opt_entry examples[] = {{"tool copy x", "Copy:"}};
static const struct opt_exit exits[] = {{0, "done"}, {4, "altered"}};
static const char *const see_also[] = {"other 5", "daemon 8"};

static struct kerrinfo e;
static struct buf page;

static int begin(void **state)
{
    (void)state;
    buf_init(&page, OPT_MAN_MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_done(&page);
    return 0;
}

static const char *text_of_page(void)
{
    const char *text = NULL;
    assert_ok(&e, buf_text(&page, &text, &e));
    return text;
}

static void check_holds(const char *want)
{
    if (strstr(text_of_page(), want) == NULL) {
        fail_msg("no \"%s\" in:\n%s", want, text_of_page());
    }
}

static void test_the_programs_are_sound(void **state)
{
    (void)state;
    assert_ok(&e, opt_check(&tool, &e));
    assert_ok(&e, opt_check(&daemon_program, &e));
}

static void make_man(const struct opt_program *p)
{
    struct opt_page about = {.program = p,
                             .section = "1",
                             .date = "January 1, 2026",
                             .environment = OPT_ENTRIES(environment),
                             .examples = OPT_ENTRIES(examples),
                             .exits = exits,
                             .exit_count = ARRAY_LEN(exits),
                             .exit_code = kerr_exit_code,
                             .see_also = see_also,
                             .see_also_count = ARRAY_LEN(see_also)};
    assert_ok(&e, opt_man(&about, &page, &e));
}

static void test_man_of_commands(void **state)
{
    (void)state;
    make_man(&tool);
    check_holds(".Sh SYNOPSIS\n.Nm\n.Ar command\n");
    check_holds(".Sh DESCRIPTION\nworks on keys\n.Pp\nAbout it.\n.Sh COMMANDS\n");
    check_holds(".Ss copy\n.Bl -tag -width Ds\n.It Nm Cm copy Ar FILE Op Ar NAME ...\n"
                "copy it\n.Pp\nFirst.\n.Pp\nSecond.\n"
                ".Bl -tag -width Ds\n.It Fl \\-path Ar FILE\nwhere\n"
                ".It Fl \\-seal Ar NAME:SPEC\na seal; may be repeated\n.El\n.El\n");
    check_holds(".Ss \\&key\nkeys: their life\n.Bl -tag -width Ds\n.It Nm Cm \\&key list\n"
                "show keys\n.Bl -tag -width Ds\n.It Fl o , Fl \\-output Ar FORMAT\n"
                "how to print: table, json (default: table)\n");
    check_holds(".It Nm Cm \\&key stage Op Ar \\&ID\nmake a key\n");
    check_holds(".Sh OPTIONS\n.Bl -tag -width Ds\n.It Fl q , Fl \\-quiet\n"
                "don\\(aqt talk [much]\n.It Fl h , Fl \\-help\nshow this help\n"
                ".It Fl \\-version\nshow the version\n.El\n.Sh ENVIRONMENT\n");
    check_holds(".Bl -tag -width Ds\n.It Ev TOOL_CONFIG\nThe file.\n.El\n.Sh EXIT STATUS\n");
    check_holds(".It 0\ndone\n.It 4\naltered: stored bytes are damaged; authentication failed; ");
    check_holds(".Sh EXAMPLES\nCopy:\n.Bd -literal -offset indent\ntool copy x\n.Ed\n"
                ".Sh SEE ALSO\n.Xr other 5 ,\n.Xr daemon 8\n");
    assert_null(strstr(text_of_page(), ".Sh FILES")); /* none were given */
}

static void test_man_of_one_command(void **state)
{
    (void)state;
    make_man(&daemon_program);
    check_holds(".Sh SYNOPSIS\n.Nm\n.Op Fl q , Fl \\-quiet\n.Op Fl h , Fl \\-help\n"
                ".Op Fl \\-version\n.No Ar FILE\n.Sh DESCRIPTION\n");
    check_holds("serves\n.Pp\nserve it\n.Pp\nMore.\n.Sh OPTIONS\n");
    assert_null(strstr(text_of_page(), ".Sh COMMANDS"));
}

/* The name goes everywhere, the tables where the line is, and only there. */
static void test_frames(void **state)
{
    (void)state;
    static const char frame[] = "_PROGRAM PROGRAMS\n # TABLES\n# TABLES\n# TABLES, PROGRAM";
    assert_ok(&e, opt_bash(&daemon_program, bytes_of_text(frame), &page, &e));
    assert_string_equal(text_of_page(), "_daemon daemonS\n # TABLES\n"
                                        "_daemon_level() {\n"
                                        "    words=() args=() options=()\n"
                                        "    case $1 in\n"
                                        "    '')\n"
                                        "        args=(path)\n"
                                        "        options=(--quiet --help --version)\n"
                                        "        ;;\n"
                                        "    *) return 1 ;;\n"
                                        "    esac\n"
                                        "}\n"
                                        "\n"
                                        "_daemon_option() {\n"
                                        "    case $1 in\n"
                                        "    --quiet | -q) name=--quiet kind=flag ;;\n"
                                        "    --help | -h) name=--help kind=flag ;;\n"
                                        "    --version) name=--version kind=flag ;;\n"
                                        "    *) return 1 ;;\n"
                                        "    esac\n"
                                        "}\n"
                                        "# TABLES, daemon");
}

static void test_bash_tables(void **state)
{
    (void)state;
    assert_ok(&e, opt_bash(&tool, bytes_of_text("# TABLES\n"), &page, &e));
    check_holds("    '')\n        words=(copy key)\n        options=(--quiet --help --version)\n");
    check_holds("    'copy')\n        args=(path text text)\n"
                "        options=(--quiet --path --seal --help --version)\n");
    check_holds("    'key')\n        words=(list stage)\n"
                "        options=(--quiet --help --version)\n");
    check_holds("    'key list')\n        options=(--quiet --output --path --help --version)\n");
    check_holds("    'key stage')\n        args=(text)\n");
    check_holds("    --output | -o) name=--output kind=choice choices=(table json) ;;\n");
    check_holds("    --path) name=--path kind=path ;;\n");
    check_holds("    --seal) name=--seal kind=list ;;\n");
}

static void test_zsh_tables(void **state)
{
    (void)state;
    assert_ok(&e, opt_zsh(&tool, bytes_of_text("# TABLES\n"), &page, &e));
    check_holds("    every=(quiet output path seal help version)\n");
    check_holds("        next=(\n            'copy:copy it'\n            'key:keys: their life'\n");
    check_holds("    'copy')\n        args=('1:FILE:_files' '2::NAME: ' '3::NAME: ')\n"
                "        options=(quiet path seal help version)\n");
    check_holds("    'key')\n        next=(\n            'list:show keys'\n");
    check_holds("    'key stage')\n        args=('1::ID: ')\n");
    check_holds("    quiet) spec=( '(-q --quiet)-q[don'\\''t talk \\[much\\]]' "
                "'(-q --quiet)--quiet[don'\\''t talk \\[much\\]]' ) ;;\n");
    check_holds(" '(-o --output)--output=[how to print]:FORMAT:(table json)' ) ;;\n");
    check_holds(" '(-o --output)-o+[how to print]:FORMAT:(table json)'");
    check_holds("    path) spec=( '--path=[where]:FILE:_files' ) ;;\n");
    check_holds("    seal) spec=( '*--seal=[a seal]:NAME\\:SPEC: ' ) ;;\n");
    check_holds("    help) spec=( '(- *)-h[show this help]' '(- *)--help[show this help]' ) ;;\n");
}

static void test_full_buffers(void **state)
{
    (void)state;
    AUTO_BUF small;
    buf_init(&small, 100);
    struct opt_page about = {.program = &tool, .section = "1", .date = "x"};
    about.exit_code = kerr_exit_code;
    assert_refused(&e, KERR_LIMIT, "more than 100 bytes", opt_man(&about, &small, &e));
    assert_refused(&e, KERR_LIMIT, "more than 100 bytes",
                   opt_bash(&tool, bytes_of_text("# TABLES\n"), &small, &e));
    assert_refused(&e, KERR_LIMIT, "more than 100 bytes",
                   opt_zsh(&tool, bytes_of_text("# TABLES\n"), &small, &e));
}

static void test_arguments(void **state)
{
    (void)state;
    struct opt_arg arg;
    assert_true(opt_arg_at(&commands[0], 0, &arg));
    assert_string_equal(arg.name, "FILE");
    assert_true(arg.is_path && !arg.is_optional && !arg.is_repeated);
    assert_true(opt_arg_at(&commands[0], 1, &arg));
    assert_string_equal(arg.name, "NAME");
    assert_true(!arg.is_path && arg.is_optional && !arg.is_repeated);
    assert_true(opt_arg_at(&commands[0], 2, &arg));
    assert_string_equal(arg.name, "NAME");
    assert_true(arg.is_optional && arg.is_repeated);
    assert_false(opt_arg_at(&commands[0], 3, &arg));
    assert_false(opt_arg_at(&commands[1], 0, &arg));
    assert_int_equal(opt_noun_end(&tool, 0), 1);
    assert_int_equal(opt_noun_end(&tool, 1), 3);
}

#define PAGE_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_programs_are_sound),
        PAGE_TEST(test_man_of_commands),
        PAGE_TEST(test_man_of_one_command),
        PAGE_TEST(test_frames),
        PAGE_TEST(test_bash_tables),
        PAGE_TEST(test_zsh_tables),
        cmocka_unit_test(test_full_buffers),
        cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
