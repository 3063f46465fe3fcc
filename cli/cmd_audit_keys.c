/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal audit keys: which key ids live data and the backups that are given still need. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "cli/audit_cluster.h"
#include "cli/audit_source.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "kms/kms.h"

#define SHOWN_BYTES 80

/* A key id under one provider, and how often each source holds it. */
struct need {
    enum value_class class_of;
    struct bytes provider; /* copies; key ids may hold NUL */
    struct bytes id;
    uint64_t objects[OPT_ARGS_MAX + 1]; /* by source */
    uint64_t left_over[OPT_ARGS_MAX + 1];
    uint64_t sum;
};

struct needs {
    uint64_t others[OPT_ARGS_MAX + 1]; /* objects under key ids that were not told apart */
    uint64_t other_sum;
    struct need *rows;
    size_t count;
    const char *names[OPT_ARGS_MAX + 1];
    uint64_t revisions[OPT_ARGS_MAX + 1];
    size_t sources;
    bool has_live; /* source 0 was named by an option; the others are backups */
};

static void needs_done(struct needs *n)
{
    for (size_t i = 0; i < n->count; i++) {
        free((void *)(uintptr_t)n->rows[i].provider.ptr);
        free((void *)(uintptr_t)n->rows[i].id.ptr);
    }
    free(n->rows);
}

/* ---- reading ---- */

static enum kerr copy(struct bytes from, struct bytes *ret, struct kerrinfo *e)
{
    uint8_t *to = malloc(from.len + 1);
    if (to == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for key ids");
    }
    memcpy(to, from.len == 0 ? to : from.ptr, from.len);
    *ret = bytes_of(to, from.len);
    return KERR_OK;
}

static enum kerr find_row(struct needs *n, const struct audit_key_id *key, struct need **ret,
                          struct kerrinfo *e)
{
    for (size_t i = 0; i < n->count; i++) {
        struct need *row = &n->rows[i];
        if (row->class_of == key->class_of && bytes_equal(key->provider, row->provider) &&
            bytes_equal(key->id, row->id)) {
            *ret = row;
            return KERR_OK;
        }
    }
    struct need *rows = realloc(n->rows, (n->count + 1) * sizeof *rows);
    if (rows == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for key ids");
    }
    n->rows = rows;
    struct need *row = &rows[n->count++];
    *row = (struct need){.class_of = key->class_of};
    enum kerr k = copy(key->provider, &row->provider, e);
    *ret = row;
    return k == KERR_OK ? copy(key->id, &row->id, e) : k;
}

static enum kerr take_keys(struct needs *n, const struct audit *a, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    n->others[n->sources] = a->other_keys.objects;
    n->other_sum += a->other_keys.objects;
    for (size_t i = 0; i < a->key_id_count && k == KERR_OK; i++) {
        const struct audit_key_id *key = &a->key_ids[i];
        struct need *row = NULL;
        k = find_row(n, key, &row, e);
        for (size_t place = 0; k == KERR_OK && place < AUDIT_PLACE_COUNT; place++) {
            row->left_over[n->sources] += key->residue[place];
        }
        if (k == KERR_OK) {
            row->objects[n->sources] += key->objects;
            row->sum += key->objects;
        }
    }
    return k;
}

static enum kerr read_source(struct needs *n, const struct options *o,
                             const struct audit_source_kind *kind, struct memory *memory,
                             struct kerrinfo *e)
{
    AUTO_AUDIT_SOURCE source = {.count = 0};
    AUTO_AUDIT a = {.tables = NULL};
    const struct audit_wanted wanted = {.memory = memory,
                                        .prefixes = o->prefixes.items,
                                        .prefix_count = o->prefixes.count,
                                        .is_passing = kind->is_passing};
    const struct audit_told nobody = {.fn = NULL};
    enum kerr k = audit_begin(&wanted, &a, e);
    k = k == KERR_OK ? audit_source_open(kind, o, memory, &source, e) : k;
    k = k == KERR_OK ? audit_source_read(&source, o, &a, &nobody, e) : k;
    if (k == KERR_OK) {
        audit_source_warn(&source, &a);
    }
    if (k == KERR_OK && source.is_partial) {
        k = kerr_set(e, KERR_IO, "interrupted: a key may be needed by what was not read");
    }
    k = k == KERR_OK ? take_keys(n, &a, e) : k;
    n->names[n->sources] = source.name;
    n->revisions[n->sources] = source.found.revision;
    n->sources++;
    return k;
}

