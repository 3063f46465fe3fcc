/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linter: what is wrong, risky or worth knowing about an EncryptionConfiguration, as a list of
 * findings with place and cure (config/finding.h).
 *
 * Findings of rules with `refused_from` say that kube-apiserver does not load the file, and no such
 * finding says that it does, from the release that the rule names on, with automatic reload on;
 * tests/system/test_encryption_config.py compares that with kube-apiserver's own loader. What a
 * file means for stored data is said only of files that load.
 *
 * Pure. Codes: NOMEM.
 */
#ifndef ETCDSEAL_CONFIG_LINT_H
#define ETCDSEAL_CONFIG_LINT_H

#include "config/encryption_config.h"

/* Above: a kubelet's probe of kube-apiserver (15 s with kubeadm) ends before the KMS check does.
 * Below: calls that wait behind others at a start are given up. */
#define LINT_TIMEOUT_LONG_NS  10000000000
#define LINT_TIMEOUT_SHORT_NS 500000000

struct lint_facts {
    const char *socket_path; /* of our daemon; NULL: not known */
    bool may_be_v1; /* kube-apiserver may run with --feature-gates=KMSv1=true: v1 is no fault */
};

/* Free with free(), or AUTO_LINT. */
enum kerr lint_encryption_config(const struct encryption_config *c, const struct lint_facts *facts,
                                 struct lint_list **ret, struct kerrinfo *e) MUST_CHECK;
void lint_free_at(struct lint_list **list);
#define AUTO_LINT AUTO(lint_free_at) struct lint_list *

/* The first finding of a rule, or NULL. */
const struct lint_finding *lint_find(const struct lint_list *list, enum lint_rule rule);

#endif
