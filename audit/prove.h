/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proof that what is stored can be read: every encrypted value is decrypted, authenticated with its
 * own key in etcd where its provider does that, and compared with the name that the object gives
 * itself. Plaintexts replace one another in a locked buffer for each thread, and nothing of them
 * leaves this file. Private to audit.
 */
#ifndef ETCDSEAL_AUDIT_PROVE_H
#define ETCDSEAL_AUDIT_PROVE_H

#include "audit/tables.h"

/* Sets a->prove. NOMEM. */
enum kerr prove_begin(struct audit *a, struct kerrinfo *e) MUST_CHECK;
void prove_end(struct audit *a);

/* Where what a source hands in passes: replaces key and value of the next item by copies, which
 * last until it is counted. */
enum kerr prove_keep(struct audit *a, struct bytes *key, struct bytes *value,
                     struct kerrinfo *e) MUST_CHECK;
/* Takes an item over; it is counted when enough of them came together, in their order. */
enum kerr prove_item(struct audit *a, const struct audit_item *item, struct kerrinfo *e) MUST_CHECK;
/* Proves one item at once, on this thread, and counts nothing. */
enum kerr prove_alone(struct audit *a, struct audit_item *item, struct kerrinfo *e) MUST_CHECK;
/* Counts what was taken over. */
enum kerr prove_rest(struct audit *a, struct kerrinfo *e) MUST_CHECK;

/* An object gives itself another name than its key in etcd does. */
bool prove_is_moved(const struct audit *a, struct bytes key, struct bytes object);

#endif
