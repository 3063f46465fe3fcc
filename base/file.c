/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a temporary name and not O_TMPFILE: linkat cannot replace an existing name. Why the lock is a
 * file of its own: the keystore is replaced by rename, so a lock on it would be a lock on the past.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

/* Time between two tries of a busy lock. */
#define LOCK_TRY_MS 20

void file_close_at(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        (void)close(*fd);
        errno = saved;
        *fd = -1;
    }
}

void file_dir_close(struct file_dir *dir)
{
    if (dir != NULL) {
        file_close_at(&dir->fd);
        free(dir->path);
        dir->path = NULL;
    }
}

enum kerr file_dir_open(const char *path, struct file_dir *ret, struct kerrinfo *e)
{
    AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ELOOP) {
        return kerr_set(e, KERR_DENIED, "%s is a symbolic link; name the real folder", path);
    }
    if (fd < 0 && errno == ENOTDIR) {
        return kerr_set(e, KERR_INPUT, "%s is not a folder, or is a symbolic link to one", path);
    }
    struct stat st;
    if (fd < 0 && errno == EACCES && lstat(path, &st) == 0) {
        return kerr_set(
            e, KERR_DENIED,
            "folder %s belongs to uid %u and has mode %04o: run as its owner or as root", path,
            st.st_uid, st.st_mode & 07777);
    }
    if (fd < 0) {
        return kerr_errno(e, errno, "cannot open folder %s", path);
    }
    if (fstat(fd, &st) != 0) {
        return kerr_errno(e, errno, "cannot read the owner of %s", path);
    }
    char *copy = NULL;
    enum kerr k = text_dup(bytes_of_text(path), &copy, e);
    if (k != KERR_OK) {
        return k;
    }
    *ret = (struct file_dir){
        .fd = fd, .uid = st.st_uid, .gid = st.st_gid, .mode = st.st_mode & 07777, .path = copy};
    fd = -1;
    return KERR_OK;
}

static enum kerr sync_parent(const char *path, struct kerrinfo *e)
{
    AUTO_TEXT folder = NULL;
    AUTO_TEXT name = NULL;
    enum kerr k = file_split(path, &folder, &name, e);
    if (k != KERR_OK) {
        return k;
    }
    AUTO_FD fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? KERR_OK
                                     : kerr_errno(e, errno, "cannot sync folder %s", folder);
}

enum kerr file_dir_make(const char *path, struct file_dir *ret, struct kerrinfo *e)
{
    if (mkdir(path, 0700) == 0) {
        enum kerr k = sync_parent(path, e);
        return k == KERR_OK ? file_dir_open(path, ret, e) : k;
    }
    return errno == EEXIST ? file_dir_open(path, ret, e)
                           : kerr_errno(e, errno, "cannot make folder %s", path);
}

enum kerr file_dir_check_private(const struct file_dir *dir, struct kerrinfo *e)
{
    uid_t me = geteuid();
    if (me != 0 && dir->uid != me) {
        return kerr_set(e, KERR_DENIED,
                        "folder %s belongs to uid %u, not to uid %u: run as its owner or as root, "
                        "or run: chown -R %u %s",
                        dir->path, dir->uid, me, me, dir->path);
    }
    if ((dir->mode & 077) != 0) {
        return kerr_set(e, KERR_DENIED,
                        "folder %s has mode %04o, others must have no access: chmod 0700 %s",
                        dir->path, dir->mode, dir->path);
    }
    return KERR_OK;
}

enum kerr file_split(const char *path, char **ret_dir, char **ret_name, struct kerrinfo *e)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    if (*name == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return kerr_set(e, KERR_INPUT, "%s: expected the path of a file", path);
    }
    struct bytes folder = slash == NULL   ? bytes_of_text(".")
                          : slash == path ? bytes_of_text("/")
                                          : bytes_of(path, (size_t)(slash - path));
    AUTO_TEXT dir = NULL;
    enum kerr k = text_dup(folder, &dir, e);
    if (k == KERR_OK) {
        k = text_dup(bytes_of_text(name), ret_name, e);
    }
    if (k == KERR_OK) {
        *ret_dir = dir;
        dir = NULL;
    }
    return k;
}

