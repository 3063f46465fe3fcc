/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded HTTP request: one GET, with a limit on time and on the answer's size, over TCP or a
 * unix socket. No redirects, no proxies, no cookies, nothing taken from the environment or from
 * ~/.netrc; http and https only.
 *
 * Codes: DOWN (nobody answers), DENIED (the socket's mode or owner), TIMEOUT, LIMIT (answer over
 * the maximum), INPUT (URL or socket path; an answer that is no HTTP), NOMEM, IO. A status other
 * than 200 is an answer, not an error.
 *
 * The first call of a process must be made while it has one thread; afterwards any thread.
 */
#ifndef ETCDSEAL_HTTP_HTTP_H
#define ETCDSEAL_HTTP_HTTP_H

#include "base/bytes.h"

#define HTTP_BODY_MAX      ((size_t)4 << 20)
#define HTTP_UNIX_PATH_MAX 107 /* sun_path, unix(7), without its terminator */

struct http_get {
    const char *url;       /* "http://localhost/status" */
    const char *unix_path; /* connect to this socket instead of the URL's host; NULL */
    unsigned timeout_ms;   /* for all of it, more than 0 */
    size_t body_max;       /* 1 … HTTP_BODY_MAX */
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
