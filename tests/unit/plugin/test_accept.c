/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/accept.h"
#include "tests/lib/testlib.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define PREFACE_LEN (sizeof preface - 1)

static struct kerrinfo e;
static char *folder;
static char *path;
static int listen_fd;
static struct loop *loop;
static struct metrics *metrics;
static struct acceptor *acceptor;
static struct acceptor_config config;
static struct config_peer me;

/* What was handed over. */
static int handed_fd;
static size_t handed_class;
static unsigned handed_count;
static bool is_handing_refused;

static enum kerr take(void *ctx, size_t class_index, int fd, struct kerrinfo *cause)
{
    (void)ctx;
    handed_count++;
    handed_class = class_index;
    if (is_handing_refused) {
        (void)close(fd);
        return kerr_set(cause, KERR_NOMEM, "no");
    }
    handed_fd = fd;
    return KERR_OK;
}

static void start(const struct config_peer *rows, size_t count)
{
    assert_ok(&e, acceptor_new(&config, rows, count, &acceptor, &e));
}

static int setup(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    folder = test_folder_new();
    path = test_path(folder, "s");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listen_fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listen_fd, 128), 0);
    assert_ok(&e, loop_new(&loop, &e));
    assert_ok(&e, metrics_new(&metrics, &e));
    config = (struct acceptor_config){.loop = loop,
                                      .listen_fd = listen_fd,
                                      .connections_max = 4,
                                      .preface_ms = 100,
                                      .metrics = metrics,
                                      .hand = take};
    me = (struct config_peer){
        .kind = CONFIG_PEER_UID, .id = geteuid(), .methods = CONFIG_METHODS_ALL};
    acceptor = NULL;
    handed_fd = -1;
    handed_count = 0;
    is_handing_refused = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    acceptor_free(acceptor);
    if (handed_fd >= 0) {
        (void)close(handed_fd);
    }
    metrics_free(metrics);
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

