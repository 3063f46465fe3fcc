/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/verdict.h"

#include <stdarg.h>
#include <string.h>

const char *verdict_text(struct verdict *v, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *text = texts_vprintf(v->texts, fmt, args);
    va_end(args);
    return text;
}

const char *verdict_place(struct verdict *v, const struct apiserver_value *at)
{
    if (at->file == NULL || at->line == 0) {
        return at->file == NULL ? "" : texts_keep(v->texts, bytes_of_text(at->file));
    }
    return texts_printf(v->texts, "%s:%u:%u", at->file, at->line, at->column);
}

PRINTF_LIKE(3, 0)
static void say(struct verdict *v, enum doctor_result result, const char *fmt, va_list args)
{
    v->row->result = result;
    v->row->about = texts_vprintf(v->texts, fmt, args);
}

void verdict_ok(struct verdict *v, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(v, DOCTOR_OK, fmt, args);
    va_end(args);
}

void verdict_skip(struct verdict *v, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(v, DOCTOR_SKIPPED, fmt, args);
    va_end(args);
}

void verdict_unknown(struct verdict *v, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(v, DOCTOR_UNKNOWN, fmt, args);
    va_end(args);
}

void verdict_add(struct verdict *v, const struct doctor_finding *finding)
{
    struct doctor_report *r = v->report;
    v->row->result = DOCTOR_FOUND;
    v->row->about = finding->what;
    r->count[finding->severity]++;
    if (r->finding_count == DOCTOR_FINDINGS_MAX) {
        r->left_out++;
        return;
    }
    r->findings[r->finding_count] = *finding;
    r->findings[r->finding_count++].check = v->row->check;
}

void verdict_found(struct verdict *v, const char *where, const char *cure, const char *fmt, ...)
{
    const struct doctor_about *check = v->row->check;
    va_list args;
    va_start(args, fmt);
    struct doctor_finding finding = {
        .severity = check->severity,
        .rule = "",
        .what = texts_vprintf(v->texts, fmt, args),
        .where = where,
        .why = check->why,
        .cure = cure,
        .docs = texts_printf(v->texts, "docs/doctor.md#%s", check->id),
    };
    va_end(args);
    verdict_add(v, &finding);
}

/* ---- the table, run ---- */

const struct doctor_about *doctor_about_at(size_t i)
{
    return i < doctor_check_count ? &doctor_checks[i].about : NULL;
}

const char *doctor_severity_name(enum doctor_severity s)
{
    static const char *const names[] = {
        [DOCTOR_NOTE] = "note", [DOCTOR_WARNING] = "warning", [DOCTOR_ERROR] = "error"};
    return names[s];
}

/* Whether `id` stands in "a,b,c". */
static bool is_listed(const char *list, const char *id)
{
    size_t len = strlen(id);
    for (const char *p = list; p != NULL && *p != 0; p += strcspn(p, ",") + (strchr(p, ',') != 0)) {
        if (strcspn(p, ",") == len && strncmp(p, id, len) == 0) {
            return true;
        }
    }
    return false;
}

/* The check whose trouble explains this row, also by way of others; NULL. */
static const struct doctor_about *trouble(const struct doctor_row *row)
{
    bool is_bad = row->result == DOCTOR_FOUND || row->result == DOCTOR_UNKNOWN;
    return is_bad ? row->check : row->cause;
}

static const struct doctor_about *cause_of(const struct doctor_report *r, const struct check *check)
{
    for (size_t i = 0; i < r->row_count; i++) {
        const struct doctor_about *cause = trouble(&r->rows[i]);
        if (cause != NULL && is_listed(check->after, r->rows[i].check->id)) {
            return cause;
        }
    }
    return NULL;
}

static bool concerns(const struct facts *f, const struct check *check)
{
    switch (check->scope) {
    case SCOPE_ALL:
        return true;
    case SCOPE_KEYSTORE:
        return facts_has_keystore(f);
    case SCOPE_VAULT:
        return facts_has_vault(f);
    case SCOPE_VAULT_KEYS:
        return facts_has_vault_keys(f);
    }
    return true;
}

void doctor_judge(const struct facts *f, struct doctor_report *report, struct texts *texts)
{
    for (size_t i = 0; i < doctor_check_count; i++) {
        const struct check *check = &doctor_checks[i];
        if (!concerns(f, check)) {
            continue;
        }
        const struct doctor_about *cause = cause_of(report, check);
        struct doctor_row *row = &report->rows[report->row_count++];
        struct verdict v = {.report = report, .texts = texts, .row = row};
        *row = (struct doctor_row){.check = &check->about, .result = DOCTOR_OK, .about = ""};
        if (cause != NULL) {
            verdict_skip(&v, "see %s", cause->id);
            row->cause = cause;
        } else {
            check->judge(f, &v);
        }
        report->unknown += row->result == DOCTOR_UNKNOWN;
    }
}
