/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd/etcd.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "etcd/ask.h"
#include "etcd/codec.h"
#include "etcd/refusal.h"
#include "rpc/rpc_client.h"

#define RANGE_PATH  "/etcdserverpb.KV/Range"
#define STREAM_PATH "/etcdserverpb.KV/RangeStream"
#define STATUS_PATH "/etcdserverpb.Maintenance/Status"
#define LOGIN_PATH  "/etcdserverpb.Auth/Authenticate"

#define CONNECT_MS 3000
/* etcd gives up a request of its own after some seconds; a page of many megabytes over a slow line
 * takes longer. */
#define CALL_MS   60000
#define STREAM_MS 600000 /* of a whole range; what is left then is asked for page by page */
/* Rounds over all endpoints once etcd has answered, with a pause between: an election takes a
 * second or two, a restart some. */
#define ROUNDS      10
#define PAUSE_MS    1000
#define LOGINS      2                 /* for one call */
#define REQUEST_MAX ((size_t)5 << 20) /* two keys of the greatest length */

/* ---- life ---- */

static enum kerr add_endpoints(struct etcd *c, const char *text, struct kerrinfo *e)
{
    for (;;) {
        size_t len = strcspn(text, ",");
        if (c->count == ETCD_ENDPOINTS_MAX) {
            return kerr_set(e, KERR_LIMIT, "more than %d endpoints", ETCD_ENDPOINTS_MAX);
        }
        enum kerr k = endpoint_read(bytes_of(text, len), c->config->tls.ca != NULL,
                                    &c->endpoints[c->count], e);
        if (k != KERR_OK) {
            return k;
        }
        c->count++;
        if (text[len] == 0) {
            return KERR_OK;
        }
        text += len + 1;
    }
}

enum kerr etcd_open(const struct etcd_config *config, struct etcd **ret, struct kerrinfo *e)
{
    struct etcd *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a client of etcd");
    }
    c->config = config;
    c->tls = (struct rpc_tls){config->tls.ca, config->tls.cert, config->tls.key};
    c->needs_login = config->user != NULL;
    enum kerr k = config->endpoint_count == 0 ? kerr_set(e, KERR_USAGE, "no endpoint") : KERR_OK;
    for (size_t i = 0; i < config->endpoint_count && k == KERR_OK; i++) {
        k = add_endpoints(c, config->endpoints[i], e);
    }
    if (k != KERR_OK) {
        etcd_close(c);
        return k;
    }
    *ret = c;
    return KERR_OK;
}

void etcd_close(struct etcd *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        rpc_client_free(c->clients[i]);
    }
    secret_free(c->token);
    free(c);
}

const char *etcd_endpoint(const struct etcd *c)
{
    return c->endpoints[c->current].text;
}

size_t etcd_endpoint_count(const struct etcd *c)
{
    return c->count;
}

const char *etcd_endpoint_at(const struct etcd *c, size_t i)
{
    return c->endpoints[i].text;
}

void etcd_go_on(struct etcd *c)
{
    c->current = (c->current + 1) % c->count;
}

/* ---- one call to one endpoint ---- */

static enum kerr client_of(struct etcd *c, struct rpc_client **ret, struct kerrinfo *e)
{
    const struct endpoint *at = &c->endpoints[c->current];
    const struct rpc_client_config config = {
        .unix_path = at->unix_path,
        .host = at->host,
        .port = at->port,
        .tls = at->is_tls ? &c->tls : NULL,
        .connect_ms = CONNECT_MS,
        .response_max = c->config->answer_max == 0 ? ETCD_PAGE_MAX : c->config->answer_max,
    };
    struct rpc_client **client = &c->clients[c->current];
    enum kerr k = *client == NULL ? rpc_client_new(&config, client, e) : KERR_OK;
    *ret = *client;
    return k;
}

