/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of an audit's report, and where they go. */
#include "cli/audit_report.h"

#include <stdlib.h>
#include <string.h>

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

static enum kerr find_format(const struct options *o, const struct audit_format **ret,
                             struct kerrinfo *e)
{
    const struct audit_format *rows = o->diff == NULL ? formats : diff_formats;
    size_t count = o->diff == NULL ? ARRAY_LEN(formats) : ARRAY_LEN(diff_formats);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, o->output) == 0) {
            *ret = &rows[i];
            return KERR_OK;
        }
    }
    return kerr_set(e, KERR_USAGE, "--diff is printed as table, json or yaml, not as %s",
                    o->output);
}

enum kerr audit_flush(struct audit_sink *to, struct kerrinfo *e)
{
    if (to->is_kept) {
        return KERR_OK;
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
                            struct outfile *file, struct kerrinfo *e)
{
    struct audit_sink to = {.file = file};
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

enum kerr audit_places_open(const struct options *o, struct audit_places *ret, struct kerrinfo *e)
{
    AUTO_TEXT folder = NULL;
    enum kerr k = find_format(o, &ret->format, e);
    if (k == KERR_OK && o->diff != NULL) {
        k = audit_diff_read(o->diff, &ret->older, e);
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
    free(p->file_name);
    *p = AUDIT_PLACES_NONE;
}

static enum kerr write_file(const struct audit_report *r, const struct audit_format *format,
                            const struct file_dir *dir, const char *name, struct outfile *file,
                            struct kerrinfo *e)
{
    enum kerr k = outfile_begin(dir, name, format->mode, file, e);
    k = k == KERR_OK ? write_form(format, r, file, e) : k;
    return k == KERR_OK ? outfile_sync(file, e) : k;
}

static enum kerr write_one(const struct audit_report *r, const struct audit_places *p,
                           struct kerrinfo *e)
{
    AUTO_OUTFILE file = OUTFILE_NONE;
    if (p->file_name == NULL) {
        return write_form(p->format, r, NULL, e);
    }
    enum kerr k = write_file(r, p->format, &p->file_dir, p->file_name, &file, e);
    return k == KERR_OK ? outfile_place(&file, e) : k;
}

/* All are written before the first takes its place: they tell of one audit. */
static enum kerr write_all(const struct audit_report *r, const struct file_dir *dir,
                           struct kerrinfo *e)
{
    struct outfile files[ARRAY_LEN(formats)];
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        files[i] = OUTFILE_NONE;
        if (k == KERR_OK && formats[i].file != NULL) {
            k = write_file(r, &formats[i], dir, formats[i].file, &files[i], e);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        k = k == KERR_OK && files[i].dir != NULL ? outfile_place(&files[i], e) : k;
        outfile_done(&files[i]);
    }
    return k;
}

enum kerr audit_report_write(const struct audit_report *r, const struct audit_places *p,
                             struct kerrinfo *e)
{
    enum kerr k = p->report_dir.path == NULL ? KERR_OK : write_all(r, &p->report_dir, e);
    k = k == KERR_OK ? write_one(r, p, e) : k;
    return unwritten(k);
}
