/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit in words: tables for people, documents for programs, one form for each row of a table.
 * The JSON document's field names are schema "etcdseal.audit/1", described in docs/audit.md and
 * deploy/audit.schema.json: fields may be added, none is renamed or changes its meaning.
 *
 * A form is written in pieces, so that a million findings need no memory, and to one of three
 * places: standard output, a file, or with all the others into a folder. Files take their places
 * whole, those of a folder together. With --sign a signature lies beside each.
 */
#ifndef ETCDSEAL_CLI_AUDIT_REPORT_H
#define ETCDSEAL_CLI_AUDIT_REPORT_H

#include "base/outfile.h"
#include "cli/audit_source.h"
#include "cli/minisign.h"
#include "cli/out.h"

#define AUDIT_SCHEMA "etcdseal.audit/1"

struct audit_report {
    const struct options *options;
    const struct audit *audit;
    const struct audit_source *source;
    const struct json_value *older; /* the report of --diff; NULL: none */
    uint64_t started_s;
    uint64_t duration_ms;
};

/* ---- forms ---- */

/* What a form writes into. */
struct audit_sink {
    struct buf text;           /* not written yet */
    struct outfile *file;      /* NULL: standard output */
    struct hash_blake2b *hash; /* of what has left; NULL: not asked for */
    bool is_kept;              /* nothing leaves: the form is for this program itself */
};
/* What is in `text` leaves it. */
enum kerr audit_flush(struct audit_sink *to, struct kerrinfo *e) MUST_CHECK;

/* For writers that append: flushes when much has gathered. The failure is the appender's, or kept
 * there. */
void audit_drain(struct audit_sink *to, struct appender *a);

typedef enum kerr audit_write_fn(const struct audit_report *r, struct audit_sink *to,
                                 struct kerrinfo *e);

struct audit_format {
    const char *name; /* of --output */
    const char *file; /* in the folder of --report-dir; NULL: not there */
    mode_t mode;      /* of files: those without names of objects are for everybody */
    audit_write_fn *write;
};

audit_write_fn audit_write_table;
audit_write_fn audit_write_wide;
audit_write_fn audit_write_json;
audit_write_fn audit_write_yaml;
audit_write_fn audit_write_csv; /* a row for each resource */
audit_write_fn audit_write_csv_keys;
audit_write_fn audit_write_csv_findings;
audit_write_fn audit_write_sarif;
audit_write_fn audit_write_junit;
audit_write_fn audit_write_prometheus;
audit_write_fn audit_write_html;

/* What has changed since `older` (cli/audit_diff.h). */
audit_write_fn audit_write_diff_table;
audit_write_fn audit_write_diff_json;
audit_write_fn audit_write_diff_yaml;

/* One object (audit/object.h). */
audit_write_fn audit_write_object_table;
audit_write_fn audit_write_object_json;
audit_write_fn audit_write_object_yaml;
/* DENIED, with what to check, when the object that was asked for is not stored. */
enum kerr audit_object_absent(const struct audit *a, struct kerrinfo *e) MUST_CHECK;

/* The command line, quoted for a shell. */
void audit_put_command(struct appender *to, const struct options *o);

/* ---- places ---- */

/* Where the report of one run goes; open from before the audit, so that a folder which can't be
 * used is known before an hour of reading. */
struct audit_places {
    const struct audit_format *format;
    struct json_doc *older;        /* of --diff; read before anything is written over it */
    struct minisign_secret signer; /* of --sign */
    struct file_dir file_dir;      /* of --output-file */
    char *file_name;               /* NULL: standard output */
    struct file_dir report_dir;
};
#define AUDIT_PLACES_NONE                                                                          \
    ((struct audit_places){.file_dir = FILE_DIR_NONE, .report_dir = FILE_DIR_NONE})

/* Codes of base/file.h and cli/audit_diff.h; exit codes 1 and 4 speak of what was found, so DENIED
 * is IO here. `ret` is AUDIT_PLACES_NONE; clean with audit_places_done even on failure. */
enum kerr audit_places_open(const struct options *o, struct audit_places *ret,
                            struct kerrinfo *e) MUST_CHECK;
void audit_places_done(struct audit_places *p);
#define AUTO_AUDIT_PLACES AUTO(audit_places_done) struct audit_places

enum kerr audit_report_write(const struct audit_report *r, const struct audit_places *p,
                             struct kerrinfo *e) MUST_CHECK;

#endif
