/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http.h"

#include <errno.h>
#include <string.h>

#include "http/http_pool.h"

/* What stands before a value, the value, its terminator, in locked memory whether secret or not. */
struct lines {
    struct secret *text[HTTP_HEADERS_MAX];
    struct curl_slist list[HTTP_HEADERS_MAX]; /* libcurl only reads it */
    size_t count;
};

struct transfer {
    CURL *curl;
    const struct http_client *client;
    const struct http_request *request;
    struct http_answer answer;
    struct lines lines;
    size_t received;
    bool is_too_large;
    enum kerr body_code; /* what on_body gave */
    struct kerrinfo body_error;
    char error[CURL_ERROR_SIZE];
};

static void transfer_done(struct transfer *t)
{
    http_answer_done(&t->answer);
    for (size_t i = 0; i < t->lines.count; i++) {
        secret_free(t->lines.text[i]);
    }
}

void http_answer_done(struct http_answer *a)
{
    if (a->is_secret && a->body.ptr != NULL) {
        secret_wipe(a->body.ptr, a->body.cap);
    }
    buf_done(&a->body);
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    const struct http_request *r = t->request;
    size_t len = size * count; /* libcurl keeps size at 1 */
    t->is_too_large = len > r->body_max - t->received;
    if (t->is_too_large) {
        return CURL_WRITEFUNC_ERROR;
    }
    t->received += len;
    t->body_code = r->on_body == NULL
                       ? buf_put(&t->answer.body, bytes_of(data, len), &t->body_error)
                       : r->on_body(r->body_ctx, bytes_of(data, len), &t->body_error);
    return t->body_code == KERR_OK ? len : CURL_WRITEFUNC_ERROR;
}

/* A header ends at a line end, so a value may not hold one. */
static bool is_value(struct bytes value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] <= ' ' || value.ptr[i] > '~') {
            return false;
        }
    }
    return value.len > 0 && value.len <= HTTP_TOKEN_MAX;
}

static bool has_secret(const struct http_request *r)
{
    bool has = r->is_post || r->is_secret;
    for (size_t i = 0; i < r->header_count; i++) {
        has = has || r->headers[i].secret != NULL;
    }
    return has;
}

static enum kerr check(const struct http_client *c, const struct http_request *r,
                       struct kerrinfo *e)
{
    size_t max = r->on_body == NULL ? HTTP_BODY_MAX : HTTP_STREAM_MAX;
    if (r->timeout_ms == 0 || r->body_max == 0 || r->body_max > max ||
        r->header_count > HTTP_HEADERS_MAX || (!r->is_post && r->body.len != 0)) {
        return kerr_set(e, KERR_BUG, "an HTTP request of %u ms, %zu headers and %zu bytes",
                        r->timeout_ms, r->header_count, r->body_max);
    }
    if (has_secret(r) && c->unix_path == NULL && !c->allow_plain_secret &&
        strncmp(r->url, "https://", 8) != 0) {
        return kerr_set(e, KERR_INPUT, "%.200s: a secret is only sent over https", r->url);
    }
    return KERR_OK;
}

static enum kerr put_line(struct lines *l, const char *before, struct bytes value,
                          struct kerrinfo *e)
{
    if (!is_value(value)) {
        return kerr_set(e, KERR_INPUT,
                        "%snot a token: expected 1 to %zu printable characters without blanks",
                        before, HTTP_TOKEN_MAX);
    }
    size_t before_len = strlen(before);
    struct secret **text = &l->text[l->count];
    enum kerr k = secret_new(before_len + value.len + 1, text, e);
    if (k != KERR_OK) {
        return k;
    }
    uint8_t *to = secret_bytes(*text);
    memcpy(to, before, before_len);
    memcpy(to + before_len, value.ptr, value.len);
    l->list[l->count].data = (char *)to;
    if (l->count > 0) {
        l->list[l->count - 1].next = &l->list[l->count];
    }
    l->count++;
    return KERR_OK;
}

static enum kerr put_lines(struct transfer *t, struct kerrinfo *e)
{
    const struct http_request *r = t->request;
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < r->header_count && k == KERR_OK; i++) {
        const struct http_header *h = &r->headers[i];
        k = put_line(&t->lines, h->before,
                     h->secret != NULL ? secret_view(h->secret) : bytes_of_text(h->value), e);
    }
    return k;
}