enum kerr file_identity_assume(const struct file_dir *dir, struct file_identity *ret,
                               struct kerrinfo *e)
{
    struct file_identity id = {.uid = geteuid(), .gid = getegid()};
    if (id.uid == 0 && dir->uid != 0) {
        if (setegid(dir->gid) != 0) {
            return kerr_errno(e, errno, "cannot take group %u of folder %s", dir->gid, dir->path);
        }
        if (seteuid(dir->uid) != 0) {
            int err = errno;
            if (setegid(id.gid) != 0) {
                abort();
            }
            return kerr_errno(e, err, "cannot take user %u of folder %s", dir->uid, dir->path);
        }
        id.is_changed = true;
    }
    *ret = id;
    return KERR_OK;
}

void file_identity_restore(struct file_identity *id)
{
    if (id->is_changed && (seteuid(id->uid) != 0 || setegid(id->gid) != 0)) {
        abort();
    }
    id->is_changed = false;
}

static int dir_fd(const struct file_dir *dir)
{
    return dir == NULL ? AT_FDCWD : dir->fd;
}

static const char *dir_path(const struct file_dir *dir)
{
    return dir == NULL ? "." : dir->path;
}

/* EACCES in a folder that is ours nearly always means that root left a file of its own there. */
static enum kerr cannot_open(const struct file_dir *dir, const char *name, int err,
                             struct kerrinfo *e)
{
    struct stat st;
    if (err == EACCES && dir != NULL && fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_uid != dir->uid) {
        return kerr_set(e, KERR_DENIED,
                        "%s belongs to uid %u, its folder to uid %u: chown %u %s/%s", name,
                        st.st_uid, dir->uid, dir->uid, dir->path, name);
    }
    return dir == NULL ? kerr_errno(e, err, "cannot open %s", name)
                       : kerr_errno(e, err, "cannot open %s/%s", dir->path, name);
}

/* Opening a device or a FIFO can have effects of its own, so what the name stands for is looked at
 * first, and that very object is opened then. */
static enum kerr open_checked(const struct file_dir *dir, const char *name, int *ret,
                              struct stat *ret_stat, struct kerrinfo *e)
{
    AUTO_FD there = openat(dir_fd(dir), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (there < 0) {
        return cannot_open(dir, name, errno, e);
    }
    if (fstat(there, ret_stat) != 0) {
        return kerr_errno(e, errno, "cannot read the size of %s", name);
    }
    if (S_ISLNK(ret_stat->st_mode)) {
        return kerr_set(e, KERR_DENIED, "%s is a symbolic link; links are not followed", name);
    }
    if (!S_ISREG(ret_stat->st_mode)) {
        return kerr_set(e, KERR_INPUT, "%s is not a regular file", name);
    }
    char again[32];
    (void)snprintf(again, sizeof again, "/proc/self/fd/%d", there);
    int fd = open(again, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return cannot_open(dir, name, errno, e);
    }
    *ret = fd;
    return KERR_OK;
}

static enum kerr open_regular(const struct file_dir *dir, const char *name, unsigned flags,
                              int *ret, struct stat *ret_stat, struct kerrinfo *e)
{
    AUTO_FD fd = -1;
    struct stat st;
    enum kerr k = open_checked(dir, name, &fd, &st, e);
    if (k != KERR_OK) {
        return k;
    }
    if ((flags & FILE_READ_PRIVATE) != 0 && (st.st_mode & 077) != 0) {
        return kerr_set(e, KERR_DENIED,
                        "%s has mode %04o, others must have no access: chmod 0600 %s", name,
                        st.st_mode & 07777, name);
    }
    if ((flags & FILE_READ_OWNED) != 0 && dir != NULL && st.st_uid != dir->uid) {
        return kerr_set(e, KERR_DENIED,
                        "%s belongs to uid %u and its folder to uid %u: chown %u %s/%s", name,
                        st.st_uid, dir->uid, dir->uid, dir->path, name);
    }
    *ret_stat = st;
    *ret = fd;
    fd = -1;
    return KERR_OK;
}

/* Reads until `size` bytes or the end. */
static enum kerr read_full(int fd, const char *name, uint8_t *to, size_t size, size_t *ret,
                           struct kerrinfo *e)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = read(fd, to + got, size - got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return kerr_errno(e, errno, "cannot read %s", name);
        }
        if (n == 0) {
            break;
        }
        got += (size_t)n;
    }
    *ret = got;
    return KERR_OK;
}

