/* SPDX-License-Identifier: Apache-2.0 */
/* A member's database as it comes: whether its pieces are all that was promised, and no more. */
#include <inttypes.h>

#include "etcd/ask.h"
#include "etcd/codec.h"

#define SNAPSHOT_PATH "/etcdserverpb.Maintenance/Snapshot"
#define SNAPSHOT_MS   3600000 /* 8 GB, the most that etcd advises, over 20 Mbit/s */

static const char denied[] = "; a member sends its database to users of the role root alone; "
                             "without --member-snapshot a right to read keys is enough";

struct stream {
    struct etcd *etcd;
    struct question *question;
    etcd_piece_fn *fn;
    void *ctx;
    uint64_t pages; /* bytes of the database, as the first piece promised them */
    uint64_t at;    /* bytes that came, the hash among them */
    bool has_begun;
};

/* What is wrong with the next piece; NULL: nothing. */
static const char *check(struct stream *s, const struct codec_blob *b)
{
    if (b->data.len == 0) {
        return "a piece without bytes";
    }
    if (!s->has_begun) {
        s->has_begun = true;
        s->pages = b->data.len;
        if (b->remaining > INT64_MAX - ETCD_HASH_BYTES - s->pages) {
            return "a size that no file can have";
        }
        s->pages += b->remaining;
    }
    if (s->at > s->pages) {
        return "bytes behind its hash";
    }
    uint64_t left = s->pages - s->at;
    if (left == 0) {
        return b->data.len == ETCD_HASH_BYTES && b->remaining == 0
                   ? NULL
                   : "more bytes than it had promised, or no hash";
    }
    return b->data.len <= left && b->remaining == left - b->data.len
               ? NULL
               : "more bytes than it had promised, or fewer";
}

static enum kerr take_piece(void *ctx, struct bytes message, struct kerrinfo *e)
{
    struct stream *s = ctx;
    struct codec_blob blob;
    s->question->has_messages = true;
    enum kerr k = codec_blob(message, &blob, e);
    if (k != KERR_OK) {
        kerr_prefix(e, "%s", etcd_endpoint(s->etcd));
        return k;
    }
    const char *wrong = check(s, &blob);
    if (wrong != NULL) {
        return kerr_set(e, KERR_FORMAT,
                        "%s: the database that it sends is damaged behind byte %" PRIu64 ": %s",
                        etcd_endpoint(s->etcd), s->at, wrong);
    }
    const struct etcd_piece piece = {
        .at = s->at, .total = s->pages + ETCD_HASH_BYTES, .data = blob.data};
    s->at += blob.data.len;
    return s->fn(s->ctx, &piece, e);
}

enum kerr etcd_snapshot(struct etcd *c, etcd_piece_fn *fn, void *ctx, struct kerrinfo *e)
{
    struct stream s = {.etcd = c, .fn = fn, .ctx = ctx};
    struct question q = {.path = SNAPSHOT_PATH,
                         .is_for_one = true,
                         .denied = denied,
                         .timeout_ms = SNAPSHOT_MS,
                         .take = take_piece,
                         .ctx = &s};
    struct kerrinfo cause = {0};
    s.question = &q;
    enum kerr k = etcd_ask(c, &q, true, &cause);
    bool is_cut = k == KERR_OK && s.at != s.pages + ETCD_HASH_BYTES;
    if (is_cut || (k == KERR_DOWN && s.has_begun)) {
        return kerr_set(e, KERR_DOWN,
                        "%s: the database that it sends broke off after %" PRIu64 " of %" PRIu64
                        " bytes; try again",
                        etcd_endpoint(c), s.at, s.has_begun ? s.pages + ETCD_HASH_BYTES : 0);
    }
    return k == KERR_OK ? k : kerr_set(e, k, "%s", cause.text);
}
