/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/doctor.h"

#include <stdlib.h>

#include "doctor/verdict.h"

void doctor_report_done(struct doctor_report *r)
{
    if (r->memory != NULL) {
        texts_done(r->memory);
        free(r->memory);
        r->memory = NULL;
    }
}

enum kerr doctor_run(const struct doctor_question *q, struct doctor_report *ret, struct kerrinfo *e)
{
    AUTO_FACTS f = {.q = q};
    AUTO_REPORT r = {0};
    struct texts *texts = calloc(1, sizeof *texts);
    if (texts == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a report");
    }
    r.memory = texts;
    enum kerr k = facts_gather(q, &f, e);
    if (k != KERR_OK) {
        return k;
    }
    doctor_judge(&f, &r, texts);
    /* What a judge passed on as it is belongs to the facts. */
    for (size_t i = 0; i < r.finding_count; i++) {
        r.findings[i].where = texts_keep(texts, bytes_of_text(r.findings[i].where));
        r.findings[i].cure = texts_keep(texts, bytes_of_text(r.findings[i].cure));
    }
    if (texts->has_failed || f.texts.has_failed) {
        return kerr_set(e, KERR_NOMEM, "no memory for a report");
    }
    *ret = r;
    r = (struct doctor_report){0};
    return KERR_OK;
}
