/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a server: what it refuses to start with, classes, connections, and how it ends. */
#include "tests/unit/rpc/bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

/* The n-th allocation from now on fails; 0: none. Used while no call runs. */
static atomic_int fail_at;

static bool must_fail(void)
{
    return atomic_load(&fail_at) > 0 && atomic_fetch_sub(&fail_at, 1) == 1;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __real_calloc(count, size);
}

static struct kerrinfo e;
static struct answer answer;

static void refuses_new(struct rpc_server_config *config, enum kerr code, const char *words)
{
    struct rpc_server *none = NULL;
    assert_refused(&e, code, words, rpc_server_new(config, &none, &e));
    assert_null(none);
}

static void a_bad_configuration_is_refused(void **state)
{
    (void)state;
    struct bench b;
    struct rpc_server_config c = bench_config(&b);
    c.method_count = 0;
    refuses_new(&c, KERR_LIMIT, "0 methods");
    c.method_count = RPC_METHODS_MAX + 1;
    refuses_new(&c, KERR_LIMIT, "17 methods, allowed are 1 to 16");
    c = bench_config(&b);
    c.class_count = 0;
    refuses_new(&c, KERR_LIMIT, "0 classes");
    c.class_count = RPC_CLASSES_MAX + 1;
    refuses_new(&c, KERR_LIMIT, "17 classes, allowed are 1 to 16");
    c = bench_config(&b);
    struct rpc_class beyond = {1U << BENCH_METHODS};
    c.classes = &beyond;
    refuses_new(&c, KERR_INPUT, "class 0: a method that is not in the table");
    c = bench_config(&b);
    struct rpc_method twice[2] = {{"/a/B", 1}, {"/a/B", 1}};
    c.methods = twice;
    c.method_count = 2;
    refuses_new(&c, KERR_INPUT, "/a/B twice");
    struct rpc_method relative = {"a/B", 1};
    c.methods = &relative;
    c.method_count = 1;
    refuses_new(&c, KERR_INPUT, "a/B: path without '/'");
    struct rpc_method large = {"/a/B", 65537};
    c.methods = &large;
    refuses_new(&c, KERR_INPUT, "request over 65536 bytes");
    c = bench_config(&b);
    c.handler = NULL;
    refuses_new(&c, KERR_INPUT, "no handler");
    c = bench_config(&b);
    c.limits.max_concurrent_streams = 0;
    refuses_new(&c, KERR_INPUT, "not positive");
}

static void without_memory_there_is_no_server(void **state)
{
    (void)state;
    struct bench b;
    memset(&b, 0, sizeof b);
    struct rpc_server_config c = bench_config(&b);
    c.limits.max_concurrent_streams = 2;
    int n = 0;
    enum kerr k;
    do {
        n++;
        kerr_clear(&e);
        fail_at = n;
        k = rpc_server_new(&c, &b.server, &e);
        fail_at = 0;
        assert_true(k == KERR_OK || k == KERR_NOMEM);
        assert_true(k == KERR_OK || b.server == NULL);
    } while (k != KERR_OK);
    assert_true(n > 10); /* server, host, 4 + 3 · 2 slots */
    rpc_server_free(b.server);
}

static void a_server_that_never_ran_can_be_freed(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b, 100, NULL, 0);
    struct client c;
    client_open(&c, &b, 0);
    struct flight *f = client_begin(&c, "/t.Bench/Echo", bytes_of_text("x"), 20000);
    rpc_server_free(b.server);
    assert_ptr_equal(client_next(&c), f);
    assert_int_not_equal(flight_end(f, NULL), 0);
    assert_int_equal(b.handled, 0);
    client_close(&c);
    rpc_server_free(NULL);
}

