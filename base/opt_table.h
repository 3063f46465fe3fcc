/* SPDX-License-Identifier: Apache-2.0 */
/* What opt.c and opt_help.c share. Private to base. */
#ifndef ETCDSEAL_BASE_OPT_TABLE_H
#define ETCDSEAL_BASE_OPT_TABLE_H

#include "base/opt.h"

/* Longest word of a table (option, command, choice) with the terminator; opt_check holds to it. */
#define OPT_WORD_BYTES 32

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

#endif
