/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look: reads the description of the key, chooses a version, and sees for itself that what is
 * used works. Its outcome drives the link (vault_link.h), and the link alone decides what is
 * served. One thread at a time.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "provider/vault_private.h"

/* All requests of one look together; a program that is told to stop waits for no longer. */
#define LOOK_MS 4000
/* KEKs that no seed has authenticated under, and that no call has used for so long, are forgotten.
 */
#define KEK_LIFE_MS (48ULL * 3600 * 1000)
/* Uses are written down in steps, so that a crash loses no more. */
#define USES_STEP 1000

static struct vault_link_now now(void)
{
    return (struct vault_link_now){.mono_ms = clock_mono_ms(), .wall_s = clock_wall_s()};
}

static enum kerr load_state(struct vaulted *v, struct kerrinfo *e)
{
    struct vault_state state;
    enum kerr k = v->has_state ? KERR_OK : vault_state_read(v->config, &state, e);
    if (k != KERR_OK || v->has_state) {
        return k;
    }
    (void)pthread_mutex_lock(&v->lock);
    v->state = state;
    (void)pthread_mutex_unlock(&v->lock);
    v->has_state = true;
    return KERR_OK;
}

static void note_seen(struct vaulted *v, const struct vault_key *key)
{
    if (key->latest != v->seen_version) {
        v->seen_version = key->latest;
        v->seen_ms = clock_mono_ms();
    }
    /* Not beside v->key, which a call may have read since. */
    v->same_min_looks = key->min_decryption == v->seen_min ? v->same_min_looks + 1 : 1;
    v->seen_min = key->min_decryption;
}

static void choose(struct vaulted *v, const struct vault_key *key, struct vault_choice *ret)
{
    const struct vault_choice_input in = {.config = v->config,
                                          .key = key,
                                          .mark = v->state.mark,
                                          .is_wrapping = v->current.version.number > 0,
                                          .seen_version = v->seen_version,
                                          .seen_ms = v->seen_ms,
                                          .now_ms = clock_mono_ms(),
                                          .now_s = clock_wall_s()};
    vault_choose(&in, ret);
}

/* Under the lock. */
static void note_fallen(struct vaulted *v, const struct vault_version *version)
{
    if (v->fallen_count == VAULTED_FALLEN_MAX) {
        memmove(v->fallen, v->fallen + 1, (VAULTED_FALLEN_MAX - 1) * sizeof v->fallen[0]);
        v->fallen_count--;
    }
    v->fallen[v->fallen_count++] = *version;
}

/* What the description has lost to its min_decryption_version; what it shows again is forgotten.
 * Under the lock. */
static void note_all_fallen(struct vaulted *v, const struct vault_key *key)
{
    while (v->fallen_count > 0 && v->fallen[v->fallen_count - 1].number >= key->min_decryption) {
        v->fallen_count--;
    }
    for (size_t i = 0; i < v->key.version_count; i++) {
        const struct vault_version *version = &v->key.versions[i];
        if (version->number < key->min_decryption &&
            vault_key_version(key, version->number) == NULL) {
            note_fallen(v, version);
        }
    }
}

/* What calls use to judge versions. Takes the description over. */
void vaulted_publish_key(struct vaulted *v, struct vault_key *key)
{
    (void)pthread_mutex_lock(&v->lock);
    bool is_news = key->latest != v->key.latest || key->min_decryption != v->key.min_decryption;
    note_all_fallen(v, key);
    struct vault_key old = v->key;
    v->key = *key;
    *key = old;
    (void)pthread_mutex_unlock(&v->lock);
    if (is_news) {
        vault_keks_forgive(v->keks);
    }
}

static bool is_news(const struct vault_state *a, const struct vault_state *b)
{
    return !vaulted_same_version(&a->mark, &b->mark) ||
           !bytes_equal(bytes_of(a->annotation, a->annotation_len),
                        bytes_of(b->annotation, b->annotation_len));
}

