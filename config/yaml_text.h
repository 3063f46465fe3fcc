/* SPDX-License-Identifier: Apache-2.0 */
/* The look at a text before libfyaml sees it. Private to yaml.c. */
#ifndef ETCDSEAL_CONFIG_YAML_TEXT_H
#define ETCDSEAL_CONFIG_YAML_TEXT_H

#include "config/yaml.h"

/* LIMIT, CONFIG. */
enum kerr yaml_check_text(const struct yaml_source *source, struct kerrinfo *e) MUST_CHECK;

#endif
