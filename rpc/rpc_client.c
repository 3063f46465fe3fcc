/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a client finds its server. gRPC's own resolver is left out: it would ask name servers beside
 * the system's (c-ares), for records that nobody made. It is given addresses, all of one host in
 * one target: IPv4 ones as IPv6 ones that map them, since a target has one family.
 */
#include "rpc/rpc_client_private.h"

#include <arpa/inet.h>
#include <grpc/grpc_security.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "rpc/rpc.h"

#define CONNECT_MS_DEFAULT 5000
/* Between attempts of one client; a caller that gave up waiting may try again soon. */
#define AGAIN_MS 200
/* What a connection may hold: answers under way, and a part of the next, with the transport's own
 * buffers. */
#define QUOTA_MESSAGES   4
#define QUOTA_OWN_BYTES  ((size_t)16 << 20)
#define RESPONSE_MAX     ((size_t)1 << 30)
#define COMPRESSION_BITS (1 << GRPC_COMPRESS_NONE)
#define TARGET_MAX       4096

static grpc_arg number(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER,
                      .key = (char *)(uintptr_t)key, /* gRPC copies it */
                      .value.integer = value};
}

/* ---- where to ---- */

/* A target is a URI: what may stand for something else in one is written as its number. */
static void append_plain(struct appender *a, const char *text)
{
    static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._/";
    for (; *text != 0; text++) {
        if (strchr(kept, *text) != NULL) {
            append_bytes(a, bytes_of(text, 1));
        } else {
            append_printf(a, "%%%02X", (unsigned)(unsigned char)*text);
        }
    }
}

static enum kerr unix_target(const char *path, struct buf *to, struct kerrinfo *e)
{
    struct appender a = appender_on(to, e);
    size_t max = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
    /* A comma would part two addresses, however it is written. */
    if (path[0] == 0 || strlen(path) > max || strchr(path, ',') != NULL) {
        return kerr_set(e, KERR_INPUT, "socket '%s': expected a path of 1 to %zu bytes without ','",
                        path, max);
    }
    append_text(&a, "unix:");
    append_plain(&a, path);
    return a.k;
}

static void append_address(struct appender *a, const struct sockaddr *address, uint16_t port)
{
    char text[NI_MAXHOST] = "";
    bool is_v4 = address->sa_family == AF_INET;
    socklen_t len = is_v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (getnameinfo(address, len, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0) {
        return;
    }
    append_text(a, a->to->len == 0 ? "ipv6:" : ",");
    append_plain(a, "[");
    append_plain(a, is_v4 ? "::ffff:" : "");
    append_plain(a, text);
    append_plain(a, "]");
    append_printf(a, ":%u", (unsigned)port);
}

static enum kerr host_target(const char *host, uint16_t port, struct buf *to, struct kerrinfo *e)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct appender a = appender_on(to, e);
    if (host[0] == 0 || strlen(host) > RPC_HOST_CHARS_MAX || port == 0) {
        return kerr_set(e, KERR_INPUT, "'%s:%u': expected a host and a port", host, (unsigned)port);
    }
    int error = getaddrinfo(host, NULL, &hints, &found);
    if (error != 0) {
        return kerr_set(e, error == EAI_MEMORY ? KERR_NOMEM : KERR_NOTFOUND,
                        "host '%s' does not resolve: %s", host, gai_strerror(error));
    }
    size_t count = 0;
    for (const struct addrinfo *i = found; i != NULL && count < RPC_ADDRESSES_MAX; i = i->ai_next) {
        if (i->ai_family == AF_INET || i->ai_family == AF_INET6) {
            append_address(&a, i->ai_addr, port);
            count++;
        }
    }
    freeaddrinfo(found);
    return a.k != KERR_OK || to->len > 0
               ? a.k
               : kerr_set(e, KERR_NOTFOUND, "host '%s' has no internet address", host);
}

/* What the server's certificate must name. */
static enum kerr authority_of(const struct rpc_client_config *c, struct buf *to, struct kerrinfo *e)
{
    bool is_v6 = c->unix_path == NULL && strchr(c->host, ':') != NULL;
    return c->unix_path != NULL ? buf_put_text(to, "localhost", e)
                                : buf_printf(to, e, "%s%s%s:%u", is_v6 ? "[" : "", c->host,
                                             is_v6 ? "]" : "", (unsigned)c->port);
}

/* ---- as whom ---- */

