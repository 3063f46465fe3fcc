/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/vault_keks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bucket.h"
#include "base/clock.h"
#include "crypto/hash.h"

#define TAG_BYTES 16 /* of an annotation's SHA-256 */
#define ASKED_MAX 64 /* questions at a time; there are fewer threads that may wait */
#define NO_PLACE  ((size_t)-1)

/* ---- one KEK ---- */

struct vault_kek {
    atomic_uint refs;
    atomic_bool is_pinned;
    char key_id[VAULT_WIRE_ID_BYTES];
    uint32_t version;
    enum suite suite;
    struct secret *subkeys;
    uint8_t annotation[VAULT_WIRE_ANNOTATION_MAX];
    size_t annotation_len;
};

enum kerr vault_kek_new(const char *key_id, uint32_t version, uint8_t suite, struct bytes kek,
                        struct bytes annotation, struct vault_kek **ret, struct kerrinfo *e)
{
    AUTO_SECRET subkeys = NULL;
    if (kek.len != SUITE_KEK_BYTES || annotation.len > VAULT_WIRE_ANNOTATION_MAX) {
        return kerr_set(e, KERR_INTEGRITY, "a KEK of %zu bytes, expected %d", kek.len,
                        SUITE_KEK_BYTES);
    }
    enum kerr k = suite_subkeys(suite, kek, &subkeys, e);
    if (k != KERR_OK) {
        return k;
    }
    struct vault_kek *out = calloc(1, sizeof *out);
    if (out == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a KEK");
    }
    atomic_init(&out->refs, 1);
    atomic_init(&out->is_pinned, false);
    (void)snprintf(out->key_id, sizeof out->key_id, "%s", key_id);
    out->version = version;
    out->suite = (enum suite)suite;
    out->subkeys = secret_take(&subkeys);
    memcpy(out->annotation, annotation.ptr, annotation.len);
    out->annotation_len = annotation.len;
    *ret = out;
    return KERR_OK;
}

struct vault_kek *vault_kek_ref(struct vault_kek *k)
{
    (void)atomic_fetch_add(&k->refs, 1);
    return k;
}

void vault_kek_unref(struct vault_kek *k)
{
    if (k != NULL && atomic_fetch_sub(&k->refs, 1) == 1) {
        secret_free(k->subkeys);
        free(k);
    }
}

void vault_kek_unref_at(struct vault_kek **k)
{
    vault_kek_unref(*k);
    *k = NULL;
}

bool vault_kek_is_pinned(const struct vault_kek *k)
{
    return atomic_load(&k->is_pinned);
}

const char *vault_kek_key_id(const struct vault_kek *k)
{
    return k->key_id;
}

uint32_t vault_kek_version(const struct vault_kek *k)
{
    return k->version;
}

enum suite vault_kek_suite(const struct vault_kek *k)
{
    return k->suite;
}

const struct secret *vault_kek_subkeys(const struct vault_kek *k)
{
    return k->subkeys;
}

struct bytes vault_kek_annotation(const struct vault_kek *k)
{
    return bytes_of(k->annotation, k->annotation_len);
}

/* ---- the cache ---- */

struct tag {
    uint8_t bytes[TAG_BYTES];
};

struct entry {
    struct tag tag;
    struct vault_kek *kek;
    uint64_t used_ms;
};

/* Each annotation has one place, by its tag; a later one takes it over. */
struct forged {
    struct tag tag;
    uint64_t at_ms; /* 0: empty */
};

struct vault_keks {
    pthread_mutex_t lock;
    pthread_cond_t ended; /* on the monotonic clock */
    struct entry entries[VAULT_KEKS_MAX];
    size_t count;
    struct tag asked[ASKED_MAX];
    size_t asked_count;
    struct forged forged[VAULT_KEKS_FORGED_MAX];
    struct bucket budget;
    uint64_t refused;
};

static struct tag tag_of(struct bytes annotation)
{
    uint8_t hash[HASH_BYTES];
    struct tag tag;
    hash_sha256(annotation, hash);
    memcpy(tag.bytes, hash, sizeof tag.bytes);
    return tag;
}

static bool is_same(const struct tag *a, const struct tag *b)
{
    return memcmp(a->bytes, b->bytes, TAG_BYTES) == 0;
}

enum kerr vault_keks_new(struct vault_keks **ret, struct kerrinfo *e)
{
    struct vault_keks *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for KEKs");
    }
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->ended, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    bucket_init(&c->budget, VAULT_KEKS_BUDGET_RATE, VAULT_KEKS_BUDGET_BURST, clock_mono_ms());
    *ret = c;
    return KERR_OK;
}

