/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How changes get in: one timer that asks the loader to look (every keystore.poll while keys are
 * served, with a growing pause while sealed), the watch on the keystore's folder, and SIGHUP.
 * Whatever fails, what was in force stays in force.
 */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "plugin/daemon_state.h"
#include "plugin/notify.h"

/* Pauses between attempts to unseal: doubled from the first to the last. */
#define RETRY_FIRST_MS 1000
#define RETRY_LAST_MS  60000
/* The same failure is logged again after so long. */
#define REPEAT_LOG_MS 600000

#define NOTE_BYTES 768

static void note_outcome(struct status_reload *r, enum kerr code, const char *message)
{
    *r = (struct status_reload){.at_s = clock_wall_s(), .is_ok = code == KERR_OK, .code = code};
    (void)snprintf(r->message, sizeof r->message, "%s", message);
}

/* What counts the provider's states, for people. */
static const char *counted(const struct provider_info *info)
{
    return strcmp(info->name, "vault") == 0 ? "key version" : "generation";
}

/* The line that `systemctl status` shows. */
static void describe(struct daemon *d, char to[static NOTE_BYTES])
{
    struct provider_info info;
    provider_info(d->provider, &info);
    struct status_reload last = report_last_reload(d);
    if (!info.is_serving) {
        (void)snprintf(to, NOTE_BYTES, "sealed, %s: %s",
                       info.is_sealed_final ? "a person must act" : "trying again", last.message);
    } else if (!last.is_ok) {
        (void)snprintf(to, NOTE_BYTES, "reload failed, %s %llu keeps serving: %s", counted(&info),
                       (unsigned long long)info.generation, last.message);
    } else if (*info.warning != 0) {
        (void)snprintf(to, NOTE_BYTES, "unsealed, %s %llu, but %s", counted(&info),
                       (unsigned long long)info.generation, info.warning);
    } else {
        (void)snprintf(to, NOTE_BYTES, "unsealed, %s %llu, primary key %s%s%s", counted(&info),
                       (unsigned long long)info.generation, info.current_key_id,
                       *d->restart_needed == 0 ? "" : "; restart needed for ", d->restart_needed);
    }
}

static void tell_systemd(struct daemon *d, bool is_ready)
{
    char note[NOTE_BYTES];
    describe(d, note);
    if (is_ready) {
        notify_ready(note);
    } else {
        notify_status(note);
    }
}

static void log_keys(struct daemon *d, const struct loader_result *r,
                     const struct provider_info *info)
{
    log_event(LOG_LEVEL_INFO, "keys-loaded", log_text("reason", reload_reason_name(r->reason)),
              log_text("store_id", info->store_id), log_u64("generation", info->generation),
              log_u64("keys", info->key_count), log_text("opened_by", info->opened_by),
              log_u64("duration_ms", r->took_ms));
    if (strcmp(d->shown_key_id, info->current_key_id) != 0) {
        log_event(LOG_LEVEL_INFO, "key-change",
                  log_text("from", *d->shown_key_id == 0 ? NULL : d->shown_key_id),
                  log_text("to", info->current_key_id));
        (void)snprintf(d->shown_key_id, sizeof d->shown_key_id, "%s", info->current_key_id);
    }
}

static void log_failure(struct daemon *d, const struct loader_result *r,
                        const struct provider_info *info)
{
    uint64_t suppressed = 0;
    if (!repeat_pass(&d->failures, r->cause.text, REPEAT_LOG_MS, clock_mono_ms(), &suppressed)) {
        return;
    }
    log_cause(LOG_LEVEL_ERROR, "keys-failed", &r->cause,
              log_text("reason", reload_reason_name(r->reason)),
              log_text("serving", info->is_serving ? "the state from before" : "nothing"),
              log_u64("generation", info->generation), log_u64("suppressed", suppressed));
}

