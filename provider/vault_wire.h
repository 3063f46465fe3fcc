/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the provider `vault` writes down and sends: key ids, associated data, the annotation that
 * carries a wrapped KEK, and the ciphertext of mode direct. Pure. Numbers are big-endian; lv16 is a
 * u16 length and the bytes. Vectors: tests/data/vault-vectors.json.
 *
 * key id         "esv1-" ‖ base32 (26 characters) of the first 16 bytes of SHA-256 of
 *                lv16 "etcdseal/v1/vault/key-id" ‖ lv16 cluster id ‖ u8 epoch ‖ lv16 mount ‖
 *                lv16 key ‖ u32 version ‖ u64 the version's creation time (Unix s, as the server
 *                gives it). So it is equal on all nodes, another one after each rotation, and
 *                never that of another key.
 * AAD of a KEK   lv16 "etcdseal/v1/vault/kek" ‖ lv16 key id ‖ KEK id (16) ‖ u8 suite
 * AAD of a seed  lv16 "etcdseal/v1/vault/seed" ‖ lv16 cluster id ‖ lv16 key id   (mode direct)
 * annotation     "kek.etcdseal.internal": u8 format (1) ‖ u8 suite ‖ u8 epoch ‖ u32 version ‖
 *                KEK id (16) ‖ lv16 the wrapped KEK, raw (what stands behind "vault:vN:").
 *                Format 2 is kept for a KEK of which Vault wraps one part only.
 * ciphertext     u8 0xd1 ‖ u8 epoch ‖ u32 version ‖ raw   (mode direct)
 *                In mode hierarchy it is that of crypto/suite.h under the KEK, with the associated
 *                data of provider/envelope.h, the cluster id in place of the store id.
 */
#ifndef ETCDSEAL_PROVIDER_VAULT_WIRE_H
#define ETCDSEAL_PROVIDER_VAULT_WIRE_H

#include "base/bytes.h"
#include "config/config.h"

#define VAULT_WIRE_PREFIX     "esv1-"
#define VAULT_WIRE_ID_BYTES   32 /* the prefix, 26 characters and the terminator */
#define VAULT_WIRE_ANNOTATION "kek.etcdseal.internal"
#define VAULT_WIRE_KEK_ID     16
/* Transit adds a nonce (12, XChaCha 24) and a tag (16) to 32 bytes. */
#define VAULT_WIRE_RAW_MIN        60
#define VAULT_WIRE_RAW_MAX        128
#define VAULT_WIRE_ANNOTATION_MAX (1 + 1 + 1 + 4 + VAULT_WIRE_KEK_ID + 2 + VAULT_WIRE_RAW_MAX)
#define VAULT_WIRE_DIRECT_HEAD    6
#define VAULT_WIRE_AAD_MAX        256

/* A version of the key as a key id names it. */
struct vault_wire_version {
    uint8_t epoch;
    uint32_t number;
    uint64_t created_at_s;
};

void vault_wire_key_id(const struct config_vault *config, const struct vault_wire_version *version,
                       char to[static VAULT_WIRE_ID_BYTES]);

/* What an annotation holds; `raw` is a view into what was read. */
struct vault_wire_kek {
    uint8_t suite;
    uint8_t epoch;
    uint32_t version;
    uint8_t kek_id[VAULT_WIRE_KEK_ID];
    struct bytes raw;
};

/* Both give the length. */
size_t vault_wire_kek_aad(const char *key_id, const uint8_t kek_id[static VAULT_WIRE_KEK_ID],
                          uint8_t suite, uint8_t to[static VAULT_WIRE_AAD_MAX]);
size_t vault_wire_seed_aad(const char *cluster_id, const char *key_id,
                           uint8_t to[static VAULT_WIRE_AAD_MAX]);

/* INPUT when `raw` is of another size than Transit makes. */
enum kerr vault_wire_put_annotation(const struct vault_wire_kek *kek,
                                    uint8_t to[static VAULT_WIRE_ANNOTATION_MAX], size_t *ret_len,
                                    struct kerrinfo *e) MUST_CHECK;
/* False for everything that vault_wire_put_annotation does not write. */
bool vault_wire_read_annotation(struct bytes value, struct vault_wire_kek *ret);

/* What mode direct gives as ciphertext; `raw` is a view. */
struct vault_wire_seed {
    uint8_t epoch;
    uint32_t version;
    struct bytes raw;
};
void vault_wire_put_head(const struct vault_wire_seed *seed,
                         uint8_t to[static VAULT_WIRE_DIRECT_HEAD]);
bool vault_wire_read_seed(struct bytes ciphertext, struct vault_wire_seed *ret);

#endif
