/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keystore in memory: plain structs between the file's bytes (ks_format.h, ks_table.h) and what
 * is done with them. No function here does I/O. One model must not be used by two threads at once.
 *
 * The file, its fields and their order are specified in docs/keystore-format.md.
 */
#ifndef ETCDSEAL_KEYSTORE_KS_MODEL_H
#define ETCDSEAL_KEYSTORE_KS_MODEL_H

#include "base/bytes.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/pubkey.h"
#include "crypto/suite.h"
#include "seal/seal.h"

#define KS_ID_BYTES         16 /* store, slot and key ids: 128 random bits */
#define KS_ROOT_BYTES       32
#define KS_SALT_BYTES       32
#define KS_BOXED_ROOT_BYTES (KS_ROOT_BYTES + PUBKEY_BOX_OVERHEAD)

#define KS_SLOTS_MAX     32   /* nodes, operators and recovery of one control plane */
#define KS_CHANGES_MAX   64   /* roster changes kept; a node that slept longer is told to re-join */
#define KS_KEYS_MAX      1024 /* with tombstones: a key a week for 19 years */
#define KS_LIVE_KEYS_MAX 256  /* each holds a locked page; the usual limit is 2048 pages */
#define KS_NOTE_MAX      256  /* bytes of an operator's answer kept in a tombstone */
#define KS_FILE_MAX      (1U << 20) /* far above what the maxima above need */

/* Generations count changes; so many never happen, and the sum of two of them does not overflow. */
#define KS_GENERATION_MAX (UINT64_C(1) << 62)

/* "es1-" and 26 characters of base32, with terminator. */
#define KS_KEY_ID_PREFIX "es1-"
#define KS_KEY_ID_TEXT   31

enum ks_role { KS_ROLE_NODE = 1, KS_ROLE_OPERATOR = 2, KS_ROLE_RECOVERY = 3 };
const char *ks_role_name(uint8_t role); /* NULL when not known */

struct ks_slot {
    uint8_t id[KS_ID_BYTES];
    char name[SEAL_SLOT_NAME_MAX + 1];
    uint8_t role;
    uint64_t created_at_s;
    uint64_t tested_at_s; /* last time it was seen to open; 0 = never */
    uint8_t box_key[PUBKEY_BYTES];
    uint8_t sign_key[PUBKEY_BYTES];
    struct seal_record seal;
    uint8_t boxed_root[KS_BOXED_ROOT_BYTES];
};

enum ks_change_kind { KS_CHANGE_ADD = 1, KS_CHANGE_REMOVE = 2 };

/* A signed statement that a slot joined or left the roster. */
struct ks_roster_change {
    uint8_t kind;
    uint8_t slot[KS_ID_BYTES];
    uint8_t role;
    uint8_t box_key[PUBKEY_BYTES];
    uint8_t sign_key[PUBKEY_BYTES];
    uint8_t by[KS_ID_BYTES];
    uint64_t generation;
    uint8_t signature[PUBKEY_SIGNATURE];
};

/* One KEK. Times are wall seconds, 0 = did not happen or was taken back; its state is computed from
 * them by ks_state (ks_state.h). */
struct ks_key {
    uint8_t id[KS_ID_BYTES];
    uint8_t suite;
    uint32_t birth_epoch; /* root epoch when it was made */
    uint64_t created_at_s;
    uint64_t promoted_at_s;
    uint64_t retired_at_s;
    uint64_t disabled_at_s;
    uint64_t destroy_due_s; /* destruction is scheduled for then */
    uint64_t destroyed_at_s;
    uint64_t compromised_at_s;
    char note[KS_NOTE_MAX + 1]; /* what the operator answered about backups */
    struct secret *material;    /* SUITE_KEK_BYTES; NULL once destroyed */
};

/* Algorithms of a file; the numbers are on disk. */
enum ks_algorithm_class {
    KS_CLASS_BOX = 1,
    KS_CLASS_TABLE = 2,
    KS_CLASS_MAC = 3,
    KS_CLASS_SIGN = 4
};
#define KS_CLASSES              4
#define KS_BOX_X25519_HKDF_GCM  1 /* kept for later: 2 P-256, 3 X25519 with ML-KEM-768 */
#define KS_TABLE_XAES_256_GCM   1
#define KS_MAC_HKDF_HMAC_SHA256 1
#define KS_SIGN_ED25519         1 /* kept for later: 2 P-256 */
#define KS_ALLOWED_MAX          16

struct ks_algorithm {
    uint8_t class;
    uint8_t id;
};

struct ks_model {
    uint32_t features; /* mandatory ones; a reader refuses bits that it does not know */
    uint8_t store_id[KS_ID_BYTES];
    uint64_t generation;
    uint8_t previous_hash[HASH_BYTES]; /* SHA-256 of the file of generation − 1; zeros for 1 */
    uint32_t root_epoch;
    uint8_t writer[KS_ID_BYTES];
    uint64_t written_at_s;
    uint8_t salt[KS_SALT_BYTES];
    uint8_t algorithm[KS_CLASSES]; /* by class − 1 */
    struct ks_algorithm allowed[KS_ALLOWED_MAX];
    size_t allowed_count;
    struct ks_slot *slots; /* KS_SLOTS_MAX rows */
    size_t slot_count;
    struct ks_roster_change *changes; /* KS_CHANGES_MAX rows */
    size_t change_count;
    struct ks_key *keys; /* KS_KEYS_MAX rows */
    size_t key_count;
};

/* An empty model with room for the maxima. NOMEM. */
enum kerr ks_model_new(struct ks_model **ret, struct kerrinfo *e) MUST_CHECK;
void ks_model_free(struct ks_model *m); /* wipes the keys; NULL is fine */
void ks_model_free_at(struct ks_model **m);
#define AUTO_MODEL AUTO(ks_model_free_at) struct ks_model *

const struct ks_slot *ks_model_slot(const struct ks_model *m, const uint8_t id[KS_ID_BYTES]);
const struct ks_slot *ks_model_slot_named(const struct ks_model *m, const char *name);
struct ks_key *ks_model_key(const struct ks_model *m, const uint8_t id[KS_ID_BYTES]);

/* Key id ↔ text. Reading gives KEYID for anything that is not a key id of this form. */
void ks_key_id_text(const uint8_t id[KS_ID_BYTES], char to[KS_KEY_ID_TEXT]);
enum kerr ks_key_id_parse(struct bytes text, uint8_t to[KS_ID_BYTES],
                          struct kerrinfo *e) MUST_CHECK;

#endif
