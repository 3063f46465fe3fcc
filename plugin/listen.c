/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/text.h"

enum kerr listen_check_path(const char *path, struct kerrinfo *e)
{
    if (*path != '/') {
        return kerr_set(e, KERR_CONFIG,
                        "socket path %s: expected an absolute path; abstract sockets have no owner "
                        "and no mode",
                        path);
    }
    if (strlen(path) > LISTEN_PATH_MAX) {
        return kerr_set(e, KERR_CONFIG, "socket path of %zu bytes, a unix socket allows %d: %s",
                        strlen(path), LISTEN_PATH_MAX, path);
    }
    return KERR_OK;
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    return a;
}

void listener_close(struct listener *l)
{
    struct stat st;
    if (l->is_ours && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino) {
        (void)unlink(l->path);
    }
    file_close_at(&l->fd);
    file_close_at(&l->lock_fd); /* last: who waits for it finds the path free */
    l->is_ours = false;
}

/* --- self-made --- */

/* Who listens there, or nobody: *ret_is_live false. */
static enum kerr probe(const char *path, bool *ret_is_live, struct kerrinfo *e)
{
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return kerr_errno(e, errno, "cannot make a socket");
    }
    struct sockaddr_un a = address_of(path);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        if (errno == ECONNREFUSED || errno == ENOENT) {
            *ret_is_live = false;
            return KERR_OK;
        }
        if (errno != EAGAIN) {
            return kerr_errno(e, errno, "cannot tell whether %s is in use", path);
        }
    }
    struct ucred cred = {.pid = 0};
    socklen_t len = sizeof cred;
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
    *ret_is_live = true;
    if (cred.pid == 0) {
        return kerr_set(e, KERR_BUSY, "%s is in use by another process", path);
    }
    return kerr_set(e, KERR_BUSY, "%s is in use: process %d of uid %u listens there", path,
                    cred.pid, cred.uid);
}

/* What the holder of the lock wrote into it; 0 when unknown. */
static uint64_t lock_holder(const struct file_dir *dir, const char *name)
{
    char text[24] = {0};
    uint64_t pid = 0;
    AUTO_FD fd = openat(dir->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0) {
        return 0;
    }
    text[strcspn(text, "\n")] = 0;
    return text_to_u64(text, "pid", 1, INT32_MAX, &pid, NULL) == KERR_OK ? pid : 0;
}

static enum kerr refuse_locked(const struct listen_spec *spec, const struct file_dir *dir,
                               const char *lock_name, struct kerrinfo *e)
{
    bool is_live = false;
    kerr_clear(e);
    if (probe(spec->path, &is_live, e) != KERR_OK && is_live) {
        return KERR_BUSY; /* names the listener */
    }
    kerr_clear(e);
    return kerr_set(e, KERR_BUSY,
                    "%s is held by process %llu (lock %s/%s); only one daemon can "
                    "serve a socket",
                    spec->path, (unsigned long long)lock_holder(dir, lock_name), dir->path,
                    lock_name);
}

