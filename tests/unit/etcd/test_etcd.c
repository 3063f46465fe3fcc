/* SPDX-License-Identifier: Apache-2.0 */
/* The client against servers that answer as each test says, one answer after the other. */
#include "etcd/etcd.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "rpc/rpc.h"
#include "tests/unit/etcd/answers.h"

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

/* ---- an etcd that is none ---- */

enum { RANGE, STATUS, LOGIN, STREAM, METHODS };
static const struct rpc_method methods[METHODS] = {
    [RANGE] = {"/etcdserverpb.KV/Range", 4096},
    [STATUS] = {"/etcdserverpb.Maintenance/Status", 4096},
    [LOGIN] = {"/etcdserverpb.Auth/Authenticate", 4096},
    [STREAM] = {"/etcdserverpb.KV/RangeStream", 4096},
};
static const struct rpc_class every = {(1 << METHODS) - 1};

#define ANSWERS_MAX 16

/* The last answer is given again and again. */
struct script {
    struct {
        int status;
        const char *text;
        struct bytes message;
    } rows[ANSWERS_MAX];
    size_t count;
    size_t at;
};

struct fake {
    char url[96];
    const char *path; /* in it */
    int listening;
    pthread_t door;
    pthread_t loop;
    struct rpc_server *server;
    pthread_mutex_t lock; /* what follows */
    struct script scripts[METHODS];
    unsigned calls[METHODS];
    uint8_t last[256]; /* request */
    size_t last_len;
};

static void handle(void *ctx, size_t method, size_t class_index, struct rpc_call *call)
{
    struct fake *f = ctx;
    struct bytes request = rpc_call_request(call);
    (void)class_index;
    (void)pthread_mutex_lock(&f->lock);
    struct script *s = &f->scripts[method];
    size_t at = s->at < s->count ? s->at++ : s->count - (s->count > 0);
    int status = s->count == 0 ? 12 : s->rows[at].status;
    const char *text = s->count == 0 ? "unknown method" : s->rows[at].text;
    struct bytes message = s->rows[at].message;
    f->calls[method]++;
    memcpy(f->last, request.len == 0 ? f->last : request.ptr, request.len);
    f->last_len = request.len;
    (void)pthread_mutex_unlock(&f->lock);
    if (status == 0) {
        rpc_call_reply(call, message, false);
    } else {
        rpc_call_fail(call, status, text);
    }
}

static void will(struct fake *f, size_t method, int status, const char *text, struct bytes message)
{
    (void)pthread_mutex_lock(&f->lock);
    struct script *s = &f->scripts[method];
    assert_true(s->count < ANSWERS_MAX);
    s->rows[s->count].status = status;
    s->rows[s->count].text = text;
    s->rows[s->count++].message = message;
    (void)pthread_mutex_unlock(&f->lock);
}

static void will_answer(struct fake *f, size_t method, const struct buf *message)
{
    will(f, method, 0, "", buf_view(message));
}

static void will_refuse(struct fake *f, size_t method, int status, const char *text)
{
    will(f, method, status, text, bytes_of(NULL, 0));
}

static unsigned calls_of(struct fake *f, size_t method)
{
    (void)pthread_mutex_lock(&f->lock);
    unsigned calls = f->calls[method];
    (void)pthread_mutex_unlock(&f->lock);
    return calls;
}

/* Whether the last request has these bytes. */
static bool was_asked(struct fake *f, const char *bytes, size_t len)
{
    (void)pthread_mutex_lock(&f->lock);
    bool is_there = memmem(f->last, f->last_len, bytes, len) != NULL;
    (void)pthread_mutex_unlock(&f->lock);
    return is_there;
}

static void *door_main(void *ctx)
{
    struct fake *f = ctx;
    struct kerrinfo e;
    for (;;) {
        int fd = accept4(f->listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || rpc_server_add(f->server, 0, fd, &e) != KERR_OK) {
            return NULL;
        }
    }
}

