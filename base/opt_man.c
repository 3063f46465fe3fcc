/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt_man.h"

#include <stdio.h>
#include <string.h>

#include "base/mdoc.h"
#include "base/opt_table.h"

static void section(struct appender *a, const char *name)
{
    append_printf(a, ".Sh %s\n", name);
}

/* "Fl c , Fl \-config Ar FILE" behind ".It" or ".Op". */
static void put_label(struct appender *a, const struct opt_row *row)
{
    if (row->letter != 0) {
        append_printf(a, " Fl %c ,", row->letter);
    }
    append_printf(a, " Fl");
    char name[OPT_WORD_BYTES + 2];
    (void)snprintf(name, sizeof name, "-%s", row->name);
    mdoc_word(a, name);
    if (row->value != NULL) {
        append_text(a, " Ar");
        mdoc_word(a, row->value);
    }
}

static void put_option(struct appender *a, const struct opt_row *row)
{
    AUTO_BUF help;
    const char *text = NULL;
    buf_init(&help, OPT_HELP_MAX);
    append_text(a, ".It");
    put_label(a, row);
    append_text(a, "\n");
    enum kerr k = opt_row_text(row, &help, a->e);
    k = k == KERR_OK ? buf_text(&help, &text, a->e) : k;
    if (k == KERR_OK) {
        mdoc_text(a, text);
    } else if (a->k == KERR_OK) {
        a->k = k;
    }
}

/* The options that the command has and others do not. */
static void put_own_options(struct appender *a, const struct opt_program *p,
                            const struct opt_command *command)
{
    const struct opt_row *row;
    bool is_open = false;
    for (size_t i = 0; (row = opt_row_at(p, command, i)) != NULL; i++) {
        if (row->commands != NULL) {
            append_text(a, is_open ? "" : ".Bl -tag -width Ds\n");
            put_option(a, row);
            is_open = true;
        }
    }
    append_text(a, is_open ? ".El\n" : "");
}

static void put_arguments(struct appender *a, const struct opt_command *command)
{
    struct opt_arg arg;
    for (size_t i = 0; opt_arg_at(command, i, &arg); i++) {
        if (arg.is_repeated) {
            append_text(a, " ...");
            return;
        }
        append_text(a, arg.is_optional ? " Op Ar" : " Ar");
        mdoc_word(a, arg.name);
    }
}

static void put_command(struct appender *a, const struct opt_program *p,
                        const struct opt_command *command)
{
    append_text(a, ".It Nm Cm");
    mdoc_word(a, command->noun);
    if (command->verb != NULL) {
        mdoc_word(a, command->verb);
    }
    put_arguments(a, command);
    append_text(a, "\n");
    mdoc_text(a, command->help);
    if (command->more != NULL) {
        append_text(a, ".Pp\n");
        mdoc_text(a, command->more);
    }
    put_own_options(a, p, command);
}

/* One subsection for each first word. */
static void put_commands(struct appender *a, const struct opt_program *p)
{
    section(a, "COMMANDS");
    append_text(a, "All take the options of\n.Sx OPTIONS\nas well.\n");
    for (size_t first = 0, end = 0; first < p->command_count; first = end) {
        end = opt_noun_end(p, first);
        append_text(a, ".Ss");
        mdoc_word(a, p->commands[first].noun);
        append_text(a, "\n");
        if (p->commands[first].verb != NULL) {
            const char *help = opt_noun_help(p, p->commands[first].noun);
            mdoc_text(a, help == NULL ? "" : help);
        }
        append_text(a, ".Bl -tag -width Ds\n");
        for (size_t i = first; i < end; i++) {
            put_command(a, p, &p->commands[i]);
        }
        append_text(a, ".El\n");
    }
}

static void put_options(struct appender *a, const struct opt_program *p,
                        const struct opt_command *command)
{
    const struct opt_row *row;
    section(a, "OPTIONS");
    append_text(a, ".Bl -tag -width Ds\n");
    for (size_t i = 0; (row = opt_row_at(p, command, i)) != NULL; i++) {
        put_option(a, row);
    }
    append_text(a, ".El\n");
}

