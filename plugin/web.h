/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP/1.1 server for GET (and HEAD) of a few fixed paths, over libmicrohttpd, driven by
 * the control loop: no threads of its own.
 *
 * One thread, that of the loop. Limits: WEB_CONNECTIONS_MAX at once, WEB_IDLE_S seconds of
 * silence, 16 KiB for the request's head; a request body is refused.
 */
#ifndef ETCDSEAL_PLUGIN_WEB_H
#define ETCDSEAL_PLUGIN_WEB_H

#include "base/bytes.h"
#include "plugin/loop.h"

#define WEB_CONNECTIONS_MAX 16 /* a scraper, a prober, a person, and room */
#define WEB_IDLE_S          10

struct web;

struct web_reply {
    unsigned status;
    const char *content_type; /* static */
    struct buf body;          /* taken over */
};

/* Answers one path. False: there is no such path. `reply` comes with status 200, text/plain and an
 * empty buffer without room: buf_init it. */
typedef bool web_get_fn(void *ctx, const char *path, struct web_reply *reply);

/* Serves on a listening unix socket, which stays the caller's. IO. */
enum kerr web_new_unix(struct loop *loop, int listen_fd, web_get_fn *fn, void *ctx,
                       struct web **ret, struct kerrinfo *e) MUST_CHECK;
/* Serves on TCP at a numeric address. IO with the address. */
enum kerr web_new_tcp(struct loop *loop, const char *host, uint16_t port, web_get_fn *fn, void *ctx,
                      struct web **ret, struct kerrinfo *e) MUST_CHECK;
/* Milliseconds after which web_run must be called even without an event; -1: never. */
int web_timeout_ms(const struct web *h);
void web_run(struct web *h);
void web_free(struct web *h); /* NULL is fine */

#endif
