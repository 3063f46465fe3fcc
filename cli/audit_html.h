/* SPDX-License-Identifier: Apache-2.0 */
/* The sections of the report as a page, one after the other. The style sheet is audit_page.css, the
 * prose about what an audit proves audit_page_scope.html. */
#ifndef ETCDSEAL_CLI_AUDIT_HTML_H
#define ETCDSEAL_CLI_AUDIT_HTML_H

#include "cli/audit_facts.h"
#include "cli/audit_report.h"
#include "cli/html.h"

extern const char audit_page_style[];
extern const char audit_page_scope[];

struct audit_page {
    struct appender a;
    struct audit_sink *to;
    const struct audit_report *r;
    const struct audit *audit;
    struct audit_groups groups;
};

/* "good", "wait", "bad", "flat": classes of the style sheet. */
const char *audit_page_tone(enum audit_verdict verdict);

void audit_page_resources(struct audit_page *p);
void audit_page_keys(struct audit_page *p);
void audit_page_residue(struct audit_page *p);
void audit_page_findings(struct audit_page *p);
void audit_page_facts(struct audit_page *p);

#endif
