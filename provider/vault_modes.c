/* SPDX-License-Identifier: Apache-2.0 */
/* The table of modes, and what each does. */
#include <string.h>

#include "base/clock.h"
#include "provider/envelope.h"
#include "provider/vault_private.h"

/* ---- mode hierarchy ---- */

/* Decrypts a wrapped KEK. */
enum kerr vaulted_unwrap_kek(struct vaulted *v, struct vault_try *t, const char *key_id,
                             struct bytes annotation, struct vault_kek **ret, struct kerrinfo *e)
{
    struct vault_wire_kek wire;
    uint8_t aad[VAULT_WIRE_AAD_MAX];
    AUTO_SECRET kek = NULL;
    if (!vault_wire_read_annotation(annotation, &wire)) {
        return vaulted_unauthentic(e);
    }
    size_t aad_len = vault_wire_kek_aad(key_id, wire.kek_id, wire.suite, aad);
    enum kerr k =
        vault_decrypt(v->client, t, wire.version, bytes_of(aad, aad_len), wire.raw, &kek, e);
    return k == KERR_OK ? vault_kek_new(key_id, wire.version, wire.suite, secret_view(kek),
                                        annotation, ret, e)
                        : k;
}

/* What was encrypted a moment ago must decrypt, to the same: that it does not says nothing about
 * what is stored. */
static enum kerr not_what_was_encrypted(struct vault_try *t, struct kerrinfo *e)
{
    t->cause = VAULT_BAD_ANSWER;
    kerr_clear(e);
    return kerr_set(e, KERR_IO, "what it has just encrypted does not decrypt to the same");
}

/* A fresh KEK, wrapped under exactly this version and read back. */
static enum kerr make_kek(struct vaulted *v, struct vault_try *t, const struct vaulted_current *use,
                          struct vault_state *state, struct vault_kek **ret, struct kerrinfo *e)
{
    struct vault_wire_kek wire = {
        .suite = SUITE_XAES_256_GCM, .epoch = use->version.epoch, .version = use->version.number};
    uint8_t aad[VAULT_WIRE_AAD_MAX];
    AUTO_SECRET kek = NULL;
    AUTO_BUF raw = {0};
    random_fill(wire.kek_id, sizeof wire.kek_id);
    size_t aad_len = vault_wire_kek_aad(use->key_id, wire.kek_id, wire.suite, aad);
    enum kerr k = secret_random(SUITE_KEK_BYTES, &kek, e);
    if (k == KERR_OK) {
        k = vault_encrypt(v->client, t, wire.version, bytes_of(aad, aad_len), secret_view(kek),
                          &raw, e);
    }
    wire.raw = buf_view(&raw);
    if (k == KERR_OK) {
        k = vault_wire_put_annotation(&wire, state->annotation, &state->annotation_len, e);
    }
    AUTO_KEK back = NULL;
    AUTO_KEK made = NULL;
    struct bytes annotation = bytes_of(state->annotation, state->annotation_len);
    k = k == KERR_OK ? vaulted_unwrap_kek(v, t, use->key_id, annotation, &back, e) : k;
    k = k == KERR_OK ? vault_kek_new(use->key_id, wire.version, wire.suite, secret_view(kek),
                                     annotation, &made, e)
                     : k;
    bool is_other = k == KERR_OK && !secret_equal(vault_kek_subkeys(back), vault_kek_subkeys(made));
    if (is_other || k == KERR_INTEGRITY) {
        return not_what_was_encrypted(t, e);
    }
    if (k == KERR_OK) {
        state->made_at_s = clock_wall_s();
        state->uses = 0;
        *ret = vault_kek_ref(back);
    }
    return k;
}

/* A KEK that the service made does not open any more. */
static enum kerr key_changed(struct vault_try *t, struct kerrinfo *e)
{
    t->cause = VAULT_KEY_CHANGED;
    kerr_clear(e);
    return kerr_set(e, KERR_INTEGRITY, "a KEK that it wrapped does not authenticate any more");
}

static enum kerr hierarchy_load(struct vaulted *v, struct vault_try *t,
                                const struct vaulted_current *use, struct vault_state *state,
                                struct vault_kek **ret, struct kerrinfo *e)
{
    /* One that is worn out is replaced while it serves, not at a start. */
    bool is_serving = v->current.kek != NULL;
    bool is_kept = state->annotation_len > 0 && vaulted_same_version(&state->mark, &use->version) &&
                   !(is_serving && vault_state_is_worn(v->config, state, clock_wall_s()));
    if (!is_kept) {
        return make_kek(v, t, use, state, ret, e);
    }
    enum kerr k = vaulted_unwrap_kek(v, t, use->key_id,
                                     bytes_of(state->annotation, state->annotation_len), ret, e);
    /* What was stored under it could not be read either: not to be hidden by a new one. */
    return t->cause == VAULT_CIPHERTEXT ? key_changed(t, e) : k;
}

