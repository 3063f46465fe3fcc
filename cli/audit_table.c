/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/audit_facts.h"
#include "cli/audit_report.h"

#define ROWS_MAX      400 /* of a table; a person reads no more */
#define OBJECTS_TABLE 5   /* for each rule */
#define OBJECTS_WIDE  100
#define SHOWN_BYTES   256
#define KEY_ID_BYTES  80

static void cell_of(struct table *t, struct bytes text)
{
    char shown[KEY_ID_BYTES];
    text_escape(text, shown, sizeof shown);
    table_cell(t, shown);
}

static void cell_maybe(struct table *t, bool is_known, uint64_t number)
{
    if (is_known) {
        table_u64(t, number);
    } else {
        table_cell(t, "?");
    }
}

/* "… and 3 more" below a table that was cut. */
static enum kerr put_more(struct buf *to, size_t count, struct kerrinfo *e)
{
    return count <= ROWS_MAX
               ? KERR_OK
               : buf_printf(to, e, "... and %zu more: -o json prints all\n", count - ROWS_MAX);
}

static void put_row(struct table *t, bool is_wide, const struct audit *a,
                    const struct audit_resource *r)
{
    char expected[AUDIT_TEXT_BYTES];
    bool has_expected = audit_expected(a, r, expected, sizeof expected);
    table_cell(t, r->name);
    table_cell(t, has_expected ? expected : r->is_expected ? "encrypted" : NULL);
    table_u64(t, r->counts.keys);
    for (size_t i = 0; i < VALUE_PLAINTEXT && is_wide; i++) {
        table_u64(t, r->counts.classes[i]);
    }
    if (!is_wide) {
        table_u64(t, audit_encrypted(&r->counts));
    }
    table_u64(t, r->counts.classes[VALUE_PLAINTEXT]);
    table_u64(t, r->counts.classes[VALUE_OTHER]);
    if (a->wanted.is_proving) {
        table_u64(t, r->counts.proved);
    } else {
        table_cell(t, NULL);
    }
    table_u64(t, r->counts.undecryptable);
    cell_maybe(t, r->is_stale_known, r->counts.stale);
    table_cell(t, audit_verdict_names[r->verdict]);
}

static enum kerr put_resources(struct buf *to, bool is_wide, const struct audit *a,
                               struct kerrinfo *e)
{
    static const char *const usual[] = {"RESOURCE",  "EXPECTED", "KEYS",   "ENCRYPTED",
                                        "PLAINTEXT", "OTHER",    "PROVED", "UNREADABLE",
                                        "STALE",     "VERDICT"};
    static const char *const wide[] = {"RESOURCE", "EXPECTED",   "KEYS",      "KMSV2",     "KMSV1",
                                       "AESCBC",   "AESGCM",     "SECRETBOX", "PLAINTEXT", "OTHER",
                                       "PROVED",   "UNREADABLE", "STALE",     "VERDICT"};
    AUTO_TABLE t;
    table_init(&t, is_wide ? wide : usual, is_wide ? ARRAY_LEN(wide) : ARRAY_LEN(usual), e);
    for (size_t i = 0; i < a->resource_count && i < ROWS_MAX; i++) {
        put_row(&t, is_wide, a, &a->resources[i]);
    }
    enum kerr k = table_print(&t, to);
    return k == KERR_OK ? put_more(to, a->resource_count, e) : k;
}

/* Places that etcd does not have come last, and are left out for it. */
static size_t place_count(const struct audit *a)
{
    return AUDIT_PLACE_COUNT - (a->residue[AUDIT_KINE_OLD_VALUE].is_seen ? 0 : 1);
}

static enum kerr put_key_ids(struct buf *to, const struct audit *a, struct kerrinfo *e)
{
    static const char *const titles[] = {"PROVIDER", "KEY",           "OBJECTS",    "SEEDS",
                                         "CLASS",    "OLD-REVISIONS", "FREE-PAGES", "PAGE-SLACK",
                                         "WAL",      "KINE-OLD-VALUE"};
    AUTO_TABLE t;
    table_init(&t, titles, ARRAY_LEN(titles) - AUDIT_PLACE_COUNT + place_count(a), e);
    for (size_t i = 0; i < a->key_id_count && i < ROWS_MAX; i++) {
        const struct audit_key_id *row = &a->key_ids[i];
        bool is_v2 = row->class_of == VALUE_KMSV2;
        cell_of(&t, row->provider);
        cell_of(&t, row->id);
        table_u64(&t, row->objects);
        if (is_v2) {
            table_u64(&t, row->seeds);
        } else {
            table_cell(&t, NULL);
        }
        table_cell(&t, value_class_names[row->class_of]);
        for (size_t j = 0; j < place_count(a); j++) {
            if (is_v2 && a->residue[j].is_seen) {
                table_u64(&t, row->residue[j]);
            } else {
                table_cell(&t, NULL);
            }
        }
    }
    enum kerr k = buf_put_text(to, "\n", e);
    k = k == KERR_OK ? table_print(&t, to) : k;
    k = k == KERR_OK ? put_more(to, a->key_id_count, e) : k;
    return k == KERR_OK && a->by_rule[AUDIT_RULE_MANY_KEY_IDS] > 0
               ? buf_printf(to, e, "(others): %" PRIu64 " objects under key ids beyond these\n",
                            a->other_keys.objects)
               : k;
}

