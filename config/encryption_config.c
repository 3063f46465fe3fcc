/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One allocation holds every array. The texts of known fields are copied out of the YAML document,
 * which is wiped and freed before the reader returns: what stands under a misspelled name may be a
 * key. The values of `secret` were never in that document.
 */
#include "config/encryption_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "config/encryption_values.h"
#include "config/go_duration.h"
#include "config/go_scalar.h"
#include "config/go_url.h"

#define TIMEOUT_PRESET_NS 3000000000 /* pkg/apis/apiserver/v1/defaults.go: defaultTimeout */
#define VERSION_PRESET    "v1"       /* the same file: defaultAPIVersion */

const char *const encryption_kind_names[ENCRYPTION_KIND_COUNT] = {
    [ENCRYPTION_IDENTITY] = "identity", [ENCRYPTION_AESCBC] = "aescbc",
    [ENCRYPTION_AESGCM] = "aesgcm",     [ENCRYPTION_SECRETBOX] = "secretbox",
    [ENCRYPTION_KMS] = "kms",
};

/* What kube-apiserver knows the file by; the second pair stood in old documentation, the third is
 * how it reads an empty group. */
static const struct {
    const char *api_version;
    const char *kind;
} file_kinds[] = {
    {"apiserver.config.k8s.io/v1", "EncryptionConfiguration"},
    {"v1", "EncryptionConfig"},
    {"/v1", "EncryptionConfig"},
};

static enum kerr too_many(const struct encryption_store *s, const struct yaml_node *node,
                          const char *what, size_t max, struct kerrinfo *e)
{
    return yaml_refuse(s->doc, node, e, "more than %zu %s in one file", max, what);
}

/* ---- providers ---- */

/* The key itself is measured where it lies in locked memory. */
static enum kerr take_secret(struct encryption_store *s, const struct yaml_node *node,
                             struct encryption_key *to, struct kerrinfo *e)
{
    struct secret **kept = &s->secrets[to - s->keys];
    if (values_is_null(s, node) || (node->kind == YAML_SCALAR && node->raw.len == 0)) {
        return KERR_OK;
    }
    to->secret_line = node->line;
    to->secret_column = node->column;
    if (node->kind != YAML_SCALAR || values_type(s, node) != YAML_TEXT) {
        to->secret = ENCRYPTION_SECRET_WRONG_TYPE;
        values_wrong_type(s, node, "secret", "text");
        return KERR_OK;
    }
    bool is_base64 = go_base64_len(node->raw, s->is_json, &to->secret_len);
    to->secret = is_base64 ? ENCRYPTION_SECRET_MEASURED : ENCRYPTION_SECRET_NOT_BASE64;
    if (!is_base64 || !s->keeps_keys || to->secret_len == 0) {
        return KERR_OK;
    }
    enum kerr k = go_base64_secret(node->raw, s->is_json, to->secret_len, kept, e);
    to->value = *kept;
    return k;
}

static enum kerr read_key(struct encryption_store *s, const struct yaml_node *node,
                          struct kerrinfo *e)
{
    static const char *const names[] = {"name", "secret"};
    const struct yaml_node *found[ARRAY_LEN(names)];
    if (s->key_count == ENCRYPTION_CONFIG_KEYS_MAX) {
        return too_many(s, node, "keys", ENCRYPTION_CONFIG_KEYS_MAX, e);
    }
    struct encryption_key *key = &s->keys[s->key_count++];
    key->line = node->line;
    key->column = node->column;
    if (values_is_null(s, node)) {
        return KERR_OK; /* a key without anything */
    }
    if (!values_fields(s, node, "a key", names, ARRAY_LEN(names), found)) {
        key->secret = ENCRYPTION_SECRET_WRONG_TYPE;
        key->name.line = node->line;
        return KERR_OK;
    }
    values_text(s, found[0], "name of a key", &key->name);
    return take_secret(s, found[1], key, e);
}

