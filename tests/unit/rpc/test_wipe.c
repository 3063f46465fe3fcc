/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No request and no secret response stays in the server's memory once it is answered.
 *
 * The client is another process, because a client has the same bytes. Every message is a repeated
 * marker of 8 bytes; the server's process knows it only xored, so a scan of its whole memory finds
 * nothing but copies that the server made.
 */
#include "tests/unit/rpc/bench.h"
#include "tests/unit/rpc/markers.h"

#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 20

static const size_t sizes[] = {16, 64, 74, 200, 1000, 9000, 30000};
static int rpc_fd;     /* the server's end, and */
static int control_fd; /* its end of a pipe-like pair */
static pid_t child;

/* The client process. Ends without cmocka: its failures show as a closed control socket. */
static _Noreturn void client_main(int fd, int control)
{
    rpc_start();
    static uint8_t message[30000];
    markers_fill(message, sizeof message);
    grpc_channel_credentials *insecure = grpc_insecure_credentials_create();
    struct client c = {grpc_channel_create_from_fd("test", fd, insecure, NULL),
                       grpc_completion_queue_create_for_next(NULL)};
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            (void)client_begin(&c, "/t.Bench/Echo", bytes_of(message, sizes[i]), 60000);
        }
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            if (flight_end(client_next(&c), NULL) != 0) {
                _exit(1);
            }
        }
    }
    char done = 'd';
    /* The connection stays open while the server looks. */
    (void)!write(control, &done, 1);
    (void)!read(control, &done, 1);
    _exit(0);
}

static void the_scan_finds_what_is_there(void **state)
{
    (void)state;
    uint8_t *there = malloc(8);
    assert_non_null(there);
    markers_fill(there, 8);
    size_t hits = markers_count();
    markers_clear(there, 8);
    free(there);
    assert_true(hits > 0);
}

static void no_message_stays_in_memory(void **state)
{
    (void)state;
    struct bench b;
    struct kerrinfo e;
    bench_start(&b, 100, NULL, 0);
    assert_ok(&e, rpc_server_add(b.server, 0, rpc_fd, &e));
    bench_run(&b);
    char done = 0;
    assert_int_equal(read(control_fd, &done, 1), 1);
    assert_int_equal(b.handled, ROUNDS * ARRAY_LEN(sizes));
    assert_int_equal(markers_count(), 0);
    assert_int_equal(write(control_fd, &done, 1), 1);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    bench_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scan_finds_what_is_there),
        cmocka_unit_test(no_message_stays_in_memory),
    };
    int data[2];
    int control[2];
    markers_start();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, data) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, control) != 0) {
        return 1;
    }
    child = fork(); /* before anything of gRPC runs */
    if (child == 0) {
        (void)close(data[0]);
        (void)close(control[0]);
        client_main(data[1], control[1]);
    }
    (void)close(data[1]);
    (void)close(control[1]);
    rpc_fd = data[0];
    control_fd = control[0];
    rpc_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rpc_stop();
    (void)kill(child, SIGKILL);
    return failed;
}
