/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/listen.h"
#include "tests/lib/testlib.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct kerrinfo e;
static char *folder;
static char *path;
static char own_uid[16];
static char own_gid[16];
static struct listen_spec spec;

static int setup(void **state)
{
    (void)state;
    folder = test_folder_new();
    path = test_path(folder, "kms.sock");
    (void)snprintf(own_uid, sizeof own_uid, "%u", geteuid());
    (void)snprintf(own_gid, sizeof own_gid, "%u", getegid());
    spec = (struct listen_spec){.path = path, .mode = 0600, .owner = own_uid, .group = own_gid};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(path);
    test_folder_remove(folder);
    return 0;
}

static int bound_socket(const char *at, int type)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", at);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static int connect_to(const char *at)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", at);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        int err = errno;
        (void)close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

static bool exists(const char *at)
{
    struct stat st;
    return lstat(at, &st) == 0;
}

/* Refused with these words, and nothing left behind or taken away. */
static void assert_not_made(enum kerr code, const char *words)
{
    struct listener l = LISTENER_NONE;
    bool was_there = exists(path);
    assert_refused(&e, code, words, listen_self(&spec, &l, &e));
    assert_int_equal(l.fd, -1);
    assert_int_equal(l.lock_fd, -1);
    assert_int_equal(exists(path), was_there);
}

static void test_made_with_mode_and_owner_and_removed_again(void **state)
{
    (void)state;
    const mode_t modes[] = {0600, 0660, 0666, 0600};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        struct listener l = LISTENER_NONE;
        struct stat st;
        spec.mode = modes[i];
        mode_t before = umask(077);
        assert_ok(&e, listen_self(&spec, &l, &e));
        assert_int_equal(umask(before), 077);
        assert_int_equal(lstat(path, &st), 0);
        assert_true(S_ISSOCK(st.st_mode));
        assert_int_equal(st.st_mode & 07777, modes[i]);
        assert_int_equal(st.st_uid, geteuid());
        assert_true((fcntl(l.fd, F_GETFL) & O_NONBLOCK) != 0);
        assert_true((fcntl(l.fd, F_GETFD) & FD_CLOEXEC) != 0);
        int fd = connect_to(path);
        assert_true(fd >= 0);
        (void)close(fd);
        listener_close(&l);
        assert_false(exists(path));
        listener_close(&l);
    }
}

static void test_another_owner_as_root(void **state)
{
    (void)state;
    test_needs_root();
    struct listener l = LISTENER_NONE;
    struct stat st;
    spec.owner = "daemon";
    spec.group = "12345";
    spec.mode = 0660;
    assert_ok(&e, listen_self(&spec, &l, &e));
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_uid, 1);
    assert_int_equal(st.st_gid, 12345);
    assert_int_equal(st.st_mode & 07777, 0660);
    listener_close(&l);
}

/* What a forked child found out. */
struct outcome {
    enum kerr code;
    struct kerrinfo e;
    size_t passed;
    struct listener kms;
    struct listener status;
    bool is_env_clear;
    int flags;
};

