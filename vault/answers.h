/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Vault server answers, from bytes to plain values: pure, every byte hostile, so that it can
 * be fuzzed. Private to vault.
 *
 * Codes: INPUT with what is wrong with the answer, never a piece of it; NOMEM.
 */
#ifndef ETCDSEAL_VAULT_ANSWERS_H
#define ETCDSEAL_VAULT_ANSWERS_H

#include "vault/vault.h"

/* The texts of {"errors": […]} joined with "; ", on one line, escaped, cut to fit `size` bytes.
 * False when the body is not such an object: then it was not Vault that answered. */
bool answer_errors(struct bytes body, char *to, size_t size);

#define ANSWER_TTL_MAX_S ((uint64_t)315360000) /* ten years; longer lives are taken for it */

/* `auth` of a login or a renewal. */
struct answer_auth {
    struct secret *token; /* owned */
    uint64_t ttl_s;       /* 0: it does not end */
    bool is_renewable;
};
enum kerr answer_auth(struct bytes body, struct answer_auth *ret, struct kerrinfo *e) MUST_CHECK;
/* The same of a token's look at itself; no token in it. */
enum kerr answer_lookup(struct bytes body, struct answer_auth *ret, struct kerrinfo *e) MUST_CHECK;
/* data.secret_id of an unwrapping. */
enum kerr answer_secret_id(struct bytes body, struct secret **ret, struct kerrinfo *e) MUST_CHECK;

/* *ret_cause: a key that cannot be used is described all the same. */
enum kerr answer_key(struct bytes body, struct vault_key *ret, enum vault_cause *ret_cause,
                     struct kerrinfo *e) MUST_CHECK;
/* `ret` is fresh; its maximum is set. */
enum kerr answer_encrypt(struct bytes body, uint32_t version, struct buf *ret,
                         struct kerrinfo *e) MUST_CHECK;
enum kerr answer_decrypt(struct bytes body, struct secret **ret, struct kerrinfo *e) MUST_CHECK;
enum kerr answer_capabilities(struct bytes body, const char *const *paths, size_t count,
                              unsigned *ret, struct kerrinfo *e) MUST_CHECK;
enum kerr answer_health(struct bytes body, struct vault_health *ret, struct kerrinfo *e) MUST_CHECK;

#endif
