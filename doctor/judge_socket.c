/* SPDX-License-Identifier: Apache-2.0 */
/* The socket, from systemd's unit to the daemon's list of peers. */
#include <string.h>

#include "doctor/verdict.h"
#include "doctor/wanted.h"

static const char start_cure[] = "systemctl enable --now etcdseald.service";

JUDGE(unit_socket)
{
    const struct fact_unit *unit = &f->units.ours[UNIT_SOCKET];
    const char *path = f->socket.path;
    size_t len = strcspn(unit->listen, " ");
    if (f->units.look != LOOK_DONE || !unit->is_loaded) {
        verdict_skip(v, "%s is not known to systemd", unit->name);
    } else if (strlen(path) != len || strncmp(path, unit->listen, len) != 0) {
        verdict_found(
            v, unit->name,
            verdict_text(v,
                         "set socket.path: %.*s in the configuration, or ListenStream= in "
                         "the unit (systemctl edit %s)",
                         (int)len, unit->listen, unit->name),
            "the unit listens on %.*s, socket.path of the configuration is %s", (int)len,
            unit->listen, path);
    }
}

JUDGE(socket_there)
{
    const struct fact_file *file = &f->socket.file;
    if (file->look == LOOK_FAILED) {
        verdict_unknown(v, "%s", file->why);
    } else if (file->look == LOOK_NO) {
        verdict_found(v, file->path, start_cure, "there is no socket %s", file->path);
    } else if (!S_ISSOCK(file->st.st_mode)) {
        verdict_found(v, file->path,
                      verdict_text(v, "move %s away, then: %s", file->path, start_cure),
                      "%s is not a socket", file->path);
    } else {
        verdict_ok(v, "%s", file->path);
    }
}

/* Whether somebody with these ids may pass through a folder. Root always may. */
static bool may_search(const struct stat *st, uid_t uid)
{
    mode_t bit = st->st_uid == uid ? 0100 : 0001;
    return uid == 0 || (st->st_mode & bit) != 0;
}

JUDGE(socket_folder)
{
    const struct fact_socket *s = &f->socket;
    for (size_t i = 0; i < s->folder_count; i++) {
        const struct fact_file *folder = &s->folders[i];
        if (folder->look != LOOK_DONE) {
            continue; /* then the socket is not there, which is told */
        }
        mode_t mode = folder->st.st_mode & 07777;
        struct wanted w;
        bool is_last = i + 1 == s->folder_count && i > 0;
        if (!may_search(&folder->st, f->apiserver.uid)) {
            verdict_found(
                v, folder->path, verdict_text(v, "chmod a+x %s", folder->path),
                "uid %u, which the API server runs as, may not pass through %s (mode %04o)",
                f->apiserver.uid, folder->path, mode);
        } else if (is_last && wanted_of(f, WANTED_SOCKET_FOLDER, folder, &w)) {
            verdict_found(v, folder->path,
                          verdict_text(v,
                                       "chown %u:%u %s && chmod %04o %s    (or: etcdseal doctor "
                                       "--fix)",
                                       w.uid, w.gid, folder->path, w.mode, folder->path),
                          "%s belongs to %u:%u and has mode %04o: others can put a socket of "
                          "theirs there",
                          folder->path, folder->st.st_uid, folder->st.st_gid, mode);
        } else if (!is_last && (mode & 01022) != 0 && (mode & 01022) < 01000) {
            verdict_found(v, folder->path, verdict_text(v, "chmod go-w %s", folder->path),
                          "%s has mode %04o: others can put a folder of theirs in the place of the "
                          "socket's",
                          folder->path, mode);
        }
    }
}

JUDGE(socket_mode)
{
    const struct fact_socket *s = &f->socket;
    struct wanted w;
    if (!s->has_owner) {
        verdict_unknown(v, "there is no user %s or no group %s", f->q->config->socket_owner,
                        f->q->config->socket_group);
    } else if (wanted_of(f, WANTED_SOCKET, &s->file, &w)) {
        verdict_found(
            v, s->path,
            "etcdseal doctor --fix; for good: SocketUser=, SocketGroup= and SocketMode= "
            "of etcdseald.socket as in the configuration",
            "%s belongs to %u:%u and has mode %04o, the configuration says %s:%s and %04o", s->path,
            s->file.st.st_uid, s->file.st.st_gid, s->file.st.st_mode & 07777,
            f->q->config->socket_owner, f->q->config->socket_group, f->q->config->socket_mode);
    }
}

JUDGE(socket_listens)
{
    const struct fact_socket *s = &f->socket;
    if (s->connect == CONNECT_REFUSED) {
        verdict_found(v, s->path, verdict_text(v, "%s", start_cure),
                      "nobody listens on %s: a process that is gone left it behind", s->path);
    } else if (s->connect == CONNECT_SILENT) {
        verdict_found(v, s->path, "systemctl restart etcdseald.service",
                      "whoever listens on %s says nothing", s->path);
    } else if (s->connect == CONNECT_UNTRIED) {
        verdict_unknown(v, "%s", s->connect_why);
    }
}

static bool is_peer(const struct config *c, uint32_t uid)
{
    for (size_t i = 0; i < c->peer_count; i++) {
        const struct config_peer *row = &c->peers[i];
        /* kube-apiserver's group is root's as a rule; a gid row is taken for what it says. */
        bool is_row = row->kind == CONFIG_PEER_UID ? row->id == uid : row->id == 0 && uid == 0;
        if (is_row && row->methods == CONFIG_METHODS_ALL) {
            return true;
        }
    }
    return false;
}

JUDGE(socket_peers)
{
    const struct fact_socket *s = &f->socket;
    uint32_t uid = f->apiserver.uid;
    const char *cure = verdict_text(v, "add to peers of the configuration:  - uid: %u", uid);
    if (!is_peer(f->q->config, uid)) {
        verdict_found(
            v, f->q->config_file == NULL ? "" : f->q->config_file, cure,
            "no row of peers gives uid %u, which the API server runs as, all three methods", uid);
    } else if (s->connect == CONNECT_DENIED) {
        verdict_found(
            v, s->path,
            verdict_text(v, "set socket.owner and SocketUser= of etcdseald.socket to uid %u", uid),
            "uid %u, which the API server runs as, may not connect to %s", uid, s->path);
    } else if (s->connect == CONNECT_CLOSED) {
        verdict_found(
            v, s->path, verdict_text(v, "%s, then: systemctl restart etcdseald", cure),
            "the running daemon closes connections of uid %u, which the API server runs as", uid);
    } else {
        verdict_ok(v, "answers uid %u", uid);
    }
}
