/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "vault/answers.h"
#include "vault/wire.h"

#define ANSWER_MAX     ((size_t)65536)
#define REVOKE_MS      1000
#define LOOK_LATER_MS  3600000 /* nothing is due: look again after an hour */
#define LOOK_FILES_MS  30000   /* a token or certificate file is looked at so often */
#define RETRY_RENEW_MS 5000    /* at most, after a renewal that nobody answered */

static void lock(struct vault *v)
{
    (void)pthread_mutex_lock(&v->lock);
}

static void unlock(struct vault *v)
{
    (void)pthread_mutex_unlock(&v->lock);
}

static void free_token(struct token *token)
{
    if (token != NULL) {
        secret_free(token->text);
        free(token);
    }
}

/* Under the lock. */
static void put(struct token *token)
{
    if (token != NULL && --token->uses == 0) {
        free_token(token);
    }
}

void token_put(struct vault *v, struct token *token)
{
    lock(v);
    put(token);
    unlock(v);
}

static void look_at_files(const struct vault *v, struct file_stamp to[static TOKEN_FILE_COUNT])
{
    for (size_t i = 0; i < TOKEN_FILE_COUNT; i++) {
        to[i] = file_stamp(v->files.path[i]);
    }
}

/* Under the lock. */
static bool are_files_changed(const struct vault *v)
{
    struct file_stamp now[TOKEN_FILE_COUNT];
    bool is_changed = false;
    look_at_files(v, now);
    for (size_t i = 0; i < TOKEN_FILE_COUNT; i++) {
        is_changed = is_changed || !file_stamp_equal(&now[i], &v->life.stamps[i]);
    }
    return is_changed;
}

/* Kinds whose token stands or falls with the files. */
static bool is_bound_to_files(const struct vault *v)
{
    enum config_login kind = v->config->auth.kind;
    return kind == CONFIG_LOGIN_TOKEN || kind == CONFIG_LOGIN_CERT;
}

/* Under the lock. */
static bool is_fit(const struct vault *v, const struct token *refused)
{
    const struct token_life *l = &v->life;
    return l->token != NULL && l->token != refused &&
           (l->ends_ms == 0 || clock_mono_ms() < l->ends_ms) &&
           !(is_bound_to_files(v) && are_files_changed(v));
}

static uint64_t random_below(uint64_t n)
{
    uint64_t random = 0;
    random_fill(&random, sizeof random);
    return n == 0 ? 0 : random % n;
}

static void pause_after(struct token_pause *p, enum vault_cause cause, const char *text)
{
    bool is_refusal = cause == VAULT_LOGIN || cause == VAULT_WRAPPING_USED || cause == VAULT_POLICY;
    unsigned max = is_refusal ? TOKEN_PAUSE_MAX_MS : TOKEN_PAUSE_AWAY_MS;
    unsigned ms = p->ms == 0 ? TOKEN_PAUSE_MIN_MS : 2 * p->ms;
    p->ms = ms < max ? ms : max;
    p->until_ms = clock_mono_ms() + p->ms;
    p->cause = cause;
    (void)snprintf(p->text, sizeof p->text, "%s", text);
}

static enum kerr fail_paused(struct vault_try *t, const struct token_pause *p, struct kerrinfo *e)
{
    return wire_fail(t, p->cause, e, "%s", p->text);
}

/* Two thirds of the life, less up to a tenth so that nodes do not come together. */
static void set_life(struct token_life *l, uint64_t ttl_s, bool is_renewable)
{
    uint64_t now = clock_mono_ms();
    uint64_t ttl_ms = ttl_s * 1000;
    uint64_t due = ttl_ms * 2 / 3;
    l->is_renewable = is_renewable;
    l->ends_ms = ttl_ms == 0 ? 0 : now + ttl_ms;
    l->due_ms = ttl_ms == 0 ? 0 : now + due - random_below(due / 10 + 1);
}

/* Under the lock: the result of a login. */
static void take_grant(struct vault *v, struct token *fresh, const struct token_grant *grant)
{
    struct token_life *l = &v->life;
    put(l->token);
    l->token = fresh;
    set_life(l, grant->ttl_s, grant->is_renewable);
    l->first_ttl_ms = grant->ttl_s * 1000;
    l->login_pause = (struct token_pause){.until_ms = 0};
    l->cause = VAULT_NONE;
    l->text[0] = 0;
    l->logins++;
}

/* Under the lock. */
static void take_failure(struct token_life *l, const struct vault_try *t, const char *text)
{
    l->cause = t->cause;
    (void)snprintf(l->text, sizeof l->text, "%s", text);
}

