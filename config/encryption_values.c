/* SPDX-License-Identifier: Apache-2.0 */
#include "config/encryption_values.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/go_scalar.h"

enum yaml_type values_type(const struct encryption_store *s, const struct yaml_node *scalar)
{
    if (scalar->quote != 0) {
        return YAML_TEXT;
    }
    if (!s->is_json) {
        return go_scalar_type(scalar->raw);
    }
    /* JSON has no other scalars; what is none of them is a fault of the whole file. */
    return bytes_equal_text(scalar->raw, "null")                             ? YAML_NULL
           : scalar->raw.len > 0 && strchr("tf", scalar->raw.ptr[0]) != NULL ? YAML_BOOL
                                                                             : YAML_NUMBER;
}

bool values_is_null(const struct encryption_store *s, const struct yaml_node *node)
{
    return node == NULL || (node->kind == YAML_SCALAR && values_type(s, node) == YAML_NULL);
}

void values_wrong_type(struct encryption_store *s, const struct yaml_node *node, const char *what,
                       const char *expected)
{
    static const char *const scalars[] = {
        [YAML_NULL] = "nothing",
        [YAML_BOOL] = "true or false",
        [YAML_NUMBER] = "a number",
        [YAML_TEXT] = "text",
    };
    bool is_scalar = node->kind == YAML_SCALAR;
    enum yaml_type type = is_scalar ? values_type(s, node) : YAML_NULL;
    bool lacks_quotes = strcmp(expected, "text") == 0 && (type == YAML_BOOL || type == YAML_NUMBER);
    lint_add(&s->faults, LINT_WRONG_TYPE, node->line, node->column, "%s: expected %s, found %s%s",
             what, expected,
             is_scalar                    ? scalars[type]
             : node->kind == YAML_MAPPING ? "a mapping"
                                          : "a list",
             lacks_quotes ? "; put it in quotes" : "");
}

const char *values_keep(struct encryption_store *s, const char *text)
{
    size_t size = strlen(text) + 1;
    char *to = s->texts + s->texts_len;
    memcpy(to, text, size);
    s->texts_len += size;
    return to;
}

void values_text(struct encryption_store *s, const struct yaml_node *node, const char *what,
                 struct encryption_value *ret)
{
    if (values_is_null(s, node)) {
        return;
    }
    *ret = (struct encryption_value){.line = node->line, .column = node->column};
    if (node->kind == YAML_SCALAR && values_type(s, node) == YAML_TEXT) {
        ret->text = values_keep(s, node->text);
    } else {
        values_wrong_type(s, node, what, "text");
    }
}

/* The children of a list; NULL for none. A wrong type is noted. */
const struct yaml_node *values_list(struct encryption_store *s, const struct yaml_node *node,
                                    const char *what)
{
    if (values_is_null(s, node)) {
        return NULL;
    }
    if (node->kind != YAML_SEQUENCE) {
        values_wrong_type(s, node, what, "a list");
        return NULL;
    }
    return node->child;
}

/* Whether the list is empty rather than wrong. */
bool values_is_empty(const struct encryption_store *s, const struct yaml_node *node)
{
    return values_is_null(s, node) || (node->kind == YAML_SEQUENCE && node->child == NULL);
}

static void unknown_field(struct encryption_store *s, const struct yaml_node *child,
                          const char *what, const char *const *names, size_t count)
{
    struct text_nearest nearest = {0};
    char list[LINT_TEXT_MAX / 2];
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len +=
            (size_t)snprintf(list + len, sizeof list - len, "%s%s", i == 0 ? "" : ", ", names[i]);
        text_nearest_try(&nearest, bytes_of_text(child->key), names[i]);
    }
    struct lint_finding *f =
        lint_add(&s->faults, LINT_UNKNOWN_FIELD, child->key_line, child->key_column,
                 "%s: unknown field; expected one of: %s", what, list);
    if (nearest.best != NULL) {
        lint_cure(f, "did you mean `%s`?", nearest.best);
    }
}

/* Sorts the children of a mapping: ret[i] is the last one with names[i], or NULL. False, and noted,
 * when it is no mapping. */
bool values_fields(struct encryption_store *s, const struct yaml_node *node, const char *what,
                   const char *const *names, size_t count, const struct yaml_node **ret)
{
    memset(ret, 0, count * sizeof *ret);
    if (node->kind != YAML_MAPPING) {
        values_wrong_type(s, node, what, "keys and values (a mapping)");
        return false;
    }
    for (const struct yaml_node *child = node->child; child != NULL; child = child->next) {
        size_t i = 0;
        while (i < count && strcmp(child->key, names[i]) != 0) {
            i++;
        }
        if (i == count) {
            unknown_field(s, child, what, names, count);
            continue;
        }
        if (ret[i] != NULL) {
            lint_add(&s->faults, LINT_REPEATED_FIELD, child->key_line, child->key_column,
                     "%s: %s stands here again, first in line %u", what, names[i],
                     ret[i]->key_line);
        }
        ret[i] = child;
    }
    return true;
}
