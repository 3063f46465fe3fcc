/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of servers: "https://HOST[:PORT]", "http://HOST[:PORT]", "unix:/PATH". Nothing else of
 * a URL may stand there: what a client would ignore, or take for something else, is refused.
 *
 * Hosts: names (RFC 1123, with '_'), IPv4 in four decimal parts, IPv6 in brackets. A name whose
 * last part is a number is none: the resolver would take "127.1" or "0x7f.1" for an address
 * (inet_aton(3)).
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/config_type.h"

#define HOST_MAX  253 /* RFC 1035, as text */
#define LABEL_MAX 63
#define DIGITS    "0123456789"

static const char https[] = "https://";
static const char http[] = "http://";
static const char unix_word[] = "unix:";

static bool begins_with(const char *text, const char *head)
{
    return strncmp(text, head, strlen(head)) == 0;
}

bool config_address_is_plain(const char *address)
{
    return begins_with(address, http);
}

/* Behind the scheme: the host without brackets into `host`, and what follows it. NULL: the brackets
 * are not closed, or the host is too long. */
static const char *split_host(const char *text, char host[static HOST_MAX + 1], bool *ret_is_v6)
{
    *ret_is_v6 = *text == '[';
    text += *ret_is_v6 ? 1 : 0;
    size_t len = strcspn(text, *ret_is_v6 ? "]" : ":");
    if (len > HOST_MAX || (*ret_is_v6 && text[len] == 0)) {
        return NULL;
    }
    memcpy(host, text, len);
    host[len] = 0;
    return text + len + (*ret_is_v6 ? 1 : 0);
}

static bool is_number(const char *label)
{
    if (label[0] == '0' && (label[1] == 'x' || label[1] == 'X')) {
        return label[2 + strspn(label + 2, DIGITS "abcdefABCDEF")] == 0;
    }
    return label[strspn(label, DIGITS)] == 0;
}

static bool is_host_name(const char *host)
{
    const char *label = host;
    while (true) {
        size_t len = strspn(label, DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-");
        if (len == 0 || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-') {
            return false;
        }
        if (label[len] != '.') {
            return label[len] == 0 && !is_number(label);
        }
        label += len + 1;
    }
}

static bool is_host(const char *host, bool is_v6)
{
    struct in6_addr v6;
    struct in_addr v4;
    if (is_v6) {
        return inet_pton(AF_INET6, host, &v6) == 1;
    }
    return inet_pton(AF_INET, host, &v4) == 1 || is_host_name(host);
}

static const char *server_problem(const char *text)
{
    char host[HOST_MAX + 1];
    bool is_v6 = false;
    uint64_t port = 0;
    if (strchr(text, '@') != NULL) {
        return "expected an address without user or password; logins stand in vault.auth";
    }
    if (strpbrk(text, "/?#") != NULL) {
        return "expected an address without path, query or '/' at its end; the engine's path is "
               "vault.mount";
    }
    const char *rest = split_host(text, host, &is_v6);
    if (rest == NULL || !is_host(host, is_v6)) {
        return "expected a host: a name, an IPv4 address, or an IPv6 address in brackets";
    }
    if (*rest == 0) {
        return NULL;
    }
    if (*rest != ':' || rest[1] == '0' ||
        text_to_u64(rest + 1, "port", 1, UINT16_MAX, &port, NULL) != KERR_OK) {
        return "expected nothing or a port from 1 to 65535 behind the host";
    }
    return NULL;
}

static const char *socket_problem(const char *path)
{
    if (*path != '/' || path[1] == '/') {
        return "expected unix:/PATH, an absolute path with one '/' before it";
    }
    if (strlen(path) > CONFIG_SOCKET_PATH_MAX) {
        return "expected a socket's path of at most 107 bytes behind unix:";
    }
    return config_path_problem(path) == NULL ? NULL : "expected the path of a socket behind unix:";
}

/* NULL: nothing is wrong. */
static const char *address_problem(const char *address)
{
    if (begins_with(address, unix_word)) {
        return socket_problem(address + strlen(unix_word));
    }
    if (begins_with(address, https)) {
        return server_problem(address + strlen(https));
    }
    if (begins_with(address, http)) {
        return server_problem(address + strlen(http));
    }
    return "expected https://HOST:PORT or unix:/PATH";
}

enum config_reach config_address_reach(const char *address)
{
    char host[HOST_MAX + 1];
    bool is_v6 = false;
    if (begins_with(address, unix_word)) {
        return CONFIG_REACH_SOCKET;
    }
    bool is_split = split_host(strstr(address, "//") + 2, host, &is_v6) != NULL;
    return is_split && (config_is_loopback(host) || strcmp(host, "localhost") == 0)
               ? CONFIG_REACH_LOOPBACK
               : CONFIG_REACH_NETWORK;
}

static bool is_repeated(const struct config_vault *v, const char *address)
{
    for (size_t i = 0; i < v->address_count; i++) {
        if (strcmp(v->addresses[i], address) == 0) {
            return true;
        }
    }
    return false;
}

/* Addresses are not shown: one may hold a password. */
static enum kerr parse_address(const struct config_source *s, const struct yaml_node *node,
                               const char *what, struct config_vault *v, struct kerrinfo *e)
{
    const char *address = NULL;
    enum kerr k =
        yaml_text(s->doc, node, what, "an address such as https://10.0.0.5:8200", &address, e);
    if (k != KERR_OK) {
        return k;
    }
    const char *problem = address_problem(address);
    if (problem != NULL) {
        return yaml_refuse(s->doc, node, e, "%s: %s", what, problem);
    }
    if (is_repeated(v, address)) {
        return yaml_refuse(s->doc, node, e, "%s: this address stands here a second time", what);
    }
    return text_dup(bytes_of_text(address), &v->addresses[v->address_count++], e);
}

enum kerr config_parse_addresses(const struct config_row *row, const struct config_source *s,
                                 const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    struct config_vault *v = base;
    enum kerr k = KERR_OK;
    if (node->kind != YAML_SEQUENCE) {
        return yaml_refuse_type(s->doc, node, row->key.path,
                                "a list such as [ \"https://10.0.0.5:8200\" ]", e);
    }
    if (node->child == NULL) {
        return yaml_refuse(s->doc, node, e, "%s: expected 1 to %d addresses", row->key.path,
                           CONFIG_VAULT_ADDRESSES_MAX);
    }
    for (const struct yaml_node *n = node->child; n != NULL && k == KERR_OK; n = n->next) {
        if (v->address_count == CONFIG_VAULT_ADDRESSES_MAX) {
            return yaml_refuse(s->doc, n, e, "%s: more than %d addresses", row->key.path,
                               CONFIG_VAULT_ADDRESSES_MAX);
        }
        k = parse_address(s, n, row->key.path, v, e);
    }
    return k;
}

enum kerr config_print_addresses(const struct config_row *row, const void *base, struct buf *ret,
                                 struct kerrinfo *e)
{
    (void)row;
    const struct config_vault *v = base;
    const char *gap = " [";
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < v->address_count && k == KERR_OK; i++) {
        k = buf_put_text(ret, gap, e);
        if (k == KERR_OK) {
            k = config_put_quoted(ret, v->addresses[i], e);
        }
        gap = ", ";
    }
    return k == KERR_OK ? buf_put_text(ret, "]", e) : k;
}
