/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/process.h"
#include "tests/lib/testlib.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void test_figures_are_there(void **state)
{
    (void)state;
    struct process_figures f;
    process_figures_get(&f);
    assert_true(f.resident_bytes > 100000);
    assert_true(f.virtual_bytes > f.resident_bytes);
    assert_true(f.threads >= 1 && f.threads < 100);
    assert_true(f.open_fds >= 1 && f.open_fds <= f.max_fds);
}

static void test_descriptors_and_locks_are_counted(void **state)
{
    (void)state;
    struct process_figures before;
    struct process_figures after;
    process_figures_get(&before);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    void *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
#ifdef ETCDSEAL_SANITIZED
    bool is_locked = false; /* sanitizers make mlock do nothing */
#else
    bool is_locked = mlock(page, 8192) == 0;
#endif
    process_figures_get(&after);
    assert_int_equal(after.open_fds, before.open_fds + 1);
    assert_int_equal(after.locked_bytes, before.locked_bytes + (is_locked ? 8192 : 0));
    (void)munmap(page, 8192);
    (void)close(fd);
}

static void test_cpu_time_grows(void **state)
{
    (void)state;
    struct process_figures f;
    process_figures_get(&f);
    uint64_t before = f.cpu_us;
    for (int i = 0; i < 1000 && f.cpu_us < before + 5000; i++) {
        process_figures_get(&f);
    }
    assert_true(f.cpu_us >= before + 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures_are_there),
        cmocka_unit_test(test_descriptors_and_locks_are_counted),
        cmocka_unit_test(test_cpu_time_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
