/* SPDX-License-Identifier: Apache-2.0 */
/* One object's stored form and history as JSON and YAML: schema "etcdseal.audit-object/1",
 * described in docs/audit.md. */
#include "cli/audit_object.h"
#include "kms/kms.h"

#define SCHEMA "etcdseal.audit-object/1"

static void put_maybe(struct doc *d, const char *name, uint64_t number)
{
    if (number > 0) {
        doc_u64(d, name, number);
    } else {
        doc_text(d, name, NULL);
    }
}

static void put_view(struct doc *d, const char *name, bool is_there, struct bytes text)
{
    if (is_there) {
        doc_view(d, name, text);
    } else {
        doc_text(d, name, NULL);
    }
}

static void put_annotations(struct doc *d, const struct audit_version *v)
{
    struct bytes name;
    struct bytes content;
    doc_array(d, "annotations");
    for (size_t at = 0;
         audit_version_has_key_id(v) && value_annotation(&v->v.kms, &at, &name, &content);) {
        doc_view(d, NULL, name);
    }
    doc_close(d);
}

static void put_version(struct doc *d, const char *name, const struct audit_version *v)
{
    char hash[KMS_KEY_ID_HASH_BYTES];
    bool is_encrypted = v->has_value && value_is_encrypted(v->v.class_of);
    kms_key_id_hash(audit_version_has_key_id(v) ? v->v.kms.key_id : bytes_of(NULL, 0), hash);
    doc_object(d, name);
    doc_text(d, "what", audit_when_names[v->when]);
    doc_u64(d, "revision", v->revision);
    put_maybe(d, "create_revision", v->create_revision);
    put_maybe(d, "version", v->version);
    if (v->has_value) {
        doc_u64(d, "size", v->size);
    } else {
        doc_text(d, "size", NULL);
    }
    doc_text(d, "class", v->has_value ? value_class_names[v->v.class_of] : NULL);
    doc_text(d, "form", v->has_value ? audit_object_forms[v->v.form] : NULL);
    put_view(d, "prefix", v->prefix.len > 0, v->prefix);
    put_view(d, "provider", audit_version_provider(v).len > 0, audit_version_provider(v));
    put_view(d, "key_id", audit_version_key(v).len > 0, audit_version_key(v));
    doc_text(d, "key_id_hash", audit_version_has_key_id(v) ? hash : NULL);
    doc_text(d, "source_type", v->has_value ? audit_object_source_type(v) : NULL);
    put_annotations(d, v);
    doc_text(d, "opens", is_encrypted ? audit_opens_names[v->opens] : NULL);
    doc_text(d, "why", v->why);
    doc_close(d);
}

static void put_source(struct doc *d, const struct audit_report *r)
{
    const struct audit_source *s = r->source;
    doc_object(d, "source");
    doc_text(d, "kind", s->kind_name);
    doc_text(d, "name", s->etcd != NULL ? etcd_endpoint(s->etcd) : s->name);
    doc_u64(d, "revision", s->found.revision);
    put_maybe(d, "compact_revision", s->found.compact_revision);
    doc_bool(d, "is_partial", s->is_partial);
    doc_array(d, "prefixes");
    for (size_t i = 0; i < r->audit->prefix_count; i++) {
        doc_view(d, NULL, r->audit->prefixes[i]);
    }
    doc_close(d);
    doc_close(d);
}

static void put_judgement(struct doc *d, const struct audit *a)
{
    const struct audit_version *live = audit_object_live(a->object);
    const struct audit_resource *r = audit_object_resource(a);
    char expected[AUDIT_TEXT_BYTES];
    bool has_expected = r != NULL && audit_expected(a, r, expected, sizeof expected);
    const char *stale = live == NULL ? NULL : audit_version_stale(a, live);
    doc_text(d, "expected", has_expected ? expected : NULL);
    doc_bool(d, "expected_encrypted", r != NULL && r->is_expected);
    if (stale == NULL) {
        doc_text(d, "stale", NULL);
    } else {
        doc_bool(d, "stale", live->is_stale);
    }
    doc_text(d, "verdict", audit_verdict_names[a->verdict]);
    doc_bool(d, "has_residue", a->has_residue);
    doc_bool(d, "as_demanded", a->is_met && live != NULL);
}

static void put_findings(struct doc *d, const struct audit *a)
{
    doc_array(d, "findings");
    for (size_t i = 0; i < a->finding_count; i++) {
        struct audit_said said;
        if (!audit_object_is_told(&a->findings[i])) {
            continue;
        }
        audit_say(a, &a->findings[i], &said);
        doc_object(d, NULL);
        doc_text(d, "rule", said.rule);
        doc_text(d, "severity", said.severity);
        doc_text(d, "message", said.message);
        doc_text(d, "cure", said.cure);
        doc_close(d);
    }
    doc_close(d);
}

static void put_residue(struct doc *d, const struct audit *a)
{
    doc_object(d, "residue");
    for (size_t i = 0; i < AUDIT_PLACE_COUNT; i++) {
        if (!a->residue[i].is_seen) {
            doc_text(d, audit_place_names[i], NULL);
            continue;
        }
        doc_object(d, audit_place_names[i]);
        doc_u64(d, "values", a->residue[i].values);
        doc_u64(d, "plaintext", a->residue[i].plaintext);
        doc_close(d);
    }
    doc_close(d);
}

static enum kerr put_doc(const struct audit_report *r, bool is_yaml, struct audit_sink *to,
                         struct kerrinfo *e)
{
    const struct audit *a = r->audit;
    const struct audit_object *o = a->object;
    const struct audit_version *live = audit_object_live(o);
    struct doc d = doc_on(is_yaml, &to->text, e);
    doc_object(&d, NULL);
    doc_text(&d, "schema", SCHEMA);
    doc_text(&d, "object", a->wanted.object);
    put_view(&d, "etcd_key", o->key.len > 0, o->key);
    doc_text(&d, "resource",
             audit_object_resource(a) == NULL ? NULL : audit_object_resource(a)->name);
    doc_text(&d, "state", audit_object_state(r));
    doc_time(&d, "started_at", r->started_s);
    put_source(&d, r);
    put_judgement(&d, a);
    if (live != NULL) {
        put_version(&d, "stored", live);
    } else {
        doc_text(&d, "stored", NULL);
    }
    put_findings(&d, a);
    doc_array(&d, "history");
    for (size_t i = 0; i < o->count; i++) {
        if (&o->versions[i] != live) {
            put_version(&d, NULL, &o->versions[i]);
        }
    }
    doc_close(&d);
    doc_u64(&d, "history_left_out", o->left_out);
    put_residue(&d, a);
    doc_close(&d);
    return doc_end(&d);
}

enum kerr audit_write_object_json(const struct audit_report *r, struct audit_sink *to,
                                  struct kerrinfo *e)
{
    return put_doc(r, false, to, e);
}

enum kerr audit_write_object_yaml(const struct audit_report *r, struct audit_sink *to,
                                  struct kerrinfo *e)
{
    return put_doc(r, true, to, e);
}
