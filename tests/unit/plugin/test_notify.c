/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/notify.h"
#include "tests/lib/testlib.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char *folder;
static int fd;
static char got[1024];

static int setup(void **state)
{
    (void)state;
    folder = test_folder_new();
    char *path = test_path(folder, "notify");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
    free(path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)close(fd);
    (void)unsetenv("NOTIFY_SOCKET");
    test_folder_remove(folder);
    return 0;
}

static const char *received(void)
{
    ssize_t n = recv(fd, got, sizeof got - 1, 0);
    got[n > 0 ? n : 0] = 0;
    return got;
}

static void test_messages(void **state)
{
    (void)state;
    notify_ready("unsealed, 100% \xc3\xbc");
    assert_string_equal(received(), "READY=1\nSTATUS=unsealed, 100% \xc3\xbc");
    notify_status("sealed");
    assert_string_equal(received(), "STATUS=sealed");
    notify_reloading("reloading");
    assert_non_null(strstr(received(), "RELOADING=1\nMONOTONIC_USEC="));
    notify_stopping();
    assert_non_null(strstr(received(), "STOPPING=1"));
    notify_watchdog();
    assert_string_equal(received(), "WATCHDOG=1");
}

static void test_without_systemd(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    notify_ready("x");
    notify_status("x");
    notify_reloading("x");
    notify_stopping();
    notify_watchdog();
    assert_string_equal(received(), "");
}

static void test_watchdog_interval(void **state)
{
    (void)state;
    char pid[16];
    assert_int_equal(notify_watchdog_ms(), 0);
    (void)snprintf(pid, sizeof pid, "%d", getpid());
    assert_int_equal(setenv("WATCHDOG_USEC", "30000000", 1), 0);
    assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
    assert_int_equal(notify_watchdog_ms(), 15000);
    assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
    assert_int_equal(notify_watchdog_ms(), 0);
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages),
        TEST(test_without_systemd),
        TEST(test_watchdog_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
