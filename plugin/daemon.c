/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the start: memory, sockets, (the place for a system-call filter), gRPC, provider,
 * loop, HTTP, threads, and only then keys. From the threads on the socket answers, sealed at first.
 */
#include "plugin/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "plugin/daemon_state.h"
#include "plugin/harden.h"
#include "plugin/methods.h"
#include "plugin/notify.h"

#define STATUS_NAME "status.sock"
/* A connection has the descriptor that was accepted, our duplicate, and the rpc server's. */
#define CONNECTION_FDS 3
/* The rest of the program: loops, timers, HTTP, gRPC's own, the keystore's files. */
#define OTHER_FDS 128
/* What a stop may take beyond shutdown_grace before the program gives up on it. */
#define STOP_SLACK_MS 2000
/* What the loader gets at least: idle, it ends at once, but not in no time. */
#define LOADER_STOP_MS 1000

/* --- sockets --- */

/* The status socket lies beside the KMS socket. */
static enum kerr find_status_path(struct daemon *d, struct kerrinfo *e)
{
    AUTO_TEXT folder = NULL;
    AUTO_TEXT name = NULL;
    enum kerr k = listen_check_path(d->first->socket_path, e);
    k = k == KERR_OK ? file_split(d->first->socket_path, &folder, &name, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    int len = snprintf(d->status_path, sizeof d->status_path, "%s/" STATUS_NAME,
                       strcmp(folder, "/") == 0 ? "" : folder);
    if (len < 0 || (size_t)len >= sizeof d->status_path) {
        return kerr_set(e, KERR_CONFIG, "socket.path: %s/" STATUS_NAME " is over %d bytes", folder,
                        LISTEN_PATH_MAX);
    }
    return KERR_OK;
}

static enum kerr make_socket(const struct daemon *d, const char *path, struct listener *to,
                             struct kerrinfo *e)
{
    struct listen_spec spec = {.path = path,
                               .mode = d->first->socket_mode,
                               .owner = d->first->socket_owner,
                               .group = d->first->socket_group};
    return listen_self(&spec, to, e);
}

static enum kerr take_sockets(struct daemon *d, struct kerrinfo *e)
{
    size_t passed = 0;
    enum kerr k = find_status_path(d, e);
    struct listen_wanted wanted[] = {{d->first->socket_path, &d->kms},
                                     {d->status_path, &d->status}};
    k = k == KERR_OK ? listen_activated(wanted, ARRAY_LEN(wanted), &passed, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    d->is_activated = passed > 0;
    if (d->is_activated && d->kms.fd < 0) {
        return kerr_set(e, KERR_CONFIG,
                        "systemd passed %s but not %s: enable the socket unit of the KMS socket",
                        d->status_path, d->first->socket_path);
    }
    if (!d->is_activated) {
        k = make_socket(d, d->first->socket_path, &d->kms, e);
    }
    if (k != KERR_OK || d->status.fd >= 0) {
        return k;
    }
    struct kerrinfo cause = {0};
    k = make_socket(d, d->status_path, &d->status, &cause);
    if (k != KERR_OK && d->is_activated) {
        /* The folder belongs to systemd then; the KMS socket matters more. */
        log_cause(LOG_LEVEL_WARN, "status-socket-missing", &cause,
                  log_text("cure", "enable etcdseald-status.socket"));
        return KERR_OK;
    }
    return k == KERR_OK ? k : kerr_set(e, k, "%s", cause.text);
}

/* --- rpc thread --- */

static void *run_rpc(void *ctx)
{
    struct daemon *d = ctx;
    rpc_server_run(d->rpc);
    uint64_t one = 1;
    ssize_t n = write(d->rpc_ended.fd, &one, sizeof one);
    (void)n; /* fails only at 2^64 - 1 */
    return NULL;
}

static void on_rpc_ended(void *ctx, uint32_t events)
{
    (void)events;
    struct daemon *d = ctx;
    if (d->phase == DAEMON_RUNNING) {
        log_event(LOG_LEVEL_ERROR, "rpc-ended");
    }
    d->phase = DAEMON_ENDED;
}

static enum kerr start_rpc_thread(struct daemon *d, struct kerrinfo *e)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return kerr_errno(e, errno, "cannot start the rpc thread");
    }
    d->rpc_ended = (struct loop_source){.fd = fd, .fn = on_rpc_ended, .ctx = d};
    enum kerr k = loop_add(d->loop, &d->rpc_ended, EPOLLIN, e);
    if (k != KERR_OK) {
        return k;
    }
    int err = pthread_create(&d->rpc_thread, NULL, run_rpc, d);
    if (err != 0) {
        return kerr_errno(e, err, "cannot start the rpc thread");
    }
    d->has_rpc_thread = true;
    return KERR_OK;
}

