/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manual pages and completion scripts from the tables of opt.h.
 *
 * What a manual page needs beyond commands and options is one more table of the program; exit codes
 * get the sentences of kerr.def beside the program's own.
 *
 * Pure; any thread. Codes: LIMIT and NOMEM of the buffer; BUG for a table that does not pass
 * opt_check.
 */
#ifndef ETCDSEAL_BASE_OPT_MAN_H
#define ETCDSEAL_BASE_OPT_MAN_H

#include "base/opt.h"

#define OPT_MAN_MAX ((size_t)256 * 1024) /* bytes of a page or script, for buf_init */

struct opt_entry {
    const char *name; /* a variable, a file, a command line */
    const char *help; /* sentences */
};
struct opt_entries {
    const struct opt_entry *rows;
    size_t count;
};
#define OPT_ENTRIES(array) ((struct opt_entries){(array), ARRAY_LEN(array)})

struct opt_exit {
    int code;
    const char *help; /* a sentence without the full stop */
};

struct opt_page {
    const struct opt_program *program;
    const char *section; /* "1" */
    const char *date;    /* as in base/mdoc.h */
    struct opt_entries environment;
    struct opt_entries files;
    struct opt_entries examples; /* name: the command line */
    const struct opt_exit *exits;
    size_t exit_count;
    int (*exit_code)(enum kerr k); /* how the program ends with an error */
    const char *const *see_also;   /* "etcdseald 8", in the order of sections */
    size_t see_also_count;
};

/* Appends the page in mdoc. */
enum kerr opt_man(const struct opt_page *page, struct buf *ret, struct kerrinfo *e) MUST_CHECK;

/* Append a completion script. `frame` is the part that is the same for all programs (pages/): in it
 * PROGRAM stands for the program's name, and a line "# TABLES" for the functions made here. */
enum kerr opt_bash(const struct opt_program *p, struct bytes frame, struct buf *ret,
                   struct kerrinfo *e) MUST_CHECK;
enum kerr opt_zsh(const struct opt_program *p, struct bytes frame, struct buf *ret,
                  struct kerrinfo *e) MUST_CHECK;

#endif
