/* SPDX-License-Identifier: Apache-2.0 */
/* The live keys of a running etcd, read over its API. */
#include <stdlib.h>

#include "audit/live.h"
#include "cli/audit_source.h"
#include "cli/etcd_access.h"
#include "cli/out.h"

struct own {
    struct etcd_access access;
    uint64_t taken; /* of the limit of memory */
    struct audit_etcd found;
};

static const char *named(const struct options *o)
{
    return o->member_snapshot ? NULL : etcd_access_named(o);
}

/* With half of what there is: the rest is for what is found. */
static size_t answer_max(const struct memory *m)
{
    uint64_t half = memory_left(m) / 2;
    uint64_t least = ETCD_CLIENT_BYTES(ETCD_ANSWER_MIN);
    uint64_t max = half < least ? ETCD_ANSWER_MIN : ETCD_ANSWER_MIN + (half - least) / 5;
    return max < ETCD_PAGE_MAX ? (size_t)max : ETCD_PAGE_MAX;
}

static enum kerr open_etcd(const struct options *o, struct audit_source *ret, struct kerrinfo *e)
{
    struct own *own = calloc(1, sizeof *own);
    if (own == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a source");
    }
    ret->own = own;
    ret->kind_name = "etcd";
    size_t max = answer_max(ret->memory);
    enum kerr k = memory_take(ret->memory, ETCD_CLIENT_BYTES(max), "room for etcd's answers", e);
    if (k != KERR_OK) {
        return k;
    }
    own->taken = ETCD_CLIENT_BYTES(max);
    return etcd_access_open(o, ret->name, max, &own->access, e);
}

static void say_found(const struct options *o, const struct own *own)
{
    const struct audit_etcd *f = &own->found;
    if (f->status.has_no_space) {
        out_warn("%s", AUDIT_NO_SPACE);
    }
    if (f->status.is_kine) {
        out_remark(o, "this is kine, whose API does not show the old_value of its rows: audit its "
                      "file, with --kine, for what is left over");
    }
    if (f->revision_count > 1) {
        out_remark(o,
                   "etcd compacted the revision that was read, %zu times: the report is of several "
                   "revisions, and a key that changed meanwhile may be counted never or twice",
                   f->revision_count - 1);
    }
}

static enum kerr read_etcd(struct audit_source *s, const struct options *o, struct audit *a,
                           const struct audit_told *told, struct kerrinfo *e)
{
    struct own *own = s->own;
    const struct audit_etcd_wanted wanted = {
        .requests_per_s = o->qps, .progress = told->fn, .progress_ctx = told->ctx};
    enum kerr k = audit_etcd(a, own->access.client, &wanted, &own->found, e);
    if (k == KERR_OK) {
        say_found(o, own);
        s->live = &own->found;
        s->etcd = own->access.client;
        s->size = own->found.status.db_size;
        s->found.revision = own->found.revisions[own->found.revision_count - 1];
        s->is_partial = own->found.is_partial;
    }
    return k;
}

static void close_etcd(struct audit_source *s)
{
    struct own *own = s->own;
    if (own != NULL) {
        etcd_access_done(&own->access);
        memory_give(s->memory, own->taken);
    }
    free(own);
}

const struct audit_source_kind audit_source_etcd = {
    .option = "--endpoints URL",
    .unit = "keys",
    .is_passing = true,
    .named = named,
    .presumed = etcd_access_presumed,
    .open = open_etcd,
    .read = read_etcd,
    .done = close_etcd,
};
