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

/* Sets a->prove, for so many threads. NOMEM. */
enum kerr prove_begin(struct audit *a, unsigned threads, struct kerrinfo *e) MUST_CHECK;
void prove_end(struct audit *a);

/* Proves an item that item_read has seen, or leaves it as PROOF_NEEDS_SEED. On thread `worker`, any
 * number of them at a time; what fails is kept for prove_failure. */
void prove_item(struct audit *a, unsigned worker, struct audit_item *item);
/* The others below: while no thread proves. Has the seed of a PROOF_NEEDS_SEED unwrapped, so that
 * prove_item finds it. */
enum kerr prove_ask(struct audit *a, struct audit_item *item, struct kerrinfo *e) MUST_CHECK;
/* What failed on a thread. */
enum kerr prove_failure(const struct audit *a, struct kerrinfo *e) MUST_CHECK;
/* Proves one item at once and counts nothing. */
enum kerr prove_alone(struct audit *a, struct audit_item *item, struct kerrinfo *e) MUST_CHECK;
/* Wipes the plaintexts that were decrypted last. */
void prove_wipe(struct audit *a);

#endif
