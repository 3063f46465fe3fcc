/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/testlib.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void test_check_refused(enum kerr got, enum kerr want, const struct kerrinfo *e, const char *words,
                        const char *call, const char *file, int line)
{
    if (got != want || strstr(e->text, words) == NULL) {
        print_error("%s: got %s \"%s\", expected %s with \"%s\"\n", call, kerr_name(got), e->text,
                    kerr_name(want), words);
        _fail(file, line);
    }
}

void test_needs(bool is_there, const char *what)
{
    if (!is_there && getenv("ETCDSEAL_TEST_STRICT") != NULL) {
        fail_msg("this test needs %s, and ETCDSEAL_TEST_STRICT lets none be skipped", what);
    }
    if (!is_there) {
        skip();
    }
}

char *test_folder_new(void)
{
    const char *base = getenv("TMPDIR");
    char name[512];
    (void)snprintf(name, sizeof name, "%s/etcdseal-test-XXXXXX", base == NULL ? "/tmp" : base);
    assert_non_null(mkdtemp(name));
    char *copy = strdup(name);
    assert_non_null(copy);
    return copy;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void test_folder_remove(char *folder)
{
    (void)chmod(folder, 0700);
    assert_int_equal(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(folder);
}

char *test_path(const char *folder, const char *name)
{
    char *path = NULL;
    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    return path;
}

void test_write_file(const char *folder, const char *name, struct bytes data)
{
    char *path = test_path(folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data.ptr, data.len), (ssize_t)data.len);
    assert_int_equal(close(fd), 0);
    free(path);
}

struct buf test_read_file(const char *folder, const char *name)
{
    char *path = test_path(folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    struct buf data;
    buf_init(&data, (size_t)st.st_size);
    uint8_t *to = NULL;
    assert_int_equal(buf_extend(&data, (size_t)st.st_size, &to, NULL), KERR_OK);
    assert_int_equal(read(fd, to, (size_t)st.st_size), st.st_size);
    assert_int_equal(close(fd), 0);
    free(path);
    return data;
}