/* Keys are served, yet something needs a person: once when it begins, once when it is over. */
static void log_warning(struct daemon *d, const struct provider_info *info)
{
    if (strcmp(d->shown_warning, info->warning) == 0) {
        return;
    }
    if (*info->warning != 0) {
        log_event(LOG_LEVEL_WARN, "keys-warning", log_text("cause", info->warning),
                  log_u64("generation", info->generation));
    } else {
        log_event(LOG_LEVEL_INFO, "keys-warning-over", log_u64("generation", info->generation));
    }
    (void)snprintf(d->shown_warning, sizeof d->shown_warning, "%s", info->warning);
}

/* When to look next. A provider that knows when it has something to do says so; keystore.poll is
 * for a keystore, which is what is watched. */
static void schedule(struct daemon *d, enum reload_reason last, const struct provider_info *info)
{
    uint64_t due_ms = 0;
    bool is_due = provider_due(d->provider, &due_ms);
    if (info->is_serving || is_due) {
        d->retry_ms = RETRY_FIRST_MS;
        uint64_t poll_ms = d->config->poll_ms;
        bool is_alone = d->watch == NULL;
        loop_timer_set(&d->look, is_due && (is_alone || due_ms < poll_ms) ? due_ms : poll_ms, 0);
        return;
    }
    if (last == RELOAD_WATCH || last == RELOAD_SIGNAL) {
        d->retry_ms = RETRY_FIRST_MS; /* somebody is at it */
    }
    loop_timer_set(&d->look, d->retry_ms, 0);
    d->retry_ms = 2 * d->retry_ms < RETRY_LAST_MS ? 2 * d->retry_ms : RETRY_LAST_MS;
}

static void finish_look(struct daemon *d, const struct loader_result *r)
{
    struct provider_info info;
    provider_info(d->provider, &info);
    metrics_reload(d->metrics, r->reason, r->result);
    bool was_ok = d->keys_reload.is_ok;
    bool is_ok = r->result != RELOAD_FAILED;
    note_outcome(&d->keys_reload, is_ok ? KERR_OK : r->cause.code, r->cause.text);
    if (!is_ok) {
        log_failure(d, r, &info);
    } else if (r->result == RELOAD_CHANGED) {
        log_keys(d, r, &info);
    } else if (!was_ok && d->has_tried_unseal) {
        log_event(LOG_LEVEL_INFO, "keys-recovered", log_u64("generation", info.generation));
    }
    if (is_ok) {
        repeat_clear(&d->failures);
    }
    log_warning(d, &info);
    schedule(d, r->reason, &info);
    bool is_ready = !d->has_tried_unseal || (d->is_reloading && r->reason >= RELOAD_SIGNAL);
    d->has_tried_unseal = true;
    d->is_reloading = d->is_reloading && !is_ready;
    tell_systemd(d, is_ready);
}

static void on_loaded(void *ctx, uint32_t events)
{
    (void)events;
    struct daemon *d = ctx;
    struct loader_result r;
    if (loader_take(d->loader, &r) && d->phase == DAEMON_RUNNING) {
        finish_look(d, &r);
    }
}

static void on_watch(void *ctx)
{
    struct daemon *d = ctx;
    loader_ask(d->loader, RELOAD_WATCH);
}

static void renew_watch(struct daemon *d)
{
    bool is_new = false;
    struct kerrinfo e = {0};
    if (d->watch == NULL || watch_renew(d->watch, &is_new, &e) == KERR_OK) {
        return;
    }
    /* The poll goes on without it; the loader tells loudly if the keystore is gone as well. */
    log_cause(LOG_LEVEL_DEBUG, "watch-failed", &e);
}

static void on_look(void *ctx, uint32_t events)
{
    (void)events;
    struct daemon *d = ctx;
    struct provider_info info;
    provider_info(d->provider, &info);
    renew_watch(d);
    loader_ask(d->loader, info.is_serving ? RELOAD_POLL : RELOAD_RETRY);
}

