/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/prove.h"

#include <stdlib.h>

#include "audit/unwrap.h"
#include "crypto/opener.h"

#define KMS_BYTES ((uint64_t)16 << 20)

static const char too_large[] = "larger than what an audit decrypts";
static const char no_key[] = "its key is not in the EncryptionConfiguration that was given";
static const char not_v1[] = "KMS v1, which an audit does not ask";
static const char not_open[] = "its seed opens, and the value does not authenticate under its key";
static const char no_key_opens[] = "none of the keys of its name opens it";
static const char no_object[] = "it opens, and what it holds is no object of Kubernetes";

struct prove {
    struct unwrap *seeds;
    unsigned threads;
    struct opener *openers[AUDIT_THREADS_MAX];
    enum kerr failed[AUDIT_THREADS_MAX];
    struct kerrinfo failures[AUDIT_THREADS_MAX];
    uint64_t taken; /* of the limit */
};

/* ---- one value, on any thread ---- */

/* One attempt: OK, or INTEGRITY when the key is not the one. */
typedef enum kerr open_fn(struct opener *o, const struct audit_item *item, struct bytes key,
                          struct bytes *ret, struct kerrinfo *e);

static enum kerr open_gcm(struct opener *o, const struct audit_item *item, struct bytes key,
                          struct bytes *ret, struct kerrinfo *e)
{
    return opener_gcm(o, key, item->key, item->v.payload, ret, e);
}

static enum kerr open_cbc(struct opener *o, const struct audit_item *item, struct bytes key,
                          struct bytes *ret, struct kerrinfo *e)
{
    return opener_cbc(o, key, item->v.payload, ret, e);
}

static enum kerr open_box(struct opener *o, const struct audit_item *item, struct bytes key,
                          struct bytes *ret, struct kerrinfo *e)
{
    return key.len != OPENER_SECRETBOX_KEY ? kerr_set(e, KERR_INTEGRITY, "no key of secretbox")
                                           : opener_secretbox(o, key.ptr, item->v.payload, ret, e);
}

static open_fn *const openers[VALUE_CLASS_COUNT] = {
    [VALUE_AESGCM] = open_gcm, [VALUE_AESCBC] = open_cbc, [VALUE_SECRETBOX] = open_box};

/* What opens must be an object: a wrong key of aescbc opens to anything, once in 256 times. */
static bool is_object(struct bytes plaintext)
{
    struct stored_value v;
    size_t end = plaintext.len;
    value_read(plaintext, &v);
    if (v.form != VALUE_JSON) {
        return v.class_of == VALUE_PLAINTEXT;
    }
    while (end > 0 && plaintext.ptr[end - 1] == '\n') {
        end--;
    }
    return end > 1 && plaintext.ptr[end - 1] == '}';
}

/* Takes the next key of the provider that may have sealed it. */
static enum kerr try_provider(struct opener *o, const struct audit_resource *r,
                              const struct encryption_provider *p, struct audit_item *item,
                              struct bytes *ret, struct kerrinfo *e)
{
    for (size_t i = 0; i < p->key_count; i++) {
        const struct encryption_key *key = &p->keys[i];
        struct kerrinfo why = {0};
        if (key->value == NULL || key->name.text == NULL ||
            !value_is_named(&item->v, bytes_of_text(key->name.text))) {
            continue;
        }
        item->why = no_key_opens;
        enum kerr k = openers[item->v.class_of](o, item, secret_view(key->value), ret, &why);
        if (k == KERR_OK && is_object(*ret)) {
            item->is_stale = item->is_stale || p != r->writer || i > 0;
            return KERR_OK;
        }
        if (k != KERR_OK && k != KERR_INTEGRITY) {
            return kerr_set(e, k, "%s", why.text);
        }
    }
    return KERR_INTEGRITY;
}

static enum kerr open_local(struct opener *o, const struct audit_resource *r,
                            struct audit_item *item, struct bytes *ret, struct kerrinfo *e)
{
    enum kerr k = KERR_INTEGRITY;
    item->why = no_key;
    for (size_t i = 0; i < r->entry_count && k == KERR_INTEGRITY; i++) {
        for (size_t j = 0; j < r->entries[i]->provider_count && k == KERR_INTEGRITY; j++) {
            const struct encryption_provider *p = &r->entries[i]->providers[j];
            k = expect_class(p) == item->v.class_of ? try_provider(o, r, p, item, ret, e) : k;
        }
    }
    return k;
}

static enum kerr open_seed(struct opener *o, struct audit_item *item,
                           const struct unwrap_seed *seed, struct bytes *ret, struct kerrinfo *e)
{
    const struct encrypted_object *object = &item->v.kms;
    item->why = seed->key == NULL ? seed->why : not_open;
    if (seed->key == NULL) {
        return seed->is_refused ? KERR_INTEGRITY : KERR_NOTFOUND;
    }
    struct kerrinfo why = {0};
    enum kerr k =
        object->source_type == 1
            ? opener_seed_gcm(o, seed->key, item->key, object->data, ret, &why)
            : opener_gcm(o, bytes_of(seed->key, UNWRAP_KEY), item->key, object->data, ret, &why);
    return k == KERR_OK || k == KERR_INTEGRITY ? k : kerr_set(e, k, "%s", why.text);
}

