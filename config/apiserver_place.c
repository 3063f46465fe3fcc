/* SPDX-License-Identifier: Apache-2.0 */
/* Where each distribution keeps its files, and what a container sees of the host. */
#include <string.h>

#include "config/apiserver.h"

const struct apiserver_place apiserver_places[APISERVER_PLACE_COUNT] = {
    {"/etc/kubernetes/manifests/kube-apiserver.yaml", APISERVER_MANIFEST, NULL},
    {"/etc/rancher/k3s/config.yaml", APISERVER_K3S, "/var/lib/rancher/k3s"},
    {"/etc/rancher/rke2/config.yaml", APISERVER_RKE2, "/var/lib/rancher/rke2"},
};

const char *apiserver_data_dir(const struct apiserver_spec *s, enum apiserver_source source)
{
    if (s != NULL && s->data_dir.text != NULL) {
        return s->data_dir.text;
    }
    for (size_t i = 0; i < ARRAY_LEN(apiserver_places); i++) {
        if (apiserver_places[i].source == source) {
            return apiserver_places[i].data_dir;
        }
    }
    return NULL;
}

/* Without the slashes at its end, but for that of the root. */
static size_t trimmed(const char *folder, size_t least)
{
    size_t len = strlen(folder);
    while (len > least && folder[len - 1] == '/') {
        len--;
    }
    return len;
}

/* Length of the common part when `path` is `folder` or lies below it, else 0. */
static size_t below(const char *path, const char *folder)
{
    size_t len = trimmed(folder, 1);
    if (len == 1 && *folder == '/') {
        return *path == '/' ? 1 : 0;
    }
    return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == 0) ? len : 0;
}

static const char *side(const struct apiserver_mount *m, bool is_host)
{
    return is_host ? m->host : m->inside.text;
}

/* The longest mount counts. */
static bool move(const struct apiserver_spec *s, const char *path, bool is_to_host,
                 struct apiserver_path *ret)
{
    size_t best = 0;
    *ret = (struct apiserver_path){.head = "", .tail = path};
    for (size_t i = 0; i < s->mount_count && s->is_container; i++) {
        size_t len = below(path, side(&s->mounts[i], !is_to_host));
        if (len > best) {
            best = len;
            ret->mount = &s->mounts[i];
        }
    }
    if (ret->mount != NULL) {
        ret->head = side(ret->mount, is_to_host);
        ret->head_len = (int)trimmed(ret->head, 0);
        ret->tail = best == 1 ? path : path + best;
    }
    return ret->mount != NULL || !s->is_container;
}

bool apiserver_host_path(const struct apiserver_spec *s, const char *inside,
                         struct apiserver_path *ret)
{
    return move(s, inside, true, ret);
}

bool apiserver_inside_path(const struct apiserver_spec *s, const char *host,
                           struct apiserver_path *ret)
{
    return move(s, host, false, ret);
}
