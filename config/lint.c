/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of the rules: k8s.io/apiserver pkg/apis/apiserver/validation/validation_encryption.go and
 * pkg/server/options/encryptionconfig/config.go. */
#include "config/lint.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/go_url.h"
#include "config/lint_rules.h"

#define SHOWN_BYTES     72  /* of a value in a message, escaped */
#define SOCKET_PATH_MAX 107 /* sun_path of unix(7), with a terminator */

static const char *shown(const struct encryption_value *v, char to[static SHOWN_BYTES])
{
    text_escape(bytes_of_text(v->text), to, SHOWN_BYTES);
    return to;
}

/* ---- keys in the file ---- */

static bool is_length(enum encryption_kind kind, size_t len)
{
    return len == 32 || (kind != ENCRYPTION_SECRETBOX && (len == 16 || len == 24));
}

static void check_key(enum encryption_kind kind, const struct encryption_key *key,
                      struct lint_list *to)
{
    bool has_no_name = key->name.text == NULL ? key->name.line == 0 : *key->name.text == 0;
    if (has_no_name) {
        lint_add(to, LINT_KEY_NAME, key->line, key->column, "a key of %s without a name",
                 encryption_kind_names[kind]);
    }
    switch (key->secret) {
    case ENCRYPTION_SECRET_MISSING:
        lint_add(to, LINT_KEY_SECRET, key->line, key->column, "a key of %s without a secret",
                 encryption_kind_names[kind]);
        break;
    case ENCRYPTION_SECRET_WRONG_TYPE:
        break; /* noted by the reader */
    case ENCRYPTION_SECRET_NOT_BASE64:
        lint_add(to, LINT_KEY_BASE64, key->secret_line, key->secret_column,
                 "the secret is not base64");
        break;
    case ENCRYPTION_SECRET_MEASURED:
        if (!is_length(kind, key->secret_len)) {
            lint_add(to, LINT_KEY_LENGTH, key->secret_line, key->secret_column,
                     "a key of %zu bytes; %s needs %s", key->secret_len,
                     encryption_kind_names[kind],
                     kind == ENCRYPTION_SECRETBOX ? "32" : "16, 24 or 32");
        }
        break;
    }
}

/* ---- kms ---- */

static bool is_v1(const struct encryption_provider *p)
{
    return p->api_version.text != NULL && strcmp(p->api_version.text, "v1") == 0;
}

static void check_version(const struct encryption_provider *p, const struct lint_facts *facts,
                          struct lint_list *to)
{
    const struct encryption_value *v = &p->api_version;
    char text[SHOWN_BYTES];
    if (v->text == NULL) {
        return; /* noted by the reader */
    }
    if (facts->may_be_v1 && is_v1(p)) {
        return;
    }
    if (v->line == 0) {
        lint_add(to, LINT_KMS_VERSION_MISSING, p->line, p->column,
                 "apiVersion is missing: the default is v1, not v2, and v1 is off since Kubernetes "
                 "1.29");
    } else if (is_v1(p)) {
        lint_add(to, LINT_KMS_V1, v->line, v->column,
                 "KMS v1 is off since Kubernetes 1.29, unless kube-apiserver runs with "
                 "--feature-gates=KMSv1=true");
    } else if (strcmp(v->text, "v2") != 0) {
        lint_add(to, LINT_KMS_VERSION, v->line, v->column, "apiVersion '%s' of kms",
                 shown(v, text));
    }
}

static void check_cachesize(const struct encryption_provider *p, struct lint_list *to)
{
    /* With v1 it is allowed, and v1 is refused anyway. */
    if (p->cachesize.text != NULL && p->api_version.text != NULL && !is_v1(p)) {
        lint_add(to, LINT_KMS_CACHESIZE, p->cachesize.line, p->cachesize.column,
                 "cachesize is for KMS v1 only");
    }
}

static void check_timeout(const struct encryption_provider *p, struct lint_list *to)
{
    const struct encryption_value *v = &p->timeout;
    char text[SHOWN_BYTES];
    if (v->text == NULL) {
        return;
    }
    if (!p->is_timeout_read) {
        lint_add(to, LINT_TIMEOUT_INVALID, v->line, v->column,
                 "timeout '%s': expected a duration such as 3s or 500ms", shown(v, text));
    } else if (p->timeout_ns <= 0) {
        lint_add(to, LINT_TIMEOUT_INVALID, v->line, v->column, "timeout '%s' is not above zero",
                 shown(v, text));
    } else if (p->timeout_ns > LINT_TIMEOUT_LONG_NS) {
        lint_add(to, LINT_TIMEOUT_LONG, v->line, v->column, "timeout '%s' is over 10 s",
                 shown(v, text));
    } else if (p->timeout_ns < LINT_TIMEOUT_SHORT_NS) {
        lint_add(to, LINT_TIMEOUT_SHORT, v->line, v->column, "timeout '%s' is under 500 ms",
                 shown(v, text));
    }
}

