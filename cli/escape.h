/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of others (names, keys of etcd, paths) in the languages of reports. What is not printable
 * ASCII, and quotes and backslashes, become \xNN first, as text_escape does it: no form holds a
 * control character, a terminal's escape or a letter that turns the direction of a line, and each
 * byte can still be told. Nothing is cut. Pure; failures are the appender's.
 */
#ifndef ETCDSEAL_CLI_ESCAPE_H
#define ETCDSEAL_CLI_ESCAPE_H

#include "base/bytes.h"

/* HTML and XML: between tags, and in quoted attributes. */
void escape_markup(struct appender *a, struct bytes text);
/* A cell of RFC 4180, quoted where it must be. What a spreadsheet takes for a formula gets an
 * apostrophe before it. */
void escape_csv(struct appender *a, struct bytes text);
/* The value of a label of Prometheus' text format, without its quotes. */
void escape_label(struct appender *a, struct bytes text);
/* Within a message string of SARIF (section 3.11: links and placeholders), for a JSON writer. */
void escape_sarif(struct appender *a, struct bytes text);
/* A word of a command line, quoted for a POSIX shell where it must be. */
void escape_shell(struct appender *a, struct bytes text);

#endif