static enum kerr take_lock(const struct listen_spec *spec, const struct file_dir *dir,
                           const char *name, int *ret, struct kerrinfo *e)
{
    char lock_name[LISTEN_PATH_MAX + 8];
    (void)snprintf(lock_name, sizeof lock_name, "%s.lock", name);
    AUTO_FD fd = -1;
    enum kerr k = file_lock(dir, lock_name, 0, &fd, e);
    if (k == KERR_BUSY) {
        return refuse_locked(spec, dir, lock_name, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    char text[24];
    int len = snprintf(text, sizeof text, "%d\n", getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
        return kerr_errno(e, errno, "cannot write lock %s in %s", lock_name, dir->path);
    }
    *ret = fd;
    fd = -1;
    return KERR_OK;
}

/* Makes the place free: nothing there, or a socket on which nobody listens. */
static enum kerr clear_place(const char *path, struct kerrinfo *e)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? KERR_OK : kerr_errno(e, errno, "cannot look at %s", path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return kerr_set(e, KERR_EXISTS,
                        "%s exists and is no socket; it is never deleted: move it away", path);
    }
    bool is_live = false;
    enum kerr k = probe(path, &is_live, e);
    if (k == KERR_OK && unlink(path) != 0 && errno != ENOENT) {
        k = kerr_errno(e, errno, "cannot replace the stale socket %s", path);
    }
    return k;
}

/* Owner and mode of the bound file, not through a link and only if it is the socket. */
static enum kerr dress(const struct listen_spec *spec, uid_t uid, gid_t gid, struct listener *l,
                       struct kerrinfo *e)
{
    AUTO_FD at = open(spec->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (at < 0 || fstat(at, &st) != 0) {
        return kerr_errno(e, errno, "cannot look at %s", spec->path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return kerr_set(e, KERR_EXISTS, "%s was replaced while it was made", spec->path);
    }
    l->dev = st.st_dev;
    l->ino = st.st_ino;
    l->is_ours = true;
    if ((st.st_uid != uid || st.st_gid != gid) && fchownat(at, "", uid, gid, AT_EMPTY_PATH) != 0) {
        return kerr_errno(e, errno,
                          "cannot give %s to %s:%s, which needs root: let systemd make the socket, "
                          "or set socket.owner and socket.group to the daemon's own",
                          spec->path, spec->owner, spec->group);
    }
    /* fchmod does not work on O_PATH descriptors, their name in /proc does. */
    char self[64];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", at);
    if (chmod(self, spec->mode) != 0) {
        return kerr_errno(e, errno, "cannot set mode %04o on %s", spec->mode, spec->path);
    }
    return KERR_OK;
}

static enum kerr bind_at(const struct listen_spec *spec, struct listener *l, struct kerrinfo *e)
{
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0) {
        return kerr_errno(e, errno, "cannot make a socket");
    }
    struct sockaddr_un a = address_of(spec->path);
    /* Nobody but ourselves until the owner is right. */
    mode_t before = umask(0177);
    int rc = bind(l->fd, (struct sockaddr *)&a, sizeof a);
    int err = errno;
    (void)umask(before);
    return rc == 0 ? KERR_OK : kerr_errno(e, err, "cannot bind %s", spec->path);
}

static enum kerr no_such(const char *what, const char *name, struct kerrinfo *e)
{
    return kerr_set(e, KERR_CONFIG, "%s: there is no \"%s\" on this machine", what, name);
}

/* Names or numbers to ids. */
static enum kerr owner_ids(const struct listen_spec *spec, uid_t *ret_uid, gid_t *ret_gid,
                           struct kerrinfo *e)
{
    uint64_t uid = 0;
    uint64_t gid = 0;
    if (text_to_u64(spec->owner, "socket.owner", 0, UINT32_MAX - 1, &uid, NULL) != KERR_OK) {
        const struct passwd *user = getpwnam(spec->owner);
        if (user == NULL) {
            return no_such("socket.owner", spec->owner, e);
        }
        uid = user->pw_uid;
    }
    if (text_to_u64(spec->group, "socket.group", 0, UINT32_MAX - 1, &gid, NULL) != KERR_OK) {
        const struct group *group = getgrnam(spec->group);
        if (group == NULL) {
            return no_such("socket.group", spec->group, e);
        }
        gid = group->gr_gid;
    }
    *ret_uid = (uid_t)uid;
    *ret_gid = (gid_t)gid;
    return KERR_OK;
}

static enum kerr open_folder(const char *path, const char *folder, struct file_dir *ret,
                             struct kerrinfo *e)
{
    enum kerr k = file_dir_open(folder, ret, e);
    if (k == KERR_NOTFOUND) {
        kerr_clear(e);
        return kerr_set(e, KERR_NOTFOUND,
                        "the folder of socket %s does not exist: run mkdir -m 0755 %s, or "
                        "systemd-tmpfiles --create etcdseal.conf",
                        path, folder);
    }
    return k;
}

enum kerr listen_self(const struct listen_spec *spec, struct listener *ret, struct kerrinfo *e)
{
    AUTO_TEXT folder = NULL;
    AUTO_TEXT name = NULL;
    AUTO_DIR dir = FILE_DIR_NONE;
    AUTO(listener_close) struct listener l = LISTENER_NONE;
    uid_t uid = 0;
    gid_t gid = 0;
    enum kerr k = listen_check_path(spec->path, e);
    k = k == KERR_OK ? owner_ids(spec, &uid, &gid, e) : k;
    k = k == KERR_OK ? file_split(spec->path, &folder, &name, e) : k;
    k = k == KERR_OK ? open_folder(spec->path, folder, &dir, e) : k;
    k = k == KERR_OK ? take_lock(spec, &dir, name, &l.lock_fd, e) : k;
    k = k == KERR_OK ? clear_place(spec->path, e) : k;
    k = k == KERR_OK ? bind_at(spec, &l, e) : k;
    (void)snprintf(l.path, sizeof l.path, "%s", spec->path);
    k = k == KERR_OK ? dress(spec, uid, gid, &l, e) : k;
    if (k == KERR_OK && listen(l.fd, LISTEN_BACKLOG) != 0) {
        k = kerr_errno(e, errno, "cannot listen on %s", spec->path);
    }
    if (k == KERR_OK) {
        *ret = l;
        l = LISTENER_NONE;
    }
    return k;
}

/* --- passed --- */

/* The paths that were expected, for a message. */
static void list_paths(const struct listen_wanted *wanted, size_t count, char *to, size_t size)
{
    size_t at = 0;
    *to = 0;
    for (size_t i = 0; i < count && at < size; i++) {
        int n = snprintf(to + at, size - at, "%s%s", i == 0 ? "" : " or ", wanted[i].path);
        at += n > 0 ? (size_t)n : 0;
    }
}

/* The path that a passed socket is bound to; "" for an abstract or unbound one. */
static enum kerr path_of(int fd, const char *name, char to[static LISTEN_PATH_MAX + 1],
                         struct kerrinfo *e)
{
    if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0) {
        return kerr_set(e, KERR_CONFIG,
                        "descriptor %d (name %s) was passed to the daemon and is no listening unix "
                        "stream socket: use ListenStream=/PATH in the socket unit",
                        fd, name);
    }
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
        return kerr_errno(e, errno, "cannot tell the path of descriptor %d", fd);
    }
    (void)snprintf(to, LISTEN_PATH_MAX + 1, "%.*s", LISTEN_PATH_MAX, a.sun_path);
    return KERR_OK;
}

