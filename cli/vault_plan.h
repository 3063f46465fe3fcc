/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which versions of a Transit key are still needed, as far as the daemon's memory and a snapshot of
 * etcd say, and whether min_decryption_version may rise. Pure.
 *
 * What proves need: it wraps or soon will, a stored value names it, the daemon has decrypted with
 * it lately. What proves that there is none: only a snapshot, and only for what is in it.
 */
#ifndef ETCDSEAL_CLI_VAULT_PLAN_H
#define ETCDSEAL_CLI_VAULT_PLAN_H

#include "cli/daemon.h"

#define VAULT_PLAN_VERSIONS_MAX 256 /* as many as the daemon shows */
/* kube-apiserver writes with the former key id for up to three minutes after a change. */
#define VAULT_PLAN_SETTLED_S 300

enum vault_plan_need { VAULT_PLAN_UNKNOWN, VAULT_PLAN_NEEDED, VAULT_PLAN_UNUSED };
extern const char *const vault_plan_needs[]; /* "unknown", "yes", "no" */

struct vault_plan_version {
    struct daemon_key key;
    const char *state; /* "primary", "pending", "retired", "below minimum": static */
    uint64_t objects;  /* values of the snapshot under its key id */
    enum vault_plan_need need;
    const char *why; /* static */
};

struct vault_plan {
    uint64_t min_version;
    uint64_t loaded_at_s; /* when the daemon went over to what wraps now */
    uint64_t now_s;
    bool has_snapshot;
    uint64_t strange_objects; /* values of the snapshot under our key ids, but of no version here */
    struct vault_plan_version versions[VAULT_PLAN_VERSIONS_MAX]; /* newest first */
    size_t count;
    uint64_t may_rise_to; /* 0: no higher */
    const char *why;      /* static: why it may, or may not */
};

/* Takes the versions of the daemon's page over; its texts. False when it shows none. */
bool vault_plan_read(struct vault_plan *p, const struct daemon_view *v,
                     const struct daemon_service *s);
/* Counts `objects` values under a key id of a snapshot. */
void vault_plan_count(struct vault_plan *p, struct bytes key_id, uint64_t objects);
/* Fills need and why. */
void vault_plan_judge(struct vault_plan *p);

#endif
