/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/audit_facts.h"
#include "cli/audit_report.h"

static void put_maybe(struct doc *d, const char *name, bool is_known, uint64_t number)
{
    if (is_known) {
        doc_u64(d, name, number);
    } else {
        doc_text(d, name, NULL);
    }
}

static void put_counts(struct doc *d, const struct audit_counts *c, bool is_stale_known)
{
    doc_u64(d, "keys", c->keys);
    for (size_t i = 0; i < VALUE_CLASS_COUNT; i++) {
        doc_u64(d, value_class_names[i], c->classes[i]);
    }
    doc_u64(d, "proved", c->proved);
    doc_u64(d, "undecryptable", c->undecryptable);
    doc_u64(d, "unproved", c->unproved);
    put_maybe(d, "stale", is_stale_known, c->stale);
}

/* As etcdctl shows them. */
static void put_id(struct doc *d, const char *name, bool is_known, uint64_t id)
{
    char text[2 * sizeof id + 1];
    (void)snprintf(text, sizeof text, "%" PRIx64, id);
    doc_text(d, name, is_known ? text : NULL);
}

/* What a running etcd says of itself, and a file does not. */
static void put_live(struct doc *d, const struct audit_source *s)
{
    static const struct audit_etcd none = {.revision_count = 0};
    bool is_live = s->live != NULL;
    const struct audit_etcd *live = is_live ? s->live : &none;
    doc_array(d, "endpoints");
    for (size_t i = 0; is_live && i < etcd_endpoint_count(s->etcd); i++) {
        doc_text(d, NULL, etcd_endpoint_at(s->etcd, i));
    }
    doc_close(d);
    doc_text(d, "endpoint", is_live ? etcd_endpoint(s->etcd) : NULL);
    doc_text(d, "etcd_version", is_live ? live->status.version : NULL);
    bool has_ids = is_live && !live->status.is_kine;
    put_id(d, "cluster_id", has_ids, live->status.cluster_id);
    put_id(d, "member_id", has_ids, live->status.member_id);
    put_maybe(d, "db_size", is_live, live->status.db_size);
    put_maybe(d, "db_size_in_use", live->status.db_size_in_use > 0, live->status.db_size_in_use);
    doc_bool(d, "is_partial", s->is_partial);
    doc_array(d, "revisions");
    for (size_t i = 0; i < live->revision_count; i++) {
        doc_u64(d, NULL, live->revisions[i]);
    }
    doc_close(d);
}

static void put_source(struct doc *d, const struct audit_report *r)
{
    const struct audit_store *found = &r->source->found;
    doc_object(d, "source");
    doc_text(d, "kind", r->source->kind_name);
    doc_array(d, "files");
    for (size_t i = 0; i < r->source->count; i++) {
        const struct audit_file *file = &r->source->files[i];
        doc_object(d, NULL);
        doc_text(d, "path", file->path);
        doc_u64(d, "size", file->map.data.len);
        doc_text(d, "sha256", *file->sha256 == 0 ? NULL : file->sha256);
        doc_close(d);
    }
    doc_close(d);
    put_live(d, r->source);
    doc_u64(d, "revision", found->revision);
    doc_u64(d, "compact_revision", found->compact_revision);
    put_maybe(d, "records", found->has_records, found->record_count);
    put_maybe(d, "tombstones", found->has_records, found->tombstone_count);
    doc_array(d, "prefixes");
    for (size_t i = 0; i < r->audit->prefix_count; i++) {
        doc_view(d, NULL, r->audit->prefixes[i]);
    }
    doc_close(d);
    doc_close(d);
}

static void put_plugins(struct doc *d, const struct audit *a)
{
    doc_array(d, "kms");
    for (size_t i = 0; i < a->wanted.kms_count; i++) {
        const struct audit_kms_told *told = &a->kms[i];
        doc_object(d, NULL);
        doc_text(d, "provider", told->kms.provider);
        doc_text(d, "socket", told->kms.socket);
        doc_text(d, "key_id", told->key_id);
        doc_u64(d, "unwrapped", told->unwrapped);
        doc_u64(d, "refused", told->refused);
        doc_u64(d, "unasked", told->unasked);
        doc_text(d, "last_error", told->why[0] == 0 ? NULL : told->why);
        doc_close(d);
    }
    doc_close(d);
}