static enum kerr hierarchy_probe(struct vaulted *v, struct vault_try *t,
                                 const struct vaulted_current *c, struct kerrinfo *e)
{
    AUTO_KEK back = NULL;
    enum kerr k = vaulted_unwrap_kek(v, t, c->key_id, vault_kek_annotation(c->kek), &back, e);
    bool is_other =
        k == KERR_OK && !secret_equal(vault_kek_subkeys(back), vault_kek_subkeys(c->kek));
    return is_other || t->cause == VAULT_CIPHERTEXT ? key_changed(t, e) : k;
}

static enum kerr hierarchy_wrap(struct vaulted *v, const struct provider_turn *turn,
                                const struct vaulted_current *c, struct bytes plaintext,
                                struct provider_wrapped *ret, struct kerrinfo *e)
{
    (void)turn;
    AUTO_BUF aad = {0};
    struct bytes annotation = vault_kek_annotation(c->kek);
    memcpy(ret->annotation_bytes, annotation.ptr, annotation.len);
    ret->annotations.count = 1;
    ret->annotations.rows[0] =
        (struct provider_annotation){.name = bytes_of_text(VAULT_WIRE_ANNOTATION),
                                     .value = bytes_of(ret->annotation_bytes, annotation.len)};
    enum suite suite = vault_kek_suite(c->kek);
    enum kerr k = envelope_aad(suite, bytes_of_text(v->config->cluster_id),
                               bytes_of_text(c->key_id), &ret->annotations, &aad, e);
    if (k == KERR_OK) {
        k = suite_wrap(suite, vault_kek_subkeys(c->kek), buf_view(&aad), plaintext, ret->ciphertext,
                       &ret->ciphertext_len, e);
    }
    if (k == KERR_OK) {
        (void)atomic_fetch_add(&v->uses, 1);
    }
    return k;
}

/* ---- mode direct ---- */

static enum kerr direct_probe(struct vaulted *v, struct vault_try *t,
                              const struct vaulted_current *c, struct kerrinfo *e)
{
    uint8_t plain[32];
    uint8_t aad[VAULT_WIRE_AAD_MAX];
    AUTO_BUF raw = {0};
    AUTO_SECRET back = NULL;
    size_t aad_len = vault_wire_seed_aad(v->config->cluster_id, c->key_id, aad);
    random_fill(plain, sizeof plain);
    enum kerr k = vault_encrypt(v->client, t, c->version.number, bytes_of(aad, aad_len),
                                BYTES_OF(plain), &raw, e);
    if (k == KERR_OK) {
        k = vault_decrypt(v->client, t, c->version.number, bytes_of(aad, aad_len), buf_view(&raw),
                          &back, e);
    }
    bool is_other = k == KERR_OK && !bytes_equal(secret_view(back), BYTES_OF(plain));
    return is_other || k == KERR_INTEGRITY ? not_what_was_encrypted(t, e) : k;
}

static enum kerr direct_load(struct vaulted *v, struct vault_try *t,
                             const struct vaulted_current *use, struct vault_state *state,
                             struct vault_kek **ret, struct kerrinfo *e)
{
    *ret = NULL;
    state->annotation_len = 0;
    return direct_probe(v, t, use, e);
}

static enum kerr direct_wrap(struct vaulted *v, const struct provider_turn *turn,
                             const struct vaulted_current *c, struct bytes plaintext,
                             struct provider_wrapped *ret, struct kerrinfo *e)
{
    if (!turn->may_wait) {
        return kerr_set(e, KERR_WAITS, "Encrypt asks the key service");
    }
    uint8_t aad[VAULT_WIRE_AAD_MAX];
    AUTO_BUF raw = {0};
    struct vault_try t = {.until_ms = turn->until_ms};
    struct kerrinfo inner = {0};
    size_t aad_len = vault_wire_seed_aad(v->config->cluster_id, c->key_id, aad);
    enum kerr k = vault_encrypt(v->client, &t, c->version.number, bytes_of(aad, aad_len), plaintext,
                                &raw, &inner);
    if (k != KERR_OK) {
        return vaulted_fail_call(k, t.cause, &inner, e);
    }
    if (raw.len > PROVIDER_CIPHERTEXT_MAX - VAULT_WIRE_DIRECT_HEAD) {
        return kerr_set(e, KERR_DOWN, "the key service made %zu bytes of %zu", raw.len,
                        plaintext.len);
    }
    const struct vault_wire_seed seed = {.epoch = c->version.epoch, .version = c->version.number};
    vault_wire_put_head(&seed, ret->ciphertext);
    memcpy(ret->ciphertext + VAULT_WIRE_DIRECT_HEAD, raw.ptr, raw.len);
    ret->ciphertext_len = VAULT_WIRE_DIRECT_HEAD + raw.len;
    return KERR_OK;
}

const struct vaulted_mode vaulted_modes[] = {
    [CONFIG_VAULT_HIERARCHY] = {"hierarchy", "ok", hierarchy_load, hierarchy_probe, hierarchy_wrap},
    [CONFIG_VAULT_DIRECT] = {"direct", "the key service cannot be used", direct_load, direct_probe,
                             direct_wrap},
};