enum kerr reload_start(struct daemon *d, struct kerrinfo *e)
{
    const char *folder = NULL;
    const char *name = NULL;
    d->retry_ms = RETRY_FIRST_MS;
    enum kerr k = loop_timer_init(&d->look, d->loop, on_look, d, e);
    if (k == KERR_OK && provider_watch(d->provider, &folder, &name)) {
        k = watch_new(d->loop, folder, name, on_watch, d, &d->watch, e);
    }
    if (k == KERR_OK) {
        k = loader_new(d->provider, &d->loader, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    d->loaded = (struct loop_source){.fd = loader_fd(d->loader), .fn = on_loaded, .ctx = d};
    k = loop_add(d->loop, &d->loaded, EPOLLIN, e);
    if (k != KERR_OK) {
        d->loaded.fd = -1;
        return k;
    }
    loader_ask(d->loader, RELOAD_START);
    return KERR_OK;
}

void reload_stop(struct daemon *d)
{
    loop_timer_done(&d->look);
    watch_free(d->watch);
    d->watch = NULL;
    loop_remove(d->loop, &d->loaded);
}

/* --- SIGHUP --- */

static enum kerr find_restart_needed(struct daemon *d, const struct config *fresh,
                                     struct kerrinfo *e)
{
    AUTO_BUF names;
    const char *text = NULL;
    buf_init(&names, sizeof d->restart_needed);
    enum kerr k = config_restart_needed(d->first, fresh, &names, e);
    if (k == KERR_OK) {
        k = buf_text(&names, &text, e);
    }
    if (k == KERR_OK) {
        (void)snprintf(d->restart_needed, sizeof d->restart_needed, "%s", text);
    }
    return k;
}

/* Rights that changed end with the connections that had them; others stay connected. */
static enum kerr take_peers(struct daemon *d, const struct config *fresh, struct kerrinfo *e)
{
    if (peers_same_rights(d->config->peers, d->config->peer_count, fresh->peers,
                          fresh->peer_count)) {
        return KERR_OK;
    }
    struct rpc_class classes[CONFIG_PEERS_MAX];
    peers_to_classes(fresh->peers, fresh->peer_count, classes);
    enum kerr k = rpc_server_set_classes(d->rpc, classes, fresh->peer_count, e);
    if (k == KERR_OK) {
        acceptor_set_peers(d->acceptor, fresh->peers, fresh->peer_count);
        log_event(LOG_LEVEL_INFO, "peers-changed", log_u64("rows", fresh->peer_count));
    }
    return k;
}

static enum kerr take_config(struct daemon *d, struct kerrinfo *e)
{
    AUTO_CONFIG fresh = NULL;
    enum kerr k = config_read(d->first->file, &fresh, e);
    k = k == KERR_OK ? find_restart_needed(d, fresh, e) : k;
    k = k == KERR_OK ? take_peers(d, fresh, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    log_start(fresh->log_level, fresh->log_format);
    kms_service_set_rules(d->service, fresh);
    auditors_set_rows(d->auditors, fresh->peers, fresh->peer_count);
    struct config *old = d->config;
    d->config = fresh;
    fresh = old == d->first ? NULL : old; /* freed here; the first one serves to the end */
    return KERR_OK;
}

void reload_on_signal(struct daemon *d)
{
    struct kerrinfo e = {0};
    notify_reloading("reloading");
    d->is_reloading = true;
    enum kerr k = take_config(d, &e);
    note_outcome(&d->config_reload, k, e.text);
    if (k != KERR_OK) {
        metrics_reload(d->metrics, RELOAD_SIGNAL, RELOAD_FAILED);
        log_cause(LOG_LEVEL_ERROR, "config-failed", &e,
                  log_text("serving", "the configuration from before"));
    } else {
        log_event(LOG_LEVEL_INFO, "config-reloaded", log_text("file", d->config->file));
    }
    if (k == KERR_OK && *d->restart_needed != 0) {
        log_event(LOG_LEVEL_WARN, "restart-needed", log_text("keys", d->restart_needed));
    }
    renew_watch(d);
    loader_ask(d->loader, RELOAD_SIGNAL);
}
