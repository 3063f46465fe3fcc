/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small Transit engine on a unix socket, for the seal `vault`: keys by name, made when they are
 * first asked for, with real AEAD and associated data. Every token is good. What a real server does
 * is tested in tests/system.
 */
#ifndef ETCDSEAL_TESTS_UNIT_SEAL_TRANSIT_H
#define ETCDSEAL_TESTS_UNIT_SEAL_TRANSIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "crypto/aead.h"

#define TRANSIT_KEYS_MAX 4

struct transit_key {
    char name[16];
    uint8_t key[AEAD_KEY];
};

struct transit {
    char address[128]; /* "unix:/…" */
    int fd;
    pthread_t thread;
    struct transit_key keys[TRANSIT_KEYS_MAX];
    atomic_uint latest; /* version of every key, 1 at first; older ones have the same bytes */
    atomic_uint status; /* other than 0: all calls get it, */
    _Atomic(const char *) why; /* with this error */
    atomic_bool is_lying;      /* decrypts to other bytes */
    atomic_uint calls;
    char last_path[64]; /* to be read when no call runs */
};

/* `name`: of the socket in `folder`. */
void transit_start(struct transit *t, const char *folder, const char *name);
void transit_stop(struct transit *t);

#endif
