/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/heads.h"

#include <string.h>

size_t heads_find(const struct heads *h, struct bytes data)
{
    for (size_t i = 0; i < h->count; i++) {
        const struct head *row = &h->rows[i];
        if (data.len > row->len && memcmp(data.ptr, row->bytes, row->len) == 0) {
            return i;
        }
    }
    return HEADS_NONE;
}

size_t heads_add(struct heads *h, struct bytes head)
{
    if (h->count == HEADS_MAX || head.len == 0 || head.len > HEAD_BYTES_MAX) {
        return HEADS_NONE;
    }
    struct head *row = &h->rows[h->count];
    row->len = head.len;
    memcpy(row->bytes, head.ptr, head.len);
    return h->count++;
}