static enum kerr read_keys(struct encryption_store *s, const struct yaml_node *node,
                           struct encryption_provider *to, struct kerrinfo *e)
{
    static const char *const names[] = {"keys"};
    const struct yaml_node *found[ARRAY_LEN(names)];
    to->keys = &s->keys[s->key_count];
    if (!values_fields(s, node, encryption_kind_names[to->kind], names, ARRAY_LEN(names), found)) {
        to->is_broken = true;
        return KERR_OK;
    }
    if (values_is_empty(s, found[0])) {
        lint_add(&s->faults, LINT_NO_KEYS, to->line, to->column, "%s without keys",
                 encryption_kind_names[to->kind]);
    }
    enum kerr k = KERR_OK;
    for (const struct yaml_node *n = values_list(s, found[0], "keys"); n != NULL && k == KERR_OK;
         n = n->next) {
        k = read_key(s, n, e);
        to->key_count++;
    }
    return k;
}

static void take_timeout(struct encryption_store *s, const struct yaml_node *node,
                         struct encryption_provider *to)
{
    to->timeout_ns = TIMEOUT_PRESET_NS;
    values_text(s, node, "timeout", &to->timeout);
    to->is_timeout_read =
        to->timeout.line == 0 ||
        (to->timeout.text != NULL && go_duration_ns(to->timeout.text, &to->timeout_ns));
}

static void take_cachesize(struct encryption_store *s, const struct yaml_node *node,
                           struct encryption_provider *to)
{
    if (values_is_null(s, node)) {
        return;
    }
    to->cachesize = (struct encryption_value){.line = node->line, .column = node->column};
    if (node->kind == YAML_SCALAR && values_type(s, node) == YAML_NUMBER) {
        to->cachesize.text = values_keep(s, node->text);
    } else {
        values_wrong_type(s, node, "cachesize", "a whole number without quotes");
    }
}

static enum kerr take_endpoint(struct encryption_store *s, const struct yaml_node *node,
                               struct encryption_provider *to, struct kerrinfo *e)
{
    struct go_url url;
    values_text(s, node, "endpoint", &to->endpoint);
    if (to->endpoint.text == NULL || go_url_parse(to->endpoint.text, &url) != GO_URL_IN_BRACKETS) {
        return KERR_OK;
    }
    return yaml_refuse(s->doc, node, e,
                       "an endpoint with a host in brackets; expected unix:// and "
                       "the absolute path of a socket");
}

static enum kerr read_kms(struct encryption_store *s, const struct yaml_node *node,
                          struct encryption_provider *to, struct kerrinfo *e)
{
    enum { API_VERSION, NAME, ENDPOINT, TIMEOUT, CACHESIZE, KEYS };
    static const char *const names[KEYS] = {"apiVersion", "name", "endpoint", "timeout",
                                            "cachesize"};
    const struct yaml_node *found[KEYS];
    if (!values_fields(s, node, "kms", names, KEYS, found)) {
        to->is_broken = true;
        return KERR_OK;
    }
    values_text(s, found[API_VERSION], "apiVersion", &to->api_version);
    if (to->api_version.line == 0 || (to->api_version.text != NULL && *to->api_version.text == 0)) {
        to->api_version = (struct encryption_value){.text = VERSION_PRESET};
    }
    values_text(s, found[NAME], "name", &to->name);
    take_timeout(s, found[TIMEOUT], to);
    take_cachesize(s, found[CACHESIZE], to);
    return take_endpoint(s, found[ENDPOINT], to, e);
}

static void read_identity(struct encryption_store *s, const struct yaml_node *node,
                          struct encryption_provider *to)
{
    if (node->kind != YAML_MAPPING) {
        to->is_broken = true;
        values_wrong_type(s, node, "identity", "{}");
        return;
    }
    for (const struct yaml_node *child = node->child; child != NULL; child = child->next) {
        struct lint_finding *f =
            lint_add(&s->faults, LINT_UNKNOWN_FIELD, child->key_line, child->key_column,
                     "identity: unknown field; it has none");
        lint_cure(f, "write `- identity: {}`");
    }
}

