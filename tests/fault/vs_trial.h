/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state file of provider vault beside the keystore's scenarios (ks_scenarios.h): a first write,
 * and one over a file that is there. Cut off anywhere, the old state or the new one is read, whole,
 * and the next write works.
 */
#ifndef ETCDSEAL_TESTS_FAULT_VS_TRIAL_H
#define ETCDSEAL_TESTS_FAULT_VS_TRIAL_H

#include "provider/vault_state.h"
#include "tests/lib/testlib.h"

struct vs_trial {
    char *folder;
    char *path;
    struct config_vault config;
    struct vault_state before; /* number 0: there is no file yet */
    struct vault_state next;
};

extern const bool vs_trials[2]; /* whether there is a file already */

/* A folder as it stands before the write; vs_trial_end when done. */
void vs_trial_begin(struct vs_trial *t, bool has_file);
void vs_trial_end(struct vs_trial *t);
/* Makes no allocation and no file of its own. */
enum kerr vs_trial_act(struct vs_trial *t, struct kerrinfo *e);
/* After an act that may have been cut off (`is_done`: it was not). */
void vs_trial_check(struct vs_trial *t, bool is_done, const char *what);

#endif
