/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of etcdseald: one command without a word, and its options.
 */
#ifndef ETCDSEAL_PLUGIN_OPTIONS_H
#define ETCDSEAL_PLUGIN_OPTIONS_H

#include "base/opt.h"

struct options {
    const char *config; /* NULL: not given */
    bool check_config;
};

/* What the command does with its options; the program's main. */
opt_command_fn options_run;

/* The tables, for opt_parse and for generated pages. */
extern const struct opt_program options_program;

/* The configuration file: --config, else ETCDSEAL_CONFIG, else the default. */
const char *options_config_path(const struct options *o);
/* How the daemon ends with an error. It has no findings and opens nothing by itself: what is
 * neither usage nor configuration is not started. */
int options_exit_code(enum kerr k);

#endif