static void put_demands(struct doc *d, const struct audit *a)
{
    doc_array(d, "demands");
    for (size_t i = 0; i < a->wanted.demand_count; i++) {
        const struct audit_demanded *demand = &a->wanted.demands[i];
        doc_object(d, NULL);
        doc_text(d, "demand", audit_demand_names[demand->demand]);
        doc_text(d, "key_id", demand->key_id);
        doc_bool(d, "met", demand->is_met);
        doc_close(d);
    }
    doc_close(d);
}

static void put_resource(struct doc *d, const struct audit *a, const struct audit_resource *r)
{
    char expected[AUDIT_TEXT_BYTES];
    bool has_expected = audit_expected(a, r, expected, sizeof expected);
    doc_object(d, NULL);
    doc_text(d, "resource", r->name);
    doc_text(d, "expected", has_expected ? expected : NULL);
    doc_bool(d, "expected_encrypted", r->is_expected);
    put_counts(d, &r->counts, r->is_stale_known);
    doc_text(d, "verdict", audit_verdict_names[r->verdict]);
    doc_close(d);
}

static void put_key_id(struct doc *d, const struct audit_key_id *row)
{
    bool has_id = row->class_of != VALUE_KMSV1;
    char hash[AUDIT_HASH_TEXT_BYTES];
    audit_key_id_hash(row, hash);
    doc_object(d, NULL);
    doc_text(d, "class", value_class_names[row->class_of]);
    doc_view(d, "provider", audit_provider_of(row));
    if (has_id) {
        doc_view(d, "key_id", row->id);
    } else {
        doc_text(d, "key_id", NULL);
    }
    doc_text(d, "key_id_hash", *hash == 0 ? NULL : hash);
    doc_u64(d, "objects", row->objects);
    put_maybe(d, "oldest_revision", row->oldest > 0, row->oldest);
    put_maybe(d, "newest_revision", row->newest > 0, row->newest);
    put_maybe(d, "seeds", row->class_of == VALUE_KMSV2, row->seeds);
    doc_u64(d, "proved", row->proved);
    doc_u64(d, "undecryptable", row->undecryptable);
    doc_close(d);
}

/* What has no row of its own, together; NULL: everything has one. */
static void put_other_keys(struct doc *d, const struct audit *a)
{
    const struct audit_key_id *others = &a->other_keys;
    if (a->by_rule[AUDIT_RULE_MANY_KEY_IDS] == 0) {
        doc_text(d, "other_key_ids", NULL);
        return;
    }
    doc_object(d, "other_key_ids");
    doc_u64(d, "objects", others->objects);
    doc_u64(d, "seeds", others->seeds);
    doc_u64(d, "proved", others->proved);
    doc_u64(d, "undecryptable", others->undecryptable);
    doc_close(d);
}

static void put_finding(struct doc *d, const struct audit *a, const struct audit_finding *f)
{
    struct audit_said said;
    audit_say(a, f, &said);
    bool has_object = said.key.len > 0;
    doc_object(d, NULL);
    doc_text(d, "rule", said.rule);
    doc_text(d, "severity", said.severity);
    doc_text(d, "resource", said.resource);
    doc_text(d, "object", has_object ? said.object : NULL);
    if (has_object) {
        doc_view(d, "etcd_key", said.key);
    } else {
        doc_text(d, "etcd_key", NULL);
    }
    put_maybe(d, "mod_revision", has_object, said.mod_revision);
    doc_text(d, "message", said.message);
    doc_text(d, "cure", said.cure);
    doc_close(d);
}

/* A key id may stand under several providers; the map has one number for each id. */
static bool is_first(const struct audit *a, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (a->key_ids[i].class_of == VALUE_KMSV2 &&
            bytes_equal(a->key_ids[i].id, a->key_ids[at].id)) {
            return false;
        }
    }
    return true;
}

