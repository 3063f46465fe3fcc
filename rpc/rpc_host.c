/* SPDX-License-Identifier: Apache-2.0 */
#include <grpc/grpc_security.h>
#include <stdlib.h>

#include "rpc/rpc_private.h"

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

void host_end(struct host *h, uint64_t cancel_at_ms)
{
    h->is_ending = true;
    h->cancel_at_ms = cancel_at_ms;
    grpc_server_shutdown_and_notify(h->server, h->owner->queue, &h->tag);
}

void host_free(struct host *h)
{
    if (h == NULL) {
        return;
    }
    while (h->unborn != NULL) {
        struct rpc_call *c = h->unborn;
        h->unborn = c->next;
        call_free(c);
    }
    if (h->server != NULL) {
        grpc_server_destroy(h->server);
    }
    free(h);
}
