/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit in words: tables for people, a document for programs. The document's field names are
 * schema "etcdseal.audit/1", described in docs/audit.md: fields may be added, none is renamed or
 * changes its meaning. It is printed in pieces, so that a million findings need no memory.
 */
#ifndef ETCDSEAL_CLI_AUDIT_REPORT_H
#define ETCDSEAL_CLI_AUDIT_REPORT_H

#include "cli/audit_source.h"
#include "cli/out.h"

#define AUDIT_SCHEMA "etcdseal.audit/1"

struct audit_report {
    const struct audit *audit;
    const struct audit_source *source;
    uint64_t started_s;
    uint64_t duration_ms;
};

enum kerr audit_print_table(const struct options *o, const struct audit_report *r,
                            struct kerrinfo *e) MUST_CHECK;
enum kerr audit_print_doc(const struct options *o, const struct audit_report *r,
                          struct kerrinfo *e) MUST_CHECK;

#endif
