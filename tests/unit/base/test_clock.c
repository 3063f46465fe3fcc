/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.h: units, order, RFC 3339. */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tests/lib/testlib.h"

static void test_clocks(void **state)
{
    (void)state;
    uint64_t now = (uint64_t)time(NULL);
    assert_in_range(clock_wall_s(), now - 1, now + 5);
    uint64_t before = clock_mono_ns();
    assert_true(clock_mono_ns() >= before);
    assert_in_range(clock_mono_ms(), before / 1000000, before / 1000000 + 5000);
}

static void check_time(uint64_t s, const char *want)
{
    char text[CLOCK_TEXT_BYTES];
    clock_format_s(s, text);
    assert_string_equal(text, want);
}

static void test_texts(void **state)
{
    (void)state;
    check_time(0, "1970-01-01T00:00:00Z");
    check_time(951782400, "2000-02-29T00:00:00Z");
    check_time(1795487500, "2026-11-24T02:31:40Z");
    check_time(4294967296, "2106-02-07T06:28:16Z");
    check_time(253402300799, "9999-12-31T23:59:59Z");
    check_time(253402300800, "9999-12-31T23:59:59Z");
    check_time(UINT64_MAX, "9999-12-31T23:59:59Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
