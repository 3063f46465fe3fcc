/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal doctor: the whole stack of this host. What is looked at stands in the room doctor. */
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "cli/setup.h"
#include "doctor/doctor.h"

static const char *const result_words[] = {
    [DOCTOR_OK] = "ok",
    [DOCTOR_FOUND] = "found",
    [DOCTOR_UNKNOWN] = "unknown",
    [DOCTOR_SKIPPED] = "-",
};

static bool is_same(const struct doctor_about *a, const struct doctor_about *b)
{
    return strcmp(a->id, b->id) == 0;
}

/* The worst severity of a row's findings as a word. */
static const char *row_word(const struct doctor_report *r, const struct doctor_row *row)
{
    int worst = -1;
    for (size_t i = 0; i < r->finding_count; i++) {
        const struct doctor_finding *finding = &r->findings[i];
        if (is_same(finding->check, row->check) && (int)finding->severity > worst) {
            worst = (int)finding->severity;
        }
    }
    return row->result == DOCTOR_FOUND && worst >= 0
               ? doctor_severity_name((enum doctor_severity)worst)
               : result_words[row->result];
}

/* ---- for people ---- */

/* Texts of others may be in it: only printable ASCII goes to a terminal. */
static enum kerr put_line(struct buf *to, const char *name, const char *text, struct kerrinfo *e)
{
    if (*text == 0) {
        return KERR_OK;
    }
    enum kerr k = buf_printf(to, e, "%-9s", name);
    for (const char *p = text; *p != 0 && k == KERR_OK; p++) {
        k = buf_printf(to, e, "%c", *p >= ' ' && *p <= '~' ? *p : '?');
    }
    return k == KERR_OK ? buf_put_text(to, "\n", e) : k;
}

static enum kerr put_finding(struct buf *to, const struct doctor_finding *f, struct kerrinfo *e)
{
    enum kerr k = buf_printf(to, e, "\n%s %s%s%s\n", doctor_severity_name(f->severity),
                             f->check->id, *f->rule == 0 ? "" : " ", f->rule);
    k = k == KERR_OK ? put_line(to, "  what", f->what, e) : k;
    k = k == KERR_OK ? put_line(to, "  where", f->where, e) : k;
    k = k == KERR_OK ? put_line(to, "  why", f->why, e) : k;
    k = k == KERR_OK ? put_line(to, "  cure", f->cure, e) : k;
    return k == KERR_OK ? put_line(to, "  docs", f->docs, e) : k;
}

static enum kerr put_rows(const struct doctor_report *r, struct buf *to, struct kerrinfo *e)
{
    static const char *const titles[] = {"AREA", "CHECK", "RESULT", "WHAT"};
    AUTO_TABLE t;
    table_init(&t, titles, ARRAY_LEN(titles), e);
    for (size_t i = 0; i < r->row_count; i++) {
        const struct doctor_row *row = &r->rows[i];
        table_cell(&t, row->check->area);
        table_cell(&t, row->check->id);
        table_cell(&t, row_word(r, row));
        table_cell(&t, row->about);
    }
    return table_print(&t, to);
}

static enum kerr print_table(const struct doctor_report *r, struct buf *to, struct kerrinfo *e)
{
    enum kerr k = put_rows(r, to, e);
    for (size_t i = 0; i < r->finding_count && k == KERR_OK; i++) {
        k = put_finding(to, &r->findings[i], e);
    }
    for (size_t i = 0; i < r->change_count && k == KERR_OK; i++) {
        k = i == 0 ? buf_put_text(to, "\n", e) : k;
        k = k == KERR_OK ? put_line(to, "changed", r->changes[i], e) : k;
    }
    if (k == KERR_OK && r->left_out > 0) {
        k = buf_printf(to, e, "\n%zu more findings are not shown\n", r->left_out);
    }
    return k;
}

/* ---- for programs ---- */

static void put_row(struct doc *d, const struct doctor_report *r, const struct doctor_row *row)
{
    bool is_skipped = row->result == DOCTOR_SKIPPED;
    doc_object(d, NULL);
    doc_text(d, "id", row->check->id);
    doc_text(d, "area", row->check->area);
    doc_text(d, "result", is_skipped ? "skipped" : row_word(r, row));
    doc_text(d, "about", row->about);
    doc_text(d, "see", row->cause == NULL ? NULL : row->cause->id);
    doc_close(d);
}

static void put_found(struct doc *d, const struct doctor_finding *f)
{
    doc_object(d, NULL);
    doc_text(d, "id", f->check->id);
    doc_text(d, "rule", *f->rule == 0 ? NULL : f->rule);
    doc_text(d, "severity", doctor_severity_name(f->severity));
    doc_text(d, "what", f->what);
    doc_text(d, "where", *f->where == 0 ? NULL : f->where);
    doc_text(d, "why", f->why);
    doc_text(d, "cure", f->cure);
    doc_text(d, "docs", f->docs);
    doc_close(d);
}

