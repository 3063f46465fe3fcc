/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon counts, and its text form for Prometheus (exposition format 0.0.4).
 *
 * Every label comes from a closed list or is a key id of the keystore, hashed as kube-apiserver
 * hashes it; at most METRICS_KEYS_MAX of those. Destroyed keys give way first, then the least
 * recently used: so no client can make the text grow, nor make the use of a live key forgotten.
 * Counting and rendering may be called from any thread.
 */
#ifndef ETCDSEAL_PLUGIN_METRICS_H
#define ETCDSEAL_PLUGIN_METRICS_H

#include "base/bytes.h"
#include "kms/kms.h"
#include "plugin/process.h"
#include "provider/provider.h"

/* Keys whose use is counted; a keystore shows as many. */
#define METRICS_KEYS_MAX PROVIDER_INFO_KEYS
/* Bytes of the longest text: the fixed part is under 16 KiB, a key that was used has at most
 * 1.2 KiB, one that was not 170 bytes. */
#define METRICS_TEXT_MAX ((size_t)384 * 1024)

/* Why a connection was closed before it reached the rpc server. */
enum metrics_refusal {
    METRICS_REFUSED_PEER,    /* no row of `peers` fits */
    METRICS_REFUSED_FULL,    /* socket.connections_max, or the row's part of it */
    METRICS_REFUSED_GARBAGE, /* does not begin as HTTP/2 does */
    METRICS_REFUSED_SILENT,  /* sent too little in time */
    METRICS_REFUSED_ERROR,   /* the system or gRPC would not take it */
    METRICS_REFUSED_COUNT
};
const char *metrics_refusal_name(enum metrics_refusal r);

/* What made the daemon look for a newer state. A later row outranks an earlier one when several
 * come together. */
enum reload_reason {
    RELOAD_POLL,   /* the slow net */
    RELOAD_RETRY,  /* still sealed */
    RELOAD_WATCH,  /* the keystore's folder changed */
    RELOAD_SIGNAL, /* SIGHUP */
    RELOAD_START,
    RELOAD_REASON_COUNT
};
const char *reload_reason_name(enum reload_reason r);

enum reload_result { RELOAD_UNCHANGED, RELOAD_CHANGED, RELOAD_FAILED, RELOAD_RESULT_COUNT };

struct metrics;

enum kerr metrics_new(struct metrics **ret, struct kerrinfo *e) MUST_CHECK;
void metrics_free(struct metrics *m); /* NULL is fine */

/* A call has ended with a canonical gRPC status. */
void metrics_request(struct metrics *m, enum kms_method method, int status, uint64_t took_ns);
/* A call was refused before it reached its method; a row that does not exist counts as "other". */
void metrics_request_refused(struct metrics *m, size_t method, int status);
/* A Decrypt named a key that we have: `state` as provider_unwrap gives it. Only for calls that
 * authenticated or were refused because of that state; `now_s` is wall time. */
void metrics_decrypt(struct metrics *m, struct bytes key_id, const char *state, uint64_t now_s);
/* A Decrypt was answered to a peer that is an auditor (auditors.h). */
void metrics_auditor(struct metrics *m, bool is_unwrapped);
void metrics_refused(struct metrics *m, enum metrics_refusal r);
void metrics_reload(struct metrics *m, enum reload_reason reason, enum reload_result result);

/* How often a key was used to decrypt since the start, and when last (wall time; 0 never). */
struct metrics_key_use {
    uint64_t decrypts;
    uint64_t last_s;
};
struct metrics_key_use metrics_key_use(struct metrics *m, const char *key_id);

/* What the text shows beside the counters. */
struct metrics_view {
    const struct provider_info *provider;
    struct process_figures process;
    uint64_t started_at_s;
    size_t connections_waiting;
    size_t connections_open;
    bool is_last_reload_ok;
    uint64_t last_reload_s; /* wall time; 0: none yet */
    bool is_restart_needed;
    bool is_lock_strict;
    uint64_t unlocked_secrets;
};

/* Appends the whole text. LIMIT, NOMEM. */
enum kerr metrics_text(struct metrics *m, const struct metrics_view *v, struct buf *ret,
                       struct kerrinfo *e) MUST_CHECK;

#endif
