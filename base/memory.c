/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define MIB(bytes) ((unsigned long long)(((bytes) + (1 << 20) - 1) >> 20))

uint64_t memory_left(const struct memory *m)
{
    if (m == NULL) {
        return UINT64_MAX;
    }
    uint64_t used = atomic_load(&m->used);
    return m->max - (used < m->max ? used : m->max);
}

enum kerr memory_take(struct memory *m, uint64_t bytes, const char *what, struct kerrinfo *e)
{
    if (m == NULL) {
        return KERR_OK;
    }
    uint64_t used = atomic_load(&m->used);
    do {
        if (used > m->max || bytes > m->max - used) {
            return kerr_set(
                e, KERR_NOMEM,
                "%s of %llu MiB would go over the limit of memory: %llu of %llu MiB are taken; %s",
                what, MIB(bytes), MIB(used), MIB(m->max), m->advice);
        }
    } while (!atomic_compare_exchange_weak(&m->used, &used, used + bytes));
    return KERR_OK;
}

void memory_give(struct memory *m, uint64_t bytes)
{
    if (m == NULL) {
        return;
    }
    uint64_t used = atomic_load(&m->used);
    while (!atomic_compare_exchange_weak(&m->used, &used, used - (bytes < used ? bytes : used))) {
    }
}

enum kerr memory_room_new(struct memory *m, size_t len, const char *what, struct memory_room *ret,
                          struct kerrinfo *e)
{
    enum kerr k = memory_take(m, len, what, e);
    if (k != KERR_OK) {
        return k;
    }
    void *ptr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ptr == MAP_FAILED) {
        memory_give(m, len);
        return kerr_set(e, KERR_NOMEM, "no memory for %s of %llu MiB: %s", what, MIB(len),
                        strerror(errno));
    }
    (void)madvise(ptr, len, MADV_DONTDUMP);
    *ret = (struct memory_room){.ptr = ptr, .len = len, .memory = m};
    return KERR_OK;
}

void memory_room_free(struct memory_room *r)
{
    if (r->ptr != NULL) {
        (void)munmap(r->ptr, r->len);
        memory_give(r->memory, r->len);
    }
    *r = (struct memory_room){.ptr = NULL};
}
