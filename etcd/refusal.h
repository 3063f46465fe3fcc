/* SPDX-License-Identifier: Apache-2.0 */
/* How etcd and gRPC say no, and what follows from it. Pure. */
#ifndef ETCDSEAL_ETCD_REFUSAL_H
#define ETCDSEAL_ETCD_REFUSAL_H

#include "base/kerr.h"
#include "rpc/rpc_client.h"

enum refusal_next {
    REFUSAL_FINAL,
    REFUSAL_OTHER, /* another endpoint may do it, or this one later */
    REFUSAL_LOGIN, /* with a new token */
};

struct refusal {
    int status;        /* of gRPC */
    const char *words; /* in its text; NULL: any */
    enum refusal_next next;
    enum kerr code;
    const char *hint; /* what to do about it; "": the text says it */
};

/* Of a status other than OK; never NULL. */
const struct refusal *refusal_of(const struct rpc_status *status);

#endif
