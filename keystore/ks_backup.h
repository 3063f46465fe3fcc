/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PATH.backed-up: what this node's last backup copied, so that a person, status and metrics can
 * tell which keys no backup holds.
 *
 * Nothing authenticates the file, so it is only shown: no code may decide anything by it. It is
 * text: comment lines ('#'), then "NAME: VALUE" for store, generation, sha256 and time (Unix
 * seconds) in this order, then "key: ID" for each key whose material is in the copy. It stays on
 * this node. print and parse are pure.
 */
#ifndef ETCDSEAL_KEYSTORE_KS_BACKUP_H
#define ETCDSEAL_KEYSTORE_KS_BACKUP_H

#include "keystore/ks_model.h"

/* A line for each key has 36 bytes. */
#define KS_BACKED_UP_FILE_MAX (64U << 10)
/* The last second of the year 9999: what can be shown as a date. */
#define KS_BACKUP_TIME_MAX UINT64_C(253402300799)

struct ks_backup_record {
    uint8_t store_id[KS_ID_BYTES];
    uint64_t generation;      /* of the copy; 1 … KS_GENERATION_MAX */
    uint8_t hash[HASH_BYTES]; /* SHA-256 of the copy */
    uint64_t at_s;            /* wall time; at most KS_BACKUP_TIME_MAX */
    size_t key_count;
    uint8_t keys[KS_KEYS_MAX][KS_ID_BYTES];
};

/* What a copy of the model, made at `now_s`, is recorded as. */
void ks_backup_record_fill(const struct ks_model *m, const uint8_t hash[HASH_BYTES], uint64_t now_s,
                           struct ks_backup_record *ret);
/* `ret` is a fresh buffer. NOMEM. */
enum kerr ks_backup_record_print(const struct ks_backup_record *r, struct buf *ret,
                                 struct kerrinfo *e) MUST_CHECK;
/* FORMAT names the line; *ret is half filled then. */
enum kerr ks_backup_record_parse(struct bytes text, struct ks_backup_record *ret,
                                 struct kerrinfo *e) MUST_CHECK;

/* Reads PATH.backed-up. NOTFOUND when no backup is known; *ret is half filled after FORMAT. */
enum kerr ks_backup_record_read(const char *path, struct ks_backup_record *ret,
                                struct kerrinfo *e) MUST_CHECK;

/* How many keys of an opened keystore, those that are destroyed left out, the recorded copy has
 * not. All of them with `r` NULL or of another store. */
size_t ks_backup_missing(const struct ks_model *m, const struct ks_backup_record *r);

#endif
