/* SPDX-License-Identifier: Apache-2.0 */
/* A static pod's manifest. A container is known as a kube-apiserver by the program that it runs. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "config/apiserver.h"
#include "config/apiserver_store.h"

struct manifest {
    struct apiserver_store *store;
    struct yaml *doc;
    const char *file;
};

static bool is_text(const struct yaml_node *node, const char *text)
{
    return node != NULL && node->kind == YAML_SCALAR && strcmp(node->text, text) == 0;
}

static bool is_program(const char *word)
{
    const char *slash = strrchr(word, '/');
    return strcmp(slash == NULL ? word : slash + 1, "kube-apiserver") == 0;
}

/* The program is the first word of `command`; images that start it by themselves have `args` only,
 * and then a container's name decides. */
static bool is_apiserver(const struct yaml_node *container)
{
    const struct yaml_node *command = yaml_get(container, "command");
    if (command != NULL && command->kind == YAML_SEQUENCE) {
        for (const struct yaml_node *n = command->child; n != NULL; n = n->next) {
            if (n->kind == YAML_SCALAR && is_program(n->text)) {
                return true;
            }
        }
        return false;
    }
    return is_text(yaml_get(container, "name"), "kube-apiserver");
}

static enum kerr find_container(const struct manifest *m, const struct yaml_node **ret,
                                struct kerrinfo *e)
{
    const struct yaml_node *root = yaml_root(m->doc);
    const struct yaml_node *list = yaml_get(yaml_get(root, "spec"), "containers");
    if (is_text(yaml_get(root, "kind"), "Pod") && list != NULL && list->kind == YAML_SEQUENCE) {
        for (const struct yaml_node *n = list->child; n != NULL; n = n->next) {
            if (is_apiserver(n)) {
                *ret = n;
                return KERR_OK;
            }
        }
    }
    return yaml_refuse(m->doc, root, e,
                       "not the manifest of a kube-apiserver: expected kind: Pod with a container "
                       "whose command is kube-apiserver");
}

/* "--flag=value" and "--flag", "value". */
static enum kerr read_flags(const struct manifest *m, const struct yaml_node *list,
                            struct kerrinfo *e)
{
    struct apiserver_store *s = m->store;
    enum kerr k = KERR_OK;
    bool follows_flag = false;
    if (list == NULL) {
        return KERR_OK;
    }
    if (list->kind != YAML_SEQUENCE) {
        return yaml_refuse_type(m->doc, list, list->key, "a list", e);
    }
    for (const struct yaml_node *n = list->child; n != NULL && k == KERR_OK; n = n->next) {
        struct apiserver_value word = {0};
        k = apiserver_take(s, m->doc, n, m->file, &word, e);
        if (k == KERR_OK && strncmp(word.text, "--", 2) == 0) {
            k = apiserver_add_flag(s, word.text, &word, e);
            follows_flag = strchr(word.text, '=') == NULL;
        } else if (k == KERR_OK && follows_flag) {
            s->flags[s->flag_count - 1].value = word;
            follows_flag = false;
        }
    }
    return k;
}

/* The hostPath volume of this name, or NULL. */
static const struct yaml_node *find_volume(const struct manifest *m, const char *name)
{
    const struct yaml_node *list = yaml_get(yaml_get(yaml_root(m->doc), "spec"), "volumes");
    const struct yaml_node *n = list == NULL ? NULL : list->child;
    while (n != NULL && !is_text(yaml_get(n, "name"), name)) {
        n = n->next;
    }
    return yaml_get(n, "hostPath");
}

static enum kerr read_mount(const struct manifest *m, const struct yaml_node *row,
                            struct kerrinfo *e)
{
    struct apiserver_store *s = m->store;
    struct apiserver_value name = {.text = ""};
    struct apiserver_value host = {0};
    struct apiserver_mount mount = {.host = NULL};
    enum kerr k = apiserver_take(s, m->doc, yaml_get(row, "name"), m->file, &name, e);
    const struct yaml_node *volume = k == KERR_OK ? find_volume(m, name.text) : NULL;
    k = k == KERR_OK
            ? apiserver_take(s, m->doc, yaml_get(row, "mountPath"), m->file, &mount.inside, e)
            : k;
    k = k == KERR_OK ? apiserver_take(s, m->doc, yaml_get(volume, "path"), m->file, &host, e) : k;
    if (k != KERR_OK || host.text == NULL || mount.inside.text == NULL) {
        return k; /* other volumes than the host's do not concern us */
    }
    if (s->mount_count == APISERVER_MOUNTS_MAX) {
        return yaml_refuse(m->doc, row, e, "more than %d mounts", APISERVER_MOUNTS_MAX);
    }
    mount.host = host.text;
    s->mounts[s->mount_count++] = mount;
    return KERR_OK;
}

