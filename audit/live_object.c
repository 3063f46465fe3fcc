/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object of a running etcd: its key is put together from its name and asked for alone, so that
 * the right to read this key is enough. Then its older revisions, one by one from each to what was
 * there before, until the one that made the object, or what etcd has compacted.
 */
#include "audit/live_scan.h"
#include "audit/object.h"
#include "audit/tables.h"

#define KEY_MAX ((size_t)4096) /* of a path of names, 253 characters each at most */

/* ---- one answer ---- */

struct found {
    struct audit *audit;
    enum audit_when when;
    bool is_there;
    uint64_t mod_revision;
    uint64_t version;
};

static enum kerr count_value(const struct found *f, const struct mvcc_key_value *kv,
                             struct kerrinfo *e)
{
    return f->when == AUDIT_IS_LIVE
               ? audit_live(f->audit, kv->key, kv->value, kv->mod_revision, e)
               : audit_left_over(f->audit, AUDIT_OLD_REVISIONS, kv->key, kv->value, e);
}

static enum kerr take_value(void *ctx, const struct mvcc_key_value *kv, struct kerrinfo *e)
{
    struct found *f = ctx;
    if (kv == NULL) {
        return audit_settle(f->audit, e);
    }
    f->is_there = true;
    f->mod_revision = kv->mod_revision;
    f->version = kv->version;
    const struct audit_revision r = {.when = f->when,
                                     .key = kv->key,
                                     .value = kv->value,
                                     .revision = kv->mod_revision,
                                     .create_revision = kv->create_revision,
                                     .version = kv->version};
    enum kerr k = audit_revision(f->audit, &r, e);
    return k == KERR_OK ? count_value(f, kv, e) : k;
}

/* ---- back in time ---- */

static enum kerr go_back(struct live *l, struct bytes key, struct found *f, struct kerrinfo *e)
{
    struct audit_object *o = l->audit->object;
    f->when = AUDIT_IS_OLDER;
    while (f->is_there && f->version > 1 && f->mod_revision > 1 && o->count < AUDIT_VERSIONS_MAX &&
           !live_is_stopped(l)) {
        const struct etcd_range range = {.key = key, .revision = f->mod_revision - 1};
        uint64_t before = f->mod_revision;
        struct kerrinfo cause = {0};
        struct etcd_page page;
        f->is_there = false;
        enum kerr k = live_ask_once(l, &range, take_value, f, &page, &cause);
        if (k == KERR_NOTFOUND) {
            return KERR_OK; /* compacted */
        }
        if (k != KERR_OK) {
            return kerr_set(e, k, "%s", cause.text);
        }
        if (f->is_there && f->mod_revision >= before) {
            return kerr_set(e, KERR_FORMAT,
                            "%s: asked for what was before revision %llu, it gave "
                            "%llu",
                            etcd_endpoint(l->etcd), (unsigned long long)before,
                            (unsigned long long)f->mod_revision);
        }
    }
    o->is_whole = f->is_there && f->version == 1;
    l->found->is_partial = live_is_stopped(l) && !o->is_whole;
    return KERR_OK;
}

static enum kerr read_key(struct live *l, struct bytes prefix, struct kerrinfo *e)
{
    AUTO_BUF key;
    struct found f = {.audit = l->audit, .when = AUDIT_IS_LIVE};
    struct etcd_page page;
    buf_init(&key, KEY_MAX);
    enum kerr k = resource_put_key(&l->audit->object->wanted, prefix, &key, e);
    struct etcd_range range = {.key = buf_view(&key)};
    k = k == KERR_OK ? live_ask(l, &range, take_value, &f, &page, e) : k;
    return k == KERR_OK ? go_back(l, buf_view(&key), &f, e) : k;
}

enum kerr live_read_object(struct live *l, struct kerrinfo *e)
{
    struct audit *a = l->audit;
    enum kerr k = KERR_OK;
    if (a->prefix_count == 0) {
        a->prefixes[a->prefix_count++] = bytes_of_text(TABLES_PREFIX);
    }
    audit_shows(a, AUDIT_OLD_REVISIONS);
    for (size_t i = 0; i < a->prefix_count && k == KERR_OK; i++) {
        prefix_has_keys(a, a->prefixes[i]); /* for all that is known */
        k = read_key(l, a->prefixes[i], e);
    }
    return k;
}
