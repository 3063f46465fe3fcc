/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>

struct transfer {
    CURL *curl;
    struct buf body;
    bool is_too_large;
};

static void transfer_done(struct transfer *t)
{
    curl_easy_cleanup(t->curl);
    buf_done(&t->body);
}

void http_answer_done(struct http_answer *a)
{
    buf_done(&a->body);
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    size_t len = size * count; /* libcurl keeps size at 1 */
    enum kerr k = buf_put(&t->body, bytes_of(data, len), NULL);
    t->is_too_large = k == KERR_LIMIT;
    return k == KERR_OK ? len : CURL_WRITEFUNC_ERROR;
}

static enum kerr check(const struct http_get *r, struct kerrinfo *e)
{
    if (r->timeout_ms == 0 || r->body_max == 0 || r->body_max > HTTP_BODY_MAX) {
        return kerr_set(e, KERR_BUG, "an HTTP request of %u ms and %zu bytes", r->timeout_ms,
                        r->body_max);
    }
    if (r->unix_path != NULL &&
        (r->unix_path[0] != '/' || strlen(r->unix_path) > HTTP_UNIX_PATH_MAX)) {
        return kerr_set(e, KERR_INPUT,
                        "socket %.200s: expected an absolute path of at most %d bytes",
                        r->unix_path, HTTP_UNIX_PATH_MAX);
    }
    return KERR_OK;
}

/* Later options are not set once one has failed. */
static CURLcode set_options(struct transfer *t, const struct http_get *r)
{
    CURL *c = t->curl;
    CURLcode rc = curl_easy_setopt(c, CURLOPT_URL, r->url);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_PROXY, "");
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_USERAGENT, "etcdseal/" ETCDSEAL_VERSION);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    if (r->unix_path != NULL) {
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, r->unix_path);
    }
    return rc;
}

struct curl_row {
    CURLcode from;
    enum kerr to;
};

static const struct curl_row curl_codes[] = {
    {CURLE_URL_MALFORMAT, KERR_INPUT},
    {CURLE_UNSUPPORTED_PROTOCOL, KERR_INPUT},
    {CURLE_WEIRD_SERVER_REPLY, KERR_INPUT},
    {CURLE_OUT_OF_MEMORY, KERR_NOMEM},
    {CURLE_OPERATION_TIMEDOUT, KERR_TIMEOUT},
    {CURLE_COULDNT_CONNECT, KERR_DOWN},
    {CURLE_COULDNT_RESOLVE_HOST, KERR_DOWN},
    {CURLE_GOT_NOTHING, KERR_DOWN},
    {CURLE_RECV_ERROR, KERR_DOWN},
    {CURLE_SEND_ERROR, KERR_DOWN},
    {CURLE_PARTIAL_FILE, KERR_DOWN},
};

static enum kerr convert(const struct transfer *t, const struct http_get *r, CURLcode rc,
                         struct kerrinfo *e)
{
    const char *where = r->unix_path != NULL ? r->unix_path : r->url;
    long err = 0;
    if (t->is_too_large) {
        return kerr_set(e, KERR_LIMIT, "%.200s answers with more than %zu bytes", where,
                        r->body_max);
    }
    (void)curl_easy_getinfo(t->curl, CURLINFO_OS_ERRNO, &err);
    if (rc == CURLE_COULDNT_CONNECT && (err == EACCES || err == EPERM)) {
        return kerr_errno(e, (int)err, "cannot connect to %.200s", where);
    }
    if (rc == CURLE_COULDNT_CONNECT && err != 0) {
        return kerr_set(e, KERR_DOWN, "cannot connect to %.200s: %s", where, strerror((int)err));
    }
    for (size_t i = 0; i < ARRAY_LEN(curl_codes); i++) {
        if (curl_codes[i].from == rc) {
            return kerr_set(e, curl_codes[i].to, "%.200s: %s", where, curl_easy_strerror(rc));
        }
    }
    return kerr_set(e, KERR_IO, "%.200s: %s", where, curl_easy_strerror(rc));
}

enum kerr http_get(const struct http_get *r, struct http_answer *ret, struct kerrinfo *e)
{
    enum kerr k = check(r, e);
    if (k != KERR_OK) {
        return k;
    }
    AUTO(transfer_done) struct transfer t = {.curl = curl_easy_init()};
    buf_init(&t.body, r->body_max);
    if (t.curl == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for HTTP");
    }
    CURLcode rc = set_options(&t, r);
    rc = rc == CURLE_OK ? curl_easy_perform(t.curl) : rc;
    if (rc != CURLE_OK) {
        return convert(&t, r, rc, e);
    }
    long status = 0;
    (void)curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, &status);
    *ret = (struct http_answer){.status = (unsigned)status, .body = t.body};
    t.body = (struct buf){0};
    return KERR_OK;
}
