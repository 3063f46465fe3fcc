/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How it stands between this node and its key service: a pure state machine fed with the outcome of
 * each look. Plain struct; the owner locks.
 *
 *     state       look is good   UNREACHABLE    REFUSED
 *     STARTING    SERVING        STARTING       STARTING
 *     SERVING     SERVING        as in GRACE    as in GRACE
 *     GRACE       SERVING        GRACE (1)      GRACE (2)
 *     STOPPED     SERVING        STOPPED        STOPPED
 *
 *     (1) STOPPED when offline_grace has passed, by either clock.
 *     (2) STOPPED when seen VAULT_LINK_REFUSALS times in a row over at least VAULT_LINK_REFUSED_MS;
 *         with on_refused: grace, or when offline_grace has passed before that, as (1).
 *
 * In STARTING and STOPPED there are no keys in memory. Time counts from the last good look.
 */
#ifndef ETCDSEAL_PROVIDER_VAULT_LINK_H
#define ETCDSEAL_PROVIDER_VAULT_LINK_H

#include "config/config.h"
#include "vault/vault.h"

/* One refusal may be a slip of a hand that is taken back at once. */
#define VAULT_LINK_REFUSALS   3
#define VAULT_LINK_REFUSED_MS 10000

enum vault_link_state {
    VAULT_LINK_STARTING,
    VAULT_LINK_SERVING,
    VAULT_LINK_GRACE,
    VAULT_LINK_STOPPED,
};

struct vault_link {
    enum vault_link_state state;
    enum vault_cause cause; /* of the last look; NONE when it was good */
    uint64_t good_ms;       /* the last good look, monotonic */
    uint64_t good_s;        /* and wall time; 0: never */
    unsigned failures;      /* in a row */
    unsigned refusals;      /* in a row */
    uint64_t refused_ms;    /* the first of them */
};

struct vault_link_now {
    uint64_t mono_ms;
    uint64_t wall_s;
};

void vault_link_good(struct vault_link *l, struct vault_link_now now);
/* `cause` is of class UNREACHABLE or REFUSED. */
void vault_link_bad(struct vault_link *l, enum vault_cause cause, struct vault_link_now now,
                    const struct config_vault *rules);
/* Ends the grace when its time has come without any look having ended. */
void vault_link_tick(struct vault_link *l, struct vault_link_now now,
                     const struct config_vault *rules);

const char *vault_link_word(enum vault_link_state s); /* "grace": static */
/* Wall time at which the grace ends; 0 while none runs. */
uint64_t vault_link_grace_ends_s(const struct vault_link *l, const struct config_vault *rules);
/* Milliseconds until the next look: the poll while all is well, soon and then every
 * VAULT_LINK_RETRY_MS while it is not. */
#define VAULT_LINK_RETRY_MS 5000
uint64_t vault_link_due_ms(const struct vault_link *l, const struct config_vault *rules);

#endif
