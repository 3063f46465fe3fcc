/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which version of the key shall wrap. Pure.
 *
 * All nodes of a cluster must come to the same answer at about the same time, each from what the
 * server shows: a version may be used from its creation + activation_delay on (the server's time
 * against our wall clock), once this node has seen it for `stability`. Versions that nobody may
 * wrap with (below min_encryption or min_decryption) do not count; when the one in use becomes
 * such, the next one is used at once. The first start of a node takes the newest version that is
 * due, or, of a key that has none yet, the oldest.
 *
 * Nothing goes back: what this node has used once (its high-water mark: epoch, version, creation
 * time) is the least it uses. When the server shows less, or shows that version with another
 * creation time, the key is not what it was (KEY_CHANGED): the choice is then to stay. Versions
 * above the mark are a way out, because they give new key ids.
 */
#ifndef ETCDSEAL_PROVIDER_VAULT_CHOICE_H
#define ETCDSEAL_PROVIDER_VAULT_CHOICE_H

#include "provider/vault_wire.h"
#include "vault/vault.h"

struct vault_choice_input {
    const struct config_vault *config;
    const struct vault_key *key;    /* as the server shows it */
    struct vault_wire_version mark; /* number 0: none yet */
    bool is_wrapping;               /* the mark's version is in use by this process */
    uint32_t seen_version;          /* the latest version that this process has seen … */
    uint64_t seen_ms;               /* … and when first, monotonic */
    uint64_t now_ms;                /* monotonic */
    uint64_t now_s;                 /* wall time */
};

struct vault_choice {
    struct vault_wire_version use; /* number 0: none can be used */
    enum vault_cause cause;        /* KEY_CHANGED, BAD_ANSWER (no version at all), NONE */
    bool is_epoch_back;    /* the configuration's epoch is below the mark's, which is used */
    uint32_t pending;      /* the next version, not due yet; 0 none */
    uint64_t pending_at_s; /* wall time at which it will be, as far as known */
};

void vault_choose(const struct vault_choice_input *in, struct vault_choice *ret);

#endif
