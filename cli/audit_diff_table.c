/* SPDX-License-Identifier: Apache-2.0 */
/* What has changed since an older report, for people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/audit_diff.h"

#define ROWS_MAX     400 /* of the table of numbers */
#define FINDINGS_MAX 20  /* new ones, and those that are gone */
#define SHOWN_BYTES  256
#define VALUE_BYTES  96

/* A value, not escaped yet; "-" where there is none. */
static void show_value(const struct json_value *v, char to[static VALUE_BYTES])
{
    const char *text = NULL;
    uint64_t number = 0;
    bool is_true = false;
    (void)snprintf(to, VALUE_BYTES, "-");
    if (json_as_text(v, &text)) {
        (void)snprintf(to, VALUE_BYTES, "%s", text);
    } else if (json_as_u64(v, &number)) {
        (void)snprintf(to, VALUE_BYTES, "%" PRIu64, number);
    } else if (json_as_bool(v, &is_true)) {
        (void)snprintf(to, VALUE_BYTES, "%s", is_true ? "yes" : "no");
    }
}

/* ---- the head ---- */

static enum kerr put_line(struct buf *to, const char *name, const struct json_value *before,
                          const struct json_value *after, struct kerrinfo *e)
{
    char texts[2][VALUE_BYTES];
    char shown[2][4 * VALUE_BYTES];
    show_value(before, texts[0]);
    show_value(after, texts[1]);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        text_escape(bytes_of_text(texts[i]), shown[i], sizeof shown[i]);
    }
    return buf_printf(to, e, "%-13s %s -> %s\n", name, shown[0], shown[1]);
}

static enum kerr put_head(struct buf *to, const struct audit_diff *d, struct kerrinfo *e)
{
    static const struct {
        const char *name;
        const char *part; /* NULL: of the report itself */
        const char *field;
    } rows[] = {
        {"verdict", NULL, "verdict"},         {"residue", NULL, "has_residue"},
        {"as demanded", NULL, "as_demanded"}, {"findings", NULL, "findings_count"},
        {"revision", "source", "revision"},   {"audited at", NULL, "started_at"},
    };
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(rows) && k == KERR_OK; i++) {
        struct audit_pair p = {d->before, d->after};
        p = rows[i].part == NULL ? p : audit_diff_part(d, rows[i].part);
        k = put_line(to, rows[i].name, json_member(p.before, rows[i].field),
                     json_member(p.after, rows[i].field), e);
    }
    return k == KERR_OK ? buf_put_text(to, "\n", e) : k;
}

/* ---- numbers ---- */

struct numbers {
    struct table table;
    size_t count; /* all of them; ROWS_MAX are shown */
};

static void put_pair(struct numbers *n, const char *where, const char *what,
                     const struct audit_pair *p)
{
    struct audit_change change;
    char texts[2][VALUE_BYTES];
    for (size_t at = 0; audit_diff_next(p, &at, &change);) {
        if (n->count++ >= ROWS_MAX) {
            continue;
        }
        show_value(change.before, texts[0]);
        show_value(change.after, texts[1]);
        table_cell(&n->table, where);
        table_cell(&n->table, what);
        table_cell(&n->table, change.field);
        table_cell(&n->table, texts[0]);
        table_cell(&n->table, texts[1]);
    }
}

/* "kmsv2 etcdseal es1-…". */
static void put_row(struct numbers *n, const char *const *fields, const struct audit_pair *p)
{
    char what[SHOWN_BYTES] = "";
    for (size_t i = 0; fields[i] != NULL; i++) {
        char text[VALUE_BYTES];
        size_t len = strlen(what);
        show_value(json_member(p->after == NULL ? p->before : p->after, fields[i]), text);
        (void)snprintf(what + len, sizeof what - len, "%s%s", i == 0 ? "" : " ", text);
    }
    put_pair(n, what, audit_pair_state(p), p);
}

static void put_residue(struct numbers *n, const struct audit_diff *d)
{
    struct audit_pair all = audit_diff_part(d, "residue");
    for (size_t i = 0; i < json_count(all.after); i++) {
        const char *name = NULL;
        struct audit_pair p = {.after = json_at(all.after, i, &name)};
        p.before = name == NULL ? NULL : json_member(all.before, name);
        if (json_kind(p.before) == JSON_IS_OBJECT && json_kind(p.after) == JSON_IS_OBJECT) {
            put_pair(n, name, "left over", &p);
        }
    }
}

