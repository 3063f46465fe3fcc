/* SPDX-License-Identifier: Apache-2.0 */
/* What a client gets from a server that speaks HTTP/2 byte by byte, as each test says. */
#include "tests/unit/rpc/world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"

#define RAW_PATH "/t.Raw/Call"

/* ---- a server that sends exactly what the test says ---- */

struct raw_server {
    int listening;
    pthread_t thread;
    const char *await; /* what must come before it answers */
    uint8_t room[70000];
    struct writer answer;
    bool closes; /* in the end; else it waits for the client to go */
    bool has_come;
};

static void put_headers(struct writer *w, uint8_t flags, const char *const rows[][2], size_t count)
{
    uint8_t room[1024];
    struct writer h = writer_on(room, sizeof room);
    for (size_t i = 0; i < count; i++) {
        raw_put_header(&h, rows[i][0], rows[i][1]);
    }
    raw_put_frame(w, h.len, 1, (uint8_t)(4 | flags), 1); /* HEADERS, END_HEADERS */
    write_raw(w, writer_view(&h));
}

static void put_first(struct raw_server *s)
{
    static const char *const rows[][2] = {{":status", "200"}, {"content-type", "application/grpc"}};
    put_headers(&s->answer, 0, rows, ARRAY_LEN(rows));
}

static void put_last(struct raw_server *s, const char *status, const char *text)
{
    const char *const rows[][2] = {{"grpc-status", status}, {"grpc-message", text}};
    put_headers(&s->answer, 1, rows, ARRAY_LEN(rows)); /* END_STREAM */
}

/* `announced`: the length that stands before the message. */
static void put_message(struct raw_server *s, struct bytes message, size_t announced)
{
    raw_put_frame(&s->answer, message.len + 5, 0, 0, 1); /* DATA */
    write_u8(&s->answer, 0);
    write_u32(&s->answer, (uint32_t)announced);
    write_raw(&s->answer, message);
}

static void *raw_main(void *ctx)
{
    static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    struct raw_server *s = ctx;
    AUTO_FD fd = accept4(s->listening, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || write(fd, settings, sizeof settings) != sizeof settings) {
        return NULL;
    }
    s->has_come = raw_await(fd, s->await, 10000);
    if (write(fd, s->answer.ptr, s->answer.len) == (ssize_t)s->answer.len && !s->closes) {
        (void)raw_is_closed(fd, 10000);
    }
    return NULL;
}

static struct raw_server *raw_new(void)
{
    struct raw_server *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->await = RAW_PATH;
    s->answer = writer_on(s->room, sizeof s->room);
    return s;
}

static void raw_start(struct raw_server *s, int listening)
{
    assert_false(s->answer.failed);
    s->listening = listening;
    assert_int_equal(pthread_create(&s->thread, NULL, raw_main, s), 0);
}

/* After the client was freed, or when the server closes by itself. */
static void raw_end(struct world *w, struct raw_server *s)
{
    rpc_client_free(w->client);
    w->client = NULL;
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    assert_true(s->has_come);
    free(s);
}

struct seen {
    size_t count;
    size_t refuse_at; /* 0: none */
    char text[256];   /* all messages, each with ';' behind it */
};

static enum kerr see(void *ctx, struct bytes message, struct kerrinfo *e)
{
    struct seen *s = ctx;
    size_t len = strlen(s->text);
    (void)snprintf(s->text + len, sizeof s->text - len, "%.*s;", (int)message.len,
                   message.len == 0 ? "" : (const char *)message.ptr);
    s->count++;
    return s->count == s->refuse_at ? kerr_set(e, KERR_FORMAT, "enough") : KERR_OK;
}

static enum kerr stream(struct world *w, struct seen *seen, struct rpc_status *status,
                        struct kerrinfo *e)
{
    struct rpc_ask ask = world_ask(RAW_PATH, bytes_of_text("x"));
    return rpc_client_stream(w->client, &ask, see, seen, status, e);
}

static void messages_of_a_stream_come_one_by_one(void **state)
{
    struct world *w = *state;
    struct kerrinfo e = {0};
    struct seen seen = {0};
    struct rpc_status status;
    struct raw_server *s = raw_new();
    put_first(s);
    put_message(s, bytes_of_text("one"), 3);
    put_message(s, bytes_of_text(""), 0);
    put_message(s, bytes_of_text("thr"), 5);
    raw_put_frame(&s->answer, 2, 0, 0, 1);
    write_raw(&s->answer, bytes_of_text("ee"));
    put_last(s, "0", NULL);
    world_listen(w);
    raw_start(s, w->listening);
    world_client(w);
    assert_ok(&e, stream(w, &seen, &status, &e));
    assert_int_equal(status.code, 0);
    assert_string_equal(seen.text, "one;;three;");
    raw_end(w, s);
}

