/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/resource.h"

#include <ctype.h>
#include <string.h>

#define ADMISSION "admissionregistration.k8s.io"
#define CERTS     "certificates.k8s.io"
#define FLOW      "flowcontrol.apiserver.k8s.io"
#define NET       "networking.k8s.io"
#define RBAC      "rbac.authorization.k8s.io"
#define DRA       "resource.k8s.io"
#define STORAGE   "storage.k8s.io"

/* What stands behind the prefix, and what it is. Custom resources are not here. */
static const struct {
    const char *path;
    const char *resource; /* NULL: as the path */
    const char *group;
} rows[] = {
    /* Two words before one. */
    {"services/endpoints", "endpoints", ""},
    {"services/specs", "services", ""},
    {"controllers", "replicationcontrollers", ""},
    {"minions", "nodes", ""},
    {"ingress", "ingresses", NET},
    {"configmaps", NULL, ""},
    {"events", NULL, ""},
    {"limitranges", NULL, ""},
    {"namespaces", NULL, ""},
    {"persistentvolumeclaims", NULL, ""},
    {"persistentvolumes", NULL, ""},
    {"pods", NULL, ""},
    {"podtemplates", NULL, ""},
    {"resourcequotas", NULL, ""},
    {"secrets", NULL, ""},
    {"serviceaccounts", NULL, ""},
    {"mutatingadmissionpolicies", NULL, ADMISSION},
    {"mutatingadmissionpolicybindings", NULL, ADMISSION},
    {"mutatingwebhookconfigurations", NULL, ADMISSION},
    {"validatingadmissionpolicies", NULL, ADMISSION},
    {"validatingadmissionpolicybindings", NULL, ADMISSION},
    {"validatingwebhookconfigurations", NULL, ADMISSION},
    {"controllerrevisions", NULL, "apps"},
    {"daemonsets", NULL, "apps"},
    {"deployments", NULL, "apps"},
    {"replicasets", NULL, "apps"},
    {"statefulsets", NULL, "apps"},
    {"horizontalpodautoscalers", NULL, "autoscaling"},
    {"cronjobs", NULL, "batch"},
    {"jobs", NULL, "batch"},
    {"certificatesigningrequests", NULL, CERTS},
    {"clustertrustbundles", NULL, CERTS},
    {"podcertificaterequests", NULL, CERTS},
    {"leases", NULL, "coordination.k8s.io"},
    {"leasecandidates", NULL, "coordination.k8s.io"},
    {"endpointslices", NULL, "discovery.k8s.io"},
    {"flowschemas", NULL, FLOW},
    {"prioritylevelconfigurations", NULL, FLOW},
    {"storageversions", NULL, "internal.apiserver.k8s.io"},
    {"ingressclasses", NULL, NET},
    {"ipaddresses", NULL, NET},
    {"networkpolicies", NULL, NET},
    {"servicecidrs", NULL, NET},
    {"runtimeclasses", NULL, "node.k8s.io"},
    {"poddisruptionbudgets", NULL, "policy"},
    {"podsecuritypolicy", "podsecuritypolicies", "policy"},
    {"clusterrolebindings", NULL, RBAC},
    {"clusterroles", NULL, RBAC},
    {"rolebindings", NULL, RBAC},
    {"roles", NULL, RBAC},
    {"deviceclasses", NULL, DRA},
    {"devicetaintrules", NULL, DRA},
    {"resourceclaims", NULL, DRA},
    {"resourceclaimtemplates", NULL, DRA},
    {"resourceslices", NULL, DRA},
    {"priorityclasses", NULL, "scheduling.k8s.io"},
    {"csidrivers", NULL, STORAGE},
    {"csinodes", NULL, STORAGE},
    {"csistoragecapacities", NULL, STORAGE},
    {"storageclasses", NULL, STORAGE},
    {"volumeattachments", NULL, STORAGE},
    {"volumeattributesclasses", NULL, STORAGE},
    {"storageversionmigrations", NULL, "storagemigration.k8s.io"},
};

/* Of kube-apiserver itself, plaintext under "*.*" too; tests/system/test_audit.py sees it. */
static const char *const bookkeeping[] = {"masterleases", "peerserverleases", "ranges"};

/* Cuts the word up to the next '/' off; the last one when there is none. */
static struct bytes next_word(struct bytes *rest)
{
    if (rest->len == 0) {
        return *rest; /* whose pointer may be NULL */
    }
    const uint8_t *slash = memchr(rest->ptr, '/', rest->len);
    size_t len = slash == NULL ? rest->len : (size_t)(slash - rest->ptr);
    struct bytes word = bytes_of(rest->ptr, len);
    size_t used = len + (slash == NULL ? 0 : 1);
    *rest = bytes_of(rest->ptr + used, rest->len - used);
    return word;
}