static void *loop_main(void *ctx)
{
    rpc_server_run(((struct fake *)ctx)->server);
    return NULL;
}

static void fake_start(struct fake *f)
{
    struct kerrinfo e;
    const struct rpc_server_config config = {.methods = methods,
                                             .method_count = METHODS,
                                             .classes = &every,
                                             .class_count = 1,
                                             .limits = rpc_limits_default,
                                             .handler = handle,
                                             .ctx = f};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", f->path);
    f->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(f->listening, 8), 0);
    assert_ok(&e, rpc_server_new(&config, &f->server, &e));
    assert_int_equal(pthread_create(&f->loop, NULL, loop_main, f), 0);
    assert_int_equal(pthread_create(&f->door, NULL, door_main, f), 0);
}

static void fake_stop(struct fake *f)
{
    (void)shutdown(f->listening, SHUT_RDWR);
    assert_int_equal(pthread_join(f->door, NULL), 0);
    rpc_server_shutdown(f->server, 0);
    assert_int_equal(pthread_join(f->loop, NULL), 0);
    rpc_server_free(f->server);
    file_close_at(&f->listening);
    assert_int_equal(unlink(f->path), 0);
}

/* ---- the tests' world: two of them, and one client ---- */

struct world {
    char *dir;
    struct fake fakes[2];
    const char *urls[2];
    struct etcd_config config;
    struct etcd *client;
    struct buf pages[4]; /* answers */
    struct secret *password;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->dir = test_folder_new();
    for (size_t i = 0; i < 2; i++) {
        struct fake *f = &w->fakes[i];
        (void)snprintf(f->url, sizeof f->url, "unix:%s/%zu", w->dir, i);
        f->path = f->url + strlen("unix:");
        assert_int_equal(pthread_mutex_init(&f->lock, NULL), 0);
        w->urls[i] = f->url;
    }
    for (size_t i = 0; i < ARRAY_LEN(w->pages); i++) {
        buf_init(&w->pages[i], 100000);
    }
    w->config = (struct etcd_config){.endpoints = w->urls, .endpoint_count = 2};
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    etcd_close(w->client);
    for (size_t i = 0; i < 2; i++) {
        if (w->fakes[i].server != NULL) {
            fake_stop(&w->fakes[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(w->pages); i++) {
        buf_done(&w->pages[i]);
    }
    secret_free(w->password);
    test_folder_remove(w->dir);
    free(w);
    return 0;
}

static void open_client(struct world *w)
{
    struct kerrinfo e;
    assert_ok(&e, etcd_open(&w->config, &w->client, &e));
}

static enum kerr count_keys(void *ctx, const struct mvcc_key_value *kv, struct kerrinfo *e)
{
    (void)e;
    assert_true(kv == NULL || kv->key.len > 0);
    *(size_t *)ctx += kv != NULL;
    return KERR_OK;
}

static const struct etcd_range all = {.key = {(const uint8_t *)"", 1},
                                      .end = {(const uint8_t *)"", 1}};

static enum kerr ask(struct world *w, size_t *ret_keys, struct kerrinfo *e)
{
    struct etcd_page page;
    *ret_keys = 0;
    return etcd_range(w->client, &all, count_keys, ret_keys, &page, e);
}

static void make_page(struct buf *to)
{
    put_header(to, 5);
    put_kv(to, "/a", "1");
    put_kv(to, "/b", "2");
    put_number(to, 4, 2);
}

static void the_next_endpoint_answers(void **state)
{
    struct world *w = *state;
    struct kerrinfo e;
    size_t keys = 0;
    make_page(&w->pages[0]);
    will_answer(&w->fakes[1], RANGE, &w->pages[0]);
    fake_start(&w->fakes[1]); /* nobody is at the first */
    open_client(w);
    assert_ok(&e, ask(w, &keys, &e));
    assert_int_equal(keys, 2);
    assert_string_equal(etcd_endpoint(w->client), w->urls[1]);
    assert_int_equal(etcd_endpoint_count(w->client), 2);
    assert_string_equal(etcd_endpoint_at(w->client, 0), w->urls[0]);
}

static void nobody_answers(void **state)
{
    struct world *w = *state;
    struct kerrinfo e;
    size_t keys = 0;
    open_client(w);
    assert_refused(&e, KERR_DOWN, "none of the others either", ask(w, &keys, &e));
    w->config.endpoint_count = 1;
    etcd_close(w->client);
    open_client(w);
    assert_refused(&e, KERR_DOWN, "No such file", ask(w, &keys, &e));
    assert_null(strstr(e.text, "none of the others"));
    static const char *const nowhere[] = {"http://a..b:1"};
    w->config.endpoints = nowhere;
    etcd_close(w->client);
    open_client(w);
    assert_refused(&e, KERR_DOWN, "does not resolve", ask(w, &keys, &e));
}

static void what_passes_is_asked_again(void **state)
{
    static const struct row {
        int status;
        const char *text;
    } rows[] = {{14, "etcdserver: no leader"},
                {14, "etcdserver: leader changed"},
                {8, "etcdserver: too many requests"},
                {11, "etcdserver: mvcc: required revision is a future revision"}};
    struct world *w = *state;
    struct kerrinfo e;
    size_t keys = 0;
    make_page(&w->pages[0]);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        will_refuse(&w->fakes[0], RANGE, rows[i].status, rows[i].text);
    }
    will_answer(&w->fakes[0], RANGE, &w->pages[0]);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        will_answer(&w->fakes[1], RANGE, &w->pages[0]);
    }
    fake_start(&w->fakes[0]);
    fake_start(&w->fakes[1]);
    open_client(w);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_ok(&e, ask(w, &keys, &e));
        assert_string_equal(etcd_endpoint(w->client), w->urls[1]);
        etcd_go_on(w->client);
    }
    assert_ok(&e, ask(w, &keys, &e));
    assert_string_equal(etcd_endpoint(w->client), w->urls[0]);
}

