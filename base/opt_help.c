/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"

#include <stdio.h>
#include <string.h>

#include "base/opt_table.h"
#include "base/text.h"

#define HELP_COLUMNS 80
/* Labels longer than this get a line of their own. */
#define LABEL_MAX 28

static const struct opt_row builtin[] = {
    {.name = "help", .letter = 'h', .help = "show this help", .type = OPT_FLAG},
    {.name = "version", .help = "show the version", .type = OPT_FLAG},
};

const struct opt_row *opt_table_at(const struct opt_program *p, size_t i)
{
    if (i < p->option_count) {
        return &p->options[i];
    }
    i -= p->option_count;
    return i < ARRAY_LEN(builtin) ? &builtin[i] : NULL;
}

enum opt_what opt_table_what(const struct opt_row *row)
{
    return row == &builtin[0] ? OPT_SHOW_HELP : row == &builtin[1] ? OPT_SHOW_VERSION : OPT_RUN;
}

struct opt_words opt_words_of(const char *list, char separator)
{
    return (struct opt_words){.at = list == NULL ? "" : list, .separator = separator};
}

bool opt_words_next(struct opt_words *w, char to[static OPT_WORD_BYTES])
{
    if (*w->at == 0) {
        return false;
    }
    const char *end = strchr(w->at, w->separator);
    size_t len = end == NULL ? strlen(w->at) : (size_t)(end - w->at);
    (void)snprintf(to, OPT_WORD_BYTES, "%.*s", (int)len, w->at);
    w->at += end == NULL ? len : len + 1;
    return true;
}

/* Whether "key stage" of a row's list stands for the command. */
static bool is_named(const char *name, const struct opt_command *command)
{
    const char *noun = command->noun == NULL ? "" : command->noun;
    size_t len = strlen(noun);
    if (strncmp(name, noun, len) != 0) {
        return false;
    }
    return (name[len] == 0 && !command->is_under) || (name[len] == ' ' && command->verb != NULL &&
                                                      strcmp(name + len + 1, command->verb) == 0);
}

bool opt_has_verbs(const struct opt_program *p, const struct opt_command *command)
{
    for (size_t i = 0; i < p->command_count && command->noun != NULL; i++) {
        const struct opt_command *c = &p->commands[i];
        if (command->verb == NULL && c->is_under && strcmp(c->noun, command->noun) == 0) {
            return true;
        }
    }
    return false;
}

bool opt_is_allowed(const struct opt_row *row, const struct opt_command *command)
{
    if (row->commands == NULL) {
        return true;
    }
    if (command == NULL) {
        return false;
    }
    struct opt_words words = opt_words_of(row->commands, ',');
    char name[OPT_WORD_BYTES];
    while (opt_words_next(&words, name)) {
        if (is_named(name, command)) {
            return true;
        }
    }
    return false;
}

const struct opt_row *opt_row_at(const struct opt_program *p, const struct opt_command *command,
                                 size_t i)
{
    const struct opt_row *row;
    for (size_t at = 0; (row = opt_table_at(p, at)) != NULL; at++) {
        if (opt_is_allowed(row, command) && i-- == 0) {
            return row;
        }
    }
    return NULL;
}

const char *opt_noun_help(const struct opt_program *p, const char *noun)
{
    for (size_t i = 0; i < p->noun_count; i++) {
        if (strcmp(p->nouns[i].name, noun) == 0) {
            return p->nouns[i].help;
        }
    }
    for (size_t i = 0; i < p->command_count; i++) {
        const struct opt_command *c = &p->commands[i];
        if (c->noun != NULL && c->verb == NULL && strcmp(c->noun, noun) == 0) {
            return c->help;
        }
    }
    return NULL;
}

size_t opt_noun_end(const struct opt_program *p, size_t first)
{
    size_t end = first + 1;
    while (end < p->command_count && p->commands[end].noun != NULL &&
           strcmp(p->commands[end].noun, p->commands[first].noun) == 0) {
        end++;
    }
    return end;
}

bool opt_arg_at(const struct opt_command *command, size_t i, struct opt_arg *ret)
{
    if (i >= command->args_max) {
        return false;
    }
    struct opt_words words = opt_words_of(command->args, ' ');
    char word[OPT_WORD_BYTES] = "";
    size_t count = 0;
    while (count <= i && opt_words_next(&words, word)) {
        count++;
    }
    const char *name = word + strspn(word, "[");
    *ret = (struct opt_arg){.is_optional = *word == '[', .is_repeated = count <= i};
    (void)snprintf(ret->name, sizeof ret->name, "%.*s", (int)strcspn(name, "]."), name);
    ret->is_path = strcmp(ret->name, "FILE") == 0 || strcmp(ret->name, "FOLDER") == 0 ||
                   strcmp(ret->name, "PATH") == 0;
    return true;
}

