/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wiped.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

/* Stands before the bytes that the caller sees. */
struct head {
    alignas(max_align_t) size_t len;
};

static struct head *head_of(void *ptr)
{
    return (struct head *)ptr - 1;
}

void *wiped_malloc(size_t len)
{
    if (len > SIZE_MAX - sizeof(struct head)) {
        return NULL;
    }
    struct head *h = malloc(sizeof *h + len);
    if (h == NULL) {
        return NULL;
    }
    h->len = len;
    return h + 1;
}

void *wiped_calloc(size_t count, size_t len)
{
    if (len != 0 && count > SIZE_MAX / len) {
        return NULL;
    }
    void *ptr = wiped_malloc(count * len);
    return ptr == NULL ? NULL : memset(ptr, 0, count * len);
}

void *wiped_realloc(void *ptr, size_t len)
{
    void *fresh = wiped_malloc(len);
    if (fresh == NULL || ptr == NULL) {
        return fresh;
    }
    size_t old = head_of(ptr)->len;
    memcpy(fresh, ptr, old < len ? old : len);
    wiped_free(ptr);
    return fresh;
}

char *wiped_strdup(const char *text)
{
    size_t len = strlen(text) + 1;
    char *fresh = wiped_malloc(len);
    return fresh == NULL ? NULL : memcpy(fresh, text, len);
}

void wiped_free(void *ptr)
{
    if (ptr == NULL) {
        return;
    }
    secret_wipe(ptr, head_of(ptr)->len);
    free(head_of(ptr));
}