/* The source of the options, if one is named, then each file. */
static enum kerr read_all(struct needs *n, const struct options *o, const struct opt_call *call,
                          struct kerrinfo *e)
{
    const struct audit_source_kind *kind = NULL;
    struct memory memory = audit_source_memory(o);
    enum kerr k = KERR_OK;
    n->has_live = call->arg_count == 0 || audit_source_is_named(o) || o->member_snapshot;
    if (n->has_live) {
        k = audit_source_find(o, &kind, e);
        k = k == KERR_OK ? read_source(n, o, kind, &memory, e) : k;
    }
    for (size_t i = 0; i < call->arg_count && k == KERR_OK; i++) {
        /* Each kind takes its name from its own option. */
        const struct options one = {
            .snapshot = call->args[i], .kine = call->args[i], .prefixes = o->prefixes};
        k = read_source(n, &one, audit_source_of_backup(call->args[i]), &memory, e);
    }
    return k;
}

/* What most objects need first, as the report of an audit has it. */
static int compare_needs(const void *a, const void *b)
{
    const struct need *x = a;
    const struct need *y = b;
    if (x->objects[0] != y->objects[0]) {
        return x->objects[0] < y->objects[0] ? 1 : -1;
    }
    return x->sum == y->sum ? bytes_compare(x->id, y->id) : x->sum < y->sum ? 1 : -1;
}

/* ---- telling ---- */

static uint64_t in_backups(const struct needs *n, const struct need *row)
{
    return row->sum - (n->has_live ? row->objects[0] : 0);
}

static enum kerr put_table(const struct needs *n, struct buf *to, struct kerrinfo *e)
{
    static const char *const titles[] = {"KEY",       "PROVIDER",   "CLASS",  "LIVE",
                                         "LEFT-OVER", "IN-BACKUPS", "BACKUPS"};
    AUTO_TABLE t;
    table_init(&t, titles, ARRAY_LEN(titles), e);
    for (size_t i = 0; i < n->count; i++) {
        const struct need *row = &n->rows[i];
        char shown[SHOWN_BYTES];
        size_t holders = 0;
        for (size_t j = n->has_live; j < n->sources; j++) {
            holders += row->objects[j] > 0;
        }
        text_escape(row->id, shown, sizeof shown);
        table_cell(&t, shown);
        text_escape(row->provider, shown, sizeof shown);
        table_cell(&t, shown);
        table_cell(&t, value_class_names[row->class_of]);
        if (n->has_live) {
            table_u64(&t, row->objects[0]);
            table_u64(&t, row->left_over[0]);
        } else {
            table_cell(&t, NULL);
            table_cell(&t, NULL);
        }
        table_u64(&t, in_backups(n, row));
        table_u64(&t, holders);
    }
    return table_print(&t, to);
}

static void put_row(struct doc *d, const struct needs *n, const struct need *row)
{
    char hash[KMS_KEY_ID_HASH_BYTES];
    bool is_v2 = row->class_of == VALUE_KMSV2;
    kms_key_id_hash(is_v2 ? row->id : bytes_of(NULL, 0), hash);
    doc_object(d, NULL);
    doc_text(d, "class", value_class_names[row->class_of]);
    doc_view(d, "provider", row->provider);
    if (row->class_of == VALUE_KMSV1) {
        doc_text(d, "key_id", NULL);
    } else {
        doc_view(d, "key_id", row->id);
    }
    doc_text(d, "key_id_hash", is_v2 ? hash : NULL);
    if (row->sum == 0 && n->other_sum > 0) {
        doc_text(d, "needed", NULL); /* under another provider it may be */
    } else {
        doc_bool(d, "needed", row->sum > 0);
    }
    doc_array(d, "objects");
    for (size_t i = 0; i < n->sources; i++) {
        doc_u64(d, NULL, row->objects[i]);
    }
    doc_close(d);
    doc_array(d, "left_over");
    for (size_t i = 0; i < n->sources; i++) {
        doc_u64(d, NULL, row->left_over[i]);
    }
    doc_close(d);
    doc_close(d);
}

