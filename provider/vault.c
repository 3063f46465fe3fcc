/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KEKs that Vault or OpenBao wraps (mode hierarchy), or seeds that it wraps itself (mode direct).
 *
 * Calls read what the last look (vault_look.c) has published, under one lock, so current and wrap
 * can never disagree.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "provider/provider_ops.h"
#include "provider/vault_private.h"

void vaulted_current_done(struct vaulted_current *c)
{
    vault_kek_unref(c->kek);
}

bool vaulted_same_version(const struct vault_wire_version *a, const struct vault_wire_version *b)
{
    return a->epoch == b->epoch && a->number == b->number && a->created_at_s == b->created_at_s;
}

/* What a call gets for a failure of the client. */
static enum kerr call_code(enum kerr k, enum vault_cause cause)
{
    if (cause == VAULT_NONE || cause == VAULT_OURS) {
        return k; /* of this node: memory */
    }
    if (cause == VAULT_TIMEOUT) {
        return KERR_TIMEOUT;
    }
    return vault_cause_class(cause) == VAULT_CLASS_REFUSED ? KERR_DENIED : KERR_DOWN;
}

enum kerr vaulted_fail_call(enum kerr k, enum vault_cause cause, const struct kerrinfo *inner,
                            struct kerrinfo *e)
{
    return kerr_set(e, call_code(k, cause), "%s", inner->text);
}

/* Why nothing is served; under the lock. */
enum kerr vaulted_not_serving(const struct vaulted *v, struct kerrinfo *e)
{
    if (v->is_local_fault) {
        return kerr_set(e, KERR_SEALED, "%s", kerr_sentence(KERR_SEALED));
    }
    if (v->link.cause == VAULT_NONE) {
        return kerr_set(e, KERR_UNSEALING, "%s", kerr_sentence(KERR_UNSEALING));
    }
    bool is_refused = vault_cause_class(v->link.cause) == VAULT_CLASS_REFUSED;
    return kerr_set(e, is_refused ? KERR_DENIED : KERR_DOWN, "the key service: %s",
                    vault_cause_sentence(v->link.cause));
}

enum kerr vaulted_take_current(struct vaulted *v, struct vaulted_current *ret, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    (void)pthread_mutex_lock(&v->lock);
    if (v->current.version.number == 0) {
        k = vaulted_not_serving(v, e);
    } else {
        *ret = v->current;
        ret->kek = v->current.kek == NULL ? NULL : vault_kek_ref(v->current.kek);
    }
    (void)pthread_mutex_unlock(&v->lock);
    return k;
}

enum kerr vaulted_unauthentic(struct kerrinfo *e)
{
    return kerr_set(e, KERR_INTEGRITY, "authentication failed");
}

static enum kerr vault_current(void *ctx, char *to, const char **ret_health, struct kerrinfo *e)
{
    struct vaulted *v = ctx;
    enum kerr k = KERR_OK;
    (void)pthread_mutex_lock(&v->lock);
    if (v->current.version.number == 0) {
        k = vaulted_not_serving(v, e);
    } else {
        (void)snprintf(to, PROVIDER_KEY_ID_MAX + 1, "%s", v->current.key_id);
        bool is_without = v->link.state == VAULT_LINK_GRACE || v->choice.cause == VAULT_KEY_CHANGED;
        *ret_health = is_without ? v->mode->health_without : "ok";
    }
    (void)pthread_mutex_unlock(&v->lock);
    return k;
}

static enum kerr vault_wrap(void *ctx, const struct provider_turn *turn, struct bytes plaintext,
                            struct provider_wrapped *ret, struct kerrinfo *e)
{
    struct vaulted *v = ctx;
    AUTO_CURRENT c = {.kek = NULL};
    enum kerr k = vaulted_take_current(v, &c, e);
    k = k == KERR_OK ? v->mode->wrap(v, turn, &c, plaintext, ret, e) : k;
    if (k == KERR_OK) {
        (void)snprintf(ret->key_id, sizeof ret->key_id, "%s", c.key_id);
    }
    return k;
}

/* ---- what people see ---- */

static bool vault_watch(const void *ctx, const char **ret_folder, const char **ret_name)
{
    (void)ctx;
    (void)ret_folder;
    (void)ret_name;
    return false;
}

static bool vault_due(void *ctx, uint64_t *ret_ms)
{
    struct vaulted *v = ctx;
    uint64_t now_ms = clock_mono_ms();
    (void)pthread_mutex_lock(&v->lock);
    uint64_t due_ms = vault_link_due_ms(&v->link, v->config);
    uint64_t token_ms = v->token_due_ms > now_ms ? v->token_due_ms - now_ms : 0;
    if (v->is_local_fault) {
        due_ms = VAULT_LINK_RETRY_MS; /* a person must act: no haste, and no calls for nothing */
    } else if (v->link.failures == 0 && token_ms < due_ms) {
        due_ms = token_ms;
    }
    (void)pthread_mutex_unlock(&v->lock);
    *ret_ms = due_ms;
    return true;
}

/* Under the lock. */
static void put_version(const struct vaulted *v, const struct vault_version *version,
                        struct provider_info *ret)
{
    const struct vault_wire_version wire = {.epoch = v->current.version.epoch,
                                            .number = version->number,
                                            .created_at_s = version->created_at_s};
    if (ret->key_count == PROVIDER_INFO_KEYS) {
        return;
    }
    struct provider_key *to = &ret->keys[ret->key_count++];
    vault_wire_key_id(v->config, &wire, to->id);
    to->version = version->number;
    to->created_at_s = version->created_at_s;
    to->state = version->number == v->current.version.number  ? "primary"
                : version->number > v->current.version.number ? "staged"
                : version->number < v->key.min_decryption     ? "disabled"
                                                              : "retired";
    to->promoted_at_s = version->number == v->current.version.number ? version->created_at_s : 0;
}

