/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds share that come down to a symmetric key or to a file's content. */
#include <string.h>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "seal/seal_ops.h"

#define CONTENT_PARAMS_VERSION 1
#define CONTENT_SALT           16
#define BINDING_MAX            1024

static const char key_label[] = "etcdseal/v1/seal";

enum kerr seal_aad(const char *label, struct bytes binding, const struct seal_record *record,
                   uint8_t *to, size_t size, struct bytes *ret, struct kerrinfo *e)
{
    struct writer w = writer_on(to, size);
    write_raw(&w, bytes_of_text(label));
    write_lv16(&w, binding);
    write_u8(&w, record->kind);
    write_lv16(&w, bytes_of(record->params, record->params_len));
    if (w.failed) {
        return kerr_set(e, KERR_BUG, "a seal's binding of %zu bytes", binding.len);
    }
    *ret = writer_view(&w);
    return KERR_OK;
}

enum kerr seal_key_wrap(const struct secret *key, struct bytes binding, const struct secret *secret,
                        struct seal_record *record, struct kerrinfo *e)
{
    uint8_t raw[BINDING_MAX];
    struct bytes aad;
    enum kerr k = seal_aad(key_label, binding, record, raw, sizeof raw, &aad, e);
    if (k != KERR_OK) {
        return k;
    }
    random_fill(record->blob, AEAD_XAES_NONCE);
    k = aead_xaes_seal(secret_view(key).ptr, record->blob, aad, secret_view(secret),
                       record->blob + AEAD_XAES_NONCE, e);
    if (k == KERR_OK) {
        record->blob_len = AEAD_XAES_NONCE + secret_len(secret) + AEAD_TAG;
    }
    return k;
}

enum kerr seal_key_unwrap(const struct secret *key, struct bytes binding,
                          const struct seal_record *record, struct secret **ret, struct kerrinfo *e)
{
    if (record->blob_len != AEAD_XAES_NONCE + SEAL_SECRET_BYTES + AEAD_TAG) {
        return kerr_set(e, KERR_INTEGRITY, "wrong secret, or the slot was altered");
    }
    uint8_t raw[BINDING_MAX];
    struct bytes aad;
    enum kerr k = seal_aad(key_label, binding, record, raw, sizeof raw, &aad, e);
    if (k != KERR_OK) {
        return k;
    }
    AUTO_SECRET out = NULL;
    k = secret_new(SEAL_SECRET_BYTES, &out, e);
    if (k != KERR_OK) {
        return k;
    }
    struct kerrinfo inner = {0};
    k = aead_xaes_open(secret_view(key).ptr, record->blob, aad,
                       bytes_of(record->blob + AEAD_XAES_NONCE, record->blob_len - AEAD_XAES_NONCE),
                       secret_bytes(out), &inner);
    if (k == KERR_INTEGRITY) {
        return kerr_set(e, k, "wrong secret, or the slot was altered");
    }
    if (k != KERR_OK) {
        return kerr_set(e, k, "%s", inner.text);
    }
    *ret = secret_take(&out);
    return KERR_OK;
}

static enum kerr content_key(const struct secret *content, const char *label, const char *what,
                             const struct seal_record *record, struct secret **ret,
                             struct kerrinfo *e)
{
    if (secret_len(content) < SEAL_KEY_FILE_MIN) {
        return kerr_set(e, KERR_INPUT, "%s holds %zu bytes, expected at least %d random ones", what,
                        secret_len(content), SEAL_KEY_FILE_MIN);
    }
    return hash_hkdf(secret_view(content), bytes_of(record->params + 1, CONTENT_SALT),
                     bytes_of_text(label), AEAD_KEY, ret, e);
}

enum kerr seal_content_wrap(const struct secret *content, const char *label, const char *what,
                            struct bytes binding, const struct secret *secret,
                            struct seal_record *record, struct kerrinfo *e)
{
    record->params[0] = CONTENT_PARAMS_VERSION;
    random_fill(record->params + 1, CONTENT_SALT);
    record->params_len = 1 + CONTENT_SALT;
    AUTO_SECRET key = NULL;
    enum kerr k = content_key(content, label, what, record, &key, e);
    return k == KERR_OK ? seal_key_wrap(key, binding, secret, record, e) : k;
}

enum kerr seal_content_unwrap(const struct secret *content, const char *label, const char *what,
                              struct bytes binding, const struct seal_record *record,
                              struct secret **ret, struct kerrinfo *e)
{
    AUTO_SECRET key = NULL;
    enum kerr k = content_key(content, label, what, record, &key, e);
    if (k == KERR_OK) {
        k = seal_key_unwrap(key, binding, record, ret, e);
    }
    if (k == KERR_INTEGRITY) {
        kerr_prefix(e, "%s", what);
    }
    return k;
}

enum kerr seal_content_check_params(struct bytes params, struct kerrinfo *e)
{
    if (params.len != 1 + CONTENT_SALT || params.ptr[0] != CONTENT_PARAMS_VERSION) {
        return kerr_set(e, KERR_FORMAT, "seal parameters of %zu bytes, expected %d and version %d",
                        params.len, 1 + CONTENT_SALT, CONTENT_PARAMS_VERSION);
    }
    return KERR_OK;
}
