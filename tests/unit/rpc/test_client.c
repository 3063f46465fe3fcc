/* SPDX-License-Identifier: Apache-2.0 */
/* What a client gets: from our own server, and from none. */
#include "tests/unit/rpc/world.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define ECHO_PATH "/t.Bench/Echo"

/* The n-th allocation of this thread from now on fails; 0: none. Those of gRPC are not wrapped. */
static _Thread_local int fail_at;

static bool must_fail(void)
{
    return fail_at > 0 && fail_at-- == 1;
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

static void an_answer_comes_back(void **state)
{
    struct world *w = *state;
    world_serve(w);
    world_client(w);
    static uint8_t big[ECHO_MAX];
    for (size_t i = 0; i < sizeof big; i++) {
        big[i] = (uint8_t)(i * 7 + i / 251);
    }
    const size_t sizes[] = {0, 1, 5, 4096, 20000, ECHO_MAX};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        AUTO_BUF answer;
        struct rpc_ask ask = world_ask(ECHO_PATH, bytes_of(big, sizes[i]));
        struct rpc_status status = world_call(w, &ask, &answer);
        assert_string_equal(status.text, "");
        assert_int_equal(status.code, 0);
        assert_true(bytes_equal(buf_view(&answer), ask.request));
    }
    assert_int_equal(w->bench.handled, ARRAY_LEN(sizes));
}

static void a_secret_answer_goes_into_locked_memory(void **state)
{
    struct world *w = *state;
    struct kerrinfo e = {0};
    struct rpc_status status;
    world_serve(w);
    world_client(w);
    static uint8_t big[20000] = {1, 2, 3};
    AUTO_SECRET answer = NULL;
    struct rpc_ask ask = world_ask(ECHO_PATH, BYTES_OF(big));
    ask.is_secret = true;
    assert_ok(&e, rpc_client_call_secret(w->client, &ask, &answer, &status, &e));
    assert_int_equal(status.code, 0);
    assert_true(bytes_equal(secret_view(answer), ask.request));

    AUTO_SECRET none = NULL;
    ask.request = bytes_of(NULL, 0);
    assert_ok(&e, rpc_client_call_secret(w->client, &ask, &none, &status, &e));
    assert_int_equal(status.code, 0);
    assert_null(none);

    atomic_store(&w->bench.fail_with, 7);
    assert_ok(&e, rpc_client_call_secret(w->client, &ask, &none, &status, &e));
    assert_int_equal(status.code, 7);
    assert_null(none);
}

static void a_status_brings_its_text(void **state)
{
    struct world *w = *state;
    world_serve(w);
    world_client(w);
    atomic_store(&w->bench.fail_with, 9);
    AUTO_BUF answer;
    struct rpc_ask ask = world_ask(ECHO_PATH, bytes_of_text("x"));
    struct rpc_status status = world_call(w, &ask, &answer);
    assert_int_equal(status.code, 9);
    assert_string_equal(status.text, "as told");
    assert_int_equal(answer.len, 0);
    /* Long enough for the library to keep it on its heap. */
    ask.path = "/t.Bench/NothingThatAnybodyHasEverHeardOf";
    assert_int_equal(world_code(w, &ask), 12);
}

static void nobody_listens(void **state)
{
    struct world *w = *state;
    world_client(w);
    struct rpc_ask ask = world_ask(ECHO_PATH, bytes_of_text("x"));
    uint64_t start_ms = clock_mono_ms();
    AUTO_BUF answer;
    struct rpc_status status = world_call(w, &ask, &answer);
    assert_int_equal(status.code, 14);
    assert_non_null(strstr(status.text, "No such file"));
    world_listen(w);
    file_close_at(&w->listening); /* the name stays */
    rpc_client_free(w->client);
    world_client(w);
    AUTO_BUF other;
    status = world_call(w, &ask, &other);
    assert_int_equal(status.code, 14);
    assert_non_null(strstr(status.text, "refused"));
    assert_true(clock_mono_ms() - start_ms < CALL_MS / 2);
}

static void *serve_later(void *ctx)
{
    (void)usleep(300000);
    world_serve(ctx);
    return NULL;
}

