/* SPDX-License-Identifier: Apache-2.0 */
/* What the opt_*.c share. Private to base. */
#ifndef ETCDSEAL_BASE_OPT_TABLE_H
#define ETCDSEAL_BASE_OPT_TABLE_H

#include "base/opt.h"

/* Longest word of a table (option, command, choice) with the terminator; opt_check holds to it. */
#define OPT_WORD_BYTES 40

/* Row i of the program's options and, behind them, of --help and --version; NULL beyond. */
const struct opt_row *opt_table_at(const struct opt_program *p, size_t i);
/* OPT_RUN for the program's own rows. */
enum opt_what opt_table_what(const struct opt_row *row);

/* Walks "a|b|c": `to` gets one word after the other; longer ones are cut. */
struct opt_words {
    const char *at;
    char separator;
};
struct opt_words opt_words_of(const char *list, char separator); /* NULL: none */
bool opt_words_next(struct opt_words *w, char to[static OPT_WORD_BYTES]);

/* Appends the row's help and what its type allows. */
enum kerr opt_row_text(const struct opt_row *row, struct buf *b, struct kerrinfo *e) MUST_CHECK;

/* The index behind the last of the commands that share the first word of command `first`. */
size_t opt_noun_end(const struct opt_program *p, size_t first);

/* The command is a first word alone, and others are under it. */
bool opt_has_verbs(const struct opt_program *p, const struct opt_command *command);

struct opt_arg {
    char name[OPT_WORD_BYTES]; /* "SPEC" of "NAME [SPEC]" */
    bool is_optional;
    bool is_path;     /* FILE, FOLDER or PATH */
    bool is_repeated; /* behind the last name of `args`: it stands for all that follow */
};
/* Argument i of a command; false beyond args_max. */
bool opt_arg_at(const struct opt_command *command, size_t i, struct opt_arg *ret);

/* Appends a completion script: `frame` with the program's name for PROGRAM and what `tables`
 * appends for the line "# TABLES". */
typedef void opt_tables_fn(struct appender *a, const struct opt_program *p);
void opt_put_frame(struct appender *a, const struct opt_program *p, struct bytes frame,
                   opt_tables_fn *tables);

#endif
