/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal vault plan: which versions of the Transit key are still needed. Reads only. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/audit_source.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/setup.h"
#include "cli/vault_plan.h"

/* ---- what is known ---- */

static enum kerr ask(const char *socket, struct daemon_view *v, struct daemon_service *s,
                     struct vault_plan *p, struct kerrinfo *e)
{
    enum kerr k = daemon_ask(socket, v, e);
    if (k != KERR_OK) {
        return k;
    }
    if (!daemon_service_read(v, s)) {
        return kerr_set(e, KERR_CONFIG,
                        "the daemon at %.200s uses no key service: provider and also_unwrap of its "
                        "configuration do not name vault",
                        socket);
    }
    if (!vault_plan_read(p, v, s)) {
        return kerr_set(
            e, KERR_DOWN,
            "the daemon at %.200s has no key of the key service (%s, %s): see 'etcdseal "
            "status' and 'etcdseal doctor'",
            socket, s->state, s->cause);
    }
    return KERR_OK;
}

/* Live values by key id. Nothing is demanded of them. */
static enum kerr count(const struct options *o, struct vault_plan *p, struct kerrinfo *e)
{
    AUTO_AUDIT_SOURCE source = {.count = 0};
    AUTO_AUDIT a = {.tables = NULL};
    const struct audit_wanted wanted = {.demand_count = 0};
    const struct audit_told nobody = {.fn = NULL};
    enum kerr k = audit_begin(&wanted, &a, e);
    k = k == KERR_OK ? audit_source_catch_bus_errors(e) : k;
    k = k == KERR_OK ? audit_source_open(&audit_source_snapshot, o, NULL, &source, e) : k;
    k = k == KERR_OK ? audit_source_read(&source, o, &a, &nobody, e) : k;
    if (k == KERR_OK && a.other_keys.objects > 0) {
        k = kerr_set(e, KERR_IO,
                     "%s holds more key ids than can be told apart, so which versions are needed "
                     "can't be said: 'etcdseal audit' shows what is under them",
                     source.name);
    }
    for (size_t i = 0; i < a.key_id_count && k == KERR_OK; i++) {
        if (a.key_ids[i].class_of == VALUE_KMSV2) {
            vault_plan_count(p, a.key_ids[i].id, a.key_ids[i].objects);
        }
    }
    p->has_snapshot = k == KERR_OK;
    return k;
}

/* ---- for people ---- */

static enum kerr put_versions(const struct vault_plan *p, struct buf *to, struct kerrinfo *e)
{
    static const char *const titles[] = {"VERSION",      "STATE",  "CREATED", "DECRYPTS",
                                         "LAST DECRYPT", "VALUES", "NEEDED",  "KEY ID"};
    AUTO_TABLE t;
    table_init(&t, titles, ARRAY_LEN(titles), e);
    for (size_t i = 0; i < p->count; i++) {
        const struct vault_plan_version *v = &p->versions[i];
        table_u64(&t, v->key.version);
        table_cell(&t, v->state);
        table_time(&t, v->key.created_at_s);
        table_u64(&t, v->key.decrypts);
        table_time(&t, v->key.last_decrypt_s);
        if (p->has_snapshot) {
            table_u64(&t, v->objects);
        } else {
            table_cell(&t, "?");
        }
        table_cell(&t, vault_plan_needs[v->need]);
        table_cell(&t, v->key.id);
    }
    return table_print(&t, to);
}

static enum kerr put_verdict(const struct vault_plan *p, struct buf *to, struct kerrinfo *e)
{
    enum kerr k = buf_printf(to, e, "\nmin_decryption_version is %" PRIu64, p->min_version);
    if (p->may_rise_to != 0) {
        return k == KERR_OK ? buf_printf(to, e, ", and may rise to %" PRIu64 ": %s\n",
                                         p->may_rise_to, p->why)
                            : k;
    }
    k = k == KERR_OK ? buf_printf(to, e, "; may it rise: %s\n", p->why) : k;
    return k == KERR_OK && p->strange_objects > 0
               ? buf_printf(to, e,
                            "%" PRIu64 " values are under key ids of no version above: of another "
                            "key, cluster or epoch, or of versions that fell below the minimum "
                            "before the daemon started\n",
                            p->strange_objects)
               : k;
}

