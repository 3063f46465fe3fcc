/* SPDX-License-Identifier: Apache-2.0 */
#include <microhttpd.h>
#include <string.h>

#include "base/clock.h"
#include "plugin/daemon_state.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* A failure of either stays the answer until the same kind has succeeded: a good look at the keys
 * does not hide a refused configuration. */
struct status_reload report_last_reload(const struct daemon *d)
{
    if (d->config_reload.at_s != 0 && !d->config_reload.is_ok) {
        return d->config_reload;
    }
    return d->keys_reload;
}

uint64_t report_rpc_turn_age_ms(const struct daemon *d)
{
    uint64_t last_ms = rpc_server_last_turn_ms(d->rpc);
    uint64_t now_ms = clock_mono_ms();
    last_ms = last_ms == 0 ? d->started_mono_ms : last_ms;
    return now_ms > last_ms ? now_ms - last_ms : 0;
}

static void fill_status(struct daemon *d, struct status_view *v)
{
    struct acceptor_counts counts = acceptor_counts(d->acceptor);
    *v = (struct status_view){
        .config = d->config,
        .first = d->first,
        .version_wire = d->first->version == CONFIG_VERSION_V2 ? "v2" : "v2beta1",
        .socket_path = d->first->socket_path,
        .status_path = d->web_unix == NULL ? NULL : d->status_path,
        .is_activated = d->is_activated,
        .started_at_s = d->started_at_s,
        .connections_waiting = counts.waiting,
        .connections_open = counts.open,
        .calls_in_flight = rpc_server_in_flight(d->rpc),
        .last_reload = report_last_reload(d),
        .restart_needed = d->restart_needed,
        .unlocked_secrets = secret_unlocked_count(),
        .rpc_turn_age_ms = report_rpc_turn_age_ms(d),
        .has_tried_unseal = d->has_tried_unseal,
    };
    provider_info(d->provider, &v->provider);
}

static bool get_status(struct daemon *d, struct web_reply *reply)
{
    struct status_view v;
    fill_status(d, &v);
    reply->content_type = "application/json";
    buf_init(&reply->body, STATUS_TEXT_MAX);
    return status_json(&v, d->metrics, &reply->body, NULL) == KERR_OK;
}

static bool get_metrics(struct daemon *d, struct web_reply *reply)
{
    struct provider_info info;
    provider_info(d->provider, &info);
    struct acceptor_counts counts = acceptor_counts(d->acceptor);
    struct status_reload last = report_last_reload(d);
    struct metrics_view v = {
        .provider = &info,
        .started_at_s = d->started_at_s,
        .connections_waiting = counts.waiting,
        .connections_open = counts.open,
        .is_last_reload_ok = last.is_ok,
        .last_reload_s = last.at_s,
        .is_restart_needed = *d->restart_needed != 0,
        .is_lock_strict = d->first->memory_lock == SECRET_LOCK_STRICT,
        .unlocked_secrets = secret_unlocked_count(),
    };
    process_figures_get(&v.process);
    reply->content_type = METRICS_TYPE;
    buf_init(&reply->body, METRICS_TEXT_MAX);
    return metrics_text(d->metrics, &v, &reply->body, NULL) == KERR_OK;
}

static bool answer_line(bool is_good, struct web_reply *reply)
{
    reply->status = is_good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    return true;
}

static bool get_livez(struct daemon *d, struct web_reply *reply)
{
    struct status_view v;
    fill_status(d, &v);
    buf_init(&reply->body, 2 * KERRINFO_TEXT_MAX);
    return answer_line(status_livez(&v, &reply->body), reply);
}

static bool get_readyz(struct daemon *d, struct web_reply *reply)
{
    struct status_view v;
    fill_status(d, &v);
    buf_init(&reply->body, 2 * KERRINFO_TEXT_MAX);
    return answer_line(status_readyz(&v, &reply->body), reply);
}

struct page {
    const char *path;
    bool (*get)(struct daemon *d, struct web_reply *reply);
};

static const struct page pages[] = {
    {"/status", get_status}, {"/metrics", get_metrics}, {"/livez", get_livez},
    {"/readyz", get_readyz}, {"/healthz", get_readyz},
};

bool report_page(void *ctx, const char *path, struct web_reply *reply)
{
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        if (strcmp(path, pages[i].path) == 0) {
            if (!pages[i].get(ctx, reply)) {
                buf_done(&reply->body);
                reply->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
            }
            return true;
        }
    }
    return false;
}
