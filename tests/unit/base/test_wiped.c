/* SPDX-License-Identifier: Apache-2.0 */
/* base/wiped.h. The linker puts a free() in place that looks at what it is given. */
#include "base/wiped.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/testlib.h"

#define WORDS "words that shall not stay"

void __real_free(void *ptr);
void __wrap_free(void *ptr);

static size_t looked_at; /* bytes of each block, 0: do not look */
static size_t freed;
static size_t found;

void __wrap_free(void *ptr)
{
    if (looked_at > 0 && ptr != NULL) {
        freed++;
        found += memmem(ptr, looked_at, WORDS, strlen(WORDS)) != NULL;
    }
    __real_free(ptr);
}

static void test_wiped_when_freed_or_moved(void **state)
{
    (void)state;
    char *p = wiped_strdup(WORDS);
    assert_non_null(p);
    freed = 0;
    looked_at = strlen(WORDS) + 1;
    p = wiped_realloc(p, 100);
    assert_string_equal(p, WORDS);
    p = wiped_realloc(p, 2000);
    assert_string_equal(p, WORDS);
    wiped_free(p);
    looked_at = 0;
    assert_int_equal(freed, 3);
    assert_int_equal(found, 0);
}

static void test_as_the_c_library(void **state)
{
    (void)state;
    static const char zeros[96];
    char *p = wiped_calloc(12, 8);
    assert_memory_equal(p, zeros, 96);
    memset(p, 'x', 96);
    p = wiped_realloc(p, 4); /* shorter */
    assert_memory_equal(p, "xxxx", 4);
    wiped_free(p);
    wiped_free(NULL);
    p = wiped_realloc(NULL, 10);
    assert_non_null(p);
    wiped_free(p);
    p = wiped_malloc(0);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
    wiped_free(p);
}

static void test_too_much(void **state)
{
    (void)state;
    volatile size_t huge = SIZE_MAX;
    assert_null(wiped_malloc(huge));
    assert_null(wiped_malloc(huge - 8));
    assert_null(wiped_calloc(huge / 2, 3));
    char *p = wiped_strdup("stays");
    assert_null(wiped_realloc(p, huge));
    assert_string_equal(p, "stays");
    wiped_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wiped_when_freed_or_moved),
        cmocka_unit_test(test_as_the_c_library),
        cmocka_unit_test(test_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
