/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/ks_state.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

static const char *const state_names[KS_STATE_COUNT] = {
    [KS_STAGED] = "staged",
    [KS_PRIMARY] = "primary",
    [KS_RETIRED] = "retired",
    [KS_DISABLED] = "disabled",
    [KS_DESTROY_SCHEDULED] = "destroy-scheduled",
    [KS_DESTROYED] = "destroyed",
};

#define IN(state) (1U << (state))

typedef enum kerr ks_apply_fn(struct ks_model *m, struct ks_key *key,
                              const struct ks_command_args *args, struct kerrinfo *e);

struct ks_command_row {
    const char *name;
    unsigned from; /* IN() of the states that allow it */
    const char *advice;
    ks_apply_fn *apply;
};

const char *ks_state_name(enum ks_state state)
{
    return state_names[state];
}

enum ks_state ks_state(const struct ks_key *key)
{
    if (key->destroyed_at_s != 0) {
        return KS_DESTROYED;
    }
    if (key->destroy_due_s != 0) {
        return KS_DESTROY_SCHEDULED;
    }
    if (key->disabled_at_s != 0) {
        return KS_DISABLED;
    }
    if (key->retired_at_s != 0) {
        return KS_RETIRED;
    }
    return key->promoted_at_s != 0 ? KS_PRIMARY : KS_STAGED;
}

bool ks_state_unwraps(enum ks_state state)
{
    return (IN(state) & (IN(KS_STAGED) | IN(KS_PRIMARY) | IN(KS_RETIRED))) != 0;
}

static enum kerr apply_promote(struct ks_model *m, struct ks_key *key,
                               const struct ks_command_args *args, struct kerrinfo *e)
{
    (void)e;
    for (size_t i = 0; i < m->key_count; i++) {
        if (ks_state(&m->keys[i]) == KS_PRIMARY) {
            m->keys[i].retired_at_s = args->now_s;
        }
    }
    key->promoted_at_s = args->now_s;
    return KERR_OK;
}

static enum kerr apply_disable(struct ks_model *m, struct ks_key *key,
                               const struct ks_command_args *args, struct kerrinfo *e)
{
    (void)m;
    (void)e;
    key->disabled_at_s = args->now_s;
    return KERR_OK;
}

static enum kerr apply_enable(struct ks_model *m, struct ks_key *key,
                              const struct ks_command_args *args, struct kerrinfo *e)
{
    (void)m;
    (void)args;
    (void)e;
    key->disabled_at_s = 0;
    return KERR_OK;
}

static enum kerr apply_destroy(struct ks_model *m, struct ks_key *key,
                               const struct ks_command_args *args, struct kerrinfo *e)
{
    (void)m;
    if (key->destroy_due_s == 0) {
        if (args->after_s == 0 || args->after_s > UINT64_MAX - args->now_s) {
            return kerr_set(e, KERR_INPUT, "destroy needs a grace time: --after 7d");
        }
        key->destroy_due_s = args->now_s + args->after_s;
        return KERR_OK;
    }
    if (args->now_s < key->destroy_due_s) {
        char due[CLOCK_TEXT_BYTES];
        clock_format_s(key->destroy_due_s, due);
        return kerr_set(e, KERR_STATE,
                        "the key's grace time ends at %s; 'etcdseal key cancel-destroy' keeps the "
                        "key",
                        due);
    }
    struct bytes note = bytes_of_text(args->note == NULL ? "" : args->note);
    if (note.len == 0 || note.len > KS_NOTE_MAX || !text_is_utf8(note)) {
        return kerr_set(e, KERR_INPUT,
                        "destroying needs --backups TEXT of 1 to %d bytes: say of each backup of "
                        "keystore and etcd whether it is still needed; a backup with a seal brings "
                        "the key back",
                        KS_NOTE_MAX);
    }
    memcpy(key->note, note.ptr, note.len);
    key->note[note.len] = 0;
    key->destroyed_at_s = args->now_s;
    secret_free(key->material);
    key->material = NULL;
    return KERR_OK;
}

static enum kerr apply_cancel_destroy(struct ks_model *m, struct ks_key *key,
                                      const struct ks_command_args *args, struct kerrinfo *e)
{
    (void)m;
    (void)e;
    key->destroy_due_s = 0;
    if (key->disabled_at_s == 0) {
        key->disabled_at_s = args->now_s;
    }
    return KERR_OK;
}

static enum kerr apply_compromise(struct ks_model *m, struct ks_key *key,
                                  const struct ks_command_args *args, struct kerrinfo *e)
{
    (void)m;
    (void)e;
    if (key->compromised_at_s == 0) {
        key->compromised_at_s = args->now_s;
    }
    return KERR_OK;
}

