/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server that speaks as much of Vault as the client of room vault asks for, on a unix socket. Its
 * answers can be replaced path by path, as no real server would give them on demand.
 *
 * Logins give the tokens "token-1", "token-2", …; `oldest` is the first that is good.
 */
#ifndef ETCDSEAL_TESTS_UNIT_VAULT_FAKE_H
#define ETCDSEAL_TESTS_UNIT_VAULT_FAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#define FAKE_CONNECTIONS_MAX 256
#define FAKE_RULES_MAX       8
#define FAKE_TEXT_MAX        32768

struct fake_rule {
    const char *path; /* behind /v1/, without query */
    unsigned status;  /* 0: `text` is sent as it is and the connection closed */
    const char *text; /* body */
    unsigned times;   /* then the rule is gone; 0: it stays */
    unsigned wait_ms;
};

struct fake {
    char address[128]; /* "unix:/…" */
    int fd;
    pthread_t thread;
    pthread_mutex_t lock; /* of what is not atomic */
    pthread_t threads[FAKE_CONNECTIONS_MAX];
    int fds[FAKE_CONNECTIONS_MAX];
    size_t connections;
    struct fake_rule rules[FAKE_RULES_MAX];
    size_t rule_count;
    atomic_uint logins; /* tokens given */
    atomic_uint oldest; /* lower numbers are refused */
    atomic_uint ttl_s;  /* of tokens */
    atomic_uint renewed_ttl_s;
    atomic_uint requests;
    atomic_uint renewals;
    char last[FAKE_TEXT_MAX]; /* the last request, whole; to be read when none runs */
};

/* `name`: of the socket in `folder`. */
void fake_start(struct fake *f, const char *folder, const char *name);
/* Serves a listening socket, which it closes; `address` stays empty. */
void fake_start_on(struct fake *f, int fd);
void fake_stop(struct fake *f);
void fake_rule(struct fake *f, struct fake_rule rule);
void fake_forget_rules(struct fake *f);

#endif
