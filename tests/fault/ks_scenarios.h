/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that writes a keystore or its neighbours, one row each, so that each suite here walks
 * through all of it: killed, with failing calls, with failing allocations.
 */
#ifndef ETCDSEAL_TESTS_FAULT_KS_SCENARIOS_H
#define ETCDSEAL_TESTS_FAULT_KS_SCENARIOS_H

#include "tests/lib/ks_fixture.h"

struct ks_scenario {
    const char *name;
    /* Makes what the act changes, a keystore that opens. NULL: there is none yet. */
    void (*prepare)(struct ks_fixture *f);
    /* What happens to it then (NULL: nothing); it need not open any more. */
    void (*spoil)(struct ks_fixture *f);
    /* Makes no allocation and no file of its own. */
    enum kerr (*act)(struct ks_fixture *f, struct kerrinfo *e);
    uint64_t generations; /* that the act makes */
    bool is_repeated; /* cut off, it is to be run again; all others leave a keystore that opens */
    int least_calls;  /* that change the disk; fewer would mean that nothing was walked through */
};

extern const struct ks_scenario ks_scenarios[];
extern const size_t ks_scenario_count;

/* A fixture as it stands before the act; ks_scenario_end when done. The keystore as it was before
 * it was spoiled is opened (NULL: there was none). */
struct ks_trial {
    const struct ks_scenario *scenario;
    struct ks_fixture f;
    struct ks *before;
};
void ks_scenario_begin(const struct ks_scenario *s, struct ks_trial *t);
void ks_scenario_end(struct ks_trial *t);

/* After an act that may have been cut off: the keystore opens, if need be after the act was run
 * again, by each of its slots (one whose addition was cut off may have to be tested first); it is
 * the old one or the new one (`is_done`: the new one); no key is lost that the act does not
 * destroy; a backup is whole or absent; and the next change works. `what` is shown where that is
 * not so. */
void ks_scenario_check(struct ks_trial *t, bool is_done, const char *what);

#endif