/* What the numbers prove, and what is to be looked at beside them. */
static enum kerr put_advice(const struct vault_plan *p, uint64_t since_s, struct buf *to,
                            struct kerrinfo *e)
{
    char since[CLOCK_TEXT_BYTES];
    clock_format_s(since_s, since);
    enum kerr k =
        buf_printf(to, e,
                   "\nDecrypts are those that this node's daemon was asked for since %s. "
                   "One\nproves that a version is needed; none proves nothing: "
                   "kube-apiserver asks once for\neach seed and keeps it, and other nodes "
                   "have daemons of their own.\n\n",
                   since);
    k = k == KERR_OK && !p->has_snapshot
            ? buf_put_text(
                  to,
                  "To know: rewrite every resource of the EncryptionConfiguration, wait five "
                  "minutes,\nsave a snapshot of etcd, then: etcdseal vault plan --snapshot "
                  "FILE\n\n",
                  e)
            : k;
    return k == KERR_OK
               ? buf_put_text(
                     to,
                     "Before raising it: the snapshot was saved after the rewrite; the same "
                     "command on every\nother node says the same; no etcd backup that you "
                     "would restore needs an older version\n(--snapshot BACKUP).\n",
                     e)
               : k;
}

static enum kerr print_table(const struct vault_plan *p, uint64_t since_s, struct buf *to,
                             struct kerrinfo *e)
{
    enum kerr k = put_versions(p, to, e);
    k = k == KERR_OK ? put_verdict(p, to, e) : k;
    return k == KERR_OK ? put_advice(p, since_s, to, e) : k;
}

/* ---- for programs ---- */

static void put_version(struct doc *d, const struct vault_plan *p,
                        const struct vault_plan_version *v)
{
    doc_object(d, NULL);
    doc_u64(d, "version", v->key.version);
    doc_text(d, "state", v->state);
    doc_text(d, "key_id", v->key.id);
    doc_time(d, "created_at", v->key.created_at_s);
    doc_u64(d, "decrypts", v->key.decrypts);
    doc_time(d, "last_decrypt_at", v->key.last_decrypt_s);
    if (p->has_snapshot) {
        doc_u64(d, "values", v->objects);
    } else {
        doc_text(d, "values", NULL);
    }
    doc_text(d, "needed", vault_plan_needs[v->need]);
    doc_text(d, "why", v->why);
    doc_close(d);
}

static enum kerr print_doc(const struct options *o, const struct vault_plan *p,
                           const struct daemon_view *v, struct buf *to, struct kerrinfo *e)
{
    struct doc d = out_doc(o, to, e);
    doc_object(&d, NULL);
    doc_text(&d, "cluster_id", v->store_id);
    doc_time(&d, "decrypts_since", v->started_at_s);
    doc_text(&d, "snapshot", o->snapshot);
    doc_u64(&d, "min_decryption_version", p->min_version);
    if (p->may_rise_to != 0) {
        doc_u64(&d, "may_rise_to", p->may_rise_to);
    } else {
        doc_text(&d, "may_rise_to", NULL);
    }
    doc_text(&d, "why", p->why);
    doc_u64(&d, "strange_values", p->strange_objects);
    doc_array(&d, "versions");
    for (size_t i = 0; i < p->count; i++) {
        put_version(&d, p, &p->versions[i]);
    }
    doc_close(&d);
    doc_close(&d);
    return doc_end(&d);
}

/* ---- the command ---- */

enum kerr cmd_vault_plan(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)call;
    const struct options *o = ctx;
    AUTO_SETUP s = {0};
    AUTO_DAEMON v = {.doc = NULL};
    AUTO_BUF text;
    struct daemon_service service;
    struct vault_plan p = {.now_s = clock_wall_s()};
    buf_init(&text, DOC_MAX);
    enum kerr k = setup_open(o, &s, e);
    k = k == KERR_OK ? ask(s.status_socket, &v, &service, &p, e) : k;
    k = k == KERR_OK && o->snapshot != NULL ? count(o, &p, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    vault_plan_judge(&p);
    k = out_is_doc(o) ? print_doc(o, &p, &v, &text, e) : print_table(&p, v.started_at_s, &text, e);
    return k == KERR_OK ? out_print(&text, e) : k;
}
