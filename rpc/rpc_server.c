/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "rpc/rpc_private.h"

/* The loop turns at least this often. */
#define TURN_MS 1000
/* What calls of connections that lost their class may still take: more than any deadline of
 * kube-apiserver (3 s). */
#define OLD_CLASS_GRACE_MS 5000

const struct rpc_limits rpc_limits_default = {
    /* Measured: 10,000 calls at once cost 3 MB of memory, and 114 MB without a limit. */
    .max_concurrent_streams = 100,
    /* Above the largest lawful request, a KMS Decrypt with 32 KiB of annotations. */
    .max_message_bytes = 65536,
    /* gRPC's own default; kube-apiserver sends some 400 bytes. */
    .max_metadata_bytes = 8192,
    /* Ends a message of hundreds of megabytes, which gRPC collects before it looks at its length.
     * Measured: 10,000 calls on 50 connections cost 4 MB. */
    .memory_bytes = (size_t)64 << 20,
};

static enum kerr check_methods(const struct rpc_server_config *c, struct kerrinfo *e)
{
    if (c->method_count == 0 || c->method_count > RPC_METHODS_MAX) {
        return kerr_set(e, KERR_LIMIT, "%zu methods, allowed are 1 to %d", c->method_count,
                        RPC_METHODS_MAX);
    }
    for (size_t i = 0; i < c->method_count; i++) {
        const struct rpc_method *m = &c->methods[i];
        if (m->path[0] != '/' || m->request_max > (size_t)c->limits.max_message_bytes) {
            return kerr_set(e, KERR_INPUT, "method %s: path without '/' or request over %d bytes",
                            m->path, c->limits.max_message_bytes);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(m->path, c->methods[j].path) == 0) {
                return kerr_set(e, KERR_INPUT, "method %s twice", m->path);
            }
        }
    }
    return KERR_OK;
}

static enum kerr check_classes(size_t method_count, const struct rpc_class *classes, size_t count,
                               struct kerrinfo *e)
{
    if (count == 0 || count > RPC_CLASSES_MAX) {
        return kerr_set(e, KERR_LIMIT, "%zu classes, allowed are 1 to %d", count, RPC_CLASSES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if ((uint64_t)classes[i].methods >> method_count != 0) {
            return kerr_set(e, KERR_INPUT, "class %zu: a method that is not in the table", i);
        }
    }
    return KERR_OK;
}

static enum kerr check_config(const struct rpc_server_config *c, struct kerrinfo *e)
{
    const struct rpc_limits *l = &c->limits;
    if (l->max_concurrent_streams <= 0 || l->max_message_bytes <= 0 || l->max_metadata_bytes <= 0 ||
        l->memory_bytes == 0 || c->handler == NULL) {
        return kerr_set(e, KERR_INPUT, "a limit that is not positive, or no handler");
    }
    enum kerr k = check_methods(c, e);
    return k == KERR_OK ? check_classes(c->method_count, c->classes, c->class_count, e) : k;
}

/* All or none. */
static enum kerr make_hosts(struct rpc_server *s, const struct rpc_class *classes, size_t count,
                            struct host **ret, struct kerrinfo *e)
{
    for (size_t i = 0; i < count; i++) {
        enum kerr k = host_new(s, &classes[i], i, &ret[i], e);
        if (k != KERR_OK) {
            for (size_t j = 0; j < i; j++) {
                host_free(ret[j]);
            }
            return k;
        }
    }
    return KERR_OK;
}

/* Under the lock, as what follows. */
static void leave_all(struct rpc_server *s, unsigned grace_ms)
{
    for (struct host *h = s->hosts; h != NULL; h = h->next) {
        host_leave(h, clock_mono_ms(), grace_ms);
    }
    s->live_count = 0;
}

/* Makes the loop turn now. gRPC has no event that a program may post, but a server that is down
 * already answers each further request to shut down with one. */
static void ring(struct rpc_server *s)
{
    if (!s->is_over) {
        grpc_server_shutdown_and_notify(s->bell, s->queue, &s->bell_tag);
    }
}

static void open_hosts(struct rpc_server *s, struct host *const *hosts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        host_start(hosts[i]);
        hosts[i]->next = s->hosts;
        s->hosts = hosts[i];
        s->host_count++;
        s->live[i] = hosts[i];
    }
    s->live_count = count;
}

enum kerr rpc_server_new(const struct rpc_server_config *config, struct rpc_server **ret,
                         struct kerrinfo *e)
{
    enum kerr k = check_config(config, e);
    if (k != KERR_OK) {
        return k;
    }
    struct rpc_server *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for the rpc server");
    }
    s->config = *config;
    struct host *hosts[RPC_CLASSES_MAX];
    k = make_hosts(s, config->classes, config->class_count, hosts, e);
    if (k != KERR_OK) {
        free(s);
        return k;
    }
    (void)pthread_mutex_init(&s->lock, NULL);
    s->queue = grpc_completion_queue_create_for_next(NULL);
    s->credentials = grpc_insecure_server_credentials_create();
    s->bell = grpc_server_create(NULL, NULL);
    s->bell_tag = (struct tag){TAG_MAGIC, TAG_BELL};
    grpc_server_register_completion_queue(s->bell, s->queue, NULL);
    grpc_server_start(s->bell);
    open_hosts(s, hosts, config->class_count);
    *ret = s;
    return KERR_OK;
}

