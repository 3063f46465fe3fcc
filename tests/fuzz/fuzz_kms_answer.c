/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of a KMS plugin: any bytes give one within the limits, or a code that kms.h names. */
#include <stdlib.h>

#include "base/text.h"
#include "kms/kms.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return secret_start(SECRET_LOCK_BEST_EFFORT, NULL) == KERR_OK ? 0 : 1;
}

static void must(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kerrinfo e = {0};
    struct kms_status status = {.arena = NULL};
    AUTO_SECRET plaintext = NULL;
    enum kerr k = kms_decode_status_response(bytes_of(data, size), &status, &e);
    must(k == KERR_OK || ((k == KERR_INPUT || k == KERR_LIMIT) && status.arena == NULL));
    must(status.key_id.len <= KMS_KEY_ID_MAX && text_is_utf8(status.key_id));
    kms_status_done(&status);
    kerr_clear(&e);
    k = kms_decode_decrypt_response(bytes_of(data, size), &plaintext, &e);
    must(k == KERR_OK ? secret_len(plaintext) <= KMS_DECRYPT_RESPONSE_MAX
                      : k == KERR_INPUT || k == KERR_LIMIT);
    return 0;
}
