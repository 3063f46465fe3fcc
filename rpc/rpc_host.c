/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a host ends without losing a call. grpc_server_shutdown_and_notify kills every call that gRPC
 * has not matched to a slot yet, and every one that it reads from then on, with CANCELLED; its own
 * GOAWAY comes too late for those that a busy client has already sent (measured: of 64 in flight
 * all 64 were lost). So clients are told first, by a GOAWAY frame of ours, and answered until they
 * have gone: only then gRPC shuts down. Nothing in gRPC 1.51 sends that frame without shutting
 * down.
 *
 * The frame goes into the socket beside gRPC's own writes, which may come from its helper threads.
 * Each of its writes is one sendmsg of whole frames, and ours is one. The kernel keeps a write in
 * one piece up to some 36 KiB (measured on unix sockets: none mixed at 34,000 bytes, some at
 * 40,000); a hundred streams of replies of about 300 bytes stay below. When the socket is nearly
 * full the frame is left out. Should it ever fall into a frame, that connection ends with an error,
 * as its calls would have without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grpc/grpc_posix.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/rpc_private.h"

/* How often a host that leaves is looked at. */
#define LEAVING_TURN_MS 5
/* A client without calls open that sends none for so long after it was told will not lose one. */
#define QUIET_MS 100
/* Bytes that the other side has not read yet, above which the socket counts as full. */
#define UNREAD_MAX 65536

/* A client that sends keepalive pings, with calls open or without, keeps its connection unless it
 * floods: the library's own minimum of 5 minutes (2 hours without calls) cuts off Go clients that
 * ask for the 10 s which grpc-go allows. */
#define PING_INTERVAL_MS 1000
#define PING_STRIKES     5
/* Only the identity: no zlib on input of strangers. */
#define COMPRESSION_BITS (1 << GRPC_COMPRESS_NONE)

static grpc_arg number(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER,
                      .key = (char *)(uintptr_t)key, /* gRPC copies it */
                      .value.integer = value};
}

static grpc_server *make_server(const struct rpc_limits *l)
{
    grpc_resource_quota *quota = grpc_resource_quota_create("rpc");
    grpc_resource_quota_resize(quota, l->memory_bytes);
    grpc_arg rows[] = {
        number(GRPC_ARG_MAX_CONCURRENT_STREAMS, l->max_concurrent_streams),
        number(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, l->max_message_bytes),
        number(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, l->max_message_bytes),
        number(GRPC_ARG_MAX_METADATA_SIZE, l->max_metadata_bytes),
        number(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        number(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, PING_INTERVAL_MS),
        number(GRPC_ARG_HTTP2_MAX_PING_STRIKES, PING_STRIKES),
        number(GRPC_ARG_HTTP2_BDP_PROBE, 0),
        number(GRPC_ARG_ENABLE_CHANNELZ, 0),
        number(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0),
        number(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, COMPRESSION_BITS),
        {.type = GRPC_ARG_POINTER,
         .key = (char *)(uintptr_t)GRPC_ARG_RESOURCE_QUOTA,
         .value.pointer = {quota, grpc_resource_quota_arg_vtable()}},
    };
    grpc_channel_args args = {ARRAY_LEN(rows), rows};
    grpc_server *server = grpc_server_create(&args, NULL);
    grpc_resource_quota_unref(quota);
    return server;
}

static enum kerr make_slots(struct host *h, size_t row, size_t count, struct kerrinfo *e)
{
    for (size_t i = 0; i < count; i++) {
        struct rpc_call *c = call_new(h, row);
        if (c == NULL) {
            return kerr_set(e, KERR_NOMEM, "no memory for the slots of class %zu", h->class_index);
        }
        c->next = h->unborn;
        h->unborn = c;
        h->calls++;
    }
    return KERR_OK;
}

static enum kerr make_all_slots(struct host *h, struct kerrinfo *e)
{
    const struct rpc_server_config *config = &h->owner->config;
    size_t streams = (size_t)config->limits.max_concurrent_streams;
    enum kerr k = make_slots(h, ROW_OTHER, SLOTS_OTHER, e);
    for (size_t row = 0; k == KERR_OK && row < config->method_count; row++) {
        if ((h->methods >> row & 1U) != 0) {
            k = make_slots(h, row, streams < SLOTS_MAX ? streams : SLOTS_MAX, e);
        }
    }
    return k;
}

enum kerr host_new(struct rpc_server *s, const struct rpc_class *c, size_t class_index,
                   struct host **ret, struct kerrinfo *e)
{
    struct host *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for class %zu", class_index);
    }
    h->tag = (struct tag){TAG_MAGIC, TAG_HOST};
    h->owner = s;
    h->methods = c->methods;
    h->class_index = class_index;
    enum kerr k = make_all_slots(h, e);
    if (k != KERR_OK) {
        host_free(h);
        return k;
    }
    *ret = h;
    return KERR_OK;
}