static void what_stays_is_said_at_once(void **state)
{
    static const struct row {
        int status;
        const char *text;
        enum kerr code;
        const char *words;
    } rows[] = {
        {3, "etcdserver: user name is empty", KERR_DENIED, "--user"},
        {7, "etcdserver: permission denied", KERR_DENIED, "grant-permission"},
        {8, "Buffers full", KERR_LIMIT, "too large for the memory of a connection"},
        {11, "etcdserver: mvcc: required revision has been compacted", KERR_NOTFOUND, "compacted"},
        {12, "unknown method", KERR_UNSUP, "unknown method"},
        {15, "etcdserver: corrupt cluster", KERR_FORMAT, "corrupt"},
        {16, "etcdserver: invalid auth token", KERR_DENIED, "token"},
        {2, "", KERR_IO, "the system refused"},
    };
    struct world *w = *state;
    struct kerrinfo e;
    size_t keys = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        will_refuse(&w->fakes[0], RANGE, rows[i].status, rows[i].text);
    }
    fake_start(&w->fakes[0]);
    open_client(w);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_refused(&e, rows[i].code, rows[i].words, ask(w, &keys, &e));
        assert_non_null(strstr(e.text, w->urls[0]));
        assert_int_equal(calls_of(&w->fakes[0], RANGE), i + 1);
    }
}

static void damaged_answers_are_not_handed_on(void **state)
{
    struct world *w = *state;
    struct kerrinfo e;
    size_t keys = 0;
    put_header(&w->pages[0], 5);
    put_kv(&w->pages[0], "/b", "1");
    put_kv(&w->pages[0], "/a", "2");
    will_answer(&w->fakes[0], RANGE, &w->pages[0]);
    fake_start(&w->fakes[0]);
    open_client(w);
    assert_refused(&e, KERR_FORMAT, "damaged", ask(w, &keys, &e));
    assert_int_equal(keys, 0);
}

