/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal encryption-config …: kube-apiserver's EncryptionConfiguration. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/sarif.h"
#include "cli/setup.h"
#include "config/generate.h"
#include "config/lint.h"

#define SHOWN_FILE_BYTES 256

/* ---- check ---- */

static enum kerr print_text(const char *file, const struct lint_list *list, struct buf *to,
                            struct kerrinfo *e)
{
    char name[SHOWN_FILE_BYTES];
    enum kerr k = KERR_OK;
    text_escape(bytes_of_text(file), name, sizeof name);
    for (size_t i = 0; i < list->count && k == KERR_OK; i++) {
        const struct lint_finding *f = &list->items[i];
        const struct lint_rule_info *rule = &lint_rules[f->rule];
        k = buf_printf(to, e, "%s:%u:%u: %s: %s [%s]\n    cure: %s\n", name, f->line, f->column,
                       lint_severity_names[rule->severity], f->message, rule->id, f->cure);
    }
    return k;
}

static void put_finding(struct doc *d, const struct lint_finding *f)
{
    const struct lint_rule_info *rule = &lint_rules[f->rule];
    char page[sizeof LINT_PAGE + 64];
    (void)snprintf(page, sizeof page, "%s#%s", LINT_PAGE, rule->id);
    doc_object(d, NULL);
    doc_text(d, "rule", rule->id);
    doc_text(d, "severity", lint_severity_names[rule->severity]);
    doc_u64(d, "line", f->line);
    doc_u64(d, "column", f->column);
    doc_text(d, "message", f->message);
    doc_text(d, "cure", f->cure);
    doc_text(d, "refused_from", rule->refused_from);
    doc_text(d, "page", page);
    doc_close(d);
}

static enum kerr print_doc(const struct options *o, const char *file, const struct lint_list *list,
                           struct buf *to, struct kerrinfo *e)
{
    struct doc d = out_doc(o, to, e);
    doc_object(&d, NULL);
    doc_text(&d, "file", file);
    doc_bool(&d, "loads", !list->is_refused);
    doc_u64(&d, "errors", list->totals[LINT_ERROR]);
    doc_u64(&d, "warnings", list->totals[LINT_WARNING]);
    doc_u64(&d, "notes", list->totals[LINT_NOTE]);
    doc_array(&d, "findings");
    for (size_t i = 0; i < list->count; i++) {
        put_finding(&d, &list->items[i]);
    }
    doc_close(&d);
    doc_close(&d);
    return doc_end(&d);
}

static enum kerr print_findings(const struct options *o, const char *file,
                                const struct lint_list *list, struct kerrinfo *e)
{
    AUTO_BUF text;
    enum kerr k;
    buf_init(&text, DOC_MAX);
    if (strcmp(o->output, "sarif") == 0) {
        k = sarif_print(file, list, &text, e);
    } else if (out_is_doc(o)) {
        k = print_doc(o, file, list, &text, e);
    } else {
        k = print_text(file, list, &text, e);
    }
    return k == KERR_OK ? out_print(&text, e) : k;
}

/* The last line: a remark when all is well, else the cause of exit code 1. */
static enum kerr verdict(const struct options *o, const char *file, const struct lint_list *list,
                         struct kerrinfo *e)
{
    char name[SHOWN_FILE_BYTES];
    char line[KERRINFO_TEXT_MAX];
    size_t errors = list->totals[LINT_ERROR];
    size_t others = list->totals[LINT_WARNING] + list->totals[LINT_NOTE];
    text_escape(bytes_of_text(file), name, sizeof name);
    (void)snprintf(line, sizeof line,
                   "%s: %zu errors, %zu warnings, %zu notes; kube-apiserver %s%s", name, errors,
                   list->totals[LINT_WARNING], list->totals[LINT_NOTE],
                   list->is_refused ? "does not load it" : "loads it",
                   errors + others > 0 ? "; more on each: " LINT_PAGE : "");
    if (errors > 0 || (o->is_strict && others > 0)) {
        return kerr_set(e, KERR_DENIED, "%s", line);
    }
    out_remark(o, "%s", line);
    return KERR_OK;
}

/* What can't be read, and what can't be judged, is no finding about kube-apiserver. */
static enum kerr read_file(const char *path, struct encryption_config **ret, struct kerrinfo *e)
{
    enum kerr k = encryption_config_read(path, ret, e);
    if (k == KERR_CONFIG || k == KERR_LIMIT) {
        kerr_prefix(e, "not judged");
    }
    return k == KERR_DENIED ? KERR_IO : k; /* exit code 1 is for findings */
}

enum kerr cmd_encryption_config_check(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    const struct options *o = ctx;
    const char *file = call->args[0];
    const char *config_file = NULL;
    AUTO_CONFIG config = NULL;
    AUTO_ENCRYPTION_CONFIG ec = NULL;
    AUTO_LINT list = NULL;
    enum kerr k = setup_config(o, &config, &config_file, e);
    k = k == KERR_OK ? secret_start(config->memory_lock, e) : k;
    k = k == KERR_OK ? read_file(file, &ec, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    /* The default path of the socket is nobody's until a configuration says so. */
    struct lint_facts facts = {.socket_path = config_file == NULL ? NULL : config->socket_path};
    k = lint_encryption_config(ec, &facts, &list, e);
    k = k == KERR_OK ? print_findings(o, file, list, e) : k;
    return k == KERR_OK ? verdict(o, file, list, e) : k;
}

/* ---- generate ---- */

enum kerr cmd_encryption_config_generate(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    const struct options *o = ctx;
    const char *config_file = NULL;
    AUTO_CONFIG config = NULL;
    AUTO_BUF text;
    buf_init(&text, GENERATE_BYTES_MAX);
    if (o->stage == 0) {
        return kerr_set(
            e, KERR_USAGE,
            "say which stage with --stage: 1 all API servers learn to read the new form, "
            "2 they write it, 3 the old one is no longer accepted");
    }
    enum kerr k = setup_config(o, &config, &config_file, e);
    if (k != KERR_OK) {
        return k;
    }
    struct generate_values values = {
        .stage = (unsigned)o->stage,
        .socket_path = o->kms_socket == NULL ? config->socket_path : o->kms_socket,
        .provider_name = o->provider_name,
        .resources = o->resources.items,
        .resource_count = o->resources.count,
    };
    k = generate_encryption_config(call->args[0], &values, &text, e);
    return k == KERR_OK ? out_print(&text, e) : k;
}
