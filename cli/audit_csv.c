/* SPDX-License-Identifier: Apache-2.0 */
/* The audit for spreadsheets (RFC 4180): one header line, then a row for each resource, key or
 * finding. What is null in JSON is an empty cell. */
#include <inttypes.h>

#include "cli/audit_facts.h"
#include "cli/audit_report.h"
#include "cli/escape.h"

#define END_OF_ROW "\r\n"

static void put_text(struct appender *a, const char *text)
{
    escape_csv(a, bytes_of_text(text));
    append_text(a, ",");
}

static void put_view(struct appender *a, struct bytes text)
{
    escape_csv(a, text);
    append_text(a, ",");
}

static void put_number(struct appender *a, bool is_known, uint64_t number)
{
    if (is_known) {
        append_printf(a, "%" PRIu64, number);
    }
    append_text(a, ",");
}

/* ---- resources ---- */

static void put_resource(struct appender *a, const struct audit *from,
                         const struct audit_resource *r)
{
    char expected[AUDIT_TEXT_BYTES];
    bool has_expected = audit_expected(from, r, expected, sizeof expected);
    const struct audit_counts *c = &r->counts;
    put_text(a, r->name);
    put_text(a, has_expected ? expected : "");
    put_text(a, r->is_expected ? "true" : "false");
    put_number(a, true, c->keys);
    for (size_t i = 0; i < VALUE_CLASS_COUNT; i++) {
        put_number(a, true, c->classes[i]);
    }
    put_number(a, true, c->proved);
    put_number(a, true, c->undecryptable);
    put_number(a, true, c->unproved);
    put_number(a, r->is_stale_known, c->stale);
    append_printf(a, "%s" END_OF_ROW, audit_verdict_names[r->verdict]);
}

enum kerr audit_write_csv(const struct audit_report *r, struct audit_sink *to, struct kerrinfo *e)
{
    struct appender a = appender_on(&to->text, e);
    append_text(&a, "resource,expected,expected_encrypted,keys,");
    for (size_t i = 0; i < VALUE_CLASS_COUNT; i++) {
        append_printf(&a, "%s,", value_class_names[i]);
    }
    append_text(&a, "proved,undecryptable,unproved,stale,verdict" END_OF_ROW);
    for (size_t i = 0; i < r->audit->resource_count && a.k == KERR_OK; i++) {
        put_resource(&a, r->audit, &r->audit->resources[i]);
        audit_drain(to, &a);
    }
    return a.k;
}

/* ---- keys ---- */

static void put_key(struct appender *a, const struct audit *from, const struct audit_key_id *row)
{
    bool is_v2 = row->class_of == VALUE_KMSV2;
    char hash[AUDIT_HASH_TEXT_BYTES];
    audit_key_id_hash(row, hash);
    put_text(a, value_class_names[row->class_of]);
    put_view(a, audit_provider_of(row));
    put_view(a, row->id);
    put_text(a, hash);
    put_number(a, true, row->objects);
    put_number(a, is_v2, row->seeds);
    put_number(a, true, row->proved);
    append_printf(a, "%" PRIu64, row->undecryptable);
    for (size_t i = 0; i < AUDIT_PLACE_COUNT; i++) {
        append_text(a, ",");
        if (is_v2 && from->residue[i].is_seen) {
            append_printf(a, "%" PRIu64, row->residue[i]);
        }
    }
    append_text(a, ",");
    put_number(a, row->oldest > 0, row->oldest);
    if (row->newest > 0) {
        append_printf(a, "%" PRIu64, row->newest);
    }
    append_text(a, END_OF_ROW);
}

enum kerr audit_write_csv_keys(const struct audit_report *r, struct audit_sink *to,
                               struct kerrinfo *e)
{
    struct appender a = appender_on(&to->text, e);
    append_text(&a, "class,provider,key_id,key_id_hash,objects,seeds,proved,undecryptable");
    for (size_t i = 0; i < AUDIT_PLACE_COUNT; i++) {
        append_printf(&a, ",%s", audit_place_names[i]);
    }
    append_text(&a, ",oldest_revision,newest_revision" END_OF_ROW);
    for (size_t i = 0; i < r->audit->key_id_count && a.k == KERR_OK; i++) {
        put_key(&a, r->audit, &r->audit->key_ids[i]);
        audit_drain(to, &a);
    }
    return a.k;
}

/* ---- findings ---- */

static void put_finding(struct appender *a, const struct audit *from, const struct audit_finding *f)
{
    struct audit_said said;
    audit_say(from, f, &said);
    bool has_object = said.key.len > 0;
    put_text(a, said.rule);
    put_text(a, said.severity);
    put_text(a, said.resource == NULL ? "" : said.resource);
    put_text(a, has_object ? said.object : "");
    put_view(a, said.key);
    put_number(a, has_object, said.mod_revision);
    put_text(a, said.message);
    escape_csv(a, bytes_of_text(said.cure));
    append_text(a, END_OF_ROW);
}

enum kerr audit_write_csv_findings(const struct audit_report *r, struct audit_sink *to,
                                   struct kerrinfo *e)
{
    const struct audit *from = r->audit;
    uint64_t wanted = r->options->max_findings;
    size_t max = wanted == 0 || wanted > from->finding_count ? from->finding_count : wanted;
    struct appender a = appender_on(&to->text, e);
    append_text(&a, "rule,severity,resource,object,etcd_key,mod_revision,message,cure" END_OF_ROW);
    for (size_t i = 0; i < max && a.k == KERR_OK; i++) {
        put_finding(&a, from, &from->findings[i]);
        audit_drain(to, &a);
    }
    return a.k;
}
