/* SPDX-License-Identifier: Apache-2.0 */
/* No secret request and no secret answer stays in the client's memory. The server is another
 * process, because a server has the same bytes. */
#include "tests/unit/rpc/markers.h"
#include "tests/unit/rpc/world.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 20

static const size_t sizes[] = {16, 64, 74, 200, 1000, 9000, 30000};

/* Ends without cmocka: its failures show as calls that fail. */
static _Noreturn void server_main(struct world *w)
{
    struct kerrinfo e;
    rpc_start();
    bench_start(&w->bench, 100, NULL, 0);
    bench_run(&w->bench);
    for (;;) {
        int fd = accept4(w->listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || rpc_server_add(w->bench.server, 0, fd, &e) != KERR_OK) {
            _exit(1);
        }
    }
}

/* In a function of its own: what it leaves on the stack is overwritten by the search. */
static void echo(struct world *w, size_t len)
{
    struct kerrinfo e;
    struct rpc_status status;
    AUTO_SECRET answer = NULL;
    uint8_t *message = malloc(len);
    assert_non_null(message);
    markers_fill(message, len);
    struct rpc_ask ask = world_ask("/t.Bench/Echo", bytes_of(message, len));
    ask.is_secret = true;
    ask.waits = true;
    assert_ok(&e, rpc_client_call_secret(w->client, &ask, &answer, &status, &e));
    assert_int_equal(status.code, 0);
    assert_int_equal(secret_len(answer), len);
    assert_true(markers_are(secret_view(answer).ptr, len));
    markers_clear(message, len);
    free(message);
}

static void no_secret_stays_in_memory(void **state)
{
    struct world *w = *state;
    world_client(w);
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            echo(w, sizes[i]);
        }
    }
    assert_int_equal(markers_count(), 0);
}

static void the_search_finds_what_is_there(void **state)
{
    uint8_t *there = malloc(8);
    (void)state;
    assert_non_null(there);
    markers_fill(there, 8);
    size_t hits = markers_count();
    markers_clear(there, 8);
    free(there);
    assert_true(hits > 0);
}

static struct world *world;

static int give_world(void **state)
{
    *state = world;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_finds_what_is_there),
        cmocka_unit_test_setup(no_secret_stays_in_memory, give_world),
    };
    void *state = NULL;
    markers_start();
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK || world_set_up(&state) != 0) {
        return 1;
    }
    world = state;
    world_listen(world);
    pid_t server = fork(); /* before anything of gRPC runs */
    if (server == 0) {
        server_main(world);
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    return failed + world_tear_down(&state);
}
