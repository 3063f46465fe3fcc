/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unary gRPC server over gRPC C core: a method table in, calls out.
 *
 * The server does not listen. The program accepts, checks the peer and hands over connected
 * sockets, so that no byte of a refused peer is ever parsed. What a connection may call is decided
 * by the *class* it is handed to: each class is a gRPC server of its own on the common completion
 * queue, with its own set of allowed methods. A connection can't change class, so the right does
 * not depend on looking a peer up by a file descriptor number that may have been used again.
 *
 * Threads: rpc_server_run occupies one thread and calls the handler on it, one call at a time.
 * rpc_call_reply may be called from any thread, once for each call. All other functions may be
 * called from any thread.
 *
 * Answered at once and without reaching the handler: unknown methods UNIMPLEMENTED, methods outside
 * the class PERMISSION_DENIED, requests over the method's limit and calls without a message
 * INVALID_ARGUMENT, calls whose deadline has passed DEADLINE_EXCEEDED. The library itself answers
 * messages over max_message_bytes and metadata over its maximum with RESOURCE_EXHAUSTED, compressed
 * requests with UNIMPLEMENTED, and calls without :authority and Host with UNKNOWN; any :authority
 * will do. Of several messages in one call the first counts.
 *
 * Connections end without losing a call: clients are told to go (GOAWAY), answered until they have
 * gone, and only then shut out.
 */
#ifndef ETCDSEAL_RPC_RPC_H
#define ETCDSEAL_RPC_RPC_H

#include <stdint.h>

#include "base/bytes.h"

#define RPC_METHODS_MAX 16
#define RPC_CLASSES_MAX 16

struct rpc_method {
    const char *path;   /* "/v2.KeyManagementService/Status" */
    size_t request_max; /* bytes of one request message */
};

struct rpc_class {
    uint32_t methods; /* bit i: row i of the method table is allowed */
};

struct rpc_call;

/* Must lead to exactly one rpc_call_reply, now or later. `method` is the row, `class_index` the
 * class of the connection. */
typedef void rpc_handler_fn(void *ctx, size_t method, size_t class_index, struct rpc_call *call);

/* Told about each call that this room answered in the handler's place: a path that is not known
 * (method = SIZE_MAX), not allowed, too large, without a message or too late; not about those that
 * the library answers. On the loop's thread; `peer` as rpc_call_peer; `why` is static. */
typedef void rpc_refused_fn(void *ctx, size_t method, size_t class_index, const char *peer,
                            int status, const char *why);

struct rpc_limits {
    int max_concurrent_streams; /* for each connection */
    int max_message_bytes;      /* above every request_max; larger ones end in RESOURCE_EXHAUSTED */
    int max_metadata_bytes;
    size_t memory_bytes; /* resource quota of each class */
};
/* For a server of small messages and many callers; the reasons stand with the values. */
extern const struct rpc_limits rpc_limits_default;

struct rpc_server_config {
    const struct rpc_method *methods; /* must outlive the server */
    size_t method_count;
    const struct rpc_class *classes;
    size_t class_count;
    struct rpc_limits limits;
    rpc_handler_fn *handler;
    rpc_refused_fn *refused; /* may be NULL */
    void *ctx;
};

struct rpc_server;

/* Before threads, and for each an rpc_stop when the last server was freed; no fork afterwards.
 * Variables GRPC_* are removed from the environment (GRPC_TRACE prints payloads, GRPC_EXPERIMENTS
 * changes the transport). The library's own log lines are dropped, because peers make them at their
 * pace; a failed assertion of its is written to standard error before it aborts. */
void rpc_start(void);
void rpc_stop(void);

enum kerr rpc_server_new(const struct rpc_server_config *config, struct rpc_server **ret,
                         struct kerrinfo *e) MUST_CHECK;
/* Hands a connected stream socket over; the server owns and closes it, also on failure. NOTFOUND
 * for a class that there is not (any more), DOWN once the server ends, INPUT for another kind of
 * descriptor, NOMEM, IO. A duplicate is kept until the connection ends, so each costs two
 * descriptors. */
enum kerr rpc_server_add(struct rpc_server *s, size_t class_index, int fd,
                         struct kerrinfo *e) MUST_CHECK;
/* New classes for connections to come; connections of all old classes get GOAWAY, finish their
 * calls and are closed within 5 s, so that a right that was taken away ends. Call it only when
 * something changed. On failure (INPUT, LIMIT, NOMEM; BUSY when too many former classes have not
 * ended yet; DOWN) the old classes stay. */
enum kerr rpc_server_set_classes(struct rpc_server *s, const struct rpc_class *classes,
                                 size_t count, struct kerrinfo *e) MUST_CHECK;
/* Serves until rpc_server_shutdown has been called and the last call has ended. */
void rpc_server_run(struct rpc_server *s);
/* No new connections. Clients are told to go, and answered until they have gone, are quiet, or half
 * of `grace_ms` has passed; then no new calls; what is still open after `grace_ms` is cancelled.
 * Returns at once; a second call can only shorten the grace. A call that the handler never answers
 * keeps rpc_server_run from returning. */
void rpc_server_shutdown(struct rpc_server *s, unsigned grace_ms);
void rpc_server_free(struct rpc_server *s); /* after run has returned, or if it never ran */
/* Calls handed to the handler and not yet answered. */
size_t rpc_server_in_flight(const struct rpc_server *s);
/* Monotonic ms of the last turn of the loop; 0 before the first. It turns at least once a second,
 * so a value older than a few seconds means that it hangs. */
uint64_t rpc_server_last_turn_ms(const struct rpc_server *s);

/* The request message; valid until the reply. */
struct bytes rpc_call_request(const struct rpc_call *call);
/* gRPC's text for the other end, for a log only: "fd:12". */
const char *rpc_call_peer(const struct rpc_call *call);
/* Milliseconds of the caller's deadline that are left; 0 when passed, UINT64_MAX without one. */
uint64_t rpc_call_left_ms(const struct rpc_call *call);
/* Ends the call; `call` is gone afterwards. Status OK with the response message (copied, and the
 * library's copy wiped once sent when `is_secret`; over max_message_bytes the call ends with
 * INTERNAL, without memory with RESOURCE_EXHAUSTED), or another gRPC status (1 … 16, anything else
 * becomes INTERNAL) and a fixed sentence. The request's bytes are wiped in place. */
void rpc_call_reply(struct rpc_call *call, struct bytes response, bool is_secret);
void rpc_call_fail(struct rpc_call *call, int status, const char *message);

#endif
