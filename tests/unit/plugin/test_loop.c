/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/loop.h"
#include "tests/lib/testlib.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"

static struct loop *loop;
static struct kerrinfo e;

static int setup(void **state)
{
    (void)state;
    assert_ok(&e, loop_new(&loop, &e));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

struct counter {
    int fd;
    unsigned count;
    uint32_t events;
};

static void count_and_read(void *ctx, uint32_t events)
{
    struct counter *c = ctx;
    char byte;
    c->count++;
    c->events = events;
    ssize_t n = read(c->fd, &byte, 1);
    (void)n;
}

static void test_source(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct counter c = {.fd = fds[0]};
    struct loop_source s = {.fd = fds[0], .fn = count_and_read, .ctx = &c};
    assert_ok(&e, loop_add(loop, &s, EPOLLIN, &e));
    assert_ok(&e, loop_turn(loop, 0, &e));
    assert_int_equal(c.count, 0);
    assert_int_equal(write(fds[1], "ab", 2), 2);
    assert_ok(&e, loop_turn(loop, 1000, &e));
    assert_int_equal(c.count, 1);
    assert_true((c.events & EPOLLIN) != 0);
    loop_remove(loop, &s);
    assert_int_equal(s.fd, -1);
    assert_ok(&e, loop_turn(loop, 0, &e));
    assert_int_equal(c.count, 1);
    loop_remove(loop, &s);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* Each source removes the other: were two events taken at once, the second would be of a source
 * that is gone. */
struct rival {
    struct loop_source source;
    struct rival **other;
    unsigned *turns;
};

static void remove_other(void *ctx, uint32_t events)
{
    (void)events;
    struct rival *r = ctx;
    (*r->turns)++;
    if (*r->other != NULL) {
        loop_remove(loop, &(*r->other)->source);
        free(*r->other);
        *r->other = NULL;
    }
}

static void test_a_source_may_free_another_one_with_an_event(void **state)
{
    (void)state;
    int fds[2][2];
    unsigned turns = 0;
    struct rival *rivals[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pipe(fds[i]), 0);
        assert_int_equal(write(fds[i][1], "x", 1), 1);
        rivals[i] = calloc(1, sizeof *rivals[i]);
        assert_non_null(rivals[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        *rivals[i] =
            (struct rival){.source = {.fd = fds[i][0], .fn = remove_other, .ctx = rivals[i]},
                           .other = &rivals[1 - i],
                           .turns = &turns};
        assert_ok(&e, loop_add(loop, &rivals[i]->source, EPOLLIN, &e));
    }
    assert_ok(&e, loop_turn(loop, 1000, &e));
    assert_ok(&e, loop_turn(loop, 1000, &e));
    assert_int_equal(turns, 2);
    assert_true((rivals[0] == NULL) != (rivals[1] == NULL));
    for (size_t i = 0; i < 2; i++) {
        if (rivals[i] != NULL) {
            loop_remove(loop, &rivals[i]->source);
            free(rivals[i]);
        }
        (void)close(fds[i][0]);
        (void)close(fds[i][1]);
    }
}

static void test_adding_a_bad_descriptor_is_refused(void **state)
{
    (void)state;
    struct loop_source s = {.fd = -1, .fn = count_and_read};
    assert_refused(&e, KERR_IO, "cannot watch", loop_add(loop, &s, EPOLLIN, &e));
}

static void count(void *ctx, uint32_t events)
{
    (void)events;
    (*(unsigned *)ctx)++;
}

static void turn_for(uint64_t ms)
{
    uint64_t until = clock_mono_ms() + ms;
    while (clock_mono_ms() < until) {
        assert_ok(&e, loop_turn(loop, 5, &e));
    }
}

static void test_timer(void **state)
{
    (void)state;
    unsigned fired = 0;
    struct loop_timer t = LOOP_TIMER_NONE;
    loop_timer_done(&t);
    assert_ok(&e, loop_timer_init(&t, loop, count, &fired, &e));
    turn_for(20);
    assert_int_equal(fired, 0);
    loop_timer_set(&t, 0, 0);
    turn_for(50);
    assert_int_equal(fired, 1);
    loop_timer_set(&t, 20, 20);
    turn_for(200);
    assert_in_range(fired, 3, 11);
    loop_timer_stop(&t);
    unsigned before = fired;
    turn_for(60);
    assert_int_equal(fired, before);
    loop_timer_set(&t, 10, 0);
    loop_timer_set(&t, 60000, 0);
    turn_for(50);
    assert_int_equal(fired, before);
    loop_timer_done(&t);
    loop_timer_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_source, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_source_may_free_another_one_with_an_event, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_adding_a_bad_descriptor_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
