/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of chunks. Each block has its size before it, so that a block that protobuf-c gives back
 * (an earlier value of a repeated field) is wiped at once.
 */
#include "kms/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/secret.h"

/* Room for a usual request with its messages in one chunk. */
#define CHUNK_BYTES ((size_t)2048)

struct chunk {
    struct chunk *next;
    size_t used;
    size_t cap;
    alignas(max_align_t) uint8_t bytes[];
};

union block_head {
    size_t size;
    max_align_t align;
};

struct arena {
    struct chunk *first; /* the newest */
    size_t total;
    size_t max;
    enum kerr failure;
};

enum kerr arena_new(size_t max, struct arena **ret, struct kerrinfo *e)
{
    struct arena *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory to decode a message");
    }
    a->max = max;
    *ret = a;
    return KERR_OK;
}

void arena_free(struct arena *a)
{
    if (a == NULL) {
        return;
    }
    while (a->first != NULL) {
        struct chunk *c = a->first;
        a->first = c->next;
        secret_wipe(c->bytes, c->used);
        free(c);
    }
    free(a);
}

static void *fail(struct arena *a, enum kerr code)
{
    a->failure = code;
    return NULL;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > a->max) {
        return fail(a, KERR_LIMIT);
    }
    const size_t align = alignof(max_align_t);
    size_t need = sizeof(union block_head) + (size + align - 1) / align * align;
    if (a->first == NULL || a->first->cap - a->first->used < need) {
        size_t cap = need > CHUNK_BYTES ? need : CHUNK_BYTES;
        if (cap > a->max - a->total) {
            return fail(a, KERR_LIMIT);
        }
        struct chunk *c = malloc(sizeof *c + cap);
        if (c == NULL) {
            return fail(a, KERR_NOMEM);
        }
        *c = (struct chunk){.next = a->first, .cap = cap};
        a->first = c;
        a->total += cap;
    }
    union block_head *head = (void *)(a->first->bytes + a->first->used);
    a->first->used += need;
    head->size = size;
    return head + 1;
}

void arena_wipe(struct arena *a, void *block)
{
    (void)a;
    if (block != NULL) {
        union block_head *head = (union block_head *)block - 1;
        secret_wipe(block, head->size);
    }
}

enum kerr arena_failure(const struct arena *a)
{
    return a->failure;
}
