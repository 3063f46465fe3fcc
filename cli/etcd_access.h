/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running etcd, asked over its API as etcdctl does: with the same options, and where none is
 * given the same variables of the environment but for passwords.
 */
#ifndef ETCDSEAL_CLI_ETCD_ACCESS_H
#define ETCDSEAL_CLI_ETCD_ACCESS_H

#include "cli/options.h"
#include "etcd/etcd.h"

struct etcd_access {
    struct etcd_config config;
    const char *endpoint; /* of the environment, which is one text */
    struct buf ca;
    struct buf cert;
    struct secret *key;
    char *user;
    struct secret *password;
    struct etcd *client;
};

/* What the options name; NULL: nothing. */
const char *etcd_access_named(const struct options *o);
/* What the environment names, for when no option does; NULL: nothing. */
const char *etcd_access_presumed(void);

/* Nothing is sent yet. `name` is one of the two; `ret`, all zero, stays where it is. Clean with
 * etcd_access_done even on failure. USAGE for options that do not fit together; codes of
 * base/file.h and etcd/etcd.h. */
enum kerr etcd_access_open(const struct options *o, const char *name, size_t answer_max,
                           struct etcd_access *ret, struct kerrinfo *e) MUST_CHECK;
void etcd_access_done(struct etcd_access *a); /* all zero is fine */

#endif