static void who_waits_gets_the_late_server(void **state)
{
    struct world *w = *state;
    pthread_t late;
    world_client(w);
    struct rpc_ask ask = world_ask(ECHO_PATH, bytes_of_text("x"));
    ask.waits = true;
    ask.timeout_ms = 100;
    assert_int_equal(world_code(w, &ask), 4);
    assert_int_equal(pthread_create(&late, NULL, serve_later, w), 0);
    ask.timeout_ms = CALL_MS;
    assert_int_equal(world_code(w, &ask), 0);
    assert_int_equal(pthread_join(late, NULL), 0);
}

static void a_client_outlives_its_server(void **state)
{
    struct world *w = *state;
    world_serve(w);
    world_client(w);
    struct rpc_ask ask = world_ask(ECHO_PATH, bytes_of_text("x"));
    assert_int_equal(world_code(w, &ask), 0);
    world_stop(w);
    assert_int_equal(world_code(w, &ask), 14);
    world_serve(w);
    ask.waits = true;
    assert_int_equal(world_code(w, &ask), 0);
}

static void a_deadline_passes(void **state)
{
    struct world *w = *state;
    world_serve(w);
    world_client(w);
    struct rpc_ask ask = world_ask("/t.Bench/Hold", bytes_of_text("x"));
    ask.timeout_ms = 50;
    assert_int_equal(world_code(w, &ask), 4);
    rpc_call_reply(bench_held(&w->bench), bytes_of_text("late"), false);
    ask.path = ECHO_PATH;
    ask.timeout_ms = CALL_MS;
    assert_int_equal(world_code(w, &ask), 0);
}

static void the_size_of_answers_is_bounded_exactly(void **state)
{
    struct world *w = *state;
    world_serve(w);
    world_client(w);
    struct rpc_ask ask = world_ask(ECHO_PATH, bytes_of_text("x"));
    atomic_store(&w->bench.answer_bytes, 60000);
    assert_int_equal(world_code(w, &ask), 0);
    atomic_store(&w->bench.answer_bytes, 60001);
    assert_int_equal(world_code(w, &ask), 8);
    atomic_store(&w->bench.answer_bytes, 1);
    assert_int_equal(world_code(w, &ask), 0);
}

static void what_cannot_be_sent_is_refused(void **state)
{
    struct world *w = *state;
    struct kerrinfo e = {0};
    struct rpc_status status;
    struct rpc_metadata rows[RPC_METADATA_MAX + 1];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        rows[i] = (struct rpc_metadata){"token", bytes_of_text("a")};
    }
    world_serve(w);
    world_client(w);
    struct rpc_ask ask = world_ask(ECHO_PATH, bytes_of_text("x"));
    ask.metadata = rows;
    AUTO_BUF answer;
    ask.metadata_count = RPC_METADATA_MAX + 1;
    assert_refused(&e, KERR_LIMIT, "rows of metadata",
                   rpc_client_call(w->client, &ask, &answer, &status, &e));
    ask.metadata_count = RPC_METADATA_MAX;
    assert_int_equal(world_code(w, &ask), 0);
    ask.metadata_count = 1;
    rows[0].value = bytes_of_text("a\nb");
    assert_refused(&e, KERR_INPUT, "HTTP/2",
                   rpc_client_call(w->client, &ask, &answer, &status, &e));
    rows[0] = (struct rpc_metadata){"Token", bytes_of_text("a")};
    assert_refused(&e, KERR_INPUT, "HTTP/2",
                   rpc_client_call(w->client, &ask, &answer, &status, &e));
}

static void refused(const struct rpc_client_config *config, enum kerr expected, const char *words)
{
    struct kerrinfo e = {0};
    struct rpc_client *client = NULL;
    assert_int_equal(rpc_client_new(config, &client, &e), expected);
    assert_non_null(strstr(e.text, words));
    assert_null(client);
}

