/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/vault_link.h"

/* The first looks after a failure; a restart of the server takes a few seconds. */
#define RETRY_FIRST_MS 500

void vault_link_good(struct vault_link *l, struct vault_link_now now)
{
    *l = (struct vault_link){
        .state = VAULT_LINK_SERVING, .good_ms = now.mono_ms, .good_s = now.wall_s};
}

static bool has_lost_grace(const struct vault_link *l, struct vault_link_now now,
                           const struct config_vault *rules)
{
    uint64_t passed_ms = now.mono_ms - l->good_ms;
    uint64_t passed_s = now.wall_s > l->good_s ? now.wall_s - l->good_s : 0;
    return passed_ms >= rules->offline_grace_ms || passed_s >= rules->offline_grace_ms / 1000;
}

static bool is_refused_for_good(const struct vault_link *l, struct vault_link_now now,
                                const struct config_vault *rules)
{
    return rules->on_refused == CONFIG_ON_REFUSED_STOP && l->refusals >= VAULT_LINK_REFUSALS &&
           now.mono_ms - l->refused_ms >= VAULT_LINK_REFUSED_MS;
}

void vault_link_bad(struct vault_link *l, enum vault_cause cause, struct vault_link_now now,
                    const struct config_vault *rules)
{
    bool is_refused = vault_cause_class(cause) == VAULT_CLASS_REFUSED;
    l->cause = cause;
    l->failures++;
    if (is_refused && l->refusals == 0) {
        l->refused_ms = now.mono_ms;
    }
    l->refusals = is_refused ? l->refusals + 1 : 0;
    if (l->state == VAULT_LINK_SERVING) {
        l->state = VAULT_LINK_GRACE;
    }
    vault_link_tick(l, now, rules);
}

void vault_link_tick(struct vault_link *l, struct vault_link_now now,
                     const struct config_vault *rules)
{
    if (l->state == VAULT_LINK_GRACE &&
        (has_lost_grace(l, now, rules) || is_refused_for_good(l, now, rules))) {
        l->state = VAULT_LINK_STOPPED;
    }
}

const char *vault_link_word(enum vault_link_state s)
{
    static const char *const words[] = {"starting", "serving", "grace", "stopped"};
    return words[s];
}

uint64_t vault_link_grace_ends_s(const struct vault_link *l, const struct config_vault *rules)
{
    return l->state == VAULT_LINK_GRACE ? l->good_s + rules->offline_grace_ms / 1000 : 0;
}

uint64_t vault_link_due_ms(const struct vault_link *l, const struct config_vault *rules)
{
    if (l->failures == 0 && l->state == VAULT_LINK_SERVING) {
        return rules->poll_ms;
    }
    uint64_t due_ms = RETRY_FIRST_MS;
    for (unsigned i = 1; i < l->failures && due_ms < VAULT_LINK_RETRY_MS; i++) {
        due_ms *= 2;
    }
    due_ms = due_ms < VAULT_LINK_RETRY_MS ? due_ms : VAULT_LINK_RETRY_MS;
    return due_ms < rules->poll_ms ? due_ms : rules->poll_ms;
}
