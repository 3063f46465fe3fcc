/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC client over gRPC C core: unary calls, and calls that are answered by a stream.
 *
 * One client is one connection to one server: a unix socket, or a host and port in plaintext or
 * over TLS with certificates of the caller's choice. It connects at the first call, and again at
 * the first call after the connection was lost. Nothing but the configuration decides where it
 * goes: no proxy, no service configuration of a name server, no environment, no retry behind the
 * caller's back. Names are looked up by the system's resolver, once, in rpc_client_new.
 *
 * A server's answers are hostile input: a message over response_max ends the call with
 * RESOURCE_EXHAUSTED, all that a connection collects stays below four times that and 16 MiB, and
 * texts of a server are made one printable line.
 *
 * Threads: a client belongs to one thread at a time; different clients may be used at once. The
 * library has threads of its own from the first rpc_client_new on, which comes before other threads
 * and after the last fork. It is started and stopped here as well (rpc.h): rpc_start is for
 * servers.
 */
#ifndef ETCDSEAL_RPC_RPC_CLIENT_H
#define ETCDSEAL_RPC_RPC_CLIENT_H

#include "base/bytes.h"
#include "base/secret.h"

#define RPC_METADATA_MAX      8   /* of one call */
#define RPC_ADDRESSES_MAX     16  /* of one host name; more are left out */
#define RPC_HOST_CHARS_MAX    255 /* RFC 1035, 2.3.4 */
#define RPC_STATUS_TEXT_BYTES 384 /* with terminator; longer ones are cut */

/* PEM, each as one text. The library copies them to its heap for as long as the client lives. */
struct rpc_tls {
    const char *ca;   /* certificates that the server's must come from */
    const char *cert; /* of the client, and what stands between it and its CA; may be NULL */
    const struct secret *key; /* of `cert` */
};

struct rpc_client_config {
    const char *unix_path; /* NULL: host and port */
    const char *host;      /* a name or an address, IPv6 without brackets */
    uint16_t port;
    const struct rpc_tls *tls; /* NULL: plaintext. The certificate must name `host`. */
    unsigned connect_ms;       /* for each attempt to connect; 0: 5 s */
    size_t response_max;       /* bytes of one message */
};

struct rpc_client;

/* Nothing is sent yet. INPUT for a path that no socket can have, for a host that is none and for a
 * key without certificate; NOTFOUND for a name that does not resolve; NOMEM, LIMIT (response_max 0
 * or over 1 GiB). */
enum kerr rpc_client_new(const struct rpc_client_config *config, struct rpc_client **ret,
                         struct kerrinfo *e) MUST_CHECK;
void rpc_client_free(struct rpc_client *c); /* NULL is fine */
void rpc_client_free_at(struct rpc_client **c);
#define AUTO_RPC_CLIENT AUTO(rpc_client_free_at) struct rpc_client *

struct rpc_metadata {
    const char *name; /* lower case */
    struct bytes value;
};

/* One call; all of it is borrowed until the function returns. */
struct rpc_ask {
    const char *path; /* "/v2.KeyManagementService/Status" */
    struct bytes request;
    bool is_secret;      /* request or answer: every copy that is made of them here is wiped */
    bool waits;          /* until there is a connection; else it ends when connecting has failed */
    unsigned timeout_ms; /* over all of it; 0: none */
    const struct rpc_metadata *metadata;
    size_t metadata_count;
};

/* How it ended: a status of gRPC (0 … 16) and the server's or the library's words for it. What
 * never reached a server, or lost it, is UNAVAILABLE. */
struct rpc_status {
    int code;
    char text[RPC_STATUS_TEXT_BYTES];
};

/* All three return OK once the call has ended, whatever its status; an answer is there when the
 * code is 0. Else NOMEM, LIMIT for more than RPC_METADATA_MAX, INPUT for metadata that HTTP/2 can't
 * carry. */

/* `ret` must be a fresh buffer. */
enum kerr rpc_client_call(struct rpc_client *c, const struct rpc_ask *ask, struct buf *ret,
                          struct rpc_status *status, struct kerrinfo *e) MUST_CHECK;
/* The answer into locked memory; NULL for an empty one. */
enum kerr rpc_client_call_secret(struct rpc_client *c, const struct rpc_ask *ask,
                                 struct secret **ret, struct rpc_status *status,
                                 struct kerrinfo *e) MUST_CHECK;

/* Told of each message while the call goes on; it is valid until the function returns. What it
 * returns but OK ends the call, and is what rpc_client_stream returns. */
typedef enum kerr rpc_message_fn(void *ctx, struct bytes message, struct kerrinfo *e);

/* Any number of messages, so for unary calls too, whose answer then needs no copy. Messages that
 * came before a status other than 0 have been told of. */
enum kerr rpc_client_stream(struct rpc_client *c, const struct rpc_ask *ask,
                            rpc_message_fn *message, void *ctx, struct rpc_status *status,
                            struct kerrinfo *e) MUST_CHECK;

#endif
