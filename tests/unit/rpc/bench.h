/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of rpc share: a server with a handler that does as it is told, a gRPC client on a
 * socket pair, and a raw HTTP/2 client for what a gRPC client would never send.
 *
 * Every function fails the test when something that it needs does not work.
 */
#ifndef ETCDSEAL_TESTS_UNIT_RPC_BENCH_H
#define ETCDSEAL_TESTS_UNIT_RPC_BENCH_H

#include "tests/lib/testlib.h"

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "rpc/rpc.h"

/* The bench's methods: the first word says what the handler does with a call. */
enum { ECHO, HOLD, SINK, BENCH_METHODS };
#define ECHO_MAX 40000
#define SINK_MAX 64

struct bench {
    struct rpc_server *server;
    pthread_t loop;
    bool is_running;

    atomic_uint handled;
    atomic_size_t last_method;
    atomic_size_t last_class;
    atomic_uint_fast64_t last_left_ms;
    char last_peer[64];
    atomic_int fail_with;            /* ECHO fails with this status and "as told"; 0: it answers */
    atomic_size_t answer_bytes;      /* ECHO answers with so many bytes; 0: with the request */
    _Atomic(struct rpc_call *) held; /* HOLD leaves its call here */
    atomic_bool is_blocked;          /* SINK keeps the loop until this is false */

    atomic_uint refused;
    atomic_size_t refused_method;
    atomic_int refused_status;
};

/* Limits as by default but for the streams; NULL classes: one that may call everything. */
void bench_start(struct bench *b, int streams, const struct rpc_class *classes, size_t count);
void bench_run(struct bench *b);              /* the loop, in a thread */
void bench_join(struct bench *b);             /* after rpc_server_shutdown; frees the server */
void bench_stop(struct bench *b);             /* shutdown without grace, and join */
struct rpc_call *bench_held(struct bench *b); /* waits until HOLD has one, and takes it */
/* A configuration as bench_start uses it, to spoil. */
struct rpc_server_config bench_config(struct bench *b);
/* The other end of a socket that was handed to the class. */
int bench_connect(struct bench *b, size_t class_index);

struct client {
    grpc_channel *channel;
    grpc_completion_queue *queue;
};

struct answer {
    int status;
    char message[256];
    uint8_t bytes[70000];
    size_t len;
};

void client_open(struct client *c, struct bench *b, size_t class_index);
void client_close(struct client *c);
/* One call to its end. `timeout_ms` 0: no deadline. */
void client_call(struct client *c, const char *path, struct bytes request, unsigned timeout_ms,
                 struct answer *ret);

/* Several calls at once. */
struct flight;
struct flight *client_begin(struct client *c, const char *path, struct bytes request,
                            unsigned timeout_ms);
/* The next one that ends: its status; `ret` may be NULL. */
struct flight *client_next(struct client *c);
int flight_end(struct flight *f, struct answer *ret);

/* Raw: preface, settings and one call on stream 1; `authority` and `timeout` NULL: left out;
 * `message` without the five bytes before it, has_message false: half closed without one. */
struct raw_call {
    const char *path;
    const char *authority;
    const char *timeout;
    bool has_message;
    struct bytes message;
};
void raw_send(int fd, const struct raw_call *call);
/* A frame's nine bytes; a header without index and Huffman, nothing for a NULL value. */
void raw_put_frame(struct writer *w, size_t len, uint8_t type, uint8_t flags, uint32_t stream);
void raw_put_header(struct writer *w, const char *name, const char *value);
/* Reads until `words` came (true), or end of file, or `wait_ms` have passed (false). */
bool raw_await(int fd, const char *words, unsigned wait_ms);
/* True when the other side has closed within `wait_ms`. */
bool raw_is_closed(int fd, unsigned wait_ms);

#endif
