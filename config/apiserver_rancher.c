/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.yaml and config.yaml.d of k3s and RKE2. A key is the name of a flag of theirs; the flags
 * of kube-apiserver are the items of kube-apiserver-arg. A list of a later file replaces that of an
 * earlier one, unless its key ends in '+'.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/secret.h"
#include "config/apiserver.h"
#include "config/apiserver_store.h"

#define PATH_BYTES 4096

struct rancher {
    struct apiserver_store *store;
    const struct yaml *doc;
    const char *file; /* lives as long as the store */
};

/* What is done with a value of a key that may stand there several times. */
typedef enum kerr take_fn(const struct rancher *r, const struct apiserver_value *v,
                          struct kerrinfo *e);

static enum kerr take_flag(const struct rancher *r, const struct apiserver_value *v,
                           struct kerrinfo *e)
{
    return apiserver_add_flag(r->store, v->text, v, e);
}

/* "/host:/inside", "/host:/inside:ro" */
static enum kerr take_mount(const struct rancher *r, const struct apiserver_value *v,
                            struct kerrinfo *e)
{
    struct apiserver_store *s = r->store;
    const char *colon = strchr(v->text, ':');
    if (s->mount_count == APISERVER_MOUNTS_MAX || colon == NULL) {
        return kerr_set(e, KERR_CONFIG,
                        "%.160s:%u:%u: kube-apiserver-extra-mount: expected at most %d of the form "
                        "/HOST/PATH:/CONTAINER/PATH",
                        v->file, v->line, v->column, APISERVER_MOUNTS_MAX);
    }
    size_t len = strcspn(colon + 1, ":");
    struct apiserver_mount mount = {.inside = *v};
    enum kerr k = apiserver_keep(s, bytes_of(v->text, (size_t)(colon - v->text)), &mount.host, e);
    k = k == KERR_OK ? apiserver_keep(s, bytes_of(colon + 1, len), &mount.inside.text, e) : k;
    if (k == KERR_OK) {
        s->mounts[s->mount_count++] = mount;
    }
    return k;
}

static enum kerr take_items(const struct rancher *r, const struct yaml_node *node, take_fn *take,
                            struct kerrinfo *e)
{
    struct apiserver_value v = {0};
    enum kerr k = KERR_OK;
    if (node->kind == YAML_SCALAR) {
        k = apiserver_take(r->store, r->doc, node, r->file, &v, e);
        return k == KERR_OK ? take(r, &v, e) : k;
    }
    if (node->kind != YAML_SEQUENCE) {
        return yaml_refuse_type(r->doc, node, node->key, "a list", e);
    }
    for (const struct yaml_node *n = node->child; n != NULL && k == KERR_OK; n = n->next) {
        k = apiserver_take(r->store, r->doc, n, r->file, &v, e);
        k = k == KERR_OK ? take(r, &v, e) : k;
    }
    return k;
}

static enum kerr read_list(const struct rancher *r, const char *name, size_t *count, take_fn *take,
                           struct kerrinfo *e)
{
    char adding[64];
    (void)snprintf(adding, sizeof adding, "%s+", name);
    const struct yaml_node *node = yaml_get(yaml_root(r->doc), name);
    const struct yaml_node *more = yaml_get(yaml_root(r->doc), adding);
    enum kerr k = KERR_OK;
    if (node != NULL) {
        *count = 0;
        k = take_items(r, node, take, e);
    }
    return k == KERR_OK && more != NULL ? take_items(r, more, take, e) : k;
}

static enum kerr read_value(const struct rancher *r, const char *name, struct apiserver_value *ret,
                            struct kerrinfo *e)
{
    return apiserver_take(r->store, r->doc, yaml_get(yaml_root(r->doc), name), r->file, ret, e);
}

static enum kerr read_doc(const struct rancher *r, struct kerrinfo *e)
{
    struct apiserver_spec *spec = &r->store->spec;
    const struct yaml_node *root = yaml_root(r->doc);
    if (root->kind != YAML_MAPPING) {
        return yaml_refuse_type(r->doc, root, "the file", "keys and values (a mapping)", e);
    }
    enum kerr k = read_list(r, "kube-apiserver-arg", &r->store->flag_count, take_flag, e);
    k = k == KERR_OK
            ? read_list(r, "kube-apiserver-extra-mount", &r->store->mount_count, take_mount, e)
            : k;
    k = k == KERR_OK ? read_value(r, "data-dir", &spec->data_dir, e) : k;
    k = k == KERR_OK ? read_value(r, "datastore-endpoint", &spec->datastore, e) : k;
    k = k == KERR_OK ? read_value(r, "https-listen-port", &spec->listen_port, e) : k;
    return k == KERR_OK ? read_value(r, "secrets-encryption", &spec->secrets_encryption, e) : k;
}

