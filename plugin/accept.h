/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the listening socket to the rpc server: who connects, and is it HTTP/2 at all.
 *
 * accept → SO_PEERCRED against the rows of `peers` → wait until the 24 bytes with which HTTP/2
 * begins (RFC 9113, 3.4) lie in the socket, looking without taking them → hand over. A peer without
 * a row is closed before one of its bytes is looked at, and nothing that is not HTTP/2 ever reaches
 * the gRPC library. A handed-over connection is watched through a duplicate descriptor until either
 * side ends it, so that connections can be counted, capped and named in the log. Where there are
 * several rows none can hold so many that the others are shut out.
 *
 * One thread (that of the loop) uses it, but for acceptor_peer, acceptor_decrypt and
 * acceptor_counts, which any thread may call.
 */
#ifndef ETCDSEAL_PLUGIN_ACCEPT_H
#define ETCDSEAL_PLUGIN_ACCEPT_H

#include "plugin/auditors.h"
#include "plugin/loop.h"
#include "plugin/metrics.h"
#include "plugin/peers.h"

/* Time in which a peer must have sent the 24 bytes. kube-apiserver sends them at once. */
#define ACCEPT_PREFACE_MS 10000

/* Takes a connected socket over and owns it from then on, also on failure. */
typedef enum kerr accept_hand_fn(void *ctx, size_t class_index, int fd, struct kerrinfo *e);

struct acceptor_config {
    struct loop *loop;
    int listen_fd; /* borrowed: non-blocking, listening */
    size_t connections_max;
    unsigned preface_ms;
    struct metrics *metrics;
    struct auditors *auditors; /* told when a connection ends; may be NULL */
    accept_hand_fn *hand;
    void *hand_ctx;
};

struct acceptor;

/* Starts accepting. The rows are copied as far as they decide (acceptor_set_peers too). */
enum kerr acceptor_new(const struct acceptor_config *c, const struct config_peer *rows,
                       size_t count, struct acceptor **ret, struct kerrinfo *e) MUST_CHECK;
/* New rows for connections not yet handed over; those that wait are judged anew when they are. */
void acceptor_set_peers(struct acceptor *a, const struct config_peer *rows, size_t count);
/* No new connections; those that still wait for their first bytes are closed. */
void acceptor_stop(struct acceptor *a);
void acceptor_free(struct acceptor *a); /* NULL is fine */

struct acceptor_counts {
    size_t waiting; /* accepted, first bytes not there yet */
    size_t open;    /* handed over and not yet ended */
};
struct acceptor_counts acceptor_counts(struct acceptor *a);
/* Who is behind gRPC's text for a connection ("fd:12"), while a call on it begins: later the
 * descriptor may be another connection's. False when no such connection is known. */
bool acceptor_peer(struct acceptor *a, const char *rpc_peer, struct peer *ret);
/* An auditors_add_fn but for its `ctx`: adds a Decrypt call to the tally of its connection. */
void acceptor_decrypt(struct acceptor *a, uint64_t conn, const struct auditor_call *call,
                      struct auditor_seen *ret);

#endif
