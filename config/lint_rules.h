/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the linter, one for each thing that rules are about. Private to config. */
#ifndef ETCDSEAL_CONFIG_LINT_RULES_H
#define ETCDSEAL_CONFIG_LINT_RULES_H

#include "config/lint.h"

/* Names in `resources`, alone and beside each other. */
void lint_resources(const struct encryption_config *c, struct lint_list *to);
/* What becomes of stored data; only for a file that loads. */
void lint_meaning(const struct encryption_config *c, struct lint_list *to);

#endif
