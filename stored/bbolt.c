/* SPDX-License-Identifier: Apache-2.0 */
/* The file as a whole: its meta pages, its hash, its places. The trees: bbolt_walk.c. */
#include "stored/bbolt.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/hash.h"
#include "stored/bbolt_page.h"

/* Meta, behind the page header: magic u32, version u32, page size u32, flags u32, root page u64,
 * sequence u64, freelist u64, high-water mark u64, transaction u64, FNV-1a 64 of all before. */
#define META_BYTES      64
#define META_VERSION    4
#define META_PAGE_SIZE  8
#define META_ROOT       16
#define META_FREELIST   32
#define META_HIGH_WATER 40
#define META_TXID       48
#define META_CHECKSUM   56
#define MAGIC           0xED0CDAEDU
#define VERSION         2

/* A snapshot's size: pages, of which 512 is a divisor, and the hash. */
#define SNAPSHOT_UNIT 512

static uint64_t fnv1a(const uint8_t *p, size_t len)
{
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < len; i++) {
        h = (h ^ p[i]) * 0x100000001b3;
    }
    return h;
}

/* ---- messages ---- */

enum kerr bbolt_damaged(const struct bbolt *b, const void *where, struct kerrinfo *e,
                        const char *fmt, ...)
{
    char what[KERRINFO_TEXT_MAX];
    size_t at = (size_t)((const uint8_t *)where - b->file.ptr);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return kerr_set(e, KERR_FORMAT, "%s: damaged at page %zu, byte %zu: %s", b->name,
                    at / b->page_size, at, what);
}

