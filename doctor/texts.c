/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct texts_item {
    struct texts_item *next;
    char text[];
};

void texts_done(struct texts *t)
{
    while (t->items != NULL) {
        struct texts_item *next = t->items->next;
        free(t->items);
        t->items = next;
    }
}

static char *make(struct texts *t, size_t len)
{
    struct texts_item *item = malloc(sizeof *item + len + 1);
    if (item == NULL) {
        t->has_failed = true;
        return NULL;
    }
    item->next = t->items;
    t->items = item;
    item->text[len] = 0;
    return item->text;
}

const char *texts_keep(struct texts *t, struct bytes text)
{
    char *to = make(t, text.len);
    if (to != NULL && text.len > 0) {
        memcpy(to, text.ptr, text.len);
    }
    return to == NULL ? "" : to;
}

const char *texts_vprintf(struct texts *t, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    char *to = len < 0 ? NULL : make(t, (size_t)len);
    if (to != NULL) {
        (void)vsnprintf(to, (size_t)len + 1, fmt, again);
    }
    va_end(again);
    return to == NULL ? "" : to;
}

const char *texts_printf(struct texts *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *text = texts_vprintf(t, fmt, args);
    va_end(args);
    return text;
}