static enum kerr ask_here(struct etcd *c, const struct question *q, struct rpc_status *status,
                          struct kerrinfo *e)
{
    const struct rpc_metadata token = {"token", c->token == NULL ? bytes_of(NULL, 0)
                                                                 : secret_view(c->token)};
    const struct rpc_ask ask = {
        .path = q->path,
        .request = q->request,
        .is_secret = q->is_secret,
        .timeout_ms = q->timeout_ms,
        .metadata = &token,
        .metadata_count = c->token != NULL,
    };
    struct kerrinfo cause = {0};
    struct rpc_client *client = NULL;
    enum kerr k = client_of(c, &client, &cause);
    if (k == KERR_NOTFOUND) { /* the name: another endpoint may have one */
        *status = (struct rpc_status){.code = kerr_grpc_status(KERR_DOWN)};
        text_escape(bytes_of_text(cause.text), status->text, sizeof status->text);
        return KERR_OK;
    }
    return k == KERR_OK ? rpc_client_stream(client, &ask, q->take, q->ctx, status, e)
                        : kerr_set(e, k, "%s", cause.text);
}

/* ---- until one answers ---- */

static void sleep_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) != 0) {
    }
}

static enum kerr say_refused(const struct etcd *c, const struct question *q,
                             const struct refusal *r, const struct rpc_status *status,
                             struct kerrinfo *e)
{
    bool are_all = c->count > 1 && r->next == REFUSAL_OTHER && !q->is_for_one;
    bool is_denied = status->code == kerr_grpc_status(KERR_DENIED) && q->denied != NULL;
    return kerr_set(e, r->code, "%s%s: %s%s", etcd_endpoint(c),
                    are_all ? " (none of the others either)" : "",
                    *status->text == 0 ? kerr_sentence(r->code) : status->text,
                    is_denied ? q->denied : r->hint);
}

/* Goes on to the next endpoint, and waits after each round. False when it has been tried enough. */
static bool turn(struct etcd *c, size_t *tries)
{
    size_t rounds = c->has_answered ? ROUNDS : 1;
    if (++*tries >= rounds * c->count) {
        return false;
    }
    etcd_go_on(c);
    if (*tries % c->count == 0) {
        sleep_ms(PAUSE_MS);
    }
    return true;
}

static enum kerr login(struct etcd *c, struct kerrinfo *e);

enum kerr etcd_ask(struct etcd *c, struct question *q, bool with_token, struct kerrinfo *e)
{
    size_t tries = 0;
    unsigned logins = 0;
    for (;;) {
        struct rpc_status status = {.code = 0};
        enum kerr k = with_token && c->needs_login ? login(c, e) : KERR_OK;
        k = k == KERR_OK ? ask_here(c, q, &status, e) : k;
        if (k != KERR_OK || status.code == 0) {
            c->has_answered = c->has_answered || k == KERR_OK;
            return k;
        }
        const struct refusal *r = refusal_of(&status);
        bool is_token_old =
            with_token && r->next == REFUSAL_LOGIN && c->config->user != NULL && logins++ < LOGINS;
        c->needs_login = c->needs_login || is_token_old;
        bool may_turn = r->next == REFUSAL_OTHER && !q->is_for_one;
        if (q->has_messages || (!is_token_old && !(may_turn && turn(c, &tries)))) {
            return say_refused(c, q, r, &status, e);
        }
    }
}

/* ---- login ---- */

static enum kerr take_token(void *ctx, struct bytes message, struct kerrinfo *e)
{
    struct etcd *c = ctx;
    struct secret *token = NULL;
    enum kerr k = codec_token(message, &token, e);
    if (k == KERR_OK) {
        secret_free(c->token);
        c->token = token;
    }
    return k;
}

static enum kerr login(struct etcd *c, struct kerrinfo *e)
{
    AUTO_SECRET request = NULL;
    struct kerrinfo cause = {0};
    enum kerr k = codec_login_request(c->config->user, c->config->password, &request, e);
    if (k != KERR_OK) {
        return k;
    }
    secret_free(c->token);
    c->token = NULL;
    struct question q = {.path = LOGIN_PATH,
                         .request = secret_view(request),
                         .is_secret = true,
                         .timeout_ms = CALL_MS,
                         .take = take_token,
                         .ctx = c};
    k = etcd_ask(c, &q, false, &cause);
    if (k != KERR_OK && k != KERR_STATE) { /* STATE: it knows no users, so it asks nobody */
        return kerr_set(e, k, "%s", cause.text);
    }
    c->needs_login = false;
    return KERR_OK;
}

/* ---- what can be asked ---- */

