/* SPDX-License-Identifier: Apache-2.0 */
/* The whole database of one member of a running etcd, which it sends into memory. */
#include <stdlib.h>

#include "audit/db.h"
#include "audit/member.h"
#include "cli/audit_source.h"
#include "cli/etcd_access.h"
#include "cli/out.h"

/* Of its bytes: they come, and are walked twice. */
#define PASSES 3

struct own {
    struct etcd_access access;
    uint64_t taken; /* of the limit of memory */
    struct audit_member member;
    struct audit_etcd told; /* what reports say of a running etcd */
};

/* "": only the environment may say whose database. */
static const char *named(const struct options *o)
{
    const char *name = etcd_access_named(o);
    return !o->member_snapshot ? NULL : name == NULL ? "" : name;
}

static enum kerr check_options(const struct options *o, const char *name, struct kerrinfo *e)
{
    if (name == NULL) {
        return kerr_set(e, KERR_USAGE,
                        "--member-snapshot needs --endpoints, whose members are to "
                        "send their database");
    }
    if (o->linearizable || o->qps > 0) {
        return kerr_set(e, KERR_USAGE,
                        "--member-snapshot is one request to one member: --linearizable and --qps "
                        "do not go with it");
    }
    return KERR_OK;
}

static enum kerr open_member(const struct options *o, struct audit_source *ret, struct kerrinfo *e)
{
    const uint64_t taken = ETCD_CLIENT_BYTES(ETCD_ANSWER_MIN);
    struct own *own = calloc(1, sizeof *own);
    if (own == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a source");
    }
    ret->own = own;
    ret->kind_name = "member";
    ret->name = *ret->name == 0 ? etcd_access_presumed() : ret->name;
    enum kerr k = check_options(o, ret->name, e);
    k = k == KERR_OK ? memory_take(ret->memory, taken, "room for etcd's answers", e) : k;
    if (k != KERR_OK) {
        return k;
    }
    own->taken = taken;
    return etcd_access_open(o, ret->name, ETCD_ANSWER_MIN, &own->access, e);
}

/* The walks of audit_db, behind the fetch. */
struct walks {
    const struct audit_told *told;
    uint64_t before;
};

static void tell_fetch(void *ctx, uint64_t done, uint64_t total)
{
    const struct audit_told *told = ctx;
    told->fn(told->ctx, done, PASSES * total);
}

static void tell_walk(void *ctx, uint64_t done, uint64_t total)
{
    const struct walks *w = ctx;
    w->told->fn(w->told->ctx, w->before + done, w->before + total);
}

static void say_which(const struct options *o, const struct own *own)
{
    if (etcd_endpoint_count(own->access.client) > 1) {
        out_remark(o,
                   "this is the database of %s alone: each member has one of its own, with the "
                   "same live keys, and is audited by its endpoint alone",
                   etcd_endpoint(own->access.client));
    }
    if (own->member.status.has_no_space) {
        out_warn("%s", AUDIT_NO_SPACE);
    }
}

static enum kerr read_member(struct audit_source *s, const struct options *o, struct audit *a,
                             const struct audit_told *told, struct kerrinfo *e)
{
    struct own *own = s->own;
    struct audit_told by = *told;
    bool is_told = told->fn != NULL;
    enum kerr k = audit_member_fetch(a, own->access.client, is_told ? tell_fetch : NULL, &by,
                                     &own->member, e);
    if (k != KERR_OK) {
        return k;
    }
    own->told.status = own->member.status;
    s->live = &own->told;
    s->etcd = own->access.client;
    s->size = own->member.room.len;
    if (own->member.is_stopped) {
        s->is_partial = true;
        return KERR_OK;
    }
    struct walks walks = {told, own->member.db.file.len};
    k = audit_db(a, &own->member.db, is_told ? tell_walk : NULL, &walks, &s->found, e);
    if (k == KERR_OK) {
        say_which(o, own);
        own->told.revisions[own->told.revision_count++] = s->found.revision;
        s->is_partial = s->found.is_partial;
    }
    return k;
}

static void close_member(struct audit_source *s)
{
    struct own *own = s->own;
    if (own != NULL) {
        audit_member_done(&own->member);
        etcd_access_done(&own->access);
        memory_give(s->memory, own->taken);
    }
    free(own);
}

const struct audit_source_kind audit_source_member = {
    .option = "--endpoints URL --member-snapshot",
    .unit = "bytes",
    .named = named,
    .open = open_member,
    .read = read_member,
    .done = close_member,
};
