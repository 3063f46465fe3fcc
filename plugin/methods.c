/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/methods.h"

#include <string.h>

#define BIT(code) (UINT32_C(1) << KERR_##code)
_Static_assert(KERR_COUNT <= 32, "a row's codes are bits of 32");

/* Malformed or too large, no memory, sealed, too late, a key service that is away or refuses: any
 * method may end so. */
#define TOLD_ANY                                                                                   \
    (BIT(INPUT) | BIT(LIMIT) | BIT(NOMEM) | BIT(SEALED) | BIT(UNSEALING) | BIT(TIMEOUT) |          \
     BIT(DOWN) | BIT(DENIED))

/* kube-apiserver waits 3 s for each call (kms-v2 provider `timeout`, default). Status answers from
 * memory; one that takes a second shows a daemon in trouble. */
const struct method methods[KMS_METHOD_COUNT] = {
    [KMS_STATUS] = {.name = "Status",
                    .path = "/v2.KeyManagementService/Status",
                    .request_max = KMS_STATUS_REQUEST_MAX,
                    .deadline_ms = 1000,
                    .told = TOLD_ANY,
                    .answer = kms_answer_status},
    [KMS_ENCRYPT] = {.name = "Encrypt",
                     .path = "/v2.KeyManagementService/Encrypt",
                     .request_max = KMS_ENCRYPT_REQUEST_MAX,
                     .deadline_ms = 3000,
                     .told = TOLD_ANY,
                     .answer = kms_answer_encrypt},
    [KMS_DECRYPT] = {.name = "Decrypt",
                     .path = "/v2.KeyManagementService/Decrypt",
                     .request_max = KMS_DECRYPT_REQUEST_MAX,
                     .deadline_ms = 3000,
                     .told = TOLD_ANY | BIT(KEYID) | BIT(STATE) | BIT(INTEGRITY),
                     .answer = kms_answer_decrypt},
};

static const char *const status_names[METHOD_STATUS_COUNT] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

int method_status(size_t method, enum kerr code, const char **ret_message)
{
    if (code == KERR_OK) {
        *ret_message = NULL;
        return 0;
    }
    bool is_told = (unsigned)code < KERR_COUNT && (methods[method].told >> code & 1U) != 0;
    enum kerr shown = is_told ? code : KERR_BUG;
    *ret_message = kerr_sentence(shown);
    return kerr_grpc_status(shown);
}

const char *method_status_name(int status)
{
    return status >= 0 && status < METHOD_STATUS_COUNT ? status_names[status] : status_names[2];
}
