/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/rpc/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"

/* ---- servers ---- */

int world_set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/es-client-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->path, sizeof w->path, "%s/a %%25 [b]?#.sock", w->dir);
    w->listening = -1;
    *state = w;
    return 0;
}

void world_listen(struct world *w)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", w->path);
    w->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(w->listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(w->listening, 8), 0);
}

static void *door_main(void *ctx)
{
    struct world *w = ctx;
    struct kerrinfo e;
    for (;;) {
        int fd = accept4(w->listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || rpc_server_add(w->bench.server, 0, fd, &e) != KERR_OK) {
            return NULL;
        }
    }
}

void world_serve(struct world *w)
{
    world_listen(w);
    bench_start(&w->bench, 100, NULL, 0);
    bench_run(&w->bench);
    assert_int_equal(pthread_create(&w->door, NULL, door_main, w), 0);
    w->is_serving = true;
}

void world_stop(struct world *w)
{
    (void)shutdown(w->listening, SHUT_RDWR);
    assert_int_equal(pthread_join(w->door, NULL), 0);
    bench_stop(&w->bench);
    file_close_at(&w->listening);
    assert_int_equal(unlink(w->path), 0);
    w->is_serving = false;
}

int world_tear_down(void **state)
{
    struct world *w = *state;
    rpc_client_free(w->client);
    if (w->is_serving) {
        world_stop(w);
    }
    file_close_at(&w->listening);
    (void)unlink(w->path);
    assert_int_equal(rmdir(w->dir), 0);
    free(w);
    return 0;
}

/* ---- the client ---- */

struct rpc_client_config world_config(const struct world *w)
{
    return (struct rpc_client_config){
        .unix_path = w->path, .connect_ms = 2000, .response_max = 60000};
}

void world_client(struct world *w)
{
    struct kerrinfo e = {0};
    struct rpc_client_config config = world_config(w);
    assert_ok(&e, rpc_client_new(&config, &w->client, &e));
}

struct rpc_ask world_ask(const char *path, struct bytes request)
{
    return (struct rpc_ask){.path = path, .request = request, .timeout_ms = CALL_MS};
}

struct rpc_status world_call(struct world *w, const struct rpc_ask *ask, struct buf *ret)
{
    struct kerrinfo e = {0};
    struct rpc_status status = {.code = -1};
    assert_ok(&e, rpc_client_call(w->client, ask, ret, &status, &e));
    return status;
}

int world_code(struct world *w, const struct rpc_ask *ask)
{
    AUTO_BUF answer;
    return world_call(w, ask, &answer).code;
}
