/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to one call: who answers it, with what, from where. */
#include "tests/unit/rpc/bench.h"

#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* The n-th allocation of the loop from now on fails; 0: none. Those of gRPC are not wrapped. */
static atomic_int fail_at;
static _Atomic pthread_t fail_thread;

static bool must_fail(void)
{
    return atomic_load(&fail_at) > 0 && pthread_equal(pthread_self(), fail_thread) &&
           atomic_fetch_sub(&fail_at, 1) == 1;
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

/* A running bench with one client of its first class. */
struct world {
    struct bench bench;
    struct client client;
    struct answer answer;
};

static int set_up(void **state)
{
    struct world *w = malloc(sizeof *w);
    assert_non_null(w);
    bench_start(&w->bench, 100, NULL, 0);
    bench_run(&w->bench);
    client_open(&w->client, &w->bench, 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    client_close(&w->client);
    bench_stop(&w->bench);
    free(w);
    return 0;
}

static void a_call_reaches_the_handler_and_its_answer_the_client(void **state)
{
    struct world *w = *state;
    client_call(&w->client, "/t.Bench/Echo", bytes_of_text("hello"), 5000, &w->answer);
    assert_int_equal(w->answer.status, 0);
    assert_string_equal(w->answer.message, "");
    assert_true(bytes_equal_text(bytes_of(w->answer.bytes, w->answer.len), "hello"));
    assert_int_equal(w->bench.handled, 1);
    assert_int_equal(w->bench.last_method, ECHO);
    assert_int_equal(w->bench.last_class, 0);
    assert_int_equal(strncmp(w->bench.last_peer, "fd:", 3), 0);
    assert_int_equal(w->bench.refused, 0);
}

static void empty_messages_are_messages(void **state)
{
    struct world *w = *state;
    client_call(&w->client, "/t.Bench/Echo", bytes_of("", 0), 5000, &w->answer);
    assert_int_equal(w->answer.status, 0);
    assert_int_equal(w->answer.len, 0);
    assert_int_equal(w->bench.handled, 1);
}

static void a_message_of_many_pieces_arrives_whole(void **state)
{
    struct world *w = *state;
    static uint8_t big[ECHO_MAX];
    for (size_t i = 0; i < sizeof big; i++) {
        big[i] = (uint8_t)(i * 7 + i / 251);
    }
    for (size_t len = ECHO_MAX; len > 0; len = len * 2 / 3) {
        client_call(&w->client, "/t.Bench/Echo", bytes_of(big, len), 5000, &w->answer);
        assert_int_equal(w->answer.status, 0);
        assert_true(bytes_equal(bytes_of(w->answer.bytes, w->answer.len), bytes_of(big, len)));
    }
}

static void the_request_limit_is_exact(void **state)
{
    struct world *w = *state;
    static uint8_t big[70000];
    client_call(&w->client, "/t.Bench/Sink", bytes_of(big, SINK_MAX), 5000, &w->answer);
    assert_int_equal(w->answer.status, 0);
    assert_int_equal(w->bench.handled, 1);

    client_call(&w->client, "/t.Bench/Sink", bytes_of(big, SINK_MAX + 1), 5000, &w->answer);
    assert_int_equal(w->answer.status, GRPC_STATUS_INVALID_ARGUMENT);
    assert_string_equal(w->answer.message, "the request is too large");
    assert_int_equal(w->bench.refused, 1);
    assert_int_equal(w->bench.refused_method, SINK);
    assert_int_equal(w->bench.refused_status, GRPC_STATUS_INVALID_ARGUMENT);

    client_call(&w->client, "/t.Bench/Sink", bytes_of(big, 65537), 5000, &w->answer);
    assert_int_equal(w->answer.status, GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(w->bench.refused, 1);
    assert_int_equal(w->bench.handled, 1);
}

static void an_unknown_method_is_answered_at_once(void **state)
{
    struct world *w = *state;
    static const char *const paths[] = {"/t.Bench/Nope", "/v1beta1.KeyManagementService/Version",
                                        "/t.Bench/Echo/", "/t.bench/echo", "/"};
    for (unsigned i = 0; i < ARRAY_LEN(paths); i++) {
        uint64_t began_ms = clock_mono_ms();
        client_call(&w->client, paths[i], bytes_of_text("x"), 20000, &w->answer);
        assert_true(clock_mono_ms() - began_ms < 5000);
        assert_int_equal(w->answer.status, GRPC_STATUS_UNIMPLEMENTED);
        assert_string_equal(w->answer.message, "unknown method");
        assert_int_equal(w->bench.refused, i + 1);
        assert_true(w->bench.refused_method == SIZE_MAX);
    }
    assert_int_equal(w->bench.handled, 0);
}

static void statuses_arrive_as_they_were_given(void **state)
{
    struct world *w = *state;
    for (int status = 1; status <= 16; status++) {
        atomic_store(&w->bench.fail_with, status);
        client_call(&w->client, "/t.Bench/Echo", bytes_of_text("x"), 5000, &w->answer);
        assert_int_equal(w->answer.status, status);
        assert_string_equal(w->answer.message, "as told");
        assert_int_equal(w->answer.len, 0);
    }
    static const int no_statuses[] = {-1, 17, 1000000};
    for (size_t i = 0; i < ARRAY_LEN(no_statuses); i++) {
        atomic_store(&w->bench.fail_with, no_statuses[i]);
        client_call(&w->client, "/t.Bench/Echo", bytes_of_text("x"), 5000, &w->answer);
        assert_int_equal(w->answer.status, GRPC_STATUS_INTERNAL);
    }
}

static void the_response_limit_is_exact(void **state)
{
    struct world *w = *state;
    atomic_store(&w->bench.answer_bytes, 65536);
    client_call(&w->client, "/t.Bench/Echo", bytes_of_text("x"), 5000, &w->answer);
    assert_int_equal(w->answer.status, 0);
    assert_int_equal(w->answer.len, 65536);
    atomic_store(&w->bench.answer_bytes, 65537);
    client_call(&w->client, "/t.Bench/Echo", bytes_of_text("x"), 5000, &w->answer);
    assert_int_equal(w->answer.status, GRPC_STATUS_INTERNAL);
    assert_string_equal(w->answer.message, "the response is too large");
}

static void the_handler_learns_what_is_left_of_the_deadline(void **state)
{
    struct world *w = *state;
    client_call(&w->client, "/t.Bench/Echo", bytes_of_text("x"), 60000, &w->answer);
    assert_int_equal(w->answer.status, 0);
    assert_in_range(w->bench.last_left_ms, 30000, 62000); /* the wire rounds up */
    client_call(&w->client, "/t.Bench/Echo", bytes_of_text("x"), 0, &w->answer);
    assert_int_equal(w->answer.status, 0);
    assert_true(w->bench.last_left_ms == UINT64_MAX);
}

/* The library's own timer runs as well and may be first; on a machine that is not busy it is not.
 */
static void a_deadline_that_has_passed_is_not_handled(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 100 && atomic_load(&w->bench.refused) == 0; i++) {
        int fd = bench_connect(&w->bench, 0);
        raw_send(fd, &(struct raw_call){.path = "/t.Bench/Echo",
                                        .authority = "localhost",
                                        .timeout = "1n",
                                        .has_message = true,
                                        .message = bytes_of_text("x")});
        assert_true(raw_await(fd, "eadline", 5000));
        assert_int_equal(close(fd), 0);
    }
    assert_int_equal(w->bench.handled, 0);
    assert_int_equal(w->bench.refused, 1);
    assert_int_equal(w->bench.refused_method, ECHO);
    assert_int_equal(w->bench.refused_status, GRPC_STATUS_DEADLINE_EXCEEDED);
}

static void a_call_without_a_message_is_refused(void **state)
{
    struct world *w = *state;
    int fd = bench_connect(&w->bench, 0);
    raw_send(fd, &(struct raw_call){.path = "/t.Bench/Echo", .authority = "localhost"});
    assert_true(raw_await(fd, "no request message", 5000));
    assert_int_equal(close(fd), 0);
    uint64_t until_ms = clock_mono_ms() + 5000;
    while (atomic_load(&w->bench.refused) == 0 && clock_mono_ms() < until_ms) {
        (void)usleep(1000);
    }
    assert_int_equal(w->bench.refused, 1);
    assert_int_equal(w->bench.refused_method, ECHO);
    assert_int_equal(w->bench.handled, 0);
}

static void any_authority_will_do(void **state)
{
    struct world *w = *state;
    static const char *const authorities[] = {"localhost", "%2Fvar%2Frun%2Fkms.sock",
                                              "/var/run/kms.sock", "", "a b"};
    for (unsigned i = 0; i < ARRAY_LEN(authorities); i++) {
        int fd = bench_connect(&w->bench, 0);
        raw_send(fd, &(struct raw_call){.path = "/t.Bench/Echo",
                                        .authority = authorities[i],
                                        .has_message = true,
                                        .message = bytes_of_text("same bytes back")});
        assert_true(raw_await(fd, "same bytes back", 5000));
        assert_int_equal(w->bench.handled, i + 1);
        assert_int_equal(close(fd), 0);
    }
    int fd = bench_connect(&w->bench, 0);
    raw_send(fd, &(struct raw_call){.path = "/t.Bench/Echo", .has_message = true});
    assert_true(raw_await(fd, "Missing :authority", 5000));
    assert_int_equal(close(fd), 0);
}

static void garbage_ends_only_its_own_connection(void **state)
{
    struct world *w = *state;
    static const char *const garbage[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand then nonsense......"};
    for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
        int fd = bench_connect(&w->bench, 0);
        assert_true(write(fd, garbage[i], strlen(garbage[i])) > 0);
        assert_true(raw_is_closed(fd, 5000));
        assert_int_equal(close(fd), 0);
    }
    client_call(&w->client, "/t.Bench/Echo", bytes_of_text("x"), 5000, &w->answer);
    assert_int_equal(w->answer.status, 0);
}

static void *reply_main(void *call)
{
    (void)usleep(20000);
    rpc_call_reply(call, bytes_of_text("from afar"), true);
    return NULL;
}

static void a_reply_may_come_from_another_thread(void **state)
{
    struct world *w = *state;
    struct flight *f = client_begin(&w->client, "/t.Bench/Hold", bytes_of_text("request"), 20000);
    struct rpc_call *call = bench_held(&w->bench);
    assert_int_equal(rpc_server_in_flight(w->bench.server), 1);
    assert_true(bytes_equal_text(rpc_call_request(call), "request"));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, reply_main, call), 0);
    assert_ptr_equal(client_next(&w->client), f);
    assert_int_equal(flight_end(f, &w->answer), 0);
    assert_true(bytes_equal_text(bytes_of(w->answer.bytes, w->answer.len), "from afar"));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(rpc_server_in_flight(w->bench.server), 0);
}

