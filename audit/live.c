/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/live.h"

#include <string.h>
#include <time.h>

#include "audit/live_scan.h"
#include "audit/tables.h"
#include "audit/window.h"
#include "base/clock.h"

#define KEY_MAX ((size_t)2 << 20) /* as etcd/codec.c takes them */

/* ---- one request ---- */

bool live_is_stopped(const struct live *l)
{
    return audit_is_stopped(l->audit);
}

/* Until the next request may start, or a signal comes. */
static void wait_turn(const struct live *l)
{
    uint64_t rate = l->wanted->requests_per_s;
    uint64_t due_ms = rate == 0 ? 0 : l->last_start_ms + 1000 / rate;
    uint64_t now_ms = clock_mono_ms();
    if (l->last_start_ms != 0 && due_ms > now_ms) {
        uint64_t ms = due_ms - now_ms;
        const struct timespec t = {.tv_sec = (time_t)(ms / 1000),
                                   .tv_nsec = (long)(ms % 1000) * 1000000};
        (void)nanosleep(&t, NULL);
    }
}

static void note_revision(struct live *l, uint64_t revision)
{
    struct audit_etcd *f = l->found;
    l->revision = revision;
    f->revision_count += f->revision_count < AUDIT_REVISIONS_MAX;
    f->revisions[f->revision_count - 1] = revision;
}

enum kerr live_ask_once(struct live *l, const struct etcd_range *range, etcd_key_value_fn *fn,
                        void *ctx, struct etcd_page *ret, struct kerrinfo *e)
{
    wait_turn(l);
    l->last_start_ms = clock_mono_ms();
    l->found->requests++;
    return etcd_range(l->etcd, range, fn, ctx, ret, e);
}

/* One that is compacted meanwhile is asked for again, at the newest. */
enum kerr live_ask(struct live *l, struct etcd_range *range, etcd_key_value_fn *fn, void *ctx,
                   struct etcd_page *ret, struct kerrinfo *e)
{
    for (;;) {
        struct kerrinfo cause = {0};
        range->revision = l->revision;
        enum kerr k = live_ask_once(l, range, fn, ctx, ret, &cause);
        if (k == KERR_OK && l->revision == 0) {
            note_revision(l, ret->revision);
        }
        if (k != KERR_NOTFOUND || l->revision == 0) {
            return k == KERR_OK ? k : kerr_set(e, k, "%s", cause.text);
        }
        l->revision = 0;
    }
}

/* ---- a range, window by window ---- */

struct scan {
    struct live *live;
    struct window window;
    struct bytes end; /* of the range */
    struct buf next;  /* the first key that was not seen */
    struct buf first; /* of the page */
    struct buf last;
    uint8_t bound[WINDOW_KEY_BYTES]; /* of the window */
    bool has_bound;                  /* else it ends with the range */
    bool is_fresh;                   /* nothing of the window was read yet */
    uint64_t in_window;
};

static void scan_done(struct scan *s)
{
    buf_done(&s->next);
    buf_done(&s->first);
    buf_done(&s->last);
}

static enum kerr set_key(struct buf *to, struct bytes key, struct kerrinfo *e)
{
    to->len = 0;
    return buf_put(to, key, e);
}

static enum kerr count_key(void *ctx, const struct mvcc_key_value *kv, struct kerrinfo *e)
{
    struct scan *s = ctx;
    if (kv == NULL) {
        return audit_settle(s->live->audit, e);
    }
    s->live->done++;
    enum kerr k = s->first.len == 0 ? set_key(&s->first, kv->key, e) : KERR_OK;
    k = k == KERR_OK ? set_key(&s->last, kv->key, e) : k;
    return k == KERR_OK ? audit_live(s->live->audit, kv->key, kv->value, kv->mod_revision, e) : k;
}

static struct bytes bound_of(const struct scan *s)
{
    size_t len = WINDOW_KEY_BYTES;
    while (len > 0 && s->bound[len - 1] == 0) {
        len--;
    }
    return bytes_of(s->bound, len);
}

static bool is_behind(struct bytes key, struct bytes end)
{
    if (end.len == 1 && end.ptr[0] == 0) {
        return false;
    }
    return bytes_compare(key, end) >= 0;
}

/* A new window from the next key on. */
static void open_window(struct scan *s)
{
    s->has_bound = !s->live->found->status.is_kine &&
                   window_end(&s->window, buf_view(&s->next), s->bound) &&
                   !is_behind(bound_of(s), s->end);
    s->is_fresh = true;
}

/* The next key behind the last one that was read. */
static enum kerr step_behind(struct scan *s, struct kerrinfo *e)
{
    enum kerr k = set_key(&s->next, buf_view(&s->last), e);
    return k == KERR_OK ? buf_put(&s->next, bytes_of("", 1), e) : k;
}

