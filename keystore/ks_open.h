/* SPDX-License-Identifier: Apache-2.0 */
/* What opening (ks_open.c), changing (ks_change.c) and restoring (ks_restore.c) share. Private to
 * this room. */
#ifndef ETCDSEAL_KEYSTORE_KS_OPEN_H
#define ETCDSEAL_KEYSTORE_KS_OPEN_H

#include "keystore/ks.h"
#include "keystore/ks_accept.h"
#include "keystore/ks_crypt.h"
#include "keystore/ks_files.h"

struct ks {
    struct ks_model *model;
    uint8_t hash[HASH_BYTES]; /* of the whole file */
    struct secret *root;
    struct secret *slot_secret;    /* of the slot that opened it */
    struct ks_slot_keys slot_keys; /* derived from it */
    struct ks_accepted *accepted;  /* the node's record; NULL while there is none (init, restore) */
};

/* Parses and unseals file bytes. Tries `previous`, then the SPECs of the place or of PATH.unseal.
 * The root MAC fits and the table is read. With `accepted_file` a slot only counts as opening when
 * it also opens the node's record, which then stands in (*ret)->accepted, not yet compared. */
enum kerr ks_unseal_bytes(const struct ks_place *place, const struct ks_folder *folder,
                          struct bytes file, const struct bytes *accepted_file,
                          const struct ks *previous, struct ks **ret, struct ks_parts *ret_parts,
                          struct kerrinfo *e) MUST_CHECK;

/* The secret of one SPEC's slot. */
enum kerr ks_unseal_slot(const struct ks_place *place, const struct ks_model *m,
                         const struct seal_spec *spec, struct secret **ret,
                         struct kerrinfo *e) MUST_CHECK;

/* ks_open in an open folder. */
enum kerr ks_open_in(const struct ks_place *place, const struct ks_folder *folder,
                     const struct ks *previous, struct ks **ret, struct kerrinfo *e) MUST_CHECK;

/* The SPECs to use: the place's own or those of PATH.unseal (then *ret_owned is to be freed). */
enum kerr ks_place_specs(const struct ks_place *place, const struct ks_folder *folder,
                         struct seal_spec **ret_owned, const struct seal_spec **ret,
                         size_t *ret_count, struct kerrinfo *e) MUST_CHECK;

#endif
