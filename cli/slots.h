/* SPDX-License-Identifier: Apache-2.0 */
/* What init, seal and keystore share: roles of new slots, warnings, and how slots are shown. */
#ifndef ETCDSEAL_CLI_SLOTS_H
#define ETCDSEAL_CLI_SLOTS_H

#include "cli/out.h"
#include "cli/setup.h"

/* The role of a new slot: the one that --role names; else recovery for a passphrase that is asked
 * for, unless the slot is the keystore's first; else node. A ROLE without NAME is for a single slot
 * (slots_check_roles comes first). USAGE. */
enum kerr slots_role(const struct opt_list *roles, const struct seal_spec *spec, bool is_first,
                     uint8_t *ret, struct kerrinfo *e) MUST_CHECK;
/* Whether each NAME=ROLE names one of the slots. USAGE. */
enum kerr slots_check_roles(const struct opt_list *roles, const struct seal_spec *specs,
                            size_t count, struct kerrinfo *e) MUST_CHECK;

/* Says what must be known about a SPEC and what protection it gives. */
void slots_warn(const struct seal_spec *spec, const struct seal_env *env);

/* How this node opens its slots: `specs` of the setup or of PATH.unseal. */
struct slots_how {
    struct seal_spec *owned;
    const struct seal_spec *specs;
    size_t count;
};
/* NOTFOUND does not occur: without a file there are none. */
enum kerr slots_how_open(const struct setup *s, struct slots_how *ret,
                         struct kerrinfo *e) MUST_CHECK;
void slots_how_done(struct slots_how *how);
#define AUTO_HOW AUTO(slots_how_done) struct slots_how

/* What must be done beside it, for a person: a credential must be handed to the service. */
void slots_remark(const struct options *o, const struct seal_spec *spec);

/* "slots": [ … ]. `how` may be NULL: then nothing is said of how this node opens them. */
void slots_doc(struct doc *d, const struct ks_model *m, const struct slots_how *how);
enum kerr slots_table(const struct ks_model *m, const struct slots_how *how, struct buf *to,
                      struct kerrinfo *e) MUST_CHECK;

#endif
