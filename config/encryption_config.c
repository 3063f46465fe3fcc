/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One allocation holds every array, and the texts stay in the YAML document, which is freed with
 * it: the values of `secret` were never in that document.
 */
#include "config/encryption_config.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "config/go_duration.h"
#include "config/yaml.h"

#define TIMEOUT_PRESET_NS 3000000000 /* pkg/apis/apiserver/v1/defaults.go: defaultTimeout */
#define VERSION_PRESET    "v1"       /* the same file: defaultAPIVersion */

const char *const encryption_kind_names[ENCRYPTION_KIND_COUNT] = {
    [ENCRYPTION_IDENTITY] = "identity", [ENCRYPTION_AESCBC] = "aescbc",
    [ENCRYPTION_AESGCM] = "aesgcm",     [ENCRYPTION_SECRETBOX] = "secretbox",
    [ENCRYPTION_KMS] = "kms",
};

/* What kube-apiserver knows the file by; the second pair stood in old documentation. */
static const struct {
    const char *api_version;
    const char *kind;
} file_kinds[] = {
    {"apiserver.config.k8s.io/v1", "EncryptionConfiguration"},
    {"v1", "EncryptionConfig"},
};

struct store {
    struct encryption_config config;
    struct yaml *doc;
    char *file;
    struct encryption_entry entries[ENCRYPTION_CONFIG_ENTRIES_MAX];
    struct encryption_value resources[ENCRYPTION_CONFIG_RESOURCES_MAX];
    struct encryption_provider providers[ENCRYPTION_CONFIG_PROVIDERS_MAX];
    struct encryption_value keys[ENCRYPTION_CONFIG_KEYS_MAX];
    size_t entry_count;
    size_t resource_count;
    size_t provider_count;
    size_t key_count;
};

/* ---- values ---- */

static enum kerr take_text(const struct store *s, const struct yaml_node *node, const char *what,
                           struct encryption_value *ret, struct kerrinfo *e)
{
    if (node == NULL) {
        return KERR_OK;
    }
    const char *text = NULL;
    enum kerr k = yaml_text(s->doc, node, what, "text", &text, e);
    if (k == KERR_OK) {
        *ret = (struct encryption_value){.text = text, .line = node->line, .column = node->column};
    }
    return k;
}

static enum kerr check_list(const struct store *s, const struct yaml_node *node, const char *what,
                            struct kerrinfo *e)
{
    return node->kind == YAML_SEQUENCE ? KERR_OK
                                       : yaml_refuse_type(s->doc, node, what, "a list", e);
}

static enum kerr too_many(const struct store *s, const struct yaml_node *node, const char *what,
                          size_t max, struct kerrinfo *e)
{
    return yaml_refuse(s->doc, node, e, "more than %zu %s in one file", max, what);
}

static enum kerr take_timeout(const struct store *s, const struct yaml_node *node,
                              struct encryption_provider *to, struct kerrinfo *e)
{
    to->timeout_ns = TIMEOUT_PRESET_NS;
    enum kerr k = take_text(s, node, "timeout", &to->timeout, e);
    if (k == KERR_OK && node != NULL && !go_duration_ns(to->timeout.text, &to->timeout_ns)) {
        k = yaml_refuse(s->doc, node, e, "timeout: expected a duration such as 3s or 500ms");
    }
    return k;
}

static enum kerr take_cachesize(const struct store *s, const struct yaml_node *node,
                                struct encryption_provider *to, struct kerrinfo *e)
{
    if (node == NULL) {
        return KERR_OK;
    }
    bool is_negative = *node->text == '-';
    uint64_t value = 0;
    if (node->kind != YAML_SCALAR || yaml_type_of(node) != YAML_NUMBER ||
        text_to_u64(node->text + (is_negative ? 1 : 0), "cachesize", 0, INT32_MAX, &value, NULL) !=
            KERR_OK) {
        return yaml_refuse(s->doc, node, e, "cachesize: expected a whole number without quotes");
    }
    to->cachesize =
        (struct encryption_value){.text = node->text, .line = node->line, .column = node->column};
    to->cachesize_value = is_negative ? -(int32_t)value : (int32_t)value;
    return KERR_OK;
}

