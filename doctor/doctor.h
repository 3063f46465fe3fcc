/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at the whole stack of this host and reports what is wrong with it: gathers facts, then runs
 * each check of one constant table over them. A check reads facts only, so it can be tested with
 * any; what it finds has a cure that can be typed in.
 *
 * Nothing is changed but by doctor_fix. Nothing secret is in a report. Asking the sockets starts a
 * daemon that systemd starts on demand, as kube-apiserver itself would.
 *
 * Codes: CONFIG, INPUT, LIMIT (exit 2) and IO (exit 3) for files that the caller named and that are
 * not what they should be; NOMEM. All else is a row of the report.
 *
 * One thread: the process takes the ids of another user while it connects as that user.
 */
#ifndef ETCDSEAL_DOCTOR_DOCTOR_H
#define ETCDSEAL_DOCTOR_DOCTOR_H

#include "config/config.h"
#include "keystore/ks.h"

#define DOCTOR_FINDINGS_MAX 128 /* more are not kept; the report says so */
#define DOCTOR_CHECKS_MAX   96
#define DOCTOR_TIMEOUT_MS   10000 /* of one request to the API server */

enum doctor_severity { DOCTOR_NOTE, DOCTOR_WARNING, DOCTOR_ERROR };
const char *doctor_severity_name(enum doctor_severity s); /* "note" */

/* What came of a check. */
enum doctor_result {
    DOCTOR_OK,
    DOCTOR_FOUND,   /* there is at least one finding */
    DOCTOR_UNKNOWN, /* could not be looked at */
    DOCTOR_SKIPPED, /* does not apply here, or follows from another row */
};

/* A check as people see it. */
struct doctor_about {
    const char *id; /* "keystore-opens"; its section in docs/doctor.md has the same name */
    const char *area;
    enum doctor_severity severity; /* of what it finds, unless the finding says otherwise */
    const char *why;               /* why a finding matters */
};
/* Row i of the table of checks, NULL beyond its end. */
const struct doctor_about *doctor_about_at(size_t i);

struct doctor_finding {
    const struct doctor_about *check;
    enum doctor_severity severity;
    const char *rule;  /* of the EncryptionConfiguration linter, or "" */
    const char *what;  /* one line */
    const char *where; /* "FILE:LINE:COLUMN", a path, a unit, an address; "" */
    const char *why;
    const char *cure; /* the command or line that cures it */
    const char *docs; /* "docs/doctor.md#keystore-opens" */
};

struct doctor_row {
    const struct doctor_about *check;
    enum doctor_result result;
    const char *about;                /* what was looked at, or why it was not; "" */
    const struct doctor_about *cause; /* of a skipped one: the check that tells why; NULL */
};

struct doctor_report {
    struct doctor_row rows[DOCTOR_CHECKS_MAX]; /* in the table's order */
    size_t row_count;
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX]; /* in the order of the rows */
    size_t finding_count;
    size_t left_out;         /* findings over the maximum */
    size_t count[3];         /* findings by severity */
    size_t unknown;          /* rows */
    const char *changes[64]; /* what doctor_fix did, one line each */
    size_t change_count;
    void *memory; /* what all the texts lie in */
};

/* What to look at; all borrowed for the call. */
#define DOCTOR_OTHERS_MAX 16

struct doctor_question {
    /* Our configuration: the file (NULL: there is none), and why it could not be read ("" when it
     * was). `config` holds the defaults then. */
    const char *config_file;
    const char *config_error;
    const struct config *config;
    const struct ks_place *place; /* without env.ask: nobody is asked */
    const char *status_socket;
    const char *version; /* of the tool */
    /* Named by the caller, or NULL. */
    const char *manifest;
    const char *encryption_config;
    const char *url;           /* of the API server */
    const char *const *others; /* of those of other nodes; reached with the same files */
    size_t other_count;        /* at most DOCTOR_OTHERS_MAX */
    const char *ca_file;
    const char *token_file;
    const char *cert_file;
    const char *key_file;
};

enum kerr doctor_run(const struct doctor_question *q, struct doctor_report *ret,
                     struct kerrinfo *e) MUST_CHECK;
/* Corrects modes and owners of our own files and folders where a check has found them wrong, never
 * through a link and never the content, then looks again: the report is that of the second look,
 * with `changes`. What could not be changed is found again. */
enum kerr doctor_fix(const struct doctor_question *q, struct doctor_report *ret,
                     struct kerrinfo *e) MUST_CHECK;
void doctor_report_done(struct doctor_report *r); /* all zero is fine */
#define AUTO_REPORT AUTO(doctor_report_done) struct doctor_report

#endif
