/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing manual pages in mdoc (mdoc(7)), piece by piece.
 *
 * A page is made with an appender: lines of macros are appended as they are, and between them
 * words and texts of tables go through the two functions that escape. Input is printable ASCII, as
 * opt_check holds the tables to it. A line of the page has at most 80 bytes and each sentence
 * begins a new one, as `mandoc -Tlint` wants it.
 *
 * Pure; any thread.
 */
#ifndef ETCDSEAL_BASE_MDOC_H
#define ETCDSEAL_BASE_MDOC_H

#include "base/bytes.h"

struct mdoc_head {
    const char *name;    /* "etcdseal" */
    const char *section; /* "1" */
    const char *date;    /* "November 25, 2026": of the version, so that equal sources give equal
                            pages */
    const char *system;  /* what stands at the foot: "etcdseal 0.1.0" */
    const char *about;   /* one line, without the full stop */
};

/* All before the first section of the page's own, NAME included. */
void mdoc_head(struct appender *a, const struct mdoc_head *head);
/* One argument for a macro, with a blank before it. */
void mdoc_word(struct appender *a, const char *word);
/* Running text. Paragraphs are separated by an empty line; lines that begin with a space stand as
 * they are. Ends the line. */
void mdoc_text(struct appender *a, const char *text);
/* Lines that stand as they are, indented: a command. Ends the line. */
void mdoc_literal(struct appender *a, const char *text);

#endif