static void set_user(struct world *w)
{
    struct kerrinfo e;
    assert_ok(&e, secret_from_bytes(bytes_of_text("pas"), &w->password, &e));
    w->config.user = "me";
    w->config.password = w->password;
    w->config.endpoint_count = 1;
    put_bytes(&w->pages[3], 2, bytes_of_text("token.1"));
    make_page(&w->pages[0]);
}

static void a_user_logs_in_again_when_the_token_is_old(void **state)
{
    struct world *w = *state;
    struct kerrinfo e;
    size_t keys = 0;
    set_user(w);
    will_answer(&w->fakes[0], LOGIN, &w->pages[3]);
    will_answer(&w->fakes[0], RANGE, &w->pages[0]);
    will_refuse(&w->fakes[0], RANGE, 16, "etcdserver: invalid auth token");
    will_answer(&w->fakes[0], RANGE, &w->pages[0]);
    will_refuse(&w->fakes[0], RANGE, 16, "etcdserver: invalid auth token");
    fake_start(&w->fakes[0]);
    open_client(w);
    assert_ok(&e, ask(w, &keys, &e));
    assert_ok(&e, ask(w, &keys, &e));
    assert_int_equal(calls_of(&w->fakes[0], LOGIN), 2);
    assert_refused(&e, KERR_DENIED, "invalid auth token", ask(w, &keys, &e));
    assert_int_equal(calls_of(&w->fakes[0], LOGIN), 4);
}

static void a_wrong_password_is_said(void **state)
{
    struct world *w = *state;
    struct kerrinfo e;
    size_t keys = 0;
    set_user(w);
    will_refuse(&w->fakes[0], LOGIN, 3,
                "etcdserver: authentication failed, invalid user ID or password");
    fake_start(&w->fakes[0]);
    open_client(w);
    assert_refused(&e, KERR_DENIED, "the user or its password is wrong", ask(w, &keys, &e));
    assert_null(strstr(e.text, "pas;"));
    assert_int_equal(calls_of(&w->fakes[0], RANGE), 0);
}

static void an_etcd_without_users_asks_nobody(void **state)
{
    struct world *w = *state;
    struct kerrinfo e;
    size_t keys = 0;
    set_user(w);
    will_refuse(&w->fakes[0], LOGIN, 9, "etcdserver: authentication is not enabled");
    will_answer(&w->fakes[0], RANGE, &w->pages[0]);
    fake_start(&w->fakes[0]);
    open_client(w);
    assert_ok(&e, ask(w, &keys, &e));
    assert_ok(&e, ask(w, &keys, &e));
    assert_int_equal(calls_of(&w->fakes[0], LOGIN), 1);
}

static void serializable_is_what_it_asks_unless_told(void **state)
{
    struct world *w = *state;
    struct kerrinfo e;
    size_t keys = 0;
    make_page(&w->pages[0]);
    will_answer(&w->fakes[0], RANGE, &w->pages[0]);
    fake_start(&w->fakes[0]);
    open_client(w);
    assert_ok(&e, ask(w, &keys, &e));
    assert_true(was_asked(&w->fakes[0], "\x38\x01", 2));
    etcd_close(w->client);
    w->config.is_linearizable = true;
    open_client(w);
    assert_ok(&e, ask(w, &keys, &e));
    assert_false(was_asked(&w->fakes[0], "\x38", 1));
}

/* Its status names no member, and it refuses serializable ranges. */
static void kine_is_asked_linearizable_ranges(void **state)
{
    struct world *w = *state;
    struct kerrinfo e;
    struct etcd_status status;
    size_t keys = 0;
    make_page(&w->pages[0]);
    put_number(&w->pages[1], 3, 1);
    will_answer(&w->fakes[0], RANGE, &w->pages[0]);
    will_answer(&w->fakes[0], STATUS, &w->pages[1]);
    fake_start(&w->fakes[0]);
    open_client(w);
    assert_ok(&e, etcd_status(w->client, &status, &e));
    assert_true(status.is_kine && !status.has_leader);
    assert_ok(&e, ask(w, &keys, &e));
    assert_false(was_asked(&w->fakes[0], "\x38", 1));
}

