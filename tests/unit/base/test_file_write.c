/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/file.h: replacing, making, removing, locking, and working as a folder's owner. What a crash
 * or a failing call in the middle leaves behind is the subject of tests/fault.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
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

static void check_content(const struct place *p, const char *name, const char *want)
{
    struct kerrinfo e = {0};
    AUTO_BUF b = {0};
    assert_ok(&e, file_read(&p->dir, name, 1000, FILE_READ_PRIVATE, &b, &e));
    assert_true(bytes_equal_text(buf_view(&b), want));
}

static size_t count_files(const struct place *p)
{
    size_t count = 0;
    DIR *dir = opendir(p->path);
    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        count += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
    }
    assert_int_equal(closedir(dir), 0);
    return count;
}

static enum kerr replace(const struct place *p, const char *text, const char *prev, bool is_new,
                         file_verify_fn *verify, void *ctx, struct kerrinfo *e)
{
    struct file_replace r = {.dir = &p->dir,
                             .name = "f",
                             .data = bytes_of_text(text),
                             .prev = prev,
                             .is_new = is_new,
                             .verify = verify,
                             .verify_ctx = ctx};
    return file_replace(&r, e);
}

static void test_replace_and_keep(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    (void)umask(0);
    assert_ok(&e, replace(p, "one", "f.prev", false, NULL, NULL, &e));
    check_content(p, "f", "one");
    assert_int_equal(count_files(p), 1); /* nothing to keep yet */
    assert_ok(&e, replace(p, "two", "f.prev", false, NULL, NULL, &e));
    assert_ok(&e, replace(p, "three", "f.prev", false, NULL, NULL, &e));
    check_content(p, "f", "three");
    check_content(p, "f.prev", "two");
    assert_int_equal(count_files(p), 2);
    assert_ok(&e, replace(p, "four", NULL, false, NULL, NULL, &e));
    check_content(p, "f.prev", "two");
    assert_ok(&e, replace(p, "", NULL, false, NULL, NULL, &e));
    check_content(p, "f", "");
    (void)umask(022);
}

static void test_new_files_only(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    assert_ok(&e, replace(p, "one", NULL, true, NULL, NULL, &e));
    assert_refused(&e, KERR_EXISTS, "cannot put f in place",
                   replace(p, "two", NULL, true, NULL, NULL, &e));
    check_content(p, "f", "one");
    assert_int_equal(count_files(p), 1);
}

struct seen {
    const struct place *p;
    enum kerr answer;
    int calls;
};

/* The new file is whole and the old one still in place when it is called. */
static enum kerr look(void *ctx, struct bytes read_back, struct kerrinfo *e)
{
    struct seen *s = ctx;
    s->calls++;
    assert_true(bytes_equal_text(read_back, "two"));
    check_content(s->p, "f", "one");
    return s->answer == KERR_OK ? KERR_OK : kerr_set(e, s->answer, "not believed");
}

static void test_verify(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    struct seen s = {.p = p, .answer = KERR_INTEGRITY};
    assert_ok(&e, replace(p, "one", "f.prev", false, NULL, NULL, &e));
    assert_refused(&e, KERR_INTEGRITY, "not believed",
                   replace(p, "two", "f.prev", false, look, &s, &e));
    assert_int_equal(s.calls, 1);
    check_content(p, "f", "one");
    assert_int_equal(count_files(p), 1); /* neither a temporary file nor a kept one */
    s.answer = KERR_OK;
    assert_ok(&e, replace(p, "two", "f.prev", false, look, &s, &e));
    check_content(p, "f", "two");
    check_content(p, "f.prev", "one");
}

/* What an earlier crash left, or somebody put in the way. */
static void test_leftovers(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    test_write_file(p->path, ".f.tmp", bytes_of_text("half"));
    test_write_file(p->path, "f.prev.tmp", bytes_of_text("half"));
    test_write_file(p->path, "f", bytes_of_text("one"));
    assert_ok(&e, replace(p, "two", "f.prev", false, NULL, NULL, &e));
    check_content(p, "f", "two");
    check_content(p, "f.prev", "one");
    assert_int_equal(count_files(p), 2);
    test_write_file(p->path, "victim", bytes_of_text("safe"));
    assert_int_equal(symlinkat("victim", p->dir.fd, ".f.tmp"), 0);
    assert_ok(&e, replace(p, "three", NULL, false, NULL, NULL, &e));
    check_content(p, "victim", "safe");
    check_content(p, "f", "three");
    assert_int_equal(mkdirat(p->dir.fd, ".f.tmp", 0700), 0);
    assert_refused(&e, KERR_IO, "cannot remove the old .f.tmp",
                   replace(p, "four", NULL, false, NULL, NULL, &e));
    check_content(p, "f", "three");
}

static void test_names_that_are_too_long(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    char name[256];
    memset(name, 'n', sizeof name - 1);
    name[255] = 0;
    struct file_replace r = {.dir = &p->dir, .name = name, .data = bytes_of_text("x")};
    assert_refused(&e, KERR_LIMIT, "is too long", file_replace(&r, &e));
    name[250] = 0; /* ".", the name and ".tmp" are 255 bytes */
    assert_ok(&e, file_replace(&r, &e));
    r = (struct file_replace){
        .dir = &p->dir, .name = "f", .data = bytes_of_text("x"), .prev = name};
    assert_ok(&e, file_replace(&r, &e));
    name[250] = 'n';
    name[252] = 0;
    assert_refused(&e, KERR_LIMIT, "is too long", file_replace(&r, &e));
    assert_int_equal(count_files(p), 2);
}

