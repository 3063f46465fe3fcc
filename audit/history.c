/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/history.h"

struct history history_start(void)
{
    return (struct history){.is_begun = true, .last.main = 1}; /* behind which etcd begins */
}

static void miss(struct history *h, uint64_t needs, const uint8_t *where, const char *what)
{
    bool is_more = needs > h->needs || (needs > 0 && needs == h->needs && where < h->where);
    if (is_more) {
        h->needs = needs;
        h->where = where;
        h->what = what;
    }
}

void history_revision(struct history *h, const struct mvcc_revision *r, const uint8_t *where)
{
    if (!h->is_begun) {
        h->is_begun = true;
        h->first = *r;
        h->first_at = where;
        h->last = *r;
        return;
    }
    if (r->main > h->last.main + 1) {
        miss(h, r->main - 1, where, "revisions before it are missing");
    }
    if (r->sub > (r->main == h->last.main ? h->last.sub + 1 : 0)) {
        miss(h, r->main, where, "parts of its transaction are missing");
    }
    h->last = *r;
}

void history_join(struct history *h, const struct history *part)
{
    if (part->is_begun) {
        history_revision(h, &part->first, part->first_at);
        h->last = part->last;
    }
    miss(h, part->needs, part->where, part->what);
}

bool history_is_sound(const struct mvcc_revision *r, const struct mvcc_key_value *kv)
{
    if (r->is_tombstone) {
        return kv->value.len == 0;
    }
    return kv->mod_revision == r->main && kv->create_revision > 0 && kv->version > 0 &&
           kv->create_revision <= kv->mod_revision &&
           (kv->version == 1 || kv->create_revision < kv->mod_revision);
}

/* A first version of an older creation: only what was taken over from etcd 2 has that. */
bool history_is_first(const struct mvcc_revision *r, const struct mvcc_key_value *kv)
{
    return !r->is_tombstone && kv->version == 1 && kv->create_revision == kv->mod_revision;
}

void history_record(struct history *h, const struct mvcc_revision *r,
                    const struct mvcc_key_value *kv, const struct history_before *before,
                    const uint8_t *where)
{
    bool has_live = before->kv != NULL && !before->is_tombstone;
    if (r->is_tombstone) {
        if (!has_live) {
            miss(h, r->main, where, "what it deletes is missing");
        }
        return;
    }
    bool follows = has_live ? kv->version == before->kv->version + 1 &&
                                  kv->create_revision == before->kv->create_revision
                            : history_is_first(r, kv);
    if (!follows) {
        miss(h, r->main, where, "the version of its key before is missing");
    }
}

void history_bump(struct history *h, const struct mvcc_revision *r, const uint8_t *where)
{
    miss(h, r->main, where, "it has no bytes");
}

bool history_is_whole(const struct history *h, const struct mvcc_meta *meta)
{
    return h->needs <= meta->scheduled_compact || h->needs <= meta->finished_compact;
}