static enum kerr open_value(const struct audit *a, struct opener *o, struct audit_item *item,
                            const struct unwrap_seed *seed, struct bytes *ret, struct kerrinfo *e)
{
    if (item->v.class_of == VALUE_KMSV2) {
        return open_seed(o, item, seed, ret, e);
    }
    if (item->v.class_of == VALUE_KMSV1) {
        item->why = not_v1;
        return KERR_NOTFOUND;
    }
    enum kerr k = open_local(o, &a->resources[item->resource], item, ret, e);
    return k == KERR_INTEGRITY && item->why == no_key ? KERR_NOTFOUND : k;
}

static bool is_provable(const struct audit_item *item)
{
    return value_is_encrypted(item->v.class_of) && item->v.fault == NULL &&
           item->rule != AUDIT_RULE_WRONG_PROVIDER && item->rule != AUDIT_RULE_UNKNOWN_KEY;
}

void prove_item(struct audit *a, unsigned worker, struct audit_item *item)
{
    struct prove *p = a->prove;
    struct unwrap_seed seed = {.key = NULL};
    struct bytes plaintext = {0};
    if (!is_provable(item) || p->failed[worker] != KERR_OK) {
        return;
    }
    if (item->v.class_of == VALUE_KMSV2 && !unwrap_find(p->seeds, item->seed_hash, &seed)) {
        item->proof = PROOF_NEEDS_SEED;
        return;
    }
    struct kerrinfo e = {0};
    enum kerr k = open_value(a, p->openers[worker], item, &seed, &plaintext, &e);
    if (k == KERR_LIMIT) {
        item->proof = PROOF_TOO_LARGE;
        item->why = too_large;
    } else if (k == KERR_NOTFOUND) {
        item->proof = PROOF_OPEN;
    } else if (k == KERR_INTEGRITY) {
        item->proof = PROOF_REFUTED;
    } else if (k != KERR_OK) {
        p->failed[worker] = k;
        p->failures[worker] = e;
    } else if (!is_object(plaintext)) {
        item->proof = PROOF_REFUTED;
        item->why = no_object;
    } else {
        item->rule =
            item->is_stale && item->rule >= AUDIT_RULE_UNUSUAL ? AUDIT_RULE_STALE : item->rule;
        item->proof = item_is_moved(a, item, plaintext) ? PROOF_MOVED : PROOF_GOOD;
    }
}

/* ---- between two runs of the threads ---- */

enum kerr prove_ask(struct audit *a, struct audit_item *item, struct kerrinfo *e)
{
    return unwrap_ask(a->prove->seeds, a, item, e);
}

enum kerr prove_failure(const struct audit *a, struct kerrinfo *e)
{
    const struct prove *p = a->prove;
    for (unsigned i = 0; i < p->threads; i++) {
        if (p->failed[i] != KERR_OK) {
            return kerr_set(e, p->failed[i], "%s", p->failures[i].text);
        }
    }
    return KERR_OK;
}

void prove_wipe(struct audit *a)
{
    for (unsigned i = 0; i < a->prove->threads; i++) {
        opener_wipe(a->prove->openers[i]);
    }
}

enum kerr prove_alone(struct audit *a, struct audit_item *item, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    prove_item(a, 0, item);
    if (item->proof == PROOF_NEEDS_SEED) {
        k = prove_ask(a, item, e);
        prove_item(a, 0, item);
    }
    prove_wipe(a);
    return k == KERR_OK ? prove_failure(a, e) : k;
}

/* ---- beginning and end ---- */

/* A plaintext for each thread, and the gRPC client of the plugins, whose messages are small. */
static uint64_t prove_bytes(const struct audit *a, unsigned threads)
{
    return threads * (uint64_t)AUDIT_OBJECT_MAX + KMS_BYTES * (a->wanted.kms_count > 0);
}

enum kerr prove_begin(struct audit *a, unsigned threads, struct kerrinfo *e)
{
    struct prove *p = calloc(1, sizeof *p);
    a->prove = p;
    if (p == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for proofs");
    }
    uint64_t taken = prove_bytes(a, threads);
    enum kerr k = memory_take(a->wanted.memory, taken, "room to decrypt in", e);
    if (k != KERR_OK) {
        return k;
    }
    p->taken = taken;
    p->threads = threads;
    for (unsigned i = 0; i < threads && k == KERR_OK; i++) {
        k = opener_new(AUDIT_OBJECT_MAX, &p->openers[i], e);
    }
    return k == KERR_OK ? unwrap_begin(a, &p->seeds, e) : k;
}

void prove_end(struct audit *a)
{
    struct prove *p = a->prove;
    if (p == NULL) {
        return;
    }
    unwrap_end(p->seeds);
    for (unsigned i = 0; i < p->threads; i++) {
        opener_free(p->openers[i]);
    }
    memory_give(a->wanted.memory, p->taken);
    free(p);
    a->prove = NULL;
}
