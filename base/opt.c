/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the words, left to right, so that --help knows how far the command was spelled out
 * before it. Whether an option may be used with the command is asked at the end: options may stand
 * before the command's words.
 */
#include "base/opt.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/opt_table.h"
#include "base/text.h"

/* Longest piece of a wrong word that a message shows, escaped. */
#define SHOWN_BYTES 64

struct parse {
    const struct opt_program *p;
    const char *const *next; /* the word to look at */
    const char *const *end;
    void *values;
    uint64_t given; /* bit i: option i stood on the command line */
    bool are_options_over;
    struct opt_call call;
};

/* "etcdseal key stage", as far as it is known. */
static void level_name(const struct opt_call *call, char *to, size_t size)
{
    const struct opt_command *c = call->command;
    const char *noun = c == NULL ? call->noun : c->noun;
    const char *verb = c == NULL ? NULL : c->verb;
    (void)snprintf(to, size, "%s%s%s%s%s", call->program->name, noun == NULL ? "" : " ",
                   noun == NULL ? "" : noun, verb == NULL ? "" : " ", verb == NULL ? "" : verb);
}

/* A refusal: the sentence, the nearest valid word if there is one, and where to read on. */
PRINTF_LIKE(4, 5)
static enum kerr refuse(const struct parse *parse, const char *nearest, struct kerrinfo *e,
                        const char *fmt, ...)
{
    char sentence[KERRINFO_TEXT_MAX];
    char level[SHOWN_BYTES * 2];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    level_name(&parse->call, level, sizeof level);
    if (nearest == NULL) {
        return kerr_set(e, KERR_USAGE, "%.320s. Try '%s --help'.", sentence, level);
    }
    return kerr_set(e, KERR_USAGE, "%.320s; did you mean '%s'? Try '%s --help'.", sentence, nearest,
                    level);
}

static void show(struct bytes word, char to[static SHOWN_BYTES])
{
    text_escape(word, to, SHOWN_BYTES);
}

/* Appends "a, b, c" of names to a message, cut at its end. */
static void add_name(char *list, size_t size, const char *name)
{
    size_t used = strlen(list);
    (void)snprintf(list + used, size - used, "%s%s", used == 0 ? "" : ", ", name);
}

static enum kerr store_choice(const struct parse *parse, const struct opt_row *row,
                              const char *text, const char **to, struct kerrinfo *e)
{
    struct opt_words words = opt_words_of(row->choices, '|');
    char list[KERRINFO_TEXT_MAX / 2] = "";
    char name[OPT_WORD_BYTES];
    while (opt_words_next(&words, name)) {
        if (strcmp(name, text) == 0) {
            *to = text;
            return KERR_OK;
        }
        add_name(list, sizeof list, name);
    }
    char shown[SHOWN_BYTES];
    show(bytes_of_text(text), shown);
    return refuse(parse, NULL, e, "'--%s' can't be '%s': expected one of %s", row->name, shown,
                  list);
}

static enum kerr store_number(const struct parse *parse, const struct opt_row *row,
                              const char *text, uint64_t *to, struct kerrinfo *e)
{
    char what[OPT_WORD_BYTES + 2];
    (void)snprintf(what, sizeof what, "--%s", row->name);
    struct kerrinfo why = {0};
    enum kerr k = row->type == OPT_U64 ? text_to_u64(text, what, row->min, row->max, to, &why)
                  : row->type == OPT_SIZE
                      ? text_to_size(text, what, row->min, row->max, to, &why)
                      : text_to_duration_ms(text, what, row->min, row->max, to, &why);
    return k == KERR_OK ? k : refuse(parse, NULL, e, "%s", why.text);
}

static enum kerr store_item(const struct parse *parse, const struct opt_row *row, const char *text,
                            struct opt_list *to, struct kerrinfo *e)
{
    if (to->count == OPT_LIST_MAX) {
        return refuse(parse, NULL, e, "'--%s' was given more than %d times", row->name,
                      OPT_LIST_MAX);
    }
    to->items[to->count++] = text;
    return KERR_OK;
}

/* Flags have no text. */
static enum kerr store(const struct parse *parse, const struct opt_row *row, const char *text,
                       struct kerrinfo *e)
{
    void *to = (char *)parse->values + row->offset;
    if (row->type != OPT_FLAG && (*text == 0 || strlen(text) > OPT_VALUE_MAX)) {
        return refuse(parse, NULL, e, "'--%s' needs a value of 1 to %d bytes", row->name,
                      OPT_VALUE_MAX);
    }
    switch (row->type) {
    case OPT_FLAG:
        *(bool *)to = true;
        return KERR_OK;
    case OPT_TEXT:
    case OPT_PATH:
        *(const char **)to = text;
        return KERR_OK;
    case OPT_CHOICE:
        return store_choice(parse, row, text, to, e);
    case OPT_U64:
    case OPT_DURATION:
    case OPT_SIZE:
        return store_number(parse, row, text, to, e);
    case OPT_LIST:
        return store_item(parse, row, text, to, e);
    }
    return kerr_set(e, KERR_BUG, "option %s has no type", row->name);
}

