/* SPDX-License-Identifier: Apache-2.0 */
/* base/file.h: reading. What is written and locked is in test_file_write.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "tests/lib/testlib.h"

struct place {
    char *path;
    struct file_dir dir;
};

static int open_place(void **state)
{
    struct kerrinfo e = {0};
    static struct place p;
    p.path = test_folder_new();
    p.dir = FILE_DIR_NONE;
    assert_ok(&e, file_dir_open(p.path, &p.dir, &e));
    *state = &p;
    return 0;
}

static int close_place(void **state)
{
    struct place *p = *state;
    file_dir_close(&p->dir);
    test_folder_remove(p->path);
    return 0;
}

static void test_close(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    errno = EXDEV;
    file_close_at(&fd);
    assert_int_equal(fd, -1);
    assert_int_equal(errno, EXDEV);
    file_close_at(&fd);
    struct file_dir none = FILE_DIR_NONE;
    file_dir_close(&none);
    file_dir_close(NULL);
}

static void test_folders(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    char *path = test_path(p->path, "new");
    char *link = test_path(p->path, "link");
    char *file = test_path(p->path, "file");
    AUTO_DIR dir = FILE_DIR_NONE;
    assert_int_equal(p->dir.uid, geteuid());
    assert_int_equal(p->dir.mode, 0700);
    assert_string_equal(p->dir.path, p->path);
    assert_refused(&e, KERR_NOTFOUND, "cannot open folder", file_dir_open(path, &dir, &e));
    assert_int_equal(dir.fd, -1);
    assert_ok(&e, file_dir_make(path, &dir, &e));
    assert_int_equal(dir.mode, 0700);
    assert_ok(&e, file_dir_check_private(&dir, &e));
    file_dir_close(&dir);
    assert_ok(&e, file_dir_make(path, &dir, &e)); /* it is there already */
    file_dir_close(&dir);
    assert_int_equal(symlink("new", link), 0);
    assert_refused(&e, KERR_INPUT, "is not a folder, or is a symbolic link to one",
                   file_dir_open(link, &dir, &e));
    assert_refused(&e, KERR_INPUT, "symbolic link", file_dir_make(link, &dir, &e));
    test_write_file(p->path, "file", bytes_of_text("x"));
    assert_refused(&e, KERR_INPUT, "is not a folder", file_dir_open(file, &dir, &e));
    char *deep = test_path(path, "a/b");
    assert_refused(&e, KERR_NOTFOUND, "cannot make folder", file_dir_make(deep, &dir, &e));
    free(deep);
    free(file);
    free(link);
    free(path);
}

static void test_private_folders(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    static const mode_t open_modes[] = {0701, 0710, 0750, 0755, 0704, 0777};
    for (size_t i = 0; i < ARRAY_LEN(open_modes); i++) {
        AUTO_DIR dir = FILE_DIR_NONE;
        assert_int_equal(chmod(p->path, open_modes[i]), 0);
        assert_ok(&e, file_dir_open(p->path, &dir, &e));
        assert_refused(&e, KERR_DENIED, "chmod 0700", file_dir_check_private(&dir, &e));
    }
    assert_int_equal(chmod(p->path, 0700), 0);
    struct file_dir other = p->dir;
    other.uid = 4711;
    if (geteuid() == 0) {
        assert_ok(&e, file_dir_check_private(&other, &e)); /* root may work there */
        assert_int_equal(seteuid(65534), 0);
    }
    assert_refused(&e, KERR_DENIED, "belongs to uid 4711", file_dir_check_private(&other, &e));
    assert_true(geteuid() == 0 || getuid() != 0 || seteuid(0) == 0);
}

static void check_split(const char *path, const char *dir, const char *name)
{
    struct kerrinfo e = {0};
    AUTO_TEXT got_dir = NULL;
    AUTO_TEXT got_name = NULL;
    assert_ok(&e, file_split(path, &got_dir, &got_name, &e));
    assert_string_equal(got_dir, dir);
    assert_string_equal(got_name, name);
}

static void test_split(void **state)
{
    (void)state;
    check_split("x", ".", "x");
    check_split("/x", "/", "x");
    check_split("/a/b/x", "/a/b", "x");
    check_split("a/x", "a", "x");
    check_split("a//x", "a/", "x");
    check_split("/a/..x", "/a", "..x");
    static const char *const bad[] = {"", "/", "a/", "/a/b/", ".", "..", "a/.", "/a/.."};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kerrinfo e = {0};
        char *dir = NULL;
        char *name = NULL;
        assert_refused(&e, KERR_INPUT, "expected the path of a file",
                       file_split(bad[i], &dir, &name, &e));
        assert_null(dir);
        assert_null(name);
    }
}

