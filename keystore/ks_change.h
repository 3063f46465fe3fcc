/* SPDX-License-Identifier: Apache-2.0 */
/* The one way in which a keystore is changed. Private to this room. */
#ifndef ETCDSEAL_KEYSTORE_KS_CHANGE_H
#define ETCDSEAL_KEYSTORE_KS_CHANGE_H

#include "keystore/ks_open.h"

/* An open transaction: lock held, keystore opened, model free to be edited. */
struct ks_change {
    const struct ks_place *place;
    struct ks_folder folder;
    int lock_fd;
    struct ks *ks; /* ks->model is edited */
    uint8_t base_hash[HASH_BYTES];
    uint64_t now_s;
    bool drop_previous; /* no PATH.prev is kept and the old one goes */
};

#define KS_CHANGE_NONE ((struct ks_change){.folder = {.dir = {.fd = -1}}, .lock_fd = -1})

enum kerr ks_change_begin(const struct ks_place *place, struct ks_change *ret,
                          struct kerrinfo *e) MUST_CHECK;
/* Makes a new root key and boxes it to all slots; their seals need not be present. */
enum kerr ks_renew_root(struct ks *ks, struct kerrinfo *e) MUST_CHECK;
/* Writes generation + 1: build → temporary file → read back and open → in place → accepted. */
enum kerr ks_change_commit(struct ks_change *c, struct kerrinfo *e) MUST_CHECK;
void ks_change_end(struct ks_change *c); /* releases the lock; all of KS_CHANGE_NONE is fine */
#define AUTO_CHANGE AUTO(ks_change_end) struct ks_change

enum ks_keep { KS_KEEP_PREV, KS_KEEP_DAMAGED, KS_KEEP_NOTHING };

/* Builds and writes the model of `ks` as it is (generation set; the writer is the slot that opened
 * it), then the node's record; with `is_new` (no keystore may be there) the record comes first. */
enum kerr ks_put(const struct ks_place *place, const struct ks_folder *folder, struct ks *ks,
                 bool is_new, enum ks_keep keep, struct kerrinfo *e) MUST_CHECK;
/* Writes a record. */
enum kerr ks_put_accepted(const struct ks_folder *folder, const struct ks_accepted *record,
                          struct kerrinfo *e) MUST_CHECK;
/* Fills a slot of the model: secret, seal, public keys, boxed root. `ret_keys` are its keys. */
enum kerr ks_make_slot(const struct ks_place *place, const struct ks_model *m,
                       const struct secret *root, const struct ks_new_slot *wanted, uint64_t now_s,
                       struct ks_slot *ret, struct secret **ret_secret,
                       struct ks_slot_keys *ret_keys, struct kerrinfo *e) MUST_CHECK;

/* Writes PATH.unseal with these SPECs. */
enum kerr ks_put_unseal(const struct ks_folder *folder, const struct seal_spec *const *specs,
                        size_t count, bool is_new, struct kerrinfo *e) MUST_CHECK;

#endif