static void test_create(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    char *path = test_path(p->path, "key");
    (void)umask(0);
    assert_ok(&e, file_create(path, bytes_of_text("k"), geteuid(), getegid(), &e));
    (void)umask(022);
    check_content(p, "key", "k");
    assert_refused(&e, KERR_EXISTS, "cannot make ",
                   file_create(path, bytes_of_text("z"), geteuid(), getegid(), &e));
    check_content(p, "key", "k");
    free(path);
    path = test_path(p->path, "none/key");
    assert_refused(&e, KERR_NOTFOUND, "none",
                   file_create(path, bytes_of_text("z"), geteuid(), getegid(), &e));
    free(path);
    path = test_path(p->path, "link");
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_refused(&e, KERR_EXISTS, "cannot make ",
                   file_create(path, bytes_of_text("z"), geteuid(), getegid(), &e));
    free(path);
    assert_int_equal(count_files(p), 2);
}

static void test_create_for_another(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    struct stat st;
    test_needs_root(); /* only root can give a file away */
    char *path = test_path(p->path, "key");
    assert_ok(&e, file_create(path, bytes_of_text("k"), 4711, 4712, &e));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 4711);
    assert_int_equal(st.st_gid, 4712);
    assert_int_equal(st.st_mode & 07777, 0600);
    free(path);
    /* Who can't give it away leaves nothing behind. */
    assert_int_equal(fchown(p->dir.fd, 4711, 4711), 0);
    assert_int_equal(setegid(4711) | seteuid(4711), 0);
    path = test_path(p->path, "other");
    enum kerr k = file_create(path, bytes_of_text("k"), 1, 1, &e);
    assert_int_equal(seteuid(0) | setegid(0), 0);
    assert_int_equal(k, KERR_DENIED);
    assert_int_equal(access(path, F_OK), -1);
    free(path);
}

static void test_remove(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    test_write_file(p->path, "f", bytes_of_text("x"));
    assert_ok(&e, file_remove(&p->dir, "f", &e));
    assert_int_equal(count_files(p), 0);
    assert_ok(&e, file_remove(&p->dir, "f", &e));
    assert_int_equal(mkdirat(p->dir.fd, "f", 0700), 0);
    assert_refused(&e, KERR_IO, "cannot remove f", file_remove(&p->dir, "f", &e));
}

static void test_lock(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    AUTO_FD first = -1;
    AUTO_FD second = -1;
    struct stat st;
    assert_ok(&e, file_lock(&p->dir, "f.lock", 0, &first, &e));
    assert_int_equal(fstat(first, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    uint64_t before = clock_mono_ms();
    assert_refused(&e, KERR_BUSY, "f.lock is locked by another process",
                   file_lock(&p->dir, "f.lock", 60, &second, &e));
    assert_true(clock_mono_ms() - before >= 60);
    assert_int_equal(second, -1);
    file_close_at(&first);
    assert_ok(&e, file_lock(&p->dir, "f.lock", 0, &second, &e));
    file_close_at(&second);
    assert_int_equal(symlinkat("f.lock", p->dir.fd, "link"), 0);
    assert_refused(&e, KERR_IO, "link", file_lock(&p->dir, "link", 0, &second, &e));
    assert_int_equal(second, -1);
}

/* A waiting process gets the lock when the holder ends, even by kill. */
static void test_lock_is_handed_over(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    int ends[2];
    char byte = 0;
    AUTO_FD mine = -1;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = -1;
        bool is_held = file_lock(&p->dir, "f.lock", 0, &fd, NULL) == KERR_OK;
        (void)!write(ends[1], is_held ? "y" : "n", 1);
        (void)usleep(100000);
        _exit(0);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_ok(&e, file_lock(&p->dir, "f.lock", 10000, &mine, &e));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void test_identity(void **state)
{
    struct place *p = *state;
    struct kerrinfo e = {0};
    AUTO_IDENTITY id = {0};
    assert_ok(&e, file_identity_assume(&p->dir, &id, &e));
    assert_false(id.is_changed); /* the folder is our own */
    test_needs_root();           /* only root takes another's place */
    assert_int_equal(fchown(p->dir.fd, 4711, 4712), 0);
    AUTO_DIR dir = FILE_DIR_NONE;
    struct stat st;
    assert_ok(&e, file_dir_open(p->path, &dir, &e));
    assert_ok(&e, file_identity_assume(&dir, &id, &e));
    assert_true(id.is_changed);
    assert_int_equal(geteuid(), 4711);
    assert_int_equal(getegid(), 4712);
    struct file_replace r = {.dir = &dir, .name = "f", .data = bytes_of_text("x")};
    enum kerr k = file_replace(&r, &e);
    file_identity_restore(&id);
    assert_int_equal(k, KERR_OK);
    assert_int_equal(geteuid(), 0);
    assert_int_equal(getegid(), 0);
    assert_int_equal(fstatat(dir.fd, "f", &st, 0), 0);
    assert_int_equal(st.st_uid, 4711);
    assert_int_equal(st.st_gid, 4712);
    file_identity_restore(&id); /* twice is harmless */
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, open_place, close_place)

int main(void)
{
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        WITH_PLACE(test_replace_and_keep),
        WITH_PLACE(test_new_files_only),
        WITH_PLACE(test_verify),
        WITH_PLACE(test_leftovers),
        WITH_PLACE(test_names_that_are_too_long),
        WITH_PLACE(test_create),
        WITH_PLACE(test_create_for_another),
        WITH_PLACE(test_remove),
        WITH_PLACE(test_lock),
        WITH_PLACE(test_lock_is_handed_over),
        WITH_PLACE(test_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
