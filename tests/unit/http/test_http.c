/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http.h"
#include "tests/lib/testlib.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Length: "

/* A server for one connection: reads a request's head, sends `reply`, waits, closes. */
struct server {
    int fd;
    pthread_t thread;
    const char *reply;
    size_t repeat; /* the reply is sent so often */
    unsigned wait_ms;
    char request[1024];
};

static struct kerrinfo e;
static char *folder;
static char *path;

static void *serve(void *ctx)
{
    struct server *s = ctx;
    AUTO_FD fd = accept(s->fd, NULL, NULL);
    size_t len = 0;
    while (fd >= 0 && strstr(s->request, "\r\n\r\n") == NULL && len + 1 < sizeof s->request) {
        ssize_t n = read(fd, s->request + len, sizeof s->request - 1 - len);
        if (n <= 0) {
            return NULL;
        }
        len += (size_t)n;
    }
    for (size_t i = 0; i < s->repeat; i++) {
        if (send(fd, s->reply, strlen(s->reply), MSG_NOSIGNAL) < 0) {
            return NULL;
        }
    }
    (void)usleep(s->wait_ms * 1000);
    return NULL;
}

static void start(struct server *s, const struct sockaddr *a, socklen_t len)
{
    s->fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, a, len), 0);
    assert_int_equal(listen(s->fd, 4), 0);
    s->repeat = s->repeat == 0 ? 1 : s->repeat;
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void start_unix(struct server *s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)unlink(path);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    start(s, (const struct sockaddr *)&a, sizeof a);
}

static void stop(struct server *s)
{
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    file_close_at(&s->fd);
}

static struct http_get ask(void)
{
    return (struct http_get){
        .url = "http://localhost/status", .unix_path = path, .timeout_ms = 5000, .body_max = 100};
}

static void test_answer(void **state)
{
    (void)state;
    struct server s = {.reply = OK_HEAD "5\r\n\r\nhello"};
    struct http_get get = ask();
    AUTO_ANSWER a = {0};
    start_unix(&s);
    assert_ok(&e, http_get(&get, &a, &e));
    stop(&s);
    assert_int_equal(a.status, 200);
    assert_true(bytes_equal_text(buf_view(&a.body), "hello"));
    assert_non_null(strstr(s.request, "GET /status HTTP/1.1\r\n"));
    assert_non_null(strstr(s.request, "Host: localhost\r\n"));
    assert_non_null(strstr(s.request, "User-Agent: etcdseal/"));
}

static void test_over_tcp(void **state)
{
    (void)state;
    struct server s = {.reply = OK_HEAD "2\r\n\r\nok"};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    start(&s, (const struct sockaddr *)&in, sizeof in);
    socklen_t len = sizeof in;
    assert_int_equal(getsockname(s.fd, (struct sockaddr *)&in, &len), 0);
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/livez", ntohs(in.sin_port));
    struct http_get get = ask();
    get.url = url;
    get.unix_path = NULL;
    AUTO_ANSWER a = {0};
    assert_ok(&e, http_get(&get, &a, &e));
    stop(&s);
    assert_true(bytes_equal_text(buf_view(&a.body), "ok"));
}

static void test_other_statuses_are_answers(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        unsigned status;
    } rows[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404},
        {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503},
        /* Not followed. */
        {"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", 302},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct server s = {.reply = rows[i].reply};
        struct http_get get = ask();
        AUTO_ANSWER a = {0};
        start_unix(&s);
        assert_ok(&e, http_get(&get, &a, &e));
        stop(&s);
        assert_int_equal(a.status, rows[i].status);
        assert_int_equal(a.body.len, 0);
    }
}

