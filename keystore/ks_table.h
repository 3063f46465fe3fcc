/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key table's plaintext: the sealed part of a keystore, in locked memory only. Pure.
 */
#ifndef ETCDSEAL_KEYSTORE_KS_TABLE_H
#define ETCDSEAL_KEYSTORE_KS_TABLE_H

#include "keystore/ks_model.h"

/* Encodes the model's keys. NOMEM, LIMIT. */
enum kerr ks_table_write(const struct ks_model *m, struct secret **ret,
                         struct kerrinfo *e) MUST_CHECK;
/* Reads keys into a model that has none. FORMAT: the table authenticated, so a program wrote it
 * wrongly; the message says where. Checks that exactly one key is primary, that ids differ, that
 * live keys have material and tombstones have none. */
enum kerr ks_table_read(struct bytes table, struct ks_model *m, struct kerrinfo *e) MUST_CHECK;

#endif