static void who_is_told_may_end_it(void **state)
{
    struct world *w = *state;
    struct kerrinfo e = {0};
    struct seen seen = {.refuse_at = 2};
    struct rpc_status status;
    struct raw_server *s = raw_new();
    put_first(s);
    put_message(s, bytes_of_text("one"), 3);
    put_message(s, bytes_of_text("two"), 3);
    put_message(s, bytes_of_text("three"), 5);
    world_listen(w);
    raw_start(s, w->listening);
    world_client(w);
    assert_refused(&e, KERR_FORMAT, "enough", stream(w, &seen, &status, &e));
    assert_int_equal(seen.count, 2);
    raw_end(w, s);
}

static void a_server_dies_in_the_middle(void **state)
{
    struct world *w = *state;
    struct kerrinfo e = {0};
    struct seen seen = {0};
    struct rpc_status status;
    struct raw_server *s = raw_new();
    put_first(s);
    put_message(s, bytes_of_text("one"), 3);
    put_message(s, bytes_of_text("tw"), 3);
    s->closes = true;
    world_listen(w);
    raw_start(s, w->listening);
    world_client(w);
    assert_ok(&e, stream(w, &seen, &status, &e));
    assert_int_equal(status.code, 14);
    assert_string_equal(seen.text, "one;");
    raw_end(w, s);
}

static void a_unary_answer_is_one_message(void **state)
{
    struct world *w = *state;
    for (unsigned count = 0; count < 3; count++) {
        struct raw_server *s = raw_new();
        put_first(s);
        for (unsigned i = 0; i < count; i++) {
            put_message(s, bytes_of_text("m"), 1);
        }
        put_last(s, "0", NULL);
        world_listen(w);
        raw_start(s, w->listening);
        world_client(w);
        struct rpc_ask ask = world_ask(RAW_PATH, bytes_of_text("x"));
        assert_int_equal(world_code(w, &ask), count == 1 ? 0 : 13);
        raw_end(w, s);
        file_close_at(&w->listening);
        assert_int_equal(unlink(w->path), 0);
    }
}

static void a_huge_message_that_never_comes_ends_with_the_deadline(void **state)
{
    struct world *w = *state;
    static uint8_t some[8192];
    struct raw_server *s = raw_new();
    put_first(s);
    put_message(s, BYTES_OF(some), (size_t)1 << 30);
    world_listen(w);
    raw_start(s, w->listening);
    world_client(w);
    struct rpc_ask ask = world_ask(RAW_PATH, bytes_of_text("x"));
    ask.timeout_ms = 300;
    assert_int_equal(world_code(w, &ask), 4);
    raw_end(w, s);
}

static void texts_of_a_server_are_one_printable_line(void **state)
{
    struct world *w = *state;
    struct raw_server *s = raw_new();
    const char *const rows[][2] = {{":status", "200"},
                                   {"content-type", "application/grpc"},
                                   {"grpc-status", "99"},
                                   {"grpc-message", "a%0Ab%1B[31mc%C3%BC"}};
    put_headers(&s->answer, 1, rows, ARRAY_LEN(rows));
    world_listen(w);
    raw_start(s, w->listening);
    world_client(w);
    struct rpc_ask ask = world_ask(RAW_PATH, bytes_of_text("x"));
    AUTO_BUF answer;
    struct rpc_status status = world_call(w, &ask, &answer);
    assert_int_equal(status.code, 2);
    assert_string_equal(status.text, "a?b?[31mc??");
    raw_end(w, s);
}

static void metadata_and_authority_reach_the_server_over_tcp(void **state)
{
    struct world *w = *state;
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct kerrinfo e = {0};
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;
        AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
        assert_int_equal(listen(fd, 1), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
        struct raw_server *s = raw_new();
        char authority[64];
        (void)snprintf(authority, sizeof authority, "%s:%u", hosts[i], ntohs(address.sin_port));
        s->await = i == 0 ? "the-token" : authority;
        put_first(s);
        put_message(s, bytes_of_text("m"), 1);
        put_last(s, "0", NULL);
        raw_start(s, fd);
        const struct rpc_metadata token = {"token", bytes_of_text("the-token")};
        const struct rpc_client_config config = {
            .host = hosts[i], .port = ntohs(address.sin_port), .response_max = 100};
        assert_ok(&e, rpc_client_new(&config, &w->client, &e));
        struct rpc_ask ask = world_ask(RAW_PATH, bytes_of_text("x"));
        ask.metadata = &token;
        ask.metadata_count = 1;
        assert_int_equal(world_code(w, &ask), 0);
        raw_end(w, s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(messages_of_a_stream_come_one_by_one),
        WORLD_TEST(who_is_told_may_end_it),
        WORLD_TEST(a_server_dies_in_the_middle),
        WORLD_TEST(a_unary_answer_is_one_message),
        WORLD_TEST(a_huge_message_that_never_comes_ends_with_the_deadline),
        WORLD_TEST(texts_of_a_server_are_one_printable_line),
        WORLD_TEST(metadata_and_authority_reach_the_server_over_tcp),
    };
    rpc_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rpc_stop();
    return failed;
}