static void the_loop_turns_at_least_once_a_second(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b, 100, NULL, 0);
    assert_true(rpc_server_last_turn_ms(b.server) == 0);
    uint64_t began_ms = clock_mono_ms();
    bench_run(&b);
    (void)usleep(200000);
    uint64_t first_ms = rpc_server_last_turn_ms(b.server);
    assert_true(first_ms >= began_ms);
    (void)usleep(3000000);
    uint64_t later_ms = rpc_server_last_turn_ms(b.server);
    assert_true(later_ms >= first_ms + 1500);
    bench_stop(&b);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void refuses_fd(struct bench *b, size_t class_index, int fd, enum kerr code,
                       const char *words)
{
    assert_refused(&e, code, words, rpc_server_add(b->server, class_index, fd, &e));
    assert_false(is_open(fd));
}

static void what_is_no_connection_is_refused_and_closed(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b, 100, NULL, 0);
    bench_run(&b);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    refuses_fd(&b, 1, pair[0], KERR_NOTFOUND, "no class 1");
    assert_true(raw_is_closed(pair[1], 1000));
    assert_int_equal(close(pair[1]), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    refuses_fd(&b, 0, pair[0], KERR_INPUT, "no stream socket");
    assert_int_equal(close(pair[1]), 0);
    assert_int_equal(pipe(pair), 0);
    refuses_fd(&b, 0, pair[0], KERR_IO, "descriptor");
    assert_int_equal(close(pair[1]), 0);
    refuses_fd(&b, 0, -1, KERR_IO, "descriptor -1");

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fail_at = 1;
    refuses_fd(&b, 0, pair[0], KERR_NOMEM, "no memory for a connection");
    assert_int_equal(close(pair[1]), 0);
    bench_stop(&b);
}

static void a_class_may_call_its_methods_only(void **state)
{
    (void)state;
    struct bench b;
    static const struct rpc_class classes[] = {{1 << ECHO}, {1 << SINK}, {0}};
    bench_start(&b, 100, classes, ARRAY_LEN(classes));
    bench_run(&b);
    static const char *const paths[] = {[ECHO] = "/t.Bench/Echo", [SINK] = "/t.Bench/Sink"};
    static const size_t rows[] = {ECHO, SINK};
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        struct client c;
        client_open(&c, &b, i);
        for (size_t j = 0; j < ARRAY_LEN(rows); j++) {
            unsigned handled = b.handled;
            client_call(&c, paths[rows[j]], bytes_of_text("x"), 5000, &answer);
            assert_int_equal(b.last_class, i);
            if ((classes[i].methods >> rows[j] & 1U) != 0) {
                assert_int_equal(answer.status, 0);
                assert_int_equal(b.last_method, rows[j]);
            } else {
                assert_int_equal(answer.status, GRPC_STATUS_PERMISSION_DENIED);
                assert_string_equal(answer.message, "this peer may not call the method");
                assert_int_equal(b.refused_method, rows[j]);
                assert_int_equal(b.refused_status, GRPC_STATUS_PERMISSION_DENIED);
                assert_int_equal(b.handled, handled);
            }
        }
        client_call(&c, "/t.Bench/Nope", bytes_of_text("x"), 5000, &answer);
        assert_int_equal(answer.status, GRPC_STATUS_UNIMPLEMENTED);
        client_close(&c);
    }
    bench_stop(&b);
}