static struct outcome *shared_outcome(void)
{
    struct outcome *o =
        mmap(NULL, sizeof *o, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(o != MAP_FAILED);
    return o;
}

static void wait_child(pid_t pid)
{
    int status = 0;
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_another_owner_needs_root(void **state)
{
    (void)state;
    test_needs_root();
    assert_int_equal(chown(folder, 4321, 4321), 0);
    struct outcome *o = shared_outcome();
    spec.owner = "0";
    pid_t pid = fork();
    if (pid == 0) {
        struct listener l = LISTENER_NONE;
        if (setgid(4321) != 0 || setuid(4321) != 0) {
            _exit(1);
        }
        o->code = listen_self(&spec, &l, &o->e);
        _exit(0);
    }
    wait_child(pid);
    assert_int_equal(o->code, KERR_DENIED);
    assert_non_null(strstr(o->e.text, "needs root"));
    assert_false(exists(path));
    (void)munmap(o, sizeof *o);
}

static void test_unknown_owner_and_group(void **state)
{
    (void)state;
    spec.owner = "no-such-user";
    assert_not_made(KERR_CONFIG, "socket.owner: there is no \"no-such-user\"");
    spec.owner = own_uid;
    spec.group = "no-such-group";
    assert_not_made(KERR_CONFIG, "socket.group: there is no \"no-such-group\"");
}

static void test_stale_socket_is_replaced(void **state)
{
    (void)state;
    struct listener l = LISTENER_NONE;
    (void)close(bound_socket(path, SOCK_STREAM));
    assert_int_equal(connect_to(path), -1);
    assert_ok(&e, listen_self(&spec, &l, &e));
    int fd = connect_to(path);
    assert_true(fd >= 0);
    (void)close(fd);
    listener_close(&l);
}

static void test_live_listener_is_named(void **state)
{
    (void)state;
    char who[64];
    (void)snprintf(who, sizeof who, "process %d of uid %u listens there", getpid(), geteuid());
    int live = bound_socket(path, SOCK_STREAM);
    assert_int_equal(listen(live, 5), 0);
    assert_not_made(KERR_BUSY, who);
    int fd = connect_to(path);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)close(live);
}

static void test_live_listener_with_a_full_queue(void **state)
{
    (void)state;
    int live = bound_socket(path, SOCK_STREAM);
    assert_int_equal(listen(live, 0), 0);
    int fds[16];
    size_t count = 0;
    while (count < ARRAY_LEN(fds) && (fds[count] = connect_to(path)) >= 0) {
        count++;
    }
    assert_true(count < ARRAY_LEN(fds));
    assert_int_equal(errno, EAGAIN);
    assert_not_made(KERR_BUSY, "is in use");
    for (size_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
    (void)close(live);
}

static void test_other_things_in_the_place_are_never_deleted(void **state)
{
    (void)state;
    char *target = test_path(folder, "target");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_not_made(KERR_EXISTS, "is no socket");
    assert_int_equal(rmdir(path), 0);
    test_write_file(folder, "kms.sock", bytes_of_text("precious"));
    assert_not_made(KERR_EXISTS, "is no socket");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_not_made(KERR_EXISTS, "is no socket");
    assert_int_equal(unlink(path), 0);
    (void)close(bound_socket(target, SOCK_STREAM));
    assert_int_equal(symlink(target, path), 0);
    assert_not_made(KERR_EXISTS, "is no socket");
    assert_true(exists(target));
    assert_int_equal(unlink(path), 0);
    int other = bound_socket(path, SOCK_DGRAM);
    assert_not_made(KERR_IO, "in use");
    (void)close(other);
    free(target);
}

static void test_lock_is_respected_and_names_its_holder(void **state)
{
    (void)state;
    char who[64];
    struct listener l = LISTENER_NONE;
    (void)snprintf(who, sizeof who, "process %d", getpid());
    assert_ok(&e, listen_self(&spec, &l, &e));
    assert_not_made(KERR_BUSY, who);
    assert_non_null(strstr(e.text, "listens there"));
    /* Holder that does not listen yet, or no longer. */
    (void)close(l.fd);
    l.fd = -1;
    assert_not_made(KERR_BUSY, who);
    assert_non_null(strstr(e.text, "kms.sock.lock"));
    listener_close(&l);
    assert_false(exists(path));
    assert_ok(&e, listen_self(&spec, &l, &e));
    listener_close(&l);
}

static void test_lock_that_is_a_link_is_refused(void **state)
{
    (void)state;
    char *lock = test_path(folder, "kms.sock.lock");
    test_write_file(folder, "precious", bytes_of_text("precious"));
    assert_int_equal(symlink("precious", lock), 0);
    assert_not_made(KERR_IO, "kms.sock.lock");
    struct buf data = test_read_file(folder, "precious");
    assert_true(bytes_equal_text(buf_view(&data), "precious"));
    buf_done(&data);
    free(lock);
}

static void test_paths_that_cannot_work(void **state)
{
    (void)state;
    char fits[LISTEN_PATH_MAX + 1];
    char too_long[LISTEN_PATH_MAX + 2];
    memset(fits, 'x', sizeof fits);
    memset(too_long, 'x', sizeof too_long);
    fits[0] = too_long[0] = '/';
    fits[sizeof fits - 1] = too_long[sizeof too_long - 1] = 0;
    assert_ok(&e, listen_check_path(fits, &e));
    assert_refused(&e, KERR_CONFIG, "107", listen_check_path(too_long, &e));
    assert_refused(&e, KERR_CONFIG, "absolute", listen_check_path("kms.sock", &e));
    assert_refused(&e, KERR_CONFIG, "abstract", listen_check_path("@etcdseal", &e));
    assert_refused(&e, KERR_CONFIG, "absolute", listen_check_path("", &e));
    spec.path = too_long;
    assert_not_made(KERR_CONFIG, "107");
}

static void test_the_longest_path_works(void **state)
{
    (void)state;
    char longest[LISTEN_PATH_MAX + 1];
    struct listener l = LISTENER_NONE;
    int len = snprintf(longest, sizeof longest, "%s/", folder);
    memset(longest + len, 'x', sizeof longest - (size_t)len);
    longest[sizeof longest - 1] = 0;
    spec.path = longest;
    assert_ok(&e, listen_self(&spec, &l, &e));
    int fd = connect_to(longest);
    assert_true(fd >= 0);
    (void)close(fd);
    listener_close(&l);
    assert_false(exists(longest));
}

static void test_missing_folder_comes_with_its_command(void **state)
{
    (void)state;
    char *inner = test_path(folder, "run/kms.sock");
    spec.path = inner;
    assert_not_made(KERR_NOTFOUND, "mkdir -m 0755");
    free(inner);
}

static void test_a_socket_that_is_no_longer_ours_stays(void **state)
{
    (void)state;
    struct listener l = LISTENER_NONE;
    assert_ok(&e, listen_self(&spec, &l, &e));
    char *moved = test_path(folder, "moved");
    assert_int_equal(rename(path, moved), 0);
    int other = bound_socket(path, SOCK_STREAM);
    listener_close(&l);
    assert_true(exists(path));
    (void)close(other);
    free(moved);
}

/* --- passed by systemd --- */

static void run_activated(const int *fds, size_t count, const char *names, struct outcome *o)
{
    char *status_path = test_path(folder, "status.sock");
    pid_t pid = fork();
    if (pid == 0) {
        char text[16];
        int high[4];
        for (size_t i = 0; i < count; i++) {
            high[i] = fcntl(fds[i], F_DUPFD, 100);
        }
        for (size_t i = 0; i < count; i++) {
            (void)dup2(high[i], 3 + (int)i);
        }
        (void)snprintf(text, sizeof text, "%d", getpid());
        (void)setenv("LISTEN_PID", text, 1);
        if (count > 0) {
            (void)snprintf(text, sizeof text, "%zu", count);
            (void)setenv("LISTEN_FDS", text, 1);
            (void)setenv("LISTEN_FDNAMES", names, 1);
        }
        o->kms = o->status = LISTENER_NONE;
        struct listen_wanted wanted[] = {{path, &o->kms}, {status_path, &o->status}};
        o->code = listen_activated(wanted, 2, &o->passed, &o->e);
        o->is_env_clear = getenv("LISTEN_FDS") == NULL && getenv("LISTEN_PID") == NULL;
        o->flags = o->kms.fd < 0 ? 0 : fcntl(o->kms.fd, F_GETFL);
        listener_close(&o->kms);
        _exit(0);
    }
    wait_child(pid);
    free(status_path);
}

static int listening_socket(const char *name)
{
    char *at = test_path(folder, name);
    int fd = bound_socket(at, SOCK_STREAM);
    assert_int_equal(listen(fd, 5), 0);
    free(at);
    return fd;
}

static void test_passed_sockets(void **state)
{
    (void)state;
    struct outcome *o = shared_outcome();
    int fds[] = {listening_socket("status.sock"), listening_socket("kms.sock")};
    run_activated(fds, 2, "status:kms", o);
    assert_int_equal(o->code, KERR_OK);
    assert_int_equal(o->passed, 2);
    assert_int_equal(o->status.fd, 3);
    assert_false(o->status.is_ours);
    assert_true(o->is_env_clear);
    assert_true((o->flags & O_NONBLOCK) != 0);
    assert_true(exists(path)); /* closing a passed one removes nothing */
    run_activated(fds + 1, 1, "unknown", o);
    assert_int_equal(o->code, KERR_OK);
    assert_int_equal(o->passed, 1);
    assert_int_equal(o->status.fd, -1);
    run_activated(fds, 0, "", o);
    assert_int_equal(o->code, KERR_OK);
    assert_int_equal(o->passed, 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
    (void)munmap(o, sizeof *o);
}

static void assert_not_taken(int fd, const char *name, const char *words)
{
    struct outcome *o = shared_outcome();
    run_activated(&fd, 1, name, o);
    assert_int_equal(o->code, KERR_CONFIG);
    if (strstr(o->e.text, words) == NULL) {
        fail_msg("%s: expected %s", o->e.text, words);
    }
    (void)munmap(o, sizeof *o);
    (void)close(fd);
}

static void test_passed_socket_of_another_path_is_refused(void **state)
{
    (void)state;
    char words[512];
    (void)snprintf(words, sizeof words,
                   "socket %s/other.sock (name kms) was passed to the daemon, its configuration "
                   "expects %s or %s/status.sock",
                   folder, path, folder);
    assert_not_taken(listening_socket("other.sock"), "kms", words);
}

static void test_passed_socket_of_another_kind_is_refused(void **state)
{
    (void)state;
    static const char words[] = "no listening unix stream socket";
    assert_not_taken(bound_socket(path, SOCK_STREAM), "kms", words);
    assert_int_equal(unlink(path), 0);
    assert_not_taken(bound_socket(path, SOCK_DGRAM), "kms", words);
    assert_int_equal(unlink(path), 0);
    assert_not_taken(open("/dev/null", O_RDONLY | O_CLOEXEC), "kms", words);
    assert_not_taken(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "kms", words);
}

static void test_passed_abstract_socket_is_refused(void **state)
{
    (void)state;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "etcdseal-test-%d", getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_not_taken(fd, "kms", "without a path");
}

static void test_passed_twice_is_refused(void **state)
{
    (void)state;
    struct outcome *o = shared_outcome();
    int fd = listening_socket("kms.sock");
    int fds[] = {fd, fd};
    run_activated(fds, 2, "kms:kms", o);
    assert_int_equal(o->code, KERR_CONFIG);
    assert_non_null(strstr(o->e.text, "twice"));
    (void)close(fd);
    (void)munmap(o, sizeof *o);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_made_with_mode_and_owner_and_removed_again),
        TEST(test_another_owner_as_root),
        TEST(test_another_owner_needs_root),
        TEST(test_unknown_owner_and_group),
        TEST(test_stale_socket_is_replaced),
        TEST(test_live_listener_is_named),
        TEST(test_live_listener_with_a_full_queue),
        TEST(test_other_things_in_the_place_are_never_deleted),
        TEST(test_lock_is_respected_and_names_its_holder),
        TEST(test_lock_that_is_a_link_is_refused),
        TEST(test_paths_that_cannot_work),
        TEST(test_the_longest_path_works),
        TEST(test_missing_folder_comes_with_its_command),
        TEST(test_a_socket_that_is_no_longer_ours_stays),
        TEST(test_passed_sockets),
        TEST(test_passed_socket_of_another_path_is_refused),
        TEST(test_passed_socket_of_another_kind_is_refused),
        TEST(test_passed_abstract_socket_is_refused),
        TEST(test_passed_twice_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
