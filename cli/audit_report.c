/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of an audit's report, and where they go. */
#include "cli/audit_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/audit_diff.h"
#include "cli/escape.h"

#define FOR_READERS   0640 /* it names objects */
#define FOR_EVERYBODY 0644 /* node_exporter is another user */

static const struct audit_format formats[] = {
    {"table", NULL, FOR_READERS, audit_write_table},
    {"wide", "report.txt", FOR_READERS, audit_write_wide},
    {"json", "report.json", FOR_READERS, audit_write_json},
    {"yaml", "report.yaml", FOR_READERS, audit_write_yaml},
    {"csv", "report.csv", FOR_READERS, audit_write_csv},
    {"csv-keys", "keys.csv", FOR_READERS, audit_write_csv_keys},
    {"csv-findings", "findings.csv", FOR_READERS, audit_write_csv_findings},
    {"sarif", "report.sarif", FOR_READERS, audit_write_sarif},
    {"junit", "report.junit.xml", FOR_READERS, audit_write_junit},
    {"prometheus", "report.prom", FOR_EVERYBODY, audit_write_prometheus},
    {"html", "report.html", FOR_READERS, audit_write_html},
};

static const struct audit_format diff_formats[] = {
    {"table", NULL, FOR_READERS, audit_write_diff_table},
    {"json", NULL, FOR_READERS, audit_write_diff_json},
    {"yaml", NULL, FOR_READERS, audit_write_diff_yaml},
};

static const struct audit_format object_formats[] = {
    {"table", NULL, FOR_READERS, audit_write_object_table},
    {"json", NULL, FOR_READERS, audit_write_object_json},
    {"yaml", NULL, FOR_READERS, audit_write_object_yaml},
};

static enum kerr find_format(const struct options *o, const struct audit_format **ret,
                             struct kerrinfo *e)
{
    const struct audit_format *rows = o->object != NULL ? object_formats
                                      : o->diff != NULL ? diff_formats
                                                        : formats;
    size_t count = o->object != NULL ? ARRAY_LEN(object_formats)
                   : o->diff != NULL ? ARRAY_LEN(diff_formats)
                                     : ARRAY_LEN(formats);
    if (o->object != NULL && (o->diff != NULL || o->report_dir != NULL)) {
        return kerr_set(e, KERR_USAGE, "--object shows one object: %s is for a whole audit",
                        o->diff != NULL ? "--diff" : "--report-dir");
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, o->output) == 0) {
            *ret = &rows[i];
            return KERR_OK;
        }
    }
    return kerr_set(e, KERR_USAGE, "%s is printed as table, json or yaml, not as %s",
                    o->object != NULL ? "--object" : "--diff", o->output);
}

enum kerr audit_flush(struct audit_sink *to, struct kerrinfo *e)
{
    if (to->is_kept) {
        return KERR_OK;
    }
    if (to->hash != NULL) {
        hash_blake2b_add(to->hash, buf_view(&to->text));
    }
    enum kerr k =
        to->file == NULL ? out_print(&to->text, e) : outfile_put(to->file, buf_view(&to->text), e);
    to->text.len = 0;
    return k;
}

void audit_drain(struct audit_sink *to, struct appender *a)
{
    if (a->k == KERR_OK && to->text.len > DOC_MAX / 2) {
        a->k = audit_flush(to, a->e);
    }
}

void audit_put_command(struct appender *to, const struct options *o)
{
    for (size_t i = 0; i < o->word_count; i++) {
        append_text(to, i == 0 ? "" : " ");
        escape_shell(to, bytes_of_text(o->words[i]));
    }
}

static enum kerr write_form(const struct audit_format *format, const struct audit_report *r,
                            struct outfile *file, struct hash_blake2b *hash, struct kerrinfo *e)
{
    struct audit_sink to = {.file = file, .hash = hash};
    buf_init(&to.text, DOC_MAX);
    enum kerr k = format->write(r, &to, e);
    k = k == KERR_OK ? audit_flush(&to, e) : k;
    buf_done(&to.text);
    return k;
}

/* ---- places ---- */

static enum kerr unwritten(enum kerr k)
{
    int code = kerr_exit_code(k);
    return code == 1 || code == 4 ? KERR_IO : k;
}

static enum kerr read_signer(const struct options *o, struct audit_places *to, struct kerrinfo *e)
{
    if (o->output_file == NULL && o->report_dir == NULL) {
        return kerr_set(e, KERR_USAGE,
                        "--sign writes a signature beside a file: it needs --output-file or "
                        "--report-dir");
    }
    enum kerr k = secret_start(SECRET_LOCK_BEST_EFFORT, e);
    return k == KERR_OK ? minisign_read_secret(o->sign, &to->signer, e) : k;
}

