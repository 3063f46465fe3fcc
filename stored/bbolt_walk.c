/* SPDX-License-Identifier: Apache-2.0 */
/* The trees of a file: that of the buckets, and under it one for each bucket. */
#include <inttypes.h>

#include "stored/bbolt_page.h"

#define LEAF_IS_BUCKET   1
#define FREELIST_IS_LONG 0xffff /* as the count: the real one is the first u64 of the list */

/* Bucket, as a value: root page u64 (0: an image of its one page follows), sequence u64. */
#define BUCKET_BYTES 16

struct frame {
    const uint8_t *page; /* its run of pages, or the image in a bucket's value */
    size_t len;
    size_t count;
    size_t next;
    size_t data_at; /* where data of the next element begins */
    bool is_leaf;
    bool is_inline;
    struct bytes bound; /* no key below the page is smaller */
};

struct element {
    const uint8_t *at;
    struct bytes key;
    struct bytes value; /* of a leaf */
    bool is_bucket;     /* of a leaf */
    uint64_t page;      /* of a branch */
};

struct tree {
    struct bbolt *b;
    const struct bbolt_visit *visit;
    struct bytes bucket;
    struct bytes last; /* key */
    struct frame frames[BBOLT_DEPTH_MAX];
    size_t depth;
};

/* ---- pages ---- */

/* Marks a run of pages; false when one of them was reached before. */
static bool mark(struct bbolt *b, uint64_t page, uint64_t count)
{
    for (uint64_t i = page; i < page + count; i++) {
        uint8_t bit = (uint8_t)(1U << (i % 8));
        if ((b->reached[i / 8] & bit) != 0) {
            return false;
        }
        b->reached[i / 8] |= bit;
    }
    return true;
}

/* The run of pages that begins at `page`, checked and marked; `from` is what led there. */
static enum kerr take_run(struct bbolt *b, uint64_t page, const void *from, struct bytes *ret,
                          struct kerrinfo *e)
{
    if (page < PAGES_FIRST || page >= b->high_water) {
        return bbolt_damaged(b, from, e, "leads to page %" PRIu64 ", of 2 … %" PRIu64, page,
                             b->high_water - 1);
    }
    const uint8_t *at = b->file.ptr + (size_t)page * b->page_size;
    if (load64(at) != page) {
        return bbolt_damaged(b, at, e, "a page that says it is page %" PRIu64, load64(at));
    }
    uint64_t overflow = load32(at + PAGE_OVERFLOW);
    if (overflow >= b->high_water - page) {
        return bbolt_damaged(b, at + PAGE_OVERFLOW, e,
                             "a run of %" PRIu64 " more pages, beyond %" PRIu64, overflow,
                             b->high_water);
    }
    if (!mark(b, page, overflow + 1)) {
        return bbolt_damaged(b, from, e, "leads to page %" PRIu64 ", which is in use elsewhere",
                             page);
    }
    *ret = bytes_of(at, (size_t)(overflow + 1) * b->page_size);
    return KERR_OK;
}

/* Puts a page on the stack. */
static enum kerr push(struct tree *t, struct bytes run, struct bytes bound, struct kerrinfo *e)
{
    unsigned flags = load16(run.ptr + PAGE_FLAGS);
    size_t count = load16(run.ptr + PAGE_COUNT);
    size_t table = PAGE_HEADER + count * ELEMENT_BYTES;
    if (flags != PAGE_IS_BRANCH && flags != PAGE_IS_LEAF) {
        return bbolt_damaged(t->b, run.ptr + PAGE_FLAGS, e,
                             "flags 0x%x, expected a branch (1) or a leaf (2)", flags);
    }
    /* Only a tree without any item has an empty page, which is all of it. */
    bool is_root = t->depth == 0 && flags == PAGE_IS_LEAF;
    if (table > run.len || (count == 0 && !is_root)) {
        return bbolt_damaged(t->b, run.ptr + PAGE_COUNT, e, "%zu elements in %zu bytes", count,
                             run.len);
    }
    if (t->depth == BBOLT_DEPTH_MAX) {
        return bbolt_damaged(t->b, run.ptr, e, "a tree of more than %d levels", BBOLT_DEPTH_MAX);
    }
    t->frames[t->depth++] = (struct frame){.page = run.ptr,
                                           .len = run.len,
                                           .count = count,
                                           .data_at = table,
                                           .is_leaf = flags == PAGE_IS_LEAF,
                                           .is_inline = run.len % t->b->page_size != 0,
                                           .bound = bound};
    return KERR_OK;
}