/* So that a secret is not left behind where a growing buffer was. */
static enum kerr reserve(struct transfer *t, struct kerrinfo *e)
{
    const struct http_request *r = t->request;
    uint8_t *start = NULL;
    t->answer.is_secret = r->is_secret;
    buf_init(&t->answer.body, r->on_body == NULL ? r->body_max : 0);
    if (!r->is_secret || r->on_body != NULL) {
        return KERR_OK;
    }
    enum kerr k = buf_extend(&t->answer.body, r->body_max, &start, e);
    t->answer.body.len = 0;
    return k;
}

/* Both checks are libcurl's defaults; they are what https is for. */
static CURLcode set_tls(const struct transfer *t)
{
    CURL *c = t->curl;
    char *const *files = t->client->files;
    CURLcode rc = curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    if (files[HTTP_CA] != NULL) {
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_CAINFO, files[HTTP_CA]);
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    }
    if (files[HTTP_CERT] != NULL) {
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_SSLCERT, files[HTTP_CERT]);
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_SSLKEY, files[HTTP_KEY]);
    }
    return rc;
}

static CURLcode set_request(struct transfer *t)
{
    CURL *c = t->curl;
    const struct http_request *r = t->request;
    CURLcode rc = curl_easy_setopt(c, CURLOPT_URL, r->url);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    if (r->connect_ms != 0) {
        rc = rc != CURLE_OK ? rc
                            : curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)r->connect_ms);
    }
    if (r->is_post) {
        const char *body = r->body.len == 0 ? "" : (const char *)r->body.ptr;
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_POST, 1L);
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)r->body.len);
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
    }
    if (t->lines.count > 0) {
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->lines.list);
    }
    return rc;
}

/* Later options are not set once one has failed. */
static CURLcode set_options(struct transfer *t)
{
    CURL *c = t->curl;
    CURLcode rc = set_request(t);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    rc = rc != CURLE_OK ? rc
                        : curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_PROXY, "");
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    /* A name server that says nothing must not hold a call beyond its time: the thread that waits
     * for it is left behind. */
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_USERAGENT, "etcdseal/" ETCDSEAL_VERSION);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
    if (t->client->unix_path != NULL) {
        rc = rc != CURLE_OK ? rc
                            : curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, t->client->unix_path);
    }
    return rc != CURLE_OK ? rc : set_tls(t);
}

struct curl_row {
    CURLcode from;
    enum kerr to;
    enum http_failure failure;
};

static const struct curl_row curl_codes[] = {
    {CURLE_URL_MALFORMAT, KERR_INPUT, HTTP_OURS},
    {CURLE_UNSUPPORTED_PROTOCOL, KERR_INPUT, HTTP_ANSWER}, /* HTTP/0.9 too, so any text at all */
    {CURLE_OUT_OF_MEMORY, KERR_NOMEM, HTTP_OURS},
    {CURLE_OPERATION_TIMEDOUT, KERR_TIMEOUT, HTTP_TIMEOUT},
    {CURLE_COULDNT_CONNECT, KERR_DOWN, HTTP_CONNECT},
    {CURLE_COULDNT_RESOLVE_HOST, KERR_DOWN, HTTP_CONNECT},
    {CURLE_GOT_NOTHING, KERR_DOWN, HTTP_ANSWER},
    {CURLE_RECV_ERROR, KERR_DOWN, HTTP_ANSWER},
    {CURLE_SEND_ERROR, KERR_DOWN, HTTP_ANSWER},
    {CURLE_PARTIAL_FILE, KERR_DOWN, HTTP_ANSWER},
    {CURLE_WEIRD_SERVER_REPLY, KERR_INPUT, HTTP_ANSWER},
    {CURLE_SSL_CONNECT_ERROR, KERR_DOWN, HTTP_TLS},
    {CURLE_SSL_CIPHER, KERR_DOWN, HTTP_TLS},
    {CURLE_PEER_FAILED_VERIFICATION, KERR_DENIED, HTTP_TLS},
    {CURLE_SSL_CERTPROBLEM, KERR_INPUT, HTTP_FILES},
    {CURLE_SSL_CACERT_BADFILE, KERR_INPUT, HTTP_FILES},
};

/* With TLS 1.3 a server refuses our certificate after the handshake, while we read. */
static bool is_alert(const struct transfer *t, CURLcode rc)
{
    return (rc == CURLE_RECV_ERROR || rc == CURLE_SEND_ERROR) &&
           strstr(t->error, " alert ") != NULL;
}