static enum kerr too_large(const char *name, size_t max, struct kerrinfo *e)
{
    return kerr_set(e, KERR_LIMIT, "%s is larger than %zu bytes", name, max);
}

enum kerr file_read(const struct file_dir *dir, const char *name, size_t max, unsigned flags,
                    struct buf *ret, struct kerrinfo *e)
{
    AUTO_FD fd = -1;
    struct stat st;
    enum kerr k = open_regular(dir, name, flags, &fd, &st, e);
    if (k != KERR_OK) {
        return k;
    }
    size_t size = (size_t)st.st_size;
    if (size > max) {
        return too_large(name, max, e);
    }
    /* One byte more than expected, to notice a file that grows meanwhile. */
    buf_init(ret, max + 1);
    uint8_t *to;
    k = buf_extend(ret, size + 1, &to, e);
    if (k == KERR_OK) {
        k = read_full(fd, name, to, size + 1, &ret->len, e);
    }
    if (k == KERR_OK && ret->len > size) {
        k = kerr_set(e, KERR_BUSY, "%s changed while it was read", name);
    }
    if (k != KERR_OK) {
        buf_done(ret);
    }
    ret->max = max;
    return k;
}

enum kerr file_read_fd_secret(int fd, const char *what, size_t max, struct secret **ret,
                              struct kerrinfo *e)
{
    AUTO_SECRET s = NULL;
    size_t got = 0;
    enum kerr k = secret_new(max + 1, &s, e);
    if (k == KERR_OK) {
        k = read_full(fd, what, secret_bytes(s), max + 1, &got, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    if (got > max) {
        return too_large(what, max, e);
    }
    if (got == 0) {
        return kerr_set(e, KERR_INPUT, "%s is empty", what);
    }
    return secret_from_bytes(bytes_of(secret_view(s).ptr, got), ret, e);
}

enum kerr file_read_secret(const struct file_dir *dir, const char *name, size_t max, unsigned flags,
                           struct secret **ret, struct kerrinfo *e)
{
    AUTO_FD fd = -1;
    struct stat st;
    enum kerr k = open_regular(dir, name, flags, &fd, &st, e);
    return k == KERR_OK ? file_read_fd_secret(fd, name, max, ret, e) : k;
}

enum kerr file_read_key(const char *path, uid_t owner, size_t max, struct secret **ret,
                        struct kerrinfo *e)
{
    AUTO_FD fd = -1;
    struct stat st;
    enum kerr k = open_regular(NULL, path, FILE_READ_PRIVATE, &fd, &st, e);
    if (k != KERR_OK) {
        return k;
    }
    if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != owner) {
        return kerr_set(e, KERR_DENIED,
                        "%s belongs to uid %u, who therefore knows it: expected uid %u or root",
                        path, st.st_uid, owner);
    }
    return file_read_fd_secret(fd, path, max, ret, e);
}

struct file_stamp file_stamp(const char *path)
{
    struct stat st;
    if (path == NULL || stat(path, &st) != 0) {
        return (struct file_stamp){.size = 0};
    }
    return (struct file_stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

enum kerr file_exists(const struct file_dir *dir, const char *name, bool *ret, struct kerrinfo *e)
{
    struct stat st;
    if (fstatat(dir_fd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        *ret = true;
        return KERR_OK;
    }
    if (errno != ENOENT) {
        return kerr_errno(e, errno, "cannot look for %s in %s", name, dir_path(dir));
    }
    *ret = false;
    return KERR_OK;
}

static enum kerr write_full(int fd, const char *name, struct bytes data, struct kerrinfo *e)
{
    size_t done = 0;
    while (done < data.len) {
        ssize_t n = write(fd, data.ptr + done, data.len - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return kerr_errno(e, errno, "cannot write %s", name);
        }
        done += (size_t)n;
    }
    return KERR_OK;
}

static enum kerr write_temp(const struct file_replace *r, const char *temp, struct kerrinfo *e)
{
    if (unlinkat(r->dir->fd, temp, 0) != 0 && errno != ENOENT) {
        return kerr_errno(e, errno, "cannot remove the old %s", temp);
    }
    AUTO_FD fd =
        openat(r->dir->fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return kerr_errno(e, errno, "cannot make %s in %s", temp, r->dir->path);
    }
    enum kerr k = write_full(fd, temp, r->data, e);
    if (k == KERR_OK && fsync(fd) != 0) {
        k = kerr_errno(e, errno, "cannot sync %s", temp);
    }
    return k;
}

static enum kerr check_temp(const struct file_replace *r, const char *temp, struct kerrinfo *e)
{
    AUTO_BUF back = {0};
    enum kerr k = file_read(r->dir, temp, r->data.len, FILE_READ_PRIVATE, &back, e);
    if (k != KERR_OK) {
        return k;
    }
    if (!bytes_equal(buf_view(&back), r->data)) {
        return kerr_set(e, KERR_IO, "%s reads back other bytes than were written", temp);
    }
    return r->verify == NULL ? KERR_OK : r->verify(r->verify_ctx, buf_view(&back), e);
}

static enum kerr keep_previous(const struct file_replace *r, struct kerrinfo *e)
{
    char temp[NAME_MAX + 1];
    (void)snprintf(temp, sizeof temp, "%s.tmp", r->prev);
    int fd = r->dir->fd;
    if (unlinkat(fd, temp, 0) != 0 && errno != ENOENT) {
        return kerr_errno(e, errno, "cannot remove the old %s", temp);
    }
    if (linkat(fd, r->name, fd, temp, 0) != 0) {
        return errno == ENOENT ? KERR_OK
                               : kerr_errno(e, errno, "cannot keep %s as %s", r->name, r->prev);
    }
    if (renameat(fd, temp, fd, r->prev) != 0) {
        return kerr_errno(e, errno, "cannot keep %s as %s", r->name, r->prev);
    }
    /* Renaming a link over another link to the same file does nothing and leaves it behind. */
    (void)unlinkat(fd, temp, 0);
    return KERR_OK;
}

static enum kerr put_in_place(const struct file_replace *r, const char *temp, struct kerrinfo *e)
{
    int fd = r->dir->fd;
    unsigned flags = r->is_new ? RENAME_NOREPLACE : 0;
    if (renameat2(fd, temp, fd, r->name, flags) != 0) {
        return kerr_errno(e, errno, "cannot put %s in place in %s", r->name, r->dir->path);
    }
    if (fsync(fd) != 0) {
        return kerr_errno(e, errno, "%s is in place, but the folder %s cannot be synced", r->name,
                          r->dir->path);
    }
    return KERR_OK;
}

enum kerr file_replace(const struct file_replace *r, struct kerrinfo *e)
{
    char temp[NAME_MAX + 1];
    int len = snprintf(temp, sizeof temp, ".%s.tmp", r->name);
    size_t prev_len = r->prev == NULL ? 0 : strlen(r->prev) + strlen(".tmp");
    if (len < 0 || (size_t)len >= sizeof temp || prev_len >= sizeof temp) {
        return kerr_set(e, KERR_LIMIT, "file name %s is too long", r->name);
    }
    enum kerr k = write_temp(r, temp, e);
    if (k == KERR_OK) {
        k = check_temp(r, temp, e);
    }
    if (k == KERR_OK && r->prev != NULL) {
        k = keep_previous(r, e);
    }
    if (k == KERR_OK) {
        k = put_in_place(r, temp, e);
    }
    if (k != KERR_OK) {
        (void)unlinkat(r->dir->fd, temp, 0);
    }
    return k;
}

/* A whole temporary file that belongs to whom it is for. */
static enum kerr write_owned(const struct file_dir *dir, const char *temp, struct bytes data,
                             uid_t uid, gid_t gid, struct kerrinfo *e)
{
    struct file_replace r = {.dir = dir, .data = data};
    enum kerr k = write_temp(&r, temp, e);
    if (k != KERR_OK || (uid == geteuid() && gid == getegid())) {
        return k;
    }
    return fchownat(dir->fd, temp, uid, gid, AT_SYMLINK_NOFOLLOW) == 0
               ? KERR_OK
               : kerr_errno(e, errno, "cannot give %s/%s to uid %u", dir->path, temp, uid);
}

enum kerr file_create(const char *path, struct bytes data, uid_t uid, gid_t gid, struct kerrinfo *e)
{
    AUTO_TEXT folder = NULL;
    AUTO_TEXT name = NULL;
    AUTO_DIR dir = FILE_DIR_NONE;
    char temp[NAME_MAX + 1];
    bool exists = false;
    enum kerr k = file_split(path, &folder, &name, e);
    if (k == KERR_OK) {
        k = file_dir_open(folder, &dir, e);
    }
    if (k == KERR_OK) {
        k = file_exists(&dir, name, &exists, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    if (exists) {
        return kerr_errno(e, EEXIST, "cannot make %s", path);
    }
    int len = snprintf(temp, sizeof temp, ".%s.tmp", name);
    if (len < 0 || (size_t)len >= sizeof temp) {
        return kerr_set(e, KERR_LIMIT, "file name %s is too long", name);
    }
    k = write_owned(&dir, temp, data, uid, gid, e);
    if (k == KERR_OK) {
        struct file_replace r = {.dir = &dir, .name = name, .is_new = true};
        k = put_in_place(&r, temp, e);
    }
    if (k != KERR_OK) {
        (void)unlinkat(dir.fd, temp, 0);
    }
    return k;
}

enum kerr file_remove(const struct file_dir *dir, const char *name, struct kerrinfo *e)
{
    if (unlinkat(dir->fd, name, 0) != 0) {
        return errno == ENOENT ? KERR_OK
                               : kerr_errno(e, errno, "cannot remove %s in %s", name, dir->path);
    }
    if (fsync(dir->fd) != 0) {
        return kerr_errno(e, errno, "cannot sync folder %s", dir->path);
    }
    return KERR_OK;
}

enum kerr file_remove_kept(const struct file_dir *dir, const char *prev, struct kerrinfo *e)
{
    char temp[NAME_MAX + 1];
    (void)snprintf(temp, sizeof temp, "%s.tmp", prev);
    enum kerr k = file_remove(dir, temp, e);
    return k == KERR_OK ? file_remove(dir, prev, e) : k;
}

enum kerr file_lock(const struct file_dir *dir, const char *name, unsigned wait_ms, int *ret,
                    struct kerrinfo *e)
{
    AUTO_FD fd = openat(dir->fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return cannot_open(dir, name, errno, e);
    }
    uint64_t until = clock_mono_ms() + wait_ms;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return kerr_errno(e, errno, "cannot lock %s in %s", name, dir->path);
        }
        if (clock_mono_ms() >= until) {
            return kerr_set(e, KERR_BUSY,
                            "%s/%s is locked by another process; try again when it has ended",
                            dir->path, name);
        }
        (void)usleep(LOCK_TRY_MS * 1000);
    }
    *ret = fd;
    fd = -1;
    return KERR_OK;
}
