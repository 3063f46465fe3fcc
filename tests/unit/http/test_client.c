/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that keeps its connections. The server counts them; the linker puts a free() in place
 * that looks for what should have been wiped.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "http/http.h"
#include "tests/lib/testlib.h"

#define WORDS "Kq7-the-secret-of-this-test"
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

void __real_free(void *ptr);
void __wrap_free(void *ptr);

static atomic_bool is_looking;
static atomic_size_t freed;
static atomic_size_t found;

__attribute__((no_sanitize("address", "thread"))) void __wrap_free(void *ptr)
{
    if (is_looking && ptr != NULL) {
        freed++;
        found += memmem(ptr, malloc_usable_size(ptr), WORDS, strlen(WORDS)) != NULL;
    }
    __real_free(ptr);
}

/* Answers every request with `reply`; a connection has a thread and stays open. */
#define CONNECTIONS_MAX 64
struct server {
    int fd;
    const char *reply;
    unsigned wait_ms; /* before each answer */
    pthread_t thread;
    atomic_size_t connections;
    atomic_size_t requests;
    atomic_bool is_closing; /* each connection after one answer */
    char last[4096];        /* request, whole; of tests with one connection at a time */
    pthread_t threads[CONNECTIONS_MAX];
    int fds[CONNECTIONS_MAX];
};

static struct server server;
static struct kerrinfo e;
static char *folder;
static char *path;

/* Length of a request that is whole, 0 while it is not. */
static size_t whole(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, "Content-Length: ");
    size_t body = length == NULL || length > end ? 0 : (size_t)strtoul(length + 16, NULL, 10);
    size_t len = end == NULL ? 0 : (size_t)(end - text) + 4 + body;
    return len != 0 && strlen(text) >= len ? len : 0;
}

static void *serve_one(void *ctx)
{
    int fd = *(int *)ctx;
    char text[4096] = "";
    size_t len = 0;
    for (;;) {
        ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);
        if (n <= 0) {
            return NULL;
        }
        len += (size_t)n;
        text[len] = 0;
        if (whole(text) == 0) {
            continue;
        }
        if (server.requests++ == 0 || server.connections == 1) {
            memcpy(server.last, text, sizeof text);
        }
        (void)usleep(server.wait_ms * 1000);
        (void)send(fd, server.reply, strlen(server.reply), MSG_NOSIGNAL);
        len = 0;
        if (server.is_closing) {
            (void)shutdown(fd, SHUT_RDWR);
            return NULL;
        }
    }
}

static void *serve(void *ctx)
{
    (void)ctx;
    for (;;) {
        int fd = accept(server.fd, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        size_t i = server.connections++;
        server.fds[i] = fd;
        (void)pthread_create(&server.threads[i], NULL, serve_one, &server.fds[i]);
    }
}

static int start(void **state)
{
    (void)state;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    server = (struct server){.reply = HELLO};
    folder = test_folder_new();
    path = test_path(folder, "http.sock");
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    server.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return bind(server.fd, (const struct sockaddr *)&a, sizeof a) | listen(server.fd, 64) |
           pthread_create(&server.thread, NULL, serve, NULL);
}

static int stop(void **state)
{
    (void)state;
    (void)shutdown(server.fd, SHUT_RDWR);
    (void)pthread_join(server.thread, NULL);
    for (size_t i = 0; i < server.connections; i++) {
        (void)shutdown(server.fds[i], SHUT_RDWR);
        (void)pthread_join(server.threads[i], NULL);
        (void)close(server.fds[i]);
    }
    (void)close(server.fd);
    free(path);
    test_folder_remove(folder);
    return 0;
}

static struct http_request ask(void)
{
    return (struct http_request){
        .url = "http://localhost/v1/x", .timeout_ms = 5000, .body_max = 100};
}

static enum kerr call(struct http_client *c, const struct http_request *r)
{
    AUTO_ANSWER a = {0};
    enum http_failure failure;
    enum kerr k = http_call(c, r, &a, &failure, &e);
    assert_true((k == KERR_OK) == (failure == HTTP_FINE));
    return k;
}

static struct http_client *client(void)
{
    struct http_setup setup = {.unix_path = path};
    struct http_client *c = NULL;
    assert_ok(&e, http_client_new(&setup, &c, &e));
    return c;
}

static void test_one_connection_for_many_calls(void **state)
{
    (void)state;
    AUTO_HTTP_CLIENT c = client();
    struct http_request r = ask();
    for (size_t i = 0; i < 20; i++) {
        assert_ok(&e, call(c, &r));
    }
    assert_int_equal(server.requests, 20);
    assert_int_equal(server.connections, 1);
}

/* The server closes a kept connection: the next call makes a new one and does not fail. */
static void test_kept_connection_closed(void **state)
{
    (void)state;
    AUTO_HTTP_CLIENT c = client();
    struct http_request r = ask();
    server.is_closing = true;
    for (size_t i = 0; i < 5; i++) {
        assert_ok(&e, call(c, &r));
        (void)usleep(10000);
    }
    assert_int_equal(server.connections, 5);
}

static void *call_often(void *ctx)
{
    struct http_request r = ask();
    for (size_t i = 0; i < 25; i++) {
        AUTO_ANSWER a = {0};
        enum http_failure failure;
        struct kerrinfo why = {0};
        if (http_call(ctx, &r, &a, &failure, &why) != KERR_OK || a.body.len != 5) {
            return ctx;
        }
    }
    return NULL;
}

static void test_one_connection_for_each_thread(void **state)
{
    (void)state;
    AUTO_HTTP_CLIENT c = client();
    pthread_t threads[8];
    server.wait_ms = 1;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, c), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *why = NULL;
        assert_int_equal(pthread_join(threads[i], &why), 0);
        assert_null(why);
    }
    assert_int_equal(server.requests, 8 * 25);
    assert_in_range(server.connections, 1, 8);
}

