/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/unwrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "kms/kms_client.h"

#define CHUNK_SEEDS 1024
#define CHUNK_BYTES ((size_t)CHUNK_SEEDS * UNWRAP_KEY)
#define CHUNKS_MAX  (AUDIT_SEEDS_MAX / CHUNK_SEEDS)
#define DOWN_MAX                                                                                   \
    3 /* seeds that a plugin did not answer, one after the other: it is not asked again */

static const char not_named[] = "no KMS plugin was named for its provider";
static const char not_asked[] = "its KMS plugin could not be asked";
static const char refused[] = "its KMS plugin does not unwrap the seed";
static const char no_seed[] = "its KMS plugin gives something that is no seed";
static const char too_large[] = "more annotations than an audit hands to a plugin";
static const char too_many[] = "more seeds than an audit keeps";

/* Refused seeds in a row, after which nobody plants more of them to keep the plugin from
 * kube-apiserver. */
#define REFUSED_MAX 1024

struct seed {
    uint32_t key; /* its place in the chunks, from 1; 0: none */
    bool is_refused;
    const char *why;
};

struct unwrap {
    struct kms_client *clients[AUDIT_KMS_MAX]; /* as a->kms; NULL: it can't be reached */
    unsigned down[AUDIT_KMS_MAX];              /* in a row */
    unsigned refused[AUDIT_KMS_MAX];           /* the same */
    struct memory *memory;
    struct index index; /* by hash of the encrypted seed */
    struct seed *seeds;
    size_t count;
    struct secret *chunks[CHUNKS_MAX];
    size_t key_count;
};

/* ---- plugins ---- */

static void note_why(struct audit_kms_told *told, const struct kerrinfo *why)
{
    (void)snprintf(told->why, sizeof told->why, "%s", why->text);
}

/* What a plugin says is for the report; that it can't be reached is too. */
static enum kerr ask_status(struct unwrap *u, struct audit *a, size_t i, struct kerrinfo *e)
{
    struct audit_kms_told *told = &a->kms[i];
    struct kms_status status = {.arena = NULL};
    struct kerrinfo why = {0};
    told->kms = a->wanted.kms[i];
    enum kerr k = kms_client_new(told->kms.socket, &u->clients[i], e);
    if (k != KERR_OK) {
        return k;
    }
    k = kms_client_status(u->clients[i], &status, &why);
    if (k == KERR_OK) {
        k = text_dup(status.key_id, &told->key_id, &why);
    }
    if (k == KERR_NOMEM) {
        (void)kerr_set(e, k, "%s", why.text);
    } else if (k != KERR_OK) {
        note_why(told, &why);
        u->down[i] = DOWN_MAX;
        k = KERR_OK;
    }
    kms_status_done(&status);
    return k;
}

enum kerr unwrap_begin(struct audit *a, struct unwrap **ret, struct kerrinfo *e)
{
    struct unwrap *u = calloc(1, sizeof *u);
    if (u == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for seeds");
    }
    u->memory = u->index.memory = a->wanted.memory;
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < a->wanted.kms_count && k == KERR_OK; i++) {
        k = ask_status(u, a, i, e);
    }
    if (k != KERR_OK) {
        unwrap_end(u);
        return k;
    }
    *ret = u;
    return KERR_OK;
}

void unwrap_end(struct unwrap *u)
{
    if (u == NULL) {
        return;
    }
    for (size_t i = 0; i < AUDIT_KMS_MAX; i++) {
        kms_client_free(u->clients[i]);
    }
    for (size_t i = 0; i < CHUNKS_MAX; i++) {
        memory_give(u->memory, u->chunks[i] == NULL ? 0 : CHUNK_BYTES);
        secret_free(u->chunks[i]);
    }
    index_done(&u->index);
    tables_free(u->memory, u->seeds, u->count, sizeof *u->seeds);
    free(u);
}

/* ---- asking for one ---- */

static enum kerr collect_annotations(const struct encrypted_object *o, struct kms_annotation **ret,
                                     struct kerrinfo *e)
{
    size_t at = 0;
    size_t count = 0;
    struct bytes name;
    struct bytes value;
    struct kms_annotation *rows = calloc(o->annotation_count + 1, sizeof *rows);
    if (rows == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for annotations");
    }
    while (count < o->annotation_count && value_annotation(o, &at, &name, &value)) {
        rows[count++] = (struct kms_annotation){name, value};
    }
    *ret = rows;
    return KERR_OK;
}

static enum kerr keep(struct unwrap *u, const struct secret *key, struct seed *to,
                      struct kerrinfo *e)
{
    struct secret **chunk = &u->chunks[u->key_count / CHUNK_SEEDS];
    if (*chunk == NULL) {
        enum kerr k = memory_take(u->memory, CHUNK_BYTES, "a list of seeds", e);
        if (k != KERR_OK) {
            return k;
        }
        k = secret_new(CHUNK_BYTES, chunk, e);
        if (k != KERR_OK) {
            memory_give(u->memory, CHUNK_BYTES);
            return k;
        }
    }
    size_t at = u->key_count % CHUNK_SEEDS * UNWRAP_KEY;
    memcpy(secret_bytes(*chunk) + at, secret_view(key).ptr, UNWRAP_KEY);
    to->key = (uint32_t)++u->key_count;
    return KERR_OK;
}

