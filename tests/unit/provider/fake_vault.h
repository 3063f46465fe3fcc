/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of vault/vault.h over one Transit key in memory, for programs that link this
 * instead of the room's client. A fake, because a test of the provider wants a fault at an exact
 * call, a server restored from a backup, and no waiting; the real server is used by tests/system.
 *
 * Encryption is AES-256-GCM under a key for each version, with the associated data. What happens is
 * set from outside, from any thread.
 */
#ifndef ETCDSEAL_TESTS_UNIT_PROVIDER_FAKE_VAULT_H
#define ETCDSEAL_TESTS_UNIT_PROVIDER_FAKE_VAULT_H

#include <stdatomic.h>

#include "vault/vault.h"

#define FAKE_VERSIONS_MAX 64

enum fake_call { FAKE_TEND, FAKE_READ, FAKE_ENCRYPT, FAKE_DECRYPT, FAKE_CALLS };

struct fake_vault {
    atomic_int cause[FAKE_CALLS]; /* enum vault_cause of each call to come; NONE: it works */
    atomic_uint calls[FAKE_CALLS];
    atomic_uint latest;
    atomic_uint min_decryption;
    atomic_uint min_encryption;
    atomic_ullong created_s[FAKE_VERSIONS_MAX + 1]; /* by version */
    atomic_uint material[FAKE_VERSIONS_MAX + 1];    /* what its key is made from */
    atomic_int login_cause;
};
extern struct fake_vault fake_vault;

/* One version, an hour old; everything works. */
void fake_vault_reset(void);
/* A new version, an hour old. Returns its number. */
uint32_t fake_vault_rotate(void);
/* Every call from now on ends so. */
void fake_vault_fail(enum vault_cause cause);
unsigned fake_vault_calls(void); /* all kinds */

#endif
