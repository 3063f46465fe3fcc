/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/prove.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/pool.h"
#include "audit/unwrap.h"
#include "crypto/opener.h"
#include "stored/object.h"

#define BATCH       2048
#define KEPT_MAX    ((size_t)16 << 20) /* bytes of a batch's copies */
#define KMS_BYTES   ((uint64_t)16 << 20)
#define THREADS_MAX 4 /* with more, reading is what takes the time */

static const char too_large[] = "larger than what an audit decrypts";
static const char no_key[] = "its key is not in the EncryptionConfiguration that was given";
static const char not_v1[] = "KMS v1, which an audit does not ask";
static const char not_open[] = "its seed opens, and the value does not authenticate under its key";
static const char no_key_opens[] = "none of the keys of its name opens it";
static const char no_object[] = "it opens, and what it holds is no object of Kubernetes";

struct work {
    struct audit_item item;
    uint8_t *kept;           /* its key and value, where they pass */
    struct unwrap_seed seed; /* of KMS v2 */
};

struct prove {
    struct unwrap *seeds;
    struct pool *pool;
    unsigned threads;
    struct opener *openers[THREADS_MAX];
    enum kerr failed[THREADS_MAX];
    struct kerrinfo failures[THREADS_MAX];
    struct work *batch;
    size_t count;
    size_t kept;    /* bytes */
    uint64_t taken; /* of the limit */
};

/* ---- one value, on any thread ---- */

/* Cuts `last` and a '/' before it off the end. */
static bool ends_with(struct bytes *key, struct bytes last)
{
    if (key->len <= last.len || memcmp(key->ptr + key->len - last.len, last.ptr, last.len) != 0 ||
        key->ptr[key->len - last.len - 1] != '/') {
        return false;
    }
    key->len -= last.len + 1;
    return true;
}

/* Only the last words of a key are the same for every API server: "NAMESPACE/NAME", or "NAME". */
bool prove_is_moved(const struct audit *a, struct bytes key, struct bytes object)
{
    struct resource_key at;
    struct object_names names;
    for (size_t i = 0; i < a->prefix_count; i++) {
        if (resource_of_key(key, a->prefixes[i], &at)) {
            return !at.is_bookkeeping && object_names_read(object, &names) &&
                   !(ends_with(&key, names.name) &&
                     (names.name_space.len == 0 || ends_with(&key, names.name_space)));
        }
    }
    return false;
}

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

static enum kerr open_seed(struct opener *o, struct work *w, struct bytes *ret, struct kerrinfo *e)
{
    const struct encrypted_object *object = &w->item.v.kms;
    w->item.why = w->seed.key == NULL ? w->seed.why : not_open;
    if (w->seed.key == NULL) {
        return w->seed.is_refused ? KERR_INTEGRITY : KERR_NOTFOUND;
    }
    struct kerrinfo why = {0};
    enum kerr k = object->source_type == 1
                      ? opener_seed_gcm(o, w->seed.key, w->item.key, object->data, ret, &why)
                      : opener_gcm(o, bytes_of(w->seed.key, UNWRAP_KEY), w->item.key, object->data,
                                   ret, &why);
    return k == KERR_OK || k == KERR_INTEGRITY ? k : kerr_set(e, k, "%s", why.text);
}

