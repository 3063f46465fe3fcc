/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command works on, put together from options, environment and configuration: which
 * keystore, with which seals, and where the daemon answers. Locked memory is started here, under
 * the configuration's rule, so this comes before any secret.
 */
#ifndef ETCDSEAL_CLI_SETUP_H
#define ETCDSEAL_CLI_SETUP_H

#include "cli/options.h"
#include "cli/prompt.h"
#include "config/config.h"
#include "keystore/ks.h"

#define SETUP_PATH_MAX 4096

struct setup {
    const struct options *options;
    struct config *config;
    struct prompt prompt;
    struct seal_spec specs[KS_SLOTS_MAX];  /* of --unseal; none: the daemon's, or PATH.unseal */
    struct seal_spec daemon[KS_SLOTS_MAX]; /* of the configuration, which speaks of its keystore */
    struct ks_place place;                 /* refers to this struct: it must not move */
    char status_socket[SETUP_PATH_MAX];
};

/* The configuration alone: --config, ETCDSEAL_CONFIG, the default file, the defaults. *ret_path is
 * NULL when there is no file. */
enum kerr setup_config(const struct options *o, struct config **ret, const char **ret_path,
                       struct kerrinfo *e) MUST_CHECK;

/* Fills `ret`, which is all zero and is to be cleaned with setup_done even on failure. */
enum kerr setup_open(const struct options *o, struct setup *ret, struct kerrinfo *e) MUST_CHECK;
/* The same, but a configuration that cannot be read is no failure: `why` (empty) gets the cause,
 * and the defaults stand in. For who looks for what is wrong. */
enum kerr setup_open_any(const struct options *o, struct setup *ret, const char **ret_path,
                         struct kerrinfo *why, struct kerrinfo *e) MUST_CHECK;
void setup_done(struct setup *s);
#define AUTO_SETUP AUTO(setup_done) struct setup

/* SPECs of an option; `what` is the option's name. At most KS_SLOTS_MAX; two slots of one name are
 * INPUT. `to` is all zero. */
enum kerr setup_specs(const struct opt_list *list, const char *what,
                      struct seal_spec to[static KS_SLOTS_MAX], size_t *ret_count,
                      struct kerrinfo *e) MUST_CHECK;
void setup_specs_done(struct seal_spec specs[static KS_SLOTS_MAX]);

#endif
