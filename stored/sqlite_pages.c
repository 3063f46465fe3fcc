/* SPDX-License-Identifier: Apache-2.0 */
/* The headers of the two files, the log's frames, and which page lies where. */
#include "stored/sqlite_pages.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "stored/sqlite_page.h"

/* Header of the database: magic, page size u16 @16, write and read version u8 @18, reserved u8 @20,
 * change counter u32 @24, pages u32 @28, the change counter for which that holds u32 @92. */
#define MAGIC         "SQLite format 3"
#define PAGE_SIZE     16
#define READ_VERSION  19
#define RESERVED      20
#define CHANGE        24
#define PAGES         28
#define VALID_FOR     92
#define PAGE_SIZE_MIN 512
#define PAGE_SIZE_MAX 65536
#define USABLE_MIN    480
#define READ_WITH_LOG 2

/* Header of the log: magic u32, version u32, page size u32, round u32, salts u64, checksum 2 u32.
 * Of a frame: page u32, pages after this transaction u32 (0: it goes on), salts u64, checksum. */
#define WAL_MAGIC     0x377f0682 /* its last bit: checksums of big-endian words */
#define WAL_VERSION   3007000
#define WAL_PAGE_SIZE 8
#define WAL_SALTS     16
#define WAL_SUM       24
#define FRAME_COMMIT  4
#define FRAME_SALTS   8
#define FRAME_SUM     16
#define SALTS_BYTES   8

#define ERROR_BYTES 200

/* ---- places ---- */

const uint8_t *sqlite_frame(const struct sqlite_pages *p, uint32_t frame)
{
    return p->wal.ptr + WAL_HEADER + (size_t)frame * (FRAME_HEADER + p->page_size);
}

const uint8_t *sqlite_page(const struct sqlite_pages *p, uint32_t number)
{
    if (number == 0 || number > p->count) {
        return NULL;
    }
    uint32_t frame = p->frames[number - 1];
    if (frame != 0) {
        return sqlite_frame(p, frame - 1) + FRAME_HEADER;
    }
    size_t at = (size_t)(number - 1) * p->page_size;
    return at + p->page_size <= p->db.len ? p->db.ptr + at : NULL;
}

enum kerr sqlite_damaged(const struct sqlite_pages *p, uint32_t number, const void *where,
                         struct kerrinfo *e, const char *fmt, ...)
{
    char text[ERROR_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const uint8_t *at = where;
    bool is_wal = p->wal.len > 0 && at >= p->wal.ptr && at < p->wal.ptr + p->wal.len;
    return kerr_set(e, KERR_FORMAT, "%s%s: damaged at page %" PRIu32 ", byte %zu: %s", p->name,
                    is_wal ? "-wal" : "", number, (size_t)(at - (is_wal ? p->wal.ptr : p->db.ptr)),
                    text);
}

/* ---- the log ---- */

struct sum {
    uint32_t a;
    uint32_t b;
    bool is_big; /* words are big-endian */
};

static void add_words(struct sum *s, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint32_t words[2];
        memcpy(words, data + i, sizeof words);
        s->a += (s->is_big ? be32toh(words[0]) : le32toh(words[0])) + s->b;
        s->b += (s->is_big ? be32toh(words[1]) : le32toh(words[1])) + s->a;
    }
}

static bool is_sum(const struct sum *s, const uint8_t *at)
{
    return be32_at(at) == s->a && be32_at(at + 4) == s->b;
}

static bool is_zero(const uint8_t *ptr, size_t len)
{
    return ptr[0] == 0 && memcmp(ptr, ptr + 1, len - 1) == 0;
}

