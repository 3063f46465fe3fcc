/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd/endpoint.h"

#include <stdio.h>
#include <string.h>

#define PORT_CHARS_MAX 5

static const struct scheme {
    const char *name;
    bool is_tls;
    bool is_unix;
} schemes[] = {
    {"https://", true, false},
    {"http://", false, false},
    {"unix://", false, true},
    {"unix:", false, true},
};

static const struct scheme *scheme_of(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (strncmp(text, schemes[i].name, strlen(schemes[i].name)) == 0) {
            return &schemes[i];
        }
    }
    return NULL;
}

static enum kerr wrong(const char *text, struct kerrinfo *e)
{
    return kerr_set(e, KERR_USAGE,
                    "endpoint '%s': expected https://HOST:PORT, http://HOST:PORT or unix:PATH",
                    text);
}

static bool read_port(const char *text, size_t len, uint16_t *ret)
{
    uint32_t port = 0;
    for (size_t i = 0; i < len && i < PORT_CHARS_MAX; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    *ret = (uint16_t)port;
    return len > 0 && len <= PORT_CHARS_MAX && port > 0 && port <= UINT16_MAX;
}

static bool is_host(const char *text, size_t len, bool is_v6)
{
    static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
    static const char address[] = "ABCDEFabcdef0123456789:.";
    return len > 0 && len < ENDPOINT_HOST_BYTES && strspn(text, is_v6 ? address : name) >= len;
}

/* "HOST", "HOST:PORT", "[ADDRESS]", "[ADDRESS]:PORT", each with a '/' behind it. */
static bool read_host(const char *text, struct endpoint *to)
{
    size_t len = strlen(text);
    len -= len > 0 && text[len - 1] == '/';
    bool is_v6 = len > 0 && text[0] == '[';
    const char *host = text + is_v6;
    size_t host_len = is_v6 ? strcspn(host, "]") : strcspn(host, ":/");
    size_t rest = (size_t)(host - text) + host_len + is_v6;
    if (rest > len || !is_host(host, host_len, is_v6)) {
        return false;
    }
    memcpy(to->host, host, host_len);
    to->host[host_len] = 0;
    to->port = ENDPOINT_PORT;
    return rest == len ||
           (text[rest] == ':' && read_port(text + rest + 1, len - rest - 1, &to->port));
}

enum kerr endpoint_read(struct bytes text, bool has_ca, struct endpoint *ret, struct kerrinfo *e)
{
    struct endpoint found = {.is_tls = has_ca};
    if (text.len == 0 || text.len >= sizeof found.text || memchr(text.ptr, 0, text.len) != NULL) {
        return kerr_set(e, KERR_USAGE, "endpoint of %zu bytes: expected 1 to %zu", text.len,
                        sizeof found.text - 1);
    }
    memcpy(found.text, text.ptr, text.len);
    const struct scheme *scheme = scheme_of(found.text);
    size_t begin = scheme == NULL ? 0 : strlen(scheme->name);
    *ret = found;
    if (scheme != NULL && scheme->is_unix) {
        ret->is_tls = false;
        ret->unix_path = ret->text + begin;
        return *ret->unix_path != 0 ? KERR_OK : wrong(found.text, e);
    }
    ret->is_tls = scheme == NULL ? has_ca : scheme->is_tls;
    if (!read_host(ret->text + begin, ret)) {
        return wrong(found.text, e);
    }
    if (ret->is_tls && !has_ca) {
        return kerr_set(e, KERR_USAGE,
                        "endpoint '%s': TLS needs the CA of etcd's certificates: name its file "
                        "with --cacert",
                        found.text);
    }
    return ret->is_tls || !has_ca
               ? KERR_OK
               : kerr_set(e, KERR_USAGE,
                          "endpoint '%s' is plaintext, yet a CA was given: write https://",
                          found.text);
}
