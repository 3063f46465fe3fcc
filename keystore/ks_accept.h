/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acceptance: which keystore a node believes.
 *
 * keystore.accepted holds one record for each slot that this node opens: generation and hash of the
 * file that was last verified with it, the roster, and a commitment to each key; MAC'ed under a key
 * that derives from that slot's secret, so that whoever can only write files cannot make one. A new
 * file is believed if its writer signed it, its roster is reached from the record's by signed
 * changes, its generation is not lower, it is no fork, and no key vanished, changed its material or
 * came back from destruction. Pure.
 */
#ifndef ETCDSEAL_KEYSTORE_KS_ACCEPT_H
#define ETCDSEAL_KEYSTORE_KS_ACCEPT_H

#include "keystore/ks_crypt.h"
#include "keystore/ks_model.h"

#define KS_COMMITMENT_BYTES  16
#define KS_ACCEPTED_FILE_MAX (2U << 20)

struct ks_accepted_slot {
    uint8_t id[KS_ID_BYTES];
    uint8_t role;
    uint8_t box_key[PUBKEY_BYTES];
    uint8_t sign_key[PUBKEY_BYTES];
};

struct ks_accepted_key {
    uint8_t id[KS_ID_BYTES];
    bool is_destroyed;
    uint8_t commitment[KS_COMMITMENT_BYTES]; /* to suite and material; zeros when destroyed */
};

/* What one slot accepted. */
struct ks_accepted {
    uint8_t slot[KS_ID_BYTES];
    uint8_t store_id[KS_ID_BYTES];
    uint64_t generation;
    uint8_t hash[HASH_BYTES]; /* SHA-256 of the whole file */
    struct ks_accepted_slot roster[KS_SLOTS_MAX];
    size_t roster_count;
    struct ks_accepted_key *keys; /* KS_KEYS_MAX rows */
    size_t key_count;
};

enum kerr ks_accepted_new(struct ks_accepted **ret, struct kerrinfo *e) MUST_CHECK;
void ks_accepted_free(struct ks_accepted *a);
void ks_accepted_free_at(struct ks_accepted **a);
#define AUTO_ACCEPTED AUTO(ks_accepted_free_at) struct ks_accepted *

/* The record of a verified model, for the slot of `keys`. */
enum kerr ks_accepted_of(const struct ks_model *m, const uint8_t file_hash[HASH_BYTES],
                         const struct ks_slot_keys *keys, struct ks_accepted **ret,
                         struct kerrinfo *e) MUST_CHECK;

/* Finds the slot's record in the bytes of keystore.accepted and checks its MAC. UNTRUSTED with the
 * cure when there is none, or when it does not authenticate (made on another node, or altered). */
enum kerr ks_accepted_find(struct bytes file, const struct ks_slot_keys *keys,
                           struct ks_accepted **ret, struct kerrinfo *e) MUST_CHECK;
/* New bytes of keystore.accepted: the old ones (may be empty or damaged: then dropped) with the
 * records of `records` replaced or added. Records of slots that are not in the roster of the first
 * one are dropped. `ret` is a fresh buffer. */
enum kerr ks_accepted_update(struct bytes old_file, const struct ks_accepted *const *records,
                             const struct ks_slot_keys *const *keys, size_t count, struct buf *ret,
                             struct kerrinfo *e) MUST_CHECK;

/* UNTRUSTED, naming which rule was broken, unless the verified model (MAC and table fit) may follow
 * what was accepted. Includes the writer's signature, checked with the roster's key. */
enum kerr ks_accepted_check(const struct ks_accepted *a, const struct ks_model *m,
                            const struct ks_parts *parts, const uint8_t file_hash[HASH_BYTES],
                            const struct ks_slot_keys *keys, struct kerrinfo *e) MUST_CHECK;

#endif
