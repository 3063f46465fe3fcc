/* SPDX-License-Identifier: Apache-2.0 */
/* Unwrapping what is stored: which version and KEK it names, and whether they may be asked for. */
#include <string.h>

#include "base/clock.h"
#include "provider/envelope.h"
#include "provider/vault_private.h"

/* Whether a version, as something stored names it, is one of ours, and what it is called: "" for
 * one that the server shows no more, because it lies below min_decryption_version. */
enum known { KNOWN, NOT_KNOWN_YET, NEVER_KNOWN, TOO_OLD, NOT_SERVING };

static enum known find_version(struct vaulted *v, uint8_t epoch, uint32_t number,
                               char key_id[static VAULT_WIRE_ID_BYTES], const char **ret_state,
                               struct kerrinfo *e)
{
    enum known found = KNOWN;
    (void)pthread_mutex_lock(&v->lock);
    const struct vault_version *version = vault_key_version(&v->key, number);
    if (v->current.version.number == 0) {
        (void)vaulted_not_serving(v, e);
        found = NOT_SERVING;
    } else if (number > v->key.latest) {
        found = NOT_KNOWN_YET;
    } else if (number < v->key.min_decryption) {
        found = TOO_OLD;
    } else if (version == NULL) {
        found = NEVER_KNOWN;
    }
    if ((found == KNOWN || found == TOO_OLD) && version != NULL) {
        const struct vault_wire_version wire = {
            .epoch = epoch, .number = number, .created_at_s = version->created_at_s};
        vault_wire_key_id(v->config, &wire, key_id);
        *ret_state = number > v->current.version.number ? "staged" : "retired";
    }
    (void)pthread_mutex_unlock(&v->lock);
    return found;
}

/* Holding `learning`. */
static enum kerr read_anew(struct vaulted *v, const struct provider_turn *turn, uint32_t number,
                           struct kerrinfo *e)
{
    AUTO_VAULT_KEY key = {.latest = 0};
    struct vault_try t = {.until_ms = turn->until_ms};
    struct kerrinfo inner = {0};
    (void)pthread_mutex_lock(&v->lock);
    bool is_known = number <= v->key.latest; /* somebody else has learned it meanwhile */
    bool is_away = v->link.failures > 0;
    bool may = !is_known && bucket_take(&v->learn, clock_mono_ms());
    (void)pthread_mutex_unlock(&v->lock);
    if (is_known) {
        return KERR_OK;
    }
    if (!may) {
        return kerr_set(e, is_away ? KERR_DOWN : KERR_KEYID,
                        "a version of the key that is not known here");
    }
    enum kerr k = vault_read_key(v->client, &t, &key, &inner);
    if (k != KERR_OK) {
        return vaulted_fail_call(k, t.cause, &inner, e);
    }
    vaulted_publish_key(v, &key);
    return KERR_OK;
}

/* Another node may have seen a version before us. One call asks; others wait for what it learns. */
static enum kerr learn(struct vaulted *v, const struct provider_turn *turn, uint32_t number,
                       struct kerrinfo *e)
{
    (void)pthread_mutex_lock(&v->learning);
    enum kerr k = read_anew(v, turn, number, e);
    (void)pthread_mutex_unlock(&v->learning);
    return k;
}

/* The id of another version than the one that wraps. */
static enum kerr check_former(struct vaulted *v, const struct provider_turn *turn, uint8_t epoch,
                              uint32_t number, struct bytes key_id, const char **ret_state,
                              struct kerrinfo *e)
{
    char named[VAULT_WIRE_ID_BYTES] = "";
    const char *state = NULL;
    struct kerrinfo why = {0};
    enum known found = find_version(v, epoch, number, named, &state, &why);
    if (found == NOT_KNOWN_YET && !turn->may_wait) {
        return kerr_set(e, KERR_WAITS, "the key service may know a newer version");
    }
    if (found == NOT_KNOWN_YET) {
        enum kerr k = learn(v, turn, number, e);
        if (k != KERR_OK) {
            return k;
        }
        found = find_version(v, epoch, number, named, &state, &why);
    }
    if (found == NOT_SERVING) {
        return kerr_set(e, why.code, "%s", why.text);
    }
    bool is_other = named[0] != 0 && !bytes_equal_text(key_id, named);
    if ((found != KNOWN && found != TOO_OLD) || is_other) {
        vault_keks_count_refused(v->keks);
        return kerr_set(e, KERR_KEYID, "no version of the key has this id");
    }
    *ret_state = state;
    return found == TOO_OLD
               ? kerr_set(e, KERR_STATE, "version %u lies below min_decryption_version: %s", number,
                          vault_cause_cure(VAULT_VERSION_TOO_OLD))
               : KERR_OK;
}

