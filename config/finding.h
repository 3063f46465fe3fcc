/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of the linter for EncryptionConfigurations, and bounded lists of what was found. The
 * rules are rows of lint.def; docs/encryption-config.md has a section for each, whose anchor is the
 * rule's id.
 *
 * Messages and cures are one line each, safe to show; no text of a `secret` is ever in them.
 * Pure; a list belongs to one thread while it is added to.
 */
#ifndef ETCDSEAL_CONFIG_FINDING_H
#define ETCDSEAL_CONFIG_FINDING_H

#include "base/attr.h"
#include "base/bytes.h"

#define LINT_PAGE         "docs/encryption-config.md"
#define LINT_FINDINGS_MAX 200 /* kept; more are counted */
#define LINT_TEXT_MAX     320 /* bytes of a message or a cure, with the terminator */

enum lint_severity {
    LINT_ERROR,   /* it will not load, can't work, or Secrets stay plaintext */
    LINT_WARNING, /* it loads, and leaves something open */
    LINT_NOTE,    /* worth to know */
    LINT_SEVERITY_COUNT
};
extern const char *const lint_severity_names[LINT_SEVERITY_COUNT]; /* "error", … */

enum lint_rule {
#define LINT_RULE(name, id, severity, refused_from, what, cure) LINT_##name,
#include "config/lint.def"
#undef LINT_RULE
    LINT_RULE_COUNT
};

struct lint_rule_info {
    const char *id;
    enum lint_severity severity;
    const char *refused_from; /* first Kubernetes release that does not load it, or NULL */
    const char *what;
    const char *cure;
};
extern const struct lint_rule_info lint_rules[LINT_RULE_COUNT];

struct lint_finding {
    enum lint_rule rule;
    unsigned line; /* 1-based; columns count characters */
    unsigned column;
    char message[LINT_TEXT_MAX];
    char cure[LINT_TEXT_MAX];
};

struct lint_list {
    struct lint_finding items[LINT_FINDINGS_MAX];
    size_t count;
    size_t totals[LINT_SEVERITY_COUNT]; /* those that were not kept among them */
    bool is_refused;                    /* by a rule with `refused_from` */
};

/* Adds a finding with the rule's cure; NULL when the list is full. */
struct lint_finding *lint_add(struct lint_list *list, enum lint_rule rule, unsigned line,
                              unsigned column, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Another cure than the rule's. `f` may be NULL. */
void lint_cure(struct lint_finding *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* By place; findings of one place stay in order. */
void lint_sort(struct lint_list *list);

#endif
