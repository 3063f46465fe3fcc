/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file vault.state of a node: the newest version of the key that it has used (its high-water
 * mark), and the wrapped KEK that it uses, so that a restart goes on with it. Nothing in it is
 * secret; it is bound to cluster id, mount and key.
 *
 *     "ESVK" ‖ u8 format (1) ‖ lv16 cluster id ‖ lv16 mount ‖ lv16 key ‖ u8 epoch ‖ u32 version ‖
 *     u64 its creation time ‖ lv16 annotation (vault_wire.h; empty in mode direct) ‖ u64 made (Unix
 *     s) ‖ u64 uses ‖ SHA-256 of all before
 *
 * It is replaced as every file here is (base/file.h), and the one before it is kept as NAME.prev,
 * which nothing opens by itself.
 */
#ifndef ETCDSEAL_PROVIDER_VAULT_STATE_H
#define ETCDSEAL_PROVIDER_VAULT_STATE_H

#include "provider/vault_wire.h"

#define VAULT_STATE_FILE_MAX 4096

struct vault_state {
    struct vault_wire_version mark; /* number 0: nothing was used yet */
    uint8_t annotation[VAULT_WIRE_ANNOTATION_MAX];
    size_t annotation_len; /* 0: no KEK */
    uint64_t made_at_s;    /* of the KEK, wall time */
    uint64_t uses;         /* Encrypt calls under it, about */
};

/* Whether the KEK has been in use for too long or too often (kek_max_age, kek_max_uses). Pure. */
bool vault_state_is_worn(const struct config_vault *config, const struct vault_state *s,
                         uint64_t now_s);

/* Pure halves, for tests and fuzzing. FORMAT when damaged, CONFIG when it is another key's. */
enum kerr vault_state_print(const struct config_vault *config, const struct vault_state *s,
                            struct buf *ret, struct kerrinfo *e) MUST_CHECK;
enum kerr vault_state_parse(const struct config_vault *config, struct bytes file,
                            struct vault_state *ret, struct kerrinfo *e) MUST_CHECK;

/* An absent file is an empty state; an absent folder is NOTFOUND with the cure. */
enum kerr vault_state_read(const struct config_vault *config, struct vault_state *ret,
                           struct kerrinfo *e) MUST_CHECK;
/* Under its lock. UNTRUSTED when the file has a higher mark by now: another process uses it. */
enum kerr vault_state_write(const struct config_vault *config, const struct vault_state *s,
                            struct kerrinfo *e) MUST_CHECK;

#endif
