/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces of a member's database: what is handed on, and what is refused. What comes over the
 * wire stands here as each test says. */
#include <stdio.h>
#include <string.h>

#include "etcd/ask.h"
#include "tests/unit/etcd/answers.h"

#define PIECES_MAX 6
#define URL        "http://10.0.0.1:2379"

static struct kerrinfo e;

struct sent {
    uint64_t remaining;
    size_t len;
};

static struct {
    struct sent pieces[PIECES_MAX];
    size_t count;
    struct bytes garbage; /* as the last one */
    enum kerr end;        /* after them */
} wire;

enum kerr __wrap_etcd_ask(struct etcd *c, struct question *q, bool with_token,
                          struct kerrinfo *info);
enum kerr __wrap_etcd_ask(struct etcd *c, struct question *q, bool with_token,
                          struct kerrinfo *info)
{
    static const uint8_t blank[256];
    enum kerr k = KERR_OK;
    (void)c;
    assert_true(with_token && q->is_for_one && !q->is_secret && q->request.len == 0);
    assert_string_equal(q->path, "/etcdserverpb.Maintenance/Snapshot");
    assert_non_null(strstr(q->denied, "role root"));
    for (size_t i = 0; i < wire.count && k == KERR_OK; i++) {
        AUTO_BUF m;
        buf_init(&m, 1000);
        put_number(&m, 2, wire.pieces[i].remaining);
        put_bytes(&m, 3, bytes_of(blank, wire.pieces[i].len));
        put_bytes(&m, 4, bytes_of_text("3.6.0"));
        k = q->take(q->ctx, buf_view(&m), info);
        assert_true(q->has_messages);
    }
    k = k == KERR_OK && wire.garbage.len > 0 ? q->take(q->ctx, wire.garbage, info) : k;
    return k != KERR_OK || wire.end == KERR_OK ? k : kerr_set(info, wire.end, URL ": it says so");
}

struct taken {
    uint64_t bytes;
    uint64_t total;
    enum kerr answer;
};

static enum kerr take(void *ctx, const struct etcd_piece *piece, struct kerrinfo *info)
{
    struct taken *t = ctx;
    assert_int_equal(piece->at, t->bytes);
    t->bytes += piece->data.len;
    t->total = piece->total;
    assert_true(t->bytes <= t->total);
    return t->answer == KERR_OK ? KERR_OK : kerr_set(info, t->answer, "enough");
}

static struct etcd client = {.count = 1};

static int set_up(void **state)
{
    (void)state;
    memset(&wire, 0, sizeof wire);
    (void)snprintf(client.endpoints[0].text, sizeof client.endpoints[0].text, "%s", URL);
    return 0;
}

static enum kerr run(struct taken *t, const struct sent *pieces, size_t count)
{
    memcpy(wire.pieces, pieces, count * sizeof *pieces);
    wire.count = count;
    t->bytes = 0;
    return etcd_snapshot(&client, take, t, &e);
}

static void all_that_was_promised(void **state)
{
    static const struct sent good[] = {{150, 50}, {50, 100}, {0, 50}, {0, 32}};
    struct taken t = {.answer = KERR_OK};
    (void)state;
    assert_ok(&e, run(&t, good, ARRAY_LEN(good)));
    assert_true(t.bytes == 232 && t.total == 232);
    static const struct sent one[] = {{0, 200}, {0, 32}};
    assert_ok(&e, run(&t, one, ARRAY_LEN(one)));
    assert_true(t.bytes == 232);
}

static void more_or_fewer_bytes(void **state)
{
    static const struct {
        struct sent pieces[4];
        size_t count;
        const char *words;
    } rows[] = {
        {{{150, 50}, {50, 101}}, 2, "behind byte 50: more bytes than it had promised, or fewer"},
        {{{150, 50}, {51, 100}}, 2, "or fewer"},
        {{{150, 50}, {49, 100}}, 2, "or fewer"},
        {{{50, 50}, {0, 51}}, 2, "or fewer"},
        {{{50, 50}, {UINT64_MAX, 51}}, 2, "or fewer"},
        {{{50, 50}, {50, 0}}, 2, "a piece without bytes"},
        {{{0, 50}, {0, 31}}, 2, "or no hash"},
        {{{0, 50}, {0, 33}}, 2, "or no hash"},
        {{{0, 50}, {1, 32}}, 2, "or no hash"},
        {{{0, 50}, {0, 32}, {0, 32}}, 3, "behind byte 82: bytes behind its hash"},
        {{{UINT64_MAX, 50}}, 1, "a size that no file can have"},
        {{{INT64_MAX - 50, 50}}, 1, "a size that no file can have"},
    };
    struct taken t = {.answer = KERR_OK};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_refused(&e, KERR_FORMAT, rows[i].words, run(&t, rows[i].pieces, rows[i].count));
        assert_non_null(strstr(e.text, URL ": the database that it sends is damaged"));
    }
}

static void what_breaks_off(void **state)
{
    static const struct sent pieces[] = {{150, 50}, {50, 100}, {0, 50}};
    struct taken t = {.answer = KERR_OK};
    (void)state;
    assert_refused(&e, KERR_DOWN,
                   URL ": the database that it sends broke off after 200 of 232 bytes",
                   run(&t, pieces, 3));
    assert_refused(&e, KERR_DOWN, "broke off after 50 of 232 bytes", run(&t, pieces, 1));
    assert_refused(&e, KERR_DOWN, "broke off after 0 of 0 bytes", run(&t, pieces, 0));
    wire.end = KERR_DOWN;
    assert_refused(&e, KERR_DOWN, "broke off after 150 of 232 bytes", run(&t, pieces, 2));
    assert_refused(&e, KERR_DOWN, "it says so", run(&t, pieces, 0));
    wire.end = KERR_DENIED;
    assert_refused(&e, KERR_DENIED, "it says so", run(&t, pieces, 0));
}

static void what_is_no_piece(void **state)
{
    static const struct sent pieces[] = {{150, 50}};
    struct taken t = {.answer = KERR_OK};
    (void)state;
    wire.garbage = bytes_of_text("\x10");
    assert_refused(&e, KERR_FORMAT, URL ": a piece of a database is damaged", run(&t, pieces, 1));
    wire.garbage = bytes_of_text("\x12\x01x"); /* remaining_bytes as bytes */
    assert_refused(&e, KERR_FORMAT, "is damaged", run(&t, pieces, 1));
    wire.garbage = bytes_of_text("\x18\x01"); /* blob as a number */
    assert_refused(&e, KERR_FORMAT, "is damaged", run(&t, pieces, 1));
}

static void who_takes_it_may_end_it(void **state)
{
    static const struct sent pieces[] = {{150, 50}, {50, 100}};
    struct taken t = {.answer = KERR_NOMEM};
    (void)state;
    assert_refused(&e, KERR_NOMEM, "enough", run(&t, pieces, 2));
    assert_int_equal(t.bytes, 50);
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_that_was_promised), TEST(more_or_fewer_bytes),     TEST(what_breaks_off),
        TEST(what_is_no_piece),      TEST(who_takes_it_may_end_it),
    };
    return cmocka_run_group_tests_name("etcd.snapshot", tests, NULL, NULL);
}
