/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of a bbolt file and where they stand. Private to stored. */
#ifndef ETCDSEAL_STORED_BBOLT_PAGE_H
#define ETCDSEAL_STORED_BBOLT_PAGE_H

#include <endian.h>
#include <string.h>

#include "stored/bbolt.h"

/* Page header: id u64, flags u16, count u16, overflow u32 (pages that follow in its run). */
#define PAGE_HEADER   16
#define PAGE_FLAGS    8
#define PAGE_COUNT    10
#define PAGE_OVERFLOW 12

enum { PAGE_IS_BRANCH = 0x01, PAGE_IS_LEAF = 0x02, PAGE_IS_META = 0x04, PAGE_IS_FREELIST = 0x10 };

#define FREELIST_NONE UINT64_MAX /* etcd keeps no list of free pages in the file */

#define PAGES_FIRST 2 /* behind the two meta pages */

/* Elements: branch {pos u32, ksize u32, page u64}; leaf {flags u32, pos u32, ksize u32, vsize u32}.
 * `pos` counts from the element's own beginning. */
#define ELEMENT_BYTES 16

static inline uint16_t load16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return le16toh(v);
}

static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

#endif
