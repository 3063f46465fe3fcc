/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call is two kinds of batches: one that sends everything and ends with the status, and one for
 * each message, until there is none. Both are waited for on the caller's thread.
 *
 * Wiping. A message lies in slices of the transport's read buffers, which belong to it alone: they
 * are wiped in place before they go back, as is the room where pieces were joined. A secret request
 * is a slice of ours with a destructor that wipes.
 */
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/rpc_client_private.h"
#include "rpc/rpc_message.h"

struct call {
    struct rpc_client *client;
    const struct rpc_ask *ask;
    grpc_call *call;
    grpc_byte_buffer *request;
    grpc_metadata metadata[RPC_METADATA_MAX];
    grpc_metadata_array first;
    grpc_metadata_array last;
    grpc_status_code code;
    grpc_slice details;
    char end_tag; /* their addresses are the tags */
    char message_tag;
};

/* ---- what is sent ---- */

static enum kerr copy_request(struct call *c, struct kerrinfo *e)
{
    c->request = rpc_message_copy(c->ask->request, c->ask->is_secret);
    return c->request != NULL ? KERR_OK
                              : kerr_set(e, KERR_NOMEM, "no memory for a request of %zu bytes",
                                         c->ask->request.len);
}

static enum kerr copy_metadata(struct call *c, struct kerrinfo *e)
{
    if (c->ask->metadata_count > RPC_METADATA_MAX) {
        return kerr_set(e, KERR_LIMIT, "%zu rows of metadata, allowed are %d",
                        c->ask->metadata_count, RPC_METADATA_MAX);
    }
    for (size_t i = 0; i < c->ask->metadata_count; i++) {
        const struct rpc_metadata *m = &c->ask->metadata[i];
        grpc_metadata *to = &c->metadata[i];
        to->key = grpc_slice_from_copied_string(m->name);
        to->value = grpc_slice_from_copied_buffer((const char *)m->value.ptr, m->value.len);
        if (!grpc_header_key_is_legal(to->key) || !grpc_header_nonbin_value_is_legal(to->value)) {
            return kerr_set(e, KERR_INPUT, "metadata '%s' has bytes that HTTP/2 can't carry",
                            m->name);
        }
    }
    return KERR_OK;
}

static gpr_timespec deadline_of(const struct rpc_ask *ask)
{
    return ask->timeout_ms == 0 ? gpr_inf_future(GPR_CLOCK_MONOTONIC)
                                : gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                               gpr_time_from_millis(ask->timeout_ms, GPR_TIMESPAN));
}

/* The batch that ends with the call. */
static void begin(struct call *c)
{
    uint32_t flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET;
    flags |= c->ask->waits ? GRPC_INITIAL_METADATA_WAIT_FOR_READY : 0U;
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .flags = flags,
         .data.send_initial_metadata = {.count = c->ask->metadata_count, .metadata = c->metadata}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = c->request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &c->first},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &c->last,
                                        .status = &c->code,
                                        .status_details = &c->details}},
    };
    grpc_slice path = grpc_slice_from_copied_string(c->ask->path);
    c->call = grpc_channel_create_call(c->client->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
                                       c->client->queue, path, NULL, deadline_of(c->ask), NULL);
    grpc_slice_unref(path);
    if (grpc_call_start_batch(c->call, ops, ARRAY_LEN(ops), &c->end_tag, NULL) != GRPC_CALL_OK) {
        abort(); /* wrong arguments: our own bug */
    }
}

static void await(struct call *c, void *tag)
{
    (void)grpc_completion_queue_pluck(c->client->queue, tag, gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                      NULL);
}

/* ---- what comes ---- */

static grpc_byte_buffer *next_message(struct call *c)
{
    grpc_byte_buffer *message = NULL;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &message};
    if (grpc_call_start_batch(c->call, &op, 1, &c->message_tag, NULL) != GRPC_CALL_OK) {
        abort(); /* wrong arguments: our own bug */
    }
    await(c, &c->message_tag);
    return message;
}

static struct bytes view_of(grpc_slice *s)
{
    return bytes_of(GRPC_SLICE_START_PTR(*s), GRPC_SLICE_LENGTH(*s));
}

static enum kerr join(struct buf *to, grpc_slice_buffer *pieces, struct kerrinfo *e)
{
    uint8_t *at = NULL;
    to->len = 0;
    enum kerr k = buf_extend(to, pieces->length, &at, e);
    for (size_t i = 0; i < pieces->count && k == KERR_OK; i++) {
        struct bytes piece = view_of(&pieces->slices[i]);
        memcpy(at, piece.ptr, piece.len);
        at += piece.len;
    }
    return k;
}

static void wipe_pieces(const grpc_slice_buffer *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        secret_wipe(GRPC_SLICE_START_PTR(pieces->slices[i]), GRPC_SLICE_LENGTH(pieces->slices[i]));
    }
}

