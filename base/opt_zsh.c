/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pages/completion.zsh asks: two functions, one for a level of commands ("", "key",
 * "key promote"), one for the specs of an option as _arguments takes them. They set variables of
 * the caller.
 */
#include "base/opt_man.h"

#include <string.h>

#include "base/opt_table.h"

/* Within single quotes of the shell, with a backslash before the `special` of what reads it. */
static void put_quoted(struct appender *a, const char *text, const char *special)
{
    for (const char *p = text; *p != 0; p++) {
        if (*p == '\'') {
            append_text(a, "'\\''");
        } else {
            append_printf(a, strchr(special, *p) != NULL ? "\\%c" : "%c", *p);
        }
    }
}

/* ":FORMAT:(table json yaml)" */
static void put_value(struct appender *a, const struct opt_row *row)
{
    struct opt_words words = opt_words_of(row->choices, '|');
    char word[OPT_WORD_BYTES];
    append_text(a, ":");
    put_quoted(a, row->value, "\\:");
    append_text(a, row->type == OPT_PATH ? ":_files" : row->choices == NULL ? ": " : ":(");
    for (const char *gap = ""; opt_words_next(&words, word); gap = " ") {
        append_printf(a, "%s%s", gap, word);
    }
    append_text(a, row->choices == NULL ? "" : ")");
}

/* One element: "(-o --output)-o+[how to print]:FORMAT:(table json yaml)". What is shown once
 * excludes itself; --help and --version exclude all. */
static void put_spec(struct appender *a, const struct opt_row *row, bool is_letter)
{
    append_text(a, " '");
    if (opt_table_what(row) != OPT_RUN) {
        append_text(a, "(- *)");
    } else if (row->type == OPT_LIST) {
        append_text(a, "*");
    } else if (row->letter != 0) {
        append_printf(a, "(-%c --%s)", row->letter, row->name);
    }
    if (is_letter) {
        append_printf(a, "-%c%s[", row->letter, row->type == OPT_FLAG ? "" : "+");
    } else {
        append_printf(a, "--%s%s[", row->name, row->type == OPT_FLAG ? "" : "=");
    }
    put_quoted(a, row->help, "\\[]");
    append_text(a, "]");
    if (row->type != OPT_FLAG) {
        put_value(a, row);
    }
    append_text(a, "'");
}

static void put_option_table(struct appender *a, const struct opt_program *p)
{
    const struct opt_row *row;
    append_printf(a, "_%s_option() {\n    case $1 in\n", p->name);
    for (size_t i = 0; (row = opt_table_at(p, i)) != NULL; i++) {
        append_printf(a, "    %s) spec=(", row->name);
        if (row->letter != 0) {
            put_spec(a, row, true);
        }
        put_spec(a, row, false);
        append_text(a, " ) ;;\n");
    }
    append_text(a, "    esac\n}\n");
}

static void put_options(struct appender *a, const struct opt_program *p,
                        const struct opt_command *command)
{
    const struct opt_row *row;
    append_text(a, "        options=(");
    for (size_t i = 0; (row = opt_row_at(p, command, i)) != NULL; i++) {
        append_printf(a, "%s%s", i == 0 ? "" : " ", row->name);
    }
    append_text(a, ")\n        ;;\n");
}

/* "'1:ID: '", "'2::FILE:_files'" */
static void put_arguments(struct appender *a, const struct opt_command *c)
{
    struct opt_arg arg;
    append_text(a, "        args=(");
    for (size_t i = 0; opt_arg_at(c, i, &arg); i++) {
        append_printf(a, "%s'%zu:%s", i == 0 ? "" : " ", i + 1,
                      arg.is_optional || i >= c->args_min ? ":" : "");
        put_quoted(a, arg.name, "\\:");
        append_text(a, arg.is_path ? ":_files'" : ": '");
    }
    append_text(a, ")\n");
}

static void put_word(struct appender *a, const char *word, const char *help)
{
    append_printf(a, "            '%s:", word);
    put_quoted(a, help == NULL ? "" : help, "\\");
    append_text(a, "'\n");
}

/* The first words, or the second words behind `noun`. */
static void put_next(struct appender *a, const struct opt_program *p, const char *noun)
{
    append_text(a, "        next=(\n");
    for (size_t i = 0; i < p->command_count; i++) {
        const struct opt_command *c = &p->commands[i];
        if (noun == NULL && (i == 0 || strcmp(c->noun, p->commands[i - 1].noun) != 0)) {
            put_word(a, c->noun, opt_noun_help(p, c->noun));
        } else if (noun != NULL && strcmp(c->noun, noun) == 0 && c->verb != NULL) {
            put_word(a, c->verb, c->help);
        }
    }
    append_text(a, "        )\n");
}

static void put_words(struct appender *a, const struct opt_program *p, const char *noun)
{
    append_printf(a, "    '%s')\n", noun == NULL ? "" : noun);
    put_next(a, p, noun);
    put_options(a, p, NULL);
}

static void put_levels(struct appender *a, const struct opt_program *p)
{
    const struct opt_row *row;
    append_printf(a, "_%s_level() {\n    every=(", p->name);
    for (size_t i = 0; (row = opt_table_at(p, i)) != NULL; i++) {
        append_printf(a, "%s%s", i == 0 ? "" : " ", row->name);
    }
    append_text(a, ")\n    next=() args=() options=()\n    case $1 in\n");
    if (p->commands[0].noun != NULL) {
        put_words(a, p, NULL);
    }
    for (size_t i = 0; i < p->command_count; i++) {
        const struct opt_command *c = &p->commands[i];
        if (c->verb != NULL && (i == 0 || strcmp(c->noun, p->commands[i - 1].noun) != 0)) {
            put_words(a, p, c->noun);
        }
        append_printf(a, "    '%s%s%s')\n", c->noun == NULL ? "" : c->noun,
                      c->verb == NULL ? "" : " ", c->verb == NULL ? "" : c->verb);
        if (opt_has_verbs(p, c)) {
            put_next(a, p, c->noun);
        }
        put_arguments(a, c);
        put_options(a, p, c);
    }
    append_text(a, "    *) return 1 ;;\n    esac\n}\n\n");
}

static void put_tables(struct appender *a, const struct opt_program *p)
{
    put_levels(a, p);
    put_option_table(a, p);
}

enum kerr opt_zsh(const struct opt_program *p, struct bytes frame, struct buf *ret,
                  struct kerrinfo *e)
{
    struct appender a = appender_on(ret, e);
    opt_put_frame(&a, p, frame, put_tables);
    return a.k;
}