/* `only`: the command of a program that has no others; NULL. */
static void put_synopsis(struct appender *a, const struct opt_program *p,
                         const struct opt_command *only)
{
    section(a, "SYNOPSIS");
    append_text(a, ".Nm\n");
    if (only == NULL) {
        append_text(a, ".Ar command\n.Op Ar options\n.Op Ar arguments\n"
                       ".Nm\n.Op Ar command\n.Fl \\-help\n.Nm\n.Fl \\-version\n");
        return;
    }
    const struct opt_row *row;
    for (size_t i = 0; (row = opt_row_at(p, only, i)) != NULL; i++) {
        append_text(a, ".Op");
        put_label(a, row);
        append_text(a, "\n");
    }
    if (only->args != NULL) {
        append_text(a, ".No");
        put_arguments(a, only);
        append_text(a, "\n");
    }
}

static void put_description(struct appender *a, const struct opt_program *p,
                            const struct opt_command *only)
{
    const char *const parts[] = {only == NULL ? NULL : only->help, p->more,
                                 only == NULL ? NULL : only->more};
    section(a, "DESCRIPTION");
    mdoc_text(a, p->help);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i] != NULL) {
            append_text(a, ".Pp\n");
            mdoc_text(a, parts[i]);
        }
    }
}

static void put_entries(struct appender *a, const char *name, const char *macro,
                        struct opt_entries entries)
{
    if (entries.count == 0) {
        return;
    }
    section(a, name);
    append_text(a, ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < entries.count; i++) {
        append_printf(a, ".It %s", macro);
        mdoc_word(a, entries.rows[i].name);
        append_text(a, "\n");
        mdoc_text(a, entries.rows[i].help);
    }
    append_text(a, ".El\n");
}

static void put_examples(struct appender *a, struct opt_entries examples)
{
    section(a, "EXAMPLES");
    for (size_t i = 0; i < examples.count; i++) {
        append_text(a, i == 0 ? "" : ".Pp\n");
        mdoc_text(a, examples.rows[i].help);
        mdoc_literal(a, examples.rows[i].name);
    }
}

/* The program's word for each code, and the errors of kerr.def that end in it. */
static void put_exits(struct appender *a, const struct opt_page *page)
{
    section(a, "EXIT STATUS");
    append_text(a, ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < page->exit_count; i++) {
        char line[OPT_VALUE_MAX];
        int len = snprintf(line, sizeof line, "%s", page->exits[i].help);
        const char *gap = ": ";
        for (int k = KERR_OK + 1; k < KERR_COUNT && len > 0 && (size_t)len < sizeof line; k++) {
            if (page->exit_code((enum kerr)k) == page->exits[i].code) {
                len += snprintf(line + len, sizeof line - (size_t)len, "%s%s", gap,
                                kerr_sentence((enum kerr)k));
                gap = "; ";
            }
        }
        append_printf(a, ".It %d\n", page->exits[i].code);
        mdoc_text(a, line);
    }
    append_text(a, ".El\n");
}

static void put_see_also(struct appender *a, const struct opt_page *page)
{
    section(a, "SEE ALSO");
    for (size_t i = 0; i < page->see_also_count; i++) {
        append_printf(a, ".Xr %s%s\n", page->see_also[i], i + 1 < page->see_also_count ? " ," : "");
    }
}

enum kerr opt_man(const struct opt_page *page, struct buf *ret, struct kerrinfo *e)
{
    const struct opt_program *p = page->program;
    const struct opt_command *only = p->commands[0].noun == NULL ? &p->commands[0] : NULL;
    char system[OPT_WORD_BYTES * 2];
    (void)snprintf(system, sizeof system, "%s %s", p->name, p->version);
    struct mdoc_head head = {.name = p->name,
                             .section = page->section,
                             .date = page->date,
                             .system = system,
                             .about = p->help};
    struct appender a = appender_on(ret, e);
    mdoc_head(&a, &head);
    put_synopsis(&a, p, only);
    put_description(&a, p, only);
    if (only == NULL) {
        put_commands(&a, p);
    }
    put_options(&a, p, only);
    put_entries(&a, "ENVIRONMENT", "Ev", page->environment);
    put_entries(&a, "FILES", "Pa", page->files);
    put_exits(&a, page);
    put_examples(&a, page->examples);
    put_see_also(&a, page);
    return a.k;
}
