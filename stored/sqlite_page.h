/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of SQLite's files and where they stand. Private to stored. */
#ifndef ETCDSEAL_STORED_SQLITE_PAGE_H
#define ETCDSEAL_STORED_SQLITE_PAGE_H

#include <endian.h>
#include <string.h>

#include "stored/sqlite_pages.h"

/* The first page begins with the header of the database. */
#define DB_HEADER 100

/* The log: a header, then frames of a header and a page. */
#define WAL_HEADER   32
#define FRAME_HEADER 24

static inline uint32_t be16_at(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return be16toh(v);
}

static inline uint32_t be32_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

/* The bytes of a page; NULL when neither file has it. */
const uint8_t *sqlite_page(const struct sqlite_pages *p, uint32_t number);
/* The header of a frame, counted from 0. */
const uint8_t *sqlite_frame(const struct sqlite_pages *p, uint32_t frame);
/* FORMAT with file, page and byte of `where`, which points into one of the two files. */
enum kerr sqlite_damaged(const struct sqlite_pages *p, uint32_t number, const void *where,
                         struct kerrinfo *e, const char *fmt, ...) PRINTF_LIKE(5, 6);

/* Seven bits for each byte, the high ones first, and all eight of a ninth. False when it does not
 * end in time. */
bool sqlite_varint(struct bytes from, size_t *at, uint64_t *ret);
/* How many bytes of a payload lie in its page; the others in overflow pages. */
size_t sqlite_local(size_t usable, bool is_table, uint64_t payload);

#endif