static void test_read(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    AUTO_BUF b = {0};
    test_write_file(p->path, "f", bytes_of("a\0b", 3));
    assert_ok(&e, file_read(&p->dir, "f", 3, FILE_READ_PRIVATE, &b, &e));
    assert_true(bytes_equal(buf_view(&b), bytes_of("a\0b", 3)));
    assert_int_equal(b.max, 3);
    buf_done(&b);
    char *path = test_path(p->path, "f");
    assert_ok(&e, file_read(NULL, path, 100, FILE_READ_ANY, &b, &e));
    assert_int_equal(b.len, 3);
    buf_done(&b);
    test_write_file(p->path, "f", bytes_of_text(""));
    assert_ok(&e, file_read(&p->dir, "f", 0, FILE_READ_ANY, &b, &e));
    assert_int_equal(b.len, 0);
    free(path);
}

static void test_too_large(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    AUTO_BUF b = {0};
    AUTO_SECRET s = NULL;
    test_write_file(p->path, "f", bytes_of_text("12345"));
    assert_refused(&e, KERR_LIMIT, "f is larger than 4 bytes",
                   file_read(&p->dir, "f", 4, FILE_READ_ANY, &b, &e));
    assert_refused(&e, KERR_LIMIT, "f is larger than 4 bytes",
                   file_read_secret(&p->dir, "f", 4, FILE_READ_ANY, &s, &e));
    assert_ok(&e, file_read_secret(&p->dir, "f", 5, FILE_READ_ANY, &s, &e));
    assert_true(bytes_equal_text(secret_view(s), "12345"));
    /* A file that has no size until it is read. */
    assert_refused(&e, KERR_BUSY, "changed while it was read",
                   file_read(NULL, "/proc/self/status", 100, FILE_READ_ANY, &b, &e));
    secret_free_at(&s);
    assert_refused(&e, KERR_LIMIT, "larger than 100 bytes",
                   file_read_secret(NULL, "/proc/self/status", 100, FILE_READ_ANY, &s, &e));
    assert_null(s);
}

/* Whatever lies in the file's place, nothing is opened that is not a plain file, and nothing
 * hangs. */
static void check_refused_file(const struct place *p, const char *name, enum kerr code,
                               const char *words)
{
    struct kerrinfo e = {0};
    AUTO_BUF b = {0};
    AUTO_SECRET s = NULL;
    assert_refused(&e, code, words, file_read(&p->dir, name, 100, FILE_READ_ANY, &b, &e));
    assert_refused(&e, code, words, file_read_secret(&p->dir, name, 100, FILE_READ_ANY, &s, &e));
    assert_null(s);
    assert_null(b.ptr);
}

static void test_not_a_file(void **state)
{
    struct place *p = *state;
    check_refused_file(p, "none", KERR_NOTFOUND, "none");
    test_write_file(p->path, "real", bytes_of_text("x"));
    assert_int_equal(symlinkat("real", p->dir.fd, "link"), 0);
    check_refused_file(p, "link", KERR_DENIED, "link is a symbolic link");
    assert_int_equal(symlinkat("nowhere", p->dir.fd, "dangling"), 0);
    check_refused_file(p, "dangling", KERR_DENIED, "symbolic link");
    assert_int_equal(mkfifoat(p->dir.fd, "fifo", 0600), 0);
    check_refused_file(p, "fifo", KERR_INPUT, "fifo is not a regular file");
    assert_int_equal(mkdirat(p->dir.fd, "folder", 0700), 0);
    check_refused_file(p, "folder", KERR_INPUT, "folder is not a regular file");
    check_refused_file(p, "/dev/zero", KERR_INPUT, "not a regular file");
    char *path = test_path(p->path, "sock");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof a.sun_path);
    memcpy(a.sun_path, path, strlen(path) + 1);
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    check_refused_file(p, "sock", KERR_INPUT, "sock is not a regular file");
    free(path);
}