static enum kerr hand_to_rpc(void *ctx, size_t class_index, int fd, struct kerrinfo *e)
{
    const struct daemon *d = ctx;
    return rpc_server_add(d->rpc, class_index, fd, e);
}

static bool find_peer(void *ctx, const char *rpc_peer, struct peer *ret)
{
    const struct daemon *d = ctx;
    return acceptor_peer(d->acceptor, rpc_peer, ret);
}

static void add_decrypt(void *ctx, uint64_t conn, const struct auditor_call *call,
                        struct auditor_seen *ret)
{
    const struct daemon *d = ctx;
    acceptor_decrypt(d->acceptor, conn, call, ret);
}

static enum kerr make_rpc(struct daemon *d, struct kerrinfo *e)
{
    struct rpc_class classes[CONFIG_PEERS_MAX];
    for (size_t i = 0; i < KMS_METHOD_COUNT; i++) {
        d->rpc_methods[i] =
            (struct rpc_method){.path = methods[i].path, .request_max = methods[i].request_max};
    }
    peers_to_classes(d->config->peers, d->config->peer_count, classes);
    rpc_start();
    d->is_rpc_started = true;
    struct rpc_server_config c = {.methods = d->rpc_methods,
                                  .method_count = KMS_METHOD_COUNT,
                                  .classes = classes,
                                  .class_count = d->config->peer_count,
                                  .limits = rpc_limits_default,
                                  .handler = kms_service_handle,
                                  .refused = kms_service_refused,
                                  .ctx = d->service};
    return rpc_server_new(&c, &d->rpc, e);
}

