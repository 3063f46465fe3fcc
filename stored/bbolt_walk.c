/* SPDX-License-Identifier: Apache-2.0 */
/* The trees of a file: that of the buckets, and under it one for each bucket. */
#include <inttypes.h>

#include "stored/bbolt_page.h"

#define LEAF_IS_BUCKET   1
#define AHEAD            3      /* pages: the kernel maps a few more at a time */
#define FREELIST_IS_LONG 0xffff /* as the count: the real one is the first u64 of the list */

/* What of an item is prefetched. */
#define LINE       64  /* bytes of a cache line */
#define HEAD_BYTES 256 /* key of a revision, etcd's fields, and what a value begins with */
#define TAIL_BYTES 384 /* behind the data of an encrypted value */

/* Bucket, as a value: root page u64 (0: an image of its one page follows), sequence u64. */
#define BUCKET_BYTES 16

/* A branch page whose elements are under way. */
struct frame {
    struct bytes run;
    size_t count;
    size_t next;
    size_t data_at;      /* where data of the next element begins */
    struct bytes bound;  /* no key below the page is smaller */
    struct bytes before; /* key of the element before */
};

struct element {
    const uint8_t *at;
    struct bytes key;
    struct bytes value; /* of a leaf */
};

struct tree {
    struct bbolt *b;
    const struct bbolt_visit *visit;
    struct bytes bucket;
    enum kerr (*leaf_fn)(struct tree *t, const struct bbolt_leaf *leaf, struct kerrinfo *e);
    struct bbolt_leaf leaf; /* the last one: it waits for the key that ends it */
    bool has_leaf;
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

/* ---- elements, of either kind of page ---- */

struct sizes {
    uint32_t at; /* from the element */
    uint32_t key;
    uint32_t value;
};

/* Checks that an element's data follow the one's before, and takes them. */
static enum kerr take_data(const struct bbolt *b, struct bytes run, size_t number,
                           const struct sizes *sizes, size_t *data_at, struct element *ret,
                           struct kerrinfo *e)
{
    size_t element = PAGE_HEADER + number * ELEMENT_BYTES;
    uint64_t from = element + (uint64_t)sizes->at;
    uint64_t end = from + sizes->key + sizes->value;
    const uint8_t *at = run.ptr + element;
    if (from != *data_at || end > run.len) {
        return bbolt_damaged(b, at, e,
                             "element %zu has its %" PRIu32 " + %" PRIu32 " bytes at %" PRIu64
                             ", expected at %zu and to end before %zu",
                             number, sizes->key, sizes->value, from, *data_at, run.len);
    }
    *data_at = (size_t)end;
    *ret = (struct element){at, bytes_of(run.ptr + from, sizes->key),
                            bytes_of(run.ptr + from + sizes->key, sizes->value)};
    return KERR_OK;
}

static enum kerr tell_slack(const struct bbolt_visit *visit, struct bytes slack, struct kerrinfo *e)
{
    return visit->slack == NULL || slack.len == 0 ? KERR_OK : visit->slack(visit->ctx, slack, e);
}

/* A run is as long as its elements need, or one page longer; an image ends with them. */
static enum kerr end_page(const struct bbolt *b, const struct bbolt_visit *visit, struct bytes run,
                          size_t count, size_t data_at, struct kerrinfo *e)
{
    size_t slack = run.len - data_at;
    bool is_image = run.len % b->page_size != 0;
    if (slack > (is_image ? 0 : b->page_size)) {
        return bbolt_damaged(b, run.ptr + PAGE_COUNT, e,
                             "%zu elements end at %zu of %zu bytes, too early", count, data_at,
                             run.len);
    }
    return tell_slack(visit, bytes_of(run.ptr + data_at, slack), e);
}

/* ---- leaves ---- */

typedef enum kerr element_fn(const void *ctx, const struct bbolt *b, const struct bbolt_leaf *leaf,
                             const struct element *el, struct kerrinfo *e);

/* Element number `i`; the page's bounds are for the first and the last. */
static enum kerr check_order(const struct bbolt *b, const struct bbolt_leaf *leaf, size_t i,
                             const struct element *el, struct bytes before, struct kerrinfo *e)
{
    if (el->key.len == 0 || (i == 0 && bytes_compare(el->key, leaf->bound) < 0)) {
        return bbolt_damaged(b, el->at, e, "a key below that of the page above");
    }
    if (i > 0 && bytes_compare(el->key, before) <= 0) {
        return bbolt_damaged(b, el->at, e, "a key that does not stand behind the one before");
    }
    if (i + 1 == leaf->count && leaf->limit.len > 0 && bytes_compare(el->key, leaf->limit) >= 0) {
        return bbolt_damaged(b, el->at, e, "a key that does not stand before the next page's");
    }
    return KERR_OK;
}

static enum kerr read_leaf(const struct bbolt *b, const struct bbolt_leaf *leaf,
                           const struct bbolt_visit *visit, element_fn *fn, const void *ctx,
                           struct kerrinfo *e)
{
    struct element el = {.key = {0}};
    size_t data_at = PAGE_HEADER + leaf->count * ELEMENT_BYTES;
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < leaf->count && k == KERR_OK; i++) {
        const uint8_t *at = leaf->run.ptr + PAGE_HEADER + i * ELEMENT_BYTES;
        const struct sizes sizes = {load32(at + 4), load32(at + 8), load32(at + 12)};
        struct bytes before = el.key;
        k = take_data(b, leaf->run, i, &sizes, &data_at, &el, e);
        k = k == KERR_OK ? check_order(b, leaf, i, &el, before, e) : k;
        k = k == KERR_OK ? fn(ctx, b, leaf, &el, e) : k;
    }
    return k == KERR_OK ? end_page(b, visit, leaf->run, leaf->count, data_at, e) : k;
}

