/* SPDX-License-Identifier: Apache-2.0 */
/* Revisions, KeyValue messages, whole and cut, numbers of the bucket meta. */
#include <stdlib.h>

#include "stored/mvcc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

static void within(struct bytes part, struct bytes all)
{
    must(part.len == 0 || (part.ptr >= all.ptr && part.ptr + part.len <= all.ptr + all.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes all = bytes_of(data, size);
    struct mvcc_revision revision;
    struct mvcc_key_value kv;
    struct mvcc_meta meta = {0};
    struct bytes key;
    size_t len = 0;
    if (mvcc_revision_read(all, &revision)) {
        must(size == 17 + (size_t)revision.is_tombstone);
    }
    if (mvcc_key_value_read(all, &kv)) {
        within(kv.key, all);
        within(kv.value, all);
        must(kv.key.len > 0 && mvcc_key_of(all, &key) && bytes_equal(key, kv.key));
    }
    if (mvcc_key_value_cut(all, &kv, &len)) {
        within(kv.key, all);
        within(kv.value, all);
        must(kv.key.len > 0 && len <= size && kv.value.ptr + kv.value.len == data + len);
    }
    must(mvcc_meta_take(bytes_of_text("term"), all, &meta) == (size == 8));
    return 0;
}
