/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>

struct transfer {
    CURL *curl;
    const struct http_get *request;
    struct buf body;
    size_t received;
    bool is_too_large;
    enum kerr body_code; /* what on_body gave */
    struct kerrinfo body_error;
    struct secret *token; /* with a terminator */
    char error[CURL_ERROR_SIZE];
};

static void transfer_done(struct transfer *t)
{
    curl_easy_cleanup(t->curl);
    buf_done(&t->body);
    secret_free(t->token);
}

void http_answer_done(struct http_answer *a)
{
    buf_done(&a->body);
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    size_t len = size * count; /* libcurl keeps size at 1 */
    t->is_too_large = len > t->request->body_max - t->received;
    if (t->is_too_large) {
        return CURL_WRITEFUNC_ERROR;
    }
    t->received += len;
    t->body_code =
        t->request->on_body == NULL
            ? buf_put(&t->body, bytes_of(data, len), &t->body_error)
            : t->request->on_body(t->request->body_ctx, bytes_of(data, len), &t->body_error);
    return t->body_code == KERR_OK ? len : CURL_WRITEFUNC_ERROR;
}

/* A header ends at a line end, so a token may not hold one. */
static bool is_token(struct bytes token)
{
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] <= ' ' || token.ptr[i] > '~') {
            return false;
        }
    }
    return token.len > 0 && token.len <= HTTP_TOKEN_MAX;
}

static enum kerr check_identity(const struct http_get *r, struct kerrinfo *e)
{
    if ((r->cert_file == NULL) != (r->key_file == NULL)) {
        return kerr_set(e, KERR_INPUT,
                        "a client certificate needs its key, and a key its "
                        "certificate");
    }
    if (r->token == NULL) {
        return KERR_OK;
    }
    if (strncmp(r->url, "https://", 8) != 0) {
        return kerr_set(e, KERR_INPUT, "%.200s: a token is only sent over https", r->url);
    }
    return is_token(secret_view(r->token))
               ? KERR_OK
               : kerr_set(e, KERR_INPUT, "not a token: expected 1 to %zu printable characters",
                          HTTP_TOKEN_MAX);
}

static enum kerr check(const struct http_get *r, struct kerrinfo *e)
{
    size_t max = r->on_body == NULL ? HTTP_BODY_MAX : HTTP_STREAM_MAX;
    if (r->timeout_ms == 0 || r->body_max == 0 || r->body_max > max) {
        return kerr_set(e, KERR_BUG, "an HTTP request of %u ms and %zu bytes", r->timeout_ms,
                        r->body_max);
    }
    if (r->unix_path != NULL &&
        (r->unix_path[0] != '/' || strlen(r->unix_path) > HTTP_UNIX_PATH_MAX)) {
        return kerr_set(e, KERR_INPUT,
                        "socket %.200s: expected an absolute path of at most %d bytes",
                        r->unix_path, HTTP_UNIX_PATH_MAX);
    }
    return check_identity(r, e);
}

/* libcurl wants a terminator behind the token. */
static enum kerr take_token(struct transfer *t, struct kerrinfo *e)
{
    const struct secret *from = t->request->token;
    if (from == NULL) {
        return KERR_OK;
    }
    enum kerr k = secret_new(secret_len(from) + 1, &t->token, e);
    if (k == KERR_OK) {
        memcpy(secret_bytes(t->token), secret_view(from).ptr, secret_len(from));
    }
    return k;
}

/* Both checks are libcurl's defaults; they are what https is for. */
static CURLcode set_tls(const struct transfer *t)
{
    CURL *c = t->curl;
    const struct http_get *r = t->request;
    CURLcode rc = curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    if (r->ca_file != NULL) {
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_CAINFO, r->ca_file);
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    }
    if (r->cert_file != NULL) {
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_SSLCERT, r->cert_file);
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_SSLKEY, r->key_file);
    }
    if (t->token != NULL) {
        const char *token = (const char *)secret_view(t->token).ptr;
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, token);
    }
    return rc;
}

/* Later options are not set once one has failed. */
static CURLcode set_options(struct transfer *t)
{
    CURL *c = t->curl;
    const struct http_get *r = t->request;
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
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
    if (r->unix_path != NULL) {
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, r->unix_path);
    }
    return rc != CURLE_OK ? rc : set_tls(t);
}

struct curl_row {
    CURLcode from;
    enum kerr to;
    bool is_tls; /* libcurl's own words say more than the code's */
};

static const struct curl_row curl_codes[] = {
    {CURLE_URL_MALFORMAT, KERR_INPUT, false},
    {CURLE_UNSUPPORTED_PROTOCOL, KERR_INPUT, false},
    {CURLE_WEIRD_SERVER_REPLY, KERR_INPUT, false},
    {CURLE_OUT_OF_MEMORY, KERR_NOMEM, false},
    {CURLE_OPERATION_TIMEDOUT, KERR_TIMEOUT, false},
    {CURLE_COULDNT_CONNECT, KERR_DOWN, false},
    {CURLE_COULDNT_RESOLVE_HOST, KERR_DOWN, false},
    {CURLE_GOT_NOTHING, KERR_DOWN, false},
    {CURLE_RECV_ERROR, KERR_DOWN, false},
    {CURLE_SEND_ERROR, KERR_DOWN, false},
    {CURLE_PARTIAL_FILE, KERR_DOWN, false},
    {CURLE_SSL_CONNECT_ERROR, KERR_DOWN, true},
    {CURLE_PEER_FAILED_VERIFICATION, KERR_DENIED, true},
    {CURLE_SSL_CERTPROBLEM, KERR_INPUT, true},
    {CURLE_SSL_CACERT_BADFILE, KERR_INPUT, true},
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
    if (t->body_code != KERR_OK) {
        return kerr_set(e, t->body_code, "%.200s: %s", where, t->body_error.text);
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
            bool has_words = curl_codes[i].is_tls && *t->error != 0;
            return kerr_set(e, curl_codes[i].to, "%.200s: %.200s", where,
                            has_words ? t->error : curl_easy_strerror(rc));
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
    AUTO(transfer_done) struct transfer t = {.curl = curl_easy_init(), .request = r};
    buf_init(&t.body, r->on_body == NULL ? r->body_max : 0);
    if (t.curl == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for HTTP");
    }
    k = take_token(&t, e);
    if (k != KERR_OK) {
        return k;
    }
    CURLcode rc = set_options(&t);
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