static enum kerr item_of_bucket(const void *ctx, const struct bbolt *b,
                                const struct bbolt_leaf *leaf, const struct element *el,
                                struct kerrinfo *e)
{
    const struct bbolt_visit *visit = ctx;
    if (load32(el->at) == LEAF_IS_BUCKET) {
        return kerr_set(e, KERR_UNSUP, "%s: a bucket inside of a bucket, which etcd never makes",
                        b->name);
    }
    if (load32(el->at) != 0) {
        return bbolt_damaged(b, el->at, e, "flags 0x%" PRIx32 " of an element", load32(el->at));
    }
    return visit->item(visit->ctx, leaf->bucket, el->key, el->value, e);
}

enum kerr bbolt_leaf_read(const struct bbolt *b, const struct bbolt_leaf *leaf,
                          const struct bbolt_visit *visit, struct kerrinfo *e)
{
    return read_leaf(b, leaf, visit, item_of_bucket, visit, e);
}

static void prefetch(const uint8_t *from, size_t len)
{
    for (size_t at = 0; at < len; at += LINE) {
        __builtin_prefetch(from + at);
    }
}

void bbolt_leaf_prefetch(const struct bbolt_leaf *leaf)
{
    for (size_t i = 0; i < leaf->count; i++) {
        size_t element = PAGE_HEADER + i * ELEMENT_BYTES;
        const uint8_t *at = leaf->run.ptr + element;
        uint64_t from = element + (uint64_t)load32(at + 4);
        uint64_t len = (uint64_t)load32(at + 8) + load32(at + 12);
        if (from + len > leaf->run.len) {
            return; /* bbolt_leaf_read will tell */
        }
        size_t head = len < HEAD_BYTES ? len : HEAD_BYTES;
        size_t tail = len - head < TAIL_BYTES ? len - head : TAIL_BYTES;
        prefetch(leaf->run.ptr + from, head);
        prefetch(leaf->run.ptr + from + len - tail, tail);
    }
}

/* ---- trees ---- */

/* The last leaf, of which all is known now. */
static enum kerr end_leaf(struct tree *t, struct kerrinfo *e)
{
    if (!t->has_leaf) {
        return KERR_OK;
    }
    t->has_leaf = false;
    return t->leaf_fn(t, &t->leaf, e);
}

/* Takes a page whose run is checked: a leaf, or a branch, which goes on the stack. */
static enum kerr enter(struct tree *t, struct bytes run, struct bytes bound, struct kerrinfo *e)
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
    if (flags == PAGE_IS_BRANCH) {
        t->frames[t->depth++] =
            (struct frame){.run = run, .count = count, .data_at = table, .bound = bound};
        return KERR_OK;
    }
    enum kerr k = end_leaf(t, e);
    t->leaf = (struct bbolt_leaf){.bucket = t->bucket, .run = run, .count = count, .bound = bound};
    t->has_leaf = true;
    return k;
}