/* A header that was never written is that of an empty log. */
static enum kerr read_wal_header(const struct sqlite_pages *p, struct sum *ret, bool *ret_is_empty,
                                 struct kerrinfo *e)
{
    const uint8_t *h = p->wal.ptr;
    *ret_is_empty = p->wal.len < WAL_HEADER || is_zero(h, WAL_HEADER);
    if (*ret_is_empty) {
        return KERR_OK;
    }
    *ret = (struct sum){.is_big = (be32_at(h) & 1) != 0};
    add_words(ret, h, WAL_SUM);
    if ((be32_at(h) & ~1U) != WAL_MAGIC || !is_sum(ret, h + WAL_SUM)) {
        return kerr_set(e, KERR_FORMAT,
                        "%s-wal: damaged at byte 0: no header of a write-ahead log of SQLite: what "
                        "was written last is lost with it",
                        p->name);
    }
    if (be32_at(h + 4) != WAL_VERSION) {
        return kerr_set(e, KERR_UNSUP, "%s-wal: version %" PRIu32 " of SQLite's log, expected %d",
                        p->name, be32_at(h + 4), WAL_VERSION);
    }
    if (be32_at(h + WAL_PAGE_SIZE) != p->page_size) {
        return kerr_set(e, KERR_FORMAT,
                        "%s-wal: damaged at byte 8: pages of %" PRIu32
                        " bytes, those of the database have %zu: it belongs to another file",
                        p->name, be32_at(h + WAL_PAGE_SIZE), p->page_size);
    }
    return KERR_OK;
}

static bool is_of_round(const struct sqlite_pages *p, uint32_t frame)
{
    return memcmp(sqlite_frame(p, frame) + FRAME_SALTS, p->wal.ptr + WAL_SALTS, SALTS_BYTES) == 0;
}

/* Goes on with the chain of checksums when the frame is its next link. */
static bool take_frame(const struct sqlite_pages *p, uint32_t frame, struct sum *chain)
{
    const uint8_t *h = sqlite_frame(p, frame);
    struct sum next = *chain;
    add_words(&next, h, FRAME_SALTS);
    add_words(&next, h + FRAME_HEADER, p->page_size);
    if (be32_at(h) == 0 || !is_sum(&next, h + FRAME_SUM)) {
        return false;
    }
    *chain = next;
    return true;
}

static bool has_more_of_round(const struct sqlite_pages *p, uint32_t from)
{
    for (uint32_t i = from; i < p->frame_count; i++) {
        if (is_of_round(p, i)) {
            return true;
        }
    }
    return false;
}

static enum kerr lost_frames(const struct sqlite_pages *p, uint32_t frame, const char *what,
                             struct kerrinfo *e)
{
    const uint8_t *h = sqlite_frame(p, frame);
    return sqlite_damaged(p, be32_at(h), h, e,
                          "frame %" PRIu32
                          " has a wrong %s and others follow: SQLite would not see "
                          "them",
                          frame, what);
}

/* Finds the end of the last transaction and the pages of the database behind it. */
static enum kerr read_frames(struct sqlite_pages *p, struct sum chain, uint32_t *ret_count,
                             struct kerrinfo *e)
{
    for (uint32_t i = 0; i < p->frame_count; i++) {
        bool is_next = is_of_round(p, i) && take_frame(p, i, &chain);
        if (!is_next && !has_more_of_round(p, i + 1)) {
            break;
        }
        /* Whoever appends had perhaps not ended this frame, but has, now that others follow. */
        if (!is_next && !is_of_round(p, i)) {
            return lost_frames(p, i, "salt", e);
        }
        if (!is_next && !take_frame(p, i, &chain)) {
            return lost_frames(p, i, "checksum", e);
        }
        uint32_t commit = be32_at(sqlite_frame(p, i) + FRAME_COMMIT);
        if (commit != 0) {
            p->committed = i + 1;
            *ret_count = commit;
        }
    }
    return KERR_OK;
}

static enum kerr read_wal(struct sqlite_pages *p, uint32_t *ret_count, struct kerrinfo *e)
{
    struct sum chain = {.is_big = false};
    bool is_empty = true;
    if (p->wal.len >= WAL_HEADER) {
        size_t frames = (p->wal.len - WAL_HEADER) / (FRAME_HEADER + p->page_size);
        p->frame_count = frames < UINT32_MAX ? (uint32_t)frames : UINT32_MAX - 1;
    }
    enum kerr k = read_wal_header(p, &chain, &is_empty, e);
    return k == KERR_OK && !is_empty ? read_frames(p, chain, ret_count, e) : k;
}

struct bytes sqlite_pages_committed(const struct sqlite_pages *p)
{
    return p->committed == 0
               ? bytes_of(NULL, 0)
               : bytes_of(p->wal.ptr, (size_t)(sqlite_frame(p, p->committed) - p->wal.ptr));
}