void vault_keks_free(struct vault_keks *c)
{
    if (c == NULL) {
        return;
    }
    (void)vault_keks_wipe(c);
    (void)pthread_cond_destroy(&c->ended);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

/* Under the lock, as all that follow. */
static size_t find(const struct vault_keks *c, const struct tag *tag)
{
    for (size_t i = 0; i < c->count; i++) {
        if (is_same(&c->entries[i].tag, tag)) {
            return i;
        }
    }
    return NO_PLACE;
}

static struct forged *forged_place(struct vault_keks *c, const struct tag *tag)
{
    size_t at = ((size_t)tag->bytes[0] << 8 | tag->bytes[1]) % VAULT_KEKS_FORGED_MAX;
    return &c->forged[at];
}

static bool is_forged(struct vault_keks *c, const struct tag *tag)
{
    const struct forged *f = forged_place(c, tag);
    return f->at_ms != 0 && is_same(&f->tag, tag) &&
           clock_mono_ms() - f->at_ms < VAULT_KEKS_FORGED_MS;
}

static enum vault_keks_answer look(struct vault_keks *c, const struct tag *tag,
                                   struct vault_kek **ret)
{
    size_t at = find(c, tag);
    if (at != NO_PLACE) {
        c->entries[at].used_ms = clock_mono_ms();
        *ret = vault_kek_ref(c->entries[at].kek);
        return VAULT_KEKS_FOUND;
    }
    if (is_forged(c, tag)) {
        c->refused++;
        return VAULT_KEKS_FORGED;
    }
    return VAULT_KEKS_UNKNOWN;
}

enum vault_keks_answer vault_keks_peek(struct vault_keks *c, struct bytes annotation,
                                       struct vault_kek **ret)
{
    struct tag tag = tag_of(annotation);
    (void)pthread_mutex_lock(&c->lock);
    enum vault_keks_answer a = look(c, &tag, ret);
    (void)pthread_mutex_unlock(&c->lock);
    return a;
}

static size_t find_asked(const struct vault_keks *c, const struct tag *tag)
{
    for (size_t i = 0; i < c->asked_count; i++) {
        if (is_same(&c->asked[i], tag)) {
            return i;
        }
    }
    return NO_PLACE;
}

/* False when the time is over. */
static bool wait_for_an_end(struct vault_keks *c, uint64_t until_ms)
{
    struct timespec at = {.tv_sec = (time_t)(until_ms / 1000),
                          .tv_nsec = (long)(until_ms % 1000) * 1000000};
    return pthread_cond_timedwait(&c->ended, &c->lock, &at) == 0;
}

static enum vault_keks_answer begin(struct vault_keks *c, const struct tag *tag, uint64_t until_ms,
                                    struct vault_kek **ret)
{
    enum vault_keks_answer a = look(c, tag, ret);
    while (a == VAULT_KEKS_UNKNOWN &&
           (find_asked(c, tag) != NO_PLACE || c->asked_count == ASKED_MAX)) {
        if (!wait_for_an_end(c, until_ms)) {
            return VAULT_KEKS_LATE;
        }
        a = look(c, tag, ret);
    }
    if (a != VAULT_KEKS_UNKNOWN) {
        return a;
    }
    if (!bucket_take(&c->budget, clock_mono_ms())) {
        c->refused++;
        return VAULT_KEKS_BUDGET;
    }
    c->asked[c->asked_count++] = *tag;
    return VAULT_KEKS_UNKNOWN;
}

enum vault_keks_answer vault_keks_begin(struct vault_keks *c, struct bytes annotation,
                                        uint64_t until_ms, struct vault_kek **ret)
{
    struct tag tag = tag_of(annotation);
    (void)pthread_mutex_lock(&c->lock);
    enum vault_keks_answer a = begin(c, &tag, until_ms, ret);
    (void)pthread_mutex_unlock(&c->lock);
    return a;
}

static bool is_pinned(const struct entry *e)
{
    return atomic_load(&e->kek->is_pinned);
}

/* Whether `a` gives way rather than `b`. */
static bool is_weaker(const struct entry *a, const struct entry *b)
{
    return is_pinned(a) != is_pinned(b) ? is_pinned(b) : a->used_ms < b->used_ms;
}

/* Where a new entry goes: a free place, or that of the longest unused one that is not pinned; of a
 * pinned one only for one that is. */
static size_t make_room(struct vault_keks *c, bool is_for_pinned)
{
    if (c->count < VAULT_KEKS_MAX) {
        return c->count++;
    }
    size_t weakest = 0;
    for (size_t i = 1; i < c->count; i++) {
        weakest = is_weaker(&c->entries[i], &c->entries[weakest]) ? i : weakest;
    }
    if (is_pinned(&c->entries[weakest]) && !is_for_pinned) {
        return NO_PLACE;
    }
    vault_kek_unref(c->entries[weakest].kek);
    return weakest;
}

static void insert(struct vault_keks *c, const struct tag *tag, struct vault_kek *k)
{
    if (find(c, tag) != NO_PLACE) {
        return;
    }
    size_t at = make_room(c, atomic_load(&k->is_pinned));
    if (at != NO_PLACE) {
        c->entries[at] =
            (struct entry){.tag = *tag, .kek = vault_kek_ref(k), .used_ms = clock_mono_ms()};
    }
}

void vault_keks_end(struct vault_keks *c, struct bytes annotation, struct vault_kek *k,
                    bool is_forgery)
{
    struct tag tag = tag_of(annotation);
    (void)pthread_mutex_lock(&c->lock);
    size_t at = find_asked(c, &tag);
    if (at != NO_PLACE) {
        c->asked[at] = c->asked[--c->asked_count];
    }
    if (k != NULL) {
        insert(c, &tag, k);
    }
    if (!is_forgery) {
        bucket_give_back(&c->budget);
    } else {
        *forged_place(c, &tag) = (struct forged){.tag = tag, .at_ms = clock_mono_ms()};
    }
    (void)pthread_cond_broadcast(&c->ended);
    (void)pthread_mutex_unlock(&c->lock);
}

enum vault_keks_answer vault_keks_begin_seed(struct vault_keks *c, struct bytes ciphertext,
                                             bool has_budget)
{
    struct tag tag = tag_of(ciphertext);
    enum vault_keks_answer a = VAULT_KEKS_UNKNOWN;
    (void)pthread_mutex_lock(&c->lock);
    if (is_forged(c, &tag)) {
        a = VAULT_KEKS_FORGED;
    } else if (has_budget && !bucket_take(&c->budget, clock_mono_ms())) {
        a = VAULT_KEKS_BUDGET;
    }
    c->refused += a != VAULT_KEKS_UNKNOWN;
    (void)pthread_mutex_unlock(&c->lock);
    return a;
}

void vault_keks_end_seed(struct vault_keks *c, struct bytes ciphertext, bool has_budget,
                         bool is_forgery)
{
    struct tag tag = tag_of(ciphertext);
    (void)pthread_mutex_lock(&c->lock);
    if (is_forgery) {
        *forged_place(c, &tag) = (struct forged){.tag = tag, .at_ms = clock_mono_ms()};
    } else if (has_budget) {
        bucket_give_back(&c->budget);
    }
    (void)pthread_mutex_unlock(&c->lock);
}

void vault_keks_keep(struct vault_keks *c, struct vault_kek *k)
{
    struct tag tag = tag_of(vault_kek_annotation(k));
    atomic_store(&k->is_pinned, true);
    (void)pthread_mutex_lock(&c->lock);
    insert(c, &tag, k);
    (void)pthread_mutex_unlock(&c->lock);
}

void vault_keks_count_refused(struct vault_keks *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->refused++;
    (void)pthread_mutex_unlock(&c->lock);
}

typedef bool goes_fn(const struct entry *e, uint64_t limit);

static size_t wipe_some(struct vault_keks *c, goes_fn *goes, uint64_t limit)
{
    size_t gone = 0;
    (void)pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->count;) {
        if (goes(&c->entries[i], limit)) {
            vault_kek_unref(c->entries[i].kek);
            c->entries[i] = c->entries[--c->count];
            gone++;
        } else {
            i++;
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
    return gone;
}

static bool always(const struct entry *e, uint64_t limit)
{
    (void)e;
    (void)limit;
    return true;
}

static bool is_below(const struct entry *e, uint64_t limit)
{
    return e->kek->version < limit;
}

static bool is_unused(const struct entry *e, uint64_t limit)
{
    return !is_pinned(e) && e->used_ms < limit;
}

size_t vault_keks_wipe(struct vault_keks *c)
{
    return wipe_some(c, always, 0);
}

size_t vault_keks_wipe_below(struct vault_keks *c, uint32_t version)
{
    return wipe_some(c, is_below, version);
}

size_t vault_keks_wipe_unused(struct vault_keks *c, uint64_t life_ms)
{
    uint64_t now_ms = clock_mono_ms();
    return wipe_some(c, is_unused, now_ms > life_ms ? now_ms - life_ms : 0);
}

void vault_keks_forgive(struct vault_keks *c)
{
    (void)pthread_mutex_lock(&c->lock);
    memset(c->forged, 0, sizeof c->forged);
    (void)pthread_mutex_unlock(&c->lock);
}

struct vault_keks_counts vault_keks_counts(struct vault_keks *c)
{
    (void)pthread_mutex_lock(&c->lock);
    struct vault_keks_counts counts = {.cached = c->count, .refused = c->refused};
    for (size_t i = 0; i < c->count; i++) {
        counts.pinned += is_pinned(&c->entries[i]);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return counts;
}
