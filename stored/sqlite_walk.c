/* SPDX-License-Identifier: Apache-2.0 */
/* The trees of a database: each page, its cells, and the chains of pages behind long cells. */
#include <inttypes.h>

#include "stored/sqlite_page.h"

/* Head of a page: type u8, first free block u16, cells u16, begin of cells u16, fragments u8; of
 * an inner one also the rightmost page u32. Then where each cell begins, u16. */
#define PAGE_CELLS  3
#define PAGE_RIGHT  8
#define HEAD_LEAF   8
#define HEAD_INNER  12
#define CELL_LEAST  4 /* what SQLite takes for a cell at least */
#define VARINT_MAX  9
#define PAYLOAD_MAX 0x7fffffff

enum { INDEX_INNER = 2, TABLE_INNER = 5, INDEX_LEAF = 10, TABLE_LEAF = 13 };

struct level {
    uint32_t number;
    const uint8_t *page;
    size_t head; /* where it begins in the page */
    size_t cells;
    size_t next;
    bool is_table;
    bool is_leaf;
};

struct tree {
    struct sqlite_pages *p;
    const struct sqlite_visit *visit;
    struct level levels[SQLITE_PAGES_DEPTH_MAX];
    size_t depth;
    bool is_table;
    uint64_t rows;
};

struct cell {
    size_t at;
    size_t len;
    uint64_t payload;
    size_t local;
    size_t overflow; /* where the number of the next page stands; 0: none */
};

bool sqlite_varint(struct bytes from, size_t *at, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < VARINT_MAX && *at + i < from.len; i++) {
        uint8_t byte = from.ptr[*at + i];
        if (i == VARINT_MAX - 1) {
            v = v << 8 | byte;
        } else {
            v = v << 7 | (byte & 0x7f);
        }
        if (i == VARINT_MAX - 1 || byte < 0x80) {
            *at += i + 1;
            *ret = v;
            return true;
        }
    }
    return false;
}

size_t sqlite_local(size_t usable, bool is_table, uint64_t payload)
{
    size_t most = is_table ? usable - 35 : (usable - 12) * 64 / 255 - 23;
    size_t least = (usable - 12) * 32 / 255 - 23;
    if (payload <= most) {
        return (size_t)payload;
    }
    size_t fitting = least + (size_t)((payload - least) % (usable - 4));
    return fitting <= most ? fitting : least;
}

/* ---- what is in use ---- */

static bool mark(struct sqlite_pages *p, uint32_t number)
{
    uint8_t bit = (uint8_t)(1U << (number - 1) % 8);
    bool is_new = (p->reached[(number - 1) / 8] & bit) == 0;
    p->reached[(number - 1) / 8] |= bit;
    return is_new;
}

/* A page that `from`, in page `by`, leads to. */
static enum kerr take_page(struct sqlite_pages *p, uint32_t number, uint32_t by,
                           const uint8_t *from, const uint8_t **ret, struct kerrinfo *e)
{
    const uint8_t *page = sqlite_page(p, number);
    if (number == 0 || number > p->count) {
        return sqlite_damaged(p, by, from, e, "leads to page %" PRIu32 ", of 1 … %" PRIu32, number,
                              p->count);
    }
    if (page == NULL) {
        return sqlite_damaged(p, by, from, e,
                              "leads to page %" PRIu32 ", which lies behind the end of the file",
                              number);
    }
    if (!mark(p, number)) {
        return sqlite_damaged(p, by, from, e,
                              "leads to page %" PRIu32 ", which is in use elsewhere", number);
    }
    *ret = page;
    return KERR_OK;
}

/* Marks bytes of the page as used; false when some are already. */
static bool cover(struct sqlite_pages *p, size_t at, size_t len)
{
    if (memchr(p->covered + at, 1, len) != NULL) {
        return false;
    }
    memset(p->covered + at, 1, len);
    return true;
}

static enum kerr tell_slack(const struct tree *t, const uint8_t *at, size_t len, struct kerrinfo *e)
{
    return t->visit->slack == NULL || len == 0
               ? KERR_OK
               : t->visit->slack(t->visit->ctx, bytes_of(at, len), e);
}

