/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit as JUnit's XML, which CI systems show: a suite that says whether all was read, one
 * for the demands, one for what is left over, one for each resource with a case for each rule, and
 * one for what is about none. A case fails where a demand is not met, and where a rule of severity
 * error, or of --fail-on, found something; what a rule of another severity found stands in the
 * output of its case.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/audit_facts.h"
#include "cli/audit_report.h"
#include "cli/escape.h"

#define OBJECTS_SHOWN 20 /* for each case; a person reads no more there */

struct junit {
    struct appender a;
    struct audit_sink *to;
    const struct audit_report *r;
    const struct audit *audit;
    struct audit_groups groups;
};

struct totals {
    uint64_t tests;
    uint64_t failures;
    uint64_t skipped;
};

static void put_text(struct junit *j, const char *text)
{
    escape_markup(&j->a, bytes_of_text(text));
}

static void put_totals(struct junit *j, const struct totals *t)
{
    append_printf(&j->a,
                  " tests=\"%" PRIu64 "\" failures=\"%" PRIu64 "\" errors=\"0\" skipped=\"%" PRIu64
                  "\"",
                  t->tests, t->failures, t->skipped);
}

static void begin_suite(struct junit *j, const char *name, const struct totals *t)
{
    char time[CLOCK_TEXT_BYTES];
    clock_format_s(j->r->started_s, time);
    append_text(&j->a, "  <testsuite name=\"");
    put_text(j, name);
    append_text(&j->a, "\"");
    put_totals(j, t);
    append_printf(&j->a, " timestamp=\"%.19s\">\n", time); /* schemas want it without the zone */
}

static void end_suite(struct junit *j)
{
    append_text(&j->a, "  </testsuite>\n");
    audit_drain(j->to, &j->a);
}

/* The case stays open. */
static void begin_case(struct junit *j, const char *suite, const char *name)
{
    append_text(&j->a, "    <testcase classname=\"etcdseal.audit.");
    put_text(j, suite);
    append_text(&j->a, "\" name=\"");
    put_text(j, name);
    append_text(&j->a, "\">");
}

/* ---- demands ---- */

static void put_demand(struct junit *j, const struct audit_demanded *d)
{
    AUTO_BUF name;
    const char *text = NULL;
    buf_init(&name, OPT_VALUE_MAX + AUDIT_TEXT_BYTES);
    struct appender to = appender_on(&name, j->a.e);
    append_printf(&to, "%s%s%s", audit_demand_names[d->demand], d->key_id == NULL ? "" : "=",
                  d->key_id == NULL ? "" : d->key_id);
    j->a.k = j->a.k == KERR_OK ? to.k : j->a.k;
    j->a.k = j->a.k == KERR_OK ? buf_text(&name, &text, j->a.e) : j->a.k;
    if (j->a.k == KERR_OK) {
        begin_case(j, "demands", text);
        append_text(&j->a, d->is_met ? "" : "<failure message=\"not met\"/>");
        append_text(&j->a, "</testcase>\n");
    }
}

static void put_demands(struct junit *j)
{
    const struct audit_wanted *w = &j->audit->wanted;
    struct totals t = {.tests = w->demand_count};
    for (size_t i = 0; i < w->demand_count; i++) {
        t.failures += !w->demands[i].is_met;
    }
    begin_suite(j, "demands", &t);
    for (size_t i = 0; i < w->demand_count; i++) {
        put_demand(j, &w->demands[i]);
    }
    end_suite(j);
}

/* ---- what is left over ---- */

static bool has_failed(const struct audit *a, enum audit_rule rule, uint64_t count)
{
    return count > 0 && audit_is_failure(a, rule);
}

static void put_place(struct junit *j, enum audit_place place)
{
    const struct audit_residue *found = &j->audit->residue[place];
    enum audit_rule rule = audit_place_rules[place];
    begin_case(j, "residue", audit_rules[rule].id);
    if (!found->is_seen) {
        append_text(&j->a, "<skipped message=\"the source does not show it\"/>");
    } else if (found->plaintext > 0) {
        const char *element = audit_is_failure(j->audit, rule) ? "failure" : "system-out";
        append_printf(&j->a, "<%s>%" PRIu64 " times: %s. Cure: %s</%s>", element, found->plaintext,
                      audit_rules[rule].message, audit_rules[rule].cure, element);
    }
    append_text(&j->a, "</testcase>\n");
}

