/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "vault/answers.h"

#define CALL_MAX_MS     60000 /* of one request, whatever time the caller gives */
#define CONNECT_MAX_MS  1000
#define AGAIN_MIN_MS    20 /* pause before a second request, and as much again at random */
#define HEADERS_OF_OURS 4

enum then { STOP, NEXT, AGAIN };

struct status_row {
    unsigned status;
    const char *words; /* in the server's text; "": any; NULL: it says nothing */
    enum vault_cause cause;
    enum then then; /* AGAIN: the next address, later this one a second time */
};

/* The first row that fits. What stands in no row: 5xx SERVER_ERROR, all else BAD_ANSWER. */
static const struct status_row rows[] = {
    {307, "", VAULT_STANDBY, NEXT},
    {400, "encryption key not found", VAULT_NO_KEY, STOP},
    {400, "policy (too old)", VAULT_VERSION_TOO_OLD, STOP},
    {400, "soft-deleted", VAULT_KEY_DELETED, STOP},
    {400, "soft deleted", VAULT_KEY_DELETED, STOP},
    {400, "message authentication failed", VAULT_CIPHERTEXT, STOP},
    {400, "invalid ciphertext", VAULT_CIPHERTEXT, STOP},
    {400, "higher than the latest key version", VAULT_KEY_CHANGED, STOP},
    {400, "non-AEAD", VAULT_KEY_TYPE, STOP},
    {400, "for key derivation", VAULT_KEY_TYPE, STOP},
    {400, "", VAULT_BAD_ANSWER, STOP},
    {403, "", VAULT_POLICY, STOP},
    {404, NULL, VAULT_NO_KEY, STOP},
    {404, "", VAULT_NO_MOUNT, STOP},
    {412, "", VAULT_SERVER_ERROR, AGAIN},
    {429, "", VAULT_RATE_LIMIT, STOP},
    {472, "", VAULT_STANDBY, NEXT},
    {473, "", VAULT_STANDBY, NEXT},
    {500, "client's certificate", VAULT_LOGIN, STOP}, /* an expired one, at a cert login */
    {500, "past the max TTL", VAULT_LOGIN, STOP},     /* of a token, at its renewal */
    {501, "", VAULT_UNINITIALISED, NEXT},
    {503, "sealed", VAULT_SEALED, NEXT},
};

/* Which cause is told when each address has another: what says most first. */
static const enum vault_cause telling[] = {
    VAULT_SEALED, VAULT_UNINITIALISED, VAULT_STANDBY, VAULT_SERVER_ERROR,
    VAULT_TLS,    VAULT_BAD_ANSWER,    VAULT_TIMEOUT, VAULT_CONNECT,
};

enum kerr wire_fail(struct vault_try *t, enum vault_cause cause, struct kerrinfo *e,
                    const char *fmt, ...)
{
    char text[KERRINFO_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    t->cause = cause;
    return kerr_set(e, vault_cause_code(cause), "%s", text);
}

enum kerr wire_fail_here(struct vault_try *t, enum kerr k)
{
    t->cause = VAULT_OURS;
    return k;
}

enum kerr wire_fail_answer(struct vault *v, struct vault_try *t, enum kerr k,
                           const struct kerrinfo *why, struct kerrinfo *e)
{
    if (k == KERR_NOMEM) {
        return wire_fail(t, VAULT_OURS, e, "%s", why->text);
    }
    (void)pthread_mutex_lock(&v->lock);
    const char *address = v->config->addresses[v->preferred];
    v->failures++;
    (void)pthread_mutex_unlock(&v->lock);
    return wire_fail(t, VAULT_BAD_ANSWER, e, "%.200s: %s: %s", address,
                     vault_cause_sentence(VAULT_BAD_ANSWER), why->text);
}

enum kerr wire_body(struct buf *b, size_t max, struct kerrinfo *e)
{
    uint8_t *start = NULL;
    buf_init(b, max);
    enum kerr k = buf_extend(b, max, &start, e);
    b->len = 0;
    return k;
}

void wire_body_done(struct buf *b)
{
    if (b->ptr != NULL) {
        secret_wipe(b->ptr, b->cap);
    }
    buf_done(b);
}

enum kerr wire_encode(const char *text, bool with_slashes, char **ret, struct kerrinfo *e)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-_~.";
    AUTO_BUF to = {0};
    const char *result = NULL;
    enum kerr k = KERR_OK;
    buf_init(&to, strlen(text) * 3 + 1);
    for (const char *at = text; *at != 0 && k == KERR_OK; at++) {
        bool is_plain = strchr(plain, *at) != NULL || (with_slashes && *at == '/');
        k = is_plain ? buf_put(&to, bytes_of(at, 1), e)
                     : buf_printf(&to, e, "%%%02X", (unsigned char)*at);
    }
    k = k != KERR_OK ? k : buf_text(&to, &result, e);
    return k != KERR_OK ? k : text_dup(bytes_of_text(result), ret, e);
}