/* ---- the database ---- */

static enum kerr read_header(struct sqlite_pages *p, struct kerrinfo *e)
{
    const uint8_t *h = p->db.ptr;
    if (p->db.len < DB_HEADER || memcmp(h, MAGIC, sizeof MAGIC) != 0) {
        return kerr_set(e, KERR_NOTFOUND,
                        "%s is no SQLite database: expected the file that kine writes, such as "
                        "/var/lib/rancher/k3s/server/db/state.db",
                        p->name);
    }
    size_t size = be16_at(h + PAGE_SIZE);
    size = size == 1 ? PAGE_SIZE_MAX : size;
    if (size < PAGE_SIZE_MIN || (size & (size - 1)) != 0) {
        return kerr_set(e, KERR_FORMAT, "%s: damaged at byte %d: pages of %zu bytes", p->name,
                        PAGE_SIZE, size);
    }
    p->page_size = size;
    p->usable = size - h[RESERVED];
    if (h[READ_VERSION] > READ_WITH_LOG) {
        return kerr_set(e, KERR_UNSUP, "%s: version %d of SQLite's format, known are 1 and 2",
                        p->name, h[READ_VERSION]);
    }
    return p->usable >= USABLE_MIN
               ? KERR_OK
               : kerr_set(e, KERR_FORMAT, "%s: damaged at byte %d: %d bytes of each page reserved",
                          p->name, RESERVED, h[RESERVED]);
}

static enum kerr make_tables(struct sqlite_pages *p, uint64_t count, struct kerrinfo *e)
{
    /* Each page lies somewhere, but for the one that SQLite locks in files over 1 GB. */
    if (count == 0 || count > p->db.len / p->page_size + p->frame_count + 1 ||
        count > UINT32_MAX - 1) {
        return kerr_set(e, KERR_FORMAT,
                        "%s: cut off: %" PRIu64 " pages of %zu bytes, and %zu bytes of file",
                        p->name, count, p->page_size, p->db.len);
    }
    p->count = (uint32_t)count;
    p->frames = calloc((size_t)count, sizeof *p->frames);
    p->reached = calloc((size_t)count / 8 + 1, 1);
    p->covered = calloc(p->page_size, 1);
    if (p->frames == NULL || p->reached == NULL || p->covered == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a list of %" PRIu64 " pages", count);
    }
    for (uint32_t i = 0; i < p->committed; i++) {
        uint32_t number = be32_at(sqlite_frame(p, i));
        if (number <= p->count) {
            p->frames[number - 1] = i + 1;
        }
    }
    return KERR_OK;
}

/* What the first page says, when it was written by a program that says it. */
static enum kerr take_count(struct sqlite_pages *p, struct kerrinfo *e)
{
    const uint8_t *h = sqlite_page(p, 1);
    if (h == NULL) {
        return kerr_set(e, KERR_FORMAT, "%s: cut off within its first page", p->name);
    }
    uint32_t said = be32_at(h + PAGES);
    if (said == 0 || be32_at(h + CHANGE) != be32_at(h + VALID_FOR)) {
        return KERR_OK;
    }
    if (said > p->count) {
        return kerr_set(e, KERR_FORMAT,
                        "%s: cut off: %" PRIu32 " pages of %zu bytes are there, its header says "
                        "%" PRIu32,
                        p->name, p->count, p->page_size, said);
    }
    p->count = said;
    return KERR_OK;
}

enum kerr sqlite_pages_open(struct bytes db, struct bytes wal, const char *name,
                            struct sqlite_pages *ret, struct kerrinfo *e)
{
    struct sqlite_pages p = {.db = db, .wal = wal, .name = name};
    uint32_t committed_count = 0;
    enum kerr k = read_header(&p, e);
    k = k == KERR_OK ? read_wal(&p, &committed_count, e) : k;
    if (k == KERR_OK) {
        k = make_tables(&p, p.committed > 0 ? committed_count : db.len / p.page_size, e);
    }
    k = k == KERR_OK ? take_count(&p, e) : k;
    *ret = p;
    return k;
}

void sqlite_pages_close(struct sqlite_pages *p)
{
    free(p->frames);
    free(p->reached);
    free(p->covered);
    *p = (struct sqlite_pages){.count = 0};
}