/* ---- elements ---- */

static enum kerr read_element(const struct tree *t, struct frame *f, struct element *ret,
                              struct kerrinfo *e)
{
    size_t element = PAGE_HEADER + f->next * ELEMENT_BYTES;
    const uint8_t *at = f->page + element;
    const uint8_t *sizes = at + (f->is_leaf ? 4 : 0);
    uint64_t from = element + (uint64_t)load32(sizes);
    uint64_t key = load32(sizes + 4);
    uint64_t value = f->is_leaf ? load32(sizes + 8) : 0;
    if (from != f->data_at || from + key + value > f->len) {
        return bbolt_damaged(t->b, at, e,
                             "element %zu has its %" PRIu64 " + %" PRIu64 " bytes at %" PRIu64
                             ", expected at %zu and to end before %zu",
                             f->next, key, value, from, f->data_at, f->len);
    }
    f->data_at = (size_t)(from + key + value);
    f->next++;
    *ret = (struct element){
        .at = at,
        .key = bytes_of(f->page + from, (size_t)key),
        .value = bytes_of(f->page + from + key, (size_t)value),
        .is_bucket = f->is_leaf && load32(at) == LEAF_IS_BUCKET,
        .page = f->is_leaf ? 0 : load64(at + 8),
    };
    if (f->is_leaf && load32(at) > LEAF_IS_BUCKET) {
        return bbolt_damaged(t->b, at, e, "flags 0x%" PRIx32 " of an element", load32(at));
    }
    return KERR_OK;
}

/* A branch's key may be smaller than the first one below it, of which it is a remainder. */
static enum kerr check_order(struct tree *t, const struct frame *f, const struct element *el,
                             struct kerrinfo *e)
{
    bool is_first = f->next == 1;
    if (bytes_compare(el->key, f->bound) < 0 || (f->is_leaf && el->key.len == 0)) {
        return bbolt_damaged(t->b, el->at, e, "a key below that of the page above");
    }
    bool is_behind = bytes_compare(el->key, t->last) > 0 || (!f->is_leaf && is_first);
    if (!is_behind) {
        return bbolt_damaged(t->b, el->at, e, "a key that does not stand behind the one before");
    }
    if (f->is_leaf) {
        t->last = el->key;
    }
    return KERR_OK;
}

/* ---- trees ---- */

typedef enum kerr leaf_fn(struct tree *t, const struct element *el, struct kerrinfo *e);

static enum kerr tell_slack(const struct bbolt_visit *visit, struct bytes slack, struct kerrinfo *e)
{
    return visit->slack == NULL || slack.len == 0 ? KERR_OK : visit->slack(visit->ctx, slack, e);
}

/* A run is as long as its elements need, or one page longer; an image ends with them. */
static enum kerr end_page(const struct tree *t, const struct frame *f, struct kerrinfo *e)
{
    size_t slack = f->len - f->data_at;
    if (slack > (f->is_inline ? 0 : t->b->page_size)) {
        return bbolt_damaged(t->b, f->page + PAGE_COUNT, e,
                             "%zu elements end at %zu of %zu bytes, too early", f->count,
                             f->data_at, f->len);
    }
    return tell_slack(t->visit, bytes_of(f->page + f->data_at, slack), e);
}

static enum kerr step(struct tree *t, leaf_fn *leaf, struct kerrinfo *e)
{
    struct frame *f = &t->frames[t->depth - 1];
    if (f->next == f->count) {
        t->depth--;
        return end_page(t, f, e);
    }
    struct element el;
    enum kerr k = read_element(t, f, &el, e);
    k = k == KERR_OK ? check_order(t, f, &el, e) : k;
    if (k != KERR_OK || f->is_leaf) {
        return k == KERR_OK ? leaf(t, &el, e) : k;
    }
    struct bytes run = {0};
    k = take_run(t->b, el.page, el.at, &run, e);
    return k == KERR_OK ? push(t, run, el.key, e) : k;
}

static enum kerr walk(struct tree *t, struct bytes root, leaf_fn *leaf, struct kerrinfo *e)
{
    enum kerr k = push(t, root, bytes_of(NULL, 0), e);
    while (k == KERR_OK && t->depth > 0) {
        k = step(t, leaf, e);
    }
    return k;
}

