/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of KMS v2: any bytes give a request within the limits or a code that kms.h names; what
 * was decoded can be encoded again.
 */
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

static bool is_refusal(enum kerr k, const struct kerrinfo *e)
{
    return (k == KERR_INPUT || k == KERR_LIMIT) && e->code == k && e->text[0] != 0;
}

static void try_status(struct bytes message)
{
    struct kerrinfo e;
    kerr_clear(&e);
    enum kerr k = kms_decode_status_request(message, &e);
    must(k == KERR_OK || is_refusal(k, &e));
}

static void try_encrypt(struct bytes message)
{
    struct kerrinfo e;
    kerr_clear(&e);
    AUTO(kms_encrypt_request_done) struct kms_encrypt_request r = {0};
    enum kerr k = kms_decode_encrypt_request(message, &r, &e);
    if (k != KERR_OK) {
        must(is_refusal(k, &e) && r.arena == NULL && r.plaintext == NULL);
        return;
    }
    must(r.uid.len <= KMS_UID_MAX && text_is_utf8(r.uid));
    if (r.plaintext != NULL) {
        AUTO_SECRET response = NULL;
        must(secret_len(r.plaintext) <= KMS_PLAINTEXT_MAX);
        must(kms_encode_decrypt_response(r.plaintext, &response, &e) == KERR_OK);
    }
}

static void try_decrypt(struct bytes message)
{
    struct kerrinfo e;
    kerr_clear(&e);
    AUTO(kms_decrypt_request_done) struct kms_decrypt_request r = {0};
    enum kerr k = kms_decode_decrypt_request(message, &r, &e);
    if (k != KERR_OK) {
        must(is_refusal(k, &e) && r.arena == NULL);
        return;
    }
    must(r.uid.len <= KMS_UID_MAX && text_is_utf8(r.uid));
    AUTO_BUF response;
    buf_init(&response, 2 * KMS_DECRYPT_REQUEST_MAX);
    struct kms_encrypt_response again = {r.ciphertext, r.key_id, r.annotations};
    must(kms_encode_encrypt_response(&again, &response, &e) == KERR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes message = bytes_of(data, size);
    try_status(message);
    try_encrypt(message);
    try_decrypt(message);
    return 0;
}