static void test_size(void **state)
{
    (void)state;
    struct server s = {.reply = OK_HEAD "5\r\n\r\nhello"};
    struct http_get get = ask();
    AUTO_ANSWER a = {0};
    get.body_max = 5;
    start_unix(&s);
    assert_ok(&e, http_get(&get, &a, &e));
    stop(&s);
    get.body_max = 4;
    struct http_answer none = {.status = 99};
    struct server again = {.reply = OK_HEAD "5\r\n\r\nhello"};
    start_unix(&again);
    assert_refused(&e, KERR_LIMIT, "more than 4 bytes", http_get(&get, &none, &e));
    stop(&again);
    assert_int_equal(none.status, 99);
    assert_null(none.body.ptr);
    /* One that says nothing of its length and does not end. */
    struct server endless = {.reply = "HTTP/1.1 200 OK\r\n\r\n", .repeat = 100000};
    start_unix(&endless);
    assert_refused(&e, KERR_LIMIT, "more than 4 bytes", http_get(&get, &none, &e));
    stop(&endless);
}

static void test_time(void **state)
{
    (void)state;
    struct server s = {.reply = OK_HEAD "5\r\n\r\nhe", .wait_ms = 1000};
    struct http_get get = ask();
    struct http_answer none = {.status = 99};
    get.timeout_ms = 200;
    start_unix(&s);
    uint64_t began = clock_mono_ms();
    assert_refused(&e, KERR_TIMEOUT, path, http_get(&get, &none, &e));
    assert_true(clock_mono_ms() - began < 900);
    stop(&s);
    assert_int_equal(none.status, 99);
}

static void test_what_is_no_answer(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        enum kerr code;
    } rows[] = {
        {"hello\r\n", KERR_INPUT}, /* HTTP/0.9 */
        {"\r\n", KERR_INPUT},
        {"", KERR_DOWN},                         /* closed without a word */
        {OK_HEAD "500\r\n\r\nhello", KERR_DOWN}, /* cut off */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct server s = {.reply = rows[i].reply};
        struct http_get get = ask();
        struct http_answer none = {.status = 99};
        start_unix(&s);
        assert_refused(&e, rows[i].code, path, http_get(&get, &none, &e));
        stop(&s);
        assert_int_equal(none.status, 99);
    }
}

static void test_nobody(void **state)
{
    (void)state;
    struct http_get get = ask();
    struct http_answer none = {.status = 99};
    (void)unlink(path);
    assert_refused(&e, KERR_DOWN, "No such file", http_get(&get, &none, &e));
    test_write_file(folder, "http.sock", bytes_of_text("no socket"));
    assert_refused(&e, KERR_DOWN, "refused", http_get(&get, &none, &e));
    get.unix_path = NULL;
    get.url = "http://127.0.0.1:1/";
    assert_refused(&e, KERR_DOWN, "127.0.0.1", http_get(&get, &none, &e));
}

static void test_not_allowed(void **state)
{
    (void)state;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)unlink(path);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(chmod(path, 0), 0);
    struct http_get get = ask();
    struct http_answer none = {.status = 99};
    bool is_root = geteuid() == 0; /* who may connect to everything */
    assert_true(!is_root || seteuid(4321) == 0);
    assert_refused(&e, KERR_DENIED, "Permission", http_get(&get, &none, &e));
    assert_true(!is_root || seteuid(0) == 0);
}

static void test_bad_requests(void **state)
{
    (void)state;
    char long_path[HTTP_UNIX_PATH_MAX + 2];
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[0] = '/';
    long_path[sizeof long_path - 1] = 0;
    static const char *const urls[] = {
        "file:///etc/passwd", "ftp://localhost/", "gopher://x/", "", "http://", "http://a b/"};
    struct http_answer none = {.status = 99};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct http_get get = ask();
        get.url = urls[i];
        assert_refused(&e, KERR_INPUT, "", http_get(&get, &none, &e));
    }
    struct http_get get = ask();
    get.unix_path = long_path;
    assert_refused(&e, KERR_INPUT, "107", http_get(&get, &none, &e));
    get.unix_path = "relative.sock";
    assert_refused(&e, KERR_INPUT, "absolute", http_get(&get, &none, &e));
    get = ask();
    get.timeout_ms = 0;
    assert_refused(&e, KERR_BUG, "0 ms", http_get(&get, &none, &e));
    get = ask();
    get.body_max = HTTP_BODY_MAX + 1;
    assert_refused(&e, KERR_BUG, "bytes", http_get(&get, &none, &e));
    get.body_max = 0;
    assert_refused(&e, KERR_BUG, "bytes", http_get(&get, &none, &e));
    assert_int_equal(none.status, 99);
}

