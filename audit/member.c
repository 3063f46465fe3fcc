/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/member.h"

#include <inttypes.h>
#include <string.h>

#include "audit/live.h"
#include "crypto/hash.h"

#define PROGRESS_BYTES ((uint64_t)1 << 20) /* told once for that many */

struct fetch {
    const struct audit *audit;
    struct etcd *etcd;
    struct memory *memory;
    struct audit_member *to;
    audit_progress_fn *progress;
    void *progress_ctx;
};

static enum kerr refuse_size(const struct fetch *f, uint64_t size, struct kerrinfo *e)
{
    return kerr_set(e, KERR_NOMEM,
                    "%s: its database has %" PRIu64 " MiB, and the limit of memory leaves %" PRIu64
                    " MiB for it; allow more with --max-memory, or save it with 'etcdctl snapshot "
                    "save FILE' and audit that with --snapshot",
                    etcd_endpoint(f->etcd), (size >> 20) + 1, memory_left(f->memory) >> 20);
}

/* The first piece says how many bytes there are to be. */
static enum kerr take_piece(void *ctx, const struct etcd_piece *piece, struct kerrinfo *e)
{
    struct fetch *f = ctx;
    struct memory_room *room = &f->to->room;
    enum kerr k = KERR_OK;
    f->to->is_stopped = audit_is_stopped(f->audit);
    if (f->to->is_stopped) {
        return kerr_set(e, KERR_STATE, "stopped");
    }
    if (room->ptr == NULL) {
        k = piece->total > memory_left(f->memory)
                ? refuse_size(f, piece->total, e)
                : memory_room_new(f->memory, piece->total, "a member's database", room, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    memcpy(room->ptr + piece->at, piece->data.ptr, piece->data.len);
    uint64_t end = piece->at + piece->data.len;
    if (f->progress != NULL && piece->at / PROGRESS_BYTES != end / PROGRESS_BYTES) {
        f->progress(f->progress_ctx, end, piece->total);
    }
    return KERR_OK;
}

/* The hash first: what is sent by another than an etcd, or altered on its way, is no file at all.
 */
static enum kerr open_db(struct fetch *f, struct kerrinfo *e)
{
    struct audit_member *to = f->to;
    const char *name = etcd_endpoint(f->etcd);
    struct bytes pages = bytes_of(to->room.ptr, to->room.len - ETCD_HASH_BYTES);
    uint8_t hash[HASH_BYTES];
    hash_sha256(pages, hash);
    if (!bytes_equal(bytes_of(pages.ptr + pages.len, ETCD_HASH_BYTES), BYTES_OF(hash))) {
        return kerr_set(e, KERR_FORMAT,
                        "%s: the database that it sent is damaged: its SHA-256 is not that of its "
                        "bytes",
                        name);
    }
    return bbolt_open(pages, name, &to->db, e);
}

enum kerr audit_member_fetch(const struct audit *a, struct etcd *c, audit_progress_fn *progress,
                             void *progress_ctx, struct audit_member *ret, struct kerrinfo *e)
{
    struct memory *m = a->wanted.memory;
    struct kerrinfo cause = {0};
    struct fetch f = {.audit = a,
                      .etcd = c,
                      .memory = m,
                      .to = ret,
                      .progress = progress,
                      .progress_ctx = progress_ctx};
    *ret = (struct audit_member){.room = {.ptr = NULL}};
    enum kerr k = audit_etcd_find(c, &ret->status, e);
    if (k == KERR_OK && ret->status.is_kine) {
        return kerr_set(e, KERR_UNSUP, "%s: kine sends no database: audit its file, with --kine",
                        etcd_endpoint(c));
    }
    if (k == KERR_OK && ret->status.db_size > memory_left(m)) {
        return refuse_size(&f, ret->status.db_size, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    k = etcd_snapshot(c, take_piece, &f, &cause);
    if (ret->is_stopped) {
        return KERR_OK;
    }
    return k == KERR_OK ? open_db(&f, e) : kerr_set(e, k, "%s", cause.text);
}

void audit_member_done(struct audit_member *m)
{
    bbolt_close(&m->db);
    memory_room_free(&m->room);
}