static void streams_are_not_asked_again(void **state)
{
    struct world *w = *state;
    struct kerrinfo e;
    struct etcd_page page;
    size_t keys = 0;
    make_page(&w->pages[0]);
    put_bytes(&w->pages[1], 1, buf_view(&w->pages[0]));
    fake_start(&w->fakes[0]);
    open_client(w);
    assert_refused(&e, KERR_UNSUP, "unknown method",
                   etcd_range_stream(w->client, &all, count_keys, &keys, &page, &e));
    will_answer(&w->fakes[0], STREAM, &w->pages[1]);
    assert_ok(&e, etcd_range_stream(w->client, &all, count_keys, &keys, &page, &e));
    assert_true(keys == 2 && page.keys == 2 && page.revision == 5);
    put_bytes(&w->pages[2], 1, bytes_of_text("x"));
    will_answer(&w->fakes[0], STREAM, &w->pages[2]);
    assert_refused(&e, KERR_FORMAT, "damaged",
                   etcd_range_stream(w->client, &all, count_keys, &keys, &page, &e));
}

static void what_is_no_endpoint(void **state)
{
    struct world *w = *state;
    struct kerrinfo e;
    static const char *const many[] = {
        "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,"
        "a,a",
        "a"};
    static const char *const gap[] = {"a,,b"};
    w->config.endpoint_count = 0;
    assert_refused(&e, KERR_USAGE, "no endpoint", etcd_open(&w->config, &w->client, &e));
    w->config = (struct etcd_config){.endpoints = many, .endpoint_count = 1};
    open_client(w);
    assert_int_equal(etcd_endpoint_count(w->client), ETCD_ENDPOINTS_MAX);
    struct etcd *none = NULL;
    w->config.endpoint_count = 2;
    assert_refused(&e, KERR_LIMIT, "more than 32", etcd_open(&w->config, &none, &e));
    w->config = (struct etcd_config){.endpoints = gap, .endpoint_count = 1};
    assert_refused(&e, KERR_USAGE, "0 bytes", etcd_open(&w->config, &none, &e));
}

static void memory_that_is_not_there(void **state)
{
    struct world *w = *state;
    set_user(w);
    will_answer(&w->fakes[0], LOGIN, &w->pages[3]);
    will_answer(&w->fakes[0], RANGE, &w->pages[0]);
    fake_start(&w->fakes[0]);
    int failures = 0;
    enum kerr k = KERR_NOMEM;
    while (k == KERR_NOMEM) {
        struct kerrinfo e = {0};
        size_t keys = 0;
        fail_at = ++failures;
        k = etcd_open(&w->config, &w->client, &e);
        k = k == KERR_OK ? ask(w, &keys, &e) : k;
        fail_at = 0;
        etcd_close(w->client);
        w->client = NULL;
    }
    assert_int_equal(k, KERR_OK);
    assert_true(failures > 5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_next_endpoint_answers),
        TEST(nobody_answers),
        TEST(what_passes_is_asked_again),
        TEST(what_stays_is_said_at_once),
        TEST(damaged_answers_are_not_handed_on),
        TEST(a_user_logs_in_again_when_the_token_is_old),
        TEST(a_wrong_password_is_said),
        TEST(an_etcd_without_users_asks_nobody),
        TEST(serializable_is_what_it_asks_unless_told),
        TEST(kine_is_asked_linearizable_ranges),
        TEST(streams_are_not_asked_again),
        TEST(what_is_no_endpoint),
        TEST(memory_that_is_not_there),
    };
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK) {
        return 1;
    }
    rpc_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rpc_stop();
    return failed;
}