/* Under the lock. Newest first, as many as are shown. */
static void put_keys(const struct vaulted *v, struct provider_info *ret)
{
    for (size_t i = v->key.version_count; i > 0; i--) {
        put_version(v, &v->key.versions[i - 1], ret);
    }
    for (size_t i = v->fallen_count; i > 0; i--) {
        put_version(v, &v->fallen[i - 1], ret);
    }
}

static void put_remote(const struct vaulted *v, const struct vault_info *client,
                       struct provider_remote *ret)
{
    struct vault_keks_counts keks = vault_keks_counts(v->keks);
    *ret = (struct provider_remote){
        .is_there = true,
        .mode = v->mode->name,
        .state = vault_link_word(v->link.state),
        .cause = vault_cause_word(v->link.cause),
        .meaning = vault_cause_sentence(v->link.cause),
        .cure = vault_cause_cure(v->link.cause),
        .last_answer_s = v->link.good_s,
        .grace_ends_s = vault_link_grace_ends_s(&v->link, v->config),
        .version = v->current.version.number,
        .pending_version = v->choice.pending,
        .pending_at_s = v->choice.pending == 0 ? 0 : v->choice.pending_at_s,
        .min_version = v->key.min_decryption,
        .token_ends_at_s = client->token_ends_at_s,
        .login_cause = vault_cause_word(client->login_cause),
        .calls = client->calls,
        .failures = client->failures,
        .logins = client->logins,
        .renewals = client->renewals,
        .keks_cached = keks.cached,
        .kek_made_at_s = v->kek_made_at_s,
        .kek_uses = v->state.uses + atomic_load(&v->uses),
        .unknown_refused = keks.refused,
    };
    memcpy(ret->address, client->address, sizeof ret->address);
}

static void vault_info_op(void *ctx, struct provider_info *ret)
{
    struct vaulted *v = ctx;
    struct vault_info client;
    vault_info(v->client, &client);
    (void)pthread_mutex_lock(&v->lock);
    put_remote(v, &client, &ret->remote);
    memcpy(ret->warning, v->warning, sizeof ret->warning);
    (void)snprintf(ret->store_id, sizeof ret->store_id, "%s", v->config->cluster_id);
    ret->is_serving = v->current.version.number > 0;
    ret->is_sealed_final =
        !ret->is_serving &&
        (v->is_local_fault || vault_cause_class(v->link.cause) == VAULT_CLASS_REFUSED);
    if (ret->is_serving) {
        const struct vault_version *version = vault_key_version(&v->key, v->current.version.number);
        ret->generation = v->current.version.number;
        ret->loaded_at_s = v->loaded_at_s;
        ret->primary_created_at_s = version == NULL ? 0 : version->created_at_s;
        /* Not when this process began with it: what is as old as the version must look so after a
         * restart too. Between the two lies the activation delay. */
        ret->primary_promoted_at_s = ret->primary_created_at_s;
        (void)snprintf(ret->current_key_id, sizeof ret->current_key_id, "%s", v->current.key_id);
        (void)snprintf(ret->opened_by, sizeof ret->opened_by, "vault (%s)", v->mode->name);
        put_keys(v, ret);
    }
    (void)pthread_mutex_unlock(&v->lock);
}

/* ---- life ---- */

static enum kerr vault_open_op(void *ctx, const struct config *config, struct kerrinfo *e)
{
    struct vaulted *v = ctx;
    if (config->vault.key == NULL || config->vault.cluster_id == NULL) {
        return kerr_set(e, KERR_CONFIG,
                        "%s: provider vault needs the section vault with cluster_id", config->file);
    }
    v->config = &config->vault;
    v->mode = &vaulted_modes[config->vault.mode];
    if (pthread_mutex_init(&v->lock, NULL) != 0 || pthread_mutex_init(&v->learning, NULL) != 0) {
        return kerr_set(e, KERR_NOMEM, "no memory for a lock");
    }
    v->has_lock = true;
    bucket_init(&v->learn, LEARN_RATE, LEARN_BURST, clock_mono_ms());
    enum kerr k = vault_keks_new(&v->keks, e);
    return k == KERR_OK ? vault_open(v->config, &v->client, e) : k;
}

static void vault_close_op(void *ctx)
{
    struct vaulted *v = ctx;
    vault_kek_unref(v->current.kek);
    vault_keks_free(v->keks);
    vault_key_done(&v->key);
    vault_close(v->client);
    if (v->has_lock) {
        (void)pthread_mutex_destroy(&v->lock);
        (void)pthread_mutex_destroy(&v->learning);
    }
}

const struct provider_ops provider_vault = {
    .name = "vault",
    .key_prefix = VAULT_WIRE_PREFIX,
    .kind = CONFIG_PROVIDER_VAULT,
    .may_wait = true,
    .ctx_bytes = sizeof(struct vaulted),
    .open = vault_open_op,
    .close = vault_close_op,
    .refresh = vaulted_refresh,
    .watch = vault_watch,
    .due = vault_due,
    .info = vault_info_op,
    .current = vault_current,
    .wrap = vault_wrap,
    .unwrap = vaulted_unwrap,
};
