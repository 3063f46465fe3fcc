/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells when a file may have been replaced: inotify on its folder, because a file that is replaced
 * by rename is another file each time.
 *
 * Events for the name are joined: the callback comes WATCH_SETTLE_MS after the first of a burst. A
 * folder that does not exist, or goes away, is looked for again by watch_renew (called from the
 * slow poll, which is also the net under lost events). One thread, that of the loop.
 */
#ifndef ETCDSEAL_PLUGIN_WATCH_H
#define ETCDSEAL_PLUGIN_WATCH_H

#include "plugin/loop.h"

/* Longer than the few renames of one write, far under the second in which a change must show. */
#define WATCH_SETTLE_MS 50

struct watch;

typedef void watch_fn(void *ctx);

/* `folder` and `name` are borrowed and must outlive it. A folder that cannot be watched now is no
 * failure: see watch_renew. */
enum kerr watch_new(struct loop *loop, const char *folder, const char *name, watch_fn *fn,
                    void *ctx, struct watch **ret, struct kerrinfo *e) MUST_CHECK;
/* Watches the folder if it is not watched. KERR_OK if it is now; *ret_is_new: it was not before, so
 * something may have been missed. */
enum kerr watch_renew(struct watch *w, bool *ret_is_new, struct kerrinfo *e) MUST_CHECK;
void watch_free(struct watch *w); /* NULL is fine */

#endif