static enum kerr preset(const struct parse *parse, struct kerrinfo *e)
{
    memset(parse->values, 0, parse->p->values_size);
    for (size_t i = 0; i < parse->p->option_count; i++) {
        const struct opt_row *row = &parse->p->options[i];
        struct kerrinfo why = {0};
        if (row->preset != NULL && store(parse, row, row->preset, &why) != KERR_OK) {
            return kerr_set(e, KERR_BUG, "preset of option %s: %s", row->name, why.text);
        }
    }
    return KERR_OK;
}

/* `text`: what stands behind '=' or the letter, NULL when the value is the next word. */
static enum kerr take_option(struct parse *parse, size_t index, const char *text,
                             struct kerrinfo *e)
{
    const struct opt_row *row = opt_table_at(parse->p, index);
    enum opt_what what = opt_table_what(row);
    if (row->type == OPT_FLAG && text != NULL) {
        return refuse(parse, NULL, e, "'--%s' takes no value", row->name);
    }
    if (what != OPT_RUN) {
        parse->call.what = what;
        return KERR_OK;
    }
    uint64_t bit = (uint64_t)1 << index;
    if ((parse->given & bit) != 0 && row->type != OPT_LIST) {
        return refuse(parse, NULL, e, "'--%s' was given twice", row->name);
    }
    parse->given |= bit;
    if (row->type != OPT_FLAG && text == NULL) {
        if (parse->next == parse->end) {
            return refuse(parse, NULL, e, "'--%s' needs a value: --%s %s", row->name, row->name,
                          row->value);
        }
        if ((*parse->next)[0] == '-' && (*parse->next)[1] != 0) {
            return refuse(parse, NULL, e,
                          "'--%s' needs a value; one that begins with '-' is written --%s=%s",
                          row->name, row->name, row->value);
        }
        text = *parse->next++;
    }
    return store(parse, row, text, e);
}

static enum kerr take_long(struct parse *parse, const char *word, struct kerrinfo *e)
{
    const char *equals = strchr(word, '=');
    size_t len = equals == NULL ? strlen(word) : (size_t)(equals - word);
    struct bytes name = bytes_of(word + 2, len - 2);
    struct text_nearest nearest = {0};
    for (size_t i = 0; opt_table_at(parse->p, i) != NULL; i++) {
        const struct opt_row *row = opt_table_at(parse->p, i);
        if (bytes_equal_text(name, row->name)) {
            return take_option(parse, i, equals == NULL ? NULL : equals + 1, e);
        }
        text_nearest_try(&nearest, name, row->name);
    }
    char shown[SHOWN_BYTES];
    char best[OPT_WORD_BYTES + 2];
    show(name, shown); /* without the value: it may be meant to be secret */
    (void)snprintf(best, sizeof best, "--%s", nearest.best == NULL ? "" : nearest.best);
    return refuse(parse, nearest.best == NULL ? NULL : best, e, "unknown option '--%s'", shown);
}

static bool find_letter(const struct parse *parse, char letter, size_t *ret)
{
    for (size_t i = 0; opt_table_at(parse->p, i) != NULL; i++) {
        if (opt_table_at(parse->p, i)->letter == letter) {
            *ret = i;
            return true;
        }
    }
    return false;
}

/* "-o", "-ojson", "-o=json", "-qv". */
static enum kerr take_letters(struct parse *parse, const char *word, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (const char *p = word + 1; *p != 0 && k == KERR_OK && parse->call.what == OPT_RUN; p++) {
        size_t index = 0;
        if (!find_letter(parse, *p, &index)) {
            char shown[SHOWN_BYTES];
            show(bytes_of(p, 1), shown);
            return refuse(parse, NULL, e, "unknown option '-%s'", shown);
        }
        if (opt_table_at(parse->p, index)->type != OPT_FLAG) {
            const char *rest = p[1] == 0 ? NULL : p[1] == '=' ? p + 2 : p + 1;
            return take_option(parse, index, rest, e);
        }
        k = take_option(parse, index, NULL, e);
    }
    return k;
}

static enum kerr take_noun(struct parse *parse, const char *word, struct kerrinfo *e)
{
    struct text_nearest nearest = {0};
    for (size_t i = 0; i < parse->p->command_count; i++) {
        const struct opt_command *c = &parse->p->commands[i];
        if (strcmp(c->noun, word) == 0) {
            parse->call.noun = c->noun;
            parse->call.command = c->verb == NULL ? c : NULL;
            return KERR_OK;
        }
        text_nearest_try(&nearest, bytes_of_text(word), c->noun);
    }
    char shown[SHOWN_BYTES];
    show(bytes_of_text(word), shown);
    return refuse(parse, nearest.best, e, "unknown command '%s'", shown);
}