static void test_private_files(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    static const mode_t open_modes[] = {0601, 0610, 0640, 0644, 0604};
    test_write_file(p->path, "f", bytes_of_text("x"));
    for (size_t i = 0; i < ARRAY_LEN(open_modes); i++) {
        AUTO_BUF b = {0};
        AUTO_SECRET s = NULL;
        assert_int_equal(fchmodat(p->dir.fd, "f", open_modes[i], 0), 0);
        assert_refused(&e, KERR_DENIED, "chmod 0600 ",
                       file_read(&p->dir, "f", 10, FILE_READ_PRIVATE, &b, &e));
        assert_refused(&e, KERR_DENIED, "chmod 0600 ",
                       file_read_secret(&p->dir, "f", 10, FILE_READ_PRIVATE, &s, &e));
        assert_ok(&e, file_read(&p->dir, "f", 10, FILE_READ_ANY, &b, &e));
    }
    AUTO_BUF b = {0};
    assert_int_equal(fchmodat(p->dir.fd, "f", 0400, 0), 0);
    assert_ok(&e, file_read(&p->dir, "f", 10, FILE_READ_PRIVATE, &b, &e));
}

static void test_owned_files(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    AUTO_BUF b = {0};
    test_write_file(p->path, "f", bytes_of_text("x"));
    assert_ok(&e, file_read(&p->dir, "f", 10, FILE_READ_OWNED, &b, &e));
    buf_done(&b);
    test_needs_root(); /* only root can give a file away */
    assert_int_equal(fchownat(p->dir.fd, "f", 4711, 4711, 0), 0);
    assert_refused(&e, KERR_DENIED, "f belongs to uid 4711 and its folder to uid 0: chown 0 ",
                   file_read(&p->dir, "f", 10, FILE_READ_OWNED, &b, &e));
    assert_ok(&e, file_read(&p->dir, "f", 10, FILE_READ_PRIVATE, &b, &e));
}

/* Who owns a key file knows the key. */
static void test_key_files(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    AUTO_SECRET s = NULL;
    char *path = test_path(p->path, "key");
    assert_refused(&e, KERR_NOTFOUND, "key", file_read_key(path, 4711, 10, &s, &e));
    test_write_file(p->path, "key", bytes_of_text("k"));
    assert_ok(&e, file_read_key(path, 4711, 10, &s, &e)); /* ours */
    secret_free_at(&s);
    assert_int_equal(chmod(path, 0640), 0);
    assert_refused(&e, KERR_DENIED, "chmod 0600 ", file_read_key(path, 4711, 10, &s, &e));
    assert_int_equal(chmod(path, 0600), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 4711, 4711), 0);
        assert_ok(&e, file_read_key(path, 4711, 10, &s, &e));
        secret_free_at(&s);
        assert_refused(&e, KERR_DENIED, "4711", file_read_key(path, 4712, 10, &s, &e));
    }
    assert_null(s);
    free(path);
}

static void test_empty_secret(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    AUTO_SECRET s = NULL;
    test_write_file(p->path, "f", bytes_of_text(""));
    assert_refused(&e, KERR_INPUT, "f is empty",
                   file_read_secret(&p->dir, "f", 10, FILE_READ_ANY, &s, &e));
    assert_null(s);
}

static void test_descriptors(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SECRET s = NULL;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    AUTO_FD read_end = ends[0];
    AUTO_FD write_end = ends[1];
    assert_int_equal(write(write_end, "secret", 6), 6);
    file_close_at(&write_end);
    assert_ok(&e, file_read_fd_secret(read_end, "fd 3", 6, &s, &e));
    assert_true(bytes_equal_text(secret_view(s), "secret"));
    secret_free_at(&s);
    assert_refused(&e, KERR_INPUT, "fd 3 is empty",
                   file_read_fd_secret(read_end, "fd 3", 6, &s, &e));
    assert_refused(&e, KERR_IO, "cannot read fd 99", file_read_fd_secret(-1, "fd 99", 6, &s, &e));
    assert_null(s);
}

static void test_exists(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    bool is_there = true;
    assert_ok(&e, file_exists(&p->dir, "f", &is_there, &e));
    assert_false(is_there);
    assert_int_equal(symlinkat("nowhere", p->dir.fd, "f"), 0);
    assert_ok(&e, file_exists(&p->dir, "f", &is_there, &e));
    assert_true(is_there);
    char name[300];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    assert_refused(&e, KERR_IO, "cannot look for nnn", file_exists(&p->dir, name, &is_there, &e));
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, open_place, close_place)

int main(void)
{
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close),
        WITH_PLACE(test_folders),
        WITH_PLACE(test_private_folders),
        cmocka_unit_test(test_split),
        WITH_PLACE(test_read),
        WITH_PLACE(test_too_large),
        WITH_PLACE(test_not_a_file),
        WITH_PLACE(test_private_files),
        WITH_PLACE(test_owned_files),
        WITH_PLACE(test_key_files),
        WITH_PLACE(test_empty_secret),
        cmocka_unit_test(test_descriptors),
        WITH_PLACE(test_exists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