static void put_places(struct junit *j)
{
    struct totals t = {.tests = AUDIT_PLACE_COUNT};
    for (unsigned i = 0; i < AUDIT_PLACE_COUNT; i++) {
        const struct audit_residue *found = &j->audit->residue[i];
        t.failures += has_failed(j->audit, audit_place_rules[i], found->plaintext);
        t.skipped += !found->is_seen;
    }
    begin_suite(j, "residue", &t);
    for (unsigned i = 0; i < AUDIT_PLACE_COUNT; i++) {
        put_place(j, (enum audit_place)i);
    }
    end_suite(j);
}

/* ---- rules ---- */

static void put_objects(struct junit *j, const struct audit_group *group)
{
    for (uint32_t i = 0; i < group->count && i < OBJECTS_SHOWN; i++) {
        struct audit_said said;
        audit_say(j->audit, &j->audit->findings[j->groups.order[group->first + i]], &said);
        append_text(&j->a, "\n");
        escape_markup(&j->a, said.key.len > 0 ? said.key : bytes_of_text(said.message));
    }
    if (group->count > OBJECTS_SHOWN) {
        append_printf(&j->a, "\n... and %" PRIu32 " more", group->count - OBJECTS_SHOWN);
    }
}

static void put_rule(struct junit *j, const char *suite, const struct audit_group *group,
                     enum audit_rule rule)
{
    const struct audit_rule_info *info = &audit_rules[rule];
    begin_case(j, suite, info->id);
    if (group->count > 0) {
        const char *element = audit_is_failure(j->audit, rule) ? "failure" : "system-out";
        append_printf(&j->a, "<%s>%" PRIu32 " times: %s. Cure: %s", element, group->count,
                      info->message, info->cure);
        put_objects(j, group);
        append_printf(&j->a, "</%s>", element);
    }
    append_text(&j->a, "</testcase>\n");
}

/* Whether all was read, which is no rule. */
static void put_whole(struct junit *j)
{
    bool is_partial = j->r->source->is_partial;
    const struct totals t = {.tests = 1, .failures = is_partial};
    begin_suite(j, "source", &t);
    begin_case(j, "source", "all-read");
    append_text(&j->a, is_partial ? "<failure message=\"interrupted\"/>" : "");
    append_text(&j->a, "</testcase>\n");
    end_suite(j);
}

/* `groups`: the row of a resource, or of what is about none. */
static void put_rules(struct junit *j, const char *suite, const struct audit_group *groups,
                      enum audit_scope scope)
{
    struct totals t = {.tests = 0};
    for (unsigned i = 0; i < AUDIT_RULE_COUNT; i++) {
        if (audit_scope_of((enum audit_rule)i) == scope) {
            t.tests++;
            t.failures += has_failed(j->audit, (enum audit_rule)i, groups[i].count);
        }
    }
    begin_suite(j, suite, &t);
    for (unsigned i = 0; i < AUDIT_RULE_COUNT; i++) {
        if (audit_scope_of((enum audit_rule)i) == scope) {
            put_rule(j, suite, &groups[i], (enum audit_rule)i);
        }
    }
    end_suite(j);
}

enum kerr audit_write_junit(const struct audit_report *r, struct audit_sink *to, struct kerrinfo *e)
{
    struct junit j = {.a = appender_on(&to->text, e), .to = to, .r = r, .audit = r->audit};
    j.a.k = audit_groups_make(r->audit, &j.groups, e);
    append_printf(&j.a,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<testsuites name=\"etcdseal audit\" time=\"%" PRIu64 ".%03u\">\n",
                  r->duration_ms / 1000, (unsigned)(r->duration_ms % 1000));
    put_whole(&j);
    put_demands(&j);
    put_places(&j);
    for (size_t i = 0; i <= r->audit->resource_count && j.a.k == KERR_OK; i++) {
        bool is_whole = i == r->audit->resource_count;
        put_rules(&j, is_whole ? "audit" : r->audit->resources[i].name, j.groups.rows[i],
                  is_whole ? AUDIT_OF_WHOLE : AUDIT_OF_RESOURCES);
    }
    append_text(&j.a, "</testsuites>\n");
    audit_groups_done(&j.groups);
    return j.a.k;
}
