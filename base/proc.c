/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

static enum kerr spawn(const char *const *argv, int in, int out, pid_t *ret, struct kerrinfo *e)
{
    static char path[] = "PATH=/usr/bin:/bin:/usr/sbin:/sbin";
    char *env[] = {path, NULL};
    posix_spawn_file_actions_t actions;
    int err = posix_spawn_file_actions_init(&actions);
    if (err != 0) {
        return kerr_errno(e, err, "cannot start %s", argv[0]);
    }
    err = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (err == 0) {
        err = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    }
    if (err == 0) {
        /* The interface is older than const; the strings are not written to. */
        err = posix_spawn(ret, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, env);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return err == 0 ? KERR_OK : kerr_errno(e, err, "cannot start %s", argv[0]);
}

static enum kerr collect(pid_t pid, const char *name, struct kerrinfo *e)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return kerr_errno(e, errno, "cannot wait for %s", name);
        }
    }
    /* What posix_spawn gives where it cannot tell us that there is no such program. */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        return kerr_set(e, KERR_NOTFOUND, "cannot start %s (status 127)", name);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return kerr_set(e, KERR_IO, "%s failed with status %d", name,
                        WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    return KERR_OK;
}

enum kerr proc_run(const char *const *argv, struct bytes input, struct secret **ret,
                   struct kerrinfo *e)
{
    int in[2];
    int out[2];
    if (pipe2(in, O_CLOEXEC) != 0) {
        return kerr_errno(e, errno, "cannot make a pipe");
    }
    AUTO_FD in_read = in[0];
    AUTO_FD in_write = in[1];
    if (pipe2(out, O_CLOEXEC) != 0) {
        return kerr_errno(e, errno, "cannot make a pipe");
    }
    AUTO_FD out_read = out[0];
    AUTO_FD out_write = out[1];
    pid_t pid;
    /* The input fits into the pipe, so writing before the program runs cannot block. */
    if (input.len > 65536 || write(in_write, input.ptr, input.len) != (ssize_t)input.len) {
        return kerr_set(e, KERR_IO, "cannot pass %zu bytes to %s", input.len, argv[0]);
    }
    enum kerr k = spawn(argv, in_read, out_write, &pid, e);
    file_close_at(&in_write);
    file_close_at(&in_read);
    file_close_at(&out_write);
    if (k != KERR_OK) {
        return k;
    }
    AUTO_SECRET got = NULL;
    struct kerrinfo read_error = {0};
    enum kerr read_code =
        file_read_fd_secret(out_read, argv[0], PROC_OUTPUT_MAX, &got, &read_error);
    file_close_at(&out_read);
    struct kerrinfo end_error = {0};
    k = collect(pid, argv[0], &end_error);
    /* INPUT is "printed nothing", which is for the caller to judge. Any other failure to read comes
     * first: it is why the program was cut off. */
    if (read_code != KERR_OK && read_code != KERR_INPUT) {
        return kerr_set(e, read_code, "%s", read_error.text);
    }
    if (k != KERR_OK) {
        return kerr_set(e, k, "%s", end_error.text);
    }
    *ret = secret_take(&got);
    return KERR_OK;
}
