/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/web.h"
#include "tests/lib/testlib.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

static struct kerrinfo e;
static char *folder;
static char *path;
static int listen_fd;
static struct loop *loop;
static struct web *web;
static unsigned calls;

static bool answer(void *ctx, const char *at, struct web_reply *reply)
{
    (void)ctx;
    calls++;
    if (strcmp(at, "/text") == 0) {
        buf_init(&reply->body, 100);
        return buf_put_text(&reply->body, "hello\n", NULL) == KERR_OK;
    }
    if (strcmp(at, "/empty") == 0) {
        reply->status = 503;
        reply->content_type = "application/json";
        return true;
    }
    if (strcmp(at, "/large") == 0) {
        uint8_t *bytes = NULL;
        buf_init(&reply->body, 1000000);
        assert_int_equal(buf_extend(&reply->body, 1000000, &bytes, NULL), KERR_OK);
        memset(bytes, 'x', 1000000);
        return true;
    }
    return false;
}

static int setup(void **state)
{
    (void)state;
    folder = test_folder_new();
    path = test_path(folder, "status.sock");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listen_fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listen_fd, 64), 0);
    assert_ok(&e, loop_new(&loop, &e));
    web = NULL;
    calls = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    web_free(web);
    loop_free(loop);
    (void)close(listen_fd);
    free(path);
    test_folder_remove(folder);
    return 0;
}

static int connect_now(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void turn(void)
{
    int timeout_ms = web_timeout_ms(web);
    assert_ok(&e, loop_turn(loop, timeout_ms >= 0 && timeout_ms < 5 ? timeout_ms : 5, &e));
    if (web_timeout_ms(web) == 0) {
        web_run(web);
    }
}

/* What comes back until the other end closes or 2 s pass; free() it. */
static char *exchange_on(int fd, const char *request, size_t *ret_len)
{
    size_t len = 0;
    char *got = calloc(1, 2000001);
    assert_non_null(got);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    for (uint64_t until = clock_mono_ms() + 2000; clock_mono_ms() < until;) {
        turn();
        ssize_t n = recv(fd, got + len, 2000000 - len, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            break;
        }
        len += n > 0 ? (size_t)n : 0;
    }
    *ret_len = len;
    return got;
}

static char *exchange(const char *request)
{
    size_t len = 0;
    int fd = connect_now();
    char *got = exchange_on(fd, request, &len);
    (void)close(fd);
    return got;
}

static void assert_holds(char *got, const char *words)
{
    if (strstr(got, words) == NULL) {
        fail_msg("no \"%s\" in\n%.400s", words, got);
    }
}

#define END "\r\nHost: x\r\nConnection: close\r\n\r\n"

static void test_answers(void **state)
{
    (void)state;
    assert_ok(&e, web_new_unix(loop, listen_fd, answer, NULL, &web, &e));
    char *got = exchange("GET /text HTTP/1.1" END);
    assert_holds(got, "HTTP/1.1 200 OK\r\n");
    assert_holds(got, "Content-Type: text/plain\r\n");
    assert_holds(got, "Cache-Control: no-store\r\n");
    assert_holds(got, "\r\n\r\nhello\n");
    free(got);
    got = exchange("GET /empty HTTP/1.1" END);
    assert_holds(got, "HTTP/1.1 503 ");
    assert_holds(got, "Content-Type: application/json\r\n");
    free(got);
    got = exchange("HEAD /text HTTP/1.1" END);
    assert_holds(got, "HTTP/1.1 200 OK\r\n");
    assert_null(strstr(got, "hello"));
    free(got);
    assert_int_equal(calls, 3);
}

static void test_a_large_answer_is_whole(void **state)
{
    (void)state;
    size_t len = 0;
    assert_ok(&e, web_new_unix(loop, listen_fd, answer, NULL, &web, &e));
    int fd = connect_now();
    char *got = exchange_on(fd, "GET /large HTTP/1.1" END, &len);
    char *body = strstr(got, "\r\n\r\n");
    assert_non_null(body);
    assert_int_equal(len - (size_t)(body + 4 - got), 1000000);
    (void)close(fd);
    free(got);
}

static void test_refusals(void **state)
{
    (void)state;
    assert_ok(&e, web_new_unix(loop, listen_fd, answer, NULL, &web, &e));
    char *got = exchange("GET /other HTTP/1.1" END);
    assert_holds(got, "HTTP/1.1 404 ");
    assert_holds(got, "/readyz");
    free(got);
    calls = 0;
    got = exchange("POST /text HTTP/1.1" END);
    assert_holds(got, "HTTP/1.1 405 ");
    assert_holds(got, "Allow: GET, HEAD\r\n");
    free(got);
    got = exchange("DELETE /text HTTP/1.1" END);
    assert_holds(got, "HTTP/1.1 405 ");
    free(got);
    got = exchange("POST /text HTTP/1.1\r\nContent-Length: 3\r\nHost: x\r\n\r\nabc");
    assert_null(strstr(got, " 200 "));
    free(got);
    got = exchange("nonsense\r\n\r\n");
    assert_null(strstr(got, " 200 "));
    free(got);
    char *long_line = calloc(1, 40000);
    assert_non_null(long_line);
    (void)memset(long_line, 'a', 39000);
    memcpy(long_line, "GET /", 5);
    (void)snprintf(long_line + 38000, 1000, "%s", " HTTP/1.1" END);
    int fd = connect_now();
    size_t len = 0;
    got = exchange_on(fd, long_line, &len);
    assert_null(strstr(got, " 200 "));
    (void)close(fd);
    free(got);
    free(long_line);
    assert_int_equal(calls, 0);
    got = exchange("GET /text HTTP/1.1" END);
    assert_holds(got, "hello");
    free(got);
}

static void test_too_many_connections_do_not_stop_it(void **state)
{
    (void)state;
    int fds[WEB_CONNECTIONS_MAX + 8];
    assert_ok(&e, web_new_unix(loop, listen_fd, answer, NULL, &web, &e));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_now();
    }
    unsigned turns = 0;
    for (uint64_t until = clock_mono_ms() + 100; clock_mono_ms() < until; turns++) {
        turn();
    }
    assert_true(turns < 1000);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        (void)close(fds[i]);
    }
    char *got = exchange("GET /text HTTP/1.1" END);
    assert_holds(got, "hello");
    free(got);
}

