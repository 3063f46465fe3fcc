/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an administrator of OpenBao or Vault types so that a node may use a Transit key: engine,
 * key, policy, login, and how the node gets its credential. A script for a POSIX shell with
 * comments that say why. Pure.
 */
#ifndef ETCDSEAL_CLI_VAULT_SETUP_H
#define ETCDSEAL_CLI_VAULT_SETUP_H

#include "base/bytes.h"
#include "config/config.h"

#define VAULT_SETUP_MAX 65536

struct vault_setup {
    const char *program;        /* "bao" or "vault" */
    const char *namespace_path; /* NULL: none */
    const char *mount;          /* these are config_is_segments, config_is_name */
    const char *key;
    const struct config_auth *auth;
    bool has_default; /* tokens have the policy `default` */
};

/* "etcdseal-KEY": the policy, and the role when the configuration names none. */
#define VAULT_SETUP_NAME_BYTES (CONFIG_VAULT_NAME_MAX + 16)
void vault_setup_name(const struct vault_setup *s, char to[static VAULT_SETUP_NAME_BYTES]);

/* Appends the script to a buffer for VAULT_SETUP_MAX. LIMIT, NOMEM. */
enum kerr vault_setup_script(const struct vault_setup *s, struct buf *ret,
                             struct kerrinfo *e) MUST_CHECK;

#endif