static void configurations_that_lead_nowhere(void **state)
{
    struct kerrinfo e = {0};
    struct rpc_client_config config = world_config(*state);
    char path[256];
    char name[RPC_HOST_CHARS_MAX + 2];
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = 0;
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 0;
    config.unix_path = path;
    refused(&config, KERR_INPUT, "1 to 107 bytes");
    config.unix_path = "";
    refused(&config, KERR_INPUT, "1 to 107 bytes");
    config.unix_path = "/run/a,b";
    refused(&config, KERR_INPUT, "without ','");
    config.unix_path = NULL;
    config.host = "";
    config.port = 1;
    refused(&config, KERR_INPUT, "expected a host and a port");
    config.host = name;
    refused(&config, KERR_INPUT, "expected a host and a port");
    config.host = "a..b";
    refused(&config, KERR_NOTFOUND, "host 'a..b' does not resolve");
    config.host = "localhost";
    config.port = 0;
    refused(&config, KERR_INPUT, "expected a host and a port");
    config.port = 1;
    AUTO_SECRET key = NULL;
    assert_ok(&e, secret_random(8, &key, &e));
    const struct rpc_tls bad[] = {{.ca = "x", .cert = "x"}, {.ca = "x", .key = key}, {.ca = NULL}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        config.tls = &bad[i];
        refused(&config, KERR_INPUT, "TLS needs a CA");
    }
    config.tls = NULL;
    config.response_max = 0;
    refused(&config, KERR_LIMIT, "expected 1 to");
    config.response_max = ((size_t)1 << 30) + 1;
    refused(&config, KERR_LIMIT, "expected 1 to");
}

static void certificates_that_are_none(void **state)
{
    struct world *w = *state;
    struct kerrinfo e = {0};
    const struct rpc_tls tls = {.ca = "no PEM"};
    struct rpc_client_config config = world_config(w);
    config.tls = &tls;
    world_listen(w);
    assert_ok(&e, rpc_client_new(&config, &w->client, &e));
    struct rpc_ask ask = world_ask(ECHO_PATH, bytes_of_text("x"));
    assert_int_not_equal(world_code(w, &ask), 0);
}

/* ---- the rest ---- */

static void the_environment_says_nothing(void **state)
{
    (void)state;
    assert_int_equal(setenv("GRPC_TRACE", "http", 1), 0);
    assert_int_equal(setenv("GRPC_", "x", 1), 0);
    assert_int_equal(setenv("GRPCX", "stays", 1), 0);
    assert_int_equal(setenv("MY_GRPC_TRACE", "stays", 1), 0);
    rpc_start();
    rpc_stop();
    assert_null(getenv("GRPC_TRACE"));
    assert_null(getenv("GRPC_"));
    assert_string_equal(getenv("GRPCX"), "stays");
    assert_string_equal(getenv("MY_GRPC_TRACE"), "stays");
}

static void memory_that_is_not_there(void **state)
{
    struct world *w = *state;
    struct kerrinfo e = {0};
    struct rpc_client_config config = world_config(w);
    int failures = 0;
    enum kerr k = KERR_NOMEM;
    while (k == KERR_NOMEM) {
        kerr_clear(&e);
        fail_at = ++failures;
        k = rpc_client_new(&config, &w->client, &e);
        fail_at = 0;
    }
    assert_ok(&e, k);
    assert_true(failures > 1);
    world_serve(w);
    struct rpc_status status;
    struct rpc_ask ask = world_ask(ECHO_PATH, bytes_of_text("x"));
    AUTO_BUF answer;
    fail_at = 1;
    k = rpc_client_call(w->client, &ask, &answer, &status, &e);
    fail_at = 0;
    assert_int_equal(k, KERR_NOMEM);
    assert_int_equal(world_code(w, &ask), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(an_answer_comes_back),
        WORLD_TEST(a_secret_answer_goes_into_locked_memory),
        WORLD_TEST(a_status_brings_its_text),
        WORLD_TEST(nobody_listens),
        WORLD_TEST(who_waits_gets_the_late_server),
        WORLD_TEST(a_client_outlives_its_server),
        WORLD_TEST(a_deadline_passes),
        WORLD_TEST(the_size_of_answers_is_bounded_exactly),
        WORLD_TEST(what_cannot_be_sent_is_refused),
        WORLD_TEST(configurations_that_lead_nowhere),
        WORLD_TEST(certificates_that_are_none),
        WORLD_TEST(the_environment_says_nothing),
        WORLD_TEST(memory_that_is_not_there),
    };
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK) {
        return 1;
    }
    rpc_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rpc_stop();
    return failed;
}
