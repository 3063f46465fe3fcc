/* SPDX-License-Identifier: Apache-2.0 */
/* What several forms of the report say of an audit, worked out once. Pure. */
#ifndef ETCDSEAL_CLI_AUDIT_FACTS_H
#define ETCDSEAL_CLI_AUDIT_FACTS_H

#include "audit/audit.h"
#include "crypto/hash.h"

/* Findings by resource and rule: how many, and which. Four bytes for each finding. */
struct audit_group {
    uint32_t first; /* in `order` */
    uint32_t count;
};
struct audit_groups {
    struct audit_group (*rows)[AUDIT_RULE_COUNT]; /* the last row: about no resource */
    uint32_t *order;                              /* indices of findings, group by group */
    struct memory *memory;
    uint64_t taken; /* of it */
};
/* Clean with audit_groups_done even on failure. NOMEM; LIMIT for more than 2^32 - 1 findings. */
enum kerr audit_groups_make(const struct audit *a, struct audit_groups *ret,
                            struct kerrinfo *e) MUST_CHECK;
void audit_groups_done(struct audit_groups *g);
#define AUTO_AUDIT_GROUPS AUTO(audit_groups_done) struct audit_groups

/* The sum of the encrypted classes. */
uint64_t audit_encrypted(const struct audit_counts *c);
/* A KMS provider's name; of the others what they are: "aescbc". */
struct bytes audit_provider_of(const struct audit_key_id *row);

/* "sha256:" and hex, as kube-apiserver's metrics show a key id; "" for what has none. */
#define AUDIT_HASH_TEXT_BYTES (sizeof "sha256:" + 2 * (size_t)HASH_BYTES)
void audit_key_id_hash(const struct audit_key_id *row, char to[static AUDIT_HASH_TEXT_BYTES]);

/* What a rule's findings are about: a place that holds what is left over, the audit as a whole, or
 * a resource and its objects. */
enum audit_scope { AUDIT_OF_RESOURCES, AUDIT_OF_PLACES, AUDIT_OF_WHOLE };
enum audit_scope audit_scope_of(enum audit_rule rule);

/* Whether a finding of the rule is a failure by itself: of severity error, or of --fail-on. */
bool audit_is_failure(const struct audit *a, enum audit_rule rule);

#endif
