/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/history.h"

struct history history_start(void)
{
    return (struct history){.last = 1};
}

static void miss(struct history *h, uint64_t needs, const uint8_t *where, const char *what)
{
    if (needs > h->needs) {
        h->needs = needs;
        h->where = where;
        h->what = what;
    }
}

void history_revision(struct history *h, const struct mvcc_revision *r, const uint8_t *where)
{
    if (r->main > h->last + 1) {
        miss(h, r->main - 1, where, "revisions before it are missing");
    }
    if (r->sub > (r->main == h->last ? h->sub + 1 : 0)) {
        miss(h, r->main, where, "parts of its transaction are missing");
    }
    h->last = r->main;
    h->sub = r->sub;
}

/* What a key's record says must follow from the one before. */
static bool follows(const struct mvcc_key_value *kv, const struct history_before *before)
{
    return before->kv == NULL || before->is_tombstone
               ? kv->version == 1
               : kv->version == before->kv->version + 1 &&
                     kv->create_revision == before->kv->create_revision;
}

bool history_record(struct history *h, const struct mvcc_revision *r,
                    const struct mvcc_key_value *kv, const struct history_before *before,
                    const uint8_t *where)
{
    if (r->is_tombstone) {
        if (before->kv == NULL || before->is_tombstone) {
            miss(h, r->main, where, "what it deletes is missing");
        }
        return true;
    }
    if (kv->mod_revision != r->main || kv->version == 0 ||
        (kv->version > 1 && kv->create_revision == kv->mod_revision) ||
        kv->create_revision > kv->mod_revision) {
        return false;
    }
    /* A first version of an older creation: only what was taken over from etcd 2 has that. */
    bool is_taken_over = kv->version == 1 && kv->create_revision < kv->mod_revision;
    if (is_taken_over || !follows(kv, before)) {
        miss(h, r->main, where, "the version of its key before is missing");
    }
    return true;
}

void history_bump(struct history *h, const struct mvcc_revision *r, const uint8_t *where)
{
    miss(h, r->main, where, "it has no bytes");
}

bool history_is_whole(const struct history *h, const struct mvcc_meta *meta)
{
    return h->needs <= meta->scheduled_compact || h->needs <= meta->finished_compact;
}
