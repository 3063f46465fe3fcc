/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/seal/transit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base64.h"
#include "tests/lib/testlib.h"
#include "json/json_read.h"

#define TEXT_MAX 16384
#define DATA_MAX 4096

struct call {
    const struct transit_key *key;
    const struct json_value *fields;
    uint32_t version; /* of the text behind "vault:v" */
    uint8_t aad[DATA_MAX];
    size_t aad_len;
    uint8_t data[DATA_MAX];
    size_t data_len;
};

/* The whole request is here: its length, else 0. */
static size_t whole(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, "Content-Length: ");
    size_t body = length == NULL || length > end ? 0 : (size_t)strtoul(length + 16, NULL, 10);
    size_t len = end == NULL ? 0 : (size_t)(end - text) + 4 + body;
    return len != 0 && strlen(text) >= len ? len : 0;
}

static void reply(int fd, unsigned status, const char *body)
{
    char text[TEXT_MAX];
    int len = snprintf(text, sizeof text, "HTTP/1.1 %u x\r\nContent-Length: %zu\r\n\r\n%s", status,
                       strlen(body), body);
    (void)send(fd, text, (size_t)len, MSG_NOSIGNAL);
}

static void reply_error(int fd, unsigned status, const char *why)
{
    char body[512];
    (void)snprintf(body, sizeof body, "{\"errors\":[\"%s\"]}", why);
    reply(fd, status, body);
}

static const struct transit_key *key_named(struct transit *t, const char *name, size_t len)
{
    for (size_t i = 0; i < TRANSIT_KEYS_MAX; i++) {
        struct transit_key *k = &t->keys[i];
        if (k->name[0] == 0) {
            (void)snprintf(k->name, sizeof k->name, "%.*s", (int)len, name);
            random_fill(k->key, sizeof k->key);
        }
        if (strlen(k->name) == len && memcmp(k->name, name, len) == 0) {
            return k;
        }
    }
    return NULL;
}

static void answer_key(struct transit *t, int fd)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"data\":{\"type\":\"aes256-gcm96\",\"derived\":false,\"exportable\":false,"
                   "\"allow_plaintext_backup\":false,\"deletion_allowed\":false,"
                   "\"latest_version\":%u,\"min_decryption_version\":1,"
                   "\"min_encryption_version\":0,\"soft_deleted\":false,"
                   "\"keys\":{\"%u\":1795420094}}}",
                   t->latest, t->latest);
    reply(fd, 200, body);
}

static bool read_base64(const struct call *c, const char *name, const char *skip, uint8_t *to,
                        size_t *ret_len)
{
    const char *text = NULL;
    if (!json_as_text(json_member(c->fields, name), &text)) {
        return false;
    }
    text += skip == NULL ? 0 : strlen(skip);
    return base64_read(bytes_of_text(text), to, DATA_MAX, ret_len, NULL) == KERR_OK;
}

static void answer_encrypt(struct transit *t, int fd, struct call *c)
{
    uint8_t out[DATA_MAX + AEAD_GCM_NONCE + AEAD_TAG];
    char text[BASE64_CHARS(sizeof out) + 1];
    char body[sizeof text + 128];
    struct kerrinfo e = {0};
    random_fill(out, AEAD_GCM_NONCE);
    assert_ok(&e, aead_gcm_seal(c->key->key, out, bytes_of(c->aad, c->aad_len),
                                bytes_of(c->data, c->data_len), out + AEAD_GCM_NONCE, &e));
    base64_write(bytes_of(out, AEAD_GCM_NONCE + c->data_len + AEAD_TAG), text);
    (void)snprintf(body, sizeof body,
                   "{\"data\":{\"ciphertext\":\"vault:v%u:%s\",\"key_version\":%u}}", t->latest,
                   text, t->latest);
    reply(fd, 200, body);
}

