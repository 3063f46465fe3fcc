/* SPDX-License-Identifier: Apache-2.0 */
/* What live.c (pages) and live_prefix.c (where Kubernetes' keys are) share. */
#ifndef ETCDSEAL_AUDIT_LIVE_SCAN_H
#define ETCDSEAL_AUDIT_LIVE_SCAN_H

#include "audit/live.h"

struct live {
    struct audit *audit;
    struct etcd *etcd;
    const struct audit_etcd_wanted *wanted;
    struct audit_etcd *found;
    uint64_t revision;      /* that is read; 0: the newest, which it is from then on */
    uint64_t last_start_ms; /* of the last request */
    bool has_no_stream;     /* the server cannot, or lost one: page by page */
    uint64_t done;          /* keys */
    uint64_t total;
};

#define LIVE_ENDLESS bytes_of("", 1) /* one NUL: no end, and before all keys */

bool live_is_stopped(const struct live *l);
/* One request at the revision that is read, when its time has come. */
enum kerr live_ask(struct live *l, struct etcd_range *range, etcd_key_value_fn *fn, void *ctx,
                   struct etcd_page *ret, struct kerrinfo *e) MUST_CHECK;

/* The same for a revision of the caller's, NOTFOUND when that is compacted. */
enum kerr live_ask_once(struct live *l, const struct etcd_range *range, etcd_key_value_fn *fn,
                        void *ctx, struct etcd_page *ret, struct kerrinfo *e) MUST_CHECK;

/* The object that was asked for, and nothing else. */
enum kerr live_read_object(struct live *l, struct kerrinfo *e) MUST_CHECK;
/* Notes /registry/ when the keys that show a prefix are there. */
enum kerr live_try_usual_prefix(struct live *l, struct kerrinfo *e) MUST_CHECK;
/* Finds the prefixes without reading all keys: in the first keys of what is stored, up to four
 * words deep. Counts all keys. */
enum kerr live_find_prefixes(struct live *l, struct kerrinfo *e) MUST_CHECK;

#endif
