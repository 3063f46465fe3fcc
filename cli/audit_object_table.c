/* SPDX-License-Identifier: Apache-2.0 */
/* One object's stored form and history for people. */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/audit_object.h"
#include "kms/kms.h"

#define SHOWN_BYTES 600
#define NAMES_BYTES 400
#define ROWS_MAX    1000 /* of a table; a document has all */

static void expected_text(const struct audit *a, char *to, size_t to_size)
{
    const struct audit_resource *r = audit_object_resource(a);
    if (r != NULL && !audit_expected(a, r, to, to_size)) {
        (void)snprintf(to, to_size, "%s",
                       r->is_expected ? "encrypted, by any provider" : "nothing");
    }
}

static void put_line(struct appender *to, const char *name, struct bytes value)
{
    char shown[SHOWN_BYTES];
    if (value.len > 0) {
        text_escape(value, shown, sizeof shown);
        append_printf(to, "%-16s %s\n", name, shown);
    }
}

static void put_text(struct appender *to, const char *name, const char *value)
{
    put_line(to, name, bytes_of_text(value == NULL ? "" : value));
}

static void put_number(struct appender *to, const char *name, uint64_t number)
{
    if (number > 0) {
        append_printf(to, "%-16s %" PRIu64 "\n", name, number);
    }
}

static void put_annotation_names(struct appender *to, const struct audit_version *v)
{
    struct bytes name;
    struct bytes content;
    char all[NAMES_BYTES] = "";
    size_t len = 0;
    for (size_t at = 0; len < sizeof all && value_annotation(&v->v.kms, &at, &name, &content);) {
        char one[NAMES_BYTES / 2];
        text_escape(name, one, sizeof one);
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", len == 0 ? "" : ", ", one);
    }
    put_text(to, "annotations", all);
}

static void put_opens(struct appender *to, const struct audit_version *v)
{
    char text[AUDIT_TEXT_BYTES];
    (void)snprintf(text, sizeof text, "%s%s%s", audit_opens_names[v->opens],
                   v->why == NULL ? "" : ": ", v->why == NULL ? "" : v->why);
    put_text(to, "opens", text);
}

static void put_stored(struct appender *to, const struct audit *a, const struct audit_version *v)
{
    char hash[KMS_KEY_ID_HASH_BYTES];
    char expected[AUDIT_TEXT_BYTES] = "";
    kms_key_id_hash(audit_version_has_key_id(v) ? v->v.kms.key_id : bytes_of(NULL, 0), hash);
    expected_text(a, expected, sizeof expected);
    put_text(to, "class", value_class_names[v->v.class_of]);
    put_text(to, "form", audit_object_forms[v->v.form]);
    put_line(to, "prefix", v->prefix);
    put_line(to, "provider", audit_version_provider(v));
    put_line(to, audit_version_is_local(v) ? "key" : "key id", audit_version_key(v));
    put_text(to, "key id hash", audit_version_has_key_id(v) ? hash : NULL);
    put_text(to, "source type", audit_object_source_type(v));
    put_annotation_names(to, v);
    append_printf(to, "%-16s %zu bytes\n", "size", v->size);
    put_number(to, "create revision", v->create_revision);
    put_number(to, "mod revision", v->revision);
    put_number(to, "version", v->version);
    put_text(to, "expected", expected);
    if (audit_object_resource(a)->is_expected || v->is_stale) {
        const char *stale = audit_version_stale(a, v);
        put_text(to, "stale", stale == NULL ? "not known" : stale);
    }
    if (value_is_encrypted(v->v.class_of)) {
        put_opens(to, v);
    }
}

static void cell_of(struct table *t, struct bytes text)
{
    char shown[SHOWN_BYTES / 2];
    text_escape(text, shown, sizeof shown);
    table_cell(t, shown);
}

static enum kerr put_history(const struct audit_object *o, struct buf *to, struct kerrinfo *e)
{
    static const char *const titles[] = {"REVISION", "WHAT", "CLASS", "PROVIDER",
                                         "KEY",      "SIZE", "OPENS"};
    AUTO_TABLE t;
    table_init(&t, titles, ARRAY_LEN(titles), e);
    for (size_t i = 0; i < o->count && i < ROWS_MAX; i++) {
        const struct audit_version *v = &o->versions[i];
        bool is_encrypted = v->has_value && value_is_encrypted(v->v.class_of);
        table_u64(&t, v->revision);
        table_cell(&t, audit_when_names[v->when]);
        table_cell(&t, v->has_value ? value_class_names[v->v.class_of] : NULL);
        cell_of(&t, audit_version_provider(v));
        cell_of(&t, audit_version_key(v));
        if (v->has_value) {
            table_u64(&t, v->size);
        } else {
            table_cell(&t, NULL);
        }
        table_cell(&t, is_encrypted ? audit_opens_names[v->opens] : NULL);
    }
    enum kerr k = buf_put_text(to, "\n", e);
    return k == KERR_OK ? table_print(&t, to) : k;
}

static void put_more(struct appender *to, const struct audit_object *o)
{
    uint64_t more = o->left_out + (o->count > ROWS_MAX ? o->count - ROWS_MAX : 0);
    if (more > 0) {
        append_printf(to, "... and %" PRIu64 " older ones\n", more);
    }
}

static void put_finding_lines(struct appender *to, const struct audit *a)
{
    for (size_t i = 0; i < a->finding_count; i++) {
        struct audit_said said;
        if (audit_object_is_told(&a->findings[i])) {
            audit_say(a, &a->findings[i], &said);
            append_printf(to, "\n%s: %s: %s\n  cure: %s\n", said.severity, said.rule, said.message,
                          said.cure);
        }
    }
}

enum kerr audit_write_object_table(const struct audit_report *r, struct audit_sink *to,
                                   struct kerrinfo *e)
{
    const struct audit *a = r->audit;
    const struct audit_object *o = a->object;
    const struct audit_version *live = audit_object_live(o);
    struct appender out = appender_on(&to->text, e);
    put_text(&out, "object", a->wanted.object);
    put_line(&out, "etcd key", o->key);
    put_text(&out, "state", audit_object_state(r));
    if (live != NULL) {
        put_stored(&out, a, live);
    }
    if (out.k == KERR_OK && o->count > 0) {
        out.k = put_history(o, &to->text, e);
    }
    put_more(&out, o);
    put_finding_lines(&out, a);
    return out.k;
}