static enum kerr put_numbers(struct buf *to, const struct audit_diff *d, struct kerrinfo *e)
{
    static const char *const titles[] = {"WHAT", "STATE", "FIELD", "OLD", "NEW"};
    struct numbers n = {.count = 0};
    struct audit_pair totals = audit_diff_part(d, "totals");
    table_init(&n.table, titles, ARRAY_LEN(titles), e);
    put_pair(&n, "all keys", "changed", &totals);
    for (unsigned i = AUDIT_DIFF_RESOURCES; i <= AUDIT_DIFF_KEY_IDS; i++) {
        for (size_t j = 0; j < d->lists[i].count; j++) {
            put_row(&n, audit_diff_lists[i].fields, &d->lists[i].pairs[j]);
        }
    }
    put_residue(&n, d);
    enum kerr k =
        n.count == 0 ? buf_put_text(to, "no number has changed\n", e) : table_print(&n.table, to);
    table_done(&n.table);
    return k == KERR_OK && n.count > ROWS_MAX
               ? buf_printf(to, e, "... and %zu more: -o json prints all\n", n.count - ROWS_MAX)
               : k;
}

/* ---- findings ---- */

static const char *text_of(const struct json_value *row, const char *field)
{
    const char *text = NULL;
    (void)json_as_text(json_member(row, field), &text);
    return text;
}

static enum kerr put_finding(struct buf *to, const struct json_value *row, struct kerrinfo *e)
{
    const char *about = text_of(row, "etcd_key");
    about = about == NULL ? text_of(row, "resource") : about;
    about = about == NULL ? text_of(row, "message") : about;
    const char *const texts[] = {text_of(row, "severity"), text_of(row, "rule"), about};
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(texts) && k == KERR_OK; i++) {
        char shown[SHOWN_BYTES];
        text_escape(bytes_of_text(texts[i] == NULL ? "-" : texts[i]), shown, sizeof shown);
        k = buf_printf(to, e, "  %s", shown);
    }
    return k == KERR_OK ? buf_put_text(to, "\n", e) : k;
}

static enum kerr put_findings(struct buf *to, const struct audit_diff *d, const char *title,
                              bool is_wanted(const struct audit_pair *), struct kerrinfo *e)
{
    uint64_t count = 0;
    const struct audit_pair *pairs = d->lists[AUDIT_DIFF_FINDINGS].pairs;
    size_t pair_count = d->lists[AUDIT_DIFF_FINDINGS].count;
    for (size_t i = 0; i < pair_count; i++) {
        count += is_wanted(&pairs[i]);
    }
    enum kerr k = buf_printf(to, e, "\n%s: %" PRIu64 "\n", title, count);
    uint64_t shown = 0;
    for (size_t i = 0; i < pair_count && shown < FINDINGS_MAX && k == KERR_OK; i++) {
        if (is_wanted(&pairs[i])) {
            shown++;
            k = put_finding(to, pairs[i].after == NULL ? pairs[i].before : pairs[i].after, e);
        }
    }
    return k == KERR_OK && shown < count
               ? buf_printf(to, e, "  ... and %" PRIu64 " more\n", count - shown)
               : k;
}

enum kerr audit_write_diff_table(const struct audit_report *r, struct audit_sink *to,
                                 struct kerrinfo *e)
{
    AUTO_JSON now = NULL;
    AUTO_AUDIT_DIFF diff = {.before = NULL};
    enum kerr k = audit_diff_now(r, &now, e);
    k = k == KERR_OK ? audit_diff_make(r->older, json_root(now), &diff, e) : k;
    k = k == KERR_OK ? put_head(&to->text, &diff, e) : k;
    k = k == KERR_OK ? put_numbers(&to->text, &diff, e) : k;
    if (k == KERR_OK && !diff.has_all_findings) {
        return buf_put_text(&to->text,
                            "\nfindings are not compared: one of the two reports does not have all "
                            "of them, because of --max-findings\n",
                            e);
    }
    k = k == KERR_OK ? put_findings(&to->text, &diff, "new findings", audit_pair_is_new, e) : k;
    return k == KERR_OK ? put_findings(&to->text, &diff, "findings gone", audit_pair_is_gone, e)
                        : k;
}
