/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KEKs from the sealed local keystore.
 *
 * Calls take a reference to the keyring under a mutex and work on it without; refresh opens the
 * keystore beside and swaps the pointer. So a call that begins after any answer with a new key id
 * sees the new keyring: taking the reference and the swap have one order.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "keystore/keyring.h"
#include "keystore/ks_backup.h"
#include "provider/envelope.h"
#include "provider/provider_ops.h"

_Static_assert(KS_LIVE_KEYS_MAX <= PROVIDER_INFO_KEYS, "every key that is not destroyed is shown");

struct local {
    pthread_mutex_t lock; /* guards what follows, up to the place */
    bool has_lock;
    struct keyring *ring;  /* NULL until the first success */
    enum kerr not_serving; /* UNSEALING or SEALED while ring is NULL */
    uint64_t loaded_at_s;
    char opened_by[64];
    char warning[KERRINFO_TEXT_MAX];
    struct provider_backup backup;
    /* Only the refreshing thread uses what follows. */
    struct ks_place place;
    struct seal_spec specs[CONFIG_SLOTS_MAX];
    struct ks *opened;
    char *folder;
    char *name;
};

static enum kerr parse_unseal(struct local *l, const struct config *config, struct kerrinfo *e)
{
    for (size_t i = 0; i < config->unseal_count; i++) {
        AUTO_BUF text;
        const char *spec;
        buf_init(&text, 4096);
        enum kerr k = buf_printf(&text, e, "%s=%s", config->unseal[i].slot, config->unseal[i].spec);
        if (k == KERR_OK) {
            k = buf_text(&text, &spec, e);
        }
        if (k == KERR_OK) {
            k = seal_spec_parse(spec, &l->specs[i], e);
        }
        if (k != KERR_OK) {
            kerr_prefix(e, "%s: keystore.unseal", config->file);
            return KERR_CONFIG;
        }
        l->place.spec_count = i + 1;
    }
    return KERR_OK;
}

static enum kerr local_open(void *ctx, const struct config *config, struct kerrinfo *e)
{
    struct local *l = ctx;
    l->not_serving = KERR_UNSEALING;
    l->place = (struct ks_place){.path = config->keystore_path, .specs = l->specs};
    if (pthread_mutex_init(&l->lock, NULL) != 0) {
        return kerr_set(e, KERR_NOMEM, "no memory for a lock");
    }
    l->has_lock = true;
    enum kerr k = parse_unseal(l, config, e);
    if (k == KERR_OK) {
        k = file_split(config->keystore_path, &l->folder, &l->name, e);
    }
    return k;
}

static void local_close(void *ctx)
{
    struct local *l = ctx;
    keyring_unref(l->ring);
    ks_close(l->opened);
    for (size_t i = 0; i < l->place.spec_count; i++) {
        seal_spec_done(&l->specs[i]);
    }
    free(l->folder);
    free(l->name);
    if (l->has_lock) {
        (void)pthread_mutex_destroy(&l->lock);
    }
}

/* Wraps and unwraps random bytes with the primary key of a keyring that is not serving yet. */
static enum kerr self_test(const struct keyring *ring, struct kerrinfo *e)
{
    const struct keyring_key *key = keyring_primary(ring);
    uint8_t plain[32];
    uint8_t wrapped[sizeof plain + SUITE_OVERHEAD_MAX];
    size_t len = 0;
    AUTO_SECRET back = NULL;
    random_fill(plain, sizeof plain);
    enum kerr k = suite_wrap(key->suite, key->subkeys, bytes_of_text("self-test"), BYTES_OF(plain),
                             wrapped, &len, e);
    if (k == KERR_OK) {
        k = suite_unwrap(key->suite, key->subkeys, bytes_of_text("self-test"),
                         bytes_of(wrapped, len), &back, e);
    }
    if (k == KERR_OK && !bytes_equal(secret_view(back), BYTES_OF(plain))) {
        k = kerr_set(e, KERR_BUG, "unwrapped bytes are not those that were wrapped");
    }
    if (k != KERR_OK) {
        kerr_prefix(e, "self-test of key %s", key->id);
    }
    return k;
}

static void swap_in(struct local *l, struct keyring *ring, const char *opened_by)
{
    (void)pthread_mutex_lock(&l->lock);
    struct keyring *old = l->ring;
    l->ring = ring;
    l->loaded_at_s = clock_wall_s();
    (void)snprintf(l->opened_by, sizeof l->opened_by, "%s", opened_by);
    (void)pthread_mutex_unlock(&l->lock);
    keyring_unref(old);
}