/* The order is what makes a new key id safe: it works, it is written down, only then it is told. */
static enum kerr switch_to(struct vaulted *v, struct vault_try *t,
                           const struct vault_wire_version *version, struct kerrinfo *e)
{
    AUTO_KEK kek = NULL;
    struct vaulted_current next = {.version = *version};
    struct vault_state state = v->state;
    vault_wire_key_id(v->config, version, next.key_id);
    enum kerr k = v->mode->load(v, t, &next, &state, &kek, e);
    state.mark = *version;
    if (k == KERR_OK && is_news(&state, &v->state)) {
        k = vault_state_write(v->config, &state, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    next.kek = kek;
    kek = NULL;
    if (next.kek != NULL) {
        vault_keks_keep(v->keks, next.kek);
    }
    (void)pthread_mutex_lock(&v->lock);
    struct vaulted_current old = v->current;
    v->current = next;
    v->state = state;
    v->loaded_at_s = clock_wall_s();
    v->kek_made_at_s = state.made_at_s;
    atomic_store(&v->uses, 0);
    (void)pthread_mutex_unlock(&v->lock);
    vaulted_current_done(&old);
    return KERR_OK;
}

/* Uses that were counted since, in the file. A failure is told with the next KEK. */
static enum kerr note_uses(struct vaulted *v, struct kerrinfo *e)
{
    uint64_t uses = atomic_load(&v->uses);
    bool is_worn = v->state.uses + uses >= v->config->kek_max_uses;
    if (uses == 0 || (uses < USES_STEP && !is_worn)) {
        return KERR_OK;
    }
    struct vault_state state = v->state;
    state.uses += uses;
    enum kerr k = vault_state_write(v->config, &state, e);
    if (k == KERR_OK) {
        (void)pthread_mutex_lock(&v->lock);
        v->state = state;
        (void)atomic_fetch_sub(&v->uses, uses);
        (void)pthread_mutex_unlock(&v->lock);
    }
    return k;
}

/* What is in use works on although the service refuses what shall follow it: a policy that lost its
 * right to encrypt must not become an outage with the next rotation. At a start that is what the
 * mark names. Otherwise the refusal stands as it was. */
static enum kerr hold_back(struct vaulted *v, struct vault_try *t, uint32_t number,
                           struct kerrinfo *e)
{
    AUTO_CURRENT c = {.kek = NULL};
    struct vault_try again = {.until_ms = t->until_ms};
    struct kerrinfo why = {0};
    enum kerr k = KERR_OK;
    if (vaulted_take_current(v, &c, NULL) == KERR_OK) {
        k = v->mode->probe(v, &again, &c, &why);
    } else if (v->state.mark.number != 0) {
        k = switch_to(v, &again, &v->state.mark, &why);
    } else {
        k = KERR_DENIED;
    }
    if (k != KERR_OK) {
        return e == NULL ? vault_cause_code(t->cause) : e->code;
    }
    (void)pthread_mutex_lock(&v->lock);
    v->held_back = number;
    v->held_back_cause = t->cause;
    (void)pthread_mutex_unlock(&v->lock);
    t->cause = VAULT_NONE;
    kerr_clear(e);
    return KERR_OK;
}

static bool is_refused(enum kerr k, const struct vault_try *t)
{
    return k != KERR_OK && t->cause != VAULT_NONE &&
           vault_cause_class(t->cause) == VAULT_CLASS_REFUSED;
}

/* A KEK that is worn out gives way to one of the same version: the key id stays. While that cannot
 * be, it serves on, which XAES-256-GCM allows (2^80 messages). */
static enum kerr replace_worn(struct vaulted *v, struct vault_try *t,
                              const struct vaulted_current *c, struct kerrinfo *e)
{
    if (c->kek == NULL || !vault_state_is_worn(v->config, &v->state, clock_wall_s())) {
        return KERR_OK;
    }
    enum kerr k = switch_to(v, t, &c->version, e);
    return is_refused(k, t) ? hold_back(v, t, c->version.number, e) : k;
}

/* What is in use stays in use: does it still work? */
static enum kerr stay(struct vaulted *v, struct vault_try *t, struct vault_choice *choice,
                      struct kerrinfo *e)
{
    AUTO_CURRENT c = {.kek = NULL};
    enum kerr k = vaulted_take_current(v, &c, e);
    if (k != KERR_OK || choice->cause == VAULT_KEY_CHANGED) {
        return k;
    }
    k = v->mode->probe(v, t, &c, e);
    if (t->cause == VAULT_KEY_CHANGED) {
        choice->cause = VAULT_KEY_CHANGED; /* told loudly; what is in memory serves on */
        t->cause = VAULT_NONE;
        kerr_clear(e);
        return KERR_OK;
    }
    k = k == KERR_OK ? note_uses(v, e) : k;
    return k == KERR_OK ? replace_worn(v, t, &c, e) : k;
}

static enum kerr act(struct vaulted *v, struct vault_try *t, struct vault_choice *choice,
                     bool *ret_changed, struct kerrinfo *e)
{
    const struct vault_wire_version before = v->current.version;
    bool is_wrapping = before.number > 0;
    if (choice->use.number == 0 || (choice->cause == VAULT_KEY_CHANGED && !is_wrapping)) {
        t->cause = choice->cause;
        return kerr_set(e, vault_cause_code(t->cause), "the key %s/%s: %s", v->config->mount,
                        v->config->key, vault_cause_sentence(t->cause));
    }
    if (is_wrapping && vaulted_same_version(&choice->use, &v->current.version)) {
        return stay(v, t, choice, e);
    }
    enum kerr k = switch_to(v, t, &choice->use, e);
    k = is_refused(k, t) ? hold_back(v, t, choice->use.number, e) : k;
    *ret_changed = k == KERR_OK && !vaulted_same_version(&v->current.version, &before);
    return k;
}

/* Data under versions that the server no longer decrypts is not to be read here either. */
static void respect_minimum(struct vaulted *v)
{
    (void)pthread_mutex_lock(&v->lock);
    uint32_t least = v->key.min_decryption;
    (void)pthread_mutex_unlock(&v->lock);
    if (v->same_min_looks >= VAULT_LINK_REFUSALS) {
        (void)vault_keks_wipe_below(v->keks, least);
    }
}

static enum kerr look(struct vaulted *v, struct vault_try *t, bool *ret_changed, struct kerrinfo *e)
{
    AUTO_VAULT_KEY key = {.latest = 0};
    struct vault_choice choice;
    uint64_t due_ms = 0;
    enum kerr k = load_state(v, e);
    k = k == KERR_OK ? vault_tend(v->client, t, &due_ms, e) : k;
    k = k == KERR_OK ? vault_read_key(v->client, t, &key, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    (void)pthread_mutex_lock(&v->lock);
    v->held_back = 0;
    (void)pthread_mutex_unlock(&v->lock);
    note_seen(v, &key);
    choose(v, &key, &choice);
    vaulted_publish_key(v, &key);
    k = act(v, t, &choice, ret_changed, e);
    (void)pthread_mutex_lock(&v->lock);
    /* What does not authenticate under another key is no forgery. */
    bool is_doubtful = choice.cause == VAULT_KEY_CHANGED || v->choice.cause == VAULT_KEY_CHANGED;
    v->token_due_ms = clock_mono_ms() + due_ms;
    v->choice = choice;
    (void)pthread_mutex_unlock(&v->lock);
    if (is_doubtful) {
        vault_keks_forgive(v->keks);
    }
    return k;
}

/* Under the lock. */
static void drop_current(struct vaulted *v)
{
    vaulted_current_done(&v->current);
    v->current = (struct vaulted_current){.kek = NULL};
    v->kek_made_at_s = 0;
}

/* Takes the outcome of a look to the link, and does what its state says. */
static void settle(struct vaulted *v, enum kerr k, enum vault_cause cause)
{
    (void)pthread_mutex_lock(&v->lock);
    bool was_good = v->link.failures == 0;
    v->is_local_fault = k != KERR_OK && cause == VAULT_NONE;
    /* While keys are served, a look that fails on this node's side has had its answers. */
    bool was_answered = v->is_local_fault && v->current.version.number > 0;
    if (k == KERR_OK || was_answered) {
        vault_link_good(&v->link, now());
    } else if (cause != VAULT_NONE) {
        vault_link_bad(&v->link, cause, now(), v->config);
    }
    vault_link_tick(&v->link, now(), v->config);
    bool is_stopped = v->link.state == VAULT_LINK_STOPPED;
    if (is_stopped) {
        drop_current(v);
    }
    (void)pthread_mutex_unlock(&v->lock);
    if (is_stopped) {
        (void)vault_keks_wipe(v->keks);
    }
    if (k == KERR_OK) {
        respect_minimum(v);
        (void)vault_keks_wipe_unused(v->keks, KEK_LIFE_MS);
    }
    if (k == KERR_OK && !was_good) {
        vault_keks_forgive(v->keks);
    }
}

/* What went wrong, then what to do. */
static void add_cure(enum vault_cause cause, struct kerrinfo *e)
{
    if (e != NULL && cause != VAULT_NONE) {
        struct kerrinfo inner = *e;
        kerr_clear(e);
        (void)kerr_set(e, inner.code, "%.300s (%s): %s", inner.text, vault_cause_word(cause),
                       vault_cause_cure(cause));
    }
}

/* Under the lock; what is most pressing. Where nothing is served the look's failure says why. */
static void write_warning(const struct vaulted *v, enum vault_cause login, char *to, size_t size)
{
    if (v->current.version.number == 0) {
        return;
    }
    if (v->link.state == VAULT_LINK_GRACE) {
        char until[CLOCK_TEXT_BYTES];
        clock_format_s(vault_link_grace_ends_s(&v->link, v->config), until);
        (void)snprintf(to, size, "the key service: %s; what is in memory serves until %s; %s",
                       vault_cause_sentence(v->link.cause), until, vault_cause_cure(v->link.cause));
    } else if (v->choice.cause == VAULT_KEY_CHANGED) {
        (void)snprintf(to, size, "the key service: %s; %s", vault_cause_sentence(VAULT_KEY_CHANGED),
                       vault_cause_cure(VAULT_KEY_CHANGED));
    } else if (v->held_back != 0) {
        (void)snprintf(to, size,
                       "the key service does not let version %u be used: %s; version %u wraps on; "
                       "%s",
                       v->held_back, vault_cause_sentence(v->held_back_cause),
                       v->current.version.number, vault_cause_cure(v->held_back_cause));
    } else if (v->choice.is_epoch_back) {
        (void)snprintf(to, size,
                       "vault.epoch is %u, but this node has used %u already and goes on with it: "
                       "set it to %u on all nodes",
                       v->config->epoch, v->state.mark.epoch, v->state.mark.epoch);
    } else if (login != VAULT_NONE) {
        (void)snprintf(to, size, "the key service: %s; %s", vault_cause_sentence(login),
                       vault_cause_cure(login));
    }
}

static void put_warning(struct vaulted *v)
{
    char text[KERRINFO_TEXT_MAX] = "";
    struct vault_info client;
    vault_info(v->client, &client);
    (void)pthread_mutex_lock(&v->lock);
    write_warning(v, client.login_cause, text, sizeof text);
    memcpy(v->warning, text, sizeof v->warning);
    (void)pthread_mutex_unlock(&v->lock);
}

enum kerr vaulted_refresh(void *ctx, bool *ret_changed, struct kerrinfo *e)
{
    struct vaulted *v = ctx;
    struct vault_try t = {.until_ms = clock_mono_ms() + LOOK_MS};
    bool is_changed = false;
    enum kerr k = look(v, &t, &is_changed, e);
    settle(v, k, t.cause);
    put_warning(v);
    if (k == KERR_OK) {
        *ret_changed = is_changed;
    } else {
        add_cure(t.cause, e);
    }
    return k;
}
