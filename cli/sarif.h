/* SPDX-License-Identifier: Apache-2.0 */
/* Findings as SARIF 2.1.0, which code hosts and editors show beside the lines of the file. */
#ifndef ETCDSEAL_CLI_SARIF_H
#define ETCDSEAL_CLI_SARIF_H

#include "config/finding.h"

/* `file` as it was named on the command line. LIMIT, NOMEM. */
enum kerr sarif_print(const char *file, const struct lint_list *list, struct buf *to,
                      struct kerrinfo *e) MUST_CHECK;

#endif