static enum kerr print_doc(const struct options *o, const struct doctor_report *r, struct buf *to,
                           struct kerrinfo *e)
{
    struct doc d = out_doc(o, to, e);
    doc_object(&d, NULL);
    doc_u64(&d, "errors", r->count[DOCTOR_ERROR]);
    doc_u64(&d, "warnings", r->count[DOCTOR_WARNING]);
    doc_u64(&d, "notes", r->count[DOCTOR_NOTE]);
    doc_u64(&d, "unknown", r->unknown);
    doc_array(&d, "checks");
    for (size_t i = 0; i < r->row_count; i++) {
        put_row(&d, r, &r->rows[i]);
    }
    doc_close(&d);
    doc_array(&d, "findings");
    for (size_t i = 0; i < r->finding_count; i++) {
        put_found(&d, &r->findings[i]);
    }
    doc_close(&d);
    doc_array(&d, "changed");
    for (size_t i = 0; i < r->change_count; i++) {
        doc_text(&d, NULL, r->changes[i]);
    }
    doc_close(&d);
    return doc_end(&d);
}

/* ---- the command ---- */

static enum kerr print(const struct options *o, const struct doctor_report *r, struct kerrinfo *e)
{
    AUTO_BUF text;
    buf_init(&text, DOC_MAX);
    enum kerr k = out_is_doc(o) ? print_doc(o, r, &text, e) : print_table(r, &text, e);
    return k == KERR_OK ? out_print(&text, e) : k;
}

/* The report as an exit code's cause. What was found comes before what could not be looked at. */
static enum kerr verdict(const struct options *o, const struct doctor_report *r, struct kerrinfo *e)
{
    size_t bad = r->count[DOCTOR_ERROR] + r->count[DOCTOR_WARNING];
    bad += o->is_strict ? r->count[DOCTOR_NOTE] : 0;
    if (bad > 0) {
        return kerr_set(e, KERR_STATE, "errors: %zu, warnings: %zu, notes: %zu",
                        r->count[DOCTOR_ERROR], r->count[DOCTOR_WARNING], r->count[DOCTOR_NOTE]);
    }
    return r->unknown == 0
               ? KERR_OK
               : kerr_set(e, KERR_IO, "checks that could not be made: %zu; the table says why",
                          r->unknown);
}

static bool is_https(const char *url)
{
    return strncmp(url, "https://", 8) == 0;
}

static enum kerr check_words(const struct options *o, struct kerrinfo *e)
{
    if ((o->cert == NULL) != (o->key == NULL)) {
        return kerr_set(e, KERR_USAGE, "--cert and --key go together");
    }
    if (o->cert != NULL && o->token_file != NULL) {
        return kerr_set(e, KERR_USAGE, "--token-file or --cert with --key, not both");
    }
    if (o->apiserver != NULL && !is_https(o->apiserver)) {
        return kerr_set(e, KERR_USAGE, "--apiserver %.200s: expected https://HOST:PORT",
                        o->apiserver);
    }
    if (o->other_apiservers.count > DOCTOR_OTHERS_MAX) {
        return kerr_set(e, KERR_USAGE, "more than %d times --other-apiserver", DOCTOR_OTHERS_MAX);
    }
    for (size_t i = 0; i < o->other_apiservers.count; i++) {
        if (!is_https(o->other_apiservers.items[i])) {
            return kerr_set(e, KERR_USAGE, "--other-apiserver %.200s: expected https://HOST:PORT",
                            o->other_apiservers.items[i]);
        }
    }
    return KERR_OK;
}

enum kerr cmd_doctor(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)call;
    const struct options *o = ctx;
    AUTO_SETUP s = {0};
    AUTO_REPORT r = {0};
    struct kerrinfo why = {0};
    const char *path = NULL;
    enum kerr k = check_words(o, e);
    k = k == KERR_OK ? setup_open_any(o, &s, &path, &why, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    /* The daemon asks nobody. */
    s.place.env.ask = NULL;
    s.place.tell = NULL;
    struct doctor_question q = {
        .config_file = path,
        .config_error = why.text,
        .config = s.config,
        .place = &s.place,
        .status_socket = s.status_socket,
        .version = ETCDSEAL_VERSION,
        .manifest = o->manifest,
        .encryption_config = o->encryption_config,
        .url = o->apiserver,
        .others = o->other_apiservers.items,
        .other_count = o->other_apiservers.count,
        .ca_file = o->cacert,
        .token_file = o->token_file,
        .cert_file = o->cert,
        .key_file = o->key,
    };
    if (geteuid() != 0) {
        out_remark(o, "not run as root: what only root may look at is unknown");
    }
    k = o->fix ? doctor_fix(&q, &r, e) : doctor_run(&q, &r, e);
    k = k == KERR_OK ? print(o, &r, e) : k;
    return k == KERR_OK ? verdict(o, &r, e) : k;
}