/* systemd holds the same socket: the end of the daemon must not shut it down. */
static void test_the_listening_socket_survives_the_end(void **state)
{
    (void)state;
    assert_ok(&e, web_new_unix(loop, listen_fd, answer, NULL, &web, &e));
    char *got = exchange("GET /text HTTP/1.1" END);
    free(got);
    web_free(web);
    web = NULL;
    int fd = connect_now();
    (void)close(fd);
    assert_ok(&e, web_new_unix(loop, listen_fd, answer, NULL, &web, &e));
    got = exchange("GET /text HTTP/1.1" END);
    assert_holds(got, "hello");
    free(got);
    web_free(NULL);
}

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    (void)close(fd);
    return ntohs(a.sin_port);
}

static void test_tcp(void **state)
{
    (void)state;
    uint16_t port = free_port();
    struct web *second = NULL;
    size_t len = 0;
    assert_ok(&e, web_new_tcp(loop, "127.0.0.1", port, answer, NULL, &web, &e));
    assert_refused(&e, KERR_IO, "metrics.listen 127.0.0.1",
                   web_new_tcp(loop, "127.0.0.1", port, answer, NULL, &second, &e));
    assert_refused(&e, KERR_CONFIG, "no numeric address",
                   web_new_tcp(loop, "localhost", port, answer, NULL, &second, &e));
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    char *got = exchange_on(fd, "GET /text HTTP/1.1" END, &len);
    assert_holds(got, "hello");
    free(got);
    (void)close(fd);
}

static void test_tcp_on_ipv6(void **state)
{
    (void)state;
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has_ipv6 = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    test_needs(has_ipv6, "IPv6 on the loopback");
    uint16_t port = free_port();
    assert_ok(&e, web_new_tcp(loop, "::1", port, answer, NULL, &web, &e));
    a.sin6_port = htons(port);
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    size_t len = 0;
    char *got = exchange_on(fd, "GET /text HTTP/1.1" END, &len);
    assert_holds(got, "hello");
    free(got);
    (void)close(fd);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers),
        TEST(test_a_large_answer_is_whole),
        TEST(test_refusals),
        TEST(test_too_many_connections_do_not_stop_it),
        TEST(test_the_listening_socket_survives_the_end),
        TEST(test_tcp),
        TEST(test_tcp_on_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
