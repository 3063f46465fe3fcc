/* SPDX-License-Identifier: Apache-2.0 */
/* What rpc_client.c (life, and where to) and rpc_client_call.c (one call) share. */
#ifndef ETCDSEAL_RPC_RPC_CLIENT_PRIVATE_H
#define ETCDSEAL_RPC_RPC_CLIENT_PRIVATE_H

#include <grpc/grpc.h>

#include "rpc/rpc_client.h"

struct rpc_client {
    grpc_channel *channel;
    grpc_completion_queue *queue; /* plucked by the one thread that calls */
    size_t response_max;
    struct buf joined; /* room for a message that came in pieces; kept for the next */
};

#endif
