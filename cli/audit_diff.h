/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has changed between two reports of schema etcdseal.audit/1, both as JSON: an old one from a
 * file, which anybody may have written, and the one of now. Rows of their lists are paired by what
 * names them; a field counts as changed when both reports have it, so reports of different versions
 * can be compared.
 */
#ifndef ETCDSEAL_CLI_AUDIT_DIFF_H
#define ETCDSEAL_CLI_AUDIT_DIFF_H

#include "cli/audit_report.h"
#include "json/json_read.h"

#define AUDIT_DIFF_SCHEMA "etcdseal.audit-diff/1"
#define AUDIT_DIFF_MAX    ((size_t)32 << 20) /* bytes of a report: some 70,000 findings */
#define AUDIT_DIFF_NAMES  3

enum audit_diff_list {
    AUDIT_DIFF_RESOURCES,
    AUDIT_DIFF_KEY_IDS,
    AUDIT_DIFF_FINDINGS,
    AUDIT_DIFF_LISTS
};

/* Rows of one list; one of the two may be NULL: the row is new, or gone. */
struct audit_pair {
    const struct json_value *before;
    const struct json_value *after;
};

struct audit_diff {
    const struct json_value *before; /* the whole reports */
    const struct json_value *after;
    struct {
        struct audit_pair *pairs; /* sorted by their names */
        size_t count;
    } lists[AUDIT_DIFF_LISTS];
    bool has_all_findings; /* neither report was cut by --max-findings */
};

/* How the lists are called in a report, and the fields that name a row of resources and key ids. */
struct audit_diff_names {
    const char *name;
    const char *fields[AUDIT_DIFF_NAMES + 1]; /* ends with NULL */
};
extern const struct audit_diff_names audit_diff_lists[AUDIT_DIFF_LISTS];

/* Reads a report. LIMIT, INPUT when it is no report of this schema, codes of base/file.h. */
enum kerr audit_diff_read(const char *path, struct json_doc **ret, struct kerrinfo *e) MUST_CHECK;
/* The same from its text, in which U+FFFD takes the place of what can't be read. */
enum kerr audit_diff_parse(struct buf *text, const char *name, struct json_doc **ret,
                           struct kerrinfo *e) MUST_CHECK;

/* The report of now: written as JSON and read again, so that both sides went the same way. */
enum kerr audit_diff_now(const struct audit_report *r, struct json_doc **ret,
                         struct kerrinfo *e) MUST_CHECK;

/* Both roots are borrowed. Clean with audit_diff_done even on failure. NOMEM. */
enum kerr audit_diff_make(const struct json_value *before, const struct json_value *after,
                          struct audit_diff *ret, struct kerrinfo *e) MUST_CHECK;
void audit_diff_done(struct audit_diff *d);
/* A part of both reports, such as "totals". */
struct audit_pair audit_diff_part(const struct audit_diff *d, const char *name);
#define AUTO_AUDIT_DIFF AUTO(audit_diff_done) struct audit_diff

/* A text, a truth, null, or a number as reports have them: whole and not negative. */
bool audit_diff_is_plain(const struct json_value *v);

/* Such a value that differs. */
struct audit_change {
    const char *field;
    const struct json_value *before; /* NULL: there was no such row */
    const struct json_value *after;
};
/* The changes of a pair, one after the other: *at is 0 at first. Of a row that only one report has
 * these are its numbers that are not 0. */
bool audit_diff_next(const struct audit_pair *p, size_t *at, struct audit_change *ret);

/* Whether anything of the pair differs, or one of the two is missing. */
bool audit_pair_has_changes(const struct audit_pair *p);
const char *audit_pair_state(const struct audit_pair *p); /* "new", "gone", "changed" */

static inline bool audit_pair_is_new(const struct audit_pair *p)
{
    return p->before == NULL;
}

static inline bool audit_pair_is_gone(const struct audit_pair *p)
{
    return p->after == NULL;
}

#endif