struct taken {
    char text[64];
    size_t pieces;
    enum kerr give;
};

static enum kerr take(void *ctx, struct bytes piece, struct kerrinfo *why)
{
    struct taken *t = ctx;
    size_t len = strlen(t->text);
    t->pieces++;
    (void)snprintf(t->text + len, sizeof t->text - len, "%.*s", (int)piece.len,
                   (const char *)piece.ptr);
    return t->give == KERR_OK ? KERR_OK : kerr_set(why, t->give, "not wanted");
}

static void test_stream(void **state)
{
    (void)state;
    struct server s = {.reply = OK_HEAD "5\r\n\r\nhello"};
    struct taken taken = {.give = KERR_OK};
    struct http_get get = ask();
    AUTO_ANSWER a = {0};
    get.on_body = take;
    get.body_ctx = &taken;
    get.body_max = HTTP_STREAM_MAX;
    start_unix(&s);
    assert_ok(&e, http_get(&get, &a, &e));
    stop(&s);
    assert_string_equal(taken.text, "hello");
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body.len, 0);

    struct taken refusing = {.give = KERR_FORMAT};
    struct server again = {.reply = OK_HEAD "5\r\n\r\nhello"};
    struct http_answer none = {.status = 99};
    get.body_ctx = &refusing;
    start_unix(&again);
    assert_refused(&e, KERR_FORMAT, "not wanted", http_get(&get, &none, &e));
    stop(&again);
    assert_int_equal(refusing.pieces, 1);
    assert_int_equal(none.status, 99);

    struct server endless = {.reply = "HTTP/1.1 200 OK\r\n\r\n", .repeat = 100000};
    get.body_ctx = &taken;
    get.body_max = 1000;
    start_unix(&endless);
    assert_refused(&e, KERR_LIMIT, "more than 1000 bytes", http_get(&get, &none, &e));
    stop(&endless);
    get.body_max = HTTP_STREAM_MAX + 1;
    assert_refused(&e, KERR_BUG, "bytes", http_get(&get, &none, &e));
}

/* What says who we are is checked before anybody is spoken to. */
static void test_identity(void **state)
{
    (void)state;
    static const char *const bad[] = {"a b", "a\nb", "a\r\nX: y", "\xc3\xa4", "a\x7f"};
    struct http_answer none = {.status = 99};
    struct http_get get = ask();
    AUTO_SECRET token = NULL;
    assert_ok(&e, secret_from_bytes(bytes_of_text("abc"), &token, &e));
    get.token = token;
    get.unix_path = NULL;
    assert_refused(&e, KERR_INPUT, "only sent over https", http_get(&get, &none, &e));
    get.url = "https://127.0.0.1:1/";
    assert_refused(&e, KERR_DOWN, "127.0.0.1", http_get(&get, &none, &e));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_SECRET other = NULL;
        assert_ok(&e, secret_from_bytes(bytes_of_text(bad[i]), &other, &e));
        get.token = other;
        assert_refused(&e, KERR_INPUT, "Bearer not a token: expected 1 to 16384 printable",
                       http_get(&get, &none, &e));
    }
    get.token = NULL;
    get.cert_file = "/x";
    assert_refused(&e, KERR_INPUT, "a client certificate needs its key", http_get(&get, &none, &e));
    assert_int_equal(none.status, 99);
}

static int setup(void **state)
{
    (void)state;
    folder = test_folder_new();
    path = test_path(folder, "http.sock");
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK) {
        return 1;
    }
    return setenv("http_proxy", "http://127.0.0.1:1", 1) | setenv("HTTP_PROXY", "x", 1) |
           setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
}

static int teardown(void **state)
{
    (void)state;
    free(path);
    test_folder_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_over_tcp),
        cmocka_unit_test(test_other_statuses_are_answers),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_what_is_no_answer),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_not_allowed),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_identity),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
