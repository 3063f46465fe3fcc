/* SPDX-License-Identifier: Apache-2.0 */
/* config/go_duration.h: what Go reads, and what it does not. */
#include <string.h>

#include "config/go_duration.h"
#include "tests/lib/testlib.h"

#define S 1000000000

struct good {
    const char *text;
    int64_t ns;
};

static const struct good goods[] = {
    {"0", 0},
    {"-0", 0},
    {"0s", 0},
    {"3s", (int64_t)3 * S},
    {"+3s", (int64_t)3 * S},
    {"-3s", (int64_t)-3 * S},
    {"500ms", S / 2},
    {"1.5s", (int64_t)3 * S / 2},
    {".5s", S / 2},
    {"1.s", S},
    {"1m30s", (int64_t)90 * S},
    {"1h0m0s", (int64_t)3600 * S},
    {"1h2m3.004s", (int64_t)3723 * S + 4000000},
    {"10us", 10000},
    {"10\xc2\xb5s", 10000},
    {"10\xce\xbcs", 10000},
    {"7ns", 7},
    {"1.00000000000000000000000000000001s", S},
    {"9223372036854775807ns", INT64_MAX},
    {"2562047h", (int64_t)2562047 * 3600 * S},
};

static const char *const bads[] = {
    "",
    "-",
    "+",
    "3",
    "s",
    ".s",
    "1.5",
    "3 s",
    "3S",
    "3d",
    "1m30",
    "--3s",
    "3s ",
    "3s-1s",
    "1..s",
    "1.2.3s",
    "abc",
    "2562048h",
    "9223372036854775808ns",
    "9223372036854775807ns1ns",
    "1e3s",
    "\xb5s",
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
        int64_t ns = -1;
        if (!go_duration_ns(goods[i].text, &ns) || ns != goods[i].ns) {
            fail_msg("%s: %lld", goods[i].text, (long long)ns);
        }
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
        int64_t ns = 42;
        if (go_duration_ns(bads[i], &ns) || ns != 42) {
            fail_msg("%s was read as %lld", bads[i], (long long)ns);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
