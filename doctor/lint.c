/* SPDX-License-Identifier: Apache-2.0 */
/* The EncryptionConfiguration itself. The one place that knows the linter's rules. Whether a
 * provider leads to our socket is judged here and not there, since only here mounts are known. */
#include "config/lint.h"

#include <string.h>

#include "doctor/verdict.h"

static enum doctor_severity severity_of(enum lint_severity s)
{
    static const enum doctor_severity ours[LINT_SEVERITY_COUNT] = {
        [LINT_ERROR] = DOCTOR_ERROR, [LINT_WARNING] = DOCTOR_WARNING, [LINT_NOTE] = DOCTOR_NOTE};
    return ours[s];
}

/* The linter's findings, of what does not load or of all else. */
static void pass_on(const struct facts *f, struct verdict *v, bool is_refused)
{
    const struct fact_apiserver *a = &f->apiserver;
    for (size_t i = 0; a->lint != NULL && i < a->lint->count; i++) {
        const struct lint_finding *x = &a->lint->items[i];
        const struct lint_rule_info *rule = &lint_rules[x->rule];
        if ((rule->refused_from != NULL) != is_refused) {
            continue;
        }
        struct doctor_finding finding = {
            .severity = severity_of(rule->severity),
            .rule = rule->id,
            .what = verdict_text(v, "%s", x->message),
            .where = verdict_text(v, "%s:%u:%u", a->config_file, x->line, x->column),
            .why = v->row->check->why,
            .cure = x->cure,
            .docs = verdict_text(v, "%s#%s", LINT_PAGE, rule->id),
        };
        verdict_add(v, &finding);
    }
}

JUDGE(encryption_config_loads)
{
    const struct fact_apiserver *a = &f->apiserver;
    if (a->config_look == LOOK_NO) {
        verdict_skip(v, "its path is not known");
    } else if (a->config_look == LOOK_FAILED && a->is_config_forbidden) {
        verdict_unknown(v, "%s", a->config_error);
    } else if (a->config_look == LOOK_FAILED) {
        verdict_found(v, a->config_file, "etcdseal encryption-config generate everything", "%s",
                      a->config_error);
    } else {
        verdict_ok(v, "%s", a->config_file);
        pass_on(f, v, true);
    }
}

JUDGE(encryption_config)
{
    if (f->apiserver.config_look == LOOK_NO) {
        verdict_skip(v, "its path is not known");
    } else {
        pass_on(f, v, false);
    }
}

JUDGE(encryption_config_endpoint)
{
    const struct fact_apiserver *a = &f->apiserver;
    if (a->config_look != LOOK_DONE || *a->socket_inside == 0) {
        verdict_skip(v, a->config_look != LOOK_DONE ? "its path is not known"
                                                    : "see apiserver-socket-mount");
    } else if (a->ours == NULL) {
        verdict_found(v, a->config_file,
                      verdict_text(v, "endpoint: unix://%s  and  apiVersion: v2", a->socket_inside),
                      "no KMS v2 provider has an endpoint that leads to %s", f->socket.path);
    } else {
        verdict_ok(v, "%s", a->ours->endpoint.text);
    }
}
