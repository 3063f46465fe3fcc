/* SPDX-License-Identifier: Apache-2.0 */
#include "config/finding.h"

#include <stdarg.h>
#include <stdio.h>

const char *const lint_severity_names[LINT_SEVERITY_COUNT] = {
    [LINT_ERROR] = "error", [LINT_WARNING] = "warning", [LINT_NOTE] = "note"};

const struct lint_rule_info lint_rules[LINT_RULE_COUNT] = {
#define LINT_RULE(name, id, severity, refused_from, what, cure)                                    \
    [LINT_##name] = {id, LINT_##severity, refused_from, what, cure},
#include "config/lint.def"
#undef LINT_RULE
};

struct lint_finding *lint_add(struct lint_list *list, enum lint_rule rule, unsigned line,
                              unsigned column, const char *fmt, ...)
{
    const struct lint_rule_info *info = &lint_rules[rule];
    list->totals[info->severity]++;
    list->is_refused = list->is_refused || info->refused_from != NULL;
    if (list->count == LINT_FINDINGS_MAX) {
        return NULL;
    }
    struct lint_finding *to = &list->items[list->count++];
    *to = (struct lint_finding){.rule = rule, .line = line, .column = column};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(to->message, sizeof to->message, fmt, args);
    va_end(args);
    (void)snprintf(to->cure, sizeof to->cure, "%s", info->cure);
    return to;
}

void lint_cure(struct lint_finding *f, const char *fmt, ...)
{
    if (f == NULL) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(f->cure, sizeof f->cure, fmt, args);
    va_end(args);
}

static bool is_before(const struct lint_finding *a, const struct lint_finding *b)
{
    return a->line < b->line || (a->line == b->line && a->column < b->column);
}

void lint_sort(struct lint_list *list)
{
    for (size_t i = 1; i < list->count; i++) {
        struct lint_finding moved = list->items[i];
        size_t at = i;
        for (; at > 0 && is_before(&moved, &list->items[at - 1]); at--) {
            list->items[at] = list->items[at - 1];
        }
        list->items[at] = moved;
    }
}