static enum kerr open_value(const struct audit *a, struct opener *o, struct work *w,
                            struct bytes *ret, struct kerrinfo *e)
{
    struct audit_item *item = &w->item;
    if (item->v.class_of == VALUE_KMSV2) {
        return open_seed(o, w, ret, e);
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

static void prove_one(void *ctx, unsigned worker, size_t index)
{
    struct audit *a = ctx;
    struct prove *p = a->prove;
    struct work *w = &p->batch[index];
    struct audit_item *item = &w->item;
    struct bytes plaintext = {0};
    if (!is_provable(item) || p->failed[worker] != KERR_OK) {
        return;
    }
    struct kerrinfo e = {0};
    enum kerr k = open_value(a, p->openers[worker], w, &plaintext, &e);
    if (k == KERR_LIMIT || k == KERR_NOTFOUND) {
        item->proof = PROOF_OPEN;
        item->why = k == KERR_LIMIT ? too_large : item->why;
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
        item->proof = prove_is_moved(a, item->key, plaintext) ? PROOF_MOVED : PROOF_GOOD;
    }
}

/* ---- many ---- */

static void drop_kept(struct prove *p)
{
    for (size_t i = 0; i < BATCH; i++) {
        free(p->batch[i].kept);
        p->batch[i].kept = NULL;
    }
    p->kept = 0;
}

enum kerr prove_rest(struct audit *a, struct kerrinfo *e)
{
    struct prove *p = a->prove;
    enum kerr k = KERR_OK;
    pool_run(p->pool, p->count, prove_one, a);
    for (unsigned i = 0; i < p->threads && k == KERR_OK; i++) {
        k = p->failed[i] == KERR_OK ? k : kerr_set(e, p->failed[i], "%s", p->failures[i].text);
        opener_wipe(p->openers[i]);
    }
    for (size_t i = 0; i < p->count && k == KERR_OK; i++) {
        k = count_item(a, &p->batch[i].item, e);
    }
    drop_kept(p);
    p->count = 0;
    return k;
}

enum kerr prove_keep(struct audit *a, struct bytes *key, struct bytes *value, struct kerrinfo *e)
{
    struct prove *p = a->prove;
    struct work *w = &p->batch[p->count];
    free(w->kept);
    w->kept = malloc(key->len + value->len + 1);
    if (w->kept == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a copy of %zu bytes", value->len);
    }
    struct bytes *const from[] = {key, value};
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        if (from[i]->len > 0) {
            memcpy(w->kept + at, from[i]->ptr, from[i]->len);
        }
        *from[i] = bytes_of(w->kept + at, from[i]->len);
        at += from[i]->len;
    }
    p->kept += at;
    return KERR_OK;
}

enum kerr prove_item(struct audit *a, const struct audit_item *item, struct kerrinfo *e)
{
    struct prove *p = a->prove;
    struct work *w = &p->batch[p->count++];
    *w = (struct work){.item = *item, .kept = w->kept};
    enum kerr k = is_provable(item) && item->v.class_of == VALUE_KMSV2
                      ? unwrap_take(p->seeds, a, &item->v, &w->seed, e)
                      : KERR_OK;
    bool is_full = p->count == BATCH || p->kept > KEPT_MAX;
    return k == KERR_OK && is_full ? prove_rest(a, e) : k;
}

enum kerr prove_alone(struct audit *a, struct audit_item *item, struct kerrinfo *e)
{
    struct prove *p = a->prove;
    struct work *w = &p->batch[p->count]; /* free: a batch that is full is proved at once */
    *w = (struct work){.item = *item, .kept = w->kept};
    enum kerr k = is_provable(item) && item->v.class_of == VALUE_KMSV2
                      ? unwrap_take(p->seeds, a, &item->v, &w->seed, e)
                      : KERR_OK;
    if (k == KERR_OK) {
        prove_one(a, 0, p->count);
        opener_wipe(p->openers[0]);
        k = p->failed[0] == KERR_OK ? k : kerr_set(e, p->failed[0], "%s", p->failures[0].text);
        *item = w->item;
    }
    return k;
}

/* ---- beginning and end ---- */

static unsigned threads_of(const struct audit *a)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned wanted = a->wanted.threads > 0 ? a->wanted.threads : online < 1 ? 1 : (unsigned)online;
    return wanted < THREADS_MAX ? wanted : THREADS_MAX;
}

/* A batch, its copies and one value more, and for each thread a plaintext; the gRPC client of the
 * plugins as well, whose messages are small. */
static uint64_t prove_bytes(const struct audit *a, unsigned threads)
{
    uint64_t copies = a->wanted.is_passing ? KEPT_MAX + AUDIT_OBJECT_MAX : 0;
    return BATCH * sizeof(struct work) + copies + threads * (uint64_t)AUDIT_OBJECT_MAX +
           KMS_BYTES * (a->wanted.kms_count > 0);
}

enum kerr prove_begin(struct audit *a, struct kerrinfo *e)
{
    struct prove *p = calloc(1, sizeof *p);
    a->prove = p;
    if (p == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for proofs");
    }
    p->threads = threads_of(a);
    uint64_t taken = prove_bytes(a, p->threads);
    enum kerr k = memory_take(a->wanted.memory, taken, "room to decrypt in", e);
    if (k != KERR_OK) {
        return k;
    }
    p->taken = taken;
    p->batch = calloc(BATCH, sizeof *p->batch);
    k = p->batch == NULL ? kerr_set(e, KERR_NOMEM, "no memory for proofs") : KERR_OK;
    for (unsigned i = 0; i < p->threads && k == KERR_OK; i++) {
        k = opener_new(AUDIT_OBJECT_MAX, &p->openers[i], e);
    }
    /* The plugins' client before the threads, as its header wants it. */
    k = k == KERR_OK ? unwrap_begin(a, &p->seeds, e) : k;
    return k == KERR_OK ? pool_new(p->threads, &p->pool, e) : k;
}

void prove_end(struct audit *a)
{
    struct prove *p = a->prove;
    if (p == NULL) {
        return;
    }
    unwrap_end(p->seeds);
    pool_free(p->pool);
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        opener_free(p->openers[i]);
    }
    if (p->batch != NULL) {
        drop_kept(p);
    }
    free(p->batch);
    memory_give(a->wanted.memory, p->taken);
    free(p);
    a->prove = NULL;
}