static void put_residue_key(struct doc *d, const struct audit *a, size_t at, enum audit_place place)
{
    uint64_t sum = 0;
    AUTO_TEXT id = NULL;
    for (size_t i = at; i < a->key_id_count; i++) {
        bool is_same = a->key_ids[i].class_of == VALUE_KMSV2 &&
                       bytes_equal(a->key_ids[i].id, a->key_ids[at].id);
        sum += is_same ? a->key_ids[i].residue[place] : 0;
    }
    if (sum > 0 && d->k == KERR_OK) {
        d->k = text_dup(a->key_ids[at].id, &id, d->e);
    }
    if (sum > 0 && d->k == KERR_OK) {
        doc_u64(d, id, sum);
    }
}

static void put_residue(struct doc *d, const struct audit *a)
{
    doc_object(d, "residue");
    for (unsigned i = 0; i < AUDIT_PLACE_COUNT; i++) {
        const struct audit_residue *place = &a->residue[i];
        if (!place->is_seen) {
            doc_text(d, audit_place_names[i], NULL);
            continue;
        }
        doc_object(d, audit_place_names[i]);
        doc_u64(d, "values", place->values);
        doc_u64(d, "plaintext", place->plaintext);
        doc_object(d, "key_ids");
        for (size_t j = 0; j < a->key_id_count; j++) {
            if (a->key_ids[j].class_of == VALUE_KMSV2 && is_first(a, j)) {
                put_residue_key(d, a, j, (enum audit_place)i);
            }
        }
        doc_close(d);
        doc_u64(d, "other_key_ids", a->other_keys.residue[i]);
        doc_close(d);
    }
    doc_close(d);
}

/* What was written so far leaves the buffer, when it is much. */
static void flush(struct doc *d, struct audit_sink *to)
{
    if (d->k == KERR_OK && to->text.len > DOC_MAX / 2) {
        d->k = audit_flush(to, d->e);
    }
}

static void put_lists(struct doc *d, const struct audit_report *r, struct audit_sink *to)
{
    const struct audit *a = r->audit;
    uint64_t wanted = r->options->max_findings;
    size_t max = wanted == 0 || wanted > a->finding_count ? a->finding_count : wanted;
    doc_array(d, "resources");
    for (size_t i = 0; i < a->resource_count; i++, flush(d, to)) {
        put_resource(d, a, &a->resources[i]);
    }
    doc_close(d);
    doc_array(d, "key_ids");
    for (size_t i = 0; i < a->key_id_count; i++, flush(d, to)) {
        put_key_id(d, &a->key_ids[i]);
    }
    doc_close(d);
    put_other_keys(d, a);
    doc_u64(d, "findings_count", a->finding_count);
    doc_array(d, "findings");
    for (size_t i = 0; i < max && d->k == KERR_OK; i++, flush(d, to)) {
        put_finding(d, a, &a->findings[i]);
    }
    doc_close(d);
}

static enum kerr write_doc(const struct audit_report *r, bool is_yaml, struct audit_sink *to,
                           struct kerrinfo *e)
{
    const struct audit *a = r->audit;
    struct doc d = doc_on(is_yaml, &to->text, e);
    doc_object(&d, NULL);
    doc_text(&d, "schema", AUDIT_SCHEMA);
    doc_text(&d, "version", ETCDSEAL_VERSION);
    doc_text(&d, "verdict", audit_verdict_names[a->verdict]);
    doc_bool(&d, "has_residue", a->has_residue);
    doc_bool(&d, "as_demanded", a->is_met);
    put_demands(&d, a);
    put_source(&d, r);
    doc_bool(&d, "proving", a->wanted.is_proving);
    put_plugins(&d, a);
    doc_time(&d, "started_at", r->started_s);
    doc_u64(&d, "duration_ms", r->duration_ms);
    doc_object(&d, "totals");
    put_counts(&d, &a->totals, a->is_stale_known);
    doc_close(&d);
    put_lists(&d, r, to);
    put_residue(&d, a);
    return doc_end(&d);
}

enum kerr audit_write_json(const struct audit_report *r, struct audit_sink *to, struct kerrinfo *e)
{
    return write_doc(r, false, to, e);
}

enum kerr audit_write_yaml(const struct audit_report *r, struct audit_sink *to, struct kerrinfo *e)
{
    return write_doc(r, true, to, e);
}
