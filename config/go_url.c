/* SPDX-License-Identifier: Apache-2.0 */
#include "config/go_url.h"

#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/text.h"

/* What url.Parse lets stand unescaped. */
#define ALNUM      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define HOST_BYTES ALNUM "-_.~!$&'()*+,;=:[]<>\""
#define USER_BYTES ALNUM "-._:~!$&'()*+,;=%@"

/* One escape "%41"; false when it is none. */
static bool take_escape(const char *p, uint8_t *ret)
{
    if (p[0] != '%' || p[1] == 0 || p[2] == 0) {
        return false;
    }
    char hex[3] = {p[1], p[2], 0};
    return text_from_hex(hex, ret, 1, NULL) == KERR_OK;
}

static bool are_escapes_good(struct bytes part)
{
    for (size_t i = 0; i < part.len; i++) {
        uint8_t byte = 0;
        const char *p = (const char *)part.ptr + i;
        if (*p == '%' && (part.len - i < 3 || !take_escape(p, &byte))) {
            return false;
        }
    }
    return true;
}

/* Escapes in a host stand for bytes beyond ASCII, or for '%'. */
static bool is_host(struct bytes host)
{
    const char *text = (const char *)host.ptr;
    const char *colon = memrchr(text, ':', host.len);
    for (size_t i = 0; i < host.len; i++) {
        uint8_t byte = 0;
        unsigned char c = host.ptr[i];
        if (c == '%') {
            if (host.len - i < 3 || !take_escape(text + i, &byte) ||
                (byte < 0x80 && strncmp(text + i, "%25", 3) != 0)) {
                return false;
            }
        } else if (c < 0x80 && strchr(HOST_BYTES, c) == NULL) {
            return false;
        }
        bool is_port = colon != NULL && text + i > colon;
        if (is_port && (c < '0' || c > '9')) {
            return false;
        }
    }
    return true;
}

static bool is_user(struct bytes user)
{
    for (size_t i = 0; i < user.len; i++) {
        if (strchr(USER_BYTES, user.ptr[i]) == NULL) {
            return false;
        }
    }
    return are_escapes_good(user);
}

/* "user@host:1" */
static enum go_url_fault check_authority(struct bytes authority)
{
    if (authority.len == 0) {
        return GO_URL_OK;
    }
    const uint8_t *at = memrchr(authority.ptr, '@', authority.len);
    size_t user_len = at == NULL ? 0 : (size_t)(at - authority.ptr);
    size_t skip = at == NULL ? 0 : user_len + 1;
    struct bytes host = bytes_of(authority.ptr + skip, authority.len - skip);
    if (memchr(host.ptr, '[', host.len) != NULL) {
        return GO_URL_IN_BRACKETS;
    }
    bool is_good = is_host(host) && is_user(bytes_of(authority.ptr, user_len));
    return is_good ? GO_URL_OK : GO_URL_MALFORMED;
}

static void put_path(struct bytes from, struct go_url *to)
{
    size_t len = 0;
    for (size_t i = 0; i < from.len && len < sizeof to->path - 1; len++) {
        uint8_t byte = from.ptr[i];
        i += from.ptr[i] == '%' && take_escape((const char *)from.ptr + i, &byte) ? 3 : 1;
        to->path[len] = (char)byte;
    }
    to->path[len] = 0;
    if (strncmp(to->path, "/@", 2) == 0) {
        memmove(to->path, to->path + 1, len);
    }
}

enum go_url_fault go_url_parse(const char *endpoint, struct go_url *ret)
{
    static const char scheme[] = "unix:";
    *ret = (struct go_url){.has_host = false};
    if (*endpoint == ':') {
        return GO_URL_MALFORMED;
    }
    if (strncasecmp(endpoint, scheme, sizeof scheme - 1) != 0) {
        return GO_URL_NOT_UNIX;
    }
    const char *rest = endpoint + sizeof scheme - 1;
    size_t len = strcspn(rest, "?#");
    const char *fragment = strchr(rest, '#');
    ret->has_tail = rest[len] != 0;
    if (fragment != NULL && !are_escapes_good(bytes_of_text(fragment))) {
        return GO_URL_MALFORMED;
    }
    struct bytes path = bytes_of(rest, len);
    if (len == 0 || *rest != '/') {
        ret->has_host = false;
        return GO_URL_OK;
    }
    if (len > 1 && rest[1] == '/') {
        const char *slash = memchr(rest + 2, '/', len - 2);
        size_t end = slash == NULL ? len : (size_t)(slash - rest);
        enum go_url_fault fault = check_authority(bytes_of(rest + 2, end - 2));
        if (fault != GO_URL_OK) {
            return fault;
        }
        ret->has_host = end > 2;
        path = bytes_of(rest + end, len - end);
    }
    if (!are_escapes_good(path)) {
        return GO_URL_MALFORMED;
    }
    put_path(path, ret);
    return GO_URL_OK;
}