static enum kerr take_message(struct call *c, grpc_byte_buffer *message, rpc_message_fn *told,
                              void *ctx, struct kerrinfo *e)
{
    grpc_slice_buffer *pieces = &message->data.raw.slice_buffer;
    struct buf *joined = &c->client->joined;
    bool is_joined = pieces->count > 1;
    enum kerr k = is_joined ? join(joined, pieces, e) : KERR_OK;
    struct bytes view = is_joined            ? buf_view(joined)
                        : pieces->count == 1 ? view_of(&pieces->slices[0])
                                             : bytes_of(NULL, 0);
    k = k == KERR_OK ? told(ctx, view, e) : k;
    if (c->ask->is_secret) {
        wipe_pieces(pieces);
        secret_wipe(joined->ptr, is_joined ? joined->len : 0);
    }
    grpc_byte_buffer_destroy(message);
    return k;
}

/* ---- the end ---- */

static void say_status(const struct call *c, struct rpc_status *ret)
{
    size_t len = GRPC_SLICE_LENGTH(c->details);
    const uint8_t *text = GRPC_SLICE_START_PTR(c->details);
    bool is_known = c->code >= GRPC_STATUS_OK && c->code <= GRPC_STATUS_UNAUTHENTICATED;
    *ret = (struct rpc_status){.code = is_known ? (int)c->code : GRPC_STATUS_UNKNOWN};
    len = len < sizeof ret->text ? len : sizeof ret->text - 1;
    for (size_t i = 0; i < len; i++) {
        ret->text[i] = text[i] < ' ' || text[i] > '~' ? '?' : (char)text[i];
    }
}

static void done(struct call *c)
{
    for (size_t i = 0; i < RPC_METADATA_MAX; i++) {
        grpc_slice_unref(c->metadata[i].key); /* an unset one is empty */
        grpc_slice_unref(c->metadata[i].value);
    }
    grpc_byte_buffer_destroy(c->request); /* NULL is fine */
    grpc_metadata_array_destroy(&c->first);
    grpc_metadata_array_destroy(&c->last);
    grpc_slice_unref(c->details);
    if (c->call != NULL) {
        grpc_call_unref(c->call);
    }
}

enum kerr rpc_client_stream(struct rpc_client *client, const struct rpc_ask *ask,
                            rpc_message_fn *message, void *ctx, struct rpc_status *status,
                            struct kerrinfo *e)
{
    AUTO(done) struct call c = {.client = client, .ask = ask, .details = grpc_empty_slice()};
    grpc_metadata_array_init(&c.first);
    grpc_metadata_array_init(&c.last);
    enum kerr k = copy_metadata(&c, e);
    k = k == KERR_OK ? copy_request(&c, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    begin(&c);
    grpc_byte_buffer *next = NULL;
    while (k == KERR_OK && (next = next_message(&c)) != NULL) {
        k = take_message(&c, next, message, ctx, e);
    }
    if (k != KERR_OK) {
        (void)grpc_call_cancel(c.call, NULL);
    }
    await(&c, &c.end_tag);
    say_status(&c, status);
    return k;
}

/* ---- unary ---- */

struct only {
    struct buf *to;
    struct secret **secret;
    size_t count;
};

static enum kerr take_only(void *ctx, struct bytes message, struct kerrinfo *e)
{
    struct only *o = ctx;
    if (o->count++ > 0) {
        return KERR_OK;
    }
    if (o->to != NULL) {
        return buf_put(o->to, message, e);
    }
    return message.len == 0 ? KERR_OK : secret_from_bytes(message, o->secret, e);
}

static enum kerr call_once(struct rpc_client *c, const struct rpc_ask *ask, struct only *o,
                           struct rpc_status *status, struct kerrinfo *e)
{
    enum kerr k = rpc_client_stream(c, ask, take_only, o, status, e);
    if (k == KERR_OK && status->code == GRPC_STATUS_OK && o->count != 1) {
        *status =
            (struct rpc_status){GRPC_STATUS_INTERNAL, "an answer of none or several messages"};
    }
    return k;
}

enum kerr rpc_client_call(struct rpc_client *c, const struct rpc_ask *ask, struct buf *ret,
                          struct rpc_status *status, struct kerrinfo *e)
{
    struct only o = {.to = ret};
    buf_init(ret, c->response_max);
    return call_once(c, ask, &o, status, e);
}

enum kerr rpc_client_call_secret(struct rpc_client *c, const struct rpc_ask *ask,
                                 struct secret **ret, struct rpc_status *status, struct kerrinfo *e)
{
    AUTO_SECRET found = NULL;
    struct only o = {.secret = &found};
    enum kerr k = call_once(c, ask, &o, status, e);
    if (k == KERR_OK && status->code == GRPC_STATUS_OK) {
        *ret = secret_take(&found);
    }
    return k;
}