/* What follows after a page; *ret_is_done: nothing. */
static enum kerr go_on(struct scan *s, const struct etcd_page *page, bool *ret_is_done,
                       struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    s->in_window = s->is_fresh ? page->count : s->in_window;
    s->is_fresh = false;
    window_learn(&s->window, buf_view(&s->first), buf_view(&s->last), page->keys, page->bytes);
    if (page->has_more) {
        k = step_behind(s, e);
        if (window_is_too_wide(&s->window, page->count - page->keys)) {
            open_window(s);
        }
        return k;
    }
    if (!s->has_bound) {
        *ret_is_done = true;
        return KERR_OK;
    }
    k = set_key(&s->next, bound_of(s), e);
    window_widen(&s->window, s->in_window);
    open_window(s);
    return k;
}

static enum kerr ask_page(struct scan *s, struct etcd_page *ret, struct kerrinfo *e)
{
    struct kerrinfo cause = {0};
    enum kerr k = KERR_OK;
    do {
        struct etcd_range range = {.key = buf_view(&s->next),
                                   .end = s->has_bound ? bound_of(s) : s->end,
                                   .limit = s->window.limit};
        s->first.len = 0;
        kerr_clear(&cause);
        k = live_ask(s->live, &range, count_key, s, ret, &cause);
    } while (k == KERR_LIMIT && s->first.len == 0 && window_shrink(&s->window));
    return k == KERR_OK ? k : kerr_set(e, k, "%s", cause.text);
}

static void tell(const struct live *l)
{
    const struct audit_etcd_wanted *w = l->wanted;
    if (w->progress != NULL && l->total > 0) {
        w->progress(w->progress_ctx, l->done, l->total);
    }
}

static enum kerr scan_pages(struct scan *s, struct kerrinfo *e)
{
    bool is_done = false;
    enum kerr k = KERR_OK;
    while (k == KERR_OK && !is_done) {
        struct etcd_page page;
        wait_turn(s->live);
        if (live_is_stopped(s->live)) {
            s->live->found->is_partial = true;
            return KERR_OK;
        }
        k = ask_page(s, &page, e);
        if (k == KERR_OK) {
            k = go_on(s, &page, &is_done, e);
            tell(s->live);
        }
    }
    return k;
}

static enum kerr count_streamed(void *ctx, const struct mvcc_key_value *kv, struct kerrinfo *e)
{
    struct scan *s = ctx;
    enum kerr k = count_key(s, kv, e);
    if (k != KERR_OK || kv != NULL) {
        return k;
    }
    tell(s->live);
    s->live->found->is_partial = live_is_stopped(s->live);
    return s->live->found->is_partial ? kerr_set(e, KERR_STATE, "stopped") : KERR_OK;
}

/* The whole range as one stream, where the server has that (etcd 3.7): for it etcd walks its index
 * once. Of a stream that ends early the rest is read page by page. */
static enum kerr scan_stream(struct scan *s, bool *ret_is_done, struct kerrinfo *e)
{
    const struct etcd_range range = {
        .key = buf_view(&s->next), .end = s->end, .revision = s->live->revision};
    struct kerrinfo cause = {0};
    struct etcd_page page;
    s->live->found->requests++;
    enum kerr k = etcd_range_stream(s->live->etcd, &range, count_streamed, s, &page, &cause);
    *ret_is_done = k == KERR_OK || s->live->found->is_partial;
    if (*ret_is_done) {
        return KERR_OK;
    }
    s->live->has_no_stream = true;
    s->live->revision = k == KERR_NOTFOUND ? 0 : s->live->revision;
    bool is_over = k != KERR_UNSUP && k != KERR_NOTFOUND && k != KERR_DOWN && k != KERR_TIMEOUT &&
                   k != KERR_BUSY;
    if (is_over) {
        return kerr_set(e, k, "%s", cause.text);
    }
    return s->last.len > 0 ? step_behind(s, e) : KERR_OK;
}

static enum kerr scan_range(struct live *l, struct bytes from, struct bytes end, struct kerrinfo *e)
{
    AUTO(scan_done) struct scan s = {.live = l, .end = end};
    window_init(&s.window);
    buf_init(&s.next, KEY_MAX);
    buf_init(&s.first, KEY_MAX);
    buf_init(&s.last, KEY_MAX);
    bool is_done = false;
    bool is_streamed = !l->has_no_stream && l->wanted->requests_per_s == 0;
    enum kerr k = set_key(&s.next, from, e);
    k = k == KERR_OK && is_streamed ? scan_stream(&s, &is_done, e) : k;
    return k == KERR_OK && !is_done ? scan_pages(&s, e) : k;
}

/* ---- what is read ---- */

#define BEHIND_SLASH "0" /* in ASCII: a prefix ends with '/', so this is behind all of its keys */

