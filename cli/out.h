/* SPDX-License-Identifier: Apache-2.0 */
/* What the tool writes: results on standard output, remarks, warnings and errors on standard error.
 * The one place of this room that prints. */
#ifndef ETCDSEAL_CLI_OUT_H
#define ETCDSEAL_CLI_OUT_H

#include "cli/doc.h"
#include "cli/options.h"
#include "cli/table.h"

/* A result, whole; IO when it cannot be written. */
enum kerr out_print(const struct buf *text, struct kerrinfo *e) MUST_CHECK;
enum kerr out_line(struct kerrinfo *e, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
/* A remark for a person, left out with --quiet. */
void out_remark(const struct options *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* What must be read: never left out, coloured on a terminal unless NO_COLOR is set. */
void out_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* "etcdseal: MESSAGE". */
void out_error(const struct kerrinfo *e);

/* USAGE for a form that the command does not print: sarif, wide. */
enum kerr out_check_form(const struct options *o, const struct opt_command *command,
                         struct kerrinfo *e) MUST_CHECK;
/* Whether -o asks for a document instead of a table, and one on `to` in the right form. */
bool out_is_doc(const struct options *o);
struct doc out_doc(const struct options *o, struct buf *to, struct kerrinfo *e);

#endif
