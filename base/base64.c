/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <sodium.h>

void base64_write(struct bytes data, char *to)
{
    (void)sodium_bin2base64(to, BASE64_CHARS(data.len) + 1, data.ptr, data.len,
                            sodium_base64_VARIANT_ORIGINAL);
}

enum kerr base64_write_secret(struct bytes data, struct secret **ret, struct kerrinfo *e)
{
    struct secret *s = NULL;
    enum kerr k = secret_new(BASE64_CHARS(data.len) + 1, &s, e);
    if (k == KERR_OK) {
        base64_write(data, (char *)secret_bytes(s));
        *ret = s;
    }
    return k;
}

enum kerr base64_read(struct bytes text, void *to, size_t max, size_t *ret_len, struct kerrinfo *e)
{
    size_t len = 0;
    if (text.len > BASE64_CHARS(max)) {
        return kerr_set(e, KERR_LIMIT, "base64 of %zu characters, at most %zu", text.len,
                        BASE64_CHARS(max));
    }
    if (sodium_base642bin(to, max, (const char *)text.ptr, text.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0) {
        return kerr_set(e, KERR_INPUT, "not base64 of at most %zu bytes", max);
    }
    *ret_len = len;
    return KERR_OK;
}

enum kerr base64_read_secret(struct bytes text, size_t max, struct secret **ret, struct kerrinfo *e)
{
    AUTO_SECRET s = NULL;
    size_t len = 0;
    enum kerr k = secret_new(max, &s, e);
    k = k != KERR_OK ? k : base64_read(text, secret_bytes(s), max, &len, e);
    if (k != KERR_OK) {
        return k;
    }
    if (len == 0) {
        return kerr_set(e, KERR_INPUT, "base64 of nothing");
    }
    secret_truncate(s, len);
    *ret = secret_take(&s);
    return KERR_OK;
}
