/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call that changes the disk goes through file_call_step() first: the linker's --wrap puts
 * the functions below in place of the real ones. A test gives the step function.
 */
#ifndef ETCDSEAL_TESTS_FAULT_FILE_CALLS_H
#define ETCDSEAL_TESTS_FAULT_FILE_CALLS_H

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

/* True: do the call. False: fail it with the errno that the function has set. `half`: for a write,
 * how many bytes at most. */
bool file_call_step(const char *name, size_t *half);
/* After a call that was done. */
void file_call_done(void);

#define WRAP(type, name, params, args)                                                             \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        size_t half = 0;                                                                           \
        if (!file_call_step(#name, &half)) {                                                       \
            return -1;                                                                             \
        }                                                                                          \
        type result = __real_##name args;                                                          \
        file_call_done();                                                                          \
        return result;                                                                             \
    }

WRAP(int, fsync, (int fd), (fd))
WRAP(int, fchownat, (int a, const char *b, uid_t u, gid_t g, int f), (a, b, u, g, f))
WRAP(int, linkat, (int a, const char *b, int c, const char *d, int f), (a, b, c, d, f))
WRAP(int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d))
WRAP(int, renameat2, (int a, const char *b, int c, const char *d, unsigned f), (a, b, c, d, f))
WRAP(int, unlinkat, (int a, const char *b, int f), (a, b, f))
WRAP(int, mkdir, (const char *a, mode_t m), (a, m))

ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    size_t half = len;
    if (!file_call_step("write", &half)) {
        return -1;
    }
    ssize_t result = __real_write(fd, data, half < len ? half : len);
    file_call_done();
    return result;
}

int __real_openat(int dir, const char *name, int flags, ...);
int __wrap_openat(int dir, const char *name, int flags, ...);
int __wrap_openat(int dir, const char *name, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    size_t half = 0;
    bool changes = (flags & O_CREAT) != 0;
    if (changes && !file_call_step("openat", &half)) {
        return -1;
    }
    int result = __real_openat(dir, name, flags, mode);
    if (changes) {
        file_call_done();
    }
    return result;
}

#endif
