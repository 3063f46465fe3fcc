/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/auditors.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kms/kms.h"
#include "plugin/limit.h"

struct auditors {
    struct metrics *metrics;
    auditors_add_fn *add;
    void *add_ctx;
    pthread_mutex_t lock; /* what follows */
    bool is_row[CONFIG_PEERS_MAX];
    struct log_gate gates[CONFIG_PEERS_MAX];
};

void auditor_tally_add(struct auditor_tally *t, const struct auditor_call *call,
                       struct auditor_seen *ret)
{
    ret->is_counted = t->is_auditor || call->is_auditor;
    ret->is_first = call->is_auditor && !t->is_auditor;
    if (ret->is_first) {
        *t = (struct auditor_tally){
            .is_auditor = true, .row = call->row, .since_ms = clock_mono_ms()};
    }
    if (ret->is_counted) {
        t->unwrapped += call->is_unwrapped;
        t->refused += !call->is_unwrapped;
    }
}

enum kerr auditors_new(struct metrics *metrics, auditors_add_fn *add, void *add_ctx,
                       struct auditors **ret, struct kerrinfo *e)
{
    struct auditors *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory to watch auditors");
    }
    a->metrics = metrics;
    a->add = add;
    a->add_ctx = add_ctx;
    (void)pthread_mutex_init(&a->lock, NULL);
    for (size_t i = 0; i < CONFIG_PEERS_MAX; i++) {
        log_gate_init(&a->gates[i], AUDITORS_LOG_RATE, AUDITORS_LOG_BURST, clock_mono_ms());
    }
    *ret = a;
    return KERR_OK;
}

void auditors_free(struct auditors *a)
{
    if (a != NULL) {
        (void)pthread_mutex_destroy(&a->lock);
        free(a);
    }
}

void auditors_set_rows(struct auditors *a, const struct config_peer *rows, size_t count)
{
    (void)pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < CONFIG_PEERS_MAX; i++) {
        unsigned methods = i < count ? rows[i].methods : 0;
        a->is_row[i] =
            (methods & CONFIG_METHOD_DECRYPT) != 0 && (methods & CONFIG_METHOD_ENCRYPT) == 0;
    }
    (void)pthread_mutex_unlock(&a->lock);
}

/* Why a call is an auditor's; NULL: it is not. */
static const char *reason_of(struct auditors *a, const struct auditor_call *call)
{
    (void)pthread_mutex_lock(&a->lock);
    bool is_row = call->row < CONFIG_PEERS_MAX && a->is_row[call->row];
    (void)pthread_mutex_unlock(&a->lock);
    if (is_row) {
        return "row";
    }
    return strcmp(call->uid, KMS_AUDIT_UID) == 0 ? "uid" : NULL;
}

static bool may_log(struct auditors *a, size_t row, uint64_t *ret_suppressed)
{
    size_t at = row < CONFIG_PEERS_MAX ? row : CONFIG_PEERS_MAX - 1;
    (void)pthread_mutex_lock(&a->lock);
    bool may = log_gate_pass(&a->gates[at], clock_mono_ms(), ret_suppressed);
    (void)pthread_mutex_unlock(&a->lock);
    return may;
}

static void log_begin(struct auditors *a, const char *reason, const struct auditor_call *call,
                      const struct peer *peer)
{
    uint64_t suppressed = 0;
    if (!may_log(a, call->row, &suppressed)) {
        return;
    }
    bool is_known = peer->conn != 0;
    const struct log_kv none = log_text("", NULL);
    log_event(LOG_LEVEL_WARN, "decrypt-by-auditor", log_text("reason", reason),
              log_text("uid", *call->uid == 0 ? NULL : call->uid),
              is_known ? log_u64("peer_uid", peer->uid) : none,
              is_known ? log_u64("peer_gid", peer->gid) : none,
              is_known ? log_u64("peer_pid", (uint64_t)peer->pid) : none, log_u64("row", call->row),
              suppressed > 0 ? log_u64("suppressed", suppressed) : none);
}

void auditors_decrypt(struct auditors *a, const struct peer *peer, const struct auditor_call *call)
{
    const char *reason = reason_of(a, call);
    struct auditor_call judged = *call;
    judged.is_auditor = reason != NULL;
    struct auditor_seen seen = {.is_counted = judged.is_auditor, .is_first = judged.is_auditor};
    a->add(a->add_ctx, peer->conn, &judged, &seen);
    if (seen.is_counted) {
        metrics_auditor(a->metrics, call->is_unwrapped);
    }
    if (seen.is_first) {
        log_begin(a, reason, &judged, peer);
    }
}

void auditors_ended(struct auditors *a, const struct peer *peer, const struct auditor_tally *t)
{
    uint64_t suppressed = 0;
    if (!t->is_auditor || !may_log(a, t->row, &suppressed)) {
        return;
    }
    log_event(LOG_LEVEL_WARN, "decrypt-by-auditor-end", log_u64("peer_uid", peer->uid),
              log_u64("peer_pid", (uint64_t)peer->pid), log_u64("row", t->row),
              log_u64("unwrapped", t->unwrapped), log_u64("refused", t->refused),
              log_u64("duration_ms", clock_mono_ms() - t->since_ms),
              suppressed > 0 ? log_u64("suppressed", suppressed) : log_text("", NULL));
}