/* ---- providers ---- */

static enum kerr read_key(struct store *s, const struct yaml_node *node, struct kerrinfo *e)
{
    static const char *const names[] = {"name", "secret"};
    const struct yaml_node *found[ARRAY_LEN(names)];
    if (s->key_count == ENCRYPTION_CONFIG_KEYS_MAX) {
        return too_many(s, node, "keys", ENCRYPTION_CONFIG_KEYS_MAX, e);
    }
    struct encryption_value *key = &s->keys[s->key_count++];
    enum kerr k = yaml_fields(s->doc, node, "a key", names, ARRAY_LEN(names), found, e);
    if (k == KERR_OK && found[1] != NULL && found[1]->kind != YAML_SCALAR) {
        k = yaml_refuse_type(s->doc, found[1], "secret", "text", e);
    }
    return k == KERR_OK ? take_text(s, found[0], "name of a key", key, e) : k;
}

static enum kerr read_keys(struct store *s, const struct yaml_node *node,
                           struct encryption_provider *to, struct kerrinfo *e)
{
    static const char *const names[] = {"keys"};
    const struct yaml_node *found[ARRAY_LEN(names)];
    to->keys = &s->keys[s->key_count];
    enum kerr k = yaml_fields(s->doc, node, encryption_kind_names[to->kind], names,
                              ARRAY_LEN(names), found, e);
    if (k != KERR_OK || found[0] == NULL) {
        return k;
    }
    k = check_list(s, found[0], "keys", e);
    for (const struct yaml_node *n = found[0]->child; n != NULL && k == KERR_OK; n = n->next) {
        k = read_key(s, n, e);
        to->key_count++;
    }
    return k;
}

static enum kerr read_kms(const struct store *s, const struct yaml_node *node,
                          struct encryption_provider *to, struct kerrinfo *e)
{
    enum { API_VERSION, NAME, ENDPOINT, TIMEOUT, CACHESIZE, KEYS };
    static const char *const names[KEYS] = {"apiVersion", "name", "endpoint", "timeout",
                                            "cachesize"};
    const struct yaml_node *found[KEYS];
    to->api_version.text = VERSION_PRESET;
    enum kerr k = yaml_fields(s->doc, node, "kms", names, KEYS, found, e);
    if (k == KERR_OK) {
        k = take_text(s, found[API_VERSION], "apiVersion", &to->api_version, e);
    }
    if (k == KERR_OK) {
        k = take_text(s, found[NAME], "name", &to->name, e);
    }
    if (k == KERR_OK) {
        k = take_text(s, found[ENDPOINT], "endpoint", &to->endpoint, e);
    }
    if (k == KERR_OK) {
        k = take_timeout(s, found[TIMEOUT], to, e);
    }
    return k == KERR_OK ? take_cachesize(s, found[CACHESIZE], to, e) : k;
}

static enum kerr read_identity(const struct store *s, const struct yaml_node *node,
                               struct kerrinfo *e)
{
    if (node->kind != YAML_MAPPING || node->child != NULL) {
        return yaml_refuse_type(s->doc, node, "identity", "{}", e);
    }
    return KERR_OK;
}

