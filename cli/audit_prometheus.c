/* SPDX-License-Identifier: Apache-2.0 */
/* The audit for node_exporter's textfile collector. It names no object; key ids are hashed as
 * kube-apiserver does it, so that queries may join the two.
 * Source: prometheus.io "exposition formats", "metric and label naming". */
#include <inttypes.h>
#include <string.h>

#include "cli/audit_facts.h"
#include "cli/audit_report.h"
#include "cli/escape.h"

#define PREFIX "etcdseal_audit_"

static void put_family(struct appender *a, const char *name, const char *help)
{
    append_printf(a, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s gauge\n", name, help, name);
}

static void put_single(struct appender *a, const char *name, const char *help, uint64_t value)
{
    put_family(a, name, help);
    append_printf(a, PREFIX "%s %" PRIu64 "\n", name, value);
}

/* ---- the run ---- */

static void put_run(struct appender *a, const struct audit_report *r)
{
    put_family(a, "info", "Always 1; what was audited, and by which version.");
    append_printf(a, PREFIX "info{source=\"%s\",version=\"" ETCDSEAL_VERSION "\"} 1\n",
                  r->source->kind_name);
    put_single(a, "timestamp_seconds", "When the audit began.", r->started_s);
    put_family(a, "duration_seconds", "How long it took.");
    append_printf(a, PREFIX "duration_seconds %" PRIu64 ".%03u\n", r->duration_ms / 1000,
                  (unsigned)(r->duration_ms % 1000));
    put_single(a, "revision", "The revision of etcd that was audited.", r->source->found.revision);
    put_single(a, "as_demanded", "1: every demand is met.", r->audit->is_met);
    put_single(a, "partial", "1: it was interrupted, and counts what was read until then.",
               r->source->is_partial);
    put_single(a, "kms_unreachable", "1: a KMS plugin of --prove could not be asked.",
               r->audit->is_kms_down);
    put_family(a, "verdict", "1 for the verdict of the whole, 0 for the others.");
    for (unsigned i = 0; i < AUDIT_VERDICT_COUNT; i++) {
        append_printf(a, PREFIX "verdict{verdict=\"%s\"} %d\n", audit_verdict_names[i],
                      r->audit->verdict == i);
    }
}

/* ---- resources ---- */

static void put_of_resource(struct appender *a, const char *name, const struct audit_resource *r)
{
    append_printf(a, PREFIX "%s{resource=\"", name);
    escape_label(a, bytes_of_text(r->name));
    append_text(a, "\"");
}

static void put_objects(struct appender *a, const struct audit *from, struct audit_sink *to)
{
    put_family(a, "objects", "Live keys of etcd, by resource and by how they are stored.");
    for (size_t i = 0; i < from->resource_count; i++) {
        for (size_t j = 0; j < VALUE_CLASS_COUNT; j++) {
            put_of_resource(a, "objects", &from->resources[i]);
            append_printf(a, ",class=\"%s\"} %" PRIu64 "\n", value_class_names[j],
                          from->resources[i].counts.classes[j]);
        }
        audit_drain(to, a);
    }
}

static uint64_t expected_of(const struct audit_resource *r)
{
    return r->is_expected;
}

static uint64_t proved_of(const struct audit_resource *r)
{
    return r->counts.proved;
}

static uint64_t undecryptable_of(const struct audit_resource *r)
{
    return r->counts.undecryptable;
}

static uint64_t unproved_of(const struct audit_resource *r)
{
    return r->counts.unproved;
}

static uint64_t stale_of(const struct audit_resource *r)
{
    return r->counts.stale;
}

static void put_resources(struct appender *a, const struct audit *from, struct audit_sink *to)
{
    static const struct {
        const char *name;
        const char *help;
        uint64_t (*value)(const struct audit_resource *r);
        bool is_of_known; /* left out where it is not known */
    } rows[] = {
        {"expected_encrypted", "1: the resource is expected to be encrypted.", expected_of, false},
        {"proved_objects", "Live keys whose value was decrypted and is theirs.", proved_of, false},
        {"unproved_objects", "Live keys that are encrypted and neither proved nor refuted.",
         unproved_of, false},
        {"undecryptable_objects", "Live keys that no key can open.", undecryptable_of, false},
        {"stale_objects", "Live keys not written by what writes now; absent where unknown.",
         stale_of, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        put_family(a, rows[i].name, rows[i].help);
        for (size_t j = 0; j < from->resource_count; j++) {
            const struct audit_resource *r = &from->resources[j];
            if (!rows[i].is_of_known || r->is_stale_known) {
                put_of_resource(a, rows[i].name, r);
                append_printf(a, "} %" PRIu64 "\n", rows[i].value(r));
            }
            audit_drain(to, a);
        }
    }
}

/* ---- keys ---- */

/* Key names of the local providers are no secrets, and have no hash in kube-apiserver's metrics. */
static void put_of_key(struct appender *a, const char *name, const struct audit_key_id *row)
{
    char hash[AUDIT_HASH_TEXT_BYTES];
    audit_key_id_hash(row, hash);
    append_printf(a, PREFIX "%s{class=\"%s\",provider=\"", name, value_class_names[row->class_of]);
    escape_label(a, audit_provider_of(row));
    append_printf(a, "\",key_id_hash=\"%s\",key_name=\"", hash);
    escape_label(a, row->class_of == VALUE_KMSV2 ? bytes_of(NULL, 0) : row->id);
    append_text(a, "\"}");
}

static void put_keys(struct appender *a, const struct audit *from, struct audit_sink *to)
{
    put_family(a, "key_objects", "Live keys of etcd under each key.");
    for (size_t i = 0; i < from->key_id_count; i++) {
        put_of_key(a, "key_objects", &from->key_ids[i]);
        append_printf(a, " %" PRIu64 "\n", from->key_ids[i].objects);
        audit_drain(to, a);
    }
    put_family(a, "key_seeds", "Distinct encrypted seeds under each key id of KMS v2.");
    for (size_t i = 0; i < from->key_id_count; i++) {
        if (from->key_ids[i].class_of == VALUE_KMSV2) {
            put_of_key(a, "key_seeds", &from->key_ids[i]);
            append_printf(a, " %" PRIu64 "\n", from->key_ids[i].seeds);
        }
        audit_drain(to, a);
    }
}

/* ---- what is found and left over ---- */

static void put_findings(struct appender *a, const struct audit *from)
{
    put_family(a, "findings", "Findings of each rule.");
    for (size_t i = 0; i < AUDIT_RULE_COUNT; i++) {
        append_printf(a, PREFIX "findings{rule=\"%s\",severity=\"%s\"} %" PRIu64 "\n",
                      audit_rules[i].id, audit_severity_names[audit_rules[i].severity],
                      from->by_rule[i]);
    }
}

static void put_residue(struct appender *a, const struct audit *from)
{
    put_family(a, "residue_values", "Older values left over; absent where the source is silent.");
    for (size_t i = 0; i < AUDIT_PLACE_COUNT; i++) {
        if (from->residue[i].is_seen) {
            append_printf(a, PREFIX "residue_values{place=\"%s\"} %" PRIu64 "\n",
                          audit_place_names[i], from->residue[i].values);
        }
    }
    put_family(a, "residue_plaintext", "Of them plaintext of what is expected to be encrypted.");
    for (size_t i = 0; i < AUDIT_PLACE_COUNT; i++) {
        if (from->residue[i].is_seen) {
            append_printf(a, PREFIX "residue_plaintext{place=\"%s\"} %" PRIu64 "\n",
                          audit_place_names[i], from->residue[i].plaintext);
        }
    }
}

enum kerr audit_write_prometheus(const struct audit_report *r, struct audit_sink *to,
                                 struct kerrinfo *e)
{
    struct appender a = appender_on(&to->text, e);
    put_run(&a, r);
    put_objects(&a, r->audit, to);
    put_resources(&a, r->audit, to);
    put_keys(&a, r->audit, to);
    put_findings(&a, r->audit);
    put_residue(&a, r->audit);
    return a.k;
}