static void a_held_call_holds_up_no_other(void **state)
{
    struct world *w = *state;
    struct flight *f = client_begin(&w->client, "/t.Bench/Hold", bytes_of_text("x"), 20000);
    struct rpc_call *call = bench_held(&w->bench);
    struct client other;
    client_open(&other, &w->bench, 0);
    for (int i = 0; i < 300; i++) {
        client_call(&other, "/t.Bench/Echo", bytes_of_text("x"), 5000, &w->answer);
        assert_int_equal(w->answer.status, 0);
    }
    client_close(&other);
    rpc_call_fail(call, GRPC_STATUS_UNAVAILABLE, "later");
    assert_ptr_equal(client_next(&w->client), f);
    assert_int_equal(flight_end(f, NULL), GRPC_STATUS_UNAVAILABLE);
}

static void a_client_that_leaves_harms_nobody(void **state)
{
    struct world *w = *state;
    struct client leaving;
    client_open(&leaving, &w->bench, 0);
    struct flight *f = client_begin(&leaving, "/t.Bench/Hold", bytes_of_text("x"), 100);
    struct rpc_call *call = bench_held(&w->bench);
    assert_ptr_equal(client_next(&leaving), f);
    assert_int_equal(flight_end(f, NULL), GRPC_STATUS_DEADLINE_EXCEEDED);
    client_close(&leaving);
    rpc_call_reply(call, bytes_of_text("nobody there"), true);
    client_call(&w->client, "/t.Bench/Echo", bytes_of_text("x"), 5000, &w->answer);
    assert_int_equal(w->answer.status, 0);
    assert_int_equal(rpc_server_in_flight(w->bench.server), 0);
}

