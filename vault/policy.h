/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node must be allowed on the server, and nothing more.
 *
 * Encrypt and decrypt need `update` alone: with `create` a mistyped key name makes a new key
 * (upsert). The policy `default`, which every token has unless it is told not to, lets a token look
 * after itself; without it those rights must be given too.
 *
 * Pure; any thread.
 */
#ifndef ETCDSEAL_VAULT_POLICY_H
#define ETCDSEAL_VAULT_POLICY_H

#include "base/bytes.h"
#include "vault/vault.h"

#define VAULT_RIGHT_PATH_MAX (2 * CONFIG_VAULT_NAME_MAX + 16)

/* One path and what is needed there. */
struct vault_right {
    char path[VAULT_RIGHT_PATH_MAX]; /* without "/v1/": "transit/encrypt/kube" */
    unsigned capabilities;           /* enum vault_capability */
    bool is_of_default;              /* given by the policy `default` */
};

/* Row i of the list for a key; false beyond its end. */
bool vault_right_at(const char *mount, const char *key, size_t i, struct vault_right *ret);

/* Appends the policy in HCL, one path a line; those of `default` only if asked for. LIMIT, NOMEM.
 */
enum kerr vault_policy(const char *mount, const char *key, bool has_default, struct buf *ret,
                       struct kerrinfo *e) MUST_CHECK;

#endif