static enum kerr take_passed(int fd, const char *name, const struct listen_wanted *wanted,
                             size_t count, struct kerrinfo *e)
{
    char path[LISTEN_PATH_MAX + 1];
    enum kerr k = path_of(fd, name, path, e);
    if (k != KERR_OK) {
        return k;
    }
    for (size_t i = 0; i < count; i++) {
        struct listener *to = wanted[i].to;
        if (strcmp(path, wanted[i].path) != 0) {
            continue;
        }
        if (to->fd >= 0) {
            return kerr_set(e, KERR_CONFIG, "socket %s was passed to the daemon twice", path);
        }
        if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
            return kerr_errno(e, errno, "cannot use the passed socket %s", path);
        }
        *to = LISTENER_NONE;
        to->fd = fd;
        (void)snprintf(to->path, sizeof to->path, "%s", path);
        return KERR_OK;
    }
    char expected[2 * LISTEN_PATH_MAX + 16];
    list_paths(wanted, count, expected, sizeof expected);
    return kerr_set(e, KERR_CONFIG,
                    "socket %s (name %s) was passed to the daemon, its configuration expects %s: "
                    "make ListenStream= and socket.path the same",
                    *path == 0 ? "without a path" : path, name, expected);
}

static void free_names(char ***names)
{
    for (char **p = *names; p != NULL && *p != NULL; p++) {
        free(*p);
    }
    free(*names);
}

enum kerr listen_activated(const struct listen_wanted *wanted, size_t count, size_t *ret_passed,
                           struct kerrinfo *e)
{
    AUTO(free_names) char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names);
    if (n < 0) {
        return kerr_errno(e, -n, "cannot read LISTEN_FDS");
    }
    for (int i = 0; i < n; i++) {
        enum kerr k = take_passed(SD_LISTEN_FDS_START + i, names[i], wanted, count, e);
        if (k != KERR_OK) {
            return k;
        }
    }
    *ret_passed = (size_t)n;
    return KERR_OK;
}