static enum kerr read_mounts(const struct manifest *m, const struct yaml_node *list,
                             struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    const struct yaml_node *n = list == NULL ? NULL : list->child;
    for (; n != NULL && k == KERR_OK; n = n->next) {
        k = read_mount(m, n, e);
    }
    return k;
}

static enum kerr read_user(const struct manifest *m, const struct yaml_node *container,
                           struct kerrinfo *e)
{
    struct apiserver_spec *spec = &m->store->spec;
    const struct yaml_node *pod = yaml_get(yaml_root(m->doc), "spec");
    const struct yaml_node *node = yaml_get(yaml_get(container, "securityContext"), "runAsUser");
    uint64_t uid = 0;
    node = node != NULL ? node : yaml_get(yaml_get(pod, "securityContext"), "runAsUser");
    if (node == NULL) {
        return KERR_OK;
    }
    if (text_to_u64(node->text, "runAsUser", 0, UINT32_MAX - 1, &uid, NULL) != KERR_OK) {
        return yaml_refuse(m->doc, node, e, "runAsUser: expected the number of a user");
    }
    spec->has_user = true;
    spec->user = (uint32_t)uid;
    return KERR_OK;
}

static enum kerr read_container(const struct manifest *m, const struct yaml_node *container,
                                struct kerrinfo *e)
{
    struct apiserver_spec *spec = &m->store->spec;
    enum kerr k = read_flags(m, yaml_get(container, "command"), e);
    k = k == KERR_OK ? read_flags(m, yaml_get(container, "args"), e) : k;
    k = k == KERR_OK ? read_mounts(m, yaml_get(container, "volumeMounts"), e) : k;
    k = k == KERR_OK ? apiserver_take(m->store, m->doc, yaml_get(container, "image"), m->file,
                                      &spec->image, e)
                     : k;
    for (size_t i = 0; i < APISERVER_PROBE_COUNT && k == KERR_OK; i++) {
        const struct yaml_node *probe = yaml_get(container, apiserver_probe_names[i]);
        k = apiserver_take(m->store, m->doc, yaml_get(yaml_get(probe, "httpGet"), "path"), m->file,
                           &spec->probes[i], e);
    }
    return k == KERR_OK ? read_user(m, container, e) : k;
}

enum kerr apiserver_parse_manifest(struct bytes text, const char *name, struct apiserver_spec **ret,
                                   struct kerrinfo *e)
{
    AUTO_STORE s = apiserver_store_new(APISERVER_MANIFEST, name, e);
    AUTO_YAML doc = NULL;
    const struct yaml_node *container = NULL;
    if (s == NULL) {
        return KERR_NOMEM;
    }
    if (text.len == 0) {
        return kerr_set(e, KERR_CONFIG, "%.160s:1:1: empty, not the manifest of a kube-apiserver",
                        name);
    }
    struct yaml_source source = {.text = text, .name = s->spec.file, .max = APISERVER_FILE_MAX};
    enum kerr k = yaml_read(&source, &doc, e);
    struct manifest m = {.store = s, .doc = doc, .file = s->spec.file};
    k = k == KERR_OK ? find_container(&m, &container, e) : k;
    k = k == KERR_OK ? read_container(&m, container, e) : k;
    if (k == KERR_OK) {
        *ret = apiserver_store_take(&s);
    }
    return k;
}

enum kerr apiserver_read_manifest(const char *path, struct apiserver_spec **ret, struct kerrinfo *e)
{
    AUTO_BUF text = {0};
    enum kerr k = file_read(NULL, path, APISERVER_FILE_MAX, FILE_READ_ANY, &text, e);
    return k == KERR_OK ? apiserver_parse_manifest(buf_view(&text), path, ret, e) : k;
}
