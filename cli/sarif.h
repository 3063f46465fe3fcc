/* SPDX-License-Identifier: Apache-2.0 */
/* Findings as SARIF 2.1.0, which code hosts and editors show beside the lines of the file. */
#ifndef ETCDSEAL_CLI_SARIF_H
#define ETCDSEAL_CLI_SARIF_H

#include "config/finding.h"
#include "json/json.h"

/* ---- of every document ---- */

struct sarif_rule {
    const char *id;
    const char *what;
    const char *cure;
    const char *level; /* "error", "warning", "note" */
};

/* Begins a document with one run, whose object stays open. */
void sarif_begin(struct json_writer *w, const struct sarif_rule *rules, size_t count);
/* Text of others in a message goes through escape_sarif (cli/escape.h). */
void sarif_put_message(struct json_writer *w, const char *key, const char *text);
/* The artifactLocation of a file: a relative or absolute URI reference, in which RFC 3986's
 * unreserved characters and '/' stay. LIMIT, NOMEM. */
enum kerr sarif_put_file(struct json_writer *w, const char *file, struct kerrinfo *e) MUST_CHECK;

/* ---- an EncryptionConfiguration's ---- */

/* `file` as it was named on the command line. LIMIT, NOMEM. */
enum kerr sarif_print(const char *file, const struct lint_list *list, struct buf *to,
                      struct kerrinfo *e) MUST_CHECK;

#endif
