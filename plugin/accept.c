/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The duplicate descriptor: gRPC owns the one it was handed and tells nobody when it closes it.
 * Both ends of a connection's life show on any descriptor of the same socket, because gRPC shuts
 * the socket down before it closes it.
 *
 * Waiting descriptors are watched edge-triggered: a peer that sends a part of the 24 bytes would
 * otherwise make the loop spin, since the bytes are only looked at.
 */
#include "plugin/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "plugin/limit.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define PREFACE_LEN (sizeof preface - 1)

/* How often silent connections are looked for. */
#define SWEEP_MS 500
/* Pause after the system had no descriptor or memory for a connection. */
#define PAUSE_MS 500
/* Lines about refused connections. */
#define LOG_RATE  5
#define LOG_BURST 20

struct conn {
    struct acceptor *owner;
    struct loop_source source; /* the accepted socket, later its duplicate */
    struct peer peer;
    int rpc_fd;                 /* the number that gRPC knows; -1 while it waits */
    uint64_t until_ms;          /* while it waits */
    struct auditor_tally tally; /* under the lock while it is in the list */
    struct conn *next;
};

struct acceptor {
    struct acceptor_config config;
    struct config_peer rows[CONFIG_PEERS_MAX];
    size_t row_count;
    struct loop_source listen;
    struct loop_timer sweep;
    struct loop_timer resume;
    struct log_gate gate;
    pthread_mutex_t lock; /* the list and its counts: other threads read them */
    struct conn *conns;   /* newest first */
    uint64_t last_conn;   /* its number */
    struct acceptor_counts counts;
};

static void note_refusal(struct acceptor *a, enum metrics_refusal reason, const struct peer *peer)
{
    metrics_refused(a->config.metrics, reason);
    uint64_t suppressed = 0;
    if (log_gate_pass(&a->gate, clock_mono_ms(), &suppressed)) {
        log_event(LOG_LEVEL_WARN, "connection-refused",
                  log_text("reason", metrics_refusal_name(reason)), log_u64("peer_uid", peer->uid),
                  log_u64("peer_gid", peer->gid), log_u64("peer_pid", (uint64_t)peer->pid),
                  log_u64("suppressed", suppressed));
    }
}

static void note_cause(struct acceptor *a, const char *event, const struct kerrinfo *e)
{
    uint64_t suppressed = 0;
    if (log_gate_pass(&a->gate, clock_mono_ms(), &suppressed)) {
        log_cause(LOG_LEVEL_ERROR, event, e, log_u64("suppressed", suppressed));
    }
}

static void conn_link(struct conn *c)
{
    struct acceptor *a = c->owner;
    (void)pthread_mutex_lock(&a->lock);
    c->next = a->conns;
    c->peer.conn = ++a->last_conn;
    a->conns = c;
    a->counts.waiting++;
    (void)pthread_mutex_unlock(&a->lock);
}

/* Closes our descriptor of it and forgets it. */
static void conn_drop(struct conn *c)
{
    struct acceptor *a = c->owner;
    int fd = c->source.fd;
    loop_remove(a->config.loop, &c->source);
    file_close_at(&fd);
    (void)pthread_mutex_lock(&a->lock);
    struct conn **at = &a->conns;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    if (c->rpc_fd < 0) {
        a->counts.waiting--;
    } else {
        a->counts.open--;
    }
    (void)pthread_mutex_unlock(&a->lock);
    log_event(LOG_LEVEL_DEBUG, "connection-end", log_u64("peer_uid", c->peer.uid),
              log_u64("peer_pid", (uint64_t)c->peer.pid));
    if (a->config.auditors != NULL) {
        auditors_ended(a->config.auditors, &c->peer, &c->tally);
    }
    free(c);
}

static void conn_refuse(struct conn *c, enum metrics_refusal reason)
{
    note_refusal(c->owner, reason, &c->peer);
    conn_drop(c);
}

static void on_open(void *ctx, uint32_t events)
{
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        conn_drop(ctx);
    }
}

/* The accepted descriptor goes to the rpc server, its duplicate stays with us. */
static enum kerr swap_for_duplicate(struct conn *c, int *ret_rpc_fd, struct kerrinfo *e)
{
    struct acceptor *a = c->owner;
    AUTO_FD dup_fd = fcntl(c->source.fd, F_DUPFD_CLOEXEC, 0);
    if (dup_fd < 0) {
        return kerr_errno(e, errno, "cannot watch a connection");
    }
    struct loop_source watch = {.fd = dup_fd, .fn = on_open, .ctx = c};
    int rpc_fd = c->source.fd;
    loop_remove(a->config.loop, &c->source);
    c->source = watch;
    enum kerr k = loop_add(a->config.loop, &c->source, EPOLLRDHUP | EPOLLET, e);
    if (k != KERR_OK) {
        c->source.fd = rpc_fd; /* conn_drop closes it; the duplicate goes here */
        return k;
    }
    dup_fd = -1;
    *ret_rpc_fd = rpc_fd;
    return KERR_OK;
}