static void a_thousand_at_once_are_all_answered(void **state)
{
    struct world *w = *state;
    struct client clients[10];
    for (size_t i = 0; i < 10; i++) {
        client_open(&clients[i], &w->bench, 0);
    }
    /* More than the stream limit for some, so that they queue in the client as well. */
    for (size_t i = 0; i < 1000; i++) {
        (void)client_begin(&clients[i % 5 + (i < 500 ? 0 : 5)], "/t.Bench/Echo", bytes_of_text("x"),
                           60000);
    }
    (void)client_begin(&w->client, "/t.Bench/Nope", bytes_of_text("x"), 60000);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(flight_end(client_next(&clients[i % 10]), NULL), 0);
    }
    assert_int_equal(flight_end(client_next(&w->client), NULL), GRPC_STATUS_UNIMPLEMENTED);
    assert_int_equal(w->bench.handled, 1000);
    for (size_t i = 0; i < 10; i++) {
        client_close(&clients[i]);
    }
}

static void without_memory_a_call_ends_and_the_next_one_works(void **state)
{
    struct world *w = *state;
    static uint8_t big[ECHO_MAX];
    unsigned exhausted = 0;
    /* From here on a spare record fills the slot. */
    client_call(&w->client, "/t.Bench/Echo", BYTES_OF(big), 20000, &w->answer);
    for (int n = 1; n <= 6; n++) {
        fail_thread = w->bench.loop;
        atomic_store(&fail_at, n);
        struct flight *f = client_begin(&w->client, "/t.Bench/Echo", BYTES_OF(big), 20000);
        struct flight *ended = client_next(&w->client);
        atomic_store(&fail_at, 0);
        assert_ptr_equal(ended, f);
        int status = flight_end(f, NULL);
        assert_true(status == 0 || status == GRPC_STATUS_RESOURCE_EXHAUSTED);
        exhausted += status != 0;
    }
    assert_int_equal(exhausted, 2); /* the joined request, the response */
    client_call(&w->client, "/t.Bench/Echo", BYTES_OF(big), 20000, &w->answer);
    assert_int_equal(w->answer.status, 0);
}

