/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole daemon in this process: its control loop in a thread, real keystore, real gRPC client.
 * Signals are blocked in main, before any thread: the daemon takes them from its signalfd.
 */
#include "plugin/daemon.h"
#include "tests/lib/testlib.h"

#include <arpa/inet.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/lib/ks_fixture.h"
#include "tests/unit/plugin/wire.h"
#include "tests/unit/rpc/bench.h"

#define STATUS  "/v2.KeyManagementService/Status"
#define ENCRYPT "/v2.KeyManagementService/Encrypt"
#define DECRYPT "/v2.KeyManagementService/Decrypt"
#define WAIT_MS 10000

struct running {
    struct config *config;
    pthread_t thread;
    bool is_running;
    enum kerr code;
    struct kerrinfo e;
};

static struct kerrinfo e;
static struct ks_fixture store;
static struct running daemon_thread;
static char *socket_path;
static char *status_path;
static char *config_path;

static int setup(void **state)
{
    (void)state;
    ks_fixture_start(&store);
    socket_path = test_path(store.top, "kms.sock");
    status_path = test_path(store.top, "status.sock");
    config_path = test_path(store.top, "etcdseald.yaml");
    daemon_thread = (struct running){.is_running = false};
    return 0;
}

static void make_keystore(void)
{
    assert_ok(&e, ks_init(&store.place, store.slots, 1, SUITE_XAES_256_GCM, store.first_key, &e));
}

static void write_config(const char *peers, const char *more)
{
    char text[2048];
    (void)snprintf(text, sizeof text,
                   "socket: { path: %s, owner: \"%u\", group: \"%u\" }\n"
                   "peers: [ { uid: %u, methods: [%s] } ]\n"
                   "keystore: { path: %s, poll: 1s }\n"
                   "memory_lock: best-effort\n"
                   "log: { level: error, requests: false }\n%s",
                   socket_path, geteuid(), getegid(), geteuid(), peers, store.path, more);
    test_write_file(store.top, "etcdseald.yaml", bytes_of_text(text));
}

#define ALL "status, encrypt, decrypt"

static void *run(void *ctx)
{
    struct running *r = ctx;
    r->code = daemon_run(r->config, &r->e);
    return NULL;
}

static void start(void)
{
    kerr_clear(&daemon_thread.e);
    assert_ok(&e, config_read(config_path, &daemon_thread.config, &e));
    assert_int_equal(pthread_create(&daemon_thread.thread, NULL, run, &daemon_thread), 0);
    daemon_thread.is_running = true;
}

static enum kerr join(void)
{
    assert_int_equal(pthread_join(daemon_thread.thread, NULL), 0);
    daemon_thread.is_running = false;
    return daemon_thread.code;
}

static void send_signal(int number)
{
    assert_int_equal(kill(getpid(), number), 0);
}

static void stop(void)
{
    send_signal(SIGTERM);
    assert_int_equal(join(), KERR_OK);
}

static int teardown(void **state)
{
    (void)state;
    if (daemon_thread.is_running) {
        stop();
    }
    free(socket_path);
    free(status_path);
    free(config_path);
    ks_fixture_end(&store);
    return 0;
}