static void check_url(const struct encryption_value *v, struct lint_list *to)
{
    struct go_url url;
    char text[SHOWN_BYTES];
    char path[SHOWN_BYTES];
    enum go_url_fault fault = go_url_parse(v->text, &url);
    if (fault != GO_URL_OK) {
        lint_add(to, LINT_ENDPOINT_SCHEME, v->line, v->column, "endpoint '%s' is %s",
                 shown(v, text),
                 fault == GO_URL_NOT_UNIX ? "not of the scheme unix" : "not a valid URL");
        return;
    }
    text_escape(bytes_of_text(url.path), path, sizeof path);
    if (*url.path == 0 || strcmp(url.path, "/") == 0) {
        lint_add(to, LINT_ENDPOINT_PATH, v->line, v->column,
                 "endpoint '%s' has no path for kube-apiserver: nothing can be reached there",
                 shown(v, text));
    } else if (strlen(url.path) > SOCKET_PATH_MAX) {
        lint_add(to, LINT_ENDPOINT_PATH, v->line, v->column,
                 "a path of %zu bytes; the name of a socket has at most %d", strlen(url.path),
                 SOCKET_PATH_MAX);
    } else if (*url.path == '@') {
        lint_add(to, LINT_ENDPOINT_ABSTRACT, v->line, v->column,
                 "the abstract socket '%s' has no owner and no mode: who binds it first is asked",
                 path);
    } else if (url.has_host || url.has_tail) {
        lint_add(to, LINT_ENDPOINT_DROPPED, v->line, v->column,
                 "of endpoint '%s' kube-apiserver uses only the path %s", shown(v, text), path);
    }
}

static void check_endpoint(const struct encryption_provider *p, struct lint_list *to)
{
    const struct encryption_value *v = &p->endpoint;
    if (v->text != NULL && *v->text != 0) {
        check_url(v, to);
    } else if (v->text != NULL || v->line == 0) {
        lint_add(to, LINT_ENDPOINT_MISSING, p->line, p->column, "a kms provider without endpoint");
    }
}

/* Names are those of all kms providers before this one, v1 too: so it is with automatic reload. */
static void check_name(const struct encryption_config *c, const struct encryption_provider *p,
                       struct lint_list *to)
{
    const struct encryption_value *v = &p->name;
    char text[SHOWN_BYTES];
    if (v->text == NULL ? v->line == 0 : *v->text == 0) {
        lint_add(to, LINT_NAME_EMPTY, p->line, p->column, "a kms provider without a name");
        return;
    }
    if (v->text == NULL) {
        return;
    }
    if (strchr(v->text, ':') != NULL && !is_v1(p)) {
        lint_add(to, LINT_NAME_COLON, v->line, v->column, "a colon in the name '%s'",
                 shown(v, text));
    }
    const struct encryption_provider *all = c->entries[0].providers;
    for (const struct encryption_provider *other = all; other < p; other++) {
        if (other->kind == ENCRYPTION_KMS && other->name.text != NULL &&
            strcmp(other->name.text, v->text) == 0) {
            lint_add(to, LINT_NAME_DUPLICATE, v->line, v->column,
                     "the name '%s' again, first in line %u", shown(v, text), other->name.line);
            return;
        }
    }
}

static void check_provider(const struct encryption_config *c, const struct lint_facts *facts,
                           const struct encryption_provider *p, struct lint_list *to)
{
    if (p->is_broken) {
        return;
    }
    for (size_t i = 0; i < p->key_count; i++) {
        check_key(p->kind, &p->keys[i], to);
    }
    if (p->kind == ENCRYPTION_KMS) {
        check_version(p, facts, to);
        check_name(c, p, to);
        check_timeout(p, to);
        check_endpoint(p, to);
        check_cachesize(p, to);
    }
}

/* ---- our daemon ---- */

static const struct encryption_provider *first_kms(const struct encryption_config *c)
{
    for (size_t i = 0; i < c->entry_count; i++) {
        for (size_t j = 0; j < c->entries[i].provider_count; j++) {
            if (c->entries[i].providers[j].kind == ENCRYPTION_KMS) {
                return &c->entries[i].providers[j];
            }
        }
    }
    return NULL;
}

static void check_socket(const struct encryption_config *c, const char *socket_path,
                         struct lint_list *to)
{
    if (socket_path == NULL || c->entry_count == 0 ||
        encryption_config_find_kms(c, socket_path) != NULL) {
        return;
    }
    const struct encryption_provider *p = first_kms(c);
    const struct encryption_value *at = p == NULL ? NULL : &p->endpoint;
    bool has_place = at != NULL && at->line != 0;
    char path[LINT_TEXT_MAX / 2];
    text_escape(bytes_of_text(socket_path), path, sizeof path);
    struct lint_finding *f = lint_add(
        to, LINT_SOCKET_MISMATCH, has_place ? at->line : c->line,
        has_place ? at->column : c->column,
        "no kms provider of apiVersion v2 has the endpoint unix://%s, which is socket.path of "
        "etcdseald",
        path);
    lint_cure(f, "write `endpoint: unix://%s`, or correct socket.path", path);
}

/* ---- all ---- */

enum kerr lint_encryption_config(const struct encryption_config *c, const struct lint_facts *facts,
                                 struct lint_list **ret, struct kerrinfo *e)
{
    struct lint_list *list = calloc(1, sizeof *list);
    if (list == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for findings");
    }
    *list = *c->faults;
    for (size_t i = 0; i < c->entry_count; i++) {
        for (size_t j = 0; j < c->entries[i].provider_count; j++) {
            check_provider(c, facts, &c->entries[i].providers[j], list);
        }
    }
    lint_resources(c, list);
    if (!list->is_refused) {
        check_socket(c, facts->socket_path, list);
        lint_meaning(c, list);
    }
    lint_sort(list);
    *ret = list;
    return KERR_OK;
}

void lint_free_at(struct lint_list **list)
{
    free(*list);
    *list = NULL;
}

const struct lint_finding *lint_find(const struct lint_list *list, enum lint_rule rule)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].rule == rule) {
            return &list->items[i];
        }
    }
    return NULL;
}
