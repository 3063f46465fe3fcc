/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acceptance: which keystore a node believes.
 *
 * keystore.accepted holds the node's one record: generation and hash of the file that was last
 * verified, the roster, and for each key a commitment and what must not be undone. It is MAC'ed
 * under the node's accept key, a random key that lies in the same file once for each slot that this
 * node opens, sealed under a key that derives from that slot's secret. So whoever can only write
 * files can neither make a record nor choose among records, and whichever slot opens the keystore
 * finds the same record, as new as the last change.
 *
 * A new file is believed if its writer signed it, its roster is reached from the record's by signed
 * changes, its generation is not lower, it is no fork, and no key vanished, changed its material,
 * came back from destruction, or forgot that it had been primary.
 *
 * A slot gets its copy of the accept key when its secret is at hand: when it is made, or tested.
 * When a slot is removed the accept key is made anew, because the removed slot's holder knows it;
 * until that can be done without leaving out a slot that opens by itself, the copy of the removed
 * slot stays as the mark that it is still to be done. Pure.
 */
#ifndef ETCDSEAL_KEYSTORE_KS_ACCEPT_H
#define ETCDSEAL_KEYSTORE_KS_ACCEPT_H

#include "crypto/aead.h"
#include "keystore/ks_crypt.h"
#include "keystore/ks_model.h"

#define KS_ACCEPT_KEY_BYTES  32
#define KS_COMMITMENT_BYTES  16
#define KS_ACCEPTED_FILE_MAX (128U << 10)

struct ks_accepted_slot {
    uint8_t id[KS_ID_BYTES];
    uint8_t role;
    uint8_t box_key[PUBKEY_BYTES];
    uint8_t sign_key[PUBKEY_BYTES];
};

/* What neither a restored backup nor a fork may undo. */
enum ks_accepted_flags {
    KS_ACCEPTED_DESTROYED = 1 << 0,
    KS_ACCEPTED_PRIMARY = 1 << 1,
    KS_ACCEPTED_DISABLED = 1 << 2, /* or its destruction is scheduled */
    KS_ACCEPTED_COMPROMISED = 1 << 3,
    KS_ACCEPTED_PROMOTED = 1 << 4, /* is or was primary */
};

struct ks_accepted_key {
    uint8_t id[KS_ID_BYTES];
    uint8_t flags;
    uint8_t commitment[KS_COMMITMENT_BYTES]; /* to suite and material; zeros when destroyed */
};

/* The accept key, sealed for one slot: nonce ‖ ciphertext ‖ tag of XAES-256-GCM. */
#define KS_ACCEPT_COPY_BYTES (AEAD_XAES_NONCE + KS_ACCEPT_KEY_BYTES + AEAD_TAG)
struct ks_accept_copy {
    uint8_t slot[KS_ID_BYTES];
    uint8_t sealed[KS_ACCEPT_COPY_BYTES];
};

struct ks_accepted {
    struct secret *key; /* the node's accept key */
    struct ks_accept_copy copies[KS_SLOTS_MAX];
    size_t copy_count;
    uint8_t store_id[KS_ID_BYTES];
    uint64_t generation;
    uint8_t hash[HASH_BYTES]; /* SHA-256 of the whole file */
    struct ks_accepted_slot roster[KS_SLOTS_MAX];
    size_t roster_count;
    struct ks_accepted_key *keys; /* KS_KEYS_MAX rows */
    size_t key_count;
};

/* One with a new accept key, no copies and no record. */
enum kerr ks_accepted_new(struct ks_accepted **ret, struct kerrinfo *e) MUST_CHECK;
void ks_accepted_free(struct ks_accepted *a); /* NULL is fine */
void ks_accepted_free_at(struct ks_accepted **a);
#define AUTO_ACCEPTED AUTO(ks_accepted_free_at) struct ks_accepted *

/* Reads keystore.accepted with the secret of one slot. UNTRUSTED with the cure when the slot has no
 * copy, or when it or the record does not authenticate (altered, or made on another node). */
enum kerr ks_accepted_read(struct bytes file, const struct ks_slot_keys *keys,
                           struct ks_accepted **ret, struct kerrinfo *e) MUST_CHECK;
/* The generation that the bytes claim, unverified; 0 when they are no such file. */
uint64_t ks_accepted_peek_generation(struct bytes file);
/* `ret` is a fresh buffer. */
enum kerr ks_accepted_write(const struct ks_accepted *a, struct buf *ret,
                            struct kerrinfo *e) MUST_CHECK;

/* Seals the accept key for a slot, in place of a copy that it has. LIMIT. */
enum kerr ks_accepted_add_slot(struct ks_accepted *a, const struct ks_slot_keys *keys,
                               struct kerrinfo *e) MUST_CHECK;
bool ks_accepted_has_slot(const struct ks_accepted *a, const uint8_t slot[KS_ID_BYTES]);
/* Whether there is a copy for a slot that the model has not: its holder knows the accept key. */
bool ks_accepted_lost_slot(const struct ks_accepted *a, const struct ks_model *m);
/* Makes the verified model the record; the copies stay as they are. Callers outside of this file's
 * pair go through ks_follow_record (ks_change.h), which renews the accept key. */
void ks_accepted_take(struct ks_accepted *a, const struct ks_model *m,
                      const uint8_t file_hash[HASH_BYTES]);
/* The same record and accept key, without copies. */
enum kerr ks_accepted_clone(const struct ks_accepted *a, struct ks_accepted **ret,
                            struct kerrinfo *e) MUST_CHECK;

const struct ks_accepted_key *ks_accepted_key(const struct ks_accepted *a,
                                              const uint8_t id[KS_ID_BYTES]);
const struct ks_accepted_slot *ks_accepted_member(const struct ks_accepted *a,
                                                  const uint8_t id[KS_ID_BYTES]);

/* UNTRUSTED, naming which rule was broken, unless the verified model (MAC and table fit) may follow
 * what was accepted. Includes the writer's signature, checked with the roster's key. */
enum kerr ks_accepted_check(const struct ks_accepted *a, const struct ks_model *m,
                            const struct ks_parts *parts, const uint8_t file_hash[HASH_BYTES],
                            struct kerrinfo *e) MUST_CHECK;

#endif