static void test_changed_files(void **state)
{
    (void)state;
    char *files[3] = {test_path(folder, "ca"), test_path(folder, "cert"), test_path(folder, "key")};
    struct http_setup setup = {
        .unix_path = path, .ca_file = files[0], .cert_file = files[1], .key_file = files[2]};
    struct http_request r = ask();
    size_t connections = 1;
    for (size_t i = 0; i < 3; i++) {
        test_write_file(folder, strrchr(files[i], '/') + 1, bytes_of_text("one"));
    }
    AUTO_HTTP_CLIENT c = NULL;
    assert_ok(&e, http_client_new(&setup, &c, &e));
    for (size_t i = 0; i < 3; i++) {
        assert_ok(&e, call(c, &r));
        assert_int_equal(server.connections, connections);
        test_write_file(folder, strrchr(files[i], '/') + 1, bytes_of_text("other"));
        assert_ok(&e, call(c, &r));
        assert_ok(&e, call(c, &r));
        assert_int_equal(server.connections, ++connections);
        assert_int_equal(unlink(files[i]), 0); /* gone is a change too */
        assert_ok(&e, call(c, &r));
        assert_int_equal(server.connections, ++connections);
        free(files[i]);
    }
}

static void test_post(void **state)
{
    (void)state;
    AUTO_HTTP_CLIENT c = client();
    AUTO_SECRET token = NULL;
    assert_ok(&e, secret_from_bytes(bytes_of_text(WORDS), &token, &e));
    struct http_header headers[] = {{"X-Vault-Token: ", NULL, token},
                                    {"Content-Type: ", "application/json", NULL}};
    struct http_request r = ask();
    r.is_post = true;
    r.body = bytes_of_text("{\"a\":1}");
    r.headers = headers;
    r.header_count = 2;
    assert_ok(&e, call(c, &r));
    assert_non_null(strstr(server.last, "POST /v1/x HTTP/1.1\r\n"));
    assert_non_null(strstr(server.last, "\r\nX-Vault-Token: " WORDS "\r\n"));
    assert_non_null(strstr(server.last, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(server.last, "\r\n\r\n{\"a\":1}"));
    r.body = bytes_of(NULL, 0);
    assert_ok(&e, call(c, &r));
    assert_non_null(strstr(server.last, "\r\nContent-Length: 0\r\n"));
    /* Nothing of a request stays for the next. */
    struct http_request plain = ask();
    assert_ok(&e, call(c, &plain));
    assert_non_null(strstr(server.last, "GET /v1/x HTTP/1.1\r\n"));
    assert_null(strstr(server.last, "X-Vault-Token"));
    assert_int_equal(server.connections, 1);
}

/* Neither our memory nor libcurl's is freed with a secret in it. */
static void test_wiped(void **state)
{
    (void)state;
    AUTO_SECRET token = NULL;
    assert_ok(&e, secret_from_bytes(bytes_of_text(WORDS), &token, &e));
    struct http_header header = {"X-Vault-Token: ", NULL, token};
    static char text[] = "HTTP/1.1 200 OK\r\nX-Echo: " WORDS "\r\nContent-Length: 27\r\n\r\n" WORDS;
    struct http_request r = ask();
    server.reply = text;
    r.is_post = true;
    r.is_secret = true;
    r.body_max = 60000;
    r.body = bytes_of_text(WORDS);
    r.headers = &header;
    r.header_count = 1;
    is_looking = true;
    found = 0;
    AUTO_HTTP_CLIENT c = client();
    struct http_answer a = {0};
    enum http_failure failure;
    for (size_t i = 0; i < 3; i++) {
        assert_ok(&e, http_call(c, &r, &a, &failure, &e));
        assert_true(bytes_equal_text(buf_view(&a.body), WORDS));
        assert_true(a.body.cap >= r.body_max);
        http_answer_done(&a);
    }
    r.body_max = 20; /* refused in its middle */
    assert_refused(&e, KERR_LIMIT, "", http_call(c, &r, &a, &failure, &e));
    assert_int_equal(failure, HTTP_ANSWER);
    freed = 0;
    http_client_free(c);
    c = NULL;
    is_looking = false;
    assert_true(freed > 20); /* libcurl's own among them */
    assert_int_equal(found, 0);
}

static void test_secrets_need_a_safe_way(void **state)
{
    (void)state;
    AUTO_SECRET token = NULL;
    assert_ok(&e, secret_from_bytes(bytes_of_text(WORDS), &token, &e));
    struct http_header header = {"X-Vault-Token: ", NULL, token};
    struct http_setup setup = {.allow_plain_secret = false};
    AUTO_HTTP_CLIENT plain = NULL;
    AUTO_HTTP_CLIENT allowed = NULL;
    assert_ok(&e, http_client_new(&setup, &plain, &e));
    setup.allow_plain_secret = true;
    assert_ok(&e, http_client_new(&setup, &allowed, &e));
    for (size_t i = 0; i < 3; i++) {
        struct http_request r = ask();
        r.url = "http://127.0.0.1:1/";
        r.headers = &header;
        r.header_count = i == 0;
        r.is_post = i == 1;
        r.is_secret = i == 2;
        assert_refused(&e, KERR_INPUT, "a secret is only sent over https", call(plain, &r));
        assert_refused(&e, KERR_DOWN, "cannot connect", call(allowed, &r));
    }
}

static void test_failures(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        enum http_failure failure;
    } rows[] = {
        {"hello\r\n\r\n", HTTP_ANSWER},
        {"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nx", HTTP_ANSWER},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", HTTP_ANSWER},
        {"", HTTP_ANSWER},
    };
    AUTO_HTTP_CLIENT c = client();
    struct http_request r = ask();
    struct http_answer none = {.status = 99};
    enum http_failure failure;
    server.is_closing = true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        server.reply = rows[i].reply;
        assert_int_not_equal(http_call(c, &r, &none, &failure, &e), KERR_OK);
        assert_int_equal(failure, rows[i].failure);
    }
    server.wait_ms = 300;
    r.timeout_ms = 50;
    kerr_clear(&e);
    assert_refused(&e, KERR_TIMEOUT, path, http_call(c, &r, &none, &failure, &e));
    assert_int_equal(failure, HTTP_TIMEOUT);
    struct http_setup setup = {.unix_path = "/nonexistent/etcdseal.sock"};
    AUTO_HTTP_CLIENT nobody = NULL;
    assert_ok(&e, http_client_new(&setup, &nobody, &e));
    assert_refused(&e, KERR_DOWN, "No such file", http_call(nobody, &r, &none, &failure, &e));
    assert_int_equal(failure, HTTP_CONNECT);
    r.header_count = HTTP_HEADERS_MAX + 1;
    assert_refused(&e, KERR_BUG, "9 headers", http_call(c, &r, &none, &failure, &e));
    assert_int_equal(failure, HTTP_OURS);
    assert_int_equal(none.status, 99);
}