static enum kerr make_service(struct daemon *d, struct kerrinfo *e)
{
    enum kerr k = metrics_new(&d->metrics, e);
    k = k == KERR_OK ? auditors_new(d->metrics, add_decrypt, d, &d->auditors, e) : k;
    k = k == KERR_OK ? provider_open(d->first, &d->provider, e) : k;
    if (k == KERR_OK && provider_may_wait(d->provider)) {
        k = workers_new(&d->workers, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    struct kms_service_config c = {.provider = d->provider,
                                   .version =
                                       d->first->version == CONFIG_VERSION_V2 ? "v2" : "v2beta1",
                                   .metrics = d->metrics,
                                   .auditors = d->auditors,
                                   .workers = d->workers,
                                   .peer = find_peer,
                                   .peer_ctx = d};
    k = kms_service_new(&c, &d->service, e);
    if (k == KERR_OK) {
        kms_service_set_rules(d->service, d->config);
        auditors_set_rows(d->auditors, d->config->peers, d->config->peer_count);
    }
    return k == KERR_OK ? make_rpc(d, e) : k;
}

/* --- signals and end --- */

/* For what cannot be interrupted. Nothing is wiped then; the kernel takes the memory. */
static NORETURN void give_up_stopping(const char *busy)
{
    log_event(LOG_LEVEL_ERROR, "stop-forced", log_text("busy", busy));
    _exit(3);
}

static void on_stop_timer(void *ctx, uint32_t events)
{
    (void)events;
    (void)ctx;
    give_up_stopping("calls");
}

static void begin_stop(struct daemon *d, const char *signal_name)
{
    d->phase = DAEMON_STOPPING;
    log_event(LOG_LEVEL_INFO, "stopping", log_text("signal", signal_name),
              log_u64("in_flight", rpc_server_in_flight(d->rpc)),
              log_u64("grace_ms", d->config->shutdown_grace_ms));
    notify_stopping();
    reload_stop(d);
    acceptor_stop(d->acceptor);
    listener_close(&d->kms);
    loop_timer_set(&d->stop_timer, (uint64_t)d->config->shutdown_grace_ms + STOP_SLACK_MS, 0);
    rpc_server_shutdown(d->rpc, d->config->shutdown_grace_ms);
}

static void on_signal(void *ctx, uint32_t events)
{
    (void)events;
    struct daemon *d = ctx;
    struct signalfd_siginfo info;
    if (read(d->signals.fd, &info, sizeof info) != (ssize_t)sizeof info) {
        return;
    }
    bool is_reload = info.ssi_signo == SIGHUP;
    if (d->phase == DAEMON_RUNNING && is_reload) {
        reload_on_signal(d);
    } else if (d->phase == DAEMON_RUNNING) {
        begin_stop(d, info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
    } else if (d->phase == DAEMON_STOPPING && !is_reload && !d->is_hurried) {
        d->is_hurried = true;
        log_event(LOG_LEVEL_WARN, "stopping-at-once",
                  log_u64("in_flight", rpc_server_in_flight(d->rpc)));
        rpc_server_shutdown(d->rpc, 0);
    }
}

static enum kerr watch_signals(struct daemon *d, struct kerrinfo *e)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    int err = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (err != 0) {
        return kerr_errno(e, err, "cannot block signals");
    }
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        return kerr_errno(e, errno, "cannot watch signals");
    }
    d->signals = (struct loop_source){.fd = fd, .fn = on_signal, .ctx = d};
    return loop_add(d->loop, &d->signals, EPOLLIN, e);
}

static void on_watchdog(void *ctx, uint32_t events)
{
    (void)events;
    const struct daemon *d = ctx;
    if (report_rpc_turn_age_ms(d) < STATUS_LOOP_MAX_MS) {
        notify_watchdog();
    }
}

/* --- life --- */

static enum kerr make_loop(struct daemon *d, struct kerrinfo *e)
{
    uint64_t watchdog_ms = notify_watchdog_ms();
    enum kerr k = loop_new(&d->loop, e);
    k = k == KERR_OK ? watch_signals(d, e) : k;
    k = k == KERR_OK ? loop_timer_init(&d->stop_timer, d->loop, on_stop_timer, d, e) : k;
    k = k == KERR_OK ? loop_timer_init(&d->watchdog, d->loop, on_watchdog, d, e) : k;
    if (k == KERR_OK && watchdog_ms > 0) {
        loop_timer_set(&d->watchdog, watchdog_ms, watchdog_ms);
    }
    return k;
}

static enum kerr start_serving(struct daemon *d, struct kerrinfo *e)
{
    struct acceptor_config a = {.loop = d->loop,
                                .listen_fd = d->kms.fd,
                                .connections_max = d->first->socket_connections_max,
                                .preface_ms = ACCEPT_PREFACE_MS,
                                .metrics = d->metrics,
                                .auditors = d->auditors,
                                .hand = hand_to_rpc,
                                .hand_ctx = d};
    enum kerr k = acceptor_new(&a, d->config->peers, d->config->peer_count, &d->acceptor, e);
    if (k == KERR_OK && d->status.fd >= 0) {
        k = web_new_unix(d->loop, d->status.fd, report_page, d, &d->web_unix, e);
    }
    if (k == KERR_OK && d->first->metrics_is_on) {
        k = web_new_tcp(d->loop, d->first->metrics_host, d->first->metrics_port, report_page, d,
                        &d->web_tcp, e);
    }
    k = k == KERR_OK ? start_rpc_thread(d, e) : k;
    return k == KERR_OK ? reload_start(d, e) : k;
}

static void allow_descriptors(const struct daemon *d)
{
    unsigned long wanted =
        (unsigned long)d->first->socket_connections_max * CONNECTION_FDS + OTHER_FDS;
    if (!harden_allow_descriptors(wanted)) {
        log_event(LOG_LEVEL_WARN, "few-descriptors", log_u64("wanted", wanted),
                  log_text("cure", "raise LimitNOFILE= or lower socket.connections_max"));
    }
}

static enum kerr start(struct daemon *d, struct kerrinfo *e)
{
    log_start(d->config->log_level, d->config->log_format);
    allow_descriptors(d);
    enum kerr k = secret_start(d->config->memory_lock, e);
    k = k == KERR_OK ? make_loop(d, e) : k;
    k = k == KERR_OK ? take_sockets(d, e) : k;
    /* The place for a system-call filter and Landlock rules: all paths are known, no thread runs
     * yet. */
    k = k == KERR_OK ? make_service(d, e) : k;
    k = k == KERR_OK ? start_serving(d, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    log_event(LOG_LEVEL_INFO, "started", log_text("version", ETCDSEAL_VERSION),
              log_text("config", d->config->file), log_text("socket", d->first->socket_path),
              log_text("activated", d->is_activated ? "yes" : "no"),
              log_u64("peers", d->config->peer_count), log_u64("pid", (uint64_t)getpid()));
    return KERR_OK;
}

static int shorter(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static enum kerr turn(struct daemon *d, struct kerrinfo *e)
{
    struct web *servers[] = {d->web_unix, d->web_tcp};
    int timeout_ms = -1;
    for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
        timeout_ms =
            servers[i] == NULL ? timeout_ms : shorter(timeout_ms, web_timeout_ms(servers[i]));
    }
    enum kerr k = loop_turn(d->loop, timeout_ms, e);
    for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
        if (servers[i] != NULL && web_timeout_ms(servers[i]) == 0) {
            web_run(servers[i]);
        }
    }
    return k;
}

static void close_source(struct daemon *d, struct loop_source *s)
{
    int fd = s->fd;
    if (fd >= 0) {
        loop_remove(d->loop, s);
        file_close_at(&fd);
    }
}

/* After a start that failed half way as well. */
static void finish(struct daemon *d)
{
    unsigned grace_ms = d->is_hurried ? 0 : d->config->shutdown_grace_ms;
    if (d->has_rpc_thread) {
        if (d->phase == DAEMON_RUNNING) {
            rpc_server_shutdown(d->rpc, grace_ms);
        }
        (void)pthread_join(d->rpc_thread, NULL);
    }
    workers_free(d->workers);
    if (d->loop != NULL) {
        reload_stop(d);
    }
    web_free(d->web_unix);
    web_free(d->web_tcp);
    acceptor_free(d->acceptor);
    listener_close(&d->kms);
    listener_close(&d->status);
    if (!loader_stop(d->loader, grace_ms > LOADER_STOP_MS ? grace_ms : LOADER_STOP_MS)) {
        give_up_stopping("loading keys");
    }
    rpc_server_free(d->rpc);
    if (d->is_rpc_started) {
        rpc_stop();
    }
    kms_service_free(d->service);
    auditors_free(d->auditors);
    provider_close(d->provider);
    metrics_free(d->metrics);
    if (d->loop != NULL) {
        close_source(d, &d->signals);
        close_source(d, &d->rpc_ended);
        loop_timer_done(&d->stop_timer);
        loop_timer_done(&d->watchdog);
    }
    loop_free(d->loop);
    if (d->config != d->first) {
        config_free(d->config);
    }
    config_free(d->first);
    free(d);
}

enum kerr daemon_run(struct config *config, struct kerrinfo *e)
{
    struct daemon *d = calloc(1, sizeof *d);
    if (d == NULL) {
        config_free(config);
        return kerr_set(e, KERR_NOMEM, "no memory for the daemon");
    }
    *d = (struct daemon){.first = config,
                         .config = config,
                         .started_at_s = clock_wall_s(),
                         .started_mono_ms = clock_mono_ms(),
                         .kms = LISTENER_NONE,
                         .status = LISTENER_NONE,
                         .signals = {.fd = -1},
                         .stop_timer = LOOP_TIMER_NONE,
                         .watchdog = LOOP_TIMER_NONE,
                         .rpc_ended = {.fd = -1},
                         .loaded = {.fd = -1},
                         .look = LOOP_TIMER_NONE};
    enum kerr k = start(d, e);
    while (k == KERR_OK && d->phase != DAEMON_ENDED) {
        k = turn(d, e);
    }
    bool was_asked = d->phase == DAEMON_ENDED && d->kms.fd < 0;
    if (k == KERR_OK && !was_asked) {
        k = kerr_set(e, KERR_BUG, "the rpc server ended by itself");
    }
    finish(d);
    if (k == KERR_OK) {
        log_event(LOG_LEVEL_INFO, "stopped");
    }
    return k;
}