/* One request to one address. */
struct attempt {
    size_t address;
    enum vault_cause cause;
    enum then then;
    struct kerrinfo why;
};

static void give_up(struct attempt *a, enum vault_cause cause, enum then then, const char *text)
{
    a->cause = cause;
    a->then = then;
    kerr_clear(&a->why);
    (void)kerr_set(&a->why, vault_cause_code(cause), "%s", text);
}

/* The text of room http names the URL or the socket. */
static void judge_failure(const struct wire_request *r, struct attempt *a,
                          enum http_failure failure)
{
    static const struct {
        enum vault_cause cause;
        enum then then;
    } causes[] = {
        [HTTP_CONNECT] = {VAULT_CONNECT, NEXT},   [HTTP_TIMEOUT] = {VAULT_TIMEOUT, NEXT},
        [HTTP_TLS] = {VAULT_TLS, NEXT},           [HTTP_FILES] = {VAULT_CREDENTIAL_FILE, STOP},
        [HTTP_ANSWER] = {VAULT_BAD_ANSWER, NEXT}, [HTTP_OURS] = {VAULT_OURS, STOP},
    };
    bool may_be_done = failure == HTTP_TIMEOUT || failure == HTTP_ANSWER;
    enum vault_cause cause = causes[failure].cause;
    struct kerrinfo why = a->why;
    kerr_prefix(&why, "%s", vault_cause_sentence(cause));
    give_up(a, cause, r->is_once && may_be_done ? STOP : causes[failure].then, why.text);
}

static const struct status_row *row_of(unsigned status, const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *words = rows[i].words;
        if (rows[i].status == status &&
            (words == NULL ? *text == 0 : strstr(text, words) != NULL)) {
            return &rows[i];
        }
    }
    return NULL;
}

/* A no counts only from a server that speaks as Vault does: a proxy's 403 is no policy. */
static void judge_status(const struct vault *v, const struct wire_request *r, struct attempt *a,
                         const struct http_answer *answer)
{
    static const struct status_row server_error = {500, "", VAULT_SERVER_ERROR, AGAIN};
    static const struct status_row other = {0, "", VAULT_BAD_ANSWER, NEXT};
    char said[WIRE_SERVER_TEXT_MAX + 1];
    char text[KERRINFO_TEXT_MAX];
    unsigned status = answer->status;
    bool is_vault = answer_errors(buf_view(&answer->body), said, sizeof said);
    const struct status_row *row = row_of(status, said);
    row = row != NULL ? row : status >= 500 ? &server_error : &other;
    row = status >= 400 && status < 412 && !is_vault ? &other : row;
    bool is_refused =
        r->refused != VAULT_NONE && is_vault && (status == 400 || status == 403 || status == 404);
    enum vault_cause cause = is_refused ? r->refused : row->cause;
    (void)snprintf(text, sizeof text, "%.200s: %s: HTTP %u%s%s", v->config->addresses[a->address],
                   vault_cause_sentence(cause), status, *said == 0 ? "" : ", ", said);
    bool may_be_done = r->is_once && row->then == AGAIN;
    give_up(a, cause, is_refused || may_be_done ? STOP : row->then, text);
}

static void count(struct vault *v, const struct attempt *a)
{
    bool is_usable = vault_cause_class(a->cause) != VAULT_CLASS_UNREACHABLE;
    (void)pthread_mutex_lock(&v->lock);
    v->calls++;
    v->failures += is_usable ? 0 : 1;
    if (is_usable) {
        v->preferred = a->address;
        v->has_answered = true;
    }
    (void)pthread_mutex_unlock(&v->lock);
}

static unsigned left_ms(const struct vault_try *t)
{
    uint64_t now = clock_mono_ms();
    uint64_t left = t->until_ms > now ? t->until_ms - now : 0;
    return left > CALL_MAX_MS ? CALL_MAX_MS : (unsigned)left;
}

