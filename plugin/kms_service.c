/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/kms_service.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "plugin/limit.h"
#include "plugin/methods.h"

/* https://github.com/grpc/grpc/blob/master/doc/statuscodes.md */
#define RESOURCE_EXHAUSTED 8
/* Largest response: an Encrypt with everything at its maximum. */
#define RESPONSE_MAX 40960
/* Lines about failing calls when log.requests is off. */
#define LOG_RATE  10
#define LOG_BURST 50

_Static_assert((int)KMS_ANNOTATIONS_MAX == (int)PROVIDER_ANNOTATIONS_MAX, "copied row by row");

struct kms_service {
    struct kms_backend backend;
    struct auditors *auditors;
    struct workers *workers; /* NULL: no call waits */
    kms_service_peer_fn *peer;
    void *peer_ctx;
    pthread_mutex_t lock; /* what follows: a reload changes it */
    bool is_logging_all;
    struct bucket decrypts[CONFIG_PEERS_MAX];
    struct log_gate failures;
};

void kms_reply_done(struct kms_reply *r)
{
    buf_done(&r->message);
    secret_free(r->secret);
    r->secret = NULL;
}

/* Client text as a C string for the log, which escapes it. */
static void show(struct bytes text, char to[static KMS_SERVICE_SHOWN_MAX + 4])
{
    size_t len = text.len < KMS_SERVICE_SHOWN_MAX ? text.len : KMS_SERVICE_SHOWN_MAX;
    for (size_t i = 0; i < len; i++) {
        to[i] = text.ptr[i] == 0 ? '?' : (char)text.ptr[i];
    }
    (void)snprintf(to + len, 4, "%s", len < text.len ? "..." : "");
}

