/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of the write-ahead log, whose chain of CRCs is not known at first (odd size) or is (even);
 * and its bytes as one entry, which no CRC guards then. Keys and values lie in what was given.
 */
#include <stdlib.h>

#include "stored/wal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

static enum kerr take(void *ctx, struct bytes key, struct bytes value, struct kerrinfo *e)
{
    const struct bytes *all = ctx;
    (void)e;
    must(key.len == 0 || (key.ptr >= all->ptr && key.ptr + key.len <= all->ptr + all->len));
    must(value.len == 0 || (value.ptr >= all->ptr && value.ptr + value.len <= all->ptr + all->len));
    return KERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes all = bytes_of(data, size);
    struct kerrinfo e = {0};
    struct wal w = wal_on(all, "file");
    struct bytes entry;
    bool is_end = false;
    w.is_newest = size % 2 == 0;
    enum kerr k = wal_next(&w, &entry, &is_end, &e);
    while (k == KERR_OK && !is_end) {
        k = wal_puts(&w, entry, take, &all, &e);
        k = k == KERR_OK ? wal_next(&w, &entry, &is_end, &e) : k;
    }
    must(k == KERR_OK || (k == KERR_FORMAT && e.code == k && e.text[0] != 0));
    kerr_clear(&e);
    k = wal_puts(&w, all, take, &all, &e);
    must(k == KERR_OK || (k == KERR_FORMAT && e.text[0] != 0));
    return 0;
}