static bool ask(struct vault *v, const struct wire_request *r, struct attempt *a,
                unsigned timeout_ms, struct http_answer *ret)
{
    struct http_header headers[HEADERS_OF_OURS] = {{"X-Vault-Request: ", "true", NULL}};
    size_t count_of = 1;
    char *url = NULL;
    enum http_failure failure = HTTP_OURS;
    struct http_answer answer = {.status = 0};
    if (r->token != NULL) {
        headers[count_of++] = (struct http_header){"X-Vault-Token: ", NULL, r->token};
    }
    if (v->config->namespace_path != NULL && !r->is_above_namespaces) {
        headers[count_of++] =
            (struct http_header){"X-Vault-Namespace: ", v->config->namespace_path, NULL};
    }
    if (r->is_post) {
        headers[count_of++] = (struct http_header){"Content-Type: ", "application/json", NULL};
    }
    kerr_clear(&a->why);
    if (asprintf(&url, "%s%s", v->addresses[a->address].base, r->path) < 0) {
        give_up(a, VAULT_OURS, STOP, "no memory for a URL");
        return false;
    }
    unsigned half = timeout_ms / 2 + 1;
    struct http_request request = {
        .url = url,
        .is_post = r->is_post,
        .body = r->body,
        .headers = headers,
        .header_count = count_of,
        .timeout_ms = timeout_ms,
        .connect_ms = half < CONNECT_MAX_MS ? half : CONNECT_MAX_MS,
        .body_max = r->answer_max,
        .is_secret = r->is_secret,
    };
    enum kerr k = http_call(v->addresses[a->address].http, &request, &answer, &failure, &a->why);
    free(url);
    a->cause = VAULT_NONE;
    if (k != KERR_OK) {
        judge_failure(r, a, failure);
    } else if (answer.status != 200 && answer.status != 204) {
        judge_status(v, r, a, &answer);
    }
    count(v, a);
    if (a->cause != VAULT_NONE) {
        http_answer_done(&answer);
        return false;
    }
    *ret = answer;
    return true;
}

static size_t rank(enum vault_cause c)
{
    size_t i = 0;
    while (i < ARRAY_LEN(telling) && telling[i] != c) {
        i++;
    }
    return i;
}

/* VAULT_CAUSE_COUNT: there is none yet. */
static void keep_telling(struct attempt *best, const struct attempt *a)
{
    if (best->cause == VAULT_CAUSE_COUNT || rank(a->cause) < rank(best->cause)) {
        *best = *a;
    }
}

static void pause_a_little(void)
{
    uint8_t random = 0;
    random_fill(&random, sizeof random);
    struct timespec wait = {.tv_nsec = (AGAIN_MIN_MS + random % AGAIN_MIN_MS) * 1000000L};
    (void)nanosleep(&wait, NULL);
}

/* Goes through the addresses that `todo` names, beginning with the preferred one. True when one
 * answered or none shall be asked any more. */
static bool go_round(struct vault *v, const struct vault_try *t, const struct wire_request *r,
                     bool todo[static CONFIG_VAULT_ADDRESSES_MAX], struct attempt *best,
                     struct http_answer *ret)
{
    (void)pthread_mutex_lock(&v->lock);
    size_t first = v->preferred;
    (void)pthread_mutex_unlock(&v->lock);
    size_t open = 0;
    for (size_t i = 0; i < v->address_count; i++) {
        open += todo[i] ? 1 : 0;
    }
    for (size_t i = 0; i < v->address_count; i++) {
        struct attempt a = {.address = (first + i) % v->address_count};
        unsigned left = left_ms(t);
        if (!todo[a.address]) {
            continue;
        }
        if (left == 0) {
            return true;
        }
        open--;
        todo[a.address] = false;
        if (ask(v, r, &a, open > 0 ? left / 2 + 1 : left, ret)) {
            best->cause = VAULT_NONE;
            return true;
        }
        keep_telling(best, &a);
        if (a.then == STOP) {
            *best = a;
            return true;
        }
        todo[a.address] = a.then == AGAIN;
    }
    return false;
}

enum kerr wire_call(struct vault *v, struct vault_try *t, const struct wire_request *r,
                    struct http_answer *ret, struct kerrinfo *e)
{
    bool todo[CONFIG_VAULT_ADDRESSES_MAX] = {false};
    struct attempt best = {.cause = VAULT_CAUSE_COUNT};
    bool has_again = false;
    for (size_t i = 0; i < v->address_count; i++) {
        todo[i] = r->address == WIRE_ANY || r->address == i;
    }
    if (!go_round(v, t, r, todo, &best, ret)) {
        for (size_t i = 0; i < v->address_count; i++) {
            has_again = has_again || todo[i];
        }
        if (has_again && !r->is_once && left_ms(t) > 2 * AGAIN_MIN_MS) {
            pause_a_little();
            (void)go_round(v, t, r, todo, &best, ret);
        }
    }
    if (best.cause == VAULT_CAUSE_COUNT) {
        return wire_fail(t, VAULT_TIMEOUT, e, "no time is left to ask Vault");
    }
    t->cause = best.cause;
    return best.cause == VAULT_NONE
               ? KERR_OK
               : kerr_set(e, vault_cause_code(best.cause), "%s", best.why.text);
}
