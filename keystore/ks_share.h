/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which slots of this node have a copy of its accept key (ks_accept.h), and making that key anew.
 * Private to this room.
 *
 * A copy is sealed under a key of the slot's secret, so a slot must open to get one. Making the key
 * anew therefore shuts out whatever does not open at that moment. A slot that opens by itself is
 * never shut out: a daemon that could not open its keystore at the next start would stop a cluster,
 * and the holder of the removed slot can do nothing without also writing this folder.
 */
#ifndef ETCDSEAL_KEYSTORE_KS_SHARE_H
#define ETCDSEAL_KEYSTORE_KS_SHARE_H

#include "keystore/ks_open.h"

/* Makes the model and hash of `ks` the record. When a slot has gone since, the accept key is made
 * anew and shared again, unless a slot that opens by itself would be left out. *record may be
 * replaced. */
enum kerr ks_follow_record(const struct ks_place *place, const struct ks_folder *folder,
                           const struct ks *ks, struct ks_accepted **record,
                           struct kerrinfo *e) MUST_CHECK;
/* Gives the record's accept key to the slot that opened `ks` and to every slot that opens now by
 * one of the SPECs of the place, of the daemon or of PATH.unseal; with `old` only to those that
 * have a copy there, and whoever else is left out is told. *ret_left_out: one of them opens by
 * itself. */
enum kerr ks_share_accept_key(const struct ks_place *place, const struct ks_folder *folder,
                              const struct ks *ks, const struct ks_accepted *old,
                              struct ks_accepted *record, bool *ret_left_out,
                              struct kerrinfo *e) MUST_CHECK;

#endif