static enum kerr take_status(void *ctx, struct bytes message, struct kerrinfo *e)
{
    return codec_status(message, ctx, e);
}

enum kerr etcd_status(struct etcd *c, struct etcd_status *ret, struct kerrinfo *e)
{
    struct question q = {
        .path = STATUS_PATH, .timeout_ms = CALL_MS, .take = take_status, .ctx = ret};
    *ret = (struct etcd_status){.member_id = 0};
    enum kerr k = etcd_ask(c, &q, true, e);
    ret->is_kine = k == KERR_OK && ret->member_id == 0;
    c->is_kine = ret->is_kine;
    return k;
}

struct asked_range {
    struct etcd *etcd;
    struct question *question;
    const struct etcd_range *range;
    etcd_key_value_fn *fn;
    void *ctx;
    struct etcd_page *page;
    bool is_stream;
    struct buf *last; /* key, of a stream */
};

/* Within a piece the order is checked already. */
static enum kerr take_streamed(void *ctx, const struct mvcc_key_value *kv, struct kerrinfo *e)
{
    struct asked_range *r = ctx;
    if (kv != NULL && r->last->len > 0 && bytes_compare(kv->key, buf_view(r->last)) <= 0) {
        return kerr_set(e, KERR_FORMAT, "%s: a streamed range is damaged: keys not in order",
                        etcd_endpoint(r->etcd));
    }
    r->last->len = kv != NULL ? 0 : r->last->len;
    enum kerr k = kv != NULL ? buf_put(r->last, kv->key, e) : KERR_OK;
    return k == KERR_OK ? r->fn(r->ctx, kv, e) : k;
}

static enum kerr take_range(void *ctx, struct bytes message, struct kerrinfo *e)
{
    struct asked_range *r = ctx;
    struct etcd_page page = *r->page;
    r->question->has_messages = true;
    enum kerr k = r->is_stream ? codec_piece(message, &message, e) : KERR_OK;
    k = k == KERR_OK ? codec_page_check(message, r->range, !r->is_stream, &page, e) : k;
    if (k != KERR_OK) {
        kerr_prefix(e, "%s", etcd_endpoint(r->etcd));
        return k;
    }
    if (r->is_stream) {
        page.keys += r->page->keys;
        page.bytes += r->page->bytes;
    }
    *r->page = page;
    return r->is_stream ? codec_page_walk(message, take_streamed, r, e)
                        : codec_page_walk(message, r->fn, r->ctx, e);
}

static enum kerr ask_range(struct etcd *c, const struct etcd_range *range, struct question *q,
                           struct asked_range *r, struct kerrinfo *e)
{
    AUTO_BUF request;
    buf_init(&request, REQUEST_MAX);
    *r->page = (struct etcd_page){.revision = 0};
    enum kerr k =
        codec_range_request(range, !c->config->is_linearizable && !c->is_kine, &request, e);
    q->request = buf_view(&request);
    k = k == KERR_OK ? etcd_ask(c, q, true, e) : k;
    if (k == KERR_OK && r->page->revision == 0) {
        k = kerr_set(e, KERR_FORMAT, "%s: an answer without a revision", etcd_endpoint(c));
    }
    return k;
}

enum kerr etcd_range(struct etcd *c, const struct etcd_range *range, etcd_key_value_fn *fn,
                     void *ctx, struct etcd_page *ret, struct kerrinfo *e)
{
    struct question q = {.path = RANGE_PATH, .timeout_ms = CALL_MS, .take = take_range};
    struct asked_range r = {c, &q, range, fn, ctx, ret, false, NULL};
    q.ctx = &r;
    return ask_range(c, range, &q, &r, e);
}

enum kerr etcd_range_stream(struct etcd *c, const struct etcd_range *range, etcd_key_value_fn *fn,
                            void *ctx, struct etcd_page *ret, struct kerrinfo *e)
{
    struct question q = {.path = STREAM_PATH, .timeout_ms = STREAM_MS, .take = take_range};
    AUTO_BUF last;
    struct asked_range r = {c, &q, range, fn, ctx, ret, true, &last};
    buf_init(&last, REQUEST_MAX);
    q.ctx = &r;
    return ask_range(c, range, &q, &r, e);
}
