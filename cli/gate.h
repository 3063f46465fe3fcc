/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gates before commands that can make data unreadable. Pure.
 *
 * A refusal is DENIED (STATE for a key that wraps) and says what would open the gate.
 */
#ifndef ETCDSEAL_CLI_GATE_H
#define ETCDSEAL_CLI_GATE_H

#include <stdint.h>

#include "cli/daemon.h"

/* A key with which the daemon decrypted within this time is still needed. */
#define GATE_UNUSED_S ((uint64_t)7 * 24 * 3600)

/* `what`: "key" or "slot"; `confirm`: of --confirm, or NULL. */
enum kerr gate_confirmed(const char *verb, const char *what, const char *name, const char *confirm,
                         struct kerrinfo *e) MUST_CHECK;

struct gate_question {
    const char *verb; /* "disable" */
    const char *key_id;
    const char *store_id;           /* of the keystore that is to be changed */
    const char *socket;             /* for messages */
    const struct daemon_view *view; /* NULL: the daemon could not be asked, */
    const char *why;                /* because of this */
    uint64_t now_s;
};

/* Whether the daemon's memory speaks against taking the key away. */
enum kerr gate_unused(const struct gate_question *q, struct kerrinfo *e) MUST_CHECK;

/* "3 days", "2 hours", "1 minute", "5 seconds": rounded down. */
#define GATE_SPAN_BYTES 32
void gate_span(uint64_t seconds, char to[static GATE_SPAN_BYTES]);

#endif