static enum kerr check_socket(int fd, struct kerrinfo *e)
{
    int type = 0;
    socklen_t len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0) {
        return kerr_errno(e, errno, "descriptor %d", fd);
    }
    if (type != SOCK_STREAM) {
        return kerr_set(e, KERR_INPUT, "descriptor %d is no stream socket", fd);
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return kerr_errno(e, errno, "descriptor %d: O_NONBLOCK", fd);
    }
    return KERR_OK;
}

enum kerr rpc_server_add(struct rpc_server *s, size_t class_index, int fd, struct kerrinfo *e)
{
    AUTO_FD owned = fd;
    enum kerr k = check_socket(fd, e);
    if (k != KERR_OK) {
        return k;
    }
    (void)pthread_mutex_lock(&s->lock);
    if (s->is_stopping) {
        k = kerr_set(e, KERR_DOWN, "the rpc server ends");
    } else if (class_index >= s->live_count) {
        k = kerr_set(e, KERR_NOTFOUND, "no class %zu", class_index);
    } else {
        k = host_add(s->live[class_index], fd, e);
        owned = k == KERR_OK ? -1 : fd;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return k;
}

enum kerr rpc_server_set_classes(struct rpc_server *s, const struct rpc_class *classes,
                                 size_t count, struct kerrinfo *e)
{
    struct host *hosts[RPC_CLASSES_MAX];
    enum kerr k = check_classes(s->config.method_count, classes, count, e);
    if (k == KERR_OK) {
        k = make_hosts(s, classes, count, hosts, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    (void)pthread_mutex_lock(&s->lock);
    if (s->is_stopping) {
        k = kerr_set(e, KERR_DOWN, "the rpc server ends");
    } else if (s->host_count + count > HOSTS_MAX) {
        k = kerr_set(e, KERR_BUSY, "connections of %zu former classes have not ended yet",
                     s->host_count - s->live_count);
    } else {
        leave_all(s, OLD_CLASS_GRACE_MS);
        open_hosts(s, hosts, count);
        ring(s);
    }
    (void)pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; k != KERR_OK && i < count; i++) {
        host_free(hosts[i]);
    }
    return k;
}

void rpc_server_shutdown(struct rpc_server *s, unsigned grace_ms)
{
    (void)pthread_mutex_lock(&s->lock);
    s->is_stopping = true;
    leave_all(s, grace_ms);
    ring(s);
    (void)pthread_mutex_unlock(&s->lock);
}

/* What a turn of the loop does beside calls. False when nothing is left to wait for. */
static bool tend(struct rpc_server *s, uint64_t *wake_ms)
{
    (void)pthread_mutex_lock(&s->lock);
    struct host **at = &s->hosts;
    while (*at != NULL) {
        struct host *h = *at;
        if (host_tend(h, s->now_ms, wake_ms)) {
            *at = h->next;
            s->host_count--;
            host_free(h);
        } else {
            at = &h->next;
        }
    }
    s->is_over = s->is_stopping && s->hosts == NULL;
    (void)pthread_mutex_unlock(&s->lock);
    return !s->is_over;
}

static void dispatch(struct rpc_server *s, const grpc_event *event)
{
    struct tag *tag = event->tag;
    if (tag->magic != TAG_MAGIC) {
        abort(); /* memory is no longer ours */
    }
    if (tag->kind == TAG_CALL) {
        call_event((struct rpc_call *)tag, event->success != 0);
    } else if (tag->kind == TAG_HOST) {
        (void)pthread_mutex_lock(&s->lock);
        ((struct host *)tag)->state = HOST_DOWN;
        (void)pthread_mutex_unlock(&s->lock);
    }
}

static gpr_timespec deadline_in(uint64_t ms)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis((int64_t)ms, GPR_TIMESPAN));
}

void rpc_server_run(struct rpc_server *s)
{
    s->has_run = true;
    for (;;) {
        s->now_ms = clock_mono_ms();
        uint64_t wake_ms = s->now_ms + TURN_MS;
        atomic_store(&s->last_turn_ms, s->now_ms);
        if (!tend(s, &wake_ms)) {
            break;
        }
        grpc_event event =
            grpc_completion_queue_next(s->queue, deadline_in(wake_ms - s->now_ms), NULL);
        if (event.type == GRPC_OP_COMPLETE) {
            dispatch(s, &event);
        }
    }
    grpc_completion_queue_shutdown(s->queue);
    while (grpc_completion_queue_next(s->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN) {
    }
}

void rpc_server_free(struct rpc_server *s)
{
    if (s == NULL) {
        return;
    }
    if (!s->has_run) {
        s->is_mute = true;
        rpc_server_shutdown(s, 0);
        rpc_server_run(s);
    }
    while (s->spares != NULL) {
        struct rpc_call *c = s->spares;
        s->spares = c->next;
        call_free(c);
    }
    grpc_server_destroy(s->bell);
    grpc_completion_queue_destroy(s->queue);
    grpc_server_credentials_release(s->credentials);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

size_t rpc_server_in_flight(const struct rpc_server *s)
{
    return atomic_load(&s->in_flight);
}

uint64_t rpc_server_last_turn_ms(const struct rpc_server *s)
{
    return atomic_load(&s->last_turn_ms);
}
