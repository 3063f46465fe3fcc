/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/index.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define FIRST_SIZE 1024
#define HUGE_PAGE  ((size_t)2 << 20) /* a divisor of all larger tables */
#define ODD        0x9e3779b97f4a7c15ULL

static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static uint64_t seed;

static void make_seed(void)
{
    /* Eight bytes never come in part. Without random bytes it is still a hash. */
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        seed = ODD;
    }
}

uint64_t index_seed(void)
{
    (void)pthread_once(&seed_once, make_seed);
    return seed;
}

/* Multiplies 64 by 64 bits and folds the 128 of the product, which mixes every bit into all. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t index_hash(uint64_t before, struct bytes data)
{
    uint64_t key = index_seed();
    uint64_t h = before ^ fold(data.len ^ ODD, key | 1);
    for (size_t at = 0; at < data.len; at += 8) {
        uint64_t word = 0;
        size_t left = data.len - at;
        memcpy(&word, data.ptr + at, left < 8 ? left : 8);
        h = fold(h ^ word ^ ODD, key ^ (h >> 7) ^ 0xd6e8feb86659fd93ULL);
    }
    h = fold(h ^ ODD, key | 1);
    return h == 0 ? 1 : h;
}

static size_t place_of(const struct index *x, uint64_t hash)
{
    return (size_t)(hash & (x->size - 1));
}

uint64_t *index_find(const struct index *x, uint64_t hash, index_is_fn *is, const void *ctx)
{
    if (x->size == 0) {
        return NULL;
    }
    for (size_t i = place_of(x, hash); x->slots[i].hash != 0; i = (i + 1) & (x->size - 1)) {
        if (x->slots[i].hash == hash && (is == NULL || is(ctx, x->slots[i].value))) {
            return &x->slots[i].value;
        }
    }
    return NULL;
}

static void put(struct index *x, struct index_slot slot)
{
    size_t i = place_of(x, slot.hash);
    while (x->slots[i].hash != 0) {
        i = (i + 1) & (x->size - 1);
    }
    x->slots[i] = slot;
    x->count++;
}

/* Large ones lie in huge pages, which exist before the first look at them: a page that is looked at
 * first and written to then costs two faults, and a word to every other CPU. */
static struct index_slot *slots_new(size_t size)
{
    size_t bytes = size * sizeof(struct index_slot);
    if (bytes < HUGE_PAGE) {
        return calloc(size, sizeof(struct index_slot));
    }
    struct index_slot *slots = aligned_alloc(HUGE_PAGE, bytes);
    if (slots != NULL) {
        memset(slots, 0, bytes);
    }
    return slots;
}

static enum kerr grow(struct index *x, size_t size, struct kerrinfo *e)
{
    struct index larger = {.size = size, .memory = x->memory};
    enum kerr k = memory_take(x->memory, larger.size * sizeof *larger.slots,
                              "a larger table of what was seen", e);
    if (k != KERR_OK) {
        return k;
    }
    larger.slots = slots_new(larger.size);
    if (larger.slots == NULL) {
        memory_give(x->memory, larger.size * sizeof *larger.slots);
        return kerr_set(e, KERR_NOMEM, "no memory for a table of %zu rows", larger.size);
    }
    for (size_t i = 0; i < x->size; i++) {
        if (x->slots[i].hash != 0) {
            put(&larger, x->slots[i]);
        }
    }
    index_done(x);
    *x = larger;
    return KERR_OK;
}

/* Whether it is fuller than it should be. */
static bool is_full(size_t count, size_t size)
{
    return count * 4 > size * 3;
}

enum kerr index_reserve(struct index *x, size_t count, struct kerrinfo *e)
{
    size_t size = x->size == 0 ? FIRST_SIZE : x->size;
    while (is_full(count, size)) {
        size *= 2;
    }
    return size == x->size ? KERR_OK : grow(x, size, e);
}

enum kerr index_add(struct index *x, uint64_t hash, uint64_t value, struct kerrinfo *e)
{
    enum kerr k = is_full(x->count + 1, x->size)
                      ? grow(x, x->size == 0 ? FIRST_SIZE : x->size * 2, e)
                      : KERR_OK;
    if (k == KERR_OK) {
        put(x, (struct index_slot){.hash = hash, .value = value});
    }
    return k;
}

void index_done(struct index *x)
{
    free(x->slots);
    memory_give(x->memory, x->size * sizeof *x->slots);
    *x = (struct index){.memory = x->memory};
}
