/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One small heap record points to sodium_malloc'ed pages. The record could live in the guarded
 * pages too, but then a frozen secret could not be marked so without unprotecting it.
 */
#include "base/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct secret {
    uint8_t *ptr;
    size_t len;
    size_t allocated;
    bool is_frozen;
};

static enum secret_lock_policy lock_policy = SECRET_LOCK_STRICT;
static atomic_ulong unlocked;

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

static void release(struct secret *s)
{
    sodium_free(s->ptr);
    free(s);
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
    s->ptr = sodium_malloc(len);
    if (s->ptr == NULL) {
        free(s);
        return kerr_set(e, KERR_NOMEM, "no guarded memory for a secret of %zu bytes", len);
    }
    s->len = s->allocated = len;
    if (sodium_mlock(s->ptr, len) != 0) {
        int err = errno;
        if (lock_policy == SECRET_LOCK_STRICT) {
            release(s);
            return kerr_set(e, KERR_NOMEM,
                            "memory for a secret cannot be locked (%s): raise RLIMIT_MEMLOCK "
                            "(LimitMEMLOCK= in the unit), or set memory_lock: best-effort",
                            strerror(err));
        }
        (void)atomic_fetch_add(&unlocked, 1);
    }
    memset(s->ptr, 0, len);
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
    (void)sodium_mprotect_readonly(s->ptr);
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
        (void)sodium_mprotect_readwrite(s->ptr);
    }
    sodium_memzero(s->ptr, s->allocated);
    release(s);
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
