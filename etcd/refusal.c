/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd/refusal.h"

#include <string.h>

/* Statuses: https://github.com/grpc/grpc/blob/master/doc/statuscodes.md; words: etcd's
 * v3rpc/rpctypes/error.go. The first row that fits counts. */
static const struct refusal rows[] = {
    {3, "user name is empty", REFUSAL_FINAL, KERR_DENIED,
     "; this etcd asks who reads: name a user with --user, or a client certificate with --cert and "
     "--key"},
    {3, "invalid user ID or password", REFUSAL_FINAL, KERR_DENIED,
     "; the user or its password is wrong"},
    {3, "auth store is old", REFUSAL_LOGIN, KERR_BUSY, ""},
    {4, NULL, REFUSAL_OTHER, KERR_TIMEOUT, ""},
    {7, NULL, REFUSAL_FINAL, KERR_DENIED,
     "; name with --prefix what the user may read, or let him read it: 'etcdctl role "
     "grant-permission ROLE --prefix=true read /registry/'"},
    {8, "larger than max", REFUSAL_FINAL, KERR_LIMIT, ""},
    {8, "Buffers full", REFUSAL_FINAL, KERR_LIMIT, "; too large for the memory of a connection"},
    {8, NULL, REFUSAL_OTHER, KERR_BUSY, ""},
    {9, "authentication is not enabled", REFUSAL_FINAL, KERR_STATE, ""},
    {11, "compacted", REFUSAL_FINAL, KERR_NOTFOUND, ""},
    {11, "future", REFUSAL_OTHER, KERR_BUSY, "; this member lags behind"},
    {12, NULL, REFUSAL_FINAL, KERR_UNSUP, ""},
    {14, "certificate verify failed", REFUSAL_OTHER, KERR_DOWN,
     "; its certificate is not from the CA in --cacert, or is out of date"},
    {14, "andshake", REFUSAL_OTHER, KERR_DOWN, "; does it speak TLS there?"},
    {14, "Endpoint read failed", REFUSAL_OTHER, KERR_DOWN,
     "; it ended the connection: does it want a client certificate (--cert and --key) of another "
     "CA?"},
    {14, "Socket closed", REFUSAL_OTHER, KERR_DOWN,
     "; it ended the connection: does one side speak TLS and the other not?"},
    {14, "empty address list", REFUSAL_FINAL, KERR_INPUT,
     "; the files of --cacert, --cert and --key do not hold certificates and the key of one"},
    {14, NULL, REFUSAL_OTHER, KERR_DOWN, ""},
    {15, NULL, REFUSAL_FINAL, KERR_FORMAT, ""},
    {16, NULL, REFUSAL_LOGIN, KERR_DENIED, ""},
};
static const struct refusal other = {-1, NULL, REFUSAL_FINAL, KERR_IO, ""};

const struct refusal *refusal_of(const struct rpc_status *status)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].status == status->code &&
            (rows[i].words == NULL || strstr(status->text, rows[i].words) != NULL)) {
            return &rows[i];
        }
    }
    return &other;
}