static void hand_over(struct conn *c)
{
    struct acceptor *a = c->owner;
    struct kerrinfo e = {0};
    size_t class_index = 0;
    /* Again: the rows may have changed since it connected. */
    if (!peers_class(a->rows, a->row_count, &c->peer, &class_index)) {
        conn_refuse(c, METRICS_REFUSED_PEER);
        return;
    }
    int rpc_fd = -1;
    if (swap_for_duplicate(c, &rpc_fd, &e) != KERR_OK) {
        note_cause(a, "connection-failed", &e);
        conn_refuse(c, METRICS_REFUSED_ERROR);
        return;
    }
    (void)pthread_mutex_lock(&a->lock);
    c->rpc_fd = rpc_fd;
    a->counts.waiting--;
    a->counts.open++;
    (void)pthread_mutex_unlock(&a->lock);
    log_event(LOG_LEVEL_DEBUG, "connection", log_u64("peer_uid", c->peer.uid),
              log_u64("peer_gid", c->peer.gid), log_u64("peer_pid", (uint64_t)c->peer.pid),
              log_u64("row", class_index));
    if (a->config.hand(a->config.hand_ctx, class_index, rpc_fd, &e) != KERR_OK) {
        note_cause(a, "connection-failed", &e);
        conn_refuse(c, METRICS_REFUSED_ERROR);
    }
}

static void on_waiting(void *ctx, uint32_t events)
{
    struct conn *c = ctx;
    char seen[PREFACE_LEN];
    ssize_t n = recv(c->source.fd, seen, sizeof seen, MSG_PEEK | MSG_DONTWAIT);
    size_t len = n > 0 ? (size_t)n : 0;
    if (memcmp(seen, preface, len) != 0) {
        conn_refuse(c, METRICS_REFUSED_GARBAGE);
    } else if (len == PREFACE_LEN) {
        hand_over(c);
    } else if (n == 0 || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        /* A probe that connects and goes away again is no event. */
        conn_drop(c);
    }
}

static void on_sweep(void *ctx, uint32_t events)
{
    (void)events;
    struct acceptor *a = ctx;
    uint64_t now = clock_mono_ms();
    for (struct conn *c = a->conns; c != NULL;) {
        struct conn *next = c->next;
        if (c->rpc_fd < 0 && now >= c->until_ms) {
            conn_refuse(c, METRICS_REFUSED_SILENT);
        }
        c = next;
    }
    if (a->counts.waiting == 0) {
        loop_timer_stop(&a->sweep);
    }
}

static enum kerr peer_of(int fd, struct peer *ret, struct kerrinfo *e)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 || len != sizeof cred) {
        return kerr_errno(e, errno, "cannot tell who connects");
    }
    *ret = (struct peer){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
    return KERR_OK;
}

static enum kerr conn_start(struct acceptor *a, int *fd, const struct peer *peer,
                            struct kerrinfo *e)
{
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a connection");
    }
    *c = (struct conn){.owner = a,
                       .source = {.fd = *fd, .fn = on_waiting, .ctx = c},
                       .peer = *peer,
                       .rpc_fd = -1,
                       .until_ms = clock_mono_ms() + a->config.preface_ms};
    enum kerr k = loop_add(a->config.loop, &c->source, EPOLLIN | EPOLLRDHUP | EPOLLET, e);
    if (k != KERR_OK) {
        free(c);
        return k;
    }
    *fd = -1;
    if (a->counts.waiting == 0) {
        loop_timer_set(&a->sweep, SWEEP_MS, SWEEP_MS);
    }
    conn_link(c);
    return KERR_OK;
}

static size_t count_of_row(const struct acceptor *a, size_t row)
{
    size_t count = 0;
    for (const struct conn *c = a->conns; c != NULL; c = c->next) {
        size_t its_row = 0;
        count += peers_class(a->rows, a->row_count, &c->peer, &its_row) && its_row == row;
    }
    return count;
}

/* What one row may hold at most: the others are left a share of half of all connections, so that
 * no peer can keep kube-apiserver out by holding more than it needs. */
static size_t most_of_row(const struct acceptor *a)
{
    size_t max = a->config.connections_max;
    return max - (a->row_count - 1) * (max / (2 * a->row_count));
}

static bool is_full(const struct acceptor *a, size_t row)
{
    return a->counts.waiting + a->counts.open >= a->config.connections_max ||
           count_of_row(a, row) >= most_of_row(a);
}

static void admit(struct acceptor *a, int *fd)
{
    struct kerrinfo e = {0};
    struct peer peer = {.pid = 0};
    size_t class_index = 0;
    if (peer_of(*fd, &peer, &e) != KERR_OK) {
        note_cause(a, "connection-failed", &e);
        metrics_refused(a->config.metrics, METRICS_REFUSED_ERROR);
    } else if (!peers_class(a->rows, a->row_count, &peer, &class_index)) {
        note_refusal(a, METRICS_REFUSED_PEER, &peer);
    } else if (is_full(a, class_index)) {
        note_refusal(a, METRICS_REFUSED_FULL, &peer);
    } else if (conn_start(a, fd, &peer, &e) != KERR_OK) {
        note_cause(a, "connection-failed", &e);
        metrics_refused(a->config.metrics, METRICS_REFUSED_ERROR);
    }
}

