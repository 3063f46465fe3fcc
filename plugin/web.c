/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmicrohttpd in its "external epoll" mode gives one descriptor that becomes readable whenever it
 * has something to do.
 */
#include "plugin/web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/file.h"

/* A request's head, and our answer's. */
#define CONNECTION_BYTES ((size_t)16 * 1024)

struct web {
    struct loop *loop;
    struct loop_source source;
    struct MHD_Daemon *daemon;
    web_get_fn *fn;
    void *ctx;
};

static enum MHD_Result send_reply(struct MHD_Connection *c, struct web_reply *reply,
                                  const char *allow)
{
    /* libmicrohttpd frees the body with free(), which is how base allocates it. */
    struct MHD_Response *r =
        MHD_create_response_from_buffer(reply->body.len, reply->body.ptr, MHD_RESPMEM_MUST_FREE);
    if (r == NULL) {
        buf_done(&reply->body);
        return MHD_NO;
    }
    enum MHD_Result rc =
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    if (rc == MHD_YES) {
        rc = MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    }
    if (rc == MHD_YES && allow != NULL) {
        rc = MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, allow);
    }
    if (rc == MHD_YES) {
        rc = MHD_queue_response(c, reply->status, r);
    }
    MHD_destroy_response(r);
    return rc;
}

static enum MHD_Result send_line(struct MHD_Connection *c, unsigned status, const char *line,
                                 const char *allow)
{
    struct web_reply reply = {.status = status, .content_type = "text/plain"};
    buf_init(&reply.body, 256);
    if (buf_put_text(&reply.body, line, NULL) != KERR_OK) {
        return MHD_NO;
    }
    return send_reply(c, &reply, allow);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **req_cls)
{
    (void)version;
    (void)upload;
    struct web *h = cls;
    if (*upload_size != 0) {
        return MHD_NO;
    }
    /* The first call comes before a body could be known; answering then would cut it off. */
    if (*req_cls == NULL) {
        *req_cls = h;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return send_line(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n", "GET, HEAD");
    }
    struct web_reply reply = {.status = MHD_HTTP_OK, .content_type = "text/plain"};
    if (!h->fn(h->ctx, url, &reply)) {
        buf_done(&reply.body);
        return send_line(c, MHD_HTTP_NOT_FOUND, "paths: /status /metrics /livez /readyz /healthz\n",
                         NULL);
    }
    return send_reply(c, &reply, NULL);
}

static void on_event(void *ctx, uint32_t events)
{
    (void)events;
    web_run(ctx);
}

static enum kerr attach(struct web *h, struct kerrinfo *e)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL) {
        return kerr_set(e, KERR_BUG, "libmicrohttpd has no epoll descriptor");
    }
    h->source = (struct loop_source){.fd = info->epoll_fd, .fn = on_event, .ctx = h};
    enum kerr k = loop_add(h->loop, &h->source, EPOLLIN, e);
    if (k != KERR_OK) {
        h->source.fd = -1;
    }
    return k;
}

static struct web *web_alloc(struct loop *loop, web_get_fn *fn, void *ctx)
{
    struct web *h = calloc(1, sizeof *h);
    if (h != NULL) {
        *h = (struct web){.loop = loop, .source = {.fd = -1}, .fn = fn, .ctx = ctx};
    }
    return h;
}

/* `option` and `value`: where to serve. */
static enum kerr start(struct web *h, unsigned flags, uint16_t port, enum MHD_OPTION option,
                       const void *value, struct kerrinfo *e)
{
    struct MHD_OptionItem where[] = {
        {option, option == MHD_OPTION_LISTEN_SOCKET ? *(const int *)value : 0, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    struct sockaddr_storage address;
    if (option == MHD_OPTION_SOCK_ADDR) {
        memcpy(&address, value, sizeof address);
        where[0].ptr_value = &address;
    }
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | flags, port, NULL, NULL, on_request, h, MHD_OPTION_ARRAY, where,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)WEB_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)WEB_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_END);
    if (h->daemon == NULL) {
        return kerr_errno(e, errno, "cannot serve HTTP");
    }
    return attach(h, e);
}

enum kerr web_new_unix(struct loop *loop, int listen_fd, web_get_fn *fn, void *ctx,
                       struct web **ret, struct kerrinfo *e)
{
    struct web *h = web_alloc(loop, fn, ctx);
    if (h == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for HTTP");
    }
    /* libmicrohttpd keeps what it is given: a descriptor of its own. */
    int fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
    enum kerr k = fd < 0 ? kerr_errno(e, errno, "cannot serve HTTP")
                         : start(h, 0, 0, MHD_OPTION_LISTEN_SOCKET, &fd, e);
    if (k != KERR_OK) {
        if (h->daemon == NULL) {
            file_close_at(&fd);
        }
        web_free(h);
        return k;
    }
    *ret = h;
    return KERR_OK;
}

static bool to_address(const char *host, uint16_t port, struct sockaddr_storage *to,
                       unsigned *ret_flags)
{
    memset(to, 0, sizeof *to);
    struct sockaddr_in *v4 = (void *)to;
    struct sockaddr_in6 *v6 = (void *)to;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *ret_flags = 0;
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        *ret_flags = MHD_USE_IPv6;
        return true;
    }
    return false;
}

enum kerr web_new_tcp(struct loop *loop, const char *host, uint16_t port, web_get_fn *fn, void *ctx,
                      struct web **ret, struct kerrinfo *e)
{
    struct sockaddr_storage address;
    unsigned flags = 0;
    if (!to_address(host, port, &address, &flags)) {
        return kerr_set(e, KERR_CONFIG, "metrics.listen: %s is no numeric address", host);
    }
    struct web *h = web_alloc(loop, fn, ctx);
    if (h == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for HTTP");
    }
    enum kerr k = start(h, flags, port, MHD_OPTION_SOCK_ADDR, &address, e);
    if (k != KERR_OK) {
        (void)kerr_prefix(e, "metrics.listen %s port %u", host, port);
        web_free(h);
        return k;
    }
    *ret = h;
    return KERR_OK;
}

int web_timeout_ms(const struct web *h)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;
    if (MHD_get_timeout(h->daemon, &ms) != MHD_YES) {
        return -1;
    }
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

void web_run(struct web *h)
{
    /* Twice: at its limit libmicrohttpd stops listening, and takes that up again at the beginning
     * of the run after the one in which a connection ended; nothing else would wake it for that. */
    (void)MHD_run(h->daemon);
    (void)MHD_run(h->daemon);
}

void web_free(struct web *h)
{
    if (h == NULL) {
        return;
    }
    loop_remove(h->loop, &h->source);
    if (h->daemon != NULL) {
        /* Quiescing gives the listening descriptor back, so that stopping does not shut the socket
         * down: systemd and the next process use the same one. */
        int fd = MHD_quiesce_daemon(h->daemon);
        MHD_stop_daemon(h->daemon);
        file_close_at(&fd);
    }
    free(h);
}
