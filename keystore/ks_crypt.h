/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key schedule: from a slot secret to the slot's keys, from the root key to the table, and the
 * proofs over a whole file. Pure.
 */
#ifndef ETCDSEAL_KEYSTORE_KS_CRYPT_H
#define ETCDSEAL_KEYSTORE_KS_CRYPT_H

#include "keystore/ks_format.h"
#include "keystore/ks_model.h"

/* Keys that derive from one slot secret. */
struct ks_slot_keys {
    uint8_t slot[KS_ID_BYTES];
    struct secret *box;    /* X25519 seed */
    struct secret *sign;   /* Ed25519 seed */
    struct secret *accept; /* MAC key of this slot's record in keystore.accepted */
};

enum kerr ks_slot_keys_derive(const uint8_t store_id[KS_ID_BYTES], const uint8_t slot[KS_ID_BYTES],
                              const struct secret *slot_secret, struct ks_slot_keys *ret,
                              struct kerrinfo *e) MUST_CHECK;
void ks_slot_keys_done(struct ks_slot_keys *keys); /* all zero is fine */
#define AUTO_SLOT_KEYS AUTO(ks_slot_keys_done) struct ks_slot_keys

/* store id ‖ slot id: what a seal is bound to. */
#define KS_SEAL_BINDING_BYTES (2 * KS_ID_BYTES)
void ks_seal_binding(const uint8_t store_id[KS_ID_BYTES], const uint8_t slot[KS_ID_BYTES],
                     uint8_t to[KS_SEAL_BINDING_BYTES]);

/* Boxes the root key to a slot, bound to all of the slot's fields that matter and to the model's
 * store id and root epoch. */
enum kerr ks_box_root(const struct ks_model *m, struct ks_slot *slot, const struct secret *root,
                      struct kerrinfo *e) MUST_CHECK;
/* INTEGRITY "wrong secret or altered slot" also when the slot's public keys are not the derived
 * ones. */
enum kerr ks_unbox_root(const struct ks_model *m, const struct ks_slot *slot,
                        const struct ks_slot_keys *keys, struct secret **ret,
                        struct kerrinfo *e) MUST_CHECK;

/* Makes the bytes of a whole file: seals the keys under `root`, MACs, signs with `writer`, whose
 * slot id must be m->writer. `ret` is a fresh buffer. */
enum kerr ks_build_file(const struct ks_model *m, const struct secret *root,
                        const struct ks_slot_keys *writer, struct buf *ret,
                        struct kerrinfo *e) MUST_CHECK;

/* INTEGRITY unless the MAC under the root key fits. */
enum kerr ks_check_mac(const struct ks_model *m, const struct ks_parts *parts,
                       const struct secret *root, struct kerrinfo *e) MUST_CHECK;
/* INTEGRITY unless `sign_key` signed the file. */
enum kerr ks_check_signature(const struct ks_parts *parts, const uint8_t sign_key[PUBKEY_BYTES],
                             struct kerrinfo *e) MUST_CHECK;
/* Opens the sealed table and reads the keys into the model. */
enum kerr ks_open_table(struct ks_model *m, const struct ks_parts *parts, const struct secret *root,
                        struct kerrinfo *e) MUST_CHECK;

enum kerr ks_sign_change(const struct ks_model *m, const struct ks_slot_keys *by,
                         struct ks_roster_change *c, struct kerrinfo *e) MUST_CHECK;
bool ks_verify_change(const struct ks_model *m, const struct ks_roster_change *c,
                      const uint8_t sign_key[PUBKEY_BYTES]);

#endif