/* OK: the version is one of ours and `key_id` is its name. */
static enum kerr check_version(struct vaulted *v, const struct provider_turn *turn, uint8_t epoch,
                               uint32_t number, struct bytes key_id, const char **ret_state,
                               struct kerrinfo *e)
{
    AUTO_CURRENT c = {.kek = NULL};
    enum kerr k = vaulted_take_current(v, &c, e);
    if (k != KERR_OK) {
        return k;
    }
    if (!bytes_equal_text(key_id, c.key_id)) {
        return check_former(v, turn, epoch, number, key_id, ret_state, e);
    }
    if (epoch != c.version.epoch || number != c.version.number) {
        return vaulted_unauthentic(e);
    }
    *ret_state = "primary";
    return KERR_OK;
}

static enum kerr over_budget(struct kerrinfo *e)
{
    return kerr_set(e, KERR_LIMIT, "too many unknown values did not authenticate of late");
}

/* While the key is not what it was, what does not authenticate may be good all the same. */
static bool can_tell_forgeries(struct vaulted *v)
{
    (void)pthread_mutex_lock(&v->lock);
    bool is_changed = v->choice.cause == VAULT_KEY_CHANGED;
    (void)pthread_mutex_unlock(&v->lock);
    return !is_changed;
}

/* Asks for a KEK that is not in memory. Between begin and end. */
static enum kerr ask(struct vaulted *v, const struct provider_turn *turn, const char *key_id,
                     struct bytes annotation, struct vault_kek **ret, struct kerrinfo *e)
{
    struct vault_try t = {.until_ms = turn->until_ms};
    struct kerrinfo inner = {0};
    enum kerr k = vaulted_unwrap_kek(v, &t, key_id, annotation, ret, &inner);
    bool is_forged = t.cause == VAULT_CIPHERTEXT || (t.cause == VAULT_NONE && k == KERR_INTEGRITY);
    vault_keks_end(v->keks, annotation, k == KERR_OK ? *ret : NULL,
                   is_forged && can_tell_forgeries(v));
    if (is_forged) {
        return vaulted_unauthentic(e);
    }
    if (t.cause == VAULT_VERSION_TOO_OLD) {
        return kerr_set(e, KERR_STATE, "%s", inner.text);
    }
    return k == KERR_OK ? KERR_OK : vaulted_fail_call(k, t.cause, &inner, e);
}

/* A KEK that is not in memory: is its version one of ours, and may the service be asked? */
static enum kerr fetch_kek(struct vaulted *v, const struct provider_turn *turn, struct bytes key_id,
                           const struct vault_wire_kek *wire, struct bytes annotation,
                           struct vault_kek **ret, const char **ret_state, struct kerrinfo *e)
{
    char named[VAULT_WIRE_ID_BYTES] = "";
    enum kerr k = check_version(v, turn, wire->epoch, wire->version, key_id, ret_state, e);
    if (k != KERR_OK) {
        return k;
    }
    if (!turn->may_wait) {
        return kerr_set(e, KERR_WAITS, "this KEK is not in memory");
    }
    memcpy(named, key_id.ptr, key_id.len); /* check_version found it equal to one of ours */
    switch (vault_keks_begin(v->keks, annotation, turn->until_ms, ret)) {
    case VAULT_KEKS_FOUND:
        return KERR_OK;
    case VAULT_KEKS_FORGED:
        return vaulted_unauthentic(e);
    case VAULT_KEKS_BUDGET:
        return over_budget(e);
    case VAULT_KEKS_LATE:
        return kerr_set(e, KERR_TIMEOUT, "another call still asks for the same KEK");
    case VAULT_KEKS_UNKNOWN:
        break;
    }
    return ask(v, turn, named, annotation, ret, e);
}

/* What is in memory needs no version of the service: it may have lost the key by now. */
static enum kerr find_kek(struct vaulted *v, const struct provider_turn *turn, struct bytes key_id,
                          struct bytes annotation, struct vault_kek **ret, const char **ret_state,
                          struct kerrinfo *e)
{
    struct vault_wire_kek wire;
    if (!vault_wire_read_annotation(annotation, &wire)) {
        vault_keks_count_refused(v->keks);
        return vaulted_unauthentic(e);
    }
    AUTO_KEK kek = NULL;
    enum vault_keks_answer a = vault_keks_peek(v->keks, annotation, &kek);
    if (a == VAULT_KEKS_FORGED) {
        return vaulted_unauthentic(e);
    }
    if (a == VAULT_KEKS_UNKNOWN) {
        return fetch_kek(v, turn, key_id, &wire, annotation, ret, ret_state, e);
    }
    if (!bytes_equal_text(key_id, vault_kek_key_id(kek))) {
        return kerr_set(e, KERR_KEYID, "the KEK belongs to another key id");
    }
    AUTO_CURRENT c = {.kek = NULL};
    enum kerr k = vaulted_take_current(v, &c, e);
    if (k == KERR_OK) {
        *ret_state = bytes_equal_text(key_id, c.key_id) ? "primary" : "retired";
        *ret = vault_kek_ref(kek);
    }
    return k;
}

