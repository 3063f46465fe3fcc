/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One small heap record points to sodium_malloc'ed pages. The record could live in the guarded
 * pages too, but then a frozen secret could not be marked so without unprotecting it.
 *
 * Making and releasing such pages is six system calls, more than all else that a Decrypt does, so
 * small ones are kept, wiped and still locked, for the next secret. The bytes lie at the end of
 * their page, against the guard page behind it.
 */
#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Small secrets: keys, seeds, and the messages that carry them. */
#define SMALL_BYTES 512
/* Pages kept: more than any one change or call has in hand at a time. */
#define KEPT_MAX 64

struct secret {
    uint8_t *pages; /* what sodium_malloc gave */
    uint8_t *ptr;   /* the secret's first byte in it */
    size_t len;
    size_t allocated;
    bool is_frozen;
};

static enum secret_lock_policy lock_policy = SECRET_LOCK_STRICT;
static atomic_ulong unlocked;

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *kept[KEPT_MAX];
static size_t kept_count;
static pthread_once_t forks_once = PTHREAD_ONCE_INIT;
static bool is_watching_forks;

/* A child of fork has its parent's pages without their locks: it must not use them. */
static void forget_kept(void)
{
    kept_count = 0;
}

static void watch_forks(void)
{
    is_watching_forks = pthread_atfork(NULL, NULL, forget_kept) == 0;
}

enum kerr secret_start(enum secret_lock_policy policy, struct kerrinfo *e)
{
    if (sodium_init() < 0) {
        return kerr_set(e, KERR_BUG, "libsodium does not start");
    }
    lock_policy = policy;
    return KERR_OK;
}

unsigned long secret_unlocked_count(void)
{
    return atomic_load(&unlocked);
}

static uint8_t *take_kept(void)
{
    (void)pthread_mutex_lock(&kept_lock);
    uint8_t *pages = kept_count > 0 ? kept[--kept_count] : NULL;
    (void)pthread_mutex_unlock(&kept_lock);
    return pages;
}

static bool keep(uint8_t *pages)
{
    (void)pthread_once(&forks_once, watch_forks);
    (void)pthread_mutex_lock(&kept_lock);
    bool has_room = is_watching_forks && kept_count < KEPT_MAX;
    if (has_room) {
        kept[kept_count++] = pages;
    }
    (void)pthread_mutex_unlock(&kept_lock);
    return has_room;
}

/* Locked, zeroed pages of `size` bytes. */
static enum kerr make_pages(size_t size, uint8_t **ret, struct kerrinfo *e)
{
    uint8_t *pages = sodium_malloc(size);
    if (pages == NULL) {
        return kerr_set(e, KERR_NOMEM, "no guarded memory for a secret of %zu bytes", size);
    }
    if (sodium_mlock(pages, size) != 0) {
        int err = errno;
        if (lock_policy == SECRET_LOCK_STRICT) {
            sodium_free(pages);
            return kerr_set(e, KERR_NOMEM,
                            "memory for a secret cannot be locked (%s): raise RLIMIT_MEMLOCK "
                            "(LimitMEMLOCK= in the unit), or set memory_lock: best-effort",
                            strerror(err));
        }
        (void)atomic_fetch_add(&unlocked, 1);
    }
    memset(pages, 0, size);
    *ret = pages;
    return KERR_OK;
}

enum kerr secret_new(size_t len, struct secret **ret, struct kerrinfo *e)
{
    if (len == 0 || len > SECRET_MAX_BYTES) {
        return kerr_set(e, KERR_LIMIT, "a secret of %zu bytes, allowed are 1 to %zu", len,
                        SECRET_MAX_BYTES);
    }
    struct secret *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a secret");
    }
    s->allocated = len <= SMALL_BYTES ? SMALL_BYTES : len;
    s->pages = len <= SMALL_BYTES ? take_kept() : NULL;
    enum kerr k = s->pages == NULL ? make_pages(s->allocated, &s->pages, e) : KERR_OK;
    if (k != KERR_OK) {
        free(s);
        return k;
    }
    s->len = len;
    s->ptr = s->pages + s->allocated - len;
    *ret = s;
    return KERR_OK;
}

enum kerr secret_random(size_t len, struct secret **ret, struct kerrinfo *e)
{
    enum kerr k = secret_new(len, ret, e);
    if (k == KERR_OK) {
        randombytes_buf((*ret)->ptr, len);
    }
    return k;
}

enum kerr secret_from_bytes(struct bytes data, struct secret **ret, struct kerrinfo *e)
{
    enum kerr k = secret_new(data.len, ret, e);
    if (k == KERR_OK) {
        memcpy((*ret)->ptr, data.ptr, data.len);
    }
    return k;
}

uint8_t *secret_bytes(struct secret *s)
{
    if (s->is_frozen) {
        abort();
    }
    return s->ptr;
}

void secret_freeze(struct secret *s)
{
    s->is_frozen = true;
    (void)sodium_mprotect_readonly(s->pages);
}

size_t secret_len(const struct secret *s)
{
    return s->len;
}

struct bytes secret_view(const struct secret *s)
{
    return bytes_of(s->ptr, s->len);
}

bool secret_equal_bytes(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || sodium_memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    return secret_equal_bytes(secret_view(a), secret_view(b));
}

void secret_truncate(struct secret *s, size_t len)
{
    if (s->is_frozen || len > s->len) {
        abort();
    }
    sodium_memzero(s->ptr + len, s->len - len);
    s->len = len;
}

struct secret *secret_take(struct secret **s)
{
    struct secret *out = *s;
    *s = NULL;
    return out;
}

void secret_free(struct secret *s)
{
    if (s == NULL) {
        return;
    }
    if (s->is_frozen) {
        (void)sodium_mprotect_readwrite(s->pages);
    }
    /* What lies before the secret was zero: a write there is our own bug. It is no secret, so the
     * time that the look takes may tell of it. */
    size_t before = (size_t)(s->ptr - s->pages);
    if (before > 0 && (s->pages[0] != 0 || memcmp(s->pages, s->pages + 1, before - 1) != 0)) {
        abort();
    }
    sodium_memzero(s->pages, s->allocated);
    if (s->allocated != SMALL_BYTES || !keep(s->pages)) {
        sodium_free(s->pages);
    }
    free(s);
}

void secret_free_at(struct secret **s)
{
    secret_free(*s);
    *s = NULL;
}

void secret_wipe(void *ptr, size_t len)
{
    sodium_memzero(ptr, len);
}

void random_fill(void *to, size_t len)
{
    randombytes_buf(to, len);
}
