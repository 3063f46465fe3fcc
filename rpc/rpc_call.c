/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record waits in a slot (one outstanding request to gRPC for "the next call of this method"), is
 * handed to the handler, and ends with one batch that sends everything. The slot is filled again
 * with another record before the handler runs.
 *
 * Wiping. A request lies in the transport's read buffers: gRPC gives us slices of them. The bytes
 * of a message belong to that message alone, so they are wiped in place before the slices go back.
 * A secret response is one slice of ours with a destructor that wipes; gRPC drops it once the bytes
 * are in the socket.
 */
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "rpc/rpc_message.h"
#include "rpc/rpc_private.h"

#define NO_MESSAGE "no request message"

struct rpc_call *call_new(struct host *h, size_t row)
{
    struct rpc_call *c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->tag = (struct tag){TAG_MAGIC, TAG_CALL};
        c->host = h;
        c->row = row;
        grpc_metadata_array_init(&c->metadata);
        grpc_call_details_init(&c->details);
    }
    return c;
}

void call_free(struct rpc_call *c)
{
    grpc_metadata_array_destroy(&c->metadata);
    grpc_call_details_destroy(&c->details);
    free(c);
}

void call_arm(struct rpc_call *c)
{
    struct host *h = c->host;
    grpc_completion_queue *queue = h->owner->queue;
    atomic_store_explicit(&c->state, CALL_WAITING, memory_order_relaxed);
    grpc_call_error error = c->row == ROW_OTHER
                                ? grpc_server_request_call(h->server, &c->call, &c->details,
                                                           &c->metadata, queue, queue, &c->tag)
                                : grpc_server_request_registered_call(
                                      h->server, h->registered[c->row], &c->call, &c->deadline,
                                      &c->metadata, &c->payload, queue, queue, &c->tag);
    if (error != GRPC_CALL_OK) {
        abort(); /* wrong arguments: our own bug */
    }
}

static void wipe_slice(grpc_slice *s)
{
    secret_wipe(GRPC_SLICE_START_PTR(*s), GRPC_SLICE_LENGTH(*s));
}

static void release_request(struct rpc_call *c)
{
    if (c->joined != NULL) {
        secret_wipe(c->joined, c->request.len);
        free(c->joined);
        c->joined = NULL;
    }
    if (c->payload != NULL) {
        grpc_slice_buffer *slices = &c->payload->data.raw.slice_buffer;
        for (size_t i = 0; i < slices->count; i++) {
            wipe_slice(&slices->slices[i]);
        }
        grpc_byte_buffer_destroy(c->payload);
        c->payload = NULL;
    }
    c->request = bytes_of(NULL, 0);
}

/* False without memory. */
static bool see_request(struct rpc_call *c)
{
    grpc_slice_buffer *slices = &c->payload->data.raw.slice_buffer;
    if (slices->count <= 1) {
        c->request = slices->count == 0 ? bytes_of(NULL, 0)
                                        : bytes_of(GRPC_SLICE_START_PTR(slices->slices[0]),
                                                   GRPC_SLICE_LENGTH(slices->slices[0]));
        return true;
    }
    c->joined = malloc(slices->length);
    if (c->joined == NULL) {
        return false;
    }
    size_t at = 0;
    for (size_t i = 0; i < slices->count; i++) {
        size_t len = GRPC_SLICE_LENGTH(slices->slices[i]);
        memcpy(c->joined + at, GRPC_SLICE_START_PTR(slices->slices[i]), len);
        at += len;
    }
    c->request = bytes_of(c->joined, at);
    return true;
}

/* The last batch. The record may be gone when this returns. */
static void send_end(struct rpc_call *c, int status, const char *message)
{
    release_request(c);
    if (c->is_counted) {
        c->is_counted = false;
        (void)atomic_fetch_sub(&c->host->owner->in_flight, 1);
    }
    grpc_slice details = grpc_slice_from_copied_string(message);
    grpc_op ops[4] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = (grpc_status_code)status,
                                          .status_details = status == 0 ? NULL : &details}},
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
         .data.recv_close_on_server.cancelled = &c->was_cancelled},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = c->response},
    };
    size_t count = c->response == NULL ? 3 : 4;
    grpc_call *call = c->call;
    atomic_store_explicit(&c->state, CALL_ENDING, memory_order_release);
    if (grpc_call_start_batch(call, ops, count, &c->tag, NULL) != GRPC_CALL_OK) {
        abort(); /* wrong arguments: our own bug */
    }
    grpc_slice_unref(details);
}

static void tell_refused(struct rpc_call *c, size_t row, grpc_status_code status, const char *why)
{
    const struct rpc_server_config *config = &c->host->owner->config;
    if (config->refused != NULL && !c->host->owner->is_mute) {
        config->refused(config->ctx, row, c->host->class_index, rpc_call_peer(c), (int)status, why);
    }
}

static void refuse(struct rpc_call *c, size_t row, grpc_status_code status, const char *why)
{
    tell_refused(c, row, status, why);
    send_end(c, (int)status, why);
}

/* A path that gRPC found no registered method for. */
static void refuse_other(struct rpc_call *c)
{
    const struct rpc_server_config *config = &c->host->owner->config;
    struct bytes path =
        bytes_of(GRPC_SLICE_START_PTR(c->details.method), GRPC_SLICE_LENGTH(c->details.method));
    for (size_t row = 0; row < config->method_count; row++) {
        if (bytes_equal_text(path, config->methods[row].path)) {
            refuse(c, row, GRPC_STATUS_PERMISSION_DENIED, "this peer may not call the method");
            return;
        }
    }
    refuse(c, SIZE_MAX, GRPC_STATUS_UNIMPLEMENTED, "unknown method");
}