enum kerr kms_answer_status(const struct kms_backend *b, const struct provider_turn *turn,
                            struct bytes request, struct kms_reply *reply, struct kerrinfo *e)
{
    (void)turn;
    char key_id[PROVIDER_KEY_ID_MAX + 1];
    const char *health = NULL;
    enum kerr k = kms_decode_status_request(request, e);
    if (k == KERR_OK) {
        k = provider_current(b->provider, key_id, &health, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    show(bytes_of_text(key_id), reply->key_id);
    struct kms_status_response r = {.version = b->version, .healthz = health, .key_id = key_id};
    buf_init(&reply->message, RESPONSE_MAX);
    return kms_encode_status_response(&r, &reply->message, e);
}

static enum kerr wrap_to_response(const struct provider_wrapped *w, struct kms_reply *reply,
                                  struct kerrinfo *e)
{
    struct kms_encrypt_response r = {
        .ciphertext = bytes_of(w->ciphertext, w->ciphertext_len),
        .key_id = bytes_of_text(w->key_id),
        .annotations = {.count = w->annotations.count},
    };
    for (size_t i = 0; i < w->annotations.count; i++) {
        r.annotations.rows[i].name = w->annotations.rows[i].name;
        r.annotations.rows[i].value = w->annotations.rows[i].value;
    }
    show(r.key_id, reply->key_id);
    buf_init(&reply->message, RESPONSE_MAX);
    return kms_encode_encrypt_response(&r, &reply->message, e);
}

enum kerr kms_answer_encrypt(const struct kms_backend *b, const struct provider_turn *turn,
                             struct bytes request, struct kms_reply *reply, struct kerrinfo *e)
{
    AUTO(kms_encrypt_request_done) struct kms_encrypt_request r = {0};
    struct provider_wrapped wrapped;
    enum kerr k = kms_decode_encrypt_request(request, &r, e);
    if (k != KERR_OK) {
        return k;
    }
    show(r.uid, reply->uid);
    if (r.plaintext == NULL) {
        return kerr_set(e, KERR_INPUT, "Encrypt without plaintext");
    }
    k = provider_wrap(b->provider, turn, secret_view(r.plaintext), &wrapped, e);
    return k == KERR_OK ? wrap_to_response(&wrapped, reply, e) : k;
}

static enum kerr unwrap(const struct kms_backend *b, const struct provider_turn *turn,
                        const struct kms_decrypt_request *r, struct kms_reply *reply,
                        struct secret **ret, struct kerrinfo *e)
{
    struct provider_annotations annotations = {.count = r->annotations.count};
    for (size_t i = 0; i < r->annotations.count; i++) {
        annotations.rows[i].name = r->annotations.rows[i].name;
        annotations.rows[i].value = r->annotations.rows[i].value;
    }
    enum kerr k = provider_unwrap(b->provider, turn, r->key_id, r->ciphertext, &annotations, ret,
                                  &reply->key_state, e);
    /* A forged ciphertext is no use of a key, or anybody could keep a key from being disabled. */
    if (reply->key_state != NULL && (k == KERR_OK || k == KERR_STATE)) {
        metrics_decrypt(b->metrics, r->key_id, reply->key_state, clock_wall_s());
    }
    return k;
}

enum kerr kms_answer_decrypt(const struct kms_backend *b, const struct provider_turn *turn,
                             struct bytes request, struct kms_reply *reply, struct kerrinfo *e)
{
    AUTO(kms_decrypt_request_done) struct kms_decrypt_request r = {0};
    AUTO_SECRET plaintext = NULL;
    enum kerr k = kms_decode_decrypt_request(request, &r, e);
    if (k != KERR_OK) {
        return k;
    }
    show(r.uid, reply->uid);
    show(r.key_id, reply->key_id);
    if (r.key_id.len == 0 || r.ciphertext.len == 0) {
        return kerr_set(e, KERR_INPUT, "Decrypt without %s",
                        r.key_id.len == 0 ? "key_id" : "ciphertext");
    }
    k = unwrap(b, turn, &r, reply, &plaintext, e);
    return k == KERR_OK ? kms_encode_decrypt_response(plaintext, &reply->secret, e) : k;
}

/* False: the peer's row has used up its decrypt_rate. */
static bool may_run(struct kms_service *s, size_t method, size_t class_index)
{
    if (method != KMS_DECRYPT || class_index >= CONFIG_PEERS_MAX) {
        return true;
    }
    (void)pthread_mutex_lock(&s->lock);
    bool may = bucket_take(&s->decrypts[class_index], clock_mono_ms());
    (void)pthread_mutex_unlock(&s->lock);
    return may;
}

static enum kerr run_in_time(struct kms_service *s, const struct method *m, struct bytes request,
                             const struct provider_turn *turn, struct kms_answer *a)
{
    uint64_t began_ms = clock_mono_ms();
    if (began_ms >= turn->until_ms) {
        return kerr_set(&a->cause, KERR_TIMEOUT, "came with no time left");
    }
    enum kerr k = m->answer(&s->backend, turn, request, &a->reply, &a->cause);
    uint64_t ended_ms = clock_mono_ms();
    if (k == KERR_OK && ended_ms > turn->until_ms) {
        return kerr_set(&a->cause, KERR_TIMEOUT, "took %llu ms, allowed were %llu",
                        (unsigned long long)(ended_ms - began_ms),
                        (unsigned long long)(turn->until_ms - began_ms));
    }
    return k;
}

static void answer(struct kms_service *s, size_t method, struct bytes request,
                   const struct provider_turn *turn, struct kms_answer *ret)
{
    enum kerr k = run_in_time(s, &methods[method], request, turn, ret);
    ret->status = method_status(method, k, &ret->message);
    if (k != KERR_OK) {
        kms_reply_done(&ret->reply);
    }
}

/* When a call that comes now must be over. */
static uint64_t until_ms(size_t method, uint64_t left_ms)
{
    unsigned most_ms = methods[method].deadline_ms;
    return clock_mono_ms() + (left_ms < most_ms ? left_ms : most_ms);
}

void kms_service_answer(struct kms_service *s, size_t method, size_t class_index,
                        struct bytes request, uint64_t left_ms, struct kms_answer *ret)
{
    *ret = (struct kms_answer){.status = 0};
    if (!may_run(s, method, class_index)) {
        ret->status = RESOURCE_EXHAUSTED;
        ret->message = "decrypt_rate of this peer is used up";
        (void)kerr_set(&ret->cause, KERR_LIMIT, "%s", ret->message);
        return;
    }
    const struct provider_turn turn = {.until_ms = until_ms(method, left_ms)};
    answer(s, method, request, &turn, ret);
}

void kms_service_answer_waiting(struct kms_service *s, size_t method, struct bytes request,
                                uint64_t until, struct kms_answer *ret)
{
    const struct provider_turn turn = {.may_wait = true, .until_ms = until};
    *ret = (struct kms_answer){.status = 0};
    answer(s, method, request, &turn, ret);
}

/* Whether and how loudly a call is logged. */
static bool wants_line(struct kms_service *s, int status, enum log_level *ret_level,
                       uint64_t *ret_suppressed)
{
    (void)pthread_mutex_lock(&s->lock);
    bool wants = true;
    *ret_level = status == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARN;
    *ret_suppressed = 0;
    if (!s->is_logging_all && status == 0) {
        *ret_level = LOG_LEVEL_DEBUG;
    } else if (!s->is_logging_all) {
        wants = log_gate_pass(&s->failures, clock_mono_ms(), ret_suppressed);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return wants && log_enabled(*ret_level);
}

static struct peer peer_of(const struct kms_service *s, const char *rpc_peer)
{
    struct peer peer = {.conn = 0};
    bool is_known = s->peer != NULL && s->peer(s->peer_ctx, rpc_peer, &peer);
    return is_known ? peer : (struct peer){.conn = 0};
}

/* What the log says of a call. */
struct call_note {
    const char *method;
    const struct peer *peer;
    size_t class_index;
    int status;
    uint64_t took_us;
    const char *cause;             /* NULL: none */
    const struct kms_reply *reply; /* NULL: never read */
};

static const char *unless_empty(const char *text)
{
    return *text == 0 ? NULL : text;
}

static void log_call(struct kms_service *s, const struct call_note *n)
{
    enum log_level level;
    uint64_t suppressed = 0;
    if (!wants_line(s, n->status, &level, &suppressed)) {
        return;
    }
    static const struct kms_reply nothing;
    const struct kms_reply *r = n->reply == NULL ? &nothing : n->reply;
    const struct peer *peer = n->peer;
    bool is_known = peer->conn != 0;
    struct log_kv none = log_text("", NULL);
    log_event(
        level, "request", log_text("method", n->method), log_text("uid", unless_empty(r->uid)),
        log_text("key_id", unless_empty(r->key_id)), log_text("key_state", r->key_state),
        is_known ? log_u64("peer_pid", (uint64_t)peer->pid) : none,
        is_known ? log_u64("peer_uid", peer->uid) : none, log_u64("row", n->class_index),
        log_text("code", method_status_name(n->status)), log_u64("duration_us", n->took_us),
        log_text("cause", n->cause), suppressed > 0 ? log_u64("suppressed", suppressed) : none);
}

static void send_answer(struct rpc_call *call, const struct kms_answer *a)
{
    if (a->status != 0) {
        rpc_call_fail(call, a->status, a->message);
    } else if (a->reply.secret != NULL) {
        rpc_call_reply(call, secret_view(a->reply.secret), true);
    } else {
        rpc_call_reply(call, buf_view(&a->reply.message), false);
    }
}

/* One call, on its way from the rpc server's thread, maybe over a worker, to its end. */
struct job {
    struct worker_job base;
    struct kms_service *service;
    struct rpc_call *call;
    size_t method;
    size_t class_index;
    uint64_t began_ns;
    uint64_t until_ms;
    struct peer peer;
};

static void finish(const struct job *j, struct kms_answer *a)
{
    struct kms_service *s = j->service;
    uint64_t took_ns = clock_mono_ns() - j->began_ns;
    /* Before it is sent: who has the answer finds it counted, and who got a seed stands in the log.
     */
    metrics_request(s->backend.metrics, (enum kms_method)j->method, a->status, took_ns);
    if (j->method == KMS_DECRYPT) {
        auditors_decrypt(s->auditors, &j->peer,
                         &(struct auditor_call){.row = j->class_index,
                                                .uid = a->reply.uid,
                                                .is_unwrapped = a->status == 0});
    }
    send_answer(j->call, a);
    log_call(s, &(struct call_note){.method = methods[j->method].name,
                                    .peer = &j->peer,
                                    .class_index = j->class_index,
                                    .status = a->status,
                                    .took_us = took_ns / 1000,
                                    .cause = a->status == 0 ? NULL : a->cause.text,
                                    .reply = &a->reply});
    kms_reply_done(&a->reply);
}

static void run_waiting(struct worker_job *base)
{
    struct job *j = (struct job *)base;
    struct kms_answer a;
    kms_service_answer_waiting(j->service, j->method, rpc_call_request(j->call), j->until_ms, &a);
    finish(j, &a);
    free(j);
}

/* True: a worker has the call. */
static bool hand_over(const struct job *j, struct kms_answer *a)
{
    struct kms_service *s = j->service;
    if (a->cause.code != KERR_WAITS || s->workers == NULL) {
        return false;
    }
    struct job *copy = malloc(sizeof *copy);
    kerr_clear(&a->cause);
    enum kerr k =
        copy == NULL ? kerr_set(&a->cause, KERR_NOMEM, "no memory for a waiting call") : KERR_OK;
    if (k == KERR_OK) {
        *copy = *j;
        copy->base.run = run_waiting;
        k = workers_add(s->workers, &copy->base, &a->cause);
    }
    if (k != KERR_OK) {
        free(copy);
        a->status = RESOURCE_EXHAUSTED;
        a->message = "too many calls wait for the key service";
    }
    return k == KERR_OK;
}

void kms_service_handle(void *ctx, size_t method, size_t class_index, struct rpc_call *call)
{
    uint64_t left_ms = rpc_call_left_ms(call);
    struct job j = {.service = ctx,
                    .call = call,
                    .method = method,
                    .class_index = class_index,
                    .began_ns = clock_mono_ns(),
                    .until_ms = until_ms(method, left_ms)};
    j.peer = peer_of(ctx, rpc_call_peer(call));
    struct kms_answer a;
    kms_service_answer(ctx, method, class_index, rpc_call_request(call), left_ms, &a);
    if (!hand_over(&j, &a)) {
        finish(&j, &a);
    }
}

void kms_service_refused(void *ctx, size_t method, size_t class_index, const char *peer, int status,
                         const char *why)
{
    struct kms_service *s = ctx;
    const struct peer from = peer_of(s, peer);
    metrics_request_refused(s->backend.metrics, method, status);
    log_call(
        s, &(struct call_note){.method = method < KMS_METHOD_COUNT ? methods[method].name : "other",
                               .peer = &from,
                               .class_index = class_index,
                               .status = status,
                               .cause = why});
}

void kms_service_set_rules(struct kms_service *s, const struct config *c)
{
    uint64_t now_ms = clock_mono_ms();
    (void)pthread_mutex_lock(&s->lock);
    s->is_logging_all = c->log_requests;
    for (size_t i = 0; i < CONFIG_PEERS_MAX; i++) {
        unsigned rate = i < c->peer_count ? c->peers[i].decrypt_rate : 0;
        bucket_init(&s->decrypts[i], rate, rate, now_ms);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

enum kerr kms_service_new(const struct kms_service_config *c, struct kms_service **ret,
                          struct kerrinfo *e)
{
    struct kms_service *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for the KMS service");
    }
    s->backend =
        (struct kms_backend){.provider = c->provider, .version = c->version, .metrics = c->metrics};
    s->auditors = c->auditors;
    s->workers = c->workers;
    s->peer = c->peer;
    s->peer_ctx = c->peer_ctx;
    s->is_logging_all = true;
    (void)pthread_mutex_init(&s->lock, NULL);
    log_gate_init(&s->failures, LOG_RATE, LOG_BURST, clock_mono_ms());
    *ret = s;
    return KERR_OK;
}

void kms_service_free(struct kms_service *s)
{
    if (s != NULL) {
        (void)pthread_mutex_destroy(&s->lock);
        free(s);
    }
}