static void turn_for(uint64_t ms)
{
    uint64_t until = clock_mono_ms() + ms;
    do {
        assert_ok(&e, loop_turn(loop, 5, &e));
    } while (clock_mono_ms() < until);
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void send_text(int fd, const char *text, size_t len)
{
    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void assert_counts(size_t waiting, size_t open)
{
    struct acceptor_counts c = acceptor_counts(acceptor);
    assert_int_equal(c.waiting, waiting);
    assert_int_equal(c.open, open);
}

/* Value of a counter in the metrics text. */
static unsigned long refused(const char *reason)
{
    struct provider_info info = {.name = "test"};
    struct metrics_view view = {.provider = &info};
    struct buf text;
    const char *all = NULL;
    char line[128];
    buf_init(&text, METRICS_TEXT_MAX);
    assert_ok(&e, metrics_text(metrics, &view, &text, &e));
    assert_ok(&e, buf_text(&text, &all, &e));
    (void)snprintf(line, sizeof line, "\netcdseal_refused_connections_total{reason=\"%s\"} ",
                   reason);
    const char *at = strstr(all, line);
    assert_non_null(at);
    unsigned long value = strtoul(at + strlen(line), NULL, 10);
    buf_done(&text);
    return value;
}

static void test_a_peer_with_the_preface_is_handed_over_untouched(void **state)
{
    (void)state;
    struct config_peer rows[] = {{CONFIG_PEER_UID, 12345, CONFIG_METHODS_ALL, 0, NULL}, me};
    start(rows, 2);
    int fd = connect_now();
    turn_for(20);
    assert_counts(1, 0);
    send_text(fd, preface, PREFACE_LEN);
    send_text(fd, "more", 4);
    turn_for(20);
    assert_int_equal(handed_count, 1);
    assert_int_equal(handed_class, 1);
    assert_counts(0, 1);
    char got[64];
    assert_int_equal(recv(handed_fd, got, sizeof got, MSG_DONTWAIT), PREFACE_LEN + 4);
    assert_memory_equal(got, preface, PREFACE_LEN);
    assert_true((fcntl(handed_fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(handed_fd, F_GETFD) & FD_CLOEXEC) != 0);
    (void)close(fd);
    turn_for(20);
    assert_counts(0, 0);
}

static void test_counted_out_when_the_server_ends_it(void **state)
{
    (void)state;
    start(&me, 1);
    int fd = connect_now();
    send_text(fd, preface, PREFACE_LEN);
    turn_for(20);
    assert_counts(0, 1);
    /* As gRPC does: shut down, then close. */
    assert_int_equal(shutdown(handed_fd, SHUT_RDWR), 0);
    (void)close(handed_fd);
    handed_fd = -1;
    turn_for(20);
    assert_counts(0, 0);
    assert_true(is_closed(fd));
    (void)close(fd);
}

static void test_a_peer_without_a_row_is_closed_at_once(void **state)
{
    (void)state;
    me.id = geteuid() + 1;
    start(&me, 1);
    int fd = connect_now();
    (void)send(fd, preface, PREFACE_LEN, MSG_NOSIGNAL);
    turn_for(20);
    assert_true(is_closed(fd));
    assert_int_equal(handed_count, 0);
    assert_counts(0, 0);
    assert_int_equal(refused("peer"), 1);
    (void)close(fd);
}

static void test_the_preface_may_come_in_pieces(void **state)
{
    (void)state;
    start(&me, 1);
    int fd = connect_now();
    for (size_t i = 0; i < PREFACE_LEN; i++) {
        assert_int_equal(handed_count, 0);
        send_text(fd, preface + i, 1);
        turn_for(2);
    }
    turn_for(10);
    assert_int_equal(handed_count, 1);
    (void)close(fd);
}

/* A loop that spins takes thousands of turns in the time. */
static void test_half_a_preface_does_not_spin(void **state)
{
    (void)state;
    config.preface_ms = 5000;
    start(&me, 1);
    int fd = connect_now();
    send_text(fd, preface, 10);
    turn_for(20);
    unsigned turns = 0;
    for (uint64_t until = clock_mono_ms() + 100; clock_mono_ms() < until; turns++) {
        assert_ok(&e, loop_turn(loop, 20, &e));
    }
    assert_true(turns < 20);
    assert_counts(1, 0);
    (void)close(fd);
}

static void test_garbage_never_gets_through(void **state)
{
    (void)state;
    static const char *const garbage[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "P",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX",
        "PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n",
    };
    start(&me, 1);
    for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
        bool is_a_start = strncmp(preface, garbage[i], strlen(garbage[i])) == 0;
        int fd = connect_now();
        send_text(fd, garbage[i], strlen(garbage[i]));
        turn_for(20);
        assert_int_equal(is_closed(fd), !is_a_start);
        (void)close(fd);
    }
    assert_int_equal(handed_count, 0);
    assert_int_equal(refused("not_http2"), 4);
    turn_for(20);
    assert_counts(0, 0);
}

static void test_silent_peers_are_closed_in_time(void **state)
{
    (void)state;
    start(&me, 1);
    int silent = connect_now();
    int slow = connect_now();
    send_text(slow, preface, PREFACE_LEN - 1);
    turn_for(50);
    assert_counts(2, 0);
    assert_false(is_closed(silent));
    turn_for(1100);
    assert_true(is_closed(silent));
    assert_true(is_closed(slow));
    assert_counts(0, 0);
    assert_int_equal(refused("no_preface"), 2);
    assert_int_equal(handed_count, 0);
    (void)close(silent);
    (void)close(slow);
}

static void test_a_probe_that_leaves_is_no_event(void **state)
{
    (void)state;
    start(&me, 1);
    (void)close(connect_now());
    turn_for(20);
    assert_counts(0, 0);
    assert_int_equal(refused("no_preface") + refused("not_http2") + refused("peer"), 0);
}

static void test_the_cap(void **state)
{
    (void)state;
    start(&me, 1);
    int fds[5];
    for (size_t i = 0; i < 5; i++) {
        fds[i] = connect_now();
    }
    turn_for(20);
    assert_counts(4, 0);
    assert_true(is_closed(fds[4]));
    assert_int_equal(refused("full"), 1);
    (void)close(fds[0]);
    (void)close(fds[4]);
    turn_for(20);
    fds[0] = connect_now();
    turn_for(20);
    assert_counts(4, 0);
    for (size_t i = 0; i < 4; i++) {
        (void)close(fds[i]);
    }
}

/* A peer that may do little must not keep the one out that needs us. */
static void test_a_row_leaves_a_share_to_the_others(void **state)
{
    (void)state;
    struct config_peer rows[] = {me, me};
    rows[1].id = geteuid() + 1;
    start(rows, 2);
    int fds[4];
    for (size_t i = 0; i < 4; i++) {
        fds[i] = connect_now();
    }
    turn_for(20);
    assert_counts(3, 0);
    assert_true(is_closed(fds[3]));
    assert_int_equal(refused("full"), 1);
    for (size_t i = 0; i < 4; i++) {
        (void)close(fds[i]);
    }
}

static void test_open_connections_count_against_the_cap(void **state)
{
    (void)state;
    config.connections_max = 1;
    start(&me, 1);
    int first = connect_now();
    send_text(first, preface, PREFACE_LEN);
    turn_for(20);
    assert_counts(0, 1);
    int second = connect_now();
    turn_for(20);
    assert_true(is_closed(second));
    (void)close(first);
    (void)close(second);
}

static void test_rows_that_change_while_a_peer_waits(void **state)
{
    (void)state;
    struct config_peer other = me;
    other.id = geteuid() + 1;
    start(&me, 1);
    int fd = connect_now();
    turn_for(20);
    assert_counts(1, 0);
    acceptor_set_peers(acceptor, &other, 1);
    send_text(fd, preface, PREFACE_LEN);
    turn_for(20);
    assert_int_equal(handed_count, 0);
    assert_true(is_closed(fd));
    assert_int_equal(refused("peer"), 1);
    (void)close(fd);
}

static void test_a_server_that_does_not_take_it(void **state)
{
    (void)state;
    is_handing_refused = true;
    start(&me, 1);
    int fd = connect_now();
    send_text(fd, preface, PREFACE_LEN);
    turn_for(20);
    assert_int_equal(handed_count, 1);
    assert_counts(0, 0);
    assert_int_equal(refused("system_error"), 1);
    (void)close(fd);
}

static void test_stop_closes_what_waits_and_keeps_what_is_open(void **state)
{
    (void)state;
    start(&me, 1);
    int open_fd = connect_now();
    send_text(open_fd, preface, PREFACE_LEN);
    int waiting = connect_now();
    turn_for(20);
    assert_counts(1, 1);
    acceptor_stop(acceptor);
    assert_counts(0, 1);
    assert_true(is_closed(waiting));
    assert_false(is_closed(open_fd));
    int late = connect_now();
    turn_for(20);
    assert_counts(0, 1);
    (void)close(open_fd);
    (void)close(waiting);
    (void)close(late);
}

static void test_peer_by_its_text(void **state)
{
    (void)state;
    struct peer peer = {.pid = 0};
    char text[32];
    start(&me, 1);
    int fd = connect_now();
    send_text(fd, preface, PREFACE_LEN);
    turn_for(20);
    (void)snprintf(text, sizeof text, "fd:%d", handed_fd);
    assert_true(acceptor_peer(acceptor, text, &peer));
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(peer.uid, geteuid());
    assert_int_equal(peer.gid, getegid());
    static const char *const unknown[] = {
        "", "fd:", "fd:99999", "fd:-1", "fd:1x", "unix:x", "fd:99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        assert_false(acceptor_peer(acceptor, unknown[i], &peer));
    }
    (void)close(fd);
}

/* As the daemon does it. */
static void add_here(void *ctx, uint64_t conn, const struct auditor_call *call,
                     struct auditor_seen *ret)
{
    (void)ctx;
    acceptor_decrypt(acceptor, conn, call, ret);
}

static void test_decrypts_are_counted_to_their_connection(void **state)
{
    (void)state;
    struct auditors *auditors = NULL;
    assert_ok(&e, auditors_new(metrics, add_here, NULL, &auditors, &e));
    config.auditors = auditors;
    start(&me, 1);
    int fd = connect_now();
    send_text(fd, preface, PREFACE_LEN);
    turn_for(20);
    char text[32];
    struct peer peer = {.conn = 0};
    (void)snprintf(text, sizeof text, "fd:%d", handed_fd);
    assert_true(acceptor_peer(acceptor, text, &peer) && peer.conn > 0);
    struct auditor_call call = {.uid = "", .is_unwrapped = true};
    struct auditor_seen seen = {.is_counted = true};
    acceptor_decrypt(acceptor, peer.conn, &call, &seen);
    assert_true(!seen.is_counted && !seen.is_first);
    call.is_auditor = true;
    acceptor_decrypt(acceptor, peer.conn, &call, &seen);
    assert_true(seen.is_counted && seen.is_first);
    call.is_auditor = false;
    acceptor_decrypt(acceptor, peer.conn, &call, &seen);
    assert_true(seen.is_counted && !seen.is_first);
    /* Its descriptor goes to another connection, to which a call that began before does not count.
     */
    int before = handed_fd;
    (void)close(fd);
    (void)close(handed_fd);
    turn_for(20);
    fd = connect_now();
    send_text(fd, preface, PREFACE_LEN);
    turn_for(20);
    struct peer other = {.conn = 0};
    assert_int_equal(handed_fd, before);
    assert_true(acceptor_peer(acceptor, text, &other) && other.conn > peer.conn);
    struct auditor_seen untouched = {.is_counted = true, .is_first = true};
    acceptor_decrypt(acceptor, peer.conn, &call, &untouched);
    assert_true(untouched.is_counted && untouched.is_first);
    acceptor_decrypt(acceptor, other.conn, &call, &seen);
    assert_true(!seen.is_counted && !seen.is_first);
    (void)close(fd);
    acceptor_free(acceptor);
    acceptor = NULL;
    auditors_free(auditors);
}

/* Without descriptors the connection stays in the queue: the loop must pause, not spin, and go on
 * when there are some again. */
static void test_out_of_descriptors(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    config.preface_ms = 5000;
    start(&me, 1);
    int fd = connect_now();
    struct rlimit few = {.rlim_cur = 64, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int fillers[64];
    size_t count = 0;
    while (count < ARRAY_LEN(fillers) &&
           (fillers[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
        count++;
    }
    unsigned turns = 0;
    for (uint64_t until = clock_mono_ms() + 100; clock_mono_ms() < until; turns++) {
        assert_int_equal(loop_turn(loop, 20, &e), KERR_OK);
    }
    assert_true(turns < 20);
    assert_counts(0, 0);
    while (count > 0) {
        count--;
        (void)close(fillers[count]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    turn_for(700);
    assert_counts(1, 0);
    (void)close(fd);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_peer_with_the_preface_is_handed_over_untouched),
        TEST(test_counted_out_when_the_server_ends_it),
        TEST(test_a_peer_without_a_row_is_closed_at_once),
        TEST(test_the_preface_may_come_in_pieces),
        TEST(test_half_a_preface_does_not_spin),
        TEST(test_garbage_never_gets_through),
        TEST(test_silent_peers_are_closed_in_time),
        TEST(test_a_probe_that_leaves_is_no_event),
        TEST(test_the_cap),
        TEST(test_a_row_leaves_a_share_to_the_others),
        TEST(test_open_connections_count_against_the_cap),
        TEST(test_rows_that_change_while_a_peer_waits),
        TEST(test_a_server_that_does_not_take_it),
        TEST(test_stop_closes_what_waits_and_keeps_what_is_open),
        TEST(test_peer_by_its_text),
        TEST(test_decrypts_are_counted_to_their_connection),
        TEST(test_out_of_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