static const struct ks_command_row commands[KS_COMMAND_COUNT] = {
    [KS_PROMOTE] = {"promote", IN(KS_STAGED),
                    "no key is promoted twice: stage a new one with 'etcdseal key stage'",
                    apply_promote},
    [KS_DISABLE] = {"disable", IN(KS_STAGED) | IN(KS_RETIRED),
                    "a primary key is retired by promoting another one", apply_disable},
    [KS_ENABLE] = {"enable", IN(KS_DISABLED),
                   "a key whose destruction is scheduled is kept with 'etcdseal key "
                   "cancel-destroy'",
                   apply_enable},
    [KS_DESTROY] = {"destroy", IN(KS_RETIRED) | IN(KS_DISABLED) | IN(KS_DESTROY_SCHEDULED),
                    "promote another key first, rewrite what this one wraps, then disable it",
                    apply_destroy},
    [KS_CANCEL_DESTROY] = {"cancel-destroy", IN(KS_DESTROY_SCHEDULED), "there is nothing to cancel",
                           apply_cancel_destroy},
    [KS_COMPROMISE] = {"compromise",
                       IN(KS_STAGED) | IN(KS_PRIMARY) | IN(KS_RETIRED) | IN(KS_DISABLED) |
                           IN(KS_DESTROY_SCHEDULED),
                       "a destroyed key has nothing left to lose", apply_compromise},
};

const char *ks_command_name(enum ks_command command)
{
    return commands[command].name;
}

static void list_states(unsigned mask, char *to, size_t size)
{
    size_t used = 0;
    to[0] = 0;
    for (int s = 0; s < KS_STATE_COUNT; s++) {
        if ((mask & IN(s)) != 0 && used < size) {
            int n = snprintf(to + used, size - used, used == 0 ? "%s" : ", %s", state_names[s]);
            used += n < 0 ? 0 : (size_t)n;
        }
    }
}

enum kerr ks_command(struct ks_model *m, enum ks_command command, const uint8_t id[KS_ID_BYTES],
                     const struct ks_command_args *args, bool *ret_destroyed, struct kerrinfo *e)
{
    const struct ks_command_row *row = &commands[command];
    char text[KS_KEY_ID_TEXT];
    ks_key_id_text(id, text);
    struct ks_key *key = ks_model_key(m, id);
    if (key == NULL) {
        return kerr_set(e, KERR_KEYID,
                        "this keystore has no key %s; 'etcdseal key list' shows them", text);
    }
    enum ks_state state = ks_state(key);
    if ((row->from & IN(state)) == 0) {
        char allowed[128];
        list_states(row->from, allowed, sizeof allowed);
        return kerr_set(e, KERR_STATE, "key %s is %s; %s is allowed from %s: %s", text,
                        state_names[state], row->name, allowed, row->advice);
    }
    enum kerr k = row->apply(m, key, args, e);
    if (k != KERR_OK) {
        kerr_prefix(e, "key %s", text);
        return k;
    }
    if (ret_destroyed != NULL) {
        *ret_destroyed = state != KS_DESTROYED && ks_state(key) == KS_DESTROYED;
    }
    return KERR_OK;
}

static size_t live_keys(const struct ks_model *m)
{
    size_t live = 0;
    for (size_t i = 0; i < m->key_count; i++) {
        live += m->keys[i].material != NULL;
    }
    return live;
}

enum kerr ks_add_key(struct ks_model *m, enum suite suite, uint64_t now_s,
                     uint8_t ret_id[KS_ID_BYTES], struct kerrinfo *e)
{
    if (m->key_count >= KS_KEYS_MAX || live_keys(m) >= KS_LIVE_KEYS_MAX) {
        return kerr_set(e, KERR_LIMIT,
                        "the keystore holds %zu keys, %zu of them live; at most %d and %d: destroy "
                        "keys that nothing needs any more",
                        m->key_count, live_keys(m), KS_KEYS_MAX, KS_LIVE_KEYS_MAX);
    }
    struct ks_key key = {
        .suite = (uint8_t)suite, .birth_epoch = m->root_epoch, .created_at_s = now_s};
    do {
        random_fill(key.id, sizeof key.id);
    } while (ks_model_key(m, key.id) != NULL);
    enum kerr k = secret_random(SUITE_KEK_BYTES, &key.material, e);
    if (k != KERR_OK) {
        return k;
    }
    m->keys[m->key_count++] = key;
    memcpy(ret_id, key.id, KS_ID_BYTES);
    return KERR_OK;
}
