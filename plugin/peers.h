/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may call what: the rows of `peers` in the configuration against the credentials that the
 * kernel recorded when a peer connected. Pure.
 *
 * Each row is one class of the rpc server, with the row's number. The first row that fits decides.
 * A gid row fits the peer's primary group only: SO_PEERCRED holds no others.
 */
#ifndef ETCDSEAL_PLUGIN_PEERS_H
#define ETCDSEAL_PLUGIN_PEERS_H

#include <sys/types.h>

#include "config/config.h"
#include "rpc/rpc.h"

_Static_assert(CONFIG_PEERS_MAX <= RPC_CLASSES_MAX, "each row of peers is one class");

struct peer {
    pid_t pid; /* for the log only: it may have ended, or be another process by now */
    uid_t uid;
    gid_t gid;
    uint64_t conn; /* its connection's number, which no other ever has; 0: not known */
};

/* What the kernel says for a uid that has no number in our user namespace: stands for anybody. */
#define PEER_UID_UNMAPPED 65534U

/* True and the row's number, or false: refused. An unmapped uid or gid fits no row. */
bool peers_class(const struct config_peer *rows, size_t count, const struct peer *peer,
                 size_t *ret);
/* The rows as classes, in the same order. `to` holds CONFIG_PEERS_MAX. */
void peers_to_classes(const struct config_peer *rows, size_t count, struct rpc_class *to);
/* True when both lists give every peer the same class with the same methods, so that connections
 * need not be closed. Notes and rates may differ. */
bool peers_same_rights(const struct config_peer *a, size_t a_count, const struct config_peer *b,
                       size_t b_count);

#endif