static enum kerr tell_uncovered(const struct tree *t, const uint8_t *page, struct kerrinfo *e)
{
    const struct sqlite_pages *p = t->p;
    enum kerr k = KERR_OK;
    for (size_t at = 0; at < p->page_size && k == KERR_OK && t->visit->slack != NULL;) {
        const uint8_t *free = memchr(p->covered + at, 0, p->page_size - at);
        if (free == NULL) {
            return KERR_OK;
        }
        size_t from = (size_t)(free - p->covered);
        const uint8_t *used = memchr(free, 1, p->page_size - from);
        at = used == NULL ? p->page_size : (size_t)(used - p->covered);
        k = tell_slack(t, page + from, at - from, e);
    }
    return k;
}

/* ---- cells ---- */

static bool read_cell(const struct sqlite_pages *p, const struct level *l, size_t at,
                      struct cell *ret)
{
    struct bytes page = bytes_of(l->page, p->usable);
    struct cell c = {.at = at};
    uint64_t row = 0;
    size_t end = at + (l->is_leaf ? 0 : 4);
    bool has_payload = !l->is_table || l->is_leaf;
    if ((has_payload && !sqlite_varint(page, &end, &c.payload)) ||
        (l->is_table && !sqlite_varint(page, &end, &row)) || c.payload > PAYLOAD_MAX) {
        return false;
    }
    c.local = sqlite_local(p->usable, l->is_table, c.payload);
    end += c.local;
    if (c.local < c.payload) {
        c.overflow = end;
        end += 4;
    }
    c.len = end - at < CELL_LEAST ? CELL_LEAST : end - at;
    *ret = c;
    return at + c.len <= p->usable;
}

/* The pages that hold the rest of a payload. */
static enum kerr follow(const struct tree *t, const struct level *l, const struct cell *c,
                        struct kerrinfo *e)
{
    struct sqlite_pages *p = t->p;
    uint64_t left = c->payload - c->local;
    uint32_t by = l->number;
    const uint8_t *from = l->page + c->overflow;
    while (left > 0) {
        const uint8_t *page = NULL;
        uint32_t number = be32_at(from);
        enum kerr k = take_page(p, number, by, from, &page, e);
        if (k != KERR_OK) {
            return k;
        }
        size_t here = left < p->usable - 4 ? (size_t)left : p->usable - 4;
        left -= here;
        k = tell_slack(t, page + 4 + here, p->page_size - 4 - here, e);
        if (k != KERR_OK) {
            return k;
        }
        by = number;
        from = page;
    }
    return KERR_OK;
}

static const uint8_t *pointer(const struct level *l, size_t i)
{
    return l->page + l->head + (l->is_leaf ? HEAD_LEAF : HEAD_INNER) + 2 * i;
}

static enum kerr take_cells(struct tree *t, const struct level *l, struct kerrinfo *e)
{
    struct sqlite_pages *p = t->p;
    memset(p->covered, 0, p->page_size);
    memset(p->covered, 1, (size_t)(pointer(l, l->cells) - l->page));
    for (size_t i = 0; i < l->cells; i++) {
        struct cell c;
        size_t at = be16_at(pointer(l, i));
        if (at >= p->usable || !read_cell(p, l, at, &c)) {
            return sqlite_damaged(p, l->number, pointer(l, i), e,
                                  "cell %zu begins at %zu and does not end within %zu bytes", i, at,
                                  p->usable);
        }
        if (!cover(p, c.at, c.len)) {
            return sqlite_damaged(p, l->number, l->page + c.at, e,
                                  "cell %zu lies over another or the page's head", i);
        }
    }
    enum kerr k = tell_uncovered(t, l->page, e);
    for (size_t i = 0; i < l->cells && k == KERR_OK; i++) {
        struct cell c;
        if (read_cell(p, l, be16_at(pointer(l, i)), &c) && c.overflow != 0) {
            k = follow(t, l, &c, e);
        }
    }
    return k;
}

/* ---- pages ---- */

static bool read_head(const struct sqlite_pages *p, struct level *l)
{
    uint8_t type = l->page[l->head];
    l->is_leaf = type == INDEX_LEAF || type == TABLE_LEAF;
    l->is_table = type == TABLE_INNER || type == TABLE_LEAF;
    l->cells = be16_at(l->page + l->head + PAGE_CELLS);
    return (l->is_leaf || type == INDEX_INNER || type == TABLE_INNER) &&
           pointer(l, l->cells) <= l->page + p->usable;
}

