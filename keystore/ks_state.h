/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life cycle of a key: its state is computed from its times, and each command is allowed from
 * the states of one table. Pure.
 *
 *   staged ──promote──▶ primary ──(another is promoted)──▶ retired
 *   staged, retired ◀──enable── / ──disable──▶ disabled
 *   retired, disabled ──destroy──▶ destroy-scheduled ──destroy, once due──▶ destroyed
 *   destroy-scheduled ──cancel-destroy──▶ disabled
 *   any but destroyed: compromise sets a flag
 *
 * No key is promoted twice; a destroyed one stays as a tombstone for ever, so that its id never
 * returns. The clock alone changes nothing: it only permits the second destroy.
 */
#ifndef ETCDSEAL_KEYSTORE_KS_STATE_H
#define ETCDSEAL_KEYSTORE_KS_STATE_H

#include "keystore/ks_model.h"

enum ks_state {
    KS_STAGED,
    KS_PRIMARY,
    KS_RETIRED,
    KS_DISABLED,
    KS_DESTROY_SCHEDULED,
    KS_DESTROYED,
    KS_STATE_COUNT
};

enum ks_command {
    KS_PROMOTE,
    KS_DISABLE,
    KS_ENABLE,
    KS_DESTROY,
    KS_CANCEL_DESTROY,
    KS_COMPROMISE,
    KS_COMMAND_COUNT
};

const char *ks_state_name(enum ks_state state);       /* "destroy-scheduled" */
const char *ks_command_name(enum ks_command command); /* "cancel-destroy" */

enum ks_state ks_state(const struct ks_key *key);
/* Whether a key in this state may unwrap: staged, primary and retired ones may. */
bool ks_state_unwraps(enum ks_state state);

/* What a command needs besides the key. */
struct ks_command_args {
    uint64_t now_s;
    uint64_t after_s; /* destroy of a key that is not scheduled: grace time from now */
    const char *note; /* destroy once due: the operator's answer about backups; not empty */
};

/* Carries a command out on the model. STATE says the key's state, from which states the command is
 * allowed and what to do instead; KEYID when there is no such key. *ret_destroyed (may be NULL) is
 * true when this call wiped the key's material. The model is unchanged on failure. */
enum kerr ks_command(struct ks_model *m, enum ks_command command, const uint8_t id[KS_ID_BYTES],
                     const struct ks_command_args *args, bool *ret_destroyed,
                     struct kerrinfo *e) MUST_CHECK;

/* Adds a new staged key with random id and material. LIMIT. */
enum kerr ks_add_key(struct ks_model *m, enum suite suite, uint64_t now_s,
                     uint8_t ret_id[KS_ID_BYTES], struct kerrinfo *e) MUST_CHECK;

#endif