static enum kerr read_provider(struct store *s, const struct yaml_node *node, struct kerrinfo *e)
{
    const struct yaml_node *found[ENCRYPTION_KIND_COUNT];
    if (s->provider_count == ENCRYPTION_CONFIG_PROVIDERS_MAX) {
        return too_many(s, node, "providers", ENCRYPTION_CONFIG_PROVIDERS_MAX, e);
    }
    struct encryption_provider *to = &s->providers[s->provider_count++];
    enum kerr k = yaml_fields(s->doc, node, "a provider", encryption_kind_names,
                              ENCRYPTION_KIND_COUNT, found, e);
    if (k == KERR_OK && yaml_count(node) != 1) {
        k = yaml_refuse(s->doc, node, e,
                        "a provider needs exactly one of identity, aescbc, aesgcm, secretbox, kms; "
                        "begin each with its own '-'");
    }
    if (k != KERR_OK) {
        return k;
    }
    while (found[to->kind] == NULL) {
        to->kind++;
    }
    const struct yaml_node *value = found[to->kind];
    to->line = value->key_line;
    to->column = value->key_column;
    switch (to->kind) {
    case ENCRYPTION_IDENTITY:
        return read_identity(s, value, e);
    case ENCRYPTION_AESCBC:
    case ENCRYPTION_AESGCM:
    case ENCRYPTION_SECRETBOX:
        return read_keys(s, value, to, e);
    case ENCRYPTION_KMS:
        return read_kms(s, value, to, e);
    case ENCRYPTION_KIND_COUNT:
        break;
    }
    return kerr_set(e, KERR_BUG, "a provider without a kind");
}

/* ---- entries and the file ---- */

static enum kerr read_resources(struct store *s, const struct yaml_node *node,
                                struct encryption_entry *to, struct kerrinfo *e)
{
    to->resources = &s->resources[s->resource_count];
    if (node == NULL) {
        return KERR_OK;
    }
    enum kerr k = check_list(s, node, "resources", e);
    for (const struct yaml_node *n = node->child; n != NULL && k == KERR_OK; n = n->next) {
        if (s->resource_count == ENCRYPTION_CONFIG_RESOURCES_MAX) {
            return too_many(s, n, "resources", ENCRYPTION_CONFIG_RESOURCES_MAX, e);
        }
        k = take_text(s, n, "name of a resource", &s->resources[s->resource_count++], e);
        to->resource_count++;
    }
    return k;
}

static enum kerr read_entry(struct store *s, const struct yaml_node *node, struct kerrinfo *e)
{
    static const char *const names[] = {"resources", "providers"};
    const struct yaml_node *found[ARRAY_LEN(names)];
    if (s->entry_count == ENCRYPTION_CONFIG_ENTRIES_MAX) {
        return too_many(s, node, "entries", ENCRYPTION_CONFIG_ENTRIES_MAX, e);
    }
    struct encryption_entry *to = &s->entries[s->entry_count++];
    to->line = node->line;
    to->column = node->column;
    to->providers = &s->providers[s->provider_count];
    enum kerr k =
        yaml_fields(s->doc, node, "an entry of resources", names, ARRAY_LEN(names), found, e);
    if (k == KERR_OK) {
        k = read_resources(s, found[0], to, e);
    }
    if (k != KERR_OK || found[1] == NULL) {
        return k;
    }
    k = check_list(s, found[1], "providers", e);
    for (const struct yaml_node *n = found[1]->child; n != NULL && k == KERR_OK; n = n->next) {
        k = read_provider(s, n, e);
        to->provider_count++;
    }
    return k;
}

