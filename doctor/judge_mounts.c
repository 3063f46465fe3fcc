/* SPDX-License-Identifier: Apache-2.0 */
/* What a container sees of the host: of the configuration and of our socket. */
#include <stdlib.h>
#include <string.h>

#include "doctor/verdict.h"

/* Length of the common part when `path` is `folder` or lies below it, else 0. */
static size_t below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/') {
        len--;
    }
    if (len == 1 && *folder == '/') {
        return *path == '/' ? 1 : 0;
    }
    return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == 0) ? len : 0;
}

/* `path` with its first `len` bytes replaced. */
static const char *moved(struct texts *t, const char *path, size_t len, const char *to)
{
    const char *rest = len == 1 ? path : path + len;
    size_t keep = strlen(to);
    while (keep > 0 && to[keep - 1] == '/') {
        keep--;
    }
    return texts_printf(t, "%.*s%s", (int)keep, to, rest);
}

const char *facts_host_path(struct texts *t, const struct apiserver_spec *s, const char *inside,
                            const struct apiserver_mount **ret_mount)
{
    const struct apiserver_mount *best = NULL;
    size_t best_len = 0;
    *ret_mount = NULL;
    if (!s->is_container) {
        return texts_keep(t, bytes_of_text(inside));
    }
    for (size_t i = 0; i < s->mount_count; i++) {
        size_t len = below(inside, s->mounts[i].inside.text);
        if (len > best_len) {
            best = &s->mounts[i];
            best_len = len;
        }
    }
    *ret_mount = best;
    return best == NULL ? "" : moved(t, inside, best_len, best->host);
}

const char *facts_inside_path(struct texts *t, const struct apiserver_spec *s, const char *host,
                              const struct apiserver_mount **ret_mount)
{
    const struct apiserver_mount *best = NULL;
    size_t best_len = 0;
    *ret_mount = NULL;
    if (!s->is_container) {
        return texts_keep(t, bytes_of_text(host));
    }
    for (size_t i = 0; i < s->mount_count; i++) {
        size_t len = below(host, s->mounts[i].host);
        if (len > best_len) {
            best = &s->mounts[i];
            best_len = len;
        }
    }
    *ret_mount = best;
    return best == NULL ? "" : moved(t, host, best_len, best->inside.text);
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