static enum kerr convert_connect(const struct transfer *t, const char *where, CURLcode rc,
                                 struct kerrinfo *e)
{
    long err = 0;
    (void)curl_easy_getinfo(t->curl, CURLINFO_OS_ERRNO, &err);
    if (err == EACCES || err == EPERM) {
        return kerr_errno(e, (int)err, "cannot connect to %.200s", where);
    }
    return kerr_set(e, KERR_DOWN, "cannot connect to %.200s: %s", where,
                    err != 0 ? strerror((int)err) : curl_easy_strerror(rc));
}

static enum kerr convert(const struct transfer *t, CURLcode rc, enum http_failure *ret_failure,
                         struct kerrinfo *e)
{
    const struct http_request *r = t->request;
    const char *where = t->client->unix_path != NULL ? t->client->unix_path : r->url;
    struct curl_row row = {rc, KERR_IO, HTTP_ANSWER};
    for (size_t i = 0; i < ARRAY_LEN(curl_codes); i++) {
        row = curl_codes[i].from == rc ? curl_codes[i] : row;
    }
    if (is_alert(t, rc)) {
        row.failure = HTTP_TLS;
    }
    *ret_failure = row.failure;
    if (t->is_too_large) {
        return kerr_set(e, KERR_LIMIT, "%.200s answers with more than %zu bytes", where,
                        r->body_max);
    }
    if (t->body_code != KERR_OK) {
        *ret_failure = t->body_code == KERR_NOMEM ? HTTP_OURS : HTTP_ANSWER;
        return kerr_set(e, t->body_code, "%.200s: %s", where, t->body_error.text);
    }
    if (rc == CURLE_COULDNT_CONNECT) {
        return convert_connect(t, where, rc, e);
    }
    /* Of TLS libcurl's own words say more than the code's. */
    bool has_words = (row.failure == HTTP_TLS || row.failure == HTTP_FILES) && *t->error != 0;
    return kerr_set(e, row.to, "%.200s: %.200s", where,
                    has_words ? t->error : curl_easy_strerror(rc));
}

static enum kerr perform(struct transfer *t, enum http_failure *ret_failure, struct kerrinfo *e)
{
    enum kerr k = put_lines(t, e);
    k = k != KERR_OK ? k : reserve(t, e);
    if (k != KERR_OK) {
        return k;
    }
    CURLcode rc = set_options(t);
    rc = rc == CURLE_OK ? curl_easy_perform(t->curl) : rc;
    if (rc != CURLE_OK) {
        return convert(t, rc, ret_failure, e);
    }
    long status = 0;
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    t->answer.status = (unsigned)status;
    *ret_failure = HTTP_FINE;
    return KERR_OK;
}

enum kerr http_call(struct http_client *c, const struct http_request *r, struct http_answer *ret,
                    enum http_failure *ret_failure, struct kerrinfo *e)
{
    struct http_handle *h = NULL;
    *ret_failure = HTTP_OURS;
    enum kerr k = check(c, r, e);
    k = k != KERR_OK ? k : http_take(c, &h, e);
    if (k != KERR_OK) {
        return k;
    }
    AUTO(transfer_done) struct transfer t = {.curl = h->curl, .client = c, .request = r};
    k = perform(&t, ret_failure, e);
    if (k == KERR_OK) {
        *ret = t.answer;
        t.answer = (struct http_answer){0};
    }
    http_give_back(c, h);
    return k;
}

enum kerr http_get(const struct http_get *r, struct http_answer *ret, struct kerrinfo *e)
{
    struct http_setup setup = {.unix_path = r->unix_path,
                               .ca_file = r->ca_file,
                               .cert_file = r->cert_file,
                               .key_file = r->key_file};
    AUTO_HTTP_CLIENT c = NULL;
    enum http_failure failure;
    enum kerr k = http_client_new(&setup, &c, e);
    if (k != KERR_OK) {
        return k;
    }
    struct http_header token = {"Authorization: Bearer ", NULL, r->token};
    struct http_request request = {.url = r->url,
                                   .headers = &token,
                                   .header_count = r->token != NULL,
                                   .timeout_ms = r->timeout_ms,
                                   .body_max = r->body_max,
                                   .on_body = r->on_body,
                                   .body_ctx = r->body_ctx};
    return http_call(c, &request, ret, &failure, e);
}