static enum kerr add_text(struct apiserver_store *s, struct bytes text, const char *name,
                          struct kerrinfo *e)
{
    AUTO_YAML doc = NULL;
    const char *file = NULL;
    enum kerr k = apiserver_keep(s, bytes_of_text(name), &file, e);
    struct yaml_source source = {.text = text,
                                 .name = file,
                                 .max = APISERVER_FILE_MAX,
                                 .is_secret = true,
                                 .skip_key = "token"};
    k = k == KERR_OK ? yaml_read(&source, &doc, e) : k;
    struct rancher r = {.store = s, .doc = doc, .file = file};
    return k == KERR_OK ? read_doc(&r, e) : k;
}

static struct apiserver_spec *finish(struct apiserver_store **s)
{
    struct apiserver_value *v = &(*s)->spec.secrets_encryption;
    if (v->text != NULL && strcmp(v->text, "true") != 0) {
        *v = (struct apiserver_value){0};
    }
    return apiserver_store_take(s);
}

enum kerr apiserver_parse_rancher(struct bytes text, const char *name, enum apiserver_source source,
                                  struct apiserver_spec **ret, struct kerrinfo *e)
{
    AUTO_STORE s = apiserver_store_new(source, name, e);
    enum kerr k = s == NULL ? KERR_NOMEM : add_text(s, text, name, e);
    if (k == KERR_OK) {
        *ret = finish(&s);
    }
    return k;
}

static enum kerr add_file(struct apiserver_store *s, const char *path, struct kerrinfo *e)
{
    AUTO_SECRET text = NULL;
    enum kerr k = file_read_secret(NULL, path, APISERVER_FILE_MAX, FILE_READ_ANY, &text, e);
    return k == KERR_OK ? add_text(s, secret_view(text), path, e) : k;
}

static int is_yaml(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && dot != entry->d_name &&
           (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static enum kerr add_folder(struct apiserver_store *s, const char *folder, size_t *ret_count,
                            struct kerrinfo *e)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_yaml, by_bytes);
    if (count < 0) {
        return errno == ENOENT ? KERR_OK : kerr_errno(e, errno, "cannot read folder %s", folder);
    }
    enum kerr k = count < APISERVER_FILES_MAX
                      ? KERR_OK
                      : kerr_set(e, KERR_LIMIT, "%.200s: more than %d files", folder,
                                 APISERVER_FILES_MAX - 1);
    for (int i = 0; i < count; i++) {
        char path[PATH_BYTES];
        int len = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (k == KERR_OK && len >= (int)sizeof path) {
            k = kerr_set(e, KERR_LIMIT, "%.200s: a path over %d bytes", folder, PATH_BYTES);
        }
        k = k == KERR_OK ? add_file(s, path, e) : k;
        free(entries[i]);
    }
    free(entries);
    *ret_count = (size_t)count;
    return k;
}

enum kerr apiserver_read_rancher(const char *path, enum apiserver_source source,
                                 struct apiserver_spec **ret, struct kerrinfo *e)
{
    AUTO_STORE s = apiserver_store_new(source, path, e);
    char folder[PATH_BYTES];
    bool exists = false;
    size_t count = 0;
    if (s == NULL) {
        return KERR_NOMEM;
    }
    if (snprintf(folder, sizeof folder, "%s.d", path) >= (int)sizeof folder) {
        return kerr_set(e, KERR_LIMIT, "%.200s: a path over %d bytes", path, PATH_BYTES);
    }
    enum kerr k = file_exists(NULL, path, &exists, e);
    k = k == KERR_OK && exists ? add_file(s, path, e) : k;
    k = k == KERR_OK ? add_folder(s, folder, &count, e) : k;
    if (k == KERR_OK && !exists && count == 0) {
        k = kerr_set(e, KERR_NOTFOUND, "there is neither %s nor %s", path, folder);
    }
    if (k == KERR_OK) {
        *ret = finish(&s);
    }
    return k;
}