static enum kerr load(struct local *l, struct kerrinfo *e)
{
    AUTO_KS ks = NULL;
    AUTO_KEYRING ring = NULL;
    enum kerr k = ks_open(&l->place, l->opened, &ks, e);
    if (k == KERR_OK) {
        k = keyring_new(ks_model(ks), &ring, e);
    }
    if (k == KERR_OK) {
        k = self_test(ring, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    char opened_by[64];
    const struct ks_slot *slot = ks_opened_by(ks);
    (void)snprintf(opened_by, sizeof opened_by, "%s (%s)", slot->name,
                   seal_kind_name(slot->seal.kind));
    swap_in(l, ring, opened_by);
    ring = NULL;
    ks_close(l->opened);
    l->opened = ks;
    ks = NULL;
    return KERR_OK;
}

/* A full disk or a read-only folder must not keep a good keystore from being served: the process
 * itself believes nothing older meanwhile, and the next refresh tries again. */
static void remember(struct local *l)
{
    struct kerrinfo e = {0};
    if (ks_remember(&l->place, l->opened, &e) != KERR_OK) {
        kerr_prefix(&e, "what this node accepted could not be written down, so a restart would "
                        "believe an older keystore");
    }
    (void)pthread_mutex_lock(&l->lock);
    memcpy(l->warning, e.text, sizeof l->warning);
    (void)pthread_mutex_unlock(&l->lock);
}

/* A record that cannot be read is none: the next backup writes a good one. */
static void look_at_backup(struct local *l)
{
    struct ks_backup_record r;
    struct provider_backup backup = {0};
    bool is_known = ks_backup_record_read(l->place.path, &r, NULL) == KERR_OK &&
                    memcmp(r.store_id, ks_model(l->opened)->store_id, KS_ID_BYTES) == 0;
    if (is_known) {
        backup.generation = r.generation;
        backup.at_s = r.at_s;
        text_hex(BYTES_OF(r.hash), backup.sha256);
    }
    backup.keys_missing = ks_backup_missing(ks_model(l->opened), is_known ? &r : NULL);
    (void)pthread_mutex_lock(&l->lock);
    l->backup = backup;
    (void)pthread_mutex_unlock(&l->lock);
}

static enum kerr local_refresh(void *ctx, bool *ret_changed, struct kerrinfo *e)
{
    struct local *l = ctx;
    bool is_current = false;
    enum kerr k = KERR_OK;
    if (l->opened != NULL) {
        k = ks_is_current(&l->place, l->opened, &is_current, e);
    }
    if (k == KERR_OK && !is_current) {
        k = load(l, e);
    }
    (void)pthread_mutex_lock(&l->lock);
    bool may_heal = k == KERR_IO || kerr_may_retry(k);
    l->not_serving = may_heal ? KERR_UNSEALING : KERR_SEALED;
    (void)pthread_mutex_unlock(&l->lock);
    if (k == KERR_OK) {
        remember(l);
        look_at_backup(l);
        *ret_changed = !is_current;
    }
    return k;
}

static bool local_watch(const void *ctx, const char **ret_folder, const char **ret_name)
{
    const struct local *l = ctx;
    *ret_folder = l->folder;
    *ret_name = l->name;
    return true;
}

/* A reference to the keyring that serves now, or the code that says why there is none. */
static enum kerr take_ring(struct local *l, struct keyring **ret, struct kerrinfo *e)
{
    (void)pthread_mutex_lock(&l->lock);
    struct keyring *ring = l->ring == NULL ? NULL : keyring_ref(l->ring);
    enum kerr code = l->not_serving;
    (void)pthread_mutex_unlock(&l->lock);
    if (ring == NULL) {
        return kerr_set(e, code, "%s", kerr_sentence(code));
    }
    *ret = ring;
    return KERR_OK;
}

static void local_info(void *ctx, struct provider_info *ret)
{
    struct local *l = ctx;
    AUTO_KEYRING ring = NULL;
    (void)pthread_mutex_lock(&l->lock);
    ring = l->ring == NULL ? NULL : keyring_ref(l->ring);
    ret->is_sealed_final = ring == NULL && l->not_serving == KERR_SEALED;
    ret->loaded_at_s = l->loaded_at_s;
    memcpy(ret->opened_by, l->opened_by, sizeof ret->opened_by);
    memcpy(ret->warning, l->warning, sizeof ret->warning);
    ret->backup = l->backup;
    (void)pthread_mutex_unlock(&l->lock);
    if (ring == NULL) {
        return;
    }
    ret->is_serving = true;
    ret->keeps_backup = true;
    ret->slots_opened = 1;
    text_uuid(keyring_store_id(ring), ret->store_id);
    ret->generation = keyring_generation(ring);
    (void)snprintf(ret->current_key_id, sizeof ret->current_key_id, "%s",
                   keyring_primary(ring)->id);
    ret->primary_created_at_s = keyring_primary(ring)->created_at_s;
    ret->primary_promoted_at_s = keyring_primary(ring)->promoted_at_s;
    for (size_t i = 0; i < keyring_count(ring); i++) {
        const struct keyring_key *key = keyring_at(ring, i);
        if (key->state == KS_DESTROYED || ret->key_count == PROVIDER_INFO_KEYS) {
            continue;
        }
        struct provider_key *to = &ret->keys[ret->key_count++];
        (void)snprintf(to->id, sizeof to->id, "%s", key->id);
        to->state = ks_state_name(key->state);
        to->created_at_s = key->created_at_s;
        to->promoted_at_s = key->promoted_at_s;
    }
}

static bool local_due(void *ctx, uint64_t *ret_ms)
{
    (void)ctx;
    (void)ret_ms;
    return false; /* keystore.poll and the watch do */
}

static enum kerr local_current(void *ctx, char *to, const char **ret_health, struct kerrinfo *e)
{
    (void)ret_health;
    AUTO_KEYRING ring = NULL;
    enum kerr k = take_ring(ctx, &ring, e);
    if (k == KERR_OK) {
        (void)snprintf(to, PROVIDER_KEY_ID_MAX + 1, "%s", keyring_primary(ring)->id);
    }
    return k;
}

static enum kerr local_wrap(void *ctx, const struct provider_turn *turn, struct bytes plaintext,
                            struct provider_wrapped *ret, struct kerrinfo *e)
{
    (void)turn;
    static const struct provider_annotations none;
    AUTO_KEYRING ring = NULL;
    AUTO_BUF aad = {0};
    enum kerr k = take_ring(ctx, &ring, e);
    if (k != KERR_OK) {
        return k;
    }
    const struct keyring_key *key = keyring_primary(ring);
    k = envelope_aad(key->suite, bytes_of(keyring_store_id(ring), KS_ID_BYTES),
                     bytes_of_text(key->id), &none, &aad, e);
    if (k == KERR_OK) {
        k = suite_wrap(key->suite, key->subkeys, buf_view(&aad), plaintext, ret->ciphertext,
                       &ret->ciphertext_len, e);
    }
    if (k == KERR_OK) {
        (void)snprintf(ret->key_id, sizeof ret->key_id, "%s", key->id);
    }
    return k;
}

static enum kerr local_unwrap(void *ctx, const struct provider_turn *turn, struct bytes key_id,
                              struct bytes ciphertext,
                              const struct provider_annotations *annotations, struct secret **ret,
                              const char **ret_state, struct kerrinfo *e)
{
    (void)turn;
    AUTO_KEYRING ring = NULL;
    AUTO_BUF aad = {0};
    enum kerr k = take_ring(ctx, &ring, e);
    if (k != KERR_OK) {
        return k;
    }
    const struct keyring_key *key = keyring_find(ring, key_id);
    if (key == NULL) {
        return kerr_set(e, KERR_KEYID, "no key of this id in the keystore");
    }
    *ret_state = ks_state_name(key->state);
    if (key->subkeys == NULL) {
        return kerr_set(e, KERR_STATE, "key %s is %s", key->id, *ret_state);
    }
    k = envelope_aad(key->suite, bytes_of(keyring_store_id(ring), KS_ID_BYTES), key_id, annotations,
                     &aad, e);
    return k == KERR_OK ? suite_unwrap(key->suite, key->subkeys, buf_view(&aad), ciphertext, ret, e)
                        : k;
}

const struct provider_ops provider_local = {
    .name = "local",
    .key_prefix = "es1-",
    .kind = CONFIG_PROVIDER_LOCAL,
    .ctx_bytes = sizeof(struct local),
    .open = local_open,
    .close = local_close,
    .refresh = local_refresh,
    .watch = local_watch,
    .due = local_due,
    .info = local_info,
    .current = local_current,
    .wrap = local_wrap,
    .unwrap = local_unwrap,
};
