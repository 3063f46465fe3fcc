/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* At once. Of more, the kernel leaves out what is beyond the largest request that the disk takes.
 */
#define AHEAD_BYTES ((size_t)128 << 10)
#define HALF_MIN    ((size_t)64 << 20) /* of what two threads unmap */

struct file_map_ahead {
    pthread_t thread;
    atomic_bool is_over;
    struct bytes data;
};

static enum kerr look(int fd, const char *path, size_t *ret_len, struct kerrinfo *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return kerr_errno(e, errno, "cannot look at %s", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return kerr_set(e, KERR_INPUT, "%s is not a regular file", path);
    }
    if (st.st_size == 0) {
        return kerr_set(e, KERR_INPUT, "%s is empty", path);
    }
    /* File systems without locks have no writer that takes one. */
    if (flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        return kerr_set(e, KERR_BUSY, "%s is in use by a running program that writes it", path);
    }
    *ret_len = (size_t)st.st_size;
    return KERR_OK;
}

enum kerr file_map_open(const char *path, struct file_map *ret, struct kerrinfo *e)
{
    size_t len = 0;
    /* Not to wait for a writer where the name is that of a pipe. */
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return kerr_errno(e, errno, "cannot open %s", path);
    }
    enum kerr k = look(fd, path, &len, e);
    if (k != KERR_OK) {
        return k;
    }
    void *ptr = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (ptr == MAP_FAILED) {
        return kerr_errno(e, errno, "cannot map %s", path);
    }
    *ret = (struct file_map){.data = bytes_of(ptr, len), .fd = fd};
    fd = -1;
    return KERR_OK;
}

/* The kernel's calls have one pointer type, also for what they do not write. */
static void *address(const uint8_t *ptr)
{
    union {
        const uint8_t *in;
        void *out;
    } u = {.in = ptr};
    return u.out;
}

/* ---- ahead of the reader ---- */

static void *read_ahead(void *ctx)
{
    struct file_map_ahead *a = ctx;
    bool is_good = true;
    for (size_t at = 0; is_good && at < a->data.len && !atomic_load(&a->is_over);) {
        size_t left = a->data.len - at;
        size_t len = left < AHEAD_BYTES ? left : AHEAD_BYTES;
        /* From the disk only: to map pages is as cheap for whoever comes to them. */
        is_good = madvise(address(a->data.ptr + at), len, MADV_WILLNEED) == 0;
        at += len;
    }
    return NULL;
}

static bool leaves_half(size_t len)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 && len / (size_t)page <= (size_t)pages / 2;
}

void file_map_read_ahead(struct file_map *m)
{
    struct file_map_ahead *a = leaves_half(m->data.len) ? calloc(1, sizeof *a) : NULL;
    if (a == NULL) {
        return;
    }
    a->data = m->data;
    if (pthread_create(&a->thread, NULL, read_ahead, a) != 0) {
        free(a);
        return;
    }
    m->ahead = a;
}

static void end_ahead(struct file_map_ahead *a)
{
    if (a != NULL) {
        atomic_store(&a->is_over, true);
        (void)pthread_join(a->thread, NULL);
        free(a);
    }
}

static void *let_go(void *ctx)
{
    const struct bytes *part = ctx;
    (void)madvise(address(part->ptr), part->len, MADV_DONTNEED);
    return NULL;
}

/* The kernel lets pages go one by one, for which all that was read takes long: on two threads. */
static void unmap(struct bytes data)
{
    struct bytes part = bytes_of(data.ptr, data.len / 2 & ~(HALF_MIN - 1));
    pthread_t thread;
    if (part.len > 0 && pthread_create(&thread, NULL, let_go, &part) == 0) {
        (void)madvise(address(data.ptr + part.len), data.len - part.len, MADV_DONTNEED);
        (void)pthread_join(thread, NULL);
    }
    (void)munmap(address(data.ptr), data.len);
}

void file_map_close(struct file_map *m)
{
    if (m->fd >= 0) {
        end_ahead(m->ahead);
        m->ahead = NULL;
        unmap(m->data);
        file_close_at(&m->fd);
        m->data = bytes_of(NULL, 0);
    }
}
