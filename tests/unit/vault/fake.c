/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/vault/fake.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/testlib.h"

struct reply {
    unsigned status;
    const char *text;
    unsigned wait_ms;
    char made[512];
};

static const char key_text[] =
    "{\"data\":{\"type\":\"aes256-gcm96\",\"derived\":false,\"exportable\":false,"
    "\"allow_plaintext_backup\":false,\"deletion_allowed\":false,\"latest_version\":2,"
    "\"min_decryption_version\":1,\"min_encryption_version\":0,\"soft_deleted\":false,"
    "\"keys\":{\"2\":1795420095,\"1\":1795420094}}}";

static const struct {
    const char *path;
    const char *text;
    bool needs_token;
} presets[] = {
    {"transit/keys/k", key_text, true},
    {"transit/encrypt/k", "{\"data\":{\"ciphertext\":\"vault:v2:c2VhbGVk\",\"key_version\":2}}",
     true},
    {"transit/decrypt/k", "{\"data\":{\"plaintext\":\"c2VlZA==\"}}", true},
    {"sys/capabilities-self",
     "{\"data\":{\"transit/encrypt/k\":[\"update\"],\"transit/decrypt/k\":[\"create\",\"root\"]}}",
     true},
    {"sys/health",
     "{\"initialized\":true,\"sealed\":false,\"standby\":true,\"server_time_utc\":1795650457,"
     "\"version\":\"2.7.2\"}",
     false},
    {"sys/wrapping/unwrap", "{\"data\":{\"secret_id\":\"unwrapped-secret-id\"}}", false},
};

static size_t whole(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, "Content-Length: ");
    size_t body = length == NULL || length > end ? 0 : (size_t)strtoul(length + 16, NULL, 10);
    size_t len = end == NULL ? 0 : (size_t)(end - text) + 4 + body;
    return len != 0 && strlen(text) >= len ? len : 0;
}

static bool is_path(const char *request, const char *path)
{
    const char *at = strstr(request, "/v1/");
    size_t len = strlen(path);
    return at != NULL && strncmp(at + 4, path, len) == 0 && strchr("? ", at[4 + len]) != NULL;
}

static void grant(struct reply *r, unsigned number, unsigned ttl_s)
{
    (void)snprintf(r->made, sizeof r->made,
                   "{\"auth\":{\"client_token\":\"token-%u\",\"lease_duration\":%u,"
                   "\"renewable\":true}}",
                   number, ttl_s);
    r->text = r->made;
}

/* Under the lock. */
static bool has_good_token(const struct fake *f, const char *request)
{
    const char *at = strstr(request, "X-Vault-Token: token-");
    return at != NULL && strtoul(at + 21, NULL, 10) >= f->oldest;
}

/* Under the lock. */
static void by_preset(struct fake *f, const char *request, struct reply *r)
{
    *r = (struct reply){.status = 404, .text = "{\"errors\":[\"no handler for route\"]}"};
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (is_path(request, presets[i].path)) {
            r->status = 200;
            r->text = presets[i].text;
            if (presets[i].needs_token && !has_good_token(f, request)) {
                r->status = 403;
                r->text = "{\"errors\":[\"permission denied\"]}";
            }
        }
    }
    if (is_path(request, "auth/approle/login") || is_path(request, "auth/jwt/login")) {
        r->status = 200;
        grant(r, ++f->logins, f->ttl_s);
    } else if (is_path(request, "auth/token/renew-self")) {
        r->status = has_good_token(f, request) ? 200 : 403;
        r->text = "{\"errors\":[\"permission denied\"]}";
        if (r->status == 200) {
            f->renewals++;
            grant(r, f->logins, f->renewed_ttl_s);
        }
    } else if (is_path(request, "auth/token/lookup-self")) {
        bool is_good = has_good_token(f, request);
        r->status = is_good ? 200 : 403;
        r->text = is_good ? "{\"data\":{\"ttl\":3600,\"renewable\":true}}"
                          : "{\"errors\":[\"permission denied\"]}";
    } else if (is_path(request, "auth/token/revoke-self")) {
        r->status = 204;
        r->text = "";
    }
}

