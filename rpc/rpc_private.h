/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the three files of this room share: rpc_server.c owns life and the loop, rpc_host.c one gRPC
 * server for one class of connections, rpc_call.c one call from its slot to its end.
 *
 * Threads. "The loop" is the thread in rpc_server_run. A call belongs to the loop while it waits
 * for a client and again once its last batch has completed; in between it belongs to whoever will
 * reply. `state` hands it over: stored with release before the last batch is started, loaded with
 * acquire when the batch has completed. Lists of hosts are under the server's lock.
 */
#ifndef ETCDSEAL_RPC_RPC_PRIVATE_H
#define ETCDSEAL_RPC_RPC_PRIVATE_H

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "rpc/rpc.h"

/* Row number of the slots for whatever is not registered. */
#define ROW_OTHER SIZE_MAX
/* Calls of one method that gRPC may hand out before the loop looks again. Those beyond wait inside
 * gRPC and are killed by a shutdown, those handed out are finished: so as many as one connection
 * may have open. */
#define SLOTS_MAX   100
#define SLOTS_OTHER 4
/* Ended call records kept for re-use. */
#define SPARES_MAX 128
/* Hosts that may be alive at once: the current classes, and those of the reloads of the last
 * seconds that still end. */
#define HOSTS_MAX (4 * RPC_CLASSES_MAX)

/* What the completion queue gives back. The number tells a stray pointer from one of ours. */
#define TAG_MAGIC UINT32_C(0x5ea1ca11)
enum tag_kind { TAG_CALL, TAG_HOST, TAG_BELL };
struct tag {
    uint32_t magic;
    enum tag_kind kind;
};

/* A connection, as far as this room looks after it: gRPC owns the socket, this is a duplicate of
 * the descriptor. */
struct connection {
    struct connection *next;
    int fd;
};

enum host_state {
    HOST_LIVE,    /* takes connections */
    HOST_LEAVING, /* clients are told to go, and still answered */
    HOST_ENDING,  /* gRPC shuts it down: no new calls */
    HOST_DOWN,    /* gRPC has ended; records of calls may still come back */
};

/* One class of connections: a gRPC server on the common queue. */
struct host {
    struct tag tag; /* first: comes back when shutdown is complete */
    struct rpc_server *owner;
    grpc_server *server;
    void *registered[RPC_METHODS_MAX]; /* NULL: the class may not call this row */
    uint32_t methods;
    size_t class_index;
    struct rpc_call *unborn; /* records for the slots, until host_start */
    size_t calls;            /* records that belong to it; the loop's, once started */
    size_t busy;             /* of those, with a client's call; the loop's */
    uint64_t last_call_ms;   /* the loop's */

    struct host *next; /* under the server's lock, as what follows */
    struct connection *connections;
    enum host_state state;
    bool has_told;         /* GOAWAY was sent */
    uint64_t told_ms;      /* monotonic, as all here */
    uint64_t leave_by_ms;  /* end of HOST_LEAVING */
    uint64_t cancel_at_ms; /* of HOST_ENDING; UINT64_MAX once done */
};

enum call_state { CALL_WAITING, CALL_HANDED, CALL_ENDING };

struct rpc_call {
    struct tag tag; /* first */
    struct rpc_call *next;
    struct host *host;
    size_t row;
    bool is_slot_owed; /* had no successor in its slot: goes back there itself */
    bool is_counted;   /* in rpc_server_in_flight */
    bool is_empty;     /* came without a message */
    _Atomic(enum call_state) state;

    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_call_details details; /* ROW_OTHER only */
    grpc_byte_buffer *payload; /* NULL when none came */
    struct bytes request;      /* in the payload, or in `joined` */
    uint8_t *joined;           /* copy of a payload of several slices */
    char *peer;
    grpc_byte_buffer *response;
    int was_cancelled;
};

struct rpc_server {
    struct rpc_server_config config;
    grpc_completion_queue *queue;
    grpc_server_credentials *credentials;
    atomic_size_t in_flight;
    atomic_uint_fast64_t last_turn_ms;
    uint64_t now_ms; /* of this turn; the loop's, as what follows */
    struct rpc_call *spares;
    size_t spare_count;
    bool is_mute; /* never ran: what still comes is refused */
    bool has_run;

    pthread_mutex_t lock; /* what follows */
    grpc_server *bell;    /* wakes the loop: see ring in rpc_server.c */
    struct tag bell_tag;
    struct host *hosts; /* all */
    size_t host_count;
    struct host *live[RPC_CLASSES_MAX]; /* by class */
    size_t live_count;
    bool is_stopping;
    bool is_over; /* the loop has ended */
};

/* rpc_host.c; all but host_new and host_start under the lock. */
/* A gRPC server that does nothing yet. */
enum kerr host_new(struct rpc_server *s, const struct rpc_class *c, size_t class_index,
                   struct host **ret, struct kerrinfo *e) MUST_CHECK;
void host_start(struct host *h);
/* Takes the socket over; on failure it stays the caller's. */
enum kerr host_add(struct host *h, int fd, struct kerrinfo *e) MUST_CHECK;
/* Clients are told to go at the next turn; what is left is cancelled `grace_ms` from now. Called
 * again it only shortens. */
void host_leave(struct host *h, uint64_t now_ms, unsigned grace_ms);
/* The next step of a host, by the loop; lowers *wake_ms to when it wants to be called again. True:
 * it has ended and can be freed. */
bool host_tend(struct host *h, uint64_t now_ms, uint64_t *wake_ms);
void host_free(struct host *h); /* one that has ended, or was never started */

/* rpc_call.c */
struct rpc_call *call_new(struct host *h, size_t row); /* NULL without memory */
void call_free(struct rpc_call *c);
void call_arm(struct rpc_call *c);                    /* makes it a slot of its host and row */
void call_event(struct rpc_call *c, bool is_success); /* by the loop */

#endif