static enum kerr put_residue(struct buf *to, const struct audit *a, struct kerrinfo *e)
{
    static const char *const titles[] = {"LEFT-OVER", "VALUES", "PLAINTEXT"};
    AUTO_TABLE t;
    table_init(&t, titles, ARRAY_LEN(titles), e);
    for (size_t i = 0; i < place_count(a); i++) {
        table_cell(&t, audit_place_names[i]);
        cell_maybe(&t, a->residue[i].is_seen, a->residue[i].values);
        cell_maybe(&t, a->residue[i].is_seen, a->residue[i].plaintext);
    }
    enum kerr k = buf_put_text(to, "\n", e);
    return k == KERR_OK ? table_print(&t, to) : k;
}

/* ---- findings, rule by rule ---- */

static enum kerr put_object(struct buf *to, const struct audit *a, const struct audit_finding *f,
                            struct kerrinfo *e)
{
    struct audit_said said;
    char key[SHOWN_BYTES];
    char resource[SHOWN_BYTES];
    audit_say(a, f, &said);
    text_escape(said.key, key, sizeof key);
    text_escape(bytes_of_text(said.resource == NULL ? "" : said.resource), resource,
                sizeof resource);
    const char *detail = said.message + strlen(audit_rules[f->rule].message);
    detail += strncmp(detail, ": ", 2) == 0 ? 2 : 0;
    return buf_printf(to, e, "  %s%s%s\n", said.key.len > 0 ? key : resource,
                      *detail != 0 && (said.key.len > 0 || *resource != 0) ? "  " : "", detail);
}

static enum kerr put_rule(struct audit_sink *to, const struct audit *a, enum audit_rule rule,
                          uint64_t max, struct kerrinfo *e)
{
    const struct audit_rule_info *info = &audit_rules[rule];
    uint64_t shown = 0;
    enum kerr k =
        buf_printf(&to->text, e, "\n%s: %s: %" PRIu64 ": %s\n",
                   audit_severity_names[info->severity], info->id, a->by_rule[rule], info->message);
    for (size_t i = 0; i < a->finding_count && shown < max && k == KERR_OK; i++) {
        if (a->findings[i].rule == rule) {
            shown++;
            k = put_object(&to->text, a, &a->findings[i], e);
        }
        if (k == KERR_OK && to->text.len > DOC_MAX / 2) {
            k = audit_flush(to, e);
        }
    }
    if (k == KERR_OK && shown < a->by_rule[rule]) {
        k = buf_printf(&to->text, e, "  ... and %" PRIu64 " more\n", a->by_rule[rule] - shown);
    }
    return k == KERR_OK ? buf_printf(&to->text, e, "  cure: %s\n", info->cure) : k;
}

static enum kerr put_head(struct buf *to, const struct audit_report *r, struct kerrinfo *e)
{
    const struct audit *a = r->audit;
    char path[SHOWN_BYTES];
    const char *name = r->source->etcd != NULL ? etcd_endpoint(r->source->etcd) : r->source->name;
    text_escape(bytes_of_text(name), path, sizeof path);
    enum kerr k = buf_printf(
        to, e, "%s%s: %" PRIu64 " keys of %s (%s, %" PRIu64 " bytes, revision %" PRIu64 ")\n",
        audit_verdict_names[a->verdict], a->has_residue ? " with RESIDUE" : "", a->totals.keys,
        path, r->source->kind_name, r->source->size, r->source->found.revision);
    for (size_t i = 0; i < a->wanted.demand_count && k == KERR_OK; i++) {
        const struct audit_demanded *d = &a->wanted.demands[i];
        char key[KEY_ID_BYTES] = "";
        text_escape(bytes_of_text(d->key_id == NULL ? "" : d->key_id), key, sizeof key);
        k = buf_printf(to, e, "demanded %s%s%s: %s\n", audit_demand_names[d->demand],
                       d->key_id == NULL ? "" : "=", key, d->is_met ? "met" : "NOT MET");
    }
    for (size_t i = 0; i < r->source->count && k == KERR_OK; i++) {
        const struct audit_file *file = &r->source->files[i];
        text_escape(bytes_of_text(file->path), path, sizeof path);
        k = *file->sha256 == 0 ? k : buf_printf(to, e, "sha256 %s  %s\n", file->sha256, path);
    }
    return k == KERR_OK ? buf_put_text(to, "\n", e) : k;
}

static enum kerr write_tables(const struct audit_report *r, bool is_wide, struct audit_sink *to,
                              struct kerrinfo *e)
{
    const struct audit *a = r->audit;
    uint64_t max = is_wide ? OBJECTS_WIDE : OBJECTS_TABLE;
    max = r->options->max_findings > 0 ? r->options->max_findings : max;
    enum kerr k = put_head(&to->text, r, e);
    k = k == KERR_OK ? put_resources(&to->text, is_wide, a, e) : k;
    k = k == KERR_OK && a->key_id_count > 0 ? put_key_ids(&to->text, a, e) : k;
    k = k == KERR_OK ? put_residue(&to->text, a, e) : k;
    for (unsigned i = 0; i < AUDIT_RULE_COUNT && k == KERR_OK; i++) {
        k = a->by_rule[i] > 0 ? put_rule(to, a, (enum audit_rule)i, max, e) : KERR_OK;
    }
    return k;
}

enum kerr audit_write_table(const struct audit_report *r, struct audit_sink *to, struct kerrinfo *e)
{
    return write_tables(r, false, to, e);
}

enum kerr audit_write_wide(const struct audit_report *r, struct audit_sink *to, struct kerrinfo *e)
{
    return write_tables(r, true, to, e);
}