static enum kerr make_credentials(const struct rpc_tls *tls, grpc_channel_credentials **ret,
                                  struct kerrinfo *e)
{
    AUTO_SECRET key = NULL;
    if (tls == NULL) {
        *ret = grpc_insecure_credentials_create();
        return KERR_OK;
    }
    if ((tls->cert == NULL) != (tls->key == NULL) || tls->ca == NULL) {
        return kerr_set(e, KERR_INPUT,
                        "TLS needs a CA, and a client's certificate and key together");
    }
    if (tls->key != NULL) {
        enum kerr k = secret_new(secret_len(tls->key) + 1, &key, e); /* the terminator */
        if (k != KERR_OK) {
            return k;
        }
        memcpy(secret_bytes(key), secret_view(tls->key).ptr, secret_len(tls->key));
    }
    grpc_ssl_pem_key_cert_pair pair = {.private_key =
                                           key == NULL ? NULL : (const char *)secret_view(key).ptr,
                                       .cert_chain = tls->cert};
    *ret = grpc_ssl_credentials_create(tls->ca, key == NULL ? NULL : &pair, NULL, NULL);
    return *ret != NULL ? KERR_OK : kerr_set(e, KERR_INPUT, "TLS: certificates can't be used");
}

static grpc_channel *make_channel(const struct rpc_client_config *c, const char *target,
                                  const char *authority, grpc_channel_credentials *credentials)
{
    int connect_ms = c->connect_ms == 0 ? CONNECT_MS_DEFAULT : (int)c->connect_ms;
    grpc_resource_quota *quota = grpc_resource_quota_create("rpc client");
    grpc_resource_quota_resize(quota, QUOTA_MESSAGES * c->response_max + QUOTA_OWN_BYTES);
    grpc_arg rows[] = {
        number(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)c->response_max),
        number(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1), /* the server says what is too much */
        number(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        number(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        number(GRPC_ARG_ENABLE_RETRIES, 0),
        number(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        number(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, connect_ms),
        number(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, AGAIN_MS),
        number(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, connect_ms),
        number(GRPC_ARG_ENABLE_CHANNELZ, 0),
        number(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0),
        number(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, COMPRESSION_BITS),
        {.type = GRPC_ARG_STRING,
         .key = (char *)(uintptr_t)GRPC_ARG_DEFAULT_AUTHORITY,
         .value.string = (char *)(uintptr_t)authority},
        {.type = GRPC_ARG_POINTER,
         .key = (char *)(uintptr_t)GRPC_ARG_RESOURCE_QUOTA,
         .value.pointer = {quota, grpc_resource_quota_arg_vtable()}},
    };
    grpc_channel_args args = {ARRAY_LEN(rows), rows};
    grpc_channel *channel = grpc_channel_create(target, credentials, &args);
    grpc_resource_quota_unref(quota);
    return channel;
}

/* ---- life ---- */

static enum kerr connect_later(struct rpc_client *c, const struct rpc_client_config *config,
                               struct kerrinfo *e)
{
    AUTO_BUF target;
    AUTO_BUF authority;
    const char *target_text = NULL;
    const char *authority_text = NULL;
    grpc_channel_credentials *credentials = NULL;
    buf_init(&target, TARGET_MAX);
    buf_init(&authority, TARGET_MAX);
    enum kerr k = config->unix_path != NULL ? unix_target(config->unix_path, &target, e)
                                            : host_target(config->host, config->port, &target, e);
    k = k == KERR_OK ? authority_of(config, &authority, e) : k;
    k = k == KERR_OK ? buf_text(&target, &target_text, e) : k;
    k = k == KERR_OK ? buf_text(&authority, &authority_text, e) : k;
    k = k == KERR_OK ? make_credentials(config->tls, &credentials, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    c->channel = make_channel(config, target_text, authority_text, credentials);
    grpc_channel_credentials_release(credentials);
    return KERR_OK;
}

enum kerr rpc_client_new(const struct rpc_client_config *config, struct rpc_client **ret,
                         struct kerrinfo *e)
{
    if (config->response_max == 0 || config->response_max > RESPONSE_MAX) {
        return kerr_set(e, KERR_LIMIT, "answers of %zu bytes: expected 1 to %zu",
                        config->response_max, RESPONSE_MAX);
    }
    struct rpc_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for an rpc client");
    }
    rpc_start();
    c->response_max = config->response_max;
    c->queue = grpc_completion_queue_create_for_pluck(NULL);
    buf_init(&c->joined, c->response_max);
    enum kerr k = connect_later(c, config, e);
    if (k != KERR_OK) {
        rpc_client_free(c);
        return k;
    }
    *ret = c;
    return KERR_OK;
}

void rpc_client_free(struct rpc_client *c)
{
    if (c == NULL) {
        return;
    }
    if (c->channel != NULL) {
        grpc_channel_destroy(c->channel);
    }
    grpc_completion_queue_shutdown(c->queue);
    grpc_completion_queue_destroy(c->queue);
    buf_done(&c->joined);
    free(c);
    rpc_stop();
}

void rpc_client_free_at(struct rpc_client **c)
{
    rpc_client_free(*c);
    *c = NULL;
}
