/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/window.h"
#include "tests/lib/testlib.h"

#include <stdlib.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)

static struct bytes text(const char *t)
{
    return bytes_of_text(t);
}

/* The end as a text: keys here are printable. */
static const char *end_from(const struct window *w, const char *from)
{
    static char to[WINDOW_KEY_BYTES + 1];
    return window_end(w, text(from), (uint8_t *)to) ? to : NULL;
}

static void nothing_is_known_at_first(void **state)
{
    struct window w;
    (void)state;
    window_init(&w);
    assert_null(end_from(&w, "/registry/"));
    assert_int_equal(w.limit, 256);
}

static void an_end_lies_some_pages_behind(void **state)
{
    struct window w;
    (void)state;
    window_init(&w);
    /* 11 keys from a00 to a10 in 11 MiB: pages of 8, windows of 4 of them: 32 keys are 2 times as
     * many as came. */
    window_learn(&w, text("a00"), text("a10"), 11, 11 * MIB);
    assert_int_equal(w.limit, 8);
    assert_string_equal(end_from(&w, "a10"), "a30");
    assert_string_equal(end_from(&w, "a1"), "a3");
    assert_null(end_from(&w, "\xff\xff\xff"));
}

static void pages_follow_the_bytes(void **state)
{
    struct window w;
    (void)state;
    window_init(&w);
    window_learn(&w, text("a"), text("b"), 256, 256 * 100);
    assert_int_equal(w.limit, 1024); /* grows slowly */
    for (int i = 0; i < 5; i++) {
        window_learn(&w, text("a"), text("b"), w.limit, w.limit * 100);
    }
    assert_int_equal(w.limit, 32768);
    window_learn(&w, text("a"), text("b"), 100, 100 * MIB);
    assert_int_equal(w.limit, 8); /* shrinks at once */
    window_learn(&w, text("a"), text("a"), 1, 100 * MIB);
    assert_int_equal(w.limit, 1);
    window_learn(&w, text("a"), text("b"), 2, 1);
    assert_int_equal(w.limit, 4);
}

static void answers_that_were_too_large_shrink_it(void **state)
{
    struct window w;
    (void)state;
    window_init(&w);
    assert_true(window_shrink(&w));
    assert_int_equal(w.limit, 16);
    assert_true(window_shrink(&w));
    assert_int_equal(w.limit, 1);
    assert_false(window_shrink(&w));
}

static void gaps_are_crossed_by_growing(void **state)
{
    struct window w;
    (void)state;
    window_init(&w);
    window_learn(&w, text("/a/000000"), text("/a/000255"), 256, 256 * 1000);
    size_t steps = 0;
    const char *end = NULL;
    /* From the last key of one folder into the next. */
    for (; (end = end_from(&w, "/a/999999")) != NULL && strcmp(end, "/b/") < 0; steps++) {
        window_widen(&w, 0);
    }
    assert_true(steps > 5 && steps < 24);
    for (; end_from(&w, "/a/") != NULL; steps++) {
        window_widen(&w, 0);
    }
    assert_true(steps < 30);
    window_widen(&w, 0);
    assert_null(end_from(&w, "/a/")); /* stays without an end */
}

static void windows_grow_by_what_they_lacked(void **state)
{
    struct window w;
    (void)state;
    window_init(&w);
    window_learn(&w, text("a00"), text("a10"), 11, 11 * MIB);
    window_widen(&w, 16); /* half of 4 pages of 8 */
    assert_string_equal(end_from(&w, "a10"), "a50");
    window_widen(&w, 1000); /* enough */
    assert_string_equal(end_from(&w, "a10"), "a50");
    assert_false(window_is_too_wide(&w, 64));
    assert_true(window_is_too_wide(&w, 65));
}

static void an_end_is_always_behind(void **state)
{
    struct window w;
    uint8_t from[WINDOW_KEY_BYTES + 40];
    uint8_t to[WINDOW_KEY_BYTES];
    (void)state;
    window_init(&w);
    memset(from, 'k', sizeof from);
    from[sizeof from - 1] = 'a';
    struct bytes first = BYTES_OF(from);
    window_learn(&w, first, first, 2, 10);
    assert_false(window_end(&w, first, to)); /* keys that differ too late */
    from[WINDOW_KEY_BYTES - 1] = 'j';
    uint8_t last[sizeof from];
    memset(last, 'k', sizeof last);
    window_learn(&w, first, BYTES_OF(last), 2, 10);
    assert_true(window_end(&w, first, to));
    assert_true(memcmp(to, from, sizeof to) > 0);
    window_learn(&w, BYTES_OF(last), first, 2, 10); /* a server that turns them round */
    (void)window_end(&w, first, to);
    window_learn(&w, bytes_of(NULL, 0), bytes_of(NULL, 0), 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(an_end_lies_some_pages_behind),
        cmocka_unit_test(pages_follow_the_bytes),
        cmocka_unit_test(answers_that_were_too_large_shrink_it),
        cmocka_unit_test(gaps_are_crossed_by_growing),
        cmocka_unit_test(windows_grow_by_what_they_lacked),
        cmocka_unit_test(an_end_is_always_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
