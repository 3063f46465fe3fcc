/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/rpc/bench.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

static const struct rpc_method bench_methods[BENCH_METHODS] = {
    [ECHO] = {"/t.Bench/Echo", ECHO_MAX},
    [HOLD] = {"/t.Bench/Hold", 1024},
    [SINK] = {"/t.Bench/Sink", SINK_MAX},
};
static const struct rpc_class bench_all = {(1 << BENCH_METHODS) - 1};

static void echo(struct bench *b, struct rpc_call *call)
{
    static uint8_t zeros[200000];
    int status = atomic_load(&b->fail_with);
    size_t len = atomic_load(&b->answer_bytes);
    if (status != 0) {
        rpc_call_fail(call, status, "as told");
    } else if (len > 0) {
        rpc_call_reply(call, bytes_of(zeros, len), false);
    } else {
        rpc_call_reply(call, rpc_call_request(call), true);
    }
}

static void handle(void *ctx, size_t method, size_t class_index, struct rpc_call *call)
{
    struct bench *b = ctx;
    atomic_store(&b->last_method, method);
    atomic_store(&b->last_class, class_index);
    atomic_store(&b->last_left_ms, rpc_call_left_ms(call));
    (void)snprintf(b->last_peer, sizeof b->last_peer, "%s", rpc_call_peer(call));
    (void)atomic_fetch_add(&b->handled, 1);
    if (method == ECHO) {
        echo(b, call);
    } else if (method == HOLD) {
        atomic_store(&b->held, call);
    } else {
        while (atomic_load(&b->is_blocked)) {
            (void)usleep(1000);
        }
        rpc_call_reply(call, bytes_of(NULL, 0), false);
    }
}

static void refused(void *ctx, size_t method, size_t class_index, const char *peer, int status,
                    const char *why)
{
    struct bench *b = ctx;
    if (why[0] == 0 || strncmp(peer, "fd:", 3) != 0) {
        abort();
    }
    atomic_store(&b->last_class, class_index);
    atomic_store(&b->refused_method, method);
    atomic_store(&b->refused_status, status);
    (void)atomic_fetch_add(&b->refused, 1);
}

struct rpc_server_config bench_config(struct bench *b)
{
    return (struct rpc_server_config){.methods = bench_methods,
                                      .method_count = BENCH_METHODS,
                                      .classes = &bench_all,
                                      .class_count = 1,
                                      .limits = rpc_limits_default,
                                      .handler = handle,
                                      .refused = refused,
                                      .ctx = b};
}

void bench_start(struct bench *b, int streams, const struct rpc_class *classes, size_t count)
{
    struct kerrinfo e;
    memset(b, 0, sizeof *b);
    struct rpc_server_config config = bench_config(b);
    config.limits.max_concurrent_streams = streams;
    if (classes != NULL) {
        config.classes = classes;
        config.class_count = count;
    }
    assert_ok(&e, rpc_server_new(&config, &b->server, &e));
}

static void *loop_main(void *ctx)
{
    rpc_server_run(((struct bench *)ctx)->server);
    return NULL;
}

void bench_run(struct bench *b)
{
    assert_int_equal(pthread_create(&b->loop, NULL, loop_main, b), 0);
    b->is_running = true;
}

void bench_join(struct bench *b)
{
    assert_int_equal(pthread_join(b->loop, NULL), 0);
    rpc_server_free(b->server);
    b->server = NULL;
}

void bench_stop(struct bench *b)
{
    rpc_server_shutdown(b->server, 0);
    bench_join(b);
}

struct rpc_call *bench_held(struct bench *b)
{
    uint64_t until_ms = clock_mono_ms() + 10000;
    for (;;) {
        struct rpc_call *call = atomic_exchange(&b->held, NULL);
        if (call != NULL) {
            return call;
        }
        assert_true(clock_mono_ms() < until_ms);
        (void)usleep(500);
    }
}

int bench_connect(struct bench *b, size_t class_index)
{
    struct kerrinfo e;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_ok(&e, rpc_server_add(b->server, class_index, pair[0], &e));
    return pair[1];
}

void client_open(struct client *c, struct bench *b, size_t class_index)
{
    grpc_channel_credentials *insecure = grpc_insecure_credentials_create();
    c->channel = grpc_channel_create_from_fd("test", bench_connect(b, class_index), insecure, NULL);
    grpc_channel_credentials_release(insecure);
    c->queue = grpc_completion_queue_create_for_next(NULL);
}

void client_close(struct client *c)
{
    grpc_channel_destroy(c->channel);
    grpc_completion_queue_shutdown(c->queue);
    while (grpc_completion_queue_next(c->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
           GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(c->queue);
}

struct flight {
    grpc_call *call;
    grpc_metadata_array first;
    grpc_metadata_array last;
    grpc_byte_buffer *request;
    grpc_byte_buffer *response;
    grpc_status_code status;
    grpc_slice details;
};

struct flight *client_begin(struct client *c, const char *path, struct bytes request,
                            unsigned timeout_ms)
{
    struct flight *f = calloc(1, sizeof *f);
    assert_non_null(f);
    gpr_timespec deadline = timeout_ms == 0
                                ? gpr_inf_future(GPR_CLOCK_MONOTONIC)
                                : gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                               gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
    grpc_slice body = grpc_slice_from_copied_buffer((const char *)request.ptr, request.len);
    f->request = grpc_raw_byte_buffer_create(&body, 1);
    grpc_slice_unref(body);
    f->call = grpc_channel_create_call(c->channel, NULL, 0, c->queue,
                                       grpc_slice_from_static_string(path), NULL, deadline, NULL);
    grpc_op ops[6] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = f->request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &f->first},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &f->response},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &f->last,
                                        .status = &f->status,
                                        .status_details = &f->details}},
    };
    assert_int_equal(grpc_call_start_batch(f->call, ops, 6, f, NULL), GRPC_CALL_OK);
    return f;
}

