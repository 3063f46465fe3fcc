/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/keyring.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct keyring {
    atomic_size_t refs;
    uint8_t store_id[KS_ID_BYTES];
    uint64_t generation;
    size_t primary;
    size_t count;
    struct keyring_key *keys;
};

static int by_id(const void *a, const void *b)
{
    const struct keyring_key *x = a;
    const struct keyring_key *y = b;
    return strcmp(x->id, y->id);
}

static enum kerr fill_key(const struct ks_key *from, struct keyring_key *to, struct kerrinfo *e)
{
    ks_key_id_text(from->id, to->id);
    to->state = ks_state(from);
    to->suite = (enum suite)from->suite;
    to->created_at_s = from->created_at_s;
    to->promoted_at_s = from->promoted_at_s;
    if (!ks_state_unwraps(to->state)) {
        return KERR_OK;
    }
    return suite_subkeys(from->suite, secret_view(from->material), &to->subkeys, e);
}

enum kerr keyring_new(const struct ks_model *m, struct keyring **ret, struct kerrinfo *e)
{
    AUTO_KEYRING k = calloc(1, sizeof *k);
    if (k != NULL) {
        atomic_init(&k->refs, 1);
        k->keys = calloc(m->key_count, sizeof *k->keys);
    }
    if (k == NULL || k->keys == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for %zu keys", m->key_count);
    }
    memcpy(k->store_id, m->store_id, KS_ID_BYTES);
    k->generation = m->generation;
    for (size_t i = 0; i < m->key_count; i++) {
        k->count = i + 1;
        enum kerr code = fill_key(&m->keys[i], &k->keys[i], e);
        if (code != KERR_OK) {
            return code;
        }
    }
    qsort(k->keys, k->count, sizeof *k->keys, by_id);
    k->primary = k->count;
    for (size_t i = 0; i < k->count; i++) {
        k->primary = k->keys[i].state == KS_PRIMARY ? i : k->primary;
    }
    if (k->primary == k->count) {
        return kerr_set(e, KERR_FORMAT, "the keystore has no primary key");
    }
    *ret = k;
    k = NULL;
    return KERR_OK;
}

struct keyring *keyring_ref(struct keyring *k)
{
    (void)atomic_fetch_add(&k->refs, 1);
    return k;
}

void keyring_unref(struct keyring *k)
{
    if (k == NULL || atomic_fetch_sub(&k->refs, 1) != 1) {
        return;
    }
    for (size_t i = 0; k->keys != NULL && i < k->count; i++) {
        secret_free(k->keys[i].subkeys);
    }
    free(k->keys);
    free(k);
}

void keyring_unref_at(struct keyring **k)
{
    keyring_unref(*k);
    *k = NULL;
}

const struct keyring_key *keyring_primary(const struct keyring *k)
{
    return &k->keys[k->primary];
}

const struct keyring_key *keyring_find(const struct keyring *k, struct bytes id)
{
    struct keyring_key wanted;
    if (id.len >= sizeof wanted.id || (id.len > 0 && memchr(id.ptr, 0, id.len) != NULL)) {
        return NULL;
    }
    memcpy(wanted.id, id.ptr, id.len);
    wanted.id[id.len] = 0;
    return bsearch(&wanted, k->keys, k->count, sizeof wanted, by_id);
}

size_t keyring_count(const struct keyring *k)
{
    return k->count;
}

const struct keyring_key *keyring_at(const struct keyring *k, size_t i)
{
    return &k->keys[i];
}

const uint8_t *keyring_store_id(const struct keyring *k)
{
    return k->store_id;
}

uint64_t keyring_generation(const struct keyring *k)
{
    return k->generation;
}
