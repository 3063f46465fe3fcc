/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of opt.h for the tables themselves: run by a test of each program, not by the program.
 */
#include "base/opt.h"

#include <stdlib.h>
#include <string.h>

#include "base/opt_table.h"
#include "base/text.h"

static const size_t value_sizes[] = {
    [OPT_FLAG] = sizeof(bool),         [OPT_TEXT] = sizeof(const char *),
    [OPT_PATH] = sizeof(const char *), [OPT_CHOICE] = sizeof(const char *),
    [OPT_U64] = sizeof(uint64_t),      [OPT_DURATION] = sizeof(uint64_t),
    [OPT_SIZE] = sizeof(uint64_t),     [OPT_LIST] = sizeof(struct opt_list),
};

/* Lower-case letters, digits and '-', beginning with a letter. */
static bool is_name(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return text[0] >= 'a' && text[0] <= 'z' && text[len] == 0 && len < OPT_WORD_BYTES;
}

/* Short enough for two of them to make a command's name. */
static bool is_word(const char *text)
{
    return is_name(text) && strlen(text) < OPT_WORD_BYTES / 2;
}

/* Sentences are shown on terminals and turned into pages: printable ASCII and line ends. */
static bool is_text(const char *text)
{
    if (text == NULL || *text == 0) {
        return false;
    }
    for (const char *p = text; *p != 0; p++) {
        if ((*p < 0x20 && *p != '\n') || *p >= 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool has_noun_row(const struct opt_program *p, const char *noun)
{
    for (size_t i = 0; i < p->noun_count; i++) {
        if (strcmp(p->nouns[i].name, noun) == 0 && is_text(p->nouns[i].help)) {
            return true;
        }
    }
    return false;
}

/* Against the rows before it: each command once, the commands of a first word side by side, and
 * none of them without a second word but the first, without arguments, of those that are under it.
 */
static bool is_in_order(const struct opt_program *p, size_t i)
{
    const struct opt_command *c = &p->commands[i];
    const struct opt_command *first = c;
    for (size_t j = 0; j < i; j++) {
        const struct opt_command *other = &p->commands[j];
        if (!is_same(c->noun, other->noun)) {
            continue;
        }
        first = first == c ? other : first;
        bool is_alone = other->verb == NULL && !(c->is_under && other->args_max == 0);
        if (c->verb == NULL || is_alone || is_same(c->verb, other->verb) ||
            !is_same(c->noun, p->commands[i - 1].noun)) {
            return false;
        }
    }
    return c->is_under == (c->verb != NULL && first->verb == NULL);
}

static enum kerr check_command(const struct opt_program *p, size_t i, struct kerrinfo *e)
{
    const struct opt_command *c = &p->commands[i];
    const char *why = NULL;
    if (c->noun == NULL && (p->command_count != 1 || c->verb != NULL)) {
        why = "no first word";
    } else if ((c->noun != NULL && !is_word(c->noun)) || (c->verb != NULL && !is_word(c->verb))) {
        why = "not a word";
    } else if (!is_text(c->help) || (c->more != NULL && !is_text(c->more)) || c->fn == NULL) {
        why = "no help or no function";
    } else if ((c->args == NULL) != (c->args_max == 0) || c->args_min > c->args_max ||
               c->args_max > OPT_ARGS_MAX) {
        why = "arguments and their number do not fit";
    } else if (c->verb != NULL && !c->is_under && !has_noun_row(p, c->noun)) {
        why = "no row for the first word";
    } else if (!is_in_order(p, i)) {
        why = "twice, or not beside its kin";
    }
    return why == NULL ? KERR_OK
                       : kerr_set(e, KERR_BUG, "command %zu (%s): %s", i + 1,
                                  c->noun == NULL ? "-" : c->noun, why);
}

/* Whether each name in the row's list stands for at least one command. */
static bool are_commands_known(const struct opt_program *p, const struct opt_row *row)
{
    struct opt_words words = opt_words_of(row->commands, ',');
    char name[OPT_WORD_BYTES];
    while (opt_words_next(&words, name)) {
        struct opt_row one = {.commands = name};
        bool is_known = false;
        for (size_t i = 0; i < p->command_count; i++) {
            is_known = is_known || opt_is_allowed(&one, &p->commands[i]);
        }
        if (!is_known) {
            return false;
        }
    }
    return true;
}

/* Choices and letters stand in completion scripts as they are: nothing that a shell would take for
 * something else. */
static bool is_for_shells(const struct opt_row *row)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    if (row->letter != 0 && strchr(good, row->letter) == NULL) {
        return false;
    }
    struct opt_words words = opt_words_of(row->choices, '|');
    char word[OPT_WORD_BYTES];
    while (opt_words_next(&words, word)) {
        size_t len = strlen(word);
        if (len == 0 || len + 1 >= OPT_WORD_BYTES || strchr(good, *word) == NULL) {
            return false;
        }
        for (const char *p = word; *p != 0; p++) {
            if (strchr(good, *p) == NULL && strchr("-._", *p) == NULL) {
                return false;
            }
        }
    }
    return true;
}

static bool is_unique(const struct opt_program *p, size_t i)
{
    const struct opt_row *row = &p->options[i];
    const struct opt_row *other;
    for (size_t j = 0; (other = opt_table_at(p, j)) != NULL; j++) {
        if (j != i && (strcmp(row->name, other->name) == 0 ||
                       (row->letter != 0 && row->letter == other->letter))) {
            return false;
        }
    }
    return true;
}

static enum kerr check_row(const struct opt_program *p, size_t i, struct kerrinfo *e)
{
    const struct opt_row *row = &p->options[i];
    const char *why = NULL;
    bool is_number = row->type == OPT_U64 || row->type == OPT_DURATION || row->type == OPT_SIZE;
    if ((size_t)row->type >= ARRAY_LEN(value_sizes) || row->offset > p->values_size ||
        value_sizes[row->type] > p->values_size - row->offset) {
        why = "its value lies outside of the struct";
    } else if (!is_name(row->name) || !is_text(row->help)) {
        why = "no name or no help";
    } else if ((row->type == OPT_FLAG) != (row->value == NULL)) {
        why = "a value has a name, a flag has none";
    } else if ((row->type == OPT_CHOICE) != (row->choices != NULL)) {
        why = "choices and type do not fit";
    } else if (!is_for_shells(row)) {
        why = "a letter or choice that shells would not take as it is";
    } else if (is_number ? row->min > row->max : row->min != 0 || row->max != 0) {
        why = "range and type do not fit";
    } else if (!is_unique(p, i)) {
        why = "name or letter twice";
    } else if (!are_commands_known(p, row)) {
        why = "for a command that is not there";
    }
    return why == NULL ? KERR_OK : kerr_set(e, KERR_BUG, "option %zu: %s", i + 1, why);
}

/* Presets are read by the parser itself. */
static enum kerr check_presets(const struct opt_program *p, struct kerrinfo *e)
{
    void *values = calloc(1, p->values_size + 1);
    if (values == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for the options");
    }
    struct opt_call call;
    struct kerrinfo why = {0};
    enum kerr k = opt_parse(p, 0, NULL, values, &call, &why);
    free(values);
    return k == KERR_BUG ? kerr_set(e, k, "%s", why.text) : KERR_OK;
}

enum kerr opt_check(const struct opt_program *p, struct kerrinfo *e)
{
    if (p->command_count == 0 || p->command_count > OPT_COMMANDS_MAX ||
        p->option_count > OPT_ROWS_MAX - 2 || !is_word(p->name) || !is_text(p->version) ||
        !is_text(p->help)) {
        return kerr_set(e, KERR_BUG, "the program has no name, help or commands, or too many");
    }
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < p->command_count && k == KERR_OK; i++) {
        k = check_command(p, i, e);
    }
    for (size_t i = 0; i < p->option_count && k == KERR_OK; i++) {
        k = check_row(p, i, e);
    }
    return k == KERR_OK ? check_presets(p, e) : k;
}
