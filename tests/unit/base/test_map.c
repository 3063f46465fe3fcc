/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/lib/testlib.h"

#define LARGE ((size_t)160 << 20)
#define PAGE  ((size_t)sysconf(_SC_PAGESIZE))

static struct kerrinfo e;
static char *folder;
static char *path;

static int start(void **state)
{
    (void)state;
    folder = test_folder_new();
    path = test_path(folder, "file");
    test_write_file(folder, "file", bytes_of_text("what it holds"));
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(path);
    test_folder_remove(folder);
    return 0;
}

static void test_maps_a_file(void **state)
{
    (void)state;
    AUTO_MAP m = FILE_MAP_NONE;
    assert_ok(&e, file_map_open(path, &m, &e));
    assert_true(bytes_equal_text(m.data, "what it holds"));
    file_map_close(&m);
    assert_true(m.fd == -1 && m.data.len == 0);
    char *link = test_path(folder, "link");
    assert_int_equal(symlink("file", link), 0);
    assert_ok(&e, file_map_open(link, &m, &e));
    assert_true(bytes_equal_text(m.data, "what it holds"));
    free(link);
}

/* What is read is the same; also where nothing was read. */
static void test_reads_ahead(void **state)
{
    (void)state;
    AUTO_MAP m = FILE_MAP_NONE;
    size_t len = ((size_t)4 << 20) + 5000;
    uint8_t *data = malloc(len);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)(i * 7 >> 3);
    }
    char *large = test_path(folder, "large");
    test_write_file(folder, "large", bytes_of(data, len));
    for (int i = 0; i < 3; i++) {
        assert_ok(&e, file_map_open(large, &m, &e));
        file_map_read_ahead(&m);
        assert_non_null(m.ahead);
        assert_true(i == 0 || bytes_equal(m.data, bytes_of(data, len)));
        file_map_close(&m);
        assert_null(m.ahead);
    }
    free(large);
    free(data);
}

/* madvise and mincore have one pointer type, also for what they do not write. */
static void *start_of(const struct file_map *m)
{
    union {
        const uint8_t *in;
        void *out;
    } u = {.in = m->data.ptr};
    return u.out;
}

/* Of all pages, as the kernel says. */
static size_t count_in_memory(const struct file_map *m)
{
    static unsigned char seen[LARGE / 1024];
    size_t pages = (m->data.len + PAGE - 1) / PAGE;
    assert_true(pages <= sizeof seen);
    assert_int_equal(mincore(start_of(m), m->data.len, seen), 0);
    size_t count = 0;
    for (size_t i = 0; i < pages; i++) {
        count += seen[i] & 1;
    }
    return count;
}

/* All of a file that is not in memory is brought there, without anybody who reads it. */
static void test_brings_all_from_the_disk(void **state)
{
    (void)state;
    AUTO_MAP m = FILE_MAP_NONE;
    char *cold = test_path(folder, "cold");
    size_t len = ((size_t)5 << 20) + 5000;
    uint8_t *data = calloc(len, 1);
    assert_non_null(data);
    test_write_file(folder, "cold", bytes_of(data, len));
    AUTO_FD fd = open(cold, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && fsync(fd) == 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    assert_ok(&e, file_map_open(cold, &m, &e));
    file_map_read_ahead(&m);
    for (int i = 0; i < 1000 && count_in_memory(&m) * PAGE < len; i++) {
        (void)usleep(10000);
    }
    assert_true(count_in_memory(&m) * PAGE >= len);
    free(cold);
    free(data);
}

/* So large that two threads let it go: nothing of it stays mapped. */
static void test_closes_a_large_one(void **state)
{
    (void)state;
    AUTO_MAP m = FILE_MAP_NONE;
    assert_int_equal(truncate(path, LARGE), 0);
    assert_ok(&e, file_map_open(path, &m, &e));
    uint8_t all = 0;
    for (size_t at = 0; at < m.data.len; at += PAGE) {
        all |= m.data.ptr[at];
    }
    assert_int_equal(all, 'w');
    void *was = start_of(&m);
    file_map_close(&m);
    unsigned char seen;
    for (size_t at = 0; at < LARGE; at += LARGE / 8) {
        assert_int_equal(mincore((char *)was + at, 1, &seen), -1);
        assert_int_equal(errno, ENOMEM);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct file_map m = FILE_MAP_NONE;
    char *none = test_path(folder, "none");
    char *empty = test_path(folder, "empty");
    char *pipe_path = test_path(folder, "pipe");
    test_write_file(folder, "empty", bytes_of(NULL, 0));
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_refused(&e, KERR_NOTFOUND, "none", file_map_open(none, &m, &e));
    assert_refused(&e, KERR_INPUT, "empty", file_map_open(empty, &m, &e));
    assert_refused(&e, KERR_INPUT, "regular", file_map_open(folder, &m, &e));
    assert_refused(&e, KERR_INPUT, "regular", file_map_open(pipe_path, &m, &e));
    assert_int_equal(m.fd, -1);
    free(none);
    free(empty);
    free(pipe_path);
}

/* A lock of etcd's kind keeps it from being opened; readers share. */
static void test_locks(void **state)
{
    (void)state;
    AUTO_MAP m = FILE_MAP_NONE;
    AUTO_MAP second = FILE_MAP_NONE;
    AUTO_FD writer = open(path, O_RDWR | O_CLOEXEC);
    assert_true(writer >= 0);
    assert_int_equal(flock(writer, LOCK_EX | LOCK_NB), 0);
    assert_refused(&e, KERR_BUSY, "in use", file_map_open(path, &m, &e));
    assert_int_equal(flock(writer, LOCK_UN), 0);
    assert_ok(&e, file_map_open(path, &m, &e));
    assert_ok(&e, file_map_open(path, &second, &e));
    assert_int_equal(flock(writer, LOCK_EX | LOCK_NB), -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_maps_a_file, start, end),
        cmocka_unit_test_setup_teardown(test_reads_ahead, start, end),
        cmocka_unit_test_setup_teardown(test_brings_all_from_the_disk, start, end),
        cmocka_unit_test_setup_teardown(test_closes_a_large_one, start, end),
        cmocka_unit_test_setup_teardown(test_refusals, start, end),
        cmocka_unit_test_setup_teardown(test_locks, start, end),
    };
    return cmocka_run_group_tests_name("base.map", tests, NULL, NULL);
}
