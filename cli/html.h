/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small writer of HTML: markup of ours goes in with append_text, all else through these. No text
 * of others can end an element or an attribute, nor show what it is not (cli/escape.h). Failures
 * are the appender's.
 */
#ifndef ETCDSEAL_CLI_HTML_H
#define ETCDSEAL_CLI_HTML_H

#include "base/bytes.h"

void html_text(struct appender *a, const char *text);
/* In a code element. */
void html_code(struct appender *a, struct bytes text);
void html_number(struct appender *a, uint64_t number); /* "1,234,567" */

/* ---- tables ---- */

struct html_column {
    const char *title;
    bool is_number;
};
/* Opens a table with its head; the body stays open. */
void html_table(struct appender *a, const char *caption, const struct html_column *columns,
                size_t count);
void html_table_end(struct appender *a);
void html_cell(struct appender *a, const char *text);                      /* NULL: a dash */
void html_cell_number(struct appender *a, bool is_known, uint64_t number); /* not known: a dash */

/* ---- bars ---- */

struct html_part {
    const char *tone; /* class of the style sheet */
    const char *what; /* for who can't see it: "plaintext" */
    uint64_t value;
};
/* A bar of parts, each that is there wide enough to be seen. Nothing for a sum of 0. */
void html_bar(struct appender *a, const struct html_part *parts, size_t count);

#endif