static void new_classes_end_the_old_connections(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b, 100, NULL, 0);
    bench_run(&b);
    struct client old;
    client_open(&old, &b, 0);
    int idle = bench_connect(&b, 0);
    struct flight *f = client_begin(&old, "/t.Bench/Hold", bytes_of_text("x"), 20000);
    struct rpc_call *call = bench_held(&b);

    static const struct rpc_class classes[] = {{0}, {1 << SINK}};
    assert_ok(&e, rpc_server_set_classes(b.server, classes, 2, &e));
    struct client fresh;
    client_open(&fresh, &b, 1);
    client_call(&fresh, "/t.Bench/Echo", bytes_of_text("x"), 5000, &answer);
    assert_int_equal(answer.status, GRPC_STATUS_PERMISSION_DENIED);
    client_call(&fresh, "/t.Bench/Sink", bytes_of_text("x"), 5000, &answer);
    assert_int_equal(answer.status, 0);

    /* The call that was open ends as if nothing had happened, and takes its connection along. */
    rpc_call_reply(call, bytes_of_text("still served"), false);
    assert_ptr_equal(client_next(&old), f);
    assert_int_equal(flight_end(f, &answer), 0);
    assert_true(bytes_equal_text(bytes_of(answer.bytes, answer.len), "still served"));
    client_call(&old, "/t.Bench/Echo", bytes_of_text("x"), 5000, &answer);
    assert_int_equal(answer.status, GRPC_STATUS_UNAVAILABLE);
    assert_true(raw_is_closed(idle, 10000));

    client_close(&old);
    client_close(&fresh);
    assert_int_equal(close(idle), 0);
    bench_stop(&b);
}

static void a_call_of_an_old_class_has_five_seconds(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b, 100, NULL, 0);
    bench_run(&b);
    struct client old;
    client_open(&old, &b, 0);
    struct flight *f = client_begin(&old, "/t.Bench/Hold", bytes_of_text("x"), 60000);
    struct rpc_call *call = bench_held(&b);
    static const struct rpc_class none = {0};
    uint64_t began_ms = clock_mono_ms();
    assert_ok(&e, rpc_server_set_classes(b.server, &none, 1, &e));
    assert_ptr_equal(client_next(&old), f);
    uint64_t took_ms = clock_mono_ms() - began_ms;
    assert_int_not_equal(flight_end(f, NULL), 0);
    assert_in_range(took_ms, 4900, 15000);
    rpc_call_reply(call, bytes_of(NULL, 0), false);
    client_close(&old);
    bench_stop(&b);
}

static void bad_classes_leave_the_old_ones(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b, 100, NULL, 0);
    bench_run(&b);
    struct client c;
    client_open(&c, &b, 0);
    static const struct rpc_class many[RPC_CLASSES_MAX + 1];
    static const struct rpc_class beyond = {1U << BENCH_METHODS};
    assert_refused(&e, KERR_LIMIT, "0 classes", rpc_server_set_classes(b.server, many, 0, &e));
    assert_refused(&e, KERR_LIMIT, "17 classes",
                   rpc_server_set_classes(b.server, many, RPC_CLASSES_MAX + 1, &e));
    assert_refused(&e, KERR_INPUT, "class 0", rpc_server_set_classes(b.server, &beyond, 1, &e));
    for (int n = 1; n < 8; n++) {
        fail_at = n;
        enum kerr k = rpc_server_set_classes(b.server, many, 2, &e);
        fail_at = 0;
        assert_int_equal(k, KERR_NOMEM);
    }
    client_call(&c, "/t.Bench/Echo", bytes_of_text("x"), 5000, &answer);
    assert_int_equal(answer.status, 0);
    client_close(&c);
    bench_stop(&b);
}

static void reloads_without_end_are_refused(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b, 4, NULL, 0);
    bench_run(&b);
    struct client c;
    client_open(&c, &b, 0);
    /* A loop that does not turn lets nothing end. */
    atomic_store(&b.is_blocked, true);
    struct flight *f = client_begin(&c, "/t.Bench/Sink", bytes_of_text("x"), 60000);
    while (atomic_load(&b.handled) == 0) {
        (void)usleep(1000);
    }
    static const struct rpc_class many[RPC_CLASSES_MAX];
    for (int i = 0; i < 3; i++) {
        assert_ok(&e, rpc_server_set_classes(b.server, many, RPC_CLASSES_MAX, &e));
    }
    assert_refused(&e, KERR_BUSY, "connections of 33 former classes have not ended",
                   rpc_server_set_classes(b.server, many, RPC_CLASSES_MAX, &e));
    atomic_store(&b.is_blocked, false);
    assert_ptr_equal(client_next(&c), f);
    assert_int_equal(flight_end(f, NULL), 0);
    client_close(&c);
    uint64_t until_ms = clock_mono_ms() + 20000;
    enum kerr k;
    do {
        (void)usleep(10000);
        kerr_clear(&e);
        k = rpc_server_set_classes(b.server, many, RPC_CLASSES_MAX, &e);
    } while (k == KERR_BUSY && clock_mono_ms() < until_ms);
    assert_int_equal(k, KERR_OK);
    bench_stop(&b);
}