/* Under the lock, which is given up meanwhile; the caller has set is_busy. */
static enum kerr log_in(struct vault *v, struct vault_try *t, struct kerrinfo *e)
{
    struct token_life *l = &v->life;
    struct token_grant grant = {.token = NULL};
    struct kerrinfo why = {0};
    look_at_files(v, l->stamps); /* before they are read: a later change is seen */
    unlock(v);
    struct token *fresh = calloc(1, sizeof *fresh);
    enum kerr k = fresh == NULL ? wire_fail(t, VAULT_OURS, &why, "no memory for a token")
                                : login_do(v, t, &grant, &why);
    lock(v);
    if (k == KERR_OK) {
        *fresh = (struct token){.text = grant.token, .uses = 1};
        take_grant(v, fresh, &grant);
        return KERR_OK;
    }
    free(fresh);
    take_failure(l, t, why.text);
    pause_after(&l->login_pause, t->cause, why.text);
    return kerr_set(e, k, "%s", why.text);
}

/* Under the lock: until nobody is busy, or the time is over. */
static bool wait_for_others(struct vault *v, const struct vault_try *t)
{
    struct timespec until = {.tv_sec = (time_t)(t->until_ms / 1000),
                             .tv_nsec = (long)(t->until_ms % 1000) * 1000000};
    return pthread_cond_timedwait(&v->changed, &v->lock, &until) != ETIMEDOUT;
}

static void end_busy(struct vault *v)
{
    v->life.is_busy = false;
    (void)pthread_cond_broadcast(&v->changed);
}

/* Under the lock: why no login shall be tried now; NULL when one may be. */
static const struct token_pause *paused(const struct vault *v, const struct token *refused)
{
    const struct token_life *l = &v->life;
    uint64_t now = clock_mono_ms();
    bool is_refused = refused != NULL && refused == l->token;
    const struct token_pause *p =
        is_refused && now < l->refused_pause.until_ms ? &l->refused_pause : &l->login_pause;
    return now < p->until_ms && !are_files_changed(v) ? p : NULL;
}

static enum kerr get(struct vault *v, struct vault_try *t, const struct token *refused,
                     struct kerrinfo *e)
{
    while (!is_fit(v, refused)) {
        if (v->life.is_busy) {
            if (!wait_for_others(v, t)) {
                return wire_fail(t, VAULT_TIMEOUT, e, "no time is left to wait for a login");
            }
            continue;
        }
        const struct token_pause *p = paused(v, refused);
        if (p != NULL) {
            return fail_paused(t, p, e);
        }
        v->life.is_busy = true;
        enum kerr k = log_in(v, t, e);
        end_busy(v);
        return k;
    }
    return KERR_OK;
}

enum kerr token_get(struct vault *v, struct vault_try *t, const struct token *refused,
                    struct token **ret, struct kerrinfo *e)
{
    *ret = NULL;
    if (v->config->auth.kind == CONFIG_LOGIN_NONE) {
        return KERR_OK;
    }
    lock(v);
    enum kerr k = get(v, t, refused, e);
    if (k == KERR_OK) {
        *ret = v->life.token;
        (*ret)->uses++;
    }
    unlock(v);
    return k;
}

void token_judge(struct vault *v, const struct vault_try *t, const char *text)
{
    struct token_pause *p = &v->life.refused_pause;
    lock(v);
    if (t->cause == VAULT_POLICY && clock_mono_ms() >= p->until_ms) {
        pause_after(p, t->cause, text); /* once for all calls of the same moment */
    } else if (t->cause != VAULT_POLICY) {
        *p = (struct token_pause){.until_ms = 0};
    }
    unlock(v);
}

/* So that it is tried some times more before the token ends. */
static uint64_t retry_at(const struct token_life *l)
{
    uint64_t now = clock_mono_ms();
    uint64_t part = l->ends_ms > now ? (l->ends_ms - now) / 3 : 0;
    return now + (part < RETRY_RENEW_MS ? part : RETRY_RENEW_MS);
}

