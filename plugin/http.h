/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP/1.1 server for GET (and HEAD) of a few fixed paths, over libmicrohttpd, driven by
 * the control loop: no threads of its own.
 *
 * One thread, that of the loop. Limits: HTTP_CONNECTIONS_MAX at once, HTTP_IDLE_S seconds of
 * silence, 16 KiB for the request's head; a request body is refused.
 */
#ifndef ETCDSEAL_PLUGIN_HTTP_H
#define ETCDSEAL_PLUGIN_HTTP_H

#include "base/bytes.h"
#include "plugin/loop.h"

#define HTTP_CONNECTIONS_MAX 16 /* a scraper, a prober, a person, and room */
#define HTTP_IDLE_S          10

struct http;

struct http_reply {
    unsigned status;
    const char *content_type; /* static */
    struct buf body;          /* taken over */
};

/* Answers one path. False: there is no such path. `reply` comes with status 200, text/plain and an
 * empty buffer without room: buf_init it. */
typedef bool http_get_fn(void *ctx, const char *path, struct http_reply *reply);

/* Serves on a listening unix socket, which stays the caller's. IO. */
enum kerr http_new_unix(struct loop *loop, int listen_fd, http_get_fn *fn, void *ctx,
                        struct http **ret, struct kerrinfo *e) MUST_CHECK;
/* Serves on TCP at a numeric address. IO with the address. */
enum kerr http_new_tcp(struct loop *loop, const char *host, uint16_t port, http_get_fn *fn,
                       void *ctx, struct http **ret, struct kerrinfo *e) MUST_CHECK;
/* Milliseconds after which http_run must be called even without an event; -1: never. */
int http_timeout_ms(const struct http *h);
void http_run(struct http *h);
void http_free(struct http *h); /* NULL is fine */

#endif