static void test_files_of_ours(void **state)
{
    (void)state;
    char *ca = test_path(folder, "ca");
    test_write_file(folder, "ca", bytes_of_text("no certificate"));
    struct http_setup setup = {.unix_path = path, .ca_file = ca};
    struct http_request r = ask();
    struct http_answer none = {.status = 99};
    enum http_failure failure;
    AUTO_HTTP_CLIENT c = NULL;
    assert_ok(&e, http_client_new(&setup, &c, &e));
    r.url = "https://localhost/";
    assert_refused(&e, KERR_INPUT, "ca", http_call(c, &r, &none, &failure, &e));
    assert_int_equal(failure, HTTP_FILES);
    free(ca);
    setup.cert_file = "/x";
    assert_refused(&e, KERR_INPUT, "needs its key", http_client_new(&setup, &c, &e));
}

static int setup_all(void **state)
{
    (void)state;
    return secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_connection_for_many_calls),
        TEST(test_kept_connection_closed),
        TEST(test_one_connection_for_each_thread),
        TEST(test_changed_files),
        TEST(test_post),
        TEST(test_wiped),
        TEST(test_secrets_need_a_safe_way),
        TEST(test_failures),
        TEST(test_files_of_ours),
    };
    return cmocka_run_group_tests(tests, setup_all, NULL);
}
