/* SPDX-License-Identifier: Apache-2.0 */
/* Source: docs.oasis-open.org/sarif/sarif/v2.1.0 */
#include "cli/sarif.h"

#include <string.h>

#define SARIF_SCHEMA "https://json.schemastore.org/sarif-2.1.0.json"
#define URI_MAX      (3 * 4096 + 1)

void sarif_put_message(struct json_writer *w, const char *key, const char *text)
{
    json_put_object(w, key);
    json_put_text(w, "text", text);
    json_put_close(w);
}

enum kerr sarif_put_file(struct json_writer *w, const char *file, struct kerrinfo *e)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    AUTO_BUF uri;
    buf_init(&uri, URI_MAX);
    enum kerr k = buf_put_text(&uri, *file == '/' ? "file://" : "", e);
    for (const char *p = file; *p != 0 && k == KERR_OK; p++) {
        bool is_plain = strchr(plain, *p) != NULL;
        k = buf_printf(&uri, e, is_plain ? "%c" : "%%%02X", (unsigned char)*p);
    }
    const char *text = NULL;
    k = k == KERR_OK ? buf_text(&uri, &text, e) : k;
    if (k == KERR_OK) {
        json_put_object(w, "artifactLocation");
        json_put_text(w, "uri", text);
        json_put_close(w);
    }
    return k;
}

static void put_rule(struct json_writer *w, const struct sarif_rule *rule)
{
    json_put_object(w, NULL);
    json_put_text(w, "id", rule->id);
    sarif_put_message(w, "shortDescription", rule->what);
    sarif_put_message(w, "help", rule->cure);
    json_put_object(w, "defaultConfiguration");
    json_put_text(w, "level", rule->level);
    json_put_close(w);
    json_put_close(w);
}

void sarif_begin(struct json_writer *w, const struct sarif_rule *rules, size_t count)
{
    json_put_object(w, NULL);
    json_put_text(w, "$schema", SARIF_SCHEMA);
    json_put_text(w, "version", "2.1.0");
    json_put_array(w, "runs");
    json_put_object(w, NULL);
    json_put_object(w, "tool");
    json_put_object(w, "driver");
    json_put_text(w, "name", "etcdseal");
    json_put_text(w, "version", ETCDSEAL_VERSION);
    json_put_array(w, "rules");
    for (size_t i = 0; i < count; i++) {
        put_rule(w, &rules[i]);
    }
    json_put_close(w);
    json_put_close(w);
    json_put_close(w);
    json_put_text(w, "columnKind", "unicodeCodePoints");
}

/* ---- findings about a file ---- */

static enum kerr put_location(struct json_writer *w, const char *file, const struct lint_finding *f,
                              struct kerrinfo *e)
{
    json_put_array(w, "locations");
    json_put_object(w, NULL);
    json_put_object(w, "physicalLocation");
    enum kerr k = sarif_put_file(w, file, e);
    json_put_object(w, "region");
    json_put_u64(w, "startLine", f->line);
    json_put_u64(w, "startColumn", f->column);
    json_put_close(w);
    json_put_close(w);
    json_put_close(w);
    json_put_close(w);
    return k;
}

static enum kerr put_result(struct json_writer *w, const char *file, const struct lint_finding *f,
                            struct kerrinfo *e)
{
    AUTO_BUF message;
    const char *text = NULL;
    buf_init(&message, 2 * (size_t)LINT_TEXT_MAX);
    enum kerr k = buf_printf(&message, e, "%s. Cure: %s", f->message, f->cure);
    k = k == KERR_OK ? buf_text(&message, &text, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    json_put_object(w, NULL);
    json_put_text(w, "ruleId", lint_rules[f->rule].id);
    json_put_u64(w, "ruleIndex", f->rule);
    json_put_text(w, "level", lint_severity_names[lint_rules[f->rule].severity]);
    sarif_put_message(w, "message", text);
    k = put_location(w, file, f, e);
    json_put_close(w);
    return k;
}

enum kerr sarif_print(const char *file, const struct lint_list *list, struct buf *to,
                      struct kerrinfo *e)
{
    struct sarif_rule rules[LINT_RULE_COUNT];
    for (size_t i = 0; i < LINT_RULE_COUNT; i++) {
        const struct lint_rule_info *rule = &lint_rules[i];
        rules[i] = (struct sarif_rule){rule->id, rule->what, rule->cure,
                                       lint_severity_names[rule->severity]};
    }
    struct json_writer w = json_on(to, e);
    sarif_begin(&w, rules, LINT_RULE_COUNT);
    json_put_array(&w, "results");
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < list->count && k == KERR_OK; i++) {
        k = put_result(&w, file, &list->items[i], e);
    }
    return k == KERR_OK ? json_end(&w) : k;
}
