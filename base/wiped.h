/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordinary heap memory that is wiped when it is freed or moved: for libraries that take an
 * allocator and through which secrets pass for the time of a call. Not locked: what is stored
 * belongs in `struct secret` (base/secret.h).
 *
 * The functions behave as those of the C library whose names they bear; memory of one family must
 * not go to the other. Any thread.
 */
#ifndef ETCDSEAL_BASE_WIPED_H
#define ETCDSEAL_BASE_WIPED_H

#include <stddef.h>

void *wiped_malloc(size_t len);
void *wiped_calloc(size_t count, size_t len);
void *wiped_realloc(void *ptr, size_t len);
char *wiped_strdup(const char *text);
void wiped_free(void *ptr);

#endif