/* Of a prefix that begins with another one, or comes twice, the keys are read already. */
static bool is_read_already(const struct audit *a, size_t at)
{
    struct bytes prefix = a->prefixes[at];
    for (size_t i = 0; i < a->prefix_count; i++) {
        struct bytes other = a->prefixes[i];
        if (i != at && other.len <= prefix.len && (other.len < prefix.len || i < at) &&
            memcmp(other.ptr, prefix.ptr, other.len) == 0) {
            return true;
        }
    }
    return false;
}

typedef enum kerr range_fn(struct live *l, struct bytes from, struct bytes end, struct kerrinfo *e);

static enum kerr each_prefix(struct live *l, range_fn *fn, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < l->audit->prefix_count && k == KERR_OK; i++) {
        AUTO_BUF end;
        buf_init(&end, KEY_MAX);
        if (!is_read_already(l->audit, i)) {
            struct bytes prefix = l->audit->prefixes[i];
            k = set_key(&end, bytes_of(prefix.ptr, prefix.len - 1), e);
            k = k == KERR_OK ? buf_put_text(&end, BEHIND_SLASH, e) : k;
            k = k == KERR_OK ? fn(l, prefix, buf_view(&end), e) : k;
        }
    }
    return k;
}

static enum kerr no_key(void *ctx, const struct mvcc_key_value *kv, struct kerrinfo *e)
{
    (void)ctx;
    (void)kv;
    (void)e;
    return KERR_OK;
}

static enum kerr count_range(struct live *l, struct bytes from, struct bytes end,
                             struct kerrinfo *e)
{
    struct etcd_range range = {.key = from, .end = end, .count_only = true};
    struct etcd_page page;
    enum kerr k = live_ask(l, &range, no_key, NULL, &page, e);
    l->total += k == KERR_OK ? page.count : 0;
    if (k == KERR_OK && page.count > 0) {
        prefix_has_keys(l->audit, from);
    }
    return k;
}

enum kerr audit_etcd_find(struct etcd *c, struct etcd_status *status, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < etcd_endpoint_count(c); i++) {
        k = etcd_status(c, status, e);
        if (k != KERR_OK || status->is_kine || (status->has_leader && !status->is_learner)) {
            break;
        }
        etcd_go_on(c);
    }
    if (k != KERR_OK || status->is_kine || (status->has_leader && !status->is_corrupt)) {
        return k;
    }
    return status->has_leader
               ? kerr_set(e, KERR_FORMAT,
                          "%s: this etcd has raised the alarm CORRUPT: its members "
                          "do not hold the same",
                          etcd_endpoint(c))
               : kerr_set(e, KERR_DOWN,
                          "%s: this member of etcd has no leader, so what it shows may be old; "
                          "bring the cluster back, or audit a member's files",
                          etcd_endpoint(c));
}

static enum kerr read_all(struct live *l, struct kerrinfo *e)
{
    bool has_prefixes = l->audit->wanted.prefix_count > 0;
    enum kerr k = has_prefixes ? each_prefix(l, count_range, e) : live_find_prefixes(l, e);
    k = k == KERR_OK ? audit_take_prefixes(l->audit, e) : k;
    if (k == KERR_OK) {
        k = has_prefixes ? each_prefix(l, scan_range, e)
                         : scan_range(l, LIVE_ENDLESS, LIVE_ENDLESS, e);
    }
    return k;
}

/* kine answers the questions that kube-apiserver asks: one key, or all of a prefix from a key on.
 */
static enum kerr read_kine(struct live *l, struct kerrinfo *e)
{
    if (l->audit->object != NULL) {
        return kerr_set(e, KERR_UNSUP,
                        "%s: kine's API does not show the past of an object: audit its file, with "
                        "--kine",
                        etcd_endpoint(l->etcd));
    }
    l->has_no_stream = true;
    enum kerr k = l->audit->wanted.prefix_count > 0 ? KERR_OK : live_try_usual_prefix(l, e);
    k = k == KERR_OK ? audit_take_prefixes(l->audit, e) : k;
    k = k == KERR_OK ? each_prefix(l, count_range, e) : k;
    return k == KERR_OK ? each_prefix(l, scan_range, e) : k;
}

enum kerr audit_etcd(struct audit *a, struct etcd *c, const struct audit_etcd_wanted *wanted,
                     struct audit_etcd *ret, struct kerrinfo *e)
{
    struct live l = {.audit = a, .etcd = c, .wanted = wanted, .found = ret};
    *ret = (struct audit_etcd){.requests = 0};
    enum kerr k = audit_etcd_find(c, &ret->status, e);
    if (k != KERR_OK) {
        return k;
    }
    if (ret->status.is_kine) {
        return read_kine(&l, e);
    }
    return a->object != NULL ? live_read_object(&l, e) : read_all(&l, e);
}