static enum kerr check_kind(const struct store *s, const struct yaml_node *api_version,
                            const struct yaml_node *kind, struct kerrinfo *e)
{
    struct encryption_value version_value = {0};
    struct encryption_value kind_value = {0};
    const struct yaml_node *root = yaml_root(s->doc);
    if (api_version == NULL || kind == NULL) {
        return yaml_refuse(s->doc, root, e, "%s is missing; expected apiVersion: %s and kind: %s",
                           api_version == NULL ? "apiVersion" : "kind", file_kinds[0].api_version,
                           file_kinds[0].kind);
    }
    enum kerr k = take_text(s, api_version, "apiVersion", &version_value, e);
    if (k == KERR_OK) {
        k = take_text(s, kind, "kind", &kind_value, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    const struct yaml_node *wrong = api_version;
    for (size_t i = 0; i < ARRAY_LEN(file_kinds); i++) {
        bool is_version = strcmp(version_value.text, file_kinds[i].api_version) == 0;
        if (is_version && strcmp(kind_value.text, file_kinds[i].kind) == 0) {
            return KERR_OK;
        }
        wrong = is_version ? kind : wrong;
    }
    return yaml_refuse(s->doc, wrong, e,
                       "not an EncryptionConfiguration: expected apiVersion: %s and kind: %s",
                       file_kinds[0].api_version, file_kinds[0].kind);
}

static enum kerr read_root(struct store *s, struct kerrinfo *e)
{
    static const char *const names[] = {"apiVersion", "kind", "resources"};
    const struct yaml_node *found[ARRAY_LEN(names)];
    const struct yaml_node *root = yaml_root(s->doc);
    enum kerr k = yaml_fields(s->doc, root, "the file", names, ARRAY_LEN(names), found, e);
    if (k == KERR_OK) {
        k = check_kind(s, found[0], found[1], e);
    }
    if (k == KERR_OK && found[2] == NULL) {
        k = yaml_refuse(s->doc, root, e, "resources is missing");
    }
    if (k == KERR_OK) {
        k = check_list(s, found[2], "resources", e);
    }
    if (k != KERR_OK) {
        return k;
    }
    for (const struct yaml_node *n = found[2]->child; n != NULL && k == KERR_OK; n = n->next) {
        k = read_entry(s, n, e);
    }
    return k;
}

enum kerr encryption_config_parse(struct bytes text, const char *name,
                                  struct encryption_config **ret, struct kerrinfo *e)
{
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for an EncryptionConfiguration");
    }
    s->config.memory = s;
    AUTO_ENCRYPTION_CONFIG c = &s->config;
    enum kerr k = text_dup(bytes_of_text(name), &s->file, e);
    if (k != KERR_OK) {
        return k;
    }
    struct yaml_source source = {.text = text,
                                 .name = s->file,
                                 .max = ENCRYPTION_CONFIG_FILE_MAX,
                                 .is_secret = true,
                                 .skip_key = "secret"};
    k = yaml_read(&source, &s->doc, e);
    if (k == KERR_OK) {
        k = read_root(s, e);
    }
    if (k == KERR_OK) {
        c->file = s->file;
        c->entries = s->entries;
        c->entry_count = s->entry_count;
        *ret = c;
        c = NULL;
    }
    return k;
}

enum kerr encryption_config_read(const char *path, struct encryption_config **ret,
                                 struct kerrinfo *e)
{
    AUTO_SECRET text = NULL;
    enum kerr k = file_read_secret(NULL, path, ENCRYPTION_CONFIG_FILE_MAX, FILE_READ_ANY, &text, e);
    return k == KERR_OK ? encryption_config_parse(secret_view(text), path, ret, e) : k;
}

void encryption_config_free(struct encryption_config *c)
{
    if (c == NULL) {
        return;
    }
    struct store *s = c->memory;
    yaml_free(s->doc);
    free(s->file);
    free(s);
}

void encryption_config_free_at(struct encryption_config **c)
{
    encryption_config_free(*c);
    *c = NULL;
}

/* ---- questions ---- */

static bool is_endpoint(const struct encryption_provider *p, const char *socket_path)
{
    static const char *const schemes[] = {"unix://", "unix:"};
    for (size_t i = 0; i < ARRAY_LEN(schemes) && p->endpoint.text != NULL; i++) {
        size_t len = strlen(schemes[i]);
        if (strncmp(p->endpoint.text, schemes[i], len) == 0 &&
            strcmp(p->endpoint.text + len, socket_path) == 0) {
            return true;
        }
    }
    return false;
}

const struct encryption_provider *encryption_config_find_kms(const struct encryption_config *c,
                                                             const char *socket_path)
{
    for (size_t i = 0; i < c->entry_count; i++) {
        const struct encryption_entry *entry = &c->entries[i];
        for (size_t j = 0; j < entry->provider_count; j++) {
            const struct encryption_provider *p = &entry->providers[j];
            if (p->kind == ENCRYPTION_KMS && strcmp(p->api_version.text, "v2") == 0 &&
                is_endpoint(p, socket_path)) {
                return p;
            }
        }
    }
    return NULL;
}