static void a_slot_whose_successor_could_not_be_made_comes_back(void **state)
{
    (void)state;
    static struct world w;
    bench_start(&w.bench, 1, NULL, 0);
    bench_run(&w.bench);
    client_open(&w.client, &w.bench, 0);
    int unmade = 0;
    for (int i = 0; i < 20; i++) {
        fail_thread = w.bench.loop;
        atomic_store(&fail_at, 1);
        struct flight *f = client_begin(&w.client, "/t.Bench/Hold", bytes_of_text("x"), 20000);
        struct rpc_call *call = bench_held(&w.bench);
        unmade += atomic_exchange(&fail_at, 0) == 0;
        rpc_call_reply(call, bytes_of_text("y"), false);
        assert_ptr_equal(client_next(&w.client), f);
        assert_int_equal(flight_end(f, NULL), 0);
    }
    assert_true(unmade > 0);
    client_close(&w.client);
    bench_stop(&w.bench);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_call_reaches_the_handler_and_its_answer_the_client),
        IN_WORLD(empty_messages_are_messages),
        IN_WORLD(a_message_of_many_pieces_arrives_whole),
        IN_WORLD(the_request_limit_is_exact),
        IN_WORLD(an_unknown_method_is_answered_at_once),
        IN_WORLD(statuses_arrive_as_they_were_given),
        IN_WORLD(the_response_limit_is_exact),
        IN_WORLD(the_handler_learns_what_is_left_of_the_deadline),
        IN_WORLD(a_deadline_that_has_passed_is_not_handled),
        IN_WORLD(a_call_without_a_message_is_refused),
        IN_WORLD(any_authority_will_do),
        IN_WORLD(garbage_ends_only_its_own_connection),
        IN_WORLD(a_reply_may_come_from_another_thread),
        IN_WORLD(a_held_call_holds_up_no_other),
        IN_WORLD(a_client_that_leaves_harms_nobody),
        IN_WORLD(a_thousand_at_once_are_all_answered),
        IN_WORLD(without_memory_a_call_ends_and_the_next_one_works),
        cmocka_unit_test(a_slot_whose_successor_could_not_be_made_comes_back),
    };
    rpc_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rpc_stop();
    return failed;
}