/* Looks at all of a page, and puts it on the stack when there are others below it. */
static enum kerr enter(struct tree *t, uint32_t number, uint32_t by, const uint8_t *from,
                       struct kerrinfo *e)
{
    struct level l = {.number = number, .head = number == 1 ? DB_HEADER : 0};
    enum kerr k = take_page(t->p, number, by, from, &l.page, e);
    if (k != KERR_OK) {
        return k;
    }
    if (!read_head(t->p, &l)) {
        return sqlite_damaged(t->p, number, l.page + l.head, e,
                              "type %d with %zu cells, expected a page of a tree", l.page[l.head],
                              l.cells);
    }
    bool is_root = by == 0;
    t->is_table = is_root ? l.is_table : t->is_table;
    if (l.is_table != t->is_table || (l.cells == 0 && !is_root)) {
        return sqlite_damaged(t->p, number, l.page + l.head, e,
                              "an empty page or one of another kind within a tree");
    }
    if (!l.is_leaf && t->depth == SQLITE_PAGES_DEPTH_MAX) {
        return sqlite_damaged(t->p, number, l.page, e, "a tree of more than %d levels",
                              SQLITE_PAGES_DEPTH_MAX);
    }
    t->rows += l.is_table && l.is_leaf ? l.cells : 0;
    if (!l.is_leaf) {
        t->levels[t->depth++] = l;
    }
    return take_cells(t, &l, e);
}

/* To the next page below the one on top, of which each cell and then the head name one. */
static enum kerr step(struct tree *t, struct kerrinfo *e)
{
    struct level *l = &t->levels[t->depth - 1];
    if (l->next > l->cells) {
        t->depth--;
        return KERR_OK;
    }
    /* It was checked, and may be another one by now. */
    size_t at = l->next == l->cells ? l->head + PAGE_RIGHT : be16_at(pointer(l, l->next));
    const uint8_t *from = l->page + at;
    if (at + 4 > t->p->usable) {
        return sqlite_damaged(t->p, l->number, l->page, e, "a cell at byte %zu, of %zu", at,
                              t->p->usable);
    }
    l->next++;
    return enter(t, be32_at(from), l->number, from, e);
}

void sqlite_pages_restart(struct sqlite_pages *p)
{
    memset(p->reached, 0, (size_t)p->count / 8 + 1);
}

enum kerr sqlite_pages_walk(struct sqlite_pages *p, uint32_t root, const struct sqlite_visit *visit,
                            uint64_t *ret_rows, struct kerrinfo *e)
{
    struct tree t = {.p = p, .visit = visit};
    enum kerr k = enter(&t, root, 0, p->db.ptr, e);
    while (k == KERR_OK && t.depth > 0) {
        k = step(&t, e);
    }
    *ret_rows = t.rows;
    return k;
}

/* ---- what is not ---- */

static bool is_reached(const struct sqlite_pages *p, uint32_t number)
{
    return (p->reached[(number - 1) / 8] >> (number - 1) % 8 & 1) != 0;
}

static bool is_page_used(const struct sqlite_pages *p, uint64_t page)
{
    return page < p->count && p->frames[page] == 0 && is_reached(p, (uint32_t)page + 1);
}

static bool is_frame_used(const struct sqlite_pages *p, uint32_t frame)
{
    uint32_t number = be32_at(sqlite_frame(p, frame));
    return number > 0 && number <= p->count && p->frames[number - 1] == frame + 1 &&
           is_reached(p, number);
}

/* Counts through the pages of the main file, then the frames of the log, then what is behind. */
bool sqlite_pages_unused(const struct sqlite_pages *p, uint64_t *at, struct bytes *ret,
                         bool *ret_is_wal)
{
    uint64_t pages = (p->db.len + p->page_size - 1) / p->page_size;
    while (*at < pages + p->frame_count) {
        uint64_t i = (*at)++;
        *ret_is_wal = i >= pages;
        if (i < pages && !is_page_used(p, i)) {
            size_t from = (size_t)i * p->page_size;
            size_t left = p->db.len - from;
            *ret = bytes_of(p->db.ptr + from, left < p->page_size ? left : p->page_size);
            return true;
        }
        if (i >= pages && !is_frame_used(p, (uint32_t)(i - pages))) {
            *ret = bytes_of(sqlite_frame(p, (uint32_t)(i - pages)) + FRAME_HEADER, p->page_size);
            return true;
        }
    }
    if (*at > pages + p->frame_count || p->wal.len < WAL_HEADER) {
        return false;
    }
    const uint8_t *tail = sqlite_frame(p, p->frame_count);
    if (tail == p->wal.ptr + p->wal.len) {
        return false;
    }
    (*at)++;
    *ret_is_wal = true;
    *ret = bytes_of(tail, (size_t)(p->wal.ptr + p->wal.len - tail));
    return true;
}