static void shutdown_lets_calls_finish(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b, 100, NULL, 0);
    bench_run(&b);
    struct client c;
    client_open(&c, &b, 0);
    struct flight *f = client_begin(&c, "/t.Bench/Hold", bytes_of_text("x"), 20000);
    struct rpc_call *call = bench_held(&b);
    uint64_t began_ms = clock_mono_ms();
    rpc_server_shutdown(b.server, 20000);
    assert_true(clock_mono_ms() - began_ms < 1000);
    (void)usleep(300000);
    rpc_call_reply(call, bytes_of_text("in time"), false);
    assert_ptr_equal(client_next(&c), f);
    assert_int_equal(flight_end(f, &answer), 0);
    assert_true(bytes_equal_text(bytes_of(answer.bytes, answer.len), "in time"));
    client_close(&c);
    bench_join(&b);
    assert_true(clock_mono_ms() - began_ms < 10000);
}

static void shutdown_cancels_what_outlives_the_grace(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b, 100, NULL, 0);
    bench_run(&b);
    struct client c;
    client_open(&c, &b, 0);
    struct flight *f = client_begin(&c, "/t.Bench/Hold", bytes_of_text("x"), 60000);
    struct rpc_call *call = bench_held(&b);
    uint64_t began_ms = clock_mono_ms();
    rpc_server_shutdown(b.server, 60000);
    rpc_server_shutdown(b.server, 400); /* only ever sooner */
    rpc_server_shutdown(b.server, 60000);
    assert_ptr_equal(client_next(&c), f);
    uint64_t took_ms = clock_mono_ms() - began_ms;
    assert_int_not_equal(flight_end(f, NULL), 0);
    assert_in_range(took_ms, 380, 10000);
    /* The handler still owes its reply, and may give it. */
    rpc_call_reply(call, bytes_of_text("too late"), true);
    client_close(&c);
    bench_join(&b);
}

static void idle_connections_do_not_hold_up_a_shutdown(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b, 100, NULL, 0);
    bench_run(&b);
    int silent = bench_connect(&b, 0); /* not even a preface */
    int idle = bench_connect(&b, 0);
    raw_send(idle, &(struct raw_call){.path = "/t.Bench/Echo",
                                      .authority = "localhost",
                                      .has_message = true,
                                      .message = bytes_of_text("pong")});
    assert_true(raw_await(idle, "pong", 5000));
    uint64_t began_ms = clock_mono_ms();
    rpc_server_shutdown(b.server, 60000);
    bench_join(&b);
    assert_true(clock_mono_ms() - began_ms < 10000);
    assert_true(raw_is_closed(silent, 1000));
    assert_true(raw_is_closed(idle, 1000));
    assert_int_equal(close(silent), 0);
    assert_int_equal(close(idle), 0);
}

static void after_shutdown_nothing_new_is_taken(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b, 100, NULL, 0);
    bench_run(&b);
    rpc_server_shutdown(b.server, 1000);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    refuses_fd(&b, 0, pair[0], KERR_DOWN, "the rpc server ends");
    assert_int_equal(close(pair[1]), 0);
    static const struct rpc_class none = {0};
    assert_refused(&e, KERR_DOWN, "the rpc server ends",
                   rpc_server_set_classes(b.server, &none, 1, &e));
    assert_int_equal(pthread_join(b.loop, NULL), 0);
    rpc_server_shutdown(b.server, 0); /* once more, when all is over */
    rpc_server_free(b.server);
}