static enum kerr put_doc(const struct options *o, const struct needs *n, struct buf *to,
                         struct kerrinfo *e)
{
    struct doc d = out_doc(o, to, e);
    doc_object(&d, NULL);
    doc_text(&d, "schema", "etcdseal.audit-keys/1");
    doc_array(&d, "sources");
    for (size_t i = 0; i < n->sources; i++) {
        doc_object(&d, NULL);
        doc_text(&d, "name", n->names[i]);
        doc_bool(&d, "is_backup", i > 0 || !n->has_live);
        doc_u64(&d, "revision", n->revisions[i]);
        doc_u64(&d, "other_objects", n->others[i]);
        doc_close(&d);
    }
    doc_close(&d);
    doc_array(&d, "keys");
    for (size_t i = 0; i < n->count; i++) {
        put_row(&d, n, &n->rows[i]);
    }
    doc_close(&d);
    doc_close(&d);
    return doc_end(&d);
}

/* ---- the gate ---- */

/* The names of local keys may hold ':', and the stored value does not say where one ends. */
static bool may_be(const struct need *row, const char *id)
{
    bool is_local = row->class_of != VALUE_KMSV2 && row->class_of != VALUE_KMSV1;
    size_t len = row->id.len;
    return bytes_equal_text(row->id, id) ||
           (is_local && strlen(id) > len && memcmp(row->id.ptr, id, len) == 0 && id[len] == ':');
}

static enum kerr check_unneeded(const struct options *o, const struct needs *n, struct kerrinfo *e)
{
    for (size_t i = 0; i < n->count && o->unneeded != NULL; i++) {
        const struct need *row = &n->rows[i];
        if (row->sum > 0 && may_be(row, o->unneeded)) {
            return kerr_set(e, KERR_DENIED,
                            "key %s is still needed: %" PRIu64 " live objects, %" PRIu64
                            " in backups",
                            o->unneeded, n->has_live ? row->objects[0] : 0, in_backups(n, row));
        }
    }
    if (o->unneeded != NULL && n->other_sum > 0) {
        return kerr_set(e, KERR_IO,
                        "whether key %s is needed can't be said: there are more than %d key ids, "
                        "and %" PRIu64
                        " objects are under those beyond, which were not told apart; find out who "
                        "writes to etcd",
                        o->unneeded, AUDIT_KEY_IDS_MAX, n->other_sum);
    }
    return KERR_OK;
}

/* The lists alone would look whole. */
static void warn_of_others(const struct needs *n)
{
    if (n->other_sum > 0) {
        out_warn("%" PRIu64 " objects are under more key ids than are told apart, and in no row",
                 n->other_sum);
    }
}

enum kerr cmd_audit_keys(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    AUTO_AUDIT_CLUSTER cluster = {.text_count = 0};
    const struct options *o = &cluster.options;
    AUTO(needs_done) struct needs n = {.count = 0};
    AUTO_BUF text;
    buf_init(&text, DOC_MAX);
    /* The password of an etcd's user: his own, so nothing is asked for to lock it. */
    enum kerr k = secret_start(SECRET_LOCK_BEST_EFFORT, e);
    k = k == KERR_OK ? audit_cluster_open(ctx, &cluster, e) : k;
    k = k == KERR_OK ? audit_source_catch_bus_errors(e) : k;
    k = k == KERR_OK ? read_all(&n, o, call, e) : k;
    if (n.count > 1) {
        qsort(n.rows, n.count, sizeof *n.rows, compare_needs);
    }
    if (k == KERR_OK) {
        k = out_is_doc(o) ? put_doc(o, &n, &text, e) : put_table(&n, &text, e);
    }
    k = k == KERR_OK ? out_print(&text, e) : k;
    warn_of_others(&n);
    return k == KERR_OK ? check_unneeded(o, &n, e) : k;
}