/* A branch's first key may be smaller than the first one below it, of which it is a remainder. */
static enum kerr check_branch(struct tree *t, const struct frame *f, const struct element *el,
                              struct kerrinfo *e)
{
    bool is_first = f->next == 0;
    if (bytes_compare(el->key, f->bound) < 0) {
        return bbolt_damaged(t->b, el->at, e, "a key below that of the page above");
    }
    if (!is_first && bytes_compare(el->key, f->before) <= 0) {
        return bbolt_damaged(t->b, el->at, e, "a key that does not stand behind the one before");
    }
    if (!is_first && t->has_leaf && t->leaf.limit.len == 0) {
        t->leaf.limit = el->key;
    }
    return KERR_OK;
}

/* The page that this element of a branch leads to is wanted soon. */
static void prefetch_page(const struct bbolt *b, const struct frame *f, size_t element)
{
    if (element >= f->count) {
        return;
    }
    uint64_t page = load64(f->run.ptr + PAGE_HEADER + element * ELEMENT_BYTES + 8);
    if (page < b->high_water) {
        __builtin_prefetch(b->file.ptr + (size_t)page * b->page_size);
    }
}

static enum kerr step(struct tree *t, struct kerrinfo *e)
{
    struct frame *f = &t->frames[t->depth - 1];
    if (f->next == f->count) {
        t->depth--;
        return end_page(t->b, t->visit, f->run, f->count, f->data_at, e);
    }
    struct element el = {.at = NULL};
    struct bytes run = {0};
    const uint8_t *at = f->run.ptr + PAGE_HEADER + f->next * ELEMENT_BYTES;
    const struct sizes sizes = {load32(at), load32(at + 4), 0};
    prefetch_page(t->b, f, f->next + AHEAD);
    enum kerr k = take_data(t->b, f->run, f->next, &sizes, &f->data_at, &el, e);
    k = k == KERR_OK ? check_branch(t, f, &el, e) : k;
    f->before = el.key;
    f->next++;
    k = k == KERR_OK ? take_run(t->b, load64(at + 8), at, &run, e) : k;
    return k == KERR_OK ? enter(t, run, el.key, e) : k;
}

static enum kerr walk(struct tree *t, struct bytes root, struct kerrinfo *e)
{
    enum kerr k = enter(t, root, bytes_of(NULL, 0), e);
    while (k == KERR_OK && t->depth > 0) {
        k = step(t, e);
    }
    return k == KERR_OK ? end_leaf(t, e) : k;
}

static enum kerr leaf_of_bucket(struct tree *t, const struct bbolt_leaf *leaf, struct kerrinfo *e)
{
    return t->visit->leaf == NULL ? bbolt_leaf_read(t->b, leaf, t->visit, e)
                                  : t->visit->leaf(t->visit->ctx, leaf, e);
}

static enum kerr walk_bucket(const void *ctx, const struct bbolt *b, const struct bbolt_leaf *leaf,
                             const struct element *el, struct kerrinfo *e)
{
    const struct tree *root = ctx;
    struct tree bucket = {
        .b = root->b, .visit = root->visit, .bucket = el->key, .leaf_fn = leaf_of_bucket};
    (void)leaf;
    if (load32(el->at) > LEAF_IS_BUCKET) {
        return bbolt_damaged(b, el->at, e, "flags 0x%" PRIx32 " of an element", load32(el->at));
    }
    if (load32(el->at) != LEAF_IS_BUCKET || el->value.len < BUCKET_BYTES) {
        return bbolt_damaged(b, el->at, e, "expected a bucket");
    }
    uint64_t page = load64(el->value.ptr);
    struct bytes run = bytes_of(el->value.ptr + BUCKET_BYTES, el->value.len - BUCKET_BYTES);
    if (page == 0 && run.len < PAGE_HEADER) {
        return bbolt_damaged(b, el->at, e, "a bucket of %zu bytes", el->value.len);
    }
    enum kerr k = page == 0 ? KERR_OK : take_run(root->b, page, el->at, &run, e);
    return k == KERR_OK ? walk(&bucket, run, e) : k;
}

static enum kerr leaf_of_root(struct tree *t, const struct bbolt_leaf *leaf, struct kerrinfo *e)
{
    return read_leaf(t->b, leaf, t->visit, walk_bucket, t, e);
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
    struct tree root = {.b = b, .visit = visit, .leaf_fn = leaf_of_root};
    struct bytes free_pages = {0};
    struct bytes run = {0};
    memset(b->reached, 0, (size_t)b->high_water / 8 + 1);
    enum kerr k = take_freelist(b, &free_pages, e);
    k = k == KERR_OK ? take_run(b, b->root, b->file.ptr, &run, e) : k;
    k = k == KERR_OK ? walk(&root, run, e) : k;
    return k == KERR_OK ? check_freelist(b, free_pages, visit, e) : k;
}