/* Writes words from column `at` on, breaking before HELP_COLUMNS to column `indent`. Ends the
 * line. */
static enum kerr put_wrapped(struct buf *b, size_t at, size_t indent, const char *text,
                             struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    bool is_first = true;
    while (*text != 0 && k == KERR_OK) {
        size_t len = strcspn(text, " ");
        if (!is_first && at + 1 + len > HELP_COLUMNS) {
            k = buf_printf(b, e, "\n%*s", (int)indent, "");
            at = indent;
            is_first = true;
        }
        if (k == KERR_OK) {
            k = buf_printf(b, e, "%s%.*s", is_first ? "" : " ", (int)len, text);
        }
        at += len + (is_first ? 0 : 1);
        is_first = false;
        text += len;
        text += strspn(text, " ");
    }
    return k == KERR_OK ? buf_put_text(b, "\n", e) : k;
}

/* Paragraphs are separated by an empty line; lines that begin with a space stand as they are. */
static enum kerr put_paragraphs(struct buf *b, const char *text, struct kerrinfo *e)
{
    enum kerr k = buf_put_text(b, "\n", e);
    while (*text != 0 && k == KERR_OK) {
        size_t len = strcspn(text, "\n");
        AUTO_TEXT line = NULL;
        k = text_dup(bytes_of(text, len), &line, e);
        if (k == KERR_OK && *line == ' ') {
            k = buf_printf(b, e, "%s\n", line);
        } else if (k == KERR_OK) {
            k = put_wrapped(b, 0, 0, line, e);
        }
        text += len;
        text += *text == '\n' ? 1 : 0;
    }
    return k;
}

/* One entry of a list: label, gap, wrapped help. `width`: of the labels' column. */
static enum kerr put_entry(struct buf *b, const char *label, size_t width, const char *help,
                           struct kerrinfo *e)
{
    enum kerr k = buf_printf(b, e, "  %-*s  ", (int)width, label);
    if (k == KERR_OK && strlen(label) > width) {
        b->len -= 2; /* the gap: nothing follows on this line */
        k = buf_printf(b, e, "\n%*s", (int)width + 4, "");
    }
    return k == KERR_OK ? put_wrapped(b, width + 4, width + 4, help, e) : k;
}

/* "-o, --output FORMAT" */
static void option_label(const struct opt_row *row, char *to, size_t size)
{
    char letter[] = "    ";
    if (row->letter != 0) {
        (void)snprintf(letter, sizeof letter, "-%c, ", row->letter);
    }
    (void)snprintf(to, size, "%s--%s%s%s", letter, row->name, row->value == NULL ? "" : " ",
                   row->value == NULL ? "" : row->value);
}

enum kerr opt_row_text(const struct opt_row *row, struct buf *b, struct kerrinfo *e)
{
    enum kerr k = buf_put_text(b, row->help, e);
    if (k == KERR_OK && row->type == OPT_CHOICE) {
        struct opt_words words = opt_words_of(row->choices, '|');
        char name[OPT_WORD_BYTES];
        const char *gap = ": ";
        while (k == KERR_OK && opt_words_next(&words, name)) {
            k = buf_printf(b, e, "%s%s", gap, name);
            gap = ", ";
        }
    }
    if (k == KERR_OK && row->type == OPT_LIST) {
        k = buf_put_text(b, "; may be repeated", e);
    }
    if (k == KERR_OK && row->preset != NULL) {
        k = buf_printf(b, e, " (default: %s)", row->preset);
    }
    return k;
}

static size_t wider(size_t width, const char *label)
{
    size_t len = strlen(label);
    return len > width && len <= LABEL_MAX ? len : width;
}