/* Stored by mode hierarchy. */
static enum kerr unwrap_by_kek(struct vaulted *v, const struct provider_turn *turn,
                               struct bytes key_id, struct bytes ciphertext,
                               const struct provider_annotations *annotations, struct secret **ret,
                               const char **ret_state, struct kerrinfo *e)
{
    AUTO_KEK kek = NULL;
    AUTO_BUF aad = {0};
    enum kerr k = find_kek(v, turn, key_id, annotations->rows[0].value, &kek, ret_state, e);
    if (k != KERR_OK) {
        return k;
    }
    k = envelope_aad(vault_kek_suite(kek), bytes_of_text(v->config->cluster_id), key_id,
                     annotations, &aad, e);
    k = k == KERR_OK ? suite_unwrap(vault_kek_suite(kek), vault_kek_subkeys(kek), buf_view(&aad),
                                    ciphertext, ret, e)
                     : k;
    if (k == KERR_OK && !vault_kek_is_pinned(kek)) {
        vault_keks_keep(v->keks, kek); /* it is real: not to give way to those that may not be */
    }
    return k;
}

/* Lets the service decrypt a seed. Between begin and end. */
static enum kerr ask_for_seed(struct vaulted *v, const struct provider_turn *turn,
                              const char *key_id, const struct vault_wire_seed *seed,
                              struct vault_try *t, struct secret **ret, struct kerrinfo *e)
{
    uint8_t aad[VAULT_WIRE_AAD_MAX];
    size_t aad_len = vault_wire_seed_aad(v->config->cluster_id, key_id, aad);
    t->until_ms = turn->until_ms;
    return vault_decrypt(v->client, t, seed->version, bytes_of(aad, aad_len), seed->raw, ret, e);
}

/* Stored by mode direct. Invented ones have a budget where only what is left of that mode is of
 * that form; in mode direct it would stop the reads of all others. */
static enum kerr unwrap_by_service(struct vaulted *v, const struct provider_turn *turn,
                                   struct bytes key_id, struct bytes ciphertext,
                                   struct secret **ret, const char **ret_state, struct kerrinfo *e)
{
    struct vault_wire_seed seed;
    if (!vault_wire_read_seed(ciphertext, &seed)) {
        vault_keks_count_refused(v->keks);
        return vaulted_unauthentic(e);
    }
    enum kerr k = check_version(v, turn, seed.epoch, seed.version, key_id, ret_state, e);
    if (k != KERR_OK) {
        return k;
    }
    if (!turn->may_wait) {
        return kerr_set(e, KERR_WAITS, "Decrypt asks the key service");
    }
    bool has_budget = v->config->mode == CONFIG_VAULT_HIERARCHY;
    enum vault_keks_answer a = vault_keks_begin_seed(v->keks, ciphertext, has_budget);
    if (a != VAULT_KEKS_UNKNOWN) {
        return a == VAULT_KEKS_FORGED ? vaulted_unauthentic(e) : over_budget(e);
    }
    char named[VAULT_WIRE_ID_BYTES] = "";
    struct vault_try t = {.cause = VAULT_NONE};
    struct kerrinfo inner = {0};
    memcpy(named, key_id.ptr, key_id.len);
    k = ask_for_seed(v, turn, named, &seed, &t, ret, &inner);
    vault_keks_end_seed(v->keks, ciphertext, has_budget,
                        t.cause == VAULT_CIPHERTEXT && can_tell_forgeries(v));
    if (t.cause == VAULT_CIPHERTEXT) {
        return vaulted_unauthentic(e);
    }
    if (t.cause == VAULT_VERSION_TOO_OLD) {
        return kerr_set(e, KERR_STATE, "%s", inner.text);
    }
    return k == KERR_OK ? KERR_OK : vaulted_fail_call(k, t.cause, &inner, e);
}

/* The form of what is stored decides, not our mode: a change of mode keeps all readable. */
enum kerr vaulted_unwrap(void *ctx, const struct provider_turn *turn, struct bytes key_id,
                         struct bytes ciphertext, const struct provider_annotations *annotations,
                         struct secret **ret, const char **ret_state, struct kerrinfo *e)
{
    struct vaulted *v = ctx;
    size_t prefix_len = strlen(VAULT_WIRE_PREFIX);
    if (key_id.len != VAULT_WIRE_ID_BYTES - 1 ||
        memcmp(key_id.ptr, VAULT_WIRE_PREFIX, prefix_len) != 0) {
        AUTO_CURRENT c = {.kek = NULL};
        enum kerr k = vaulted_take_current(v, &c, e);
        return k == KERR_OK ? kerr_set(e, KERR_KEYID, "no version of the key has this id") : k;
    }
    if (annotations->count == 0) {
        return unwrap_by_service(v, turn, key_id, ciphertext, ret, ret_state, e);
    }
    if (annotations->count > 1 ||
        !bytes_equal_text(annotations->rows[0].name, VAULT_WIRE_ANNOTATION)) {
        vault_keks_count_refused(v->keks);
        return vaulted_unauthentic(e);
    }
    return unwrap_by_kek(v, turn, key_id, ciphertext, annotations, ret, ret_state, e);
}