static void pick_up(struct rpc_call *c)
{
    struct rpc_server *s = c->host->owner;
    c->host->busy++;
    c->host->last_call_ms = s->now_ms;
    c->peer = grpc_call_get_peer(c->call);
    if (c->row == ROW_OTHER) {
        refuse_other(c);
    } else if (s->is_mute) {
        refuse(c, c->row, GRPC_STATUS_UNAVAILABLE, "the server ends");
    } else if (c->payload == NULL) {
        c->is_empty = true;
        send_end(c, GRPC_STATUS_INVALID_ARGUMENT, NO_MESSAGE);
    } else if (grpc_byte_buffer_length(c->payload) > s->config.methods[c->row].request_max) {
        refuse(c, c->row, GRPC_STATUS_INVALID_ARGUMENT, "the request is too large");
    } else if (rpc_call_left_ms(c) == 0) {
        refuse(c, c->row, GRPC_STATUS_DEADLINE_EXCEEDED,
               "the deadline passed before the call was read");
    } else if (!see_request(c)) {
        refuse(c, c->row, GRPC_STATUS_RESOURCE_EXHAUSTED, "no memory for the request");
    } else {
        c->is_counted = true;
        (void)atomic_fetch_add(&s->in_flight, 1);
        atomic_store_explicit(&c->state, CALL_HANDED, memory_order_relaxed);
        s->config.handler(s->config.ctx, c->row, c->host->class_index, c);
    }
}

/* Takes a record from the spares or makes one for the slot that `c` has left. */
static void fill_slot(struct rpc_call *c)
{
    struct rpc_server *s = c->host->owner;
    struct rpc_call *next = s->spares;
    if (next != NULL) {
        s->spares = next->next;
        s->spare_count--;
        next->host = c->host;
        next->row = c->row;
    } else {
        next = call_new(c->host, c->row);
    }
    c->is_slot_owed = next == NULL;
    if (next != NULL) {
        c->host->calls++;
        call_arm(next);
    }
}

/* After the last event of a record. */
static void retire(struct rpc_call *c)
{
    struct rpc_server *s = c->host->owner;
    grpc_metadata_array_destroy(&c->metadata);
    grpc_metadata_array_init(&c->metadata);
    grpc_call_details_destroy(&c->details);
    grpc_call_details_init(&c->details);
    if (c->is_slot_owed) {
        c->is_slot_owed = false;
        call_arm(c);
        return;
    }
    c->host->calls--;
    c->host = NULL;
    if (s->spare_count < SPARES_MAX) {
        c->next = s->spares;
        s->spares = c;
        s->spare_count++;
    } else {
        call_free(c);
    }
}

static void finish(struct rpc_call *c)
{
    /* Only now it is known whether the client left the message out or left. */
    if (c->is_empty && c->was_cancelled == 0) {
        tell_refused(c, c->row, GRPC_STATUS_INVALID_ARGUMENT, NO_MESSAGE);
    }
    c->is_empty = false;
    grpc_byte_buffer_destroy(c->response); /* NULL is fine */
    c->response = NULL;
    gpr_free(c->peer);
    c->peer = NULL;
    grpc_call_unref(c->call);
    c->call = NULL;
    c->host->busy--;
    retire(c);
}

void call_event(struct rpc_call *c, bool is_success)
{
    enum call_state state = atomic_load_explicit(&c->state, memory_order_acquire);
    if (state == CALL_ENDING) {
        finish(c);
    } else if (state != CALL_WAITING) {
        abort(); /* an event for a call in the handler's hands: our own bug */
    } else if (!is_success) {
        retire(c); /* its server shuts down */
    } else {
        fill_slot(c);
        pick_up(c);
    }
}

struct bytes rpc_call_request(const struct rpc_call *call)
{
    return call->request;
}

const char *rpc_call_peer(const struct rpc_call *call)
{
    return call->peer;
}

uint64_t rpc_call_left_ms(const struct rpc_call *call)
{
    gpr_clock_type clock = call->deadline.clock_type;
    if (gpr_time_cmp(call->deadline, gpr_inf_future(clock)) == 0) {
        return UINT64_MAX;
    }
    gpr_timespec left = gpr_time_sub(call->deadline, gpr_now(clock));
    int32_t ms = gpr_time_to_millis(left);
    return ms > 0 ? (uint64_t)ms : 0;
}

static void must_be_handed(const struct rpc_call *c)
{
    if (c->tag.magic != TAG_MAGIC ||
        atomic_load_explicit(&c->state, memory_order_relaxed) != CALL_HANDED) {
        abort(); /* a second reply: our own bug */
    }
}

void rpc_call_reply(struct rpc_call *call, struct bytes response, bool is_secret)
{
    must_be_handed(call);
    if (response.len > (size_t)call->host->owner->config.limits.max_message_bytes) {
        send_end(call, GRPC_STATUS_INTERNAL, "the response is too large");
        return;
    }
    call->response = rpc_message_copy(response, is_secret);
    if (call->response == NULL) {
        send_end(call, GRPC_STATUS_RESOURCE_EXHAUSTED, "no memory for the response");
        return;
    }
    send_end(call, GRPC_STATUS_OK, "");
}

void rpc_call_fail(struct rpc_call *call, int status, const char *message)
{
    must_be_handed(call);
    bool is_status = status > GRPC_STATUS_OK && status <= GRPC_STATUS_UNAUTHENTICATED;
    send_end(call, is_status ? status : GRPC_STATUS_INTERNAL, message);
}
