/* SPDX-License-Identifier: Apache-2.0 */
#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static enum kerr check_replaced(const struct file_dir *dir, const char *name, struct kerrinfo *e)
{
    struct stat st;
    if (fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? KERR_OK
                               : kerr_errno(e, errno, "cannot look for %s in %s", name, dir->path);
    }
    return S_ISREG(st.st_mode)
               ? KERR_OK
               : kerr_set(e, KERR_INPUT, "%s/%s is not a regular file, and is not replaced",
                          dir->path, name);
}

enum kerr outfile_begin(const struct file_dir *dir, const char *name, mode_t mode,
                        struct outfile *ret, struct kerrinfo *e)
{
    struct outfile f = OUTFILE_NONE;
    int name_len = snprintf(f.name, sizeof f.name, "%s", name);
    int len = snprintf(f.temp, sizeof f.temp, ".%s.%ld.tmp", name, (long)getpid());
    if (name_len < 0 || len < 0 || (size_t)len >= sizeof f.temp) {
        return kerr_set(e, KERR_LIMIT, "file name %s is too long", name);
    }
    enum kerr k = check_replaced(dir, name, e);
    if (k != KERR_OK) {
        return k;
    }
    if (unlinkat(dir->fd, f.temp, 0) != 0 && errno != ENOENT) {
        return kerr_errno(e, errno, "cannot remove the old %s in %s", f.temp, dir->path);
    }
    f.fd = openat(dir->fd, f.temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (f.fd < 0) {
        return kerr_errno(e, errno, "cannot make %s in %s", f.temp, dir->path);
    }
    f.dir = dir;
    *ret = f;
    return fchmod(f.fd, mode) == 0
               ? KERR_OK
               : kerr_errno(e, errno, "cannot set the mode of %s in %s", f.temp, dir->path);
}

enum kerr outfile_put(struct outfile *f, struct bytes data, struct kerrinfo *e)
{
    size_t done = 0;
    while (done < data.len) {
        ssize_t n = write(f->fd, data.ptr + done, data.len - done);
        if (n < 0 && errno != EINTR) {
            return kerr_errno(e, errno, "cannot write %s in %s", f->name, f->dir->path);
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return KERR_OK;
}

enum kerr outfile_sync(struct outfile *f, struct kerrinfo *e)
{
    return fsync(f->fd) == 0 ? KERR_OK
                             : kerr_errno(e, errno, "cannot sync %s in %s", f->name, f->dir->path);
}

enum kerr outfile_place(struct outfile *f, struct kerrinfo *e)
{
    const struct file_dir *dir = f->dir;
    if (renameat(dir->fd, f->temp, dir->fd, f->name) != 0) {
        return kerr_errno(e, errno, "cannot put %s in place in %s", f->name, dir->path);
    }
    f->dir = NULL;
    return fsync(dir->fd) == 0
               ? KERR_OK
               : kerr_errno(e, errno, "%s is in place, but the folder %s cannot be synced", f->name,
                            dir->path);
}

void outfile_done(struct outfile *f)
{
    if (f->dir != NULL) {
        (void)unlinkat(f->dir->fd, f->temp, 0);
    }
    file_close_at(&f->fd);
    f->dir = NULL;
}
