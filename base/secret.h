/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place where key material is stored: guarded, locked, undumpable memory, wiped on release.
 *
 * A secret is made with its final length, never grows, is never copied or printed and has no text
 * form. Behind it stands libsodium's guarded allocation. That allocation hides a failing lock, so
 * secret_new locks a second time and believes that answer; by default memory that cannot be locked
 * is an error. What is *not* covered: copies inside OpenSSL contexts and gRPC buffers, which are
 * kept from disk by the process having neither core dumps nor (under the shipped unit) swap.
 *
 * Each secret costs one locked page and four mappings; some 64 wiped pages of small ones are kept
 * for re-use, because making them costs more than a whole KMS call. Different secrets may be used
 * by different threads; a frozen secret may be read by many.
 */
#ifndef ETCDSEAL_BASE_SECRET_H
#define ETCDSEAL_BASE_SECRET_H

#include "base/bytes.h"

#define SECRET_MAX_BYTES ((size_t)2 << 20)

struct secret;

enum secret_lock_policy {
    SECRET_LOCK_STRICT,      /* unlockable memory: NOMEM, with the limit's name */
    SECRET_LOCK_BEST_EFFORT, /* go on, and count it in secret_unlocked_count */
};

/* Once at program start, before threads. Must come before any other call of this header. */
enum kerr secret_start(enum secret_lock_policy policy, struct kerrinfo *e) MUST_CHECK;
/* How many secrets were ever made whose pages could not be locked (best effort only). */
unsigned long secret_unlocked_count(void);

/* 1 … SECRET_MAX_BYTES bytes, filled with zeros. NOMEM, LIMIT. */
enum kerr secret_new(size_t len, struct secret **ret, struct kerrinfo *e) MUST_CHECK;
/* The same, filled from the system's random generator. */
enum kerr secret_random(size_t len, struct secret **ret, struct kerrinfo *e) MUST_CHECK;
/* The same, filled with a copy; the caller wipes the source where he owns it (secret_wipe). */
enum kerr secret_from_bytes(struct bytes data, struct secret **ret, struct kerrinfo *e) MUST_CHECK;

/* Writable bytes of a secret that is not frozen yet; aborts on a frozen one (our own bug). */
uint8_t *secret_bytes(struct secret *s);
/* Makes the pages read-only. Called once, by the creator, before handing out. */
void secret_freeze(struct secret *s);
size_t secret_len(const struct secret *s);
struct bytes secret_view(const struct secret *s); /* valid until freed */
/* Constant time in the content; the length is public. */
bool secret_equal(const struct secret *a, const struct secret *b);
bool secret_equal_bytes(struct bytes a, struct bytes b); /* the same for two views */
/* Shortens to `len` ≤ its length; bytes beyond are wiped. Only before freezing. */
void secret_truncate(struct secret *s, size_t len);

struct secret *secret_take(struct secret **s); /* moves ownership out, leaves NULL */
void secret_free(struct secret *s);            /* wipes, unlocks, releases; NULL is fine */
void secret_free_at(struct secret **s);        /* for AUTO */
#define AUTO_SECRET AUTO(secret_free_at) struct secret *

/* Wipes memory that is not a secret but held a transient copy. */
void secret_wipe(void *ptr, size_t len);

/* Public random bytes (ids, salts) from the same generator as secret_random. */
void random_fill(void *to, size_t len);

#endif