static bool is_shortage(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS;
}

static void on_listen(void *ctx, uint32_t events)
{
    (void)events;
    struct acceptor *a = ctx;
    AUTO_FD fd = accept4(a->listen.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        admit(a, &fd);
        return;
    }
    if (is_shortage(errno)) {
        /* The connection stays in the queue and would wake the loop at once, for ever. */
        struct kerrinfo e = {0};
        (void)kerr_errno(&e, errno, "cannot accept a connection");
        note_cause(a, "accept-paused", &e);
        loop_remove(a->config.loop, &a->listen);
        loop_timer_set(&a->resume, PAUSE_MS, 0);
    }
}

static enum kerr listen_on(struct acceptor *a, struct kerrinfo *e)
{
    a->listen = (struct loop_source){.fd = a->config.listen_fd, .fn = on_listen, .ctx = a};
    enum kerr k = loop_add(a->config.loop, &a->listen, EPOLLIN, e);
    if (k != KERR_OK) {
        a->listen.fd = -1;
    }
    return k;
}

static void on_resume(void *ctx, uint32_t events)
{
    (void)events;
    struct acceptor *a = ctx;
    struct kerrinfo e = {0};
    if (listen_on(a, &e) != KERR_OK) {
        note_cause(a, "accept-paused", &e);
        loop_timer_set(&a->resume, PAUSE_MS, 0);
    }
}

enum kerr acceptor_new(const struct acceptor_config *c, const struct config_peer *rows,
                       size_t count, struct acceptor **ret, struct kerrinfo *e)
{
    struct acceptor *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory to accept connections");
    }
    a->config = *c;
    a->listen.fd = -1;
    a->sweep = a->resume = LOOP_TIMER_NONE;
    (void)pthread_mutex_init(&a->lock, NULL);
    log_gate_init(&a->gate, LOG_RATE, LOG_BURST, clock_mono_ms());
    acceptor_set_peers(a, rows, count);
    enum kerr k = loop_timer_init(&a->sweep, c->loop, on_sweep, a, e);
    if (k == KERR_OK) {
        k = loop_timer_init(&a->resume, c->loop, on_resume, a, e);
    }
    if (k == KERR_OK) {
        k = listen_on(a, e);
    }
    if (k != KERR_OK) {
        acceptor_free(a);
        return k;
    }
    *ret = a;
    return KERR_OK;
}

void acceptor_set_peers(struct acceptor *a, const struct config_peer *rows, size_t count)
{
    a->row_count = count < CONFIG_PEERS_MAX ? count : CONFIG_PEERS_MAX;
    for (size_t i = 0; i < a->row_count; i++) {
        a->rows[i] = rows[i];
        a->rows[i].note = NULL; /* belongs to the configuration */
    }
}

void acceptor_stop(struct acceptor *a)
{
    loop_timer_stop(&a->resume);
    loop_remove(a->config.loop, &a->listen);
    for (struct conn *c = a->conns; c != NULL;) {
        struct conn *next = c->next;
        if (c->rpc_fd < 0) {
            conn_drop(c);
        }
        c = next;
    }
}

void acceptor_free(struct acceptor *a)
{
    if (a == NULL) {
        return;
    }
    loop_remove(a->config.loop, &a->listen);
    while (a->conns != NULL) {
        conn_drop(a->conns);
    }
    loop_timer_done(&a->sweep);
    loop_timer_done(&a->resume);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

struct acceptor_counts acceptor_counts(struct acceptor *a)
{
    (void)pthread_mutex_lock(&a->lock);
    struct acceptor_counts counts = a->counts;
    (void)pthread_mutex_unlock(&a->lock);
    return counts;
}

/* The connection behind gRPC's text; NULL: none. Under the lock. */
static struct conn *conn_of(struct acceptor *a, const char *rpc_peer)
{
    uint64_t fd = 0;
    if (strncmp(rpc_peer, "fd:", 3) != 0 ||
        text_to_u64(rpc_peer + 3, "descriptor", 0, INT32_MAX, &fd, NULL) != KERR_OK) {
        return NULL;
    }
    struct conn *c = a->conns;
    while (c != NULL && c->rpc_fd != (int)fd) {
        c = c->next;
    }
    return c;
}

bool acceptor_peer(struct acceptor *a, const char *rpc_peer, struct peer *ret)
{
    (void)pthread_mutex_lock(&a->lock);
    const struct conn *c = conn_of(a, rpc_peer);
    bool is_found = c != NULL;
    if (is_found) {
        *ret = c->peer;
    }
    (void)pthread_mutex_unlock(&a->lock);
    return is_found;
}

void acceptor_decrypt(struct acceptor *a, uint64_t conn, const struct auditor_call *call,
                      struct auditor_seen *ret)
{
    (void)pthread_mutex_lock(&a->lock);
    struct conn *c = a->conns;
    while (c != NULL && c->peer.conn != conn) {
        c = c->next;
    }
    if (c != NULL) {
        auditor_tally_add(&c->tally, call, ret);
    }
    (void)pthread_mutex_unlock(&a->lock);
}