static int connect_to(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

struct page {
    unsigned code; /* 0: nobody there */
    char text[100000];
};

static void get(const char *path, struct page *ret)
{
    char request[128];
    size_t len = 0;
    *ret = (struct page){.code = 0};
    int fd = connect_to(status_path);
    if (fd < 0) {
        return;
    }
    (void)snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    (void)send(fd, request, strlen(request), MSG_NOSIGNAL);
    ssize_t n = 1;
    while (n > 0 && len + 1 < sizeof ret->text) {
        n = recv(fd, ret->text + len, sizeof ret->text - 1 - len, 0);
        len += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    ret->code = len > 12 ? (unsigned)strtoul(ret->text + 9, NULL, 10) : 0;
}

/* Until the page answers with the code and holds the words. */
static void wait_page(const char *path, unsigned code, const char *words)
{
    static struct page p;
    for (uint64_t until = clock_mono_ms() + WAIT_MS; clock_mono_ms() < until;) {
        get(path, &p);
        if (p.code == code && strstr(p.text, words) != NULL) {
            return;
        }
        (void)usleep(5000);
    }
    fail_msg("%s: %u, expected %u with %s in\n%s", path, p.code, code, words, p.text);
}

static void open_client(struct client *c)
{
    char target[128];
    (void)snprintf(target, sizeof target, "unix:%s", socket_path);
    grpc_channel_credentials *plain = grpc_insecure_credentials_create();
    grpc_init();
    c->channel = grpc_channel_create(target, plain, NULL);
    c->queue = grpc_completion_queue_create_for_next(NULL);
    grpc_channel_credentials_release(plain);
    assert_non_null(c->channel);
}

static void close_client(struct client *c)
{
    client_close(c);
    grpc_shutdown();
}

static struct answer *call(struct client *c, const char *path, struct bytes request)
{
    static _Thread_local struct answer a;
    client_call(c, path, request, 5000, &a);
    return &a;
}

static struct bytes body(const struct answer *a)
{
    return bytes_of(a->bytes, a->len);
}

static void assert_status(struct client *c, const char *path, struct bytes request, int status)
{
    struct answer *a = call(c, path, request);
    if (a->status != status) {
        fail_msg("%s: status %d \"%s\", expected %d", path, a->status, a->message, status);
    }
}

/* The same once connections with former rights have ended, which rpc.h gives 5 s. */
static void assert_status_soon(struct client *c, const char *path, struct bytes request, int status)
{
    uint64_t until = clock_mono_ms() + WAIT_MS;
    while (call(c, path, request)->status != status && clock_mono_ms() < until) {
        (void)usleep(5000);
    }
    assert_status(c, path, request, status);
}

/* The key id that Status tells. */
static void current_key(struct client *c, char to[static 64])
{
    struct answer *a = call(c, STATUS, bytes_of(NULL, 0));
    assert_int_equal(a->status, 0);
    assert_true(bytes_equal_text(wire_get(body(a), 1), "v2"));
    assert_true(bytes_equal_text(wire_get(body(a), 2), "ok"));
    struct bytes id = wire_get(body(a), 3);
    assert_in_range(id.len, 1, 63);
    memcpy(to, id.ptr, id.len);
    to[id.len] = 0;
}

static const uint8_t encrypt_request[] = {0x0a, 4, 's', 'e', 'e', 'd'};

/* Wraps "seed" and gives the request that unwraps it. */
static void encrypt(struct client *c, struct buf *decrypt_request)
{
    struct answer *a = call(c, ENCRYPT, BYTES_OF(encrypt_request));
    assert_int_equal(a->status, 0);
    wire_put(decrypt_request, 1, wire_get(body(a), 1));
    wire_put(decrypt_request, 3, wire_get(body(a), 2));
}

static void assert_decrypts(struct client *c, const struct buf *decrypt_request)
{
    struct answer *a = call(c, DECRYPT, buf_view(decrypt_request));
    assert_int_equal(a->status, 0);
    assert_true(bytes_equal_text(wire_get(body(a), 1), "seed"));
}

static void change_key(void)
{
    uint8_t id[KS_ID_BYTES];
    struct ks_command_args args = {.now_s = clock_wall_s()};
    bool is_destroyed = false;
    assert_ok(&e, ks_stage_key(&store.place, SUITE_XAES_256_GCM, id, &e));
    assert_ok(&e, ks_run_command(&store.place, KS_PROMOTE, id, &args, &is_destroyed, &e));
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* --- tests --- */

static void test_serves_follows_a_key_change_and_stops(void **state)
{
    (void)state;
    struct client c;
    struct buf wrapped;
    char first[64];
    char now[64];
    buf_init(&wrapped, 4096);
    make_keystore();
    write_config(ALL, "");
    start();
    wait_page("/readyz", 200, "ok");
    open_client(&c);
    current_key(&c, first);
    encrypt(&c, &wrapped);
    assert_decrypts(&c, &wrapped);

    uint64_t began = clock_mono_ms();
    change_key();
    do {
        current_key(&c, now);
    } while (strcmp(first, now) == 0 && clock_mono_ms() < began + WAIT_MS);
    assert_string_not_equal(first, now);
    assert_true(clock_mono_ms() - began < 1000);
    assert_decrypts(&c, &wrapped);
    wait_page("/status", 200, now);
    wait_page("/metrics", 200, "state=\"retired\"} 1\n");
    assert_status(&c, "/v2.KeyManagementService/Other", bytes_of(NULL, 0), 12);
    close_client(&c);
    stop();
    assert_false(exists(socket_path));
    assert_false(exists(status_path));
    buf_done(&wrapped);
}

static void test_sealed_until_there_is_a_keystore(void **state)
{
    (void)state;
    struct client c;
    write_config(ALL, "");
    start();
    wait_page("/livez", 200, "ok");
    wait_page("/readyz", 503, "sealed");
    open_client(&c);
    struct answer *a = call(&c, STATUS, bytes_of(NULL, 0));
    assert_true(a->status == 9 || a->status == 14);
    assert_null(strstr(a->message, store.top));
    make_keystore();
    wait_page("/readyz", 200, "ok");
    assert_status(&c, STATUS, bytes_of(NULL, 0), 0);
    close_client(&c);
}

static void test_reloads(void **state)
{
    (void)state;
    struct client c;
    make_keystore();
    write_config(ALL, "");
    start();
    wait_page("/readyz", 200, "ok");
    open_client(&c);
    assert_status(&c, ENCRYPT, BYTES_OF(encrypt_request), 0);

    write_config(ALL, "nonsense: 1\n");
    send_signal(SIGHUP);
    wait_page("/status", 200, "nonsense");
    wait_page("/metrics", 200, "etcdseal_last_reload_success 0\n");
    assert_status(&c, ENCRYPT, BYTES_OF(encrypt_request), 0);

    write_config("status", "kms_version: v2beta1\n");
    send_signal(SIGHUP);
    wait_page("/status", 200, "\"restart_needed\":[\"kms_version\"]");
    wait_page("/metrics", 200, "etcdseal_last_reload_success 1\n");
    assert_status_soon(&c, ENCRYPT, BYTES_OF(encrypt_request), 7);
    char id[64];
    current_key(&c, id); /* still version v2 */

    write_config(ALL, "");
    send_signal(SIGHUP);
    wait_page("/status", 200, "\"restart_needed\":[]");
    assert_status_soon(&c, ENCRYPT, BYTES_OF(encrypt_request), 0);
    close_client(&c);
}

static void test_a_broken_keystore_leaves_the_old_one_serving(void **state)
{
    (void)state;
    struct client c;
    struct buf wrapped;
    buf_init(&wrapped, 4096);
    make_keystore();
    struct buf good = test_read_file(store.folder, "keystore");
    write_config(ALL, "");
    start();
    wait_page("/readyz", 200, "ok");
    open_client(&c);
    encrypt(&c, &wrapped);
    test_write_file(store.folder, "keystore", bytes_of(good.ptr, good.len - 1));
    wait_page("/metrics", 200, "etcdseal_last_reload_success 0\n");
    wait_page("/readyz", 200, "ok");
    assert_decrypts(&c, &wrapped);
    test_write_file(store.folder, "keystore", buf_view(&good));
    wait_page("/metrics", 200, "etcdseal_last_reload_success 1\n");
    close_client(&c);
    buf_done(&good);
    buf_done(&wrapped);
}

static void test_a_second_signal_cancels_what_hangs(void **state)
{
    (void)state;
    make_keystore();
    write_config(ALL, "shutdown_grace: 60s\n");
    start();
    wait_page("/readyz", 200, "ok");
    int fd = connect_to(socket_path);
    raw_send(fd, &(struct raw_call){.path = ENCRYPT, .authority = "x", .has_message = false});
    wait_page("/status", 200, "\"open\":1");
    uint64_t began = clock_mono_ms();
    send_signal(SIGTERM);
    while (exists(socket_path) && clock_mono_ms() < began + WAIT_MS) {
        (void)usleep(1000);
    }
    send_signal(SIGTERM);
    assert_int_equal(join(), KERR_OK);
    assert_true(clock_mono_ms() - began < 10000);
    (void)close(fd);
}

/* Even without any grace the end is a clean one: the thread returns, which a forced exit would not
 * let it. */
static void test_no_grace_at_all(void **state)
{
    (void)state;
    make_keystore();
    write_config(ALL, "shutdown_grace: 0s\n");
    for (int i = 0; i < 20; i++) {
        start();
        wait_page("/readyz", 200, "ok");
        stop();
        assert_false(exists(status_path));
    }
}

static void assert_does_not_start(enum kerr code, const char *words)
{
    start();
    assert_int_equal(join(), code);
    if (strstr(daemon_thread.e.text, words) == NULL) {
        fail_msg("%s: expected %s", daemon_thread.e.text, words);
    }
}

static void test_what_keeps_it_from_starting(void **state)
{
    (void)state;
    char *plain = socket_path;
    make_keystore();
    socket_path = test_path(store.top, "none/kms.sock");
    write_config(ALL, "");
    assert_does_not_start(KERR_NOTFOUND, "does not exist");
    free(socket_path);
    socket_path = plain;

    write_config(ALL, "");
    test_write_file(store.top, "status.sock", bytes_of_text("mine"));
    assert_does_not_start(KERR_EXISTS, "status.sock");
    assert_false(exists(socket_path));
    assert_int_equal(unlink(status_path), 0);

    write_config(ALL, "metrics: { listen: \"127.0.0.1:1\" }\n");
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    assert_int_equal(bind(taken, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(taken, 1), 0);
    assert_int_equal(getsockname(taken, (struct sockaddr *)&a, &len), 0);
    char more[64];
    (void)snprintf(more, sizeof more, "metrics: { listen: \"127.0.0.1:%u\" }\n", ntohs(a.sin_port));
    write_config(ALL, more);
    assert_does_not_start(KERR_IO, "metrics.listen");
    assert_false(exists(socket_path));
    assert_false(exists(status_path));
    (void)close(taken);
}

/* --- everything at once --- */

struct caller {
    pthread_t thread;
    atomic_bool *is_over;
    unsigned calls;
    unsigned failures;
};

static void *call_again_and_again(void *ctx)
{
    struct caller *self = ctx;
    struct client c;
    open_client(&c);
    while (!atomic_load(self->is_over)) {
        struct answer *a = call(&c, ENCRYPT, BYTES_OF(encrypt_request));
        self->calls++;
        self->failures += a->status != 0;
    }
    close_client(&c);
    return NULL;
}

static void test_calls_changes_reloads_and_scrapes_together(void **state)
{
    (void)state;
    static struct page page;
    struct caller callers[3];
    atomic_bool is_over = false;
    make_keystore();
    write_config(ALL, "");
    start();
    wait_page("/readyz", 200, "ok");
    for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
        callers[i] = (struct caller){.is_over = &is_over};
        assert_int_equal(
            pthread_create(&callers[i].thread, NULL, call_again_and_again, &callers[i]), 0);
    }
    for (int i = 0; i < 10; i++) {
        change_key();
        send_signal(SIGHUP);
        get("/metrics", &page);
        assert_int_equal(page.code, 200);
        get("/status", &page);
        assert_int_equal(page.code, 200);
        (void)usleep(20000);
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
        assert_true(callers[i].calls > 0);
        assert_int_equal(callers[i].failures, 0);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_serves_follows_a_key_change_and_stops),
        TEST(test_sealed_until_there_is_a_keystore),
        TEST(test_reloads),
        TEST(test_a_broken_keystore_leaves_the_old_one_serving),
        TEST(test_a_second_signal_cancels_what_hangs),
        TEST(test_no_grace_at_all),
        TEST(test_what_keeps_it_from_starting),
        TEST(test_calls_changes_reloads_and_scrapes_together),
    };
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    log_start(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    struct kerrinfo cause = {0};
    if (secret_start(SECRET_LOCK_BEST_EFFORT, &cause) != KERR_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
