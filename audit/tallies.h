/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records counted by their sorts (audit/sorts.h): one of each sort is looked at, and where nothing
 * is to be told of the others they are counted with it. What one was found to be also holds for the
 * rest where each is looked at, as for a proof. Private to audit.
 *
 * Memory: some 400 bytes for each sort, of which as many are taken as AUDIT_KEY_IDS_MAX leaves room
 * for. Codes: FORMAT where the file has changed; NOMEM; those of audit/audit.h.
 */
#ifndef ETCDSEAL_AUDIT_TALLIES_H
#define ETCDSEAL_AUDIT_TALLIES_H

#include "audit/records.h"
#include "audit/tables.h"

struct tallies;

/* Counts, behind audit_take_prefixes. *ret is NULL where no record is of a sort that can be taken,
 * and borrows `r`. */
enum kerr tallies_take(struct audit *a, const struct records *r, struct tallies **ret,
                       struct kerrinfo *e) MUST_CHECK;
void tallies_free(struct tallies *t); /* NULL is fine */

/* A record is counted. `t` may be NULL, here too. On any thread. */
bool tallies_is_counted(const struct tallies *t, size_t record);
/* A live record's like: the same but for its key, revision and data; NULL: nobody knows. On any
 * thread. */
const struct audit_item *tallies_like(const struct tallies *t, size_t record);

#endif
