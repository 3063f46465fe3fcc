/* SPDX-License-Identifier: Apache-2.0 */
/* The KMS socket, tried as the user that the API server runs as. */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "doctor/facts.h"

#define WAIT_MS 3000

/* What a client of HTTP/2 says first: its preface and an empty SETTINGS frame (RFC 9113, 3.4). */
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

static void gather_folders(struct facts *f)
{
    struct fact_socket *s = &f->socket;
    for (const char *p = s->path; *p != 0 && s->folder_count < FACTS_FOLDERS_MAX; p++) {
        if (*p == '/') {
            size_t len = p == s->path ? 1 : (size_t)(p - s->path);
            const char *folder = texts_keep(&f->texts, bytes_of(s->path, len));
            struct fact_file file = gather_file(f, folder);
            /* A link counts as what it leads to: /var/run is one. */
            if (file.look == LOOK_DONE && stat(folder, &file.st) != 0) {
                file.look = LOOK_NO;
            }
            s->folders[s->folder_count++] = file;
        }
    }
}

static void gather_owner(struct facts *f)
{
    const struct config *c = f->q->config;
    struct fact_socket *s = &f->socket;
    uint64_t uid = 0;
    uint64_t gid = 0;
    const struct passwd *user = getpwnam(c->socket_owner);
    const struct group *group = getgrnam(c->socket_group);
    bool has_uid = user != NULL || text_to_u64(c->socket_owner, "socket.owner", 0, UINT32_MAX - 1,
                                               &uid, NULL) == KERR_OK;
    bool has_gid = group != NULL || text_to_u64(c->socket_group, "socket.group", 0, UINT32_MAX - 1,
                                                &gid, NULL) == KERR_OK;
    s->has_owner = has_uid && has_gid;
    s->uid = user != NULL ? user->pw_uid : (uid_t)uid;
    s->gid = group != NULL ? group->gr_gid : (gid_t)gid;
}

static enum fact_connect ask(int fd)
{
    char answer[9];
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    ssize_t sent = send(fd, preface, sizeof preface - 1, MSG_NOSIGNAL);
    if (sent < 0) {
        return errno == EPIPE || errno == ECONNRESET ? CONNECT_CLOSED : CONNECT_SILENT;
    }
    if (poll(&wait, 1, WAIT_MS) <= 0) {
        return CONNECT_SILENT;
    }
    return recv(fd, answer, sizeof answer, 0) > 0 ? CONNECT_ANSWERED : CONNECT_CLOSED;
}

static enum fact_connect try_path(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    /* connect waits in a full queue. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
        return CONNECT_UNTRIED;
    }
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0) {
        return ask(fd);
    }
    return errno == ECONNREFUSED                     ? CONNECT_REFUSED
           : errno == ENOENT                         ? CONNECT_ABSENT
           : errno == EACCES || errno == EPERM       ? CONNECT_DENIED
           : errno == EAGAIN || errno == EINPROGRESS ? CONNECT_SILENT
                                                     : CONNECT_UNTRIED;
}

/* SO_PEERCRED is taken from the effective ids at connect, and so are the rights to a path. */
static enum fact_connect try_as(uid_t uid, const char *path)
{
    gid_t groups[NGROUPS_MAX];
    const struct passwd *user = getpwuid(uid);
    struct file_dir as = {.fd = -1, .uid = uid, .gid = user == NULL ? (gid_t)uid : user->pw_gid};
    if (uid == geteuid()) {
        return try_path(path);
    }
    int count = getgroups(NGROUPS_MAX, groups);
    if (count < 0 || setgroups(0, NULL) != 0) {
        return CONNECT_UNTRIED;
    }
    enum fact_connect got = CONNECT_UNTRIED;
    AUTO_IDENTITY id = {.is_changed = false};
    if (file_identity_assume(&as, &id, NULL) == KERR_OK) {
        got = try_path(path);
        file_identity_restore(&id);
    }
    return setgroups((size_t)count, groups) == 0 ? got : CONNECT_UNTRIED;
}

void gather_socket(struct facts *f)
{
    struct fact_socket *s = &f->socket;
    uid_t uid = f->apiserver.uid;
    s->file = gather_file(f, s->path);
    gather_folders(f);
    gather_owner(f);
    s->connect_why = "";
    if (!f->is_root && uid != geteuid()) {
        s->connect_why = texts_printf(&f->texts, "only root can try the socket as uid %u", uid);
        return;
    }
    s->connect = try_as(uid, s->path);
    if (s->connect == CONNECT_UNTRIED) {
        s->connect_why = texts_printf(&f->texts, "could not connect to %s as uid %u", s->path, uid);
    }
}