/* Keeps 64 calls open until one fails, and says with what. */
static void *busy_main(void *arg)
{
    struct client *c = arg;
    for (int i = 0; i < 64; i++) {
        (void)client_begin(c, "/t.Bench/Echo", bytes_of_text("busy"), 60000);
    }
    intptr_t first_failure = 0;
    for (int open = 64; open > 0;) {
        int status = flight_end(client_next(c), NULL);
        if (status == 0 && first_failure == 0) {
            (void)client_begin(c, "/t.Bench/Echo", bytes_of_text("busy"), 60000);
            continue;
        }
        open--;
        if (status == GRPC_STATUS_CANCELLED || first_failure == 0) {
            first_failure = status;
        }
    }
    return (void *)first_failure;
}

/* A client that was told to go fails its own new calls with UNAVAILABLE before they are sent, and
 * takes another connection for them. CANCELLED would be a call that the server killed. */
static void a_busy_client_loses_no_call(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct bench b;
        bench_start(&b, 100, NULL, 0);
        bench_run(&b);
        struct client c;
        client_open(&c, &b, 0);
        pthread_t busy;
        assert_int_equal(pthread_create(&busy, NULL, busy_main, &c), 0);
        while (atomic_load(&b.handled) < 1000) {
            (void)usleep(1000);
        }
        static const struct rpc_class none = {0};
        if (round % 2 == 0) {
            rpc_server_shutdown(b.server, 20000);
        } else {
            assert_ok(&e, rpc_server_set_classes(b.server, &none, 1, &e));
        }
        void *failure = NULL;
        assert_int_equal(pthread_join(busy, &failure), 0);
        assert_int_equal((intptr_t)failure, GRPC_STATUS_UNAVAILABLE);
        client_close(&c);
        if (round % 2 == 0) {
            bench_join(&b);
        } else {
            bench_stop(&b);
        }
    }
}

/* Each connection costs two descriptors while it lives and none afterwards. */
static void ended_connections_are_forgotten(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b, 100, NULL, 0);
    bench_run(&b);
    int probe = dup(0);
    assert_true(probe >= 0);
    assert_int_equal(close(probe), 0);
    for (int i = 0; i < 500; i++) {
        int fd = bench_connect(&b, 0);
        assert_true(fd < probe + 200);
        raw_send(fd, &(struct raw_call){.path = "/t.Bench/Echo",
                                        .authority = "localhost",
                                        .has_message = true,
                                        .message = bytes_of_text("pong")});
        assert_true(raw_await(fd, "pong", 5000));
        assert_int_equal(close(fd), 0);
    }
    bench_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_configuration_is_refused),
        cmocka_unit_test(without_memory_there_is_no_server),
        cmocka_unit_test(a_server_that_never_ran_can_be_freed),
        cmocka_unit_test(the_loop_turns_at_least_once_a_second),
        cmocka_unit_test(what_is_no_connection_is_refused_and_closed),
        cmocka_unit_test(a_class_may_call_its_methods_only),
        cmocka_unit_test(new_classes_end_the_old_connections),
        cmocka_unit_test(a_call_of_an_old_class_has_five_seconds),
        cmocka_unit_test(bad_classes_leave_the_old_ones),
        cmocka_unit_test(reloads_without_end_are_refused),
        cmocka_unit_test(shutdown_lets_calls_finish),
        cmocka_unit_test(shutdown_cancels_what_outlives_the_grace),
        cmocka_unit_test(idle_connections_do_not_hold_up_a_shutdown),
        cmocka_unit_test(after_shutdown_nothing_new_is_taken),
        cmocka_unit_test(a_busy_client_loses_no_call),
        cmocka_unit_test(ended_connections_are_forgotten),
    };
    rpc_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rpc_stop();
    return failed;
}
