/* SPDX-License-Identifier: Apache-2.0 */
/* What has changed since an older report, as documents. */
#include "cli/audit_diff.h"
#include "cli/audit_report.h"

#define REPORT_FIELDS 3

/* The fields of a report that are its own, not of a list. */
static const char *const report_fields[REPORT_FIELDS] = {"verdict", "has_residue", "as_demanded"};

static const struct json_value *member_of(const struct json_value *report, const char *part,
                                          const char *name)
{
    return json_member(json_member(report, part), name);
}

/* ---- as a document ---- */

/* What a report should not have there is null. */
static void put_value(struct doc *d, const char *name, const struct json_value *v)
{
    if (audit_diff_is_plain(v)) {
        doc_value(d, name, v);
    } else {
        doc_text(d, name, NULL);
    }
}

static void put_side(struct doc *d, const char *name, const struct json_value *report)
{
    doc_object(d, name);
    for (size_t i = 0; i < REPORT_FIELDS; i++) {
        put_value(d, report_fields[i], json_member(report, report_fields[i]));
    }
    put_value(d, "started_at", json_member(report, "started_at"));
    put_value(d, "version", json_member(report, "version"));
    put_value(d, "revision", member_of(report, "source", "revision"));
    put_value(d, "findings_count", json_member(report, "findings_count"));
    doc_close(d);
}

static void put_changes(struct doc *d, const struct audit_pair *p)
{
    struct audit_change change;
    doc_array(d, "changes");
    for (size_t at = 0; audit_diff_next(p, &at, &change);) {
        doc_object(d, NULL);
        doc_text(d, "field", change.field);
        put_value(d, "old", change.before);
        put_value(d, "new", change.after);
        doc_close(d);
    }
    doc_close(d);
}

static void flush(struct doc *d, struct audit_sink *to)
{
    if (d->k == KERR_OK && to->text.len > DOC_MAX / 2) {
        d->k = audit_flush(to, d->e);
    }
}

static void put_rows(struct doc *d, const struct audit_diff *diff, enum audit_diff_list which,
                     struct audit_sink *to)
{
    doc_array(d, audit_diff_lists[which].name);
    for (size_t i = 0; i < diff->lists[which].count; i++, flush(d, to)) {
        const struct audit_pair *p = &diff->lists[which].pairs[i];
        if (!audit_pair_has_changes(p)) {
            continue;
        }
        doc_object(d, NULL);
        for (const char *const *field = audit_diff_lists[which].fields; *field != NULL; field++) {
            put_value(d, *field, json_member(p->after == NULL ? p->before : p->after, *field));
        }
        doc_text(d, "state", audit_pair_state(p));
        put_changes(d, p);
        doc_close(d);
    }
    doc_close(d);
}

/* The places that both reports show. */
static void put_residue(struct doc *d, const struct audit_diff *diff)
{
    struct audit_pair all = audit_diff_part(diff, "residue");
    doc_array(d, "residue");
    for (size_t i = 0; i < json_count(all.after); i++) {
        const char *name = NULL;
        struct audit_pair p = {.after = json_at(all.after, i, &name)};
        p.before = name == NULL ? NULL : json_member(all.before, name);
        if (json_kind(p.before) == JSON_IS_OBJECT && json_kind(p.after) == JSON_IS_OBJECT &&
            audit_pair_has_changes(&p)) {
            doc_object(d, NULL);
            doc_text(d, "place", name);
            put_changes(d, &p);
            doc_close(d);
        }
    }
    doc_close(d);
}

static void put_finding(struct doc *d, const struct json_value *row)
{
    static const char *const fields[] = {"rule",     "severity",     "resource", "object",
                                         "etcd_key", "mod_revision", "message",  "cure"};
    doc_object(d, NULL);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        put_value(d, fields[i], json_member(row, fields[i]));
    }
    doc_close(d);
}

static void put_findings(struct doc *d, const struct audit_diff *diff, const char *name,
                         bool is_wanted(const struct audit_pair *), struct audit_sink *to)
{
    if (!diff->has_all_findings) {
        doc_text(d, name, NULL);
        return;
    }
    doc_array(d, name);
    for (size_t i = 0; i < diff->lists[AUDIT_DIFF_FINDINGS].count; i++, flush(d, to)) {
        const struct audit_pair *p = &diff->lists[AUDIT_DIFF_FINDINGS].pairs[i];
        if (is_wanted(p)) {
            put_finding(d, p->after == NULL ? p->before : p->after);
        }
    }
    doc_close(d);
}

static enum kerr write_doc(const struct audit_report *r, bool is_yaml, struct audit_sink *to,
                           struct kerrinfo *e)
{
    AUTO_JSON now = NULL;
    AUTO_AUDIT_DIFF diff = {.before = NULL};
    enum kerr k = audit_diff_now(r, &now, e);
    k = k == KERR_OK ? audit_diff_make(r->older, json_root(now), &diff, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    struct audit_pair totals = audit_diff_part(&diff, "totals");
    struct doc d = doc_on(is_yaml, &to->text, e);
    doc_object(&d, NULL);
    doc_text(&d, "schema", AUDIT_DIFF_SCHEMA);
    put_side(&d, "old", diff.before);
    put_side(&d, "new", diff.after);
    doc_object(&d, "totals");
    put_changes(&d, &totals);
    doc_close(&d);
    put_rows(&d, &diff, AUDIT_DIFF_RESOURCES, to);
    put_rows(&d, &diff, AUDIT_DIFF_KEY_IDS, to);
    put_residue(&d, &diff);
    put_findings(&d, &diff, "findings_new", audit_pair_is_new, to);
    put_findings(&d, &diff, "findings_gone", audit_pair_is_gone, to);
    return doc_end(&d);
}

enum kerr audit_write_diff_json(const struct audit_report *r, struct audit_sink *to,
                                struct kerrinfo *e)
{
    return write_doc(r, false, to, e);
}

enum kerr audit_write_diff_yaml(const struct audit_report *r, struct audit_sink *to,
                                struct kerrinfo *e)
{
    return write_doc(r, true, to, e);
}