/* DENIED, BUSY and DOWN are answers. */
static enum kerr take_answer(struct unwrap *u, struct audit *a, size_t i, enum kerr k,
                             const struct kerrinfo *why, struct seed *to)
{
    struct audit_kms_told *told = &a->kms[i];
    if (k == KERR_LIMIT) { /* the request: it is the value, not the plugin */
        to->why = too_large;
        return KERR_OK;
    }
    if (k != KERR_DENIED && k != KERR_BUSY && k != KERR_DOWN) {
        return k;
    }
    note_why(told, why);
    to->is_refused = k == KERR_DENIED;
    to->why = to->is_refused ? refused : not_asked;
    u->down[i] = k == KERR_DOWN ? u->down[i] + 1 : 0;
    u->refused[i] += to->is_refused;
    told->refused += to->is_refused;
    told->unasked += !to->is_refused;
    a->is_kms_down = a->is_kms_down || !to->is_refused;
    return KERR_OK;
}

static enum kerr ask(struct unwrap *u, struct audit *a, size_t i, const struct stored_value *v,
                     struct seed *to, struct kerrinfo *e)
{
    struct kms_annotation *annotations = NULL;
    AUTO_SECRET key = NULL;
    struct kerrinfo why = {0};
    if (u->down[i] >= DOWN_MAX || u->refused[i] >= REFUSED_MAX) {
        a->kms[i].unasked++;
        a->is_kms_down = true;
        to->why = not_asked;
        return KERR_OK;
    }
    enum kerr k = collect_annotations(&v->kms, &annotations, e);
    if (k != KERR_OK) {
        return k;
    }
    const struct kms_sealed_seed seed = {.ciphertext = v->kms.source,
                                         .key_id = v->kms.key_id,
                                         .annotations = annotations,
                                         .annotation_count = v->kms.annotation_count};
    k = kms_client_decrypt(u->clients[i], &seed, &key, &why);
    free(annotations);
    if (k != KERR_OK) {
        k = take_answer(u, a, i, k, &why, to);
        return k == KERR_OK ? k : kerr_set(e, k, "%s", why.text);
    }
    u->down[i] = 0;
    u->refused[i] = 0;
    if (secret_len(key) != UNWRAP_KEY) {
        to->is_refused = true;
        to->why = no_seed;
        a->kms[i].refused++;
        return KERR_OK;
    }
    a->kms[i].unwrapped++;
    return keep(u, key, to, e);
}

static enum kerr unwrap_new(struct unwrap *u, struct audit *a, const struct stored_value *v,
                            struct seed *to, struct kerrinfo *e)
{
    const struct audit_kms_told *told = expect_kms(a, v->provider);
    if (told == NULL) {
        to->why = not_named;
        return KERR_OK;
    }
    if (u->count >= AUDIT_SEEDS_MAX) {
        to->why = too_many;
        return KERR_OK;
    }
    return ask(u, a, (size_t)(told - a->kms), v, to, e);
}

/* ---- all of them ---- */

static struct unwrap_seed shown(const struct unwrap *u, const struct seed *s)
{
    size_t at = s->key == 0 ? 0 : s->key - 1;
    const struct secret *chunk = u->chunks[at / CHUNK_SEEDS];
    return (struct unwrap_seed){
        .key = s->key == 0 ? NULL : secret_view(chunk).ptr + at % CHUNK_SEEDS * UNWRAP_KEY,
        .is_refused = s->is_refused,
        .why = s->why,
    };
}

bool unwrap_find(const struct unwrap *u, uint64_t seed_hash, struct unwrap_seed *ret)
{
    const uint64_t *found = index_find(&u->index, seed_hash, NULL, NULL);
    if (found != NULL) {
        *ret = shown(u, &u->seeds[*found]);
    }
    return found != NULL;
}

enum kerr unwrap_ask(struct unwrap *u, struct audit *a, const struct audit_item *item,
                     struct kerrinfo *e)
{
    if (index_find(&u->index, item->seed_hash, NULL, NULL) != NULL) {
        return KERR_OK;
    }
    struct seed made = {.key = 0};
    enum kerr k = unwrap_new(u, a, &item->v, &made, e);
    if (k != KERR_OK) {
        return k;
    }
    void *rows = u->seeds;
    void *row = NULL;
    k = tables_grow(u->memory, &rows, &u->count, sizeof *u->seeds, SIZE_MAX, "seeds", &row, e);
    u->seeds = rows;
    k = k == KERR_OK ? index_add(&u->index, item->seed_hash, u->count - 1, e) : k;
    if (k == KERR_OK) {
        *(struct seed *)row = made;
    }
    return k;
}
