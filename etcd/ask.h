/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls of etcd.h are made of: one question to the endpoints. Private to etcd. */
#ifndef ETCDSEAL_ETCD_ASK_H
#define ETCDSEAL_ETCD_ASK_H

#include "etcd/endpoint.h"
#include "etcd/etcd.h"
#include "rpc/rpc_client.h"

struct etcd {
    const struct etcd_config *config;
    struct rpc_tls tls;
    struct endpoint endpoints[ETCD_ENDPOINTS_MAX];
    struct rpc_client *clients[ETCD_ENDPOINTS_MAX]; /* NULL: not used yet */
    size_t count;
    size_t current;
    bool has_answered; /* any of them, ever */
    bool needs_login;
    bool is_kine;         /* what answered the last status: it knows only linearizable reads */
    struct secret *token; /* NULL: none */
};

/* What is asked; the answer's messages go to `take`. */
struct question {
    const char *path;
    struct bytes request;
    bool is_secret;
    bool is_for_one;    /* of the endpoints: no other one is asked instead */
    bool has_messages;  /* some were told of: it is not asked again */
    const char *denied; /* what to do where etcd does not permit it; NULL: as for a range */
    unsigned timeout_ms;
    rpc_message_fn *take;
    void *ctx;
};

/* Asks one endpoint after the other until one has answered. */
enum kerr etcd_ask(struct etcd *c, struct question *q, bool with_token,
                   struct kerrinfo *e) MUST_CHECK;

#endif
