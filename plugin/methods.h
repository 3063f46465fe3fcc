/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of methods that the daemon answers: one row for each, all that is special about it.
 * Constant; any thread.
 */
#ifndef ETCDSEAL_PLUGIN_METHODS_H
#define ETCDSEAL_PLUGIN_METHODS_H

#include "kms/kms.h"
#include "plugin/kms_service.h"

typedef enum kerr method_answer_fn(const struct kms_backend *b, const struct provider_turn *turn,
                                   struct bytes request, struct kms_reply *reply,
                                   struct kerrinfo *e);

struct method {
    const char *name;         /* for logs and labels: "Status" */
    const char *path;         /* "/v2.KeyManagementService/Status" */
    size_t request_max;       /* bytes of the request message */
    unsigned deadline_ms;     /* for callers without a deadline, or with a longer one */
    uint32_t told;            /* bit for each error code that the client is told; any other is
                                 INTERNAL, because the method's contract does not know it */
    method_answer_fn *answer; /* makes the response */
};

/* Rows by `enum kms_method`. */
extern const struct method methods[KMS_METHOD_COUNT];

/* The gRPC status and the sentence for the client when row `method` ends with `code`. KERR_OK gives
 * 0 and NULL. */
int method_status(size_t method, enum kerr code, const char **ret_message);

/* "FAILED_PRECONDITION"; "UNKNOWN" for what is no canonical status. */
#define METHOD_STATUS_COUNT 17
const char *method_status_name(int status);

#endif
