/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded HTTP/1.1 requests: limits on time and on the answer's size, over TCP or a unix socket. No
 * redirects, no proxies, no cookies, nothing taken from the environment or from ~/.netrc; http and
 * https only. For https the server's certificate is always checked, against the CA that is named or
 * the system's, TLS 1.2 is the oldest that is spoken, and the caller may show a client certificate.
 *
 * A client keeps its connections: one for each call that runs at the same time, used again by later
 * ones. They are dropped when one of its files has changed, so new files count at the next request.
 *
 * Secrets: what is secret (a secret header, a body, an answer called so) never crosses plain TCP
 * unless the client was told so. Secret headers are put together in locked memory, a body is sent
 * from where it lies, an answer called secret lies in one buffer that is wiped. What libcurl copies
 * is wiped when libcurl frees it; its buffers and those of TLS belong to a connection and hold what
 * passed last until it is used again or closed.
 *
 * Codes: DOWN (nobody answers, TLS fails, an answer that breaks off), DENIED (the socket's mode or
 * owner; a certificate that the CA does not vouch for), TIMEOUT, LIMIT (answer over the maximum),
 * INPUT (URL or socket path; files that are no certificate or key; an answer that is no HTTP),
 * NOMEM, IO. `enum http_failure` says the same by who is to blame. Any status is an answer, not an
 * error.
 *
 * Threads: any number may call with one client. The process should ignore SIGPIPE.
 */
#ifndef ETCDSEAL_HTTP_HTTP_H
#define ETCDSEAL_HTTP_HTTP_H

#include "base/bytes.h"
#include "base/secret.h"

#define HTTP_BODY_MAX      ((size_t)4 << 20)
#define HTTP_STREAM_MAX    ((size_t)64 << 20) /* with on_body; metrics of a big API server: 10 MiB */
#define HTTP_TOKEN_MAX     ((size_t)16384)    /* bytes; service account tokens have about 1000 */
#define HTTP_UNIX_PATH_MAX 107                /* sun_path, unix(7), without its terminator */
#define HTTP_HEADERS_MAX   8                  /* of one request; Vault takes four */
#define HTTP_IDLE_MAX      32 /* connections kept that nobody uses: a third of the daemon's streams */

enum http_failure {
    HTTP_FINE,
    HTTP_CONNECT, /* nobody takes the connection: name, route, port, socket */
    HTTP_TIMEOUT,
    HTTP_TLS,    /* a certificate that is not believed, or no agreement; ours refused */
    HTTP_FILES,  /* CA, certificate or key of ours */
    HTTP_ANSWER, /* cut off, not HTTP, too large */
    HTTP_OURS,   /* the request itself, or no memory */
};

/* Who is asked, and how they and we show who we are. */
struct http_setup {
    const char *unix_path; /* connect to this socket instead of the URL's host; NULL */
    /* Of https; PEM files, each NULL when there is none. */
    const char *ca_file; /* who may have signed the server's certificate; NULL: the system's CAs */
    const char *cert_file; /* the client's certificate, with key_file */
    const char *key_file;
    bool allow_plain_secret; /* secrets may cross plain TCP: the loopback */
};

struct http_client;

/* Copies the setup; connects to nobody and reads no file; loads libcurl for the first client (UNSUP
 * when it cannot be had). INPUT, NOMEM. */
enum kerr http_client_new(const struct http_setup *s, struct http_client **ret,
                          struct kerrinfo *e) MUST_CHECK;
void http_client_free(struct http_client *c); /* no call may run; NULL is fine */
void http_client_free_at(struct http_client **c);
#define AUTO_HTTP_CLIENT AUTO(http_client_free_at) struct http_client *

/* Takes a piece of the answer's body. Anything but OK ends the request with that code. */
typedef enum kerr http_body_fn(void *ctx, struct bytes piece, struct kerrinfo *e);

/* One line of the request's head: `before` and then `value` or `secret`, which is 1 to
 * HTTP_TOKEN_MAX bytes of printable ASCII without blanks. */
struct http_header {
    const char *before; /* "X-Vault-Token: ", "Authorization: Bearer " */
    const char *value;
    const struct secret *secret;
};

struct http_request {
    const char *url;   /* "http://localhost/status" */
    bool is_post;      /* else GET, which has no body */
    struct bytes body; /* borrowed */
    const struct http_header *headers;
    size_t header_count;   /* ≤ HTTP_HEADERS_MAX */
    unsigned timeout_ms;   /* for all of it, more than 0 */
    unsigned connect_ms;   /* for TCP and TLS; 0: as long as all of it */
    size_t body_max;       /* 1 … HTTP_BODY_MAX, with on_body HTTP_STREAM_MAX */
    bool is_secret;        /* the answer; its memory is reserved whole, so keep body_max small */
    http_body_fn *on_body; /* gets the body instead of the answer's buffer; NULL */
    void *body_ctx;
};

struct http_answer {
    unsigned status; /* 200 */
    struct buf body;
    bool is_secret;
};

void http_answer_done(struct http_answer *a); /* wipes a secret one; all zero is fine */
#define AUTO_ANSWER AUTO(http_answer_done) struct http_answer

/* *ret_failure is always set. */
enum kerr http_call(struct http_client *c, const struct http_request *r, struct http_answer *ret,
                    enum http_failure *ret_failure, struct kerrinfo *e) MUST_CHECK;

/* One GET by a client of its own. */
struct http_get {
    const char *url;
    const char *unix_path;
    unsigned timeout_ms;
    size_t body_max;
    http_body_fn *on_body;
    void *body_ctx;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    const struct secret *token; /* sent as "Authorization: Bearer …" */
};

enum kerr http_get(const struct http_get *r, struct http_answer *ret,
                   struct kerrinfo *e) MUST_CHECK;

#endif