static enum kerr leaf_of_bucket(struct tree *t, const struct element *el, struct kerrinfo *e)
{
    if (el->is_bucket) {
        return kerr_set(e, KERR_UNSUP, "%s: a bucket inside of a bucket, which etcd never makes",
                        t->b->name);
    }
    return t->visit->item(t->visit->ctx, t->bucket, el->key, el->value, e);
}

static enum kerr leaf_of_root(struct tree *t, const struct element *el, struct kerrinfo *e)
{
    struct tree bucket = {.b = t->b, .visit = t->visit, .bucket = el->key};
    if (!el->is_bucket || el->value.len < BUCKET_BYTES) {
        return bbolt_damaged(t->b, el->at, e, "expected a bucket");
    }
    uint64_t page = load64(el->value.ptr);
    struct bytes run = bytes_of(el->value.ptr + BUCKET_BYTES, el->value.len - BUCKET_BYTES);
    if (page == 0 && run.len < PAGE_HEADER) {
        return bbolt_damaged(t->b, el->at, e, "a bucket of %zu bytes", el->value.len);
    }
    enum kerr k = page == 0 ? KERR_OK : take_run(t->b, page, el->at, &run, e);
    return k == KERR_OK ? walk(&bucket, run, leaf_of_bucket, e) : k;
}

/* ---- the list of free pages ---- */

static enum kerr take_freelist(struct bbolt *b, struct bytes *ret, struct kerrinfo *e)
{
    if (b->freelist == FREELIST_NONE) {
        return KERR_OK;
    }
    enum kerr k = take_run(b, b->freelist, b->file.ptr, ret, e);
    unsigned flags = k == KERR_OK ? load16(ret->ptr + PAGE_FLAGS) : 0;
    return k != KERR_OK || flags == PAGE_IS_FREELIST
               ? k
               : bbolt_damaged(b, ret->ptr, e, "flags 0x%x, expected a freelist (0x10)", flags);
}

static bool is_reached(const struct bbolt *b, uint64_t page)
{
    return (b->reached[page / 8] >> (page % 8) & 1) != 0;
}

static uint64_t count_reached(const struct bbolt *b)
{
    uint64_t count = 0;
    for (uint64_t page = PAGES_FIRST; page < b->high_water; page++) {
        count += is_reached(b, page);
    }
    return count;
}

/* Behind the trees: each page is in use or in the list, and none is both. */
static enum kerr check_freelist(const struct bbolt *b, struct bytes run,
                                const struct bbolt_visit *visit, struct kerrinfo *e)
{
    uint64_t count = run.len == 0 ? 0 : load16(run.ptr + PAGE_COUNT);
    size_t at = PAGE_HEADER;
    uint64_t last = PAGES_FIRST - 1;
    if (count == FREELIST_IS_LONG) {
        count = load64(run.ptr + at);
        at += sizeof count;
    }
    if (run.len > 0 && count > (run.len - at) / sizeof count) {
        return bbolt_damaged(b, run.ptr + PAGE_COUNT, e, "%" PRIu64 " free pages in %zu bytes",
                             count, run.len);
    }
    for (uint64_t i = 0; i < count; i++, at += sizeof count) {
        uint64_t page = load64(run.ptr + at);
        if (page <= last || page >= b->high_water || is_reached(b, page)) {
            return bbolt_damaged(b, run.ptr + at, e,
                                 "page %" PRIu64 " in the list of free pages: in use, out of order "
                                 "or beyond %" PRIu64,
                                 page, b->high_water);
        }
        last = page;
    }
    if (run.len == 0) {
        return KERR_OK;
    }
    uint64_t lost = b->high_water - PAGES_FIRST - count - count_reached(b);
    return lost > 0 ? bbolt_damaged(b, run.ptr, e,
                                    "%" PRIu64 " pages are neither in use nor in this list of free "
                                    "ones",
                                    lost)
                    : tell_slack(visit, bytes_of(run.ptr + at, run.len - at), e);
}

enum kerr bbolt_walk(struct bbolt *b, const struct bbolt_visit *visit, struct kerrinfo *e)
{
    struct tree root = {.b = b, .visit = visit};
    struct bytes free_pages = {0};
    struct bytes run = {0};
    memset(b->reached, 0, (size_t)b->high_water / 8 + 1);
    enum kerr k = take_freelist(b, &free_pages, e);
    k = k == KERR_OK ? take_run(b, b->root, b->file.ptr, &run, e) : k;
    k = k == KERR_OK ? walk(&root, run, leaf_of_root, e) : k;
    return k == KERR_OK ? check_freelist(b, free_pages, visit, e) : k;
}
