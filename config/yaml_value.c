/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes mean: types of scalars, keys of a mapping. */
#include "config/yaml.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Longest piece of wrong text that a message shows, escaped. */
#define SHOWN_BYTES 64

#define DIGITS "0123456789"

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0) {
            return true;
        }
    }
    return false;
}

/* [-+]? ( 0o octal | 0x hex | digits [. digits] [e [-+]? digits] | . digits … | .inf ) or .nan */
static bool is_number(const char *text)
{
    static const char *const infinities[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};
    bool is_based = strncmp(text, "0o", 2) == 0 || strncmp(text, "0x", 2) == 0;
    if (is_based) {
        const char *digits = text[1] == 'o' ? "01234567" : DIGITS "abcdefABCDEF";
        return text[2] != 0 && text[2 + strspn(text + 2, digits)] == 0;
    }
    const char *p = text + (*text == '-' || *text == '+' ? 1 : 0);
    if (is_one_of(p, infinities) || is_one_of(text, nans)) {
        return true;
    }
    size_t whole = strspn(p, DIGITS);
    p += whole;
    size_t part = 0;
    if (*p == '.') {
        part = strspn(p + 1, DIGITS);
        p += 1 + part;
    }
    if (whole + part == 0) {
        return false;
    }
    if (*p == 'e' || *p == 'E') {
        p += p[1] == '-' || p[1] == '+' ? 2 : 1;
        size_t exponent = strspn(p, DIGITS);
        p += exponent;
        return exponent > 0 && *p == 0;
    }
    return *p == 0;
}

enum yaml_type yaml_type_of(const struct yaml_node *scalar)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const bools[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};
    if (!scalar->is_plain) {
        return YAML_TEXT;
    }
    if (is_one_of(scalar->text, nulls)) {
        return YAML_NULL;
    }
    if (is_one_of(scalar->text, bools)) {
        return YAML_BOOL;
    }
    return is_number(scalar->text) ? YAML_NUMBER : YAML_TEXT;
}

size_t yaml_count(const struct yaml_node *node)
{
    size_t count = 0;
    for (const struct yaml_node *n = node->child; n != NULL; n = n->next) {
        count++;
    }
    return count;
}

static const char *found(const struct yaml_node *node)
{
    static const char *const scalars[] = {
        [YAML_NULL] = "nothing",
        [YAML_BOOL] = "true or false",
        [YAML_NUMBER] = "a number",
        [YAML_TEXT] = "text",
    };
    switch (node->kind) {
    case YAML_MAPPING:
        return "a mapping";
    case YAML_SEQUENCE:
        return "a list";
    case YAML_SCALAR:
        return scalars[yaml_type_of(node)];
    }
    return "nothing";
}

enum kerr yaml_refuse_type(const struct yaml *doc, const struct yaml_node *node, const char *what,
                           const char *expected, struct kerrinfo *e)
{
    return yaml_refuse(doc, node, e, "%s: expected %s, found %s", what, expected, found(node));
}

enum kerr yaml_text(const struct yaml *doc, const struct yaml_node *node, const char *what,
                    const char *expected, const char **ret, struct kerrinfo *e)
{
    if (node->kind != YAML_SCALAR) {
        return yaml_refuse_type(doc, node, what, expected, e);
    }
    enum yaml_type type = yaml_type_of(node);
    if (type == YAML_BOOL || type == YAML_NUMBER) {
        return yaml_refuse(doc, node, e, "%s: expected %s, found %s; put it in quotes", what,
                           expected, found(node));
    }
    if (type == YAML_NULL) {
        return yaml_refuse_type(doc, node, what, expected, e);
    }
    *ret = node->text;
    return KERR_OK;
}

static enum kerr refuse_unknown(const struct yaml *doc, const struct yaml_node *child,
                                const char *const *names, size_t count, struct kerrinfo *e)
{
    struct text_nearest nearest = {0};
    char list[KERRINFO_TEXT_MAX / 2] = "";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", names[i]);
        text_nearest_try(&nearest, bytes_of_text(child->key), names[i]);
    }
    char word[SHOWN_BYTES + 4] = "";
    char hint[YAML_KEY_MAX + 24] = "";
    if (!yaml_is_secret(doc)) {
        char shown[SHOWN_BYTES];
        text_escape(bytes_of_text(child->key), shown, sizeof shown);
        (void)snprintf(word, sizeof word, " '%s'", shown);
    }
    if (nearest.best != NULL) {
        (void)snprintf(hint, sizeof hint, " (did you mean '%s'?)", nearest.best);
    }
    return yaml_refuse_key(doc, child, e, "unknown key%s%s; expected one of: %s", word, hint, list);
}

enum kerr yaml_fields(const struct yaml *doc, const struct yaml_node *node, const char *what,
                      const char *const *names, size_t count, const struct yaml_node **ret_found,
                      struct kerrinfo *e)
{
    if (node->kind != YAML_MAPPING) {
        return yaml_refuse_type(doc, node, what, "keys and values (a mapping)", e);
    }
    for (size_t i = 0; i < count; i++) {
        ret_found[i] = NULL;
    }
    for (const struct yaml_node *child = node->child; child != NULL; child = child->next) {
        size_t i = 0;
        while (i < count && strcmp(child->key, names[i]) != 0) {
            i++;
        }
        if (i == count) {
            return refuse_unknown(doc, child, names, count, e);
        }
        ret_found[i] = child;
    }
    return KERR_OK;
}