void host_start(struct host *h)
{
    const struct rpc_server_config *config = &h->owner->config;
    h->server = make_server(&config->limits);
    grpc_server_register_completion_queue(h->server, h->owner->queue, NULL);
    for (size_t row = 0; row < config->method_count; row++) {
        if ((h->methods >> row & 1U) != 0) {
            h->registered[row] =
                grpc_server_register_method(h->server, config->methods[row].path, NULL,
                                            GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
        }
    }
    grpc_server_start(h->server);
    while (h->unborn != NULL) {
        struct rpc_call *c = h->unborn;
        h->unborn = c->next;
        call_arm(c);
    }
}

/* RFC 9113, 6.8: 8 bytes of GOAWAY on stream 0; the last stream that will be answered is any that
 * there may be, the reason is none. */
static const uint8_t goaway_frame[17] = {0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff};

static void tell_to_go(const struct host *h)
{
    for (const struct connection *c = h->connections; c != NULL; c = c->next) {
        int unread = 0;
        if (ioctl(c->fd, SIOCOUTQ, &unread) == 0 && unread <= UNREAD_MAX) {
            (void)send(c->fd, goaway_frame, sizeof goaway_frame, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
    }
}

/* Forgets connections that one of the two sides has ended. */
static void forget_ended(struct host *h)
{
    struct connection **at = &h->connections;
    while (*at != NULL) {
        struct connection *c = *at;
        struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
        if (poll(&p, 1, 0) == 1) {
            *at = c->next;
            (void)close(c->fd);
            free(c);
        } else {
            at = &c->next;
        }
    }
}

enum kerr host_add(struct host *h, int fd, struct kerrinfo *e)
{
    forget_ended(h);
    struct connection *c = malloc(sizeof *c);
    if (c == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a connection");
    }
    c->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (c->fd < 0) {
        int err = errno;
        free(c);
        return kerr_errno(e, err, "descriptor %d: duplicate", fd);
    }
    c->next = h->connections;
    h->connections = c;
    grpc_server_add_channel_from_fd(h->server, fd, h->owner->credentials);
    return KERR_OK;
}

void host_leave(struct host *h, uint64_t now_ms, unsigned grace_ms)
{
    uint64_t cancel_at_ms = now_ms + grace_ms;
    uint64_t leave_by_ms = now_ms + grace_ms / 2;
    if (h->state == HOST_LIVE) {
        h->state = HOST_LEAVING;
        h->leave_by_ms = leave_by_ms;
        h->cancel_at_ms = cancel_at_ms;
    } else if (h->cancel_at_ms != UINT64_MAX) {
        h->leave_by_ms = leave_by_ms < h->leave_by_ms ? leave_by_ms : h->leave_by_ms;
        h->cancel_at_ms = cancel_at_ms < h->cancel_at_ms ? cancel_at_ms : h->cancel_at_ms;
    }
}

static bool is_quiet(const struct host *h, uint64_t now_ms)
{
    uint64_t since_ms = h->last_call_ms > h->told_ms ? h->last_call_ms : h->told_ms;
    return h->busy == 0 && now_ms - since_ms >= QUIET_MS;
}

static void tend_leaving(struct host *h, uint64_t now_ms)
{
    if (!h->has_told) {
        h->has_told = true;
        h->told_ms = now_ms;
        tell_to_go(h);
    }
    forget_ended(h);
    if (h->connections != NULL && now_ms < h->leave_by_ms && !is_quiet(h, now_ms)) {
        return;
    }
    h->state = HOST_ENDING;
    grpc_server_shutdown_and_notify(h->server, h->owner->queue, &h->tag);
    if (h->busy == 0) {
        h->cancel_at_ms = now_ms; /* no grace for clients that just do not close */
    }
}

static void tend_ending(struct host *h, uint64_t now_ms)
{
    if (h->cancel_at_ms <= now_ms) {
        h->cancel_at_ms = UINT64_MAX;
        grpc_server_cancel_all_calls(h->server);
    }
}

bool host_tend(struct host *h, uint64_t now_ms, uint64_t *wake_ms)
{
    if (h->state == HOST_LEAVING) {
        tend_leaving(h, now_ms);
    }
    if (h->state == HOST_ENDING) {
        tend_ending(h, now_ms);
    }
    uint64_t again_ms = h->state == HOST_LEAVING  ? now_ms + LEAVING_TURN_MS
                        : h->state == HOST_ENDING ? h->cancel_at_ms
                                                  : UINT64_MAX;
    *wake_ms = again_ms < *wake_ms ? again_ms : *wake_ms;
    return h->state == HOST_DOWN && h->calls == 0;
}

void host_free(struct host *h)
{
    while (h->unborn != NULL) {
        struct rpc_call *c = h->unborn;
        h->unborn = c->next;
        call_free(c);
    }
    while (h->connections != NULL) {
        struct connection *c = h->connections;
        h->connections = c->next;
        (void)close(c->fd);
        free(c);
    }
    if (h->server != NULL) {
        grpc_server_destroy(h->server);
    }
    free(h);
}
