/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the client share: a socket, our own server behind it, a client before it. Every
 * function fails the test when something that it needs does not work. */
#ifndef ETCDSEAL_TESTS_UNIT_RPC_WORLD_H
#define ETCDSEAL_TESTS_UNIT_RPC_WORLD_H

#include "tests/unit/rpc/bench.h"

#include "rpc/rpc_client.h"

#define CALL_MS 20000

struct world {
    char dir[64];
    char path[96]; /* of the socket */
    int listening;
    struct bench bench;
    pthread_t door;
    bool is_serving;
    struct rpc_client *client;
};

/* One for each test: cmocka's set up and tear down. Nobody listens yet. */
int world_set_up(void **state);
int world_tear_down(void **state);
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_set_up, world_tear_down)

void world_listen(struct world *w);
void world_serve(struct world *w); /* listens, with a running bench behind it */
void world_stop(struct world *w);  /* ends that; the name of the socket goes */

struct rpc_client_config world_config(const struct world *w);
void world_client(struct world *w); /* over the unix socket */
struct rpc_ask world_ask(const char *path, struct bytes request);
struct rpc_status world_call(struct world *w, const struct rpc_ask *ask, struct buf *ret);
int world_code(struct world *w, const struct rpc_ask *ask); /* of the same, without the answer */

#endif