/* Under the lock. */
static bool by_rule(struct fake *f, const char *request, struct reply *r)
{
    for (size_t i = 0; i < f->rule_count; i++) {
        struct fake_rule *rule = &f->rules[i];
        if (!is_path(request, rule->path)) {
            continue;
        }
        *r = (struct reply){.status = rule->status, .text = rule->text, .wait_ms = rule->wait_ms};
        if (rule->times > 0 && --rule->times == 0) {
            memmove(rule, rule + 1, (--f->rule_count - i) * sizeof *rule);
        }
        return true;
    }
    return false;
}

/* False: the connection ends. */
static bool answer(struct fake *f, int fd, const char *request)
{
    struct reply r;
    char head[128];
    (void)pthread_mutex_lock(&f->lock);
    f->requests++;
    (void)snprintf(f->last, sizeof f->last, "%s", request);
    if (!by_rule(f, request, &r)) {
        by_preset(f, request, &r);
    }
    (void)pthread_mutex_unlock(&f->lock);
    (void)usleep(r.wait_ms * 1000);
    if (r.status != 0) {
        int len = snprintf(head, sizeof head, "HTTP/1.1 %u X\r\nContent-Length: %zu\r\n\r\n",
                           r.status, strlen(r.text));
        (void)send(fd, head, (size_t)len, MSG_NOSIGNAL);
    }
    (void)send(fd, r.text, strlen(r.text), MSG_NOSIGNAL);
    return r.status != 0;
}

static bool answer_no_tls(int fd)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    (void)send(fd, text, sizeof text - 1, MSG_NOSIGNAL);
    return false;
}

struct connection {
    struct fake *f;
    int fd;
};

static void *serve_one(void *ctx)
{
    struct connection c = *(struct connection *)ctx;
    free(ctx);
    char *text = calloc(1, FAKE_TEXT_MAX);
    size_t len = 0;
    bool is_open = text != NULL;
    while (is_open) {
        ssize_t n = recv(c.fd, text + len, FAKE_TEXT_MAX - 1 - len, 0);
        is_open = n > 0;
        len += is_open ? (size_t)n : 0;
        if (is_open && text[0] == 0x16) { /* a client that begins with TLS */
            is_open = answer_no_tls(c.fd);
        } else if (is_open && whole(text) != 0) {
            is_open = answer(c.f, c.fd, text);
            memset(text, 0, FAKE_TEXT_MAX);
            len = 0;
        }
    }
    (void)shutdown(c.fd, SHUT_RDWR);
    free(text);
    return NULL;
}

static void *serve(void *ctx)
{
    struct fake *f = ctx;
    for (;;) {
        int fd = accept(f->fd, NULL, NULL);
        struct connection *c = fd < 0 ? NULL : malloc(sizeof *c);
        if (c == NULL) {
            return NULL;
        }
        *c = (struct connection){f, fd};
        (void)pthread_mutex_lock(&f->lock);
        assert_true(f->connections < FAKE_CONNECTIONS_MAX);
        f->fds[f->connections] = fd;
        (void)pthread_create(&f->threads[f->connections++], NULL, serve_one, c);
        (void)pthread_mutex_unlock(&f->lock);
    }
}

void fake_start_on(struct fake *f, int fd)
{
    memset(f, 0, sizeof *f);
    f->fd = fd;
    f->oldest = 1;
    f->ttl_s = 3600;
    f->renewed_ttl_s = 3600;
    (void)pthread_mutex_init(&f->lock, NULL);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

void fake_start(struct fake *f, const char *folder, const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s/%s", folder, name);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    fake_start_on(f, fd);
    (void)snprintf(f->address, sizeof f->address, "unix:%s", a.sun_path);
}

void fake_stop(struct fake *f)
{
    (void)shutdown(f->fd, SHUT_RDWR);
    (void)pthread_join(f->thread, NULL);
    for (size_t i = 0; i < f->connections; i++) {
        (void)shutdown(f->fds[i], SHUT_RDWR);
        (void)pthread_join(f->threads[i], NULL);
        (void)close(f->fds[i]);
    }
    (void)close(f->fd);
    (void)pthread_mutex_destroy(&f->lock);
}

void fake_rule(struct fake *f, struct fake_rule rule)
{
    (void)pthread_mutex_lock(&f->lock);
    assert_true(f->rule_count < FAKE_RULES_MAX);
    f->rules[f->rule_count++] = rule;
    (void)pthread_mutex_unlock(&f->lock);
}

void fake_forget_rules(struct fake *f)
{
    (void)pthread_mutex_lock(&f->lock);
    f->rule_count = 0;
    (void)pthread_mutex_unlock(&f->lock);
}
