/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's state, private to daemon.c (life), reload.c (changes) and report.c (what it tells).
 * Everything here belongs to the control thread, but for what the parts' own headers allow others.
 */
#ifndef ETCDSEAL_PLUGIN_DAEMON_STATE_H
#define ETCDSEAL_PLUGIN_DAEMON_STATE_H

#include <pthread.h>

#include "plugin/accept.h"
#include "plugin/auditors.h"
#include "plugin/kms_service.h"
#include "plugin/limit.h"
#include "plugin/listen.h"
#include "plugin/loader.h"
#include "plugin/metrics.h"
#include "plugin/status.h"
#include "plugin/watch.h"
#include "plugin/web.h"
#include "plugin/workers.h"

enum daemon_phase { DAEMON_RUNNING, DAEMON_STOPPING, DAEMON_ENDED };

struct daemon {
    /* The first configuration decides sockets, provider and version for ever; the one in force is
     * the same until a reload. */
    struct config *first;
    struct config *config;
    uint64_t started_at_s;
    uint64_t started_mono_ms;
    enum daemon_phase phase;
    bool is_hurried; /* told to stop twice */

    struct listener kms;
    struct listener status;
    char status_path[LISTEN_PATH_MAX + 1];
    bool is_activated;

    struct loop *loop;
    struct loop_source signals;
    struct loop_timer stop_timer;
    struct loop_timer watchdog;
    struct web *web_unix;
    struct web *web_tcp;

    struct provider *provider;
    struct metrics *metrics;
    struct auditors *auditors;
    struct workers *workers; /* NULL when no call waits */
    struct kms_service *service;
    bool is_rpc_started;
    struct rpc_method rpc_methods[KMS_METHOD_COUNT]; /* outlives rpc */
    struct rpc_server *rpc;
    pthread_t rpc_thread;
    bool has_rpc_thread;
    struct loop_source rpc_ended;
    struct acceptor *acceptor;

    /* reload.c */
    struct loader *loader;
    struct loop_source loaded;
    struct watch *watch;
    struct loop_timer look;
    unsigned retry_ms;
    bool has_tried_unseal;
    bool is_reloading; /* systemd was told so */
    struct status_reload config_reload;
    struct status_reload keys_reload;
    struct repeat failures;
    char shown_key_id[64];
    char shown_warning[KERRINFO_TEXT_MAX];
    char restart_needed[512];
};

/* reload.c */
enum kerr reload_start(struct daemon *d, struct kerrinfo *e) MUST_CHECK;
void reload_on_signal(struct daemon *d);
/* Stops its timer and watch; the loader stays. */
void reload_stop(struct daemon *d);

/* report.c */
struct status_reload report_last_reload(const struct daemon *d);
uint64_t report_rpc_turn_age_ms(const struct daemon *d);
web_get_fn report_page;

#endif