enum kerr audit_places_open(const struct options *o, struct audit_places *ret, struct kerrinfo *e)
{
    AUTO_TEXT folder = NULL;
    enum kerr k = find_format(o, &ret->format, e);
    if (k == KERR_OK && o->diff != NULL) {
        k = audit_diff_read(o->diff, &ret->older, e);
    }
    if (k == KERR_OK && o->sign != NULL) {
        k = read_signer(o, ret, e);
    }
    if (k == KERR_OK && o->output_file != NULL) {
        k = file_split(o->output_file, &folder, &ret->file_name, e);
        k = k == KERR_OK ? file_dir_open(folder, &ret->file_dir, e) : k;
    }
    if (k == KERR_OK && o->report_dir != NULL) {
        k = file_dir_make(o->report_dir, &ret->report_dir, e);
    }
    return unwritten(k);
}

void audit_places_done(struct audit_places *p)
{
    file_dir_close(&p->file_dir);
    file_dir_close(&p->report_dir);
    json_doc_free(p->older);
    minisign_secret_done(&p->signer);
    free(p->file_name);
    *p = AUDIT_PLACES_NONE;
}

/* A report and, when it is signed, its signature: written, and not in their places yet. */
struct written {
    struct outfile report;
    struct outfile signature;
};
#define WRITTEN_NONE ((struct written){OUTFILE_NONE, OUTFILE_NONE})

static void written_done(struct written *w)
{
    outfile_done(&w->report);
    outfile_done(&w->signature);
}
#define AUTO_WRITTEN AUTO(written_done) struct written

/* As minisign writes its comments, with the verdict behind. */
static enum kerr put_signature(const struct audit_report *r, const struct audit_places *p,
                               const char *name, struct hash_blake2b *hash, struct buf *to,
                               struct kerrinfo *e)
{
    uint8_t digest[HASH_BLAKE2B_BYTES];
    char shown[NAME_MAX + 1];
    char comment[NAME_MAX + 128];
    text_escape(bytes_of_text(name), shown, sizeof shown);
    (void)snprintf(comment, sizeof comment, "timestamp:%" PRIu64 "\tfile:%s\thashed\tverdict:%s%s",
                   clock_wall_s(), shown, audit_verdict_names[r->audit->verdict],
                   r->audit->has_residue ? " with RESIDUE" : "");
    hash_blake2b_end(hash, digest);
    return minisign_sign(&p->signer, digest, comment, to, e);
}

static enum kerr sign_file(const struct audit_report *r, const struct audit_places *p,
                           struct hash_blake2b *hash, struct written *w, mode_t mode,
                           struct kerrinfo *e)
{
    AUTO_BUF text;
    char name[sizeof w->report.name + sizeof MINISIGN_SUFFIX];
    buf_init(&text, MINISIGN_FILE_MAX);
    (void)snprintf(name, sizeof name, "%s" MINISIGN_SUFFIX, w->report.name);
    enum kerr k = put_signature(r, p, w->report.name, hash, &text, e);
    k = k == KERR_OK ? outfile_begin(w->report.dir, name, mode, &w->signature, e) : k;
    k = k == KERR_OK ? outfile_put(&w->signature, buf_view(&text), e) : k;
    return k == KERR_OK ? outfile_sync(&w->signature, e) : k;
}

static enum kerr write_file(const struct audit_report *r, const struct audit_places *p,
                            const struct audit_format *format, const struct file_dir *dir,
                            const char *name, struct written *w, struct kerrinfo *e)
{
    struct hash_blake2b hash;
    hash_blake2b_begin(&hash);
    enum kerr k = outfile_begin(dir, name, format->mode, &w->report, e);
    k = k == KERR_OK ? write_form(format, r, &w->report, &hash, e) : k;
    k = k == KERR_OK ? outfile_sync(&w->report, e) : k;
    return k == KERR_OK && p->signer.seed != NULL ? sign_file(r, p, &hash, w, format->mode, e) : k;
}

static enum kerr place(struct written *w, struct kerrinfo *e)
{
    enum kerr k = w->report.dir == NULL ? KERR_OK : outfile_place(&w->report, e);
    return k == KERR_OK && w->signature.dir != NULL ? outfile_place(&w->signature, e) : k;
}

static enum kerr write_one(const struct audit_report *r, const struct audit_places *p,
                           struct kerrinfo *e)
{
    AUTO_WRITTEN w = WRITTEN_NONE;
    if (p->file_name == NULL) {
        return write_form(p->format, r, NULL, NULL, e);
    }
    enum kerr k = write_file(r, p, p->format, &p->file_dir, p->file_name, &w, e);
    return k == KERR_OK ? place(&w, e) : k;
}

/* All are written before the first takes its place: they tell of one audit. */
static enum kerr write_all(const struct audit_report *r, const struct audit_places *p,
                           struct kerrinfo *e)
{
    struct written files[ARRAY_LEN(formats)];
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        files[i] = WRITTEN_NONE;
        if (k == KERR_OK && formats[i].file != NULL) {
            k = write_file(r, p, &formats[i], &p->report_dir, formats[i].file, &files[i], e);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        k = k == KERR_OK ? place(&files[i], e) : k;
        written_done(&files[i]);
    }
    return k;
}

enum kerr audit_report_write(const struct audit_report *r, const struct audit_places *p,
                             struct kerrinfo *e)
{
    enum kerr k = p->report_dir.path == NULL ? KERR_OK : write_all(r, p, e);
    k = k == KERR_OK ? write_one(r, p, e) : k;
    return unwritten(k);
}