struct flight *client_next(struct client *c)
{
    gpr_timespec until =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(60, GPR_TIMESPAN));
    grpc_event event = grpc_completion_queue_next(c->queue, until, NULL);
    assert_int_equal(event.type, GRPC_OP_COMPLETE);
    return event.tag;
}

static void copy_response(const struct flight *f, struct answer *a)
{
    grpc_byte_buffer_reader reader;
    assert_true(grpc_byte_buffer_reader_init(&reader, f->response));
    grpc_slice slice;
    while (grpc_byte_buffer_reader_next(&reader, &slice)) {
        assert_true(a->len + GRPC_SLICE_LENGTH(slice) <= sizeof a->bytes);
        memcpy(a->bytes + a->len, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
        a->len += GRPC_SLICE_LENGTH(slice);
        grpc_slice_unref(slice);
    }
    grpc_byte_buffer_reader_destroy(&reader);
}

int flight_end(struct flight *f, struct answer *ret)
{
    int status = (int)f->status;
    if (ret != NULL) {
        ret->status = status;
        ret->len = 0;
        (void)snprintf(ret->message, sizeof ret->message, "%.*s",
                       (int)GRPC_SLICE_LENGTH(f->details),
                       (const char *)GRPC_SLICE_START_PTR(f->details));
        if (f->response != NULL) {
            copy_response(f, ret);
        }
    }
    grpc_slice_unref(f->details);
    grpc_byte_buffer_destroy(f->request);
    grpc_byte_buffer_destroy(f->response);
    grpc_metadata_array_destroy(&f->first);
    grpc_metadata_array_destroy(&f->last);
    grpc_call_unref(f->call);
    free(f);
    return status;
}

void client_call(struct client *c, const char *path, struct bytes request, unsigned timeout_ms,
                 struct answer *ret)
{
    struct flight *f = client_begin(c, path, request, timeout_ms);
    assert_ptr_equal(client_next(c), f);
    (void)flight_end(f, ret);
}

void raw_put_frame(struct writer *w, size_t len, uint8_t type, uint8_t flags, uint32_t id)
{
    write_u8(w, (uint8_t)(len >> 16));
    write_u16(w, (uint16_t)len);
    write_u8(w, type);
    write_u8(w, flags);
    write_u32(w, id);
}

/* RFC 7541, 6.2.2: literal without indexing, new name, no Huffman. NULL values are left out. */
void raw_put_header(struct writer *w, const char *name, const char *value)
{
    if (value != NULL) {
        assert_true(strlen(name) < 127 && strlen(value) < 127);
        write_u8(w, 0);
        write_u8(w, (uint8_t)strlen(name));
        write_raw(w, bytes_of_text(name));
        write_u8(w, (uint8_t)strlen(value));
        write_raw(w, bytes_of_text(value));
    }
}

static void put_headers(struct writer *w, const struct raw_call *call)
{
    uint8_t room[1024];
    struct writer h = writer_on(room, sizeof room);
    raw_put_header(&h, ":method", "POST");
    raw_put_header(&h, ":scheme", "http");
    raw_put_header(&h, ":path", call->path);
    raw_put_header(&h, ":authority", call->authority);
    raw_put_header(&h, "content-type", "application/grpc");
    raw_put_header(&h, "te", "trailers");
    raw_put_header(&h, "grpc-timeout", call->timeout);
    assert_false(h.failed);
    raw_put_frame(w, h.len, 1, 4, 1); /* HEADERS, END_HEADERS */
    write_raw(w, writer_view(&h));
}

void raw_send(int fd, const struct raw_call *call)
{
    uint8_t room[4096];
    struct writer w = writer_on(room, sizeof room);
    write_raw(&w, bytes_of_text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    raw_put_frame(&w, 0, 4, 0, 0); /* SETTINGS */
    put_headers(&w, call);
    size_t message = call->has_message ? call->message.len + 5 : 0;
    raw_put_frame(&w, message, 0, 1, 1); /* DATA, END_STREAM */
    if (call->has_message) {
        write_u8(&w, 0);
        write_u32(&w, (uint32_t)call->message.len);
        write_raw(&w, call->message);
    }
    assert_false(w.failed);
    assert_int_equal(write(fd, w.ptr, w.len), (ssize_t)w.len);
}

/* Bytes read, 0 at the end of file, -1 when the time is over. */
static ssize_t read_within(int fd, uint64_t until_ms, uint8_t *to, size_t len)
{
    uint64_t now_ms = clock_mono_ms();
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (now_ms >= until_ms || poll(&p, 1, (int)(until_ms - now_ms)) != 1) {
        return -1;
    }
    ssize_t n = read(fd, to, len);
    return n < 0 ? 0 : n; /* a reset is an end too */
}

bool raw_await(int fd, const char *words, unsigned wait_ms)
{
    uint8_t seen[8192];
    size_t len = 0;
    uint64_t until_ms = clock_mono_ms() + wait_ms;
    for (;;) {
        ssize_t n = read_within(fd, until_ms, seen + len, sizeof seen - len);
        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
        if (memmem(seen, len, words, strlen(words)) != NULL) {
            return true;
        }
    }
}

bool raw_is_closed(int fd, unsigned wait_ms)
{
    uint8_t drop[8192];
    uint64_t until_ms = clock_mono_ms() + wait_ms;
    ssize_t n;
    do {
        n = read_within(fd, until_ms, drop, sizeof drop);
    } while (n > 0);
    return n == 0;
}
