/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as gRPC C core takes them. Private to rpc. */
#ifndef ETCDSEAL_RPC_RPC_MESSAGE_H
#define ETCDSEAL_RPC_RPC_MESSAGE_H

#include <grpc/grpc.h>

#include "base/bytes.h"

/* A copy, which the library frees when it has sent it, wiped before when it is secret; to be ended
 * with grpc_byte_buffer_destroy. NULL without memory. */
grpc_byte_buffer *rpc_message_copy(struct bytes message, bool is_secret);

#endif