static void answer_decrypt(struct transit *t, int fd, const struct call *c)
{
    uint8_t out[DATA_MAX];
    char text[BASE64_CHARS(sizeof out) + 1];
    char body[sizeof text + 64];
    if (c->version > t->latest) {
        reply_error(fd, 400, "cannot decrypt: version is higher than the latest key version");
        return;
    }
    if (c->data_len < AEAD_GCM_NONCE + AEAD_TAG ||
        aead_gcm_open(c->key->key, c->data, bytes_of(c->aad, c->aad_len),
                      bytes_of(c->data + AEAD_GCM_NONCE, c->data_len - AEAD_GCM_NONCE), out,
                      NULL) != KERR_OK) {
        reply_error(fd, 400, "cipher: message authentication failed");
        return;
    }
    out[0] ^= t->is_lying ? 1 : 0;
    base64_write(bytes_of(out, c->data_len - AEAD_GCM_NONCE - AEAD_TAG), text);
    (void)snprintf(body, sizeof body, "{\"data\":{\"plaintext\":\"%s\"}}", text);
    reply(fd, 200, body);
}

static void answer_post(struct transit *t, int fd, bool is_encrypt, struct call *c,
                        const char *body)
{
    AUTO_JSON doc = NULL;
    const char *text = NULL;
    struct kerrinfo e = {0};
    assert_ok(&e, json_read(bytes_of_text(body), &doc, &e));
    c->fields = json_root(doc);
    bool is_good = read_base64(c, "associated_data", NULL, c->aad, &c->aad_len);
    if (is_encrypt) {
        is_good = is_good && read_base64(c, "plaintext", NULL, c->data, &c->data_len);
    } else if (json_as_text(json_member(c->fields, "ciphertext"), &text)) {
        char head[32];
        c->version = (uint32_t)strtoul(text + strlen("vault:v"), NULL, 10);
        (void)snprintf(head, sizeof head, "vault:v%u:", c->version);
        is_good = is_good && strncmp(text, head, strlen(head)) == 0 &&
                  read_base64(c, "ciphertext", head, c->data, &c->data_len);
    }
    if (!is_good) {
        reply_error(fd, 400, "invalid ciphertext");
    } else if (is_encrypt) {
        answer_encrypt(t, fd, c);
    } else {
        answer_decrypt(t, fd, c);
    }
}

static void answer(struct transit *t, int fd, const char *request)
{
    static const char *const whats[] = {"keys/", "encrypt/", "decrypt/"};
    static const char mount[] = " /v1/transit/";
    struct call c = {.version = 0};
    const char *at = strstr(request, mount);
    t->calls++;
    if (t->status != 0) {
        reply_error(fd, t->status, t->why);
        return;
    }
    if (at == NULL) { /* the token's own */
        reply(fd, 200, "{\"data\":{\"ttl\":3600,\"renewable\":true}}");
        return;
    }
    at += strlen(mount);
    (void)snprintf(t->last_path, sizeof t->last_path, "%.*s", (int)strcspn(at, " "), at);
    size_t what = 0;
    while (what < 2 && strncmp(at, whats[what], strlen(whats[what])) != 0) {
        what++;
    }
    at += strlen(whats[what]);
    c.key = key_named(t, at, strcspn(at, " "));
    assert_non_null(c.key);
    if (what == 0) {
        answer_key(t, fd);
    } else {
        answer_post(t, fd, what == 1, &c, strstr(request, "\r\n\r\n") + 4);
    }
}

static void serve_connection(struct transit *t, int fd)
{
    char text[TEXT_MAX] = "";
    size_t len = 0;
    ssize_t n;
    while ((n = recv(fd, text + len, sizeof text - 1 - len, 0)) > 0) {
        len += (size_t)n;
        text[len] = 0;
        if (whole(text) != 0) {
            answer(t, fd, text);
            len = 0;
        }
    }
    (void)close(fd);
}

/* One connection at a time: a seal uses one client, which keeps one. */
static void *serve(void *ctx)
{
    struct transit *t = ctx;
    int fd;
    while ((fd = accept(t->fd, NULL, NULL)) >= 0) {
        serve_connection(t, fd);
    }
    return NULL;
}

void transit_start(struct transit *t, const char *folder, const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    *t = (struct transit){.latest = 1};
    t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s/%s", folder, name);
    (void)snprintf(t->address, sizeof t->address, "unix:%s", a.sun_path);
    assert_int_equal(bind(t->fd, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(t->fd, 8), 0);
    assert_int_equal(pthread_create(&t->thread, NULL, serve, t), 0);
}

void transit_stop(struct transit *t)
{
    (void)shutdown(t->fd, SHUT_RDWR);
    (void)pthread_join(t->thread, NULL);
    (void)close(t->fd);
}
