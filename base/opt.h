/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines: constant tables of commands and options in, one parsed call out; help, manual
 * pages and completion come from the same tables.
 *
 * A program has options (rows of `struct opt_row`) and either commands of one word ("init") or two
 * ("key stage"), or one command without a word (a daemon). Values are parsed by their row's type
 * and stored in a struct of the program at the row's offset, as tables of the config room do.
 * Nothing here prints, exits or allocates, except help into a caller's buffer.
 *
 * What is understood: --opt VALUE, --opt=VALUE, -o VALUE, -oVALUE, -o=VALUE, flags together (-qv),
 * options before, between and behind words, "--" to end options. A value that begins with '-' must
 * be written with '='. Long options can't be shortened. --help and --version are in every program
 * and win over what stands behind them: "etcdseal key --help" is about `key`.
 *
 * Refused with one line that names the word, the nearest valid one where there is one, and whom to
 * ask: unknown commands and options, options of another command, options without a value or with
 * one too many, options given twice (except lists), missing and extra arguments.
 *
 * Secrets have no type here on purpose: a command line can be read by every process. What names a
 * secret is OPT_PATH (a file) or a text that says where it is.
 *
 * Codes: USAGE for all that the caller of the program did wrong; LIMIT and NOMEM from help.
 * Pure; any thread.
 */
#ifndef ETCDSEAL_BASE_OPT_H
#define ETCDSEAL_BASE_OPT_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define OPT_ROWS_MAX     96    /* options of a program, --help and --version among them */
#define OPT_COMMANDS_MAX 64    /* commands of a program */
#define OPT_ARGS_MAX     16    /* arguments of one call */
#define OPT_LIST_MAX     32    /* values of one repeated option: as many as a keystore has slots */
#define OPT_VALUE_MAX    4096  /* bytes of one value: PATH_MAX */
#define OPT_HELP_MAX     65536 /* bytes of one help page, for buf_init */

/* What a row stores at its offset. Texts point into argv. */
enum opt_type {
    OPT_FLAG,     /* bool */
    OPT_TEXT,     /* const char * */
    OPT_PATH,     /* const char *: a file or folder; shells complete it */
    OPT_CHOICE,   /* const char *: one of `choices` */
    OPT_U64,      /* uint64_t in min … max */
    OPT_DURATION, /* uint64_t milliseconds in min … max; "500ms", "30s", "7d" */
    OPT_SIZE,     /* uint64_t bytes in min … max; "512MiB", "2GiB" */
    OPT_LIST,     /* struct opt_list; the option may be repeated */
};

struct opt_list {
    const char *items[OPT_LIST_MAX];
    size_t count;
};

struct opt_row {
    const char *name;  /* without the dashes: "output" */
    char letter;       /* 'o', or 0 */
    const char *value; /* what help calls the value: "FORMAT"; NULL for a flag */
    const char *help;  /* a sentence without the full stop */
    enum opt_type type;
    uint64_t min;
    uint64_t max;
    const char *choices;  /* "table|json|yaml": of letters, digits, '-', '.' and '_' */
    const char *preset;   /* value when it is not given, as one would write it; NULL: unset */
    const char *commands; /* who may use it: "key list,init,seal" (a first word alone stands for all
                             its commands, or for itself where it is one); NULL: every one */
    size_t offset;        /* in the program's struct of values */
};

struct opt_call;
/* Runs the command. `ctx` is the program's. */
typedef enum kerr opt_command_fn(void *ctx, const struct opt_call *call, struct kerrinfo *e);

struct opt_command {
    const char *noun; /* first word; NULL: the program has this command alone */
    const char *verb; /* second word, or NULL */
    bool is_under;    /* behind a first word that is a command itself, whose row comes before */
    const char *args; /* "ID", "NAME [SPEC]", "FILE..."; NULL for none. FILE, FOLDER and PATH are
                         paths: shells complete them */
    unsigned args_min;
    unsigned args_max;
    const char *help; /* a sentence without the full stop */
    const char *more; /* paragraphs, separated by an empty line; NULL */
    opt_command_fn *fn;
};

/* What stands behind a first word that has commands: "key life cycle in the local keystore". */
struct opt_noun {
    const char *name;
    const char *help;
};

struct opt_program {
    const char *name;    /* "etcdseal" */
    const char *version; /* "0.1.0" */
    const char *help;
    const char *more; /* NULL: none */
    const struct opt_noun *nouns;
    size_t noun_count;
    const struct opt_command *commands;
    size_t command_count;
    const struct opt_row *options;
    size_t option_count;
    size_t values_size; /* of the struct that the offsets are for */
};

enum opt_what { OPT_RUN, OPT_SHOW_HELP, OPT_SHOW_VERSION };

struct opt_call {
    enum opt_what what;
    const struct opt_program *program;
    const struct opt_command *command; /* with OPT_SHOW_HELP it may be NULL: */
    const char *noun;                  /* help about this first word, or NULL: about the program */
    const char *args[OPT_ARGS_MAX];    /* point into argv */
    size_t arg_count;
};

/* Reads a command line (argv[0] is skipped). `values` is the program's struct: presets are filled
 * in first, then what was given. USAGE; `values` is then half filled. */
enum kerr opt_parse(const struct opt_program *p, int argc, const char *const *argv, void *values,
                    struct opt_call *ret, struct kerrinfo *e) MUST_CHECK;

/* Appends what `call` (OPT_SHOW_HELP) asks for; lines of at most 80 columns. */
enum kerr opt_help(const struct opt_call *call, struct buf *ret, struct kerrinfo *e) MUST_CHECK;
/* Appends "NAME VERSION" and a newline. */
enum kerr opt_version(const struct opt_program *p, struct buf *ret, struct kerrinfo *e) MUST_CHECK;

/* The options that a command may use, in the order of the table, --help and --version last; NULL
 * beyond the end. `command` NULL: those that every command may use. For generated pages. */
const struct opt_row *opt_row_at(const struct opt_program *p, const struct opt_command *command,
                                 size_t i);
/* Whether the row may be used with the command. */
bool opt_is_allowed(const struct opt_row *row, const struct opt_command *command);
/* Help of a first word: from `nouns`, or of the command that has no second word; NULL if there is
 * no such word. */
const char *opt_noun_help(const struct opt_program *p, const char *noun);

/* Whether the tables keep the rules of this header: for a test of each program. BUG names the
 * row. */
enum kerr opt_check(const struct opt_program *p, struct kerrinfo *e) MUST_CHECK;

#endif
