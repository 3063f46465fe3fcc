/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KMS service: requests of the rpc server to the provider and back, with limits, log and
 * metrics. The rows of methods.h say what each method may take and tell.
 *
 * The client sees a canonical status and one fixed sentence for each cause; details go to our log
 * only. The uid of a request is for joining kube-apiserver's log with ours: shown escaped and cut,
 * never used for anything else.
 *
 * A call that must wait for a key service is handed to a worker and made again there; all others
 * are answered on the rpc server's thread.
 *
 * Threads: kms_service_handle and kms_service_refused are called by the rpc server's thread,
 * kms_service_answer and kms_service_set_rules by any.
 */
#ifndef ETCDSEAL_PLUGIN_KMS_SERVICE_H
#define ETCDSEAL_PLUGIN_KMS_SERVICE_H

#include "plugin/auditors.h"
#include "plugin/metrics.h"
#include "plugin/peers.h"
#include "plugin/workers.h"
#include "provider/provider.h"
#include "rpc/rpc.h"

/* Bytes of a client's text that the log shows; a UUID has 36. */
#define KMS_SERVICE_SHOWN_MAX 100

/* Who is behind gRPC's text for a connection, while a call on it begins; false: unknown. Any
 * thread. */
typedef bool kms_service_peer_fn(void *ctx, const char *rpc_peer, struct peer *ret);

struct kms_service_config {
    struct provider *provider; /* must outlive the service */
    const char *version;       /* "v2" or "v2beta1": static, constant while the process lives */
    struct metrics *metrics;
    struct auditors *auditors; /* told of each Decrypt */
    struct workers *workers;   /* for calls that wait; NULL when the provider never does */
    kms_service_peer_fn *peer; /* may be NULL */
    void *peer_ctx;
};

struct kms_service;

enum kerr kms_service_new(const struct kms_service_config *c, struct kms_service **ret,
                          struct kerrinfo *e) MUST_CHECK;
void kms_service_free(struct kms_service *s); /* NULL is fine */

/* Takes over decrypt_rate of each row of `peers`, and log.requests. Buckets start full. */
void kms_service_set_rules(struct kms_service *s, const struct config *c);

/* For rpc_server_config: ctx is the service. */
rpc_handler_fn kms_service_handle;
rpc_refused_fn kms_service_refused;

/* What one method made of a request. The texts are for the log and are filled as far as the
 * request could be read, also on failure. */
struct kms_reply {
    struct buf message;    /* the response, or */
    struct secret *secret; /* the response that holds plaintext */
    char uid[KMS_SERVICE_SHOWN_MAX + 4];
    char key_id[KMS_SERVICE_SHOWN_MAX + 4];
    const char *key_state; /* Decrypt only: static, NULL unless the key was found */
};
void kms_reply_done(struct kms_reply *r); /* all zero is fine */

/* One call from the request's bytes to the answer, without rpc. */
struct kms_answer {
    int status;          /* canonical gRPC status */
    const char *message; /* fixed sentence; NULL for OK */
    struct kms_reply reply;
    struct kerrinfo cause; /* for the log */
};
/* The first try, which does not wait: WAITS in the cause when it must. `left_ms` as
 * rpc_call_left_ms gives it. kms_reply_done(&ret->reply) afterwards. */
void kms_service_answer(struct kms_service *s, size_t method, size_t class_index,
                        struct bytes request, uint64_t left_ms, struct kms_answer *ret);
/* The second one, which may. `until_ms`: when the caller gives up, monotonic. */
void kms_service_answer_waiting(struct kms_service *s, size_t method, struct bytes request,
                                uint64_t until_ms, struct kms_answer *ret);

/* What a row of the method table calls. */
struct kms_backend {
    struct provider *provider;
    const char *version;
    struct metrics *metrics;
};
enum kerr kms_answer_status(const struct kms_backend *b, const struct provider_turn *turn,
                            struct bytes request, struct kms_reply *reply,
                            struct kerrinfo *e) MUST_CHECK;
enum kerr kms_answer_encrypt(const struct kms_backend *b, const struct provider_turn *turn,
                             struct bytes request, struct kms_reply *reply,
                             struct kerrinfo *e) MUST_CHECK;
enum kerr kms_answer_decrypt(const struct kms_backend *b, const struct provider_turn *turn,
                             struct bytes request, struct kms_reply *reply,
                             struct kerrinfo *e) MUST_CHECK;

#endif