/* Files that are often taken for one. */
static const char *known_as(struct bytes file)
{
    static const struct {
        const char *magic;
        const char *what;
    } rows[] = {
        {"\x1f\x8b", "compressed by gzip: unpack it first"},
        {"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it first"},
        {"PK\x03\x04", "a zip archive: unpack it first"},
        {"SQLite format 3",
         "an SQLite database; if it is kine's, that of k3s, audit it with --kine"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = strlen(rows[i].magic);
        if (file.len >= len && memcmp(file.ptr, rows[i].magic, len) == 0) {
            return rows[i].what;
        }
    }
    return "expected a file of 'etcdctl snapshot save' or member/snap/db";
}

/* ---- meta pages ---- */

struct meta {
    const uint8_t *at;
    size_t page_size;
    bool is_valid;
};

/* A meta page may stand at `offset`: its magic is there, be it in the other byte order. */
static const uint8_t *meta_at(struct bytes file, size_t offset)
{
    if (file.len < PAGE_HEADER + META_BYTES || offset > file.len - PAGE_HEADER - META_BYTES) {
        return NULL;
    }
    const uint8_t *at = file.ptr + offset + PAGE_HEADER;
    uint32_t magic = load32(at);
    return magic == MAGIC || magic == __builtin_bswap32(MAGIC) ? at : NULL;
}

static enum kerr judge_meta(const struct bbolt *b, struct meta *m, struct kerrinfo *e)
{
    if (load32(m->at) != MAGIC) {
        return kerr_set(e, KERR_UNSUP,
                        "%s was written by a machine of the other byte order (big-endian); audit "
                        "it on one",
                        b->name);
    }
    if (load32(m->at + META_VERSION) != VERSION) {
        return kerr_set(e, KERR_UNSUP, "%s has version %" PRIu32 " of bbolt's format; known is %d",
                        b->name, load32(m->at + META_VERSION), VERSION);
    }
    if (load64(m->at + META_CHECKSUM) != fnv1a(m->at, META_CHECKSUM)) {
        return kerr_set(e, KERR_FORMAT,
                        "%s: damaged at byte %zu: the checksum of a meta page; audit another copy, "
                        "or let etcd mend it: start one with it and save a snapshot",
                        b->name, (size_t)(m->at - b->file.ptr) + META_CHECKSUM);
    }
    m->page_size = load32(m->at + META_PAGE_SIZE);
    if (m->page_size < BBOLT_PAGE_MIN || m->page_size > BBOLT_PAGE_MAX ||
        (m->page_size & (m->page_size - 1)) != 0) {
        return kerr_set(e, KERR_FORMAT, "%s: damaged at byte %zu: a page size of %zu bytes",
                        b->name, (size_t)(m->at - b->file.ptr) + META_PAGE_SIZE, m->page_size);
    }
    m->is_valid = true;
    return KERR_OK;
}

/* The second meta page: one page behind the first, whose size is known only if the first is valid;
 * else all sizes are tried. */
static const uint8_t *find_second(struct bytes file, const struct meta *first)
{
    if (first->is_valid) {
        return meta_at(file, first->page_size);
    }
    for (size_t size = BBOLT_PAGE_MIN; size <= BBOLT_PAGE_MAX; size *= 2) {
        const uint8_t *at = meta_at(file, size);
        if (at != NULL) {
            return at;
        }
    }
    return NULL;
}

static enum kerr take_meta(struct bbolt *b, const struct meta *m, struct kerrinfo *e)
{
    b->page_size = m->page_size;
    b->root = load64(m->at + META_ROOT);
    b->freelist = load64(m->at + META_FREELIST);
    b->high_water = load64(m->at + META_HIGH_WATER);
    b->txid = load64(m->at + META_TXID);
    if (b->high_water > b->file.len / b->page_size) {
        return kerr_set(e, KERR_FORMAT,
                        "%s is cut off: it has %zu bytes, and its meta page speaks of %" PRIu64
                        " pages of %zu bytes",
                        b->name, b->file.len, b->high_water, b->page_size);
    }
    if (b->high_water <= PAGES_FIRST) {
        return bbolt_damaged(b, m->at + META_HIGH_WATER, e, "a high-water mark of %" PRIu64,
                             b->high_water);
    }
    return KERR_OK;
}

/* What the first says, or the second where the first is good. bbolt goes on with the one that is
 * left, which may be that of an older transaction: then what was written last is not there. */
static enum kerr refuse_meta(const struct bbolt *b, const struct meta *first, enum kerr k,
                             const struct meta *second, enum kerr k2, const struct kerrinfo *cause,
                             struct kerrinfo *e)
{
    if (first->at == NULL || second->at == NULL) {
        size_t at = first->at == NULL ? PAGE_HEADER : first->page_size + PAGE_HEADER;
        return b->file.len < at + META_BYTES
                   ? kerr_set(e, KERR_FORMAT, "%s is cut off: it has %zu bytes", b->name,
                              b->file.len)
                   : kerr_set(e, KERR_FORMAT,
                              "%s: damaged at byte %zu: no meta page, of which it has two: what "
                              "was written last may be lost with it; audit another copy",
                              b->name, at);
    }
    return k != KERR_OK ? k : kerr_set(e, k2, "%s", cause->text);
}

static enum kerr read_metas(struct bbolt *b, struct kerrinfo *e)
{
    struct kerrinfo second_cause = {0};
    struct meta first = {.at = meta_at(b->file, 0)};
    enum kerr k = first.at == NULL ? KERR_FORMAT : judge_meta(b, &first, e);
    struct meta second = {.at = find_second(b->file, &first)};
    enum kerr k2 = second.at == NULL ? KERR_FORMAT : judge_meta(b, &second, &second_cause);
    if (first.at == NULL && second.at == NULL) {
        return kerr_set(e, KERR_FORMAT, "%s is no etcd database: %s", b->name, known_as(b->file));
    }
    if (k != KERR_OK || k2 != KERR_OK || first.at == NULL || second.at == NULL) {
        return refuse_meta(b, &first, k, &second, k2, &second_cause, e);
    }
    bool is_second = load64(second.at + META_TXID) > load64(first.at + META_TXID);
    return take_meta(b, is_second ? &second : &first, e);
}

enum kerr bbolt_open(struct bytes file, const char *name, struct bbolt *ret, struct kerrinfo *e)
{
    AUTO_BBOLT b = {.file = file, .name = name};
    struct kerrinfo cause = {0};
    if (file.len % SNAPSHOT_UNIT == HASH_BYTES) {
        b.file.len -= HASH_BYTES;
        b.hash = bytes_of(file.ptr + b.file.len, HASH_BYTES);
    }
    enum kerr k = read_metas(&b, &cause);
    if (k != KERR_OK) {
        return kerr_set(e, k, "%s", cause.text);
    }
    b.reached = calloc((size_t)b.high_water / 8 + 1, 1);
    if (b.reached == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for the map of %" PRIu64 " pages", b.high_water);
    }
    *ret = b;
    b.reached = NULL;
    return KERR_OK;
}

void bbolt_close(struct bbolt *b)
{
    free(b->reached);
    b->reached = NULL;
}

enum kerr bbolt_check_hash(const struct bbolt *b, struct kerrinfo *e)
{
    uint8_t hash[HASH_BYTES];
    if (b->hash.len == 0) {
        return KERR_OK;
    }
    hash_sha256(b->file, hash);
    if (bytes_equal(b->hash, BYTES_OF(hash))) {
        return KERR_OK;
    }
    return kerr_set(
        e, KERR_FORMAT,
        "%s is damaged: the SHA-256 at its end, from byte %zu, is not that of the bytes "
        "before it",
        b->name, b->file.len);
}

bool bbolt_unreached(const struct bbolt *b, size_t *at, struct bytes *ret)
{
    uint64_t page = *at / b->page_size;
    page = page < PAGES_FIRST ? PAGES_FIRST : page;
    while (page < b->high_water && (b->reached[page / 8] >> (page % 8) & 1) != 0) {
        page++;
    }
    size_t from = (size_t)page * b->page_size;
    from = from < *at ? *at : from; /* the end of the file need not be that of a page */
    while (page < b->high_water && (b->reached[page / 8] >> (page % 8) & 1) == 0) {
        page++;
    }
    /* Behind the high-water mark no page is in use: up to the end of the file. */
    size_t to = page == b->high_water ? b->file.len : (size_t)page * b->page_size;
    if (from >= to) {
        return false;
    }
    *ret = bytes_of(b->file.ptr + from, to - from);
    *at = to;
    return true;
}
