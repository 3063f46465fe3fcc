/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"

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

void file_map_close(struct file_map *m)
{
    if (m->fd >= 0) {
        union {
            const uint8_t *in;
            void *out;
        } u = {.in = m->data.ptr};
        (void)munmap(u.out, m->data.len);
        file_close_at(&m->fd);
        m->data = bytes_of(NULL, 0);
    }
}
