/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pages/completion.bash asks: two functions, one for a level of commands ("", "key",
 * "key promote"), one for an option. They set variables of the caller.
 */
#include "base/opt_man.h"

#include <string.h>

#include "base/opt_table.h"

/* Names of options, commands and choices are words that the shell takes as they are. */
static void put_options(struct appender *a, const struct opt_program *p,
                        const struct opt_command *command)
{
    const struct opt_row *row;
    append_text(a, "        options=(");
    for (size_t i = 0; (row = opt_row_at(p, command, i)) != NULL; i++) {
        append_printf(a, "%s--%s", i == 0 ? "" : " ", row->name);
    }
    append_text(a, ")\n");
}

/* The first words, or the second words behind one. */
static void put_list(struct appender *a, const struct opt_program *p, const char *noun)
{
    const char *gap = "";
    append_text(a, "        words=(");
    for (size_t i = 0; i < p->command_count; i++) {
        const struct opt_command *c = &p->commands[i];
        bool is_first = i == 0 || strcmp(c->noun, p->commands[i - 1].noun) != 0;
        if (noun == NULL ? is_first : strcmp(c->noun, noun) == 0 && c->verb != NULL) {
            append_printf(a, "%s%s", gap, noun == NULL ? c->noun : c->verb);
            gap = " ";
        }
    }
    append_text(a, ")\n");
}

static void put_command(struct appender *a, const struct opt_program *p,
                        const struct opt_command *c)
{
    struct opt_arg arg;
    append_printf(a, "    '%s%s%s')\n", c->noun == NULL ? "" : c->noun, c->verb == NULL ? "" : " ",
                  c->verb == NULL ? "" : c->verb);
    if (opt_has_verbs(p, c)) {
        put_list(a, p, c->noun);
    }
    if (c->args_max > 0) {
        append_text(a, "        args=(");
        for (size_t i = 0; opt_arg_at(c, i, &arg); i++) {
            append_printf(a, "%s%s", i == 0 ? "" : " ", arg.is_path ? "path" : "text");
        }
        append_text(a, ")\n");
    }
    put_options(a, p, c);
    append_text(a, "        ;;\n");
}

static void put_words(struct appender *a, const struct opt_program *p, const char *noun)
{
    append_printf(a, "    '%s')\n", noun == NULL ? "" : noun);
    put_list(a, p, noun);
    put_options(a, p, NULL);
    append_text(a, "        ;;\n");
}

static void put_levels(struct appender *a, const struct opt_program *p)
{
    append_printf(a,
                  "_%s_level() {\n"
                  "    words=() args=() options=()\n"
                  "    case $1 in\n",
                  p->name);
    if (p->commands[0].noun != NULL) {
        put_words(a, p, NULL);
    }
    for (size_t i = 0; i < p->command_count; i++) {
        const struct opt_command *c = &p->commands[i];
        if (c->verb != NULL && (i == 0 || strcmp(c->noun, p->commands[i - 1].noun) != 0)) {
            put_words(a, p, c->noun);
        }
        put_command(a, p, c);
    }
    append_text(a, "    *) return 1 ;;\n    esac\n}\n\n");
}

static void put_kind(struct appender *a, const struct opt_row *row)
{
    static const char *const kinds[] = {
        [OPT_FLAG] = "flag", [OPT_TEXT] = "text",     [OPT_PATH] = "path", [OPT_CHOICE] = "choice",
        [OPT_U64] = "text",  [OPT_DURATION] = "text", [OPT_SIZE] = "text", [OPT_LIST] = "list",
    };
    struct opt_words words = opt_words_of(row->choices, '|');
    char word[OPT_WORD_BYTES];
    append_printf(a, " name=--%s kind=%s", row->name, kinds[row->type]);
    const char *gap = " choices=(";
    while (opt_words_next(&words, word)) {
        append_printf(a, "%s%s", gap, word);
        gap = " ";
    }
    append_text(a, row->choices == NULL ? " ;;\n" : ") ;;\n");
}

static void put_option_table(struct appender *a, const struct opt_program *p)
{
    const struct opt_row *row;
    append_printf(a, "_%s_option() {\n    case $1 in\n", p->name);
    for (size_t i = 0; (row = opt_table_at(p, i)) != NULL; i++) {
        append_printf(a, "    --%s", row->name);
        if (row->letter != 0) {
            append_printf(a, " | -%c", row->letter);
        }
        append_text(a, ")");
        put_kind(a, row);
    }
    append_text(a, "    *) return 1 ;;\n    esac\n}\n");
}

static void put_tables(struct appender *a, const struct opt_program *p)
{
    put_levels(a, p);
    put_option_table(a, p);
}

enum kerr opt_bash(const struct opt_program *p, struct bytes frame, struct buf *ret,
                   struct kerrinfo *e)
{
    struct appender a = appender_on(ret, e);
    opt_put_frame(&a, p, frame, put_tables);
    return a.k;
}