/* Under the lock, which is given up meanwhile; the caller has set is_busy. */
static enum kerr renew(struct vault *v, struct vault_try *t, struct kerrinfo *e)
{
    struct token_life *l = &v->life;
    struct token *token = l->token;
    struct kerrinfo why = {0};
    AUTO_ANSWER answer = {.status = 0};
    struct answer_auth auth = {.token = NULL};
    struct wire_request r = {
        .path = "auth/token/renew-self",
        .is_post = true,
        .body = bytes_of_text("{}"),
        .token = token->text,
        .answer_max = ANSWER_MAX,
        .is_secret = true,
        .refused = VAULT_LOGIN,
        .address = WIRE_ANY,
    };
    token->uses++;
    unlock(v);
    enum kerr k = wire_call(v, t, &r, &answer, &why);
    if (k == KERR_OK) {
        k = answer_auth(buf_view(&answer.body), &auth, &why);
        k = k == KERR_OK ? k : wire_fail_answer(v, t, k, &why, &why);
    }
    secret_free(auth.token);
    lock(v);
    put(token);
    if (k == KERR_OK) {
        /* One whose life gets shorter nears its end whatever we do. */
        bool has_helped = auth.ttl_s * 1000 >= l->first_ttl_ms - l->first_ttl_ms / 10;
        set_life(l, auth.ttl_s, auth.is_renewable && has_helped);
        l->cause = VAULT_NONE;
        l->text[0] = 0;
        l->renewals++;
        return KERR_OK;
    }
    take_failure(l, t, why.text);
    l->due_ms = retry_at(l);
    return kerr_set(e, k, "%s", why.text);
}

/* Under the lock; is_busy is ours. */
static enum kerr do_what_is_due(struct vault *v, struct vault_try *t, struct kerrinfo *e)
{
    struct token_life *l = &v->life;
    bool is_due = l->due_ms != 0 && clock_mono_ms() >= l->due_ms;
    if (is_fit(v, NULL) && !is_due) {
        return KERR_OK;
    }
    if (is_fit(v, NULL) && l->is_renewable) {
        struct kerrinfo why = {0};
        enum kerr k = renew(v, t, &why);
        if (t->cause != VAULT_LOGIN) {
            return k == KERR_OK ? k : kerr_set(e, k, "%s", why.text);
        }
    }
    const struct token_pause *p = paused(v, NULL);
    return p != NULL ? fail_paused(t, p, e) : log_in(v, t, e);
}

/* Under the lock. */
static uint64_t due_in_ms(const struct vault *v)
{
    const struct token_life *l = &v->life;
    uint64_t now = clock_mono_ms();
    uint64_t latest = now + (is_bound_to_files(v) ? LOOK_FILES_MS : LOOK_LATER_MS);
    uint64_t due = l->due_ms != 0 && l->due_ms < latest ? l->due_ms : latest;
    due = l->login_pause.until_ms > now ? l->login_pause.until_ms : due;
    return due > now ? due - now : 1;
}

enum kerr token_tend(struct vault *v, struct vault_try *t, uint64_t *ret_due_ms, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    t->cause = VAULT_NONE;
    *ret_due_ms = LOOK_LATER_MS;
    if (v->config->auth.kind == CONFIG_LOGIN_NONE) {
        return KERR_OK;
    }
    lock(v);
    while (v->life.is_busy && k == KERR_OK) {
        k = wait_for_others(v, t)
                ? KERR_OK
                : wire_fail(t, VAULT_TIMEOUT, e, "no time is left to wait for a login");
    }
    if (k == KERR_OK) {
        struct kerrinfo why = {0};
        v->life.is_busy = true;
        k = do_what_is_due(v, t, &why);
        end_busy(v);
        /* While the token still serves, what is wrong with the next one is an alarm (vault_info)
         * and no failure. */
        bool is_alarm = k != KERR_OK && is_fit(v, NULL);
        t->cause = is_alarm ? VAULT_NONE : t->cause;
        k = k == KERR_OK || is_alarm ? KERR_OK : kerr_set(e, k, "%s", why.text);
    }
    *ret_due_ms = due_in_ms(v);
    unlock(v);
    return k;
}

void token_end(struct vault *v)
{
    struct token *token = v->life.token;
    bool is_own = v->config->auth.kind != CONFIG_LOGIN_TOKEN;
    if (token != NULL && is_own && (v->life.ends_ms == 0 || clock_mono_ms() < v->life.ends_ms)) {
        AUTO_ANSWER answer = {.status = 0};
        struct vault_try t = {.until_ms = clock_mono_ms() + REVOKE_MS};
        struct wire_request r = {.path = "auth/token/revoke-self",
                                 .is_post = true,
                                 .token = token->text,
                                 .answer_max = ANSWER_MAX,
                                 .is_once = true,
                                 .refused = VAULT_LOGIN,
                                 .address = WIRE_ANY};
        if (wire_call(v, &t, &r, &answer, NULL) != KERR_OK) {
            /* It ends by itself. */
        }
    }
    free_token(token);
    v->life.token = NULL;
}
