/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keyring: the immutable snapshot of a keystore that serves calls. Reference-counted, so a call
 * keeps the one it began with while another takes its place. Any thread.
 */
#ifndef ETCDSEAL_KEYSTORE_KEYRING_H
#define ETCDSEAL_KEYSTORE_KEYRING_H

#include "keystore/ks.h"

struct keyring_key {
    char id[KS_KEY_ID_TEXT];
    enum ks_state state;
    enum suite suite;
    uint64_t created_at_s;  /* wall time */
    uint64_t promoted_at_s; /* 0: never was primary */
    struct secret *subkeys; /* crypto/suite.h; NULL when the state does not unwrap */
};

struct keyring;

enum kerr keyring_new(const struct ks_model *m, struct keyring **ret,
                      struct kerrinfo *e) MUST_CHECK;
struct keyring *keyring_ref(struct keyring *k);
void keyring_unref(struct keyring *k); /* NULL is fine */
void keyring_unref_at(struct keyring **k);
#define AUTO_KEYRING AUTO(keyring_unref_at) struct keyring *

const struct keyring_key *keyring_primary(const struct keyring *k);
/* By id only; NULL when there is none. */
const struct keyring_key *keyring_find(const struct keyring *k, struct bytes id);
size_t keyring_count(const struct keyring *k);
const struct keyring_key *keyring_at(const struct keyring *k, size_t i); /* sorted by id */
const uint8_t *keyring_store_id(const struct keyring *k);
uint64_t keyring_generation(const struct keyring *k);

#endif