/* The row whose path the bytes begin with, followed by '/' or nothing. */
static bool take_built_in(struct bytes *rest, struct resource_key *to)
{
    for (size_t i = 0; i < ARRAY_LEN(rows) && rest->len > 0; i++) {
        if (rows[i].path[0] != (char)rest->ptr[0]) {
            continue; /* most rows, for each of a million keys */
        }
        size_t len = strlen(rows[i].path);
        if (bytes_begin_with(*rest, bytes_of(rows[i].path, len)) &&
            (rest->len == len || rest->ptr[len] == '/')) {
            const char *name = rows[i].resource != NULL ? rows[i].resource : rows[i].path;
            size_t used = rest->len == len ? len : len + 1;
            to->resource = bytes_of_text(name);
            to->group = bytes_of_text(rows[i].group);
            to->is_group_known = true;
            *rest = bytes_of(rest->ptr + used, rest->len - used);
            return true;
        }
    }
    return false;
}

bool resource_of_key(struct bytes key, struct bytes prefix, struct resource_key *ret)
{
    struct resource_key found = {.is_group_known = false};
    if (!bytes_begin_with(key, prefix) || key.len == prefix.len) {
        return false;
    }
    struct bytes rest = bytes_of(key.ptr + prefix.len, key.len - prefix.len);
    if (!take_built_in(&rest, &found)) {
        found.resource = next_word(&rest);
        if (memchr(found.resource.ptr, '.', found.resource.len) != NULL && rest.len > 0) {
            found.group = found.resource;
            found.resource = next_word(&rest);
            found.is_group_known = true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(bookkeeping) && found.group.len == 0; i++) {
        found.is_bookkeeping =
            found.is_bookkeeping || bytes_equal_text(found.resource, bookkeeping[i]);
    }
    found.name = next_word(&rest);
    if (rest.len > 0) {
        found.name_space = found.name;
        found.name = rest;
    }
    *ret = found;
    return found.resource.len > 0;
}

/* Its path, when it is built in. */
static const char *path_of(const struct resource_key *r)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *name = rows[i].resource != NULL ? rows[i].resource : rows[i].path;
        if (bytes_equal_text(r->resource, name) &&
            (r->group.len == 0 || bytes_equal_text(r->group, rows[i].group))) {
            return rows[i].path;
        }
    }
    return NULL;
}

enum kerr resource_put_key(const struct resource_key *r, struct bytes prefix, struct buf *to,
                           struct kerrinfo *e)
{
    const char *path = path_of(r);
    const struct bytes words[] = {path == NULL ? r->group : bytes_of(NULL, 0),
                                  path == NULL ? r->resource : bytes_of_text(path), r->name_space};
    struct appender a = appender_on(to, e);
    append_bytes(&a, prefix);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        append_bytes(&a, words[i]);
        append_text(&a, words[i].len == 0 ? "" : "/");
    }
    append_bytes(&a, r->name);
    return a.k;
}

void resource_text(const struct resource_key *r, char *to, size_t to_size)
{
    const struct bytes parts[] = {r->resource, bytes_of_text(r->group.len == 0 ? "" : "."),
                                  r->group};
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        size_t left = to_size - 1 - len;
        size_t part = parts[i].len < left ? parts[i].len : left;
        if (part > 0) {
            memcpy(to + len, parts[i].ptr, part);
        }
        len += part;
    }
    to[len] = 0;
}

bool resource_prefix_of(struct bytes key, struct bytes *ret)
{
    static const char *const anchors[] = {"/namespaces/default", "/namespaces/kube-system"};
    for (size_t i = 0; i < ARRAY_LEN(anchors); i++) {
        size_t len = strlen(anchors[i]);
        if (key.len > len && memcmp(key.ptr + key.len - len, anchors[i], len) == 0) {
            *ret = bytes_of(key.ptr, key.len - len + 1);
            return true;
        }
    }
    return false;
}

bool resource_is_within(struct bytes prefix, struct bytes *ret)
{
    struct resource_key found;
    for (size_t at = 2; at < prefix.len; at++) {
        struct bytes rest = bytes_of(prefix.ptr + at, prefix.len - at);
        if (prefix.ptr[at - 1] == '/' && take_built_in(&rest, &found)) {
            *ret = bytes_of(prefix.ptr, at);
            return true;
        }
    }
    return false;
}

bool resource_of_kind(struct bytes api_version, struct bytes kind,
                      char to[static RESOURCE_KIND_MAX], struct resource_key *ret)
{
    if (kind.len == 0 || kind.len > RESOURCE_KIND_MAX - 4) {
        return false;
    }
    for (size_t i = 0; i < kind.len; i++) {
        to[i] = (char)tolower(kind.ptr[i]);
    }
    size_t len = kind.len;
    char last = to[len - 1];
    bool is_y = last == 'y';
    const char *plural = is_y ? "ies" : last == 's' ? "es" : "s";
    bool is_plural = len == strlen("endpoints") && memcmp(to, "endpoints", len) == 0;
    len -= is_y ? 1 : 0;
    memcpy(to + len, plural, strlen(plural));
    len += is_plural ? 0 : strlen(plural);
    struct bytes rest = api_version;
    struct bytes group = next_word(&rest);
    *ret = (struct resource_key){.resource = bytes_of(to, len),
                                 .group = rest.len == 0 ? bytes_of(NULL, 0) : group,
                                 .is_group_known = true};
    return true;
}