static enum kerr put_options(struct buf *b, const struct opt_call *call, struct kerrinfo *e)
{
    char label[LABEL_MAX * 4];
    size_t width = 0;
    const struct opt_row *row;
    for (size_t i = 0; (row = opt_row_at(call->program, call->command, i)) != NULL; i++) {
        option_label(row, label, sizeof label);
        width = wider(width, label);
    }
    enum kerr k = buf_put_text(b, "\nOptions:\n", e);
    for (size_t i = 0; k == KERR_OK && (row = opt_row_at(call->program, call->command, i)) != NULL;
         i++) {
        AUTO_BUF help;
        buf_init(&help, OPT_HELP_MAX);
        const char *text = NULL;
        option_label(row, label, sizeof label);
        k = opt_row_text(row, &help, e);
        if (k == KERR_OK) {
            k = buf_text(&help, &text, e);
        }
        if (k == KERR_OK) {
            k = put_entry(b, label, width, text, e);
        }
    }
    return k;
}

/* The word by which a listing of this level shows the command, NULL when it does not: at the
 * program's level each first word stands once. */
static const char *listed_word(const struct opt_call *call, size_t i)
{
    const struct opt_command *c = &call->program->commands[i];
    if (call->noun != NULL) {
        return strcmp(c->noun, call->noun) == 0 ? c->verb : NULL;
    }
    bool is_same = i > 0 && strcmp(call->program->commands[i - 1].noun, c->noun) == 0;
    return is_same ? NULL : c->noun;
}

static enum kerr put_commands(struct buf *b, const struct opt_call *call, struct kerrinfo *e)
{
    const struct opt_program *p = call->program;
    size_t width = 0;
    for (size_t i = 0; i < p->command_count; i++) {
        const char *word = listed_word(call, i);
        width = word == NULL ? width : wider(width, word);
    }
    enum kerr k = buf_put_text(b, "\nCommands:\n", e);
    for (size_t i = 0; i < p->command_count && k == KERR_OK; i++) {
        const char *word = listed_word(call, i);
        if (word != NULL) {
            const char *help = call->noun == NULL ? opt_noun_help(p, word) : p->commands[i].help;
            k = put_entry(b, word, width, help == NULL ? "" : help, e);
        }
    }
    return k;
}

static enum kerr put_command(struct buf *b, const struct opt_call *call, struct kerrinfo *e)
{
    const struct opt_command *c = call->command;
    enum kerr k = buf_printf(b, e, "Usage: %s%s%s%s%s [OPTIONS]%s%s\n\n", call->program->name,
                             c->noun == NULL ? "" : " ", c->noun == NULL ? "" : c->noun,
                             c->verb == NULL ? "" : " ", c->verb == NULL ? "" : c->verb,
                             c->args == NULL ? "" : " ", c->args == NULL ? "" : c->args);
    if (k == KERR_OK) {
        k = put_wrapped(b, 0, 0, c->help, e);
    }
    if (k == KERR_OK && c->more != NULL) {
        k = put_paragraphs(b, c->more, e);
    }
    return k == KERR_OK && opt_has_verbs(call->program, c) ? put_commands(b, call, e) : k;
}

static enum kerr put_level(struct buf *b, const struct opt_call *call, struct kerrinfo *e)
{
    const struct opt_program *p = call->program;
    const char *help = call->noun == NULL ? p->help : opt_noun_help(p, call->noun);
    enum kerr k = buf_printf(b, e, "Usage: %s%s%s COMMAND [OPTIONS]\n\n", p->name,
                             call->noun == NULL ? "" : " ", call->noun == NULL ? "" : call->noun);
    if (k == KERR_OK) {
        k = put_wrapped(b, 0, 0, help == NULL ? "" : help, e);
    }
    if (k == KERR_OK && call->noun == NULL && p->more != NULL) {
        k = put_paragraphs(b, p->more, e);
    }
    return k == KERR_OK ? put_commands(b, call, e) : k;
}

enum kerr opt_help(const struct opt_call *call, struct buf *ret, struct kerrinfo *e)
{
    enum kerr k = call->command != NULL ? put_command(ret, call, e) : put_level(ret, call, e);
    if (k == KERR_OK) {
        k = put_options(ret, call, e);
    }
    bool has_more = call->command == NULL || opt_has_verbs(call->program, call->command);
    if (k == KERR_OK && has_more) {
        k = buf_printf(ret, e, "\nMore about a command: %s%s%s COMMAND --help\n",
                       call->program->name, call->noun == NULL ? "" : " ",
                       call->noun == NULL ? "" : call->noun);
    }
    return k;
}

enum kerr opt_version(const struct opt_program *p, struct buf *ret, struct kerrinfo *e)
{
    return buf_printf(ret, e, "%s %s\n", p->name, p->version);
}
