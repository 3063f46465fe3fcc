/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read from /proc/self/status: stable since Linux 2.6, one file for memory, locks and threads
 * (proc_pid_status(5)). Files of /proc have no size, so base's readers do not fit.
 */
#include "plugin/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"

/* The file is about 1.5 KiB; what we read stands in its first half. */
#define STATUS_BYTES 8192

struct status_row {
    const char *name;
    uint64_t unit;
    size_t at;
};

static const struct status_row status_rows[] = {
    {"\nVmSize:", 1024, offsetof(struct process_figures, virtual_bytes)},
    {"\nVmLck:", 1024, offsetof(struct process_figures, locked_bytes)},
    {"\nVmRSS:", 1024, offsetof(struct process_figures, resident_bytes)},
    {"\nThreads:", 1, offsetof(struct process_figures, threads)},
};

static void read_status(struct process_figures *f)
{
    char text[STATUS_BYTES];
    AUTO_FD fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    for (size_t i = 0; i < ARRAY_LEN(status_rows); i++) {
        const char *at = strstr(text, status_rows[i].name);
        if (at != NULL) {
            uint64_t value = strtoull(at + strlen(status_rows[i].name), NULL, 10);
            value *= status_rows[i].unit;
            memcpy((char *)f + status_rows[i].at, &value, sizeof value);
        }
    }
}

static uint64_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t count = 0;
    while (dir != NULL && readdir(dir) != NULL) {
        count++;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    /* ".", ".." and the descriptor of the folder itself */
    return count > 3 ? count - 3 : 0;
}

void process_figures_get(struct process_figures *ret)
{
    struct process_figures f = {0};
    struct rusage use;
    if (getrusage(RUSAGE_SELF, &use) == 0) {
        f.cpu_us = (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000U +
                   (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
    }
    struct rlimit fds;
    if (getrlimit(RLIMIT_NOFILE, &fds) == 0) {
        f.max_fds = fds.rlim_cur;
    }
    f.open_fds = count_fds();
    read_status(&f);
    *ret = f;
}