static enum kerr take_verb(struct parse *parse, const char *word, struct kerrinfo *e)
{
    struct text_nearest nearest = {0};
    for (size_t i = 0; i < parse->p->command_count; i++) {
        const struct opt_command *c = &parse->p->commands[i];
        if (strcmp(c->noun, parse->call.noun) != 0 || c->verb == NULL) {
            continue;
        }
        if (strcmp(c->verb, word) == 0) {
            parse->call.command = c;
            return KERR_OK;
        }
        text_nearest_try(&nearest, bytes_of_text(word), c->verb);
    }
    char shown[SHOWN_BYTES];
    show(bytes_of_text(word), shown);
    return refuse(parse, nearest.best, e, "unknown command '%s' of '%s %s'", shown, parse->p->name,
                  parse->call.noun);
}

static enum kerr take_word(struct parse *parse, const char *word, struct kerrinfo *e)
{
    struct opt_call *call = &parse->call;
    if (call->command == NULL) {
        return call->noun == NULL ? take_noun(parse, word, e) : take_verb(parse, word, e);
    }
    if (opt_has_verbs(parse->p, call->command)) {
        return take_verb(parse, word, e);
    }
    if (call->arg_count == call->command->args_max) {
        char shown[SHOWN_BYTES];
        char level[SHOWN_BYTES * 2];
        show(bytes_of_text(word), shown);
        level_name(call, level, sizeof level);
        return refuse(parse, NULL, e, "unexpected argument '%s': '%s' takes %s", shown, level,
                      call->command->args == NULL ? "none" : call->command->args);
    }
    call->args[call->arg_count++] = word;
    return KERR_OK;
}

/* No command, or a first word without its second. */
static enum kerr refuse_incomplete(const struct parse *parse, struct kerrinfo *e)
{
    char list[KERRINFO_TEXT_MAX / 2] = "";
    char level[SHOWN_BYTES * 2];
    const char *before = "";
    for (size_t i = 0; i < parse->p->command_count; i++) {
        const struct opt_command *c = &parse->p->commands[i];
        if (parse->call.noun == NULL && strcmp(c->noun, before) != 0) {
            add_name(list, sizeof list, c->noun);
        } else if (parse->call.noun != NULL && strcmp(c->noun, parse->call.noun) == 0) {
            add_name(list, sizeof list, c->verb);
        }
        before = c->noun;
    }
    level_name(&parse->call, level, sizeof level);
    return refuse(parse, NULL, e, "'%s' needs a command: %s", level, list);
}

static enum kerr check_end(const struct parse *parse, struct kerrinfo *e)
{
    const struct opt_call *call = &parse->call;
    if (call->command == NULL) {
        return refuse_incomplete(parse, e);
    }
    char level[SHOWN_BYTES * 2];
    level_name(call, level, sizeof level);
    for (size_t i = 0; i < parse->p->option_count; i++) {
        const struct opt_row *row = &parse->p->options[i];
        if ((parse->given >> i & 1) != 0 && !opt_is_allowed(row, call->command)) {
            return refuse(parse, NULL, e, "option '--%s' can't be used with '%s', only with: %s",
                          row->name, level, row->commands);
        }
    }
    if (call->arg_count < call->command->args_min) {
        return refuse(parse, NULL, e, "missing argument: '%s' takes %s", level,
                      call->command->args);
    }
    return KERR_OK;
}

enum kerr opt_parse(const struct opt_program *p, int argc, const char *const *argv, void *values,
                    struct opt_call *ret, struct kerrinfo *e)
{
    struct parse parse = {.p = p, .values = values, .call = {.program = p}};
    parse.next = argc > 0 ? argv + 1 : argv;
    parse.end = argc > 0 ? argv + argc : argv;
    parse.call.command = p->commands[0].noun == NULL ? &p->commands[0] : NULL;
    enum kerr k = preset(&parse, e);
    while (k == KERR_OK && parse.call.what == OPT_RUN && parse.next < parse.end) {
        const char *word = *parse.next++;
        if (parse.are_options_over || word[0] != '-' || word[1] == 0) {
            k = take_word(&parse, word, e);
        } else if (word[1] != '-') {
            k = take_letters(&parse, word, e);
        } else if (word[2] == 0) {
            parse.are_options_over = true;
        } else {
            k = take_long(&parse, word, e);
        }
    }
    if (k == KERR_OK && parse.call.what == OPT_RUN) {
        k = check_end(&parse, e);
    }
    if (k == KERR_OK) {
        *ret = parse.call;
    }
    return k;
}
