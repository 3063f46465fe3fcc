/* SPDX-License-Identifier: Apache-2.0 */
#include "base/outfile.h"
#include "tests/lib/testlib.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct kerrinfo e;
static char *folder;
static struct file_dir dir;

static int start(void **state)
{
    (void)state;
    folder = test_folder_new();
    kerr_clear(&e);
    return file_dir_open(folder, &dir, &e) == KERR_OK ? 0 : 1;
}

static int end(void **state)
{
    (void)state;
    file_dir_close(&dir);
    test_folder_remove(folder);
    return 0;
}

static void check_content(const char *name, const char *want)
{
    AUTO_BUF got = test_read_file(folder, name);
    assert_true(bytes_equal_text(buf_view(&got), want));
}

static size_t count_names(void)
{
    size_t count = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d) != NULL) {
        count++;
    }
    (void)closedir(d);
    return count - 2; /* "." and ".." */
}

static void write_whole(const char *name, mode_t mode, const char *text)
{
    AUTO_OUTFILE f = OUTFILE_NONE;
    assert_ok(&e, outfile_begin(&dir, name, mode, &f, &e));
    assert_ok(&e, outfile_put(&f, bytes_of_text(text), &e));
    assert_ok(&e, outfile_put(&f, bytes_of(NULL, 0), &e));
    assert_ok(&e, outfile_put(&f, bytes_of_text("\n"), &e));
    assert_ok(&e, outfile_sync(&f, &e));
    assert_ok(&e, outfile_place(&f, &e));
}

static void test_whole(void **state)
{
    (void)state;
    struct stat st;
    mode_t old = umask(077);
    write_whole("report", 0644, "first");
    check_content("report", "first\n");
    write_whole("report", 0640, "second");
    (void)umask(old);
    check_content("report", "second\n");
    assert_int_equal(fstatat(dir.fd, "report", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(count_names(), 1);
}

static void test_not_placed(void **state)
{
    (void)state;
    test_write_file(folder, "report", bytes_of_text("old"));
    {
        AUTO_OUTFILE f = OUTFILE_NONE;
        assert_ok(&e, outfile_begin(&dir, "report", 0640, &f, &e));
        assert_ok(&e, outfile_put(&f, bytes_of_text("new"), &e));
        assert_int_equal(count_names(), 2);
        check_content("report", "old");
    }
    check_content("report", "old");
    assert_int_equal(count_names(), 1);
    AUTO_OUTFILE none = OUTFILE_NONE;
    outfile_done(&none);
}

/* A process of this id was killed before. */
static void test_left_over(void **state)
{
    (void)state;
    char name[64];
    (void)snprintf(name, sizeof name, ".report.%ld.tmp", (long)getpid());
    test_write_file(folder, name, bytes_of_text("left over"));
    write_whole("report", 0640, "new");
    check_content("report", "new\n");
    assert_int_equal(count_names(), 1);
}

static void test_refused(void **state)
{
    (void)state;
    AUTO_OUTFILE f = OUTFILE_NONE;
    char name[NAME_MAX + 1];
    memset(name, 'n', sizeof name);
    name[NAME_MAX] = 0;
    assert_refused(&e, KERR_LIMIT, "too long", outfile_begin(&dir, name, 0640, &f, &e));
    assert_int_equal(mkdirat(dir.fd, "folder", 0700), 0);
    assert_int_equal(symlinkat("/dev/null", dir.fd, "link"), 0);
    assert_int_equal(mkfifoat(dir.fd, "pipe", 0600), 0);
    static const char *const odd[] = {"folder", "link", "pipe"};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        assert_refused(&e, KERR_INPUT, "not a regular file",
                       outfile_begin(&dir, odd[i], 0640, &f, &e));
    }
    assert_int_equal(count_names(), 3);
}

static void test_gone_folder(void **state)
{
    (void)state;
    AUTO_OUTFILE f = OUTFILE_NONE;
    assert_int_equal(rmdir(folder), 0);
    assert_refused(&e, KERR_NOTFOUND, "report", outfile_begin(&dir, "report", 0640, &f, &e));
    assert_int_equal(mkdir(folder, 0700), 0);
}

/* As a full disk answers: some of it, then nothing. */
static void test_full(void **state)
{
    (void)state;
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = {.rlim_cur = 10, .rlim_max = old.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    {
        AUTO_OUTFILE f = OUTFILE_NONE;
        assert_ok(&e, outfile_begin(&dir, "report", 0640, &f, &e));
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        enum kerr k = outfile_put(&f, bytes_of_text("more than ten bytes"), &e);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(k, KERR_IO);
        assert_non_null(strstr(e.text, "report"));
    }
    assert_int_equal(count_names(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, start, end),
        cmocka_unit_test_setup_teardown(test_not_placed, start, end),
        cmocka_unit_test_setup_teardown(test_left_over, start, end),
        cmocka_unit_test_setup_teardown(test_refused, start, end),
        cmocka_unit_test_setup_teardown(test_gone_folder, start, end),
        cmocka_unit_test_setup_teardown(test_full, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
