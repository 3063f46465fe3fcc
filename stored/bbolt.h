/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bbolt, the file format of etcd's database and of its snapshots, read only, from bytes that may be
 * hostile.
 *
 * Every number of the file is checked before it is used. A page is entered once: its number must be
 * its place, it must lie in the file and below the high-water mark, and no page of its run may have
 * been seen before; so a walk ends, and reads no byte twice. Keys ascend in the order of bytes;
 * data of a page lies in the order of its elements, without a gap and up to its last page, so none
 * is left out by a wrong count; each page is in use or in the freelist, where the file has one.
 * What breaks a rule is FORMAT with page and byte offset; nothing is skipped. Both meta pages must
 * be good: the one that is left could be of an older transaction.
 *
 * Not seen, because nothing in the file tells: other bytes of the same length in keys and values;
 * and, without a freelist, a bucket or branch that leads to another page which fits there.
 *
 * A snapshot of `etcdctl snapshot save` is the database with its SHA-256 behind it. It is
 * recognised by its size and checked on demand, since that takes as long as reading all of it.
 *
 * An object borrows the bytes and belongs to one thread, but for bbolt_leaf_*. Views into them
 * live as long as the bytes.
 *
 * Codes: FORMAT; UNSUP for another byte order or version, and for what holds no etcd; NOTFOUND for
 * a missing bucket; NOMEM; and whatever a callback returns.
 *
 * Source: go.etcd.io/bbolt internal/common (meta.go, page.go, bucket.go).
 */
#ifndef ETCDSEAL_STORED_BBOLT_H
#define ETCDSEAL_STORED_BBOLT_H

#include "base/bytes.h"

#define BBOLT_PAGE_MIN  ((size_t)1 << 10)
#define BBOLT_PAGE_MAX  ((size_t)1 << 24)
#define BBOLT_DEPTH_MAX 32 /* levels of a tree; 4 hold a billion keys */

struct bbolt {
    struct bytes file; /* without the hash of a snapshot */
    struct bytes hash; /* of a snapshot; else empty */
    const char *name;  /* for messages, borrowed */
    size_t page_size;
    uint64_t root;       /* page of the buckets' tree */
    uint64_t freelist;   /* page, or all ones */
    uint64_t high_water; /* first page that was never used */
    uint64_t txid;
    uint8_t *reached; /* a bit for each page below the high-water mark */
};

/* Finds the newer of the two meta pages and the page size. `name` is the file's. */
enum kerr bbolt_open(struct bytes file, const char *name, struct bbolt *ret,
                     struct kerrinfo *e) MUST_CHECK;
void bbolt_close(struct bbolt *b); /* all zero is fine */
#define AUTO_BBOLT AUTO(bbolt_close) struct bbolt

/* FORMAT when the SHA-256 of a snapshot is not that of its bytes. */
enum kerr bbolt_check_hash(const struct bbolt *b, struct kerrinfo *e) MUST_CHECK;

/* A leaf of a bucket's tree: its run of pages, or the image in the bucket's own value. */
struct bbolt_leaf {
    struct bytes bucket; /* its name */
    struct bytes run;
    size_t count;       /* of items */
    struct bytes bound; /* no key is smaller */
    struct bytes limit; /* each key is; empty: there is no leaf behind */
};

/* Called with the leaves of all buckets, bucket by bucket, keys ascending. */
typedef enum kerr bbolt_leaf_fn(void *ctx, const struct bbolt_leaf *leaf, struct kerrinfo *e);
/* Called with the items of a leaf, keys ascending. */
typedef enum kerr bbolt_item_fn(void *ctx, struct bytes bucket, struct bytes key,
                                struct bytes value, struct kerrinfo *e);
/* Called with what lies behind the last item of a page in use. */
typedef enum kerr bbolt_slack_fn(void *ctx, struct bytes slack, struct kerrinfo *e);

struct bbolt_visit {
    bbolt_leaf_fn *leaf; /* NULL: each is read at once */
    bbolt_item_fn *item;
    bbolt_slack_fn *slack; /* NULL: not wanted */
    void *ctx;
};

/* Checks and walks everything that is in use. With `leaf` it leaves to the caller to read leaves,
 * and has checked everything but what is in them. */
enum kerr bbolt_walk(struct bbolt *b, const struct bbolt_visit *visit,
                     struct kerrinfo *e) MUST_CHECK;
/* Checks a leaf, and hands its items and its slack to `visit`. On any thread, any number of leaves
 * at a time. */
enum kerr bbolt_leaf_read(const struct bbolt *b, const struct bbolt_leaf *leaf,
                          const struct bbolt_visit *visit, struct kerrinfo *e) MUST_CHECK;

/* The same leaf is read soon: beginning and end of each item come into the cache. */
void bbolt_leaf_prefetch(const struct bbolt_leaf *leaf);

/* After a whole walk: the next run of bytes from *at (0 at first) that no page in use covers; false
 * when there is none. */
bool bbolt_unreached(const struct bbolt *b, size_t *at, struct bytes *ret);

/* FORMAT with file, page and byte offset of `where`, which points into the file. */
enum kerr bbolt_damaged(const struct bbolt *b, const void *where, struct kerrinfo *e,
                        const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
