/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/provider/fake_vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/aead.h"

struct fake_vault fake_vault;

/* A client needs nothing but to be there. */
struct vault {
    char nothing;
};

void fake_vault_reset(void)
{
    for (size_t i = 0; i < FAKE_CALLS; i++) {
        atomic_store(&fake_vault.cause[i], VAULT_NONE);
        atomic_store(&fake_vault.calls[i], 0);
    }
    for (unsigned i = 0; i <= FAKE_VERSIONS_MAX; i++) {
        atomic_store(&fake_vault.material[i], i);
        atomic_store(&fake_vault.created_s[i], clock_wall_s() - 3600);
    }
    atomic_store(&fake_vault.latest, 1);
    atomic_store(&fake_vault.min_decryption, 1);
    atomic_store(&fake_vault.min_encryption, 0);
    atomic_store(&fake_vault.login_cause, VAULT_NONE);
}

uint32_t fake_vault_rotate(void)
{
    return atomic_fetch_add(&fake_vault.latest, 1) + 1;
}

void fake_vault_fail(enum vault_cause cause)
{
    for (size_t i = 0; i < FAKE_CALLS; i++) {
        atomic_store(&fake_vault.cause[i], cause);
    }
}

unsigned fake_vault_calls(void)
{
    unsigned sum = 0;
    for (size_t i = 0; i < FAKE_CALLS; i++) {
        sum += atomic_load(&fake_vault.calls[i]);
    }
    return sum;
}

static enum kerr fail(struct vault_try *t, enum vault_cause cause, struct kerrinfo *e)
{
    t->cause = cause;
    return cause == VAULT_NONE ? KERR_OK
                               : kerr_set(e, vault_cause_code(cause), "https://fake: %s",
                                          vault_cause_sentence(cause));
}

static enum kerr begin(struct vault_try *t, enum fake_call call, struct kerrinfo *e)
{
    (void)atomic_fetch_add(&fake_vault.calls[call], 1);
    return fail(t, (enum vault_cause)atomic_load(&fake_vault.cause[call]), e);
}

enum kerr vault_open(const struct config_vault *config, struct vault **ret, struct kerrinfo *e)
{
    (void)config;
    *ret = calloc(1, sizeof **ret);
    return *ret == NULL ? kerr_set(e, KERR_NOMEM, "no memory for a fake") : KERR_OK;
}

void vault_close(struct vault *v)
{
    free(v);
}

void vault_close_at(struct vault **v)
{
    vault_close(*v);
    *v = NULL;
}

void vault_trust_owner(struct vault *v, uid_t owner)
{
    (void)v;
    (void)owner;
}

enum kerr vault_tend(struct vault *v, struct vault_try *t, uint64_t *ret_due_ms, struct kerrinfo *e)
{
    (void)v;
    *ret_due_ms = 3600000;
    return begin(t, FAKE_TEND, e);
}

void vault_key_done(struct vault_key *k)
{
    free(k->versions);
    k->versions = NULL;
}

const struct vault_version *vault_key_version(const struct vault_key *k, uint32_t number)
{
    for (size_t i = 0; i < k->version_count; i++) {
        if (k->versions[i].number == number) {
            return &k->versions[i];
        }
    }
    return NULL;
}

enum kerr vault_read_key(struct vault *v, struct vault_try *t, struct vault_key *ret,
                         struct kerrinfo *e)
{
    (void)v;
    enum kerr k = begin(t, FAKE_READ, e);
    if (k != KERR_OK) {
        return k;
    }
    uint32_t latest = atomic_load(&fake_vault.latest);
    uint32_t least = atomic_load(&fake_vault.min_decryption);
    struct vault_key key = {.type = "aes256-gcm96",
                            .latest = latest,
                            .min_decryption = least,
                            .min_encryption = atomic_load(&fake_vault.min_encryption),
                            .versions = calloc(latest, sizeof *key.versions)};
    if (key.versions == NULL) {
        return fail(t, VAULT_OURS, e);
    }
    for (uint32_t n = least; n <= latest; n++) { /* servers show no others */
        key.versions[key.version_count++] =
            (struct vault_version){n, atomic_load(&fake_vault.created_s[n])};
    }
    *ret = key;
    return KERR_OK;
}

static void key_of(uint32_t version, uint8_t to[static AEAD_KEY])
{
    memset(to, (int)atomic_load(&fake_vault.material[version % FAKE_VERSIONS_MAX]), AEAD_KEY);
}

enum kerr vault_encrypt(struct vault *v, struct vault_try *t, uint32_t version, struct bytes aad,
                        struct bytes plaintext, struct buf *ret, struct kerrinfo *e)
{
    (void)v;
    uint8_t key[AEAD_KEY];
    uint8_t *to = NULL;
    enum kerr k = begin(t, FAKE_ENCRYPT, e);
    if (k == KERR_OK && (version < atomic_load(&fake_vault.min_encryption) ||
                         version > atomic_load(&fake_vault.latest))) {
        k = fail(t, VAULT_VERSION_TOO_OLD, e);
    }
    buf_init(ret, AEAD_GCM_NONCE + plaintext.len + AEAD_TAG);
    if (k == KERR_OK && buf_extend(ret, ret->max, &to, NULL) != KERR_OK) {
        k = fail(t, VAULT_OURS, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    key_of(version, key);
    random_fill(to, AEAD_GCM_NONCE);
    return aead_gcm_seal(key, to, aad, plaintext, to + AEAD_GCM_NONCE, e);
}

enum kerr vault_decrypt(struct vault *v, struct vault_try *t, uint32_t version, struct bytes aad,
                        struct bytes ciphertext, struct secret **ret, struct kerrinfo *e)
{
    (void)v;
    uint8_t key[AEAD_KEY];
    AUTO_SECRET out = NULL;
    enum kerr k = begin(t, FAKE_DECRYPT, e);
    if (k == KERR_OK && version < atomic_load(&fake_vault.min_decryption)) {
        k = fail(t, VAULT_VERSION_TOO_OLD, e);
    }
    if (k == KERR_OK && (version > atomic_load(&fake_vault.latest) ||
                         ciphertext.len <= AEAD_GCM_NONCE + AEAD_TAG)) {
        k = fail(t, VAULT_CIPHERTEXT, e);
    }
    if (k == KERR_OK &&
        secret_new(ciphertext.len - AEAD_GCM_NONCE - AEAD_TAG, &out, NULL) != KERR_OK) {
        k = fail(t, VAULT_OURS, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    key_of(version, key);
    k = aead_gcm_open(key, ciphertext.ptr, aad,
                      bytes_of(ciphertext.ptr + AEAD_GCM_NONCE, ciphertext.len - AEAD_GCM_NONCE),
                      secret_bytes(out), NULL);
    if (k != KERR_OK) {
        return fail(t, VAULT_CIPHERTEXT, e);
    }
    *ret = secret_take(&out);
    return KERR_OK;
}

void vault_info(struct vault *v, struct vault_info *ret)
{
    (void)v;
    *ret =
        (struct vault_info){.has_token = true,
                            .login_cause = (enum vault_cause)atomic_load(&fake_vault.login_cause),
                            .calls = fake_vault_calls()};
    (void)snprintf(ret->address, sizeof ret->address, "https://fake");
}
