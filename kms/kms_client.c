/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/kms_client.h"

#include <stdlib.h>
#include <time.h>

#include "rpc/rpc_client.h"

#define PATH_STATUS  "/v2.KeyManagementService/Status"
#define PATH_DECRYPT "/v2.KeyManagementService/Decrypt"

#define TRIES_FULL         20         /* of a call that its plugin has no room for */
#define TRIES_UNCLEAR      3          /* of one that it refuses without saying why */
#define TRY_AGAIN          100000000L /* ns */
#define CODES              17
#define STATUS_OK          0
#define STATUS_DEADLINE    4
#define STATUS_FULL        8 /* RESOURCE_EXHAUSTED */
#define STATUS_UNAVAILABLE 14

/* What a status of Decrypt says of the seed (codes of gRPC). */
enum meaning { NOT_ASKED, REFUSED, UNCLEAR };
static const enum meaning meanings[CODES] = {
    [2] = UNCLEAR,  /* UNKNOWN: any error of a handler in Go */
    [3] = REFUSED,  /* INVALID_ARGUMENT */
    [5] = REFUSED,  /* NOT_FOUND: no such key */
    [9] = UNCLEAR,  /* FAILED_PRECONDITION: a disabled key, or all is sealed */
    [10] = UNCLEAR, /* ABORTED */
    [11] = REFUSED, /* OUT_OF_RANGE */
    [13] = UNCLEAR, /* INTERNAL */
    [15] = REFUSED, /* DATA_LOSS */
};

static enum meaning meaning_of(const struct rpc_status *status)
{
    return (unsigned)status->code < CODES ? meanings[status->code] : NOT_ASKED;
}

static int tries_of(const struct rpc_status *status)
{
    return status->code == STATUS_FULL     ? TRIES_FULL
           : meaning_of(status) == UNCLEAR ? TRIES_UNCLEAR
                                           : 1;
}

struct kms_client {
    struct rpc_client *rpc;
};

enum kerr kms_client_new(const char *socket_path, struct kms_client **ret, struct kerrinfo *e)
{
    struct kms_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a KMS client");
    }
    const struct rpc_client_config config = {.unix_path = socket_path,
                                             .connect_ms = KMS_CLIENT_CALL_MS,
                                             .response_max = KMS_STATUS_RESPONSE_MAX};
    enum kerr k = rpc_client_new(&config, &c->rpc, e);
    if (k != KERR_OK) {
        kms_client_free(c);
        return k;
    }
    *ret = c;
    return KERR_OK;
}

void kms_client_free(struct kms_client *c)
{
    if (c != NULL) {
        rpc_client_free(c->rpc);
        free(c);
    }
}

static enum kerr down(const struct rpc_status *status, struct kerrinfo *e)
{
    return kerr_set(e, KERR_DOWN, "status %d, %s", status->code, status->text);
}

/* ---- Status ---- */

static enum kerr ask_status(struct kms_client *c, struct kms_status *ret, struct kerrinfo *e)
{
    const struct rpc_ask ask = {.path = PATH_STATUS, .timeout_ms = KMS_CLIENT_CALL_MS};
    struct rpc_status status;
    struct kerrinfo why = {0};
    AUTO_BUF answer;
    buf_init(&answer, KMS_STATUS_RESPONSE_MAX);
    enum kerr k = rpc_client_call(c->rpc, &ask, &answer, &status, e);
    if (k != KERR_OK || status.code != STATUS_OK) {
        return k == KERR_OK ? down(&status, e) : k;
    }
    k = kms_decode_status_response(buf_view(&answer), ret, &why);
    return k == KERR_OK || k == KERR_NOMEM ? k : kerr_set(e, KERR_DOWN, "%s", why.text);
}

enum kerr kms_client_status(struct kms_client *c, struct kms_status *ret, struct kerrinfo *e)
{
    enum kerr k = ask_status(c, ret, e);
    if (k == KERR_OK && (!bytes_equal_text(ret->healthz, "ok") || ret->key_id.len == 0)) {
        return kerr_set(e, KERR_DOWN, "its Status is not ok");
    }
    return k;
}

static bool is_ok(struct kms_client *c)
{
    struct kerrinfo why = {0};
    struct kms_status status = {.arena = NULL};
    enum kerr k = kms_client_status(c, &status, &why);
    kms_status_done(&status);
    return k == KERR_OK;
}

/* ---- Decrypt ---- */

/* What kept the call from being answered, when it was not the value. */
static bool is_lost(int code)
{
    return code == STATUS_UNAVAILABLE || code == STATUS_DEADLINE;
}

static enum kerr judge_refusal(struct kms_client *c, const struct rpc_status *status,
                               struct kerrinfo *e)
{
    if (meaning_of(status) == REFUSED) {
        return kerr_set(e, KERR_DENIED, "status %d, %s", status->code, status->text);
    }
    if (is_lost(status->code) || !is_ok(c)) {
        return down(status, e);
    }
    return kerr_set(e, meaning_of(status) == UNCLEAR ? KERR_DENIED : KERR_BUSY, "status %d, %s",
                    status->code, status->text);
}

/* A daemon of ours bounds how many seeds a peer may have unwrapped in a second, and a plugin may
 * have a bad moment. */
static enum kerr call_again_and_again(struct kms_client *c, const struct rpc_ask *ask,
                                      struct secret **ret, struct rpc_status *status,
                                      struct kerrinfo *e)
{
    const struct timespec pause = {.tv_nsec = TRY_AGAIN};
    enum kerr k = rpc_client_call_secret(c->rpc, ask, ret, status, e);
    for (int i = 1; k == KERR_OK && i < tries_of(status); i++) {
        (void)nanosleep(&pause, NULL);
        k = rpc_client_call_secret(c->rpc, ask, ret, status, e);
    }
    return k;
}

enum kerr kms_client_decrypt(struct kms_client *c, const struct kms_sealed_seed *seed,
                             struct secret **ret, struct kerrinfo *e)
{
    AUTO_SECRET answer = NULL;
    AUTO_BUF request;
    struct rpc_status status;
    struct kerrinfo why = {0};
    buf_init(&request, KMS_DECRYPT_REQUEST_MAX);
    enum kerr k = kms_encode_decrypt_request(seed, KMS_AUDIT_UID, &request, e);
    if (k != KERR_OK) {
        return k;
    }
    const struct rpc_ask ask = {.path = PATH_DECRYPT,
                                .request = buf_view(&request),
                                .is_secret = true,
                                .timeout_ms = KMS_CLIENT_CALL_MS};
    k = call_again_and_again(c, &ask, &answer, &status, e);
    if (k != KERR_OK || status.code != STATUS_OK) {
        return k == KERR_OK ? judge_refusal(c, &status, e) : k;
    }
    struct bytes message = answer == NULL ? bytes_of(NULL, 0) : secret_view(answer);
    k = kms_decode_decrypt_response(message, ret, &why);
    return k == KERR_OK || k == KERR_NOMEM ? k : kerr_set(e, KERR_DOWN, "%s", why.text);
}
