/* SPDX-License-Identifier: Apache-2.0 */
/* What an etcd answers: a range, a piece of a streamed one, its status, a token, a
 * piece of its database. */
#include <stdlib.h>
#include <string.h>

#include "etcd/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

struct seen {
    struct bytes all;
    struct bytes last;
    uint64_t keys;
};

static enum kerr see(void *ctx, const struct mvcc_key_value *kv, struct kerrinfo *e)
{
    struct seen *s = ctx;
    (void)e;
    if (kv == NULL) {
        return KERR_OK;
    }
    must(kv->key.len > 0 && kv->key.ptr >= s->all.ptr &&
         kv->key.ptr + kv->key.len <= s->all.ptr + s->all.len);
    must(kv->value.len == 0 ||
         (kv->value.ptr >= s->all.ptr && kv->value.ptr + kv->value.len <= s->all.ptr + s->all.len));
    size_t least = kv->key.len < s->last.len ? kv->key.len : s->last.len;
    int order = s->keys == 0 ? 1 : memcmp(kv->key.ptr, s->last.ptr, least);
    must(order > 0 || (order == 0 && kv->key.len > s->last.len));
    s->last = kv->key;
    s->keys++;
    return KERR_OK;
}

static void try_page(struct bytes message, const struct etcd_range *range, bool needs_header)
{
    struct etcd_page page = {.revision = 0};
    struct seen seen = {.all = message};
    if (codec_page_check(message, range, needs_header, &page, NULL) == KERR_OK) {
        must(codec_page_walk(message, see, &seen, NULL) == KERR_OK);
        must(seen.keys == page.keys && (!needs_header || page.revision > 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct etcd_range all = {.key = bytes_of("", 1), .end = bytes_of("", 1)};
    const struct etcd_range some = {
        .key = bytes_of_text("/a"), .end = bytes_of_text("/registry0"), .limit = 2};
    const struct etcd_range one = {.key = bytes_of_text("/registry/a")};
    const struct etcd_range *const ranges[] = {&all, &some, &one};
    struct bytes message = bytes_of(data, size);
    struct bytes inner;
    struct etcd_status status;
    struct codec_blob blob;
    AUTO_SECRET token = NULL;
    must(secret_start(SECRET_LOCK_BEST_EFFORT, NULL) == KERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        try_page(message, ranges[i], true);
        if (codec_piece(message, &inner, NULL) == KERR_OK) {
            try_page(inner, ranges[i], false);
        }
    }
    if (codec_status(message, &status, NULL) == KERR_OK) {
        must(strlen(status.version) < sizeof status.version);
    }
    if (codec_blob(message, &blob, NULL) == KERR_OK && blob.data.len > 0) {
        must(blob.data.ptr >= data && blob.data.ptr + blob.data.len <= data + size);
    }
    if (codec_token(message, &token, NULL) == KERR_OK) {
        must(secret_len(token) > 0 && secret_len(token) <= size);
    }
    return 0;
}
