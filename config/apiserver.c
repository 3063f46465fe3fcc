/* SPDX-License-Identifier: Apache-2.0 */
#include "config/apiserver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/apiserver_store.h"

const char *const apiserver_probe_names[APISERVER_PROBE_COUNT] = {
    [APISERVER_LIVENESS] = "livenessProbe",
    [APISERVER_STARTUP] = "startupProbe",
    [APISERVER_READINESS] = "readinessProbe",
};

struct apiserver_store *apiserver_store_new(enum apiserver_source source, const char *name,
                                            struct kerrinfo *e)
{
    AUTO_STORE s = calloc(1, sizeof *s);
    if (s == NULL) {
        (void)kerr_set(e, KERR_NOMEM, "no memory for the flags of kube-apiserver");
        return NULL;
    }
    s->spec.source = source;
    s->spec.is_container = source == APISERVER_MANIFEST || source == APISERVER_RKE2;
    s->spec.memory = s;
    if (apiserver_keep(s, bytes_of_text(name), &s->spec.file, e) != KERR_OK) {
        return NULL;
    }
    struct apiserver_store *made = s;
    s = NULL;
    return made;
}

static void store_free(struct apiserver_store *s)
{
    if (s == NULL) {
        return;
    }
    while (s->texts != NULL) {
        struct apiserver_text *next = s->texts->next;
        secret_wipe(s->texts->bytes, s->texts->size);
        free(s->texts);
        s->texts = next;
    }
    free(s);
}

void apiserver_store_free_at(struct apiserver_store **s)
{
    store_free(*s);
    *s = NULL;
}

struct apiserver_spec *apiserver_store_take(struct apiserver_store **s)
{
    struct apiserver_store *store = *s;
    *s = NULL;
    store->spec.flags = store->flags;
    store->spec.flag_count = store->flag_count;
    store->spec.mounts = store->mounts;
    store->spec.mount_count = store->mount_count;
    return &store->spec;
}

void apiserver_free(struct apiserver_spec *s)
{
    if (s != NULL) {
        store_free(s->memory);
    }
}

void apiserver_free_at(struct apiserver_spec **s)
{
    apiserver_free(*s);
    *s = NULL;
}

enum kerr apiserver_keep(struct apiserver_store *s, struct bytes text, const char **ret,
                         struct kerrinfo *e)
{
    struct apiserver_text *t = malloc(sizeof *t + text.len + 1);
    if (t == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for the flags of kube-apiserver");
    }
    *t = (struct apiserver_text){.next = s->texts, .size = text.len + 1};
    if (text.len > 0) {
        memcpy(t->bytes, text.ptr, text.len);
    }
    t->bytes[text.len] = 0;
    s->texts = t;
    *ret = t->bytes;
    return KERR_OK;
}

enum kerr apiserver_take(struct apiserver_store *s, const struct yaml *doc,
                         const struct yaml_node *node, const char *file,
                         struct apiserver_value *ret, struct kerrinfo *e)
{
    if (node == NULL) {
        return KERR_OK;
    }
    if (node->kind != YAML_SCALAR) {
        return yaml_refuse_type(doc, node, node->key == NULL ? "an item" : node->key, "text", e);
    }
    struct apiserver_value v = {.file = file, .line = node->line, .column = node->column};
    enum kerr k = apiserver_keep(s, bytes_of_text(node->text), &v.text, e);
    if (k == KERR_OK) {
        *ret = v;
    }
    return k;
}

enum kerr apiserver_add_flag(struct apiserver_store *s, const char *word,
                             const struct apiserver_value *at, struct kerrinfo *e)
{
    if (s->flag_count == APISERVER_FLAGS_MAX) {
        return kerr_set(e, KERR_LIMIT, "%.160s: more than %d flags of kube-apiserver", s->spec.file,
                        APISERVER_FLAGS_MAX);
    }
    struct apiserver_flag *flag = &s->flags[s->flag_count];
    const char *name = word + strspn(word, "-");
    size_t len = strcspn(name, "=");
    const char *value = name[len] == '=' ? name + len + 1 : "true";
    flag->value = *at;
    enum kerr k = apiserver_keep(s, bytes_of(name, len), &flag->name, e);
    k = k == KERR_OK ? apiserver_keep(s, bytes_of_text(value), &flag->value.text, e) : k;
    s->flag_count += k == KERR_OK;
    return k;
}

const struct yaml_node *yaml_get(const struct yaml_node *node, const char *key)
{
    if (node == NULL || node->kind != YAML_MAPPING) {
        return NULL;
    }
    for (const struct yaml_node *n = node->child; n != NULL; n = n->next) {
        if (strcmp(n->key, key) == 0) {
            return n;
        }
    }
    return NULL;
}

const struct apiserver_flag *apiserver_flag(const struct apiserver_spec *s, const char *name)
{
    for (size_t i = s->flag_count; i > 0; i--) {
        if (strcmp(s->flags[i - 1].name, name) == 0) {
            return &s->flags[i - 1];
        }
    }
    return NULL;
}

/* ---- a command line ---- */

enum kerr apiserver_read_words(struct bytes words, const char *name, struct apiserver_spec **ret,
                               struct kerrinfo *e)
{
    AUTO_STORE s = apiserver_store_new(APISERVER_PROCESS, name, e);
    if (s == NULL) {
        return KERR_NOMEM;
    }
    const struct apiserver_value nowhere = {.file = s->spec.file};
    enum kerr k = KERR_OK;
    bool follows_flag = false; /* "--flag", "value" */
    for (size_t at = 0; at < words.len && k == KERR_OK;) {
        const char *word = NULL;
        const uint8_t *end = memchr(words.ptr + at, 0, words.len - at);
        size_t len = end == NULL ? words.len - at : (size_t)(end - words.ptr) - at;
        k = apiserver_keep(s, bytes_of(words.ptr + at, len), &word, e);
        if (k == KERR_OK && strncmp(word, "--", 2) == 0) {
            k = apiserver_add_flag(s, word, &nowhere, e);
            follows_flag = strchr(word, '=') == NULL;
        } else if (k == KERR_OK && follows_flag) {
            s->flags[s->flag_count - 1].value.text = word;
            follows_flag = false;
        }
        at += len + 1;
    }
    if (k == KERR_OK) {
        *ret = apiserver_store_take(&s);
    }
    return k;
}
