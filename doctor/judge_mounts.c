/* SPDX-License-Identifier: Apache-2.0 */
/* What a container sees of the host: of the configuration and of our socket. */
#include <stdlib.h>
#include <string.h>

#include "doctor/verdict.h"

static const char *path_text(struct texts *t, bool is_there, const struct apiserver_path *p,
                             const struct apiserver_mount **ret_mount)
{
    *ret_mount = p->mount;
    return is_there ? texts_printf(t, "%.*s%s", p->head_len, p->head, p->tail) : "";
}

const char *facts_host_path(struct texts *t, const struct apiserver_spec *s, const char *inside,
                            const struct apiserver_mount **ret_mount)
{
    struct apiserver_path path;
    bool is_there = apiserver_host_path(s, inside, &path);
    return path_text(t, is_there, &path, ret_mount);
}

const char *facts_inside_path(struct texts *t, const struct apiserver_spec *s, const char *host,
                              const struct apiserver_mount **ret_mount)
{
    struct apiserver_path path;
    bool is_there = apiserver_inside_path(s, host, &path);
    return path_text(t, is_there, &path, ret_mount);
}

/* How a folder is mounted. */
static const char *mount_cure(const struct facts *f, struct verdict *v, const char *folder)
{
    const struct apiserver_spec *s = facts_spec(f);
    if (s->source == APISERVER_RKE2) {
        return verdict_text(v, "in %s, under kube-apiserver-extra-mount:  - %s:%s", s->file, folder,
                            folder);
    }
    return verdict_text(
        v,
        "in %s: volumes:  - {name: etcdseal, hostPath: {path: %s, type: Directory}}  "
        "and volumeMounts:  - {name: etcdseal, mountPath: %s}",
        s->file, folder, folder);
}

static const char *folder_of(struct verdict *v, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
    return verdict_text(v, "%.*s", (int)len, path);
}

/* RKE2 mounts the files that flags name by itself. */
static bool is_mounting_files(const struct apiserver_spec *s)
{
    return s->source == APISERVER_RKE2;
}

JUDGE(apiserver_config_mount)
{
    const struct apiserver_spec *s = facts_spec(f);
    const char *inside = f->apiserver.config_inside;
    const struct apiserver_mount *mount = NULL;
    if (!s->is_container || is_mounting_files(s)) {
        verdict_skip(v, "%s", s->is_container ? "RKE2 mounts it by itself" : "not in a container");
        return;
    }
    const char *host = facts_host_path(v->texts, s, inside, &mount);
    if (*host == 0) {
        verdict_found(v, verdict_place(v, &apiserver_flag(s, "encryption-provider-config")->value),
                      mount_cure(f, v, folder_of(v, inside)),
                      "%s lies in no folder of the host that is mounted", inside);
    } else {
        verdict_ok(v, "%s", host);
    }
}

JUDGE(apiserver_config_mount_file)
{
    const struct apiserver_spec *s = facts_spec(f);
    const char *inside = f->apiserver.config_inside;
    const struct apiserver_mount *mount = NULL;
    (void)facts_host_path(v->texts, s, inside, &mount);
    if (mount == NULL) {
        verdict_skip(v, "not mounted");
    } else if (strcmp(mount->inside.text, inside) == 0) {
        verdict_found(v, verdict_place(v, &mount->inside), mount_cure(f, v, folder_of(v, inside)),
                      "the file %s is mounted, not its folder", inside);
    }
}

JUDGE(apiserver_socket_mount)
{
    const struct apiserver_spec *s = facts_spec(f);
    const char *path = f->socket.path;
    if (!s->is_container) {
        verdict_skip(v, "not in a container");
    } else if (*f->apiserver.socket_inside == 0) {
        verdict_found(v, s->file, mount_cure(f, v, folder_of(v, path)),
                      "the folder of socket %s is not mounted", path);
    } else {
        verdict_ok(v, "%s", f->apiserver.socket_inside);
    }
}

JUDGE(apiserver_socket_mount_file)
{
    const struct apiserver_spec *s = facts_spec(f);
    const struct apiserver_mount *mount = NULL;
    (void)facts_inside_path(v->texts, s, f->socket.path, &mount);
    if (mount == NULL) {
        verdict_skip(v, "not mounted");
    } else if (strcmp(mount->host, f->socket.path) == 0) {
        verdict_found(v, verdict_place(v, &mount->inside),
                      mount_cure(f, v, folder_of(v, f->socket.path)),
                      "the socket %s itself is mounted, not its folder", f->socket.path);
    }
}
