/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded HTTP request: one GET, with a limit on time and on the answer's size, over TCP or a
 * unix socket. No redirects, no proxies, no cookies, nothing taken from the environment or from
 * ~/.netrc; http and https only. For https the server's certificate is always checked, against the
 * CA that is named or the system's, TLS 1.2 is the oldest that is spoken, and the caller may show a
 * client certificate or a bearer token; the token is never sent over plain TCP. libcurl keeps a
 * copy of it in ordinary memory while the request runs.
 *
 * Codes: DOWN (nobody answers, TLS fails), DENIED (the socket's mode or owner; a certificate that
 * the CA does not vouch for), TIMEOUT, LIMIT (answer over the maximum), INPUT (URL or socket path;
 * files that are no certificate or key; an answer that is no HTTP), NOMEM, IO. A status other than
 * 200 is an answer, not an error.
 *
 * The first call of a process must be made while it has one thread; afterwards any thread.
 */
#ifndef ETCDSEAL_HTTP_HTTP_H
#define ETCDSEAL_HTTP_HTTP_H

#include "base/bytes.h"
#include "base/secret.h"

#define HTTP_BODY_MAX      ((size_t)4 << 20)
#define HTTP_STREAM_MAX    ((size_t)64 << 20) /* with on_body; metrics of a big API server: 10 MiB */
#define HTTP_TOKEN_MAX     ((size_t)16384)    /* bytes; service account tokens have about 1000 */
#define HTTP_UNIX_PATH_MAX 107                /* sun_path, unix(7), without its terminator */

/* Takes a piece of the answer's body. Anything but OK ends the request with that code. */
typedef enum kerr http_body_fn(void *ctx, struct bytes piece, struct kerrinfo *e);

struct http_get {
    const char *url;       /* "http://localhost/status" */
    const char *unix_path; /* connect to this socket instead of the URL's host; NULL */
    unsigned timeout_ms;   /* for all of it, more than 0 */
    size_t body_max;       /* 1 … HTTP_BODY_MAX, with on_body HTTP_STREAM_MAX */
    http_body_fn *on_body; /* gets the body instead of the answer's buffer; NULL */
    void *body_ctx;
    /* Of https; PEM files, each NULL when there is none. */
    const char *ca_file; /* who may have signed the server's certificate; NULL: the system's CAs */
    const char *cert_file; /* the client's certificate, with key_file */
    const char *key_file;
    const struct secret *token; /* sent as "Authorization: Bearer …"; printable ASCII, no blanks */
};

struct http_answer {
    unsigned status; /* 200 */
    struct buf body;
};

void http_answer_done(struct http_answer *a); /* all zero is fine */
#define AUTO_ANSWER AUTO(http_answer_done) struct http_answer

enum kerr http_get(const struct http_get *r, struct http_answer *ret,
                   struct kerrinfo *e) MUST_CHECK;

#endif
