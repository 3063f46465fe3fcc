/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linker's --wrap puts the functions below in place of malloc, calloc, realloc and
 * sodium_malloc in our own objects (libraries are not redirected). Allocation number `fail_at`
 * gives NULL. Included by one file of a program.
 */
#ifndef ETCDSEAL_TESTS_FAULT_FAILING_ALLOC_H
#define ETCDSEAL_TESTS_FAULT_FAILING_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

static int fail_at; /* 0: never */
static int allocations;

static bool is_failing(void)
{
    allocations++;
    return allocations == fail_at;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return is_failing() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return is_failing() ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size)
{
    return is_failing() ? NULL : __real_realloc(ptr, size);
}

void *__real_sodium_malloc(size_t size);
void *__wrap_sodium_malloc(size_t size);
void *__wrap_sodium_malloc(size_t size)
{
    return is_failing() ? NULL : __real_sodium_malloc(size);
}

#endif