static enum kerr read_kind(struct encryption_store *s, const struct yaml_node *value,
                           struct encryption_provider *to, struct kerrinfo *e)
{
    switch (to->kind) {
    case ENCRYPTION_IDENTITY:
        read_identity(s, value, to);
        return KERR_OK;
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

/* One element of `providers`. It is one provider for kube-apiserver even if it has several kinds;
 * then nothing loads, and each is read for its own faults. */
static enum kerr read_provider(struct encryption_store *s, const struct yaml_node *node,
                               struct kerrinfo *e)
{
    const struct yaml_node *found[ENCRYPTION_KIND_COUNT] = {NULL};
    size_t count = 0;
    enum kerr k = KERR_OK;
    if (!values_is_null(s, node) && !values_fields(s, node, "a provider", encryption_kind_names,
                                                   ENCRYPTION_KIND_COUNT, found)) {
        return KERR_OK;
    }
    for (size_t i = 0; i < ENCRYPTION_KIND_COUNT && !values_is_null(s, node) && k == KERR_OK; i++) {
        if (values_is_null(s, found[i])) {
            continue;
        }
        if (s->provider_count == ENCRYPTION_CONFIG_PROVIDERS_MAX) {
            return too_many(s, node, "providers", ENCRYPTION_CONFIG_PROVIDERS_MAX, e);
        }
        count++;
        struct encryption_provider *to = &s->providers[s->provider_count++];
        to->kind = (enum encryption_kind)i;
        to->line = found[i]->key_line;
        to->column = found[i]->key_column;
        k = read_kind(s, found[i], to, e);
    }
    if (count == 0) {
        lint_add(&s->faults, LINT_PROVIDER_EMPTY, node->line, node->column,
                 "a provider needs one of identity, aescbc, aesgcm, secretbox, kms, with a value");
    } else if (count > 1) {
        lint_add(&s->faults, LINT_PROVIDER_SEVERAL, node->line, node->column,
                 "%zu providers in one element of the list", count);
    }
    return k;
}

/* ---- entries and the file ---- */

static enum kerr read_resource(struct encryption_store *s, const struct yaml_node *node,
                               struct kerrinfo *e)
{
    if (s->resource_count == ENCRYPTION_CONFIG_RESOURCES_MAX) {
        return too_many(s, node, "resources", ENCRYPTION_CONFIG_RESOURCES_MAX, e);
    }
    struct encryption_value *to = &s->resources[s->resource_count++];
    values_text(s, node, "name of a resource", to);
    if (to->line == 0) {
        /* null is the empty name */
        *to = (struct encryption_value){.text = "", .line = node->line, .column = node->column};
    }
    for (const char *p = to->text; p != NULL && *p != 0; p++) {
        if ((*p & 0x80) != 0) {
            return yaml_refuse(s->doc, node, e, "a name of a resource with letters beyond ASCII");
        }
    }
    return KERR_OK;
}

static enum kerr read_resources(struct encryption_store *s, const struct yaml_node *node,
                                struct encryption_entry *to, struct kerrinfo *e)
{
    if (values_is_empty(s, node)) {
        lint_add(&s->faults, LINT_NO_RESOURCES, to->line, to->column, "an entry without resources");
    }
    enum kerr k = KERR_OK;
    for (const struct yaml_node *n = values_list(s, node, "resources"); n != NULL && k == KERR_OK;
         n = n->next) {
        k = read_resource(s, n, e);
        to->resource_count++;
    }
    return k;
}

static enum kerr read_providers(struct encryption_store *s, const struct yaml_node *node,
                                struct encryption_entry *to, struct kerrinfo *e)
{
    size_t before = s->provider_count;
    if (values_is_empty(s, node)) {
        lint_add(&s->faults, LINT_NO_PROVIDERS, to->line, to->column, "an entry without providers");
    }
    enum kerr k = KERR_OK;
    for (const struct yaml_node *n = values_list(s, node, "providers"); n != NULL && k == KERR_OK;
         n = n->next) {
        k = read_provider(s, n, e);
    }
    to->provider_count = s->provider_count - before;
    return k;
}

static enum kerr read_entry(struct encryption_store *s, const struct yaml_node *node,
                            struct kerrinfo *e)
{
    static const char *const names[] = {"resources", "providers"};
    const struct yaml_node *found[ARRAY_LEN(names)] = {NULL};
    if (s->entry_count == ENCRYPTION_CONFIG_ENTRIES_MAX) {
        return too_many(s, node, "entries", ENCRYPTION_CONFIG_ENTRIES_MAX, e);
    }
    struct encryption_entry *to = &s->entries[s->entry_count++];
    to->line = node->line;
    to->column = node->column;
    to->resources = &s->resources[s->resource_count];
    to->providers = &s->providers[s->provider_count];
    if (!values_is_null(s, node) &&
        !values_fields(s, node, "an entry of resources", names, ARRAY_LEN(names), found)) {
        return KERR_OK;
    }
    enum kerr k = read_resources(s, found[0], to, e);
    return k == KERR_OK ? read_providers(s, found[1], to, e) : k;
}

/* apiVersion or kind. kube-apiserver finds out what kind of file it has without regard to capitals;
 * of several the last in the order of bytes counts. The wrong ones are unknown fields all the same.
 * False, and noted, for a wrong type. */
static bool find_header(struct encryption_store *s, const struct yaml_node *root, const char *name,
                        struct encryption_value *ret)
{
    const char *key = "";
    for (const struct yaml_node *n = root->child; n != NULL; n = n->next) {
        struct encryption_value value = {0};
        if (strcasecmp(n->key, name) != 0) {
            continue;
        }
        values_text(s, n, name, &value);
        if (value.line != 0 && value.text == NULL) {
            return false;
        }
        if (value.text != NULL && strcmp(n->key, key) >= 0) {
            *ret = value;
            key = n->key;
        }
    }
    return true;
}

static bool is_file_kind(struct encryption_store *s, const struct yaml_node *root)
{
    struct encryption_value version = {.text = "", .line = root->line, .column = root->column};
    struct encryption_value kind = version;
    if (!find_header(s, root, "apiVersion", &version) || !find_header(s, root, "kind", &kind)) {
        return false;
    }
    const struct encryption_value *wrong = &version;
    for (size_t i = 0; i < ARRAY_LEN(file_kinds); i++) {
        bool is_version = strcmp(version.text, file_kinds[i].api_version) == 0;
        if (is_version && strcmp(kind.text, file_kinds[i].kind) == 0) {
            return true;
        }
        wrong = is_version ? &kind : wrong;
    }
    lint_add(&s->faults, LINT_FILE_KIND, wrong->line, wrong->column,
             "not an EncryptionConfiguration: expected apiVersion: %s and kind: %s",
             file_kinds[0].api_version, file_kinds[0].kind);
    return false;
}

static enum kerr read_root(struct encryption_store *s, struct kerrinfo *e)
{
    static const char *const names[] = {"apiVersion", "kind", "resources"};
    const struct yaml_node *found[ARRAY_LEN(names)];
    const struct yaml_node *root = yaml_root(s->doc);
    if (root->kind == YAML_MAPPING && !is_file_kind(s, root)) {
        return KERR_OK;
    }
    if (!values_fields(s, root, "the file", names, ARRAY_LEN(names), found)) {
        return KERR_OK;
    }
    s->config.line = found[2] == NULL ? root->line : found[2]->key_line;
    s->config.column = found[2] == NULL ? root->column : found[2]->key_column;
    if (values_is_empty(s, found[2])) {
        lint_add(&s->faults, LINT_NO_ENTRIES, s->config.line, s->config.column,
                 "resources without an entry");
    }
    enum kerr k = KERR_OK;
    for (const struct yaml_node *n = values_list(s, found[2], "resources");
         n != NULL && k == KERR_OK; n = n->next) {
        k = read_entry(s, n, e);
    }
    return k;
}

/* kube-apiserver takes a file for JSON when its first character is '{'. */
static bool looks_like_json(struct bytes text)
{
    size_t i = 0;
    while (i < text.len && memchr(" \t\r\n", text.ptr[i], 4) != NULL) {
        i++;
    }
    return i < text.len && text.ptr[i] == '{';
}

static enum kerr read_text(struct encryption_store *s, struct bytes text, struct kerrinfo *e)
{
    s->is_json = looks_like_json(text);
    struct yaml_source source = {.text = text,
                                 .name = s->file,
                                 .max = ENCRYPTION_CONFIG_FILE_MAX,
                                 .is_secret = true,
                                 .skip_key = "secret",
                                 .keeps_repeated = true,
                                 .is_portable = !s->is_json};
    size_t at = 0;
    if (s->is_json && text.len <= source.max && !go_is_json(text, &at)) {
        unsigned line = 1;
        unsigned column = 1;
        yaml_place_of(text, at, &line, &column);
        lint_add(&s->faults, LINT_JSON_FORM, line, column,
                 "the file begins with '{', so it is read as JSON, and it is not valid JSON here");
        return KERR_OK;
    }
    enum kerr k = yaml_read(&source, &s->doc, e);
    if (k != KERR_OK) {
        return k;
    }
    /* A value is not longer than what stands in the file, and no two stand in one byte. */
    s->texts = calloc(2, text.len + 1);
    k = s->texts == NULL ? kerr_set(e, KERR_NOMEM, "no memory for values") : read_root(s, e);
    yaml_free_at(&s->doc);
    return k;
}

static enum kerr parse(struct bytes text, const char *name, bool keeps_keys,
                       struct encryption_config **ret, struct kerrinfo *e)
{
    struct encryption_store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for an EncryptionConfiguration");
    }
    s->config.memory = s;
    s->keeps_keys = keeps_keys;
    AUTO_ENCRYPTION_CONFIG c = &s->config;
    enum kerr k = text_dup(bytes_of_text(name), &s->file, e);
    k = k == KERR_OK ? read_text(s, text, e) : k;
    if (k == KERR_OK) {
        c->file = s->file;
        c->entries = s->entries;
        c->entry_count = s->entry_count;
        c->faults = &s->faults;
        *ret = c;
        c = NULL;
    }
    return k;
}

enum kerr encryption_config_parse(struct bytes text, const char *name,
                                  struct encryption_config **ret, struct kerrinfo *e)
{
    return parse(text, name, false, ret, e);
}

static enum kerr read_file(const char *path, bool keeps_keys, struct encryption_config **ret,
                           struct kerrinfo *e)
{
    AUTO_SECRET text = NULL;
    enum kerr k = file_read_secret(NULL, path, ENCRYPTION_CONFIG_FILE_MAX, FILE_READ_ANY, &text, e);
    return k == KERR_OK ? parse(secret_view(text), path, keeps_keys, ret, e) : k;
}

enum kerr encryption_config_read(const char *path, struct encryption_config **ret,
                                 struct kerrinfo *e)
{
    return read_file(path, false, ret, e);
}

enum kerr encryption_config_read_with_keys(const char *path, struct encryption_config **ret,
                                           struct kerrinfo *e)
{
    return read_file(path, true, ret, e);
}

void encryption_config_free(struct encryption_config *c)
{
    if (c == NULL) {
        return;
    }
    struct encryption_store *s = c->memory;
    for (size_t i = 0; i < s->key_count; i++) {
        secret_free(s->secrets[i]);
    }
    free(s->texts);
    free(s->file);
    free(s);
}

void encryption_config_free_at(struct encryption_config **c)
{
    encryption_config_free(*c);
    *c = NULL;
}
