/* SPDX-License-Identifier: Apache-2.0 */
/* Source: validateResourceNames, validateResourceOverlap of k8s.io/apiserver
 * pkg/apis/apiserver/validation, and getTransformerOverridesAndKMSPluginProbes, which looks for
 * masked resources, in pkg/server/options/encryptionconfig. */
#include "base/text.h"
#include "config/group_resource.h"
#include "config/lint_rules.h"

#define SHOWN_BYTES 72 /* of a name in a message, escaped */

static const char *shown(const struct encryption_value *v, char to[static SHOWN_BYTES])
{
    text_escape(bytes_of_text(v->text), to, SHOWN_BYTES);
    return to;
}

static bool has_capital(const char *text)
{
    return text[strcspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] != 0;
}

static bool is_internal(const char *text)
{
    static const char *const names[] = {"apiserveripinfo", "serviceipallocations",
                                        "servicenodeportallocations"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The first fault of a name, as kube-apiserver looks; LINT_RULE_COUNT for none. */
static enum lint_rule fault_of(const char *text)
{
    struct group_resource gr = group_resource_of(text);
    if (has_capital(text)) {
        return LINT_RESOURCE_CAPITAL;
    }
    if (strcmp(text, "*") == 0) {
        return LINT_RESOURCE_STAR;
    }
    if (is_internal(text)) {
        return LINT_RESOURCE_INTERNAL;
    }
    if (bytes_equal_text(gr.group, "events.k8s.io") || bytes_equal_text(gr.group, "extensions")) {
        return LINT_RESOURCE_GROUP;
    }
    if (bytes_equal_text(gr.group, "*") && !bytes_equal_text(gr.resource, "*")) {
        return LINT_RESOURCE_ACROSS;
    }
    return gr.resource.len == 0 ? LINT_RESOURCE_EMPTY : LINT_RULE_COUNT;
}

static void check_name(const struct encryption_value *v, struct lint_list *to)
{
    char text[SHOWN_BYTES];
    enum lint_rule rule = fault_of(v->text);
    if (rule != LINT_RULE_COUNT) {
        lint_add(to, rule, v->line, v->column, "%s: '%s'", lint_rules[rule].what, shown(v, text));
    }
}

static bool covers(struct group_resource wildcard, struct group_resource other)
{
    return group_resource_is_all(wildcard) || group_resource_is_all_of(wildcard, other.group);
}

/* A name beside one that stands before it in the same list. */
static bool check_beside(const struct encryption_value *v, const struct encryption_value *before,
                         struct lint_list *to)
{
    char text[SHOWN_BYTES];
    char other[SHOWN_BYTES];
    struct group_resource a = group_resource_of(v->text);
    struct group_resource b = group_resource_of(before->text);
    if (group_resource_is(a, b)) {
        lint_add(to, LINT_RESOURCE_DUPLICATE, v->line, v->column, "'%s' again, first in line %u",
                 shown(v, text), before->line);
        return true;
    }
    if (covers(a, b) || covers(b, a)) {
        lint_add(to, LINT_RESOURCE_OVERLAP, v->line, v->column, "'%s' and '%s' of line %u overlap",
                 shown(v, text), shown(before, other), before->line);
        return true;
    }
    return false;
}

static bool check_behind(const struct encryption_value *v, const struct encryption_value *before,
                         struct lint_list *to)
{
    char text[SHOWN_BYTES];
    char other[SHOWN_BYTES];
    if (!covers(group_resource_of(before->text), group_resource_of(v->text))) {
        return false;
    }
    lint_add(to, LINT_RESOURCE_MASKED, v->line, v->column,
             "'%s' is masked by '%s' of the earlier entry in line %u", shown(v, text),
             shown(before, other), before->line);
    return true;
}

/* All resources lie in one array: those of this entry begin at `first`. */
static void check_neighbours(const struct encryption_value *all,
                             const struct encryption_value *first, const struct encryption_value *v,
                             struct lint_list *to)
{
    for (const struct encryption_value *other = all; other < v; other++) {
        bool is_done = other->text != NULL &&
                       (other < first ? check_behind(v, other, to) : check_beside(v, other, to));
        if (is_done) {
            return;
        }
    }
}

void lint_resources(const struct encryption_config *c, struct lint_list *to)
{
    for (size_t i = 0; i < c->entry_count; i++) {
        const struct encryption_entry *entry = &c->entries[i];
        for (size_t j = 0; j < entry->resource_count; j++) {
            const struct encryption_value *v = &entry->resources[j];
            if (v->text != NULL) {
                check_name(v, to);
                check_neighbours(c->entries[0].resources, entry->resources, v, to);
            }
        }
    }
}
