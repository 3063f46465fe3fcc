/* SPDX-License-Identifier: Apache-2.0 */
/* The audit as SARIF 2.1.0: one result for each rule and resource, not for each object, because
 * code hosts take some thousand results and a cluster may have more. Its fingerprint is made of
 * rule, resource and what writes the resource, so that a result stays the same while its number
 * changes. */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/audit_facts.h"
#include "cli/audit_report.h"
#include "cli/escape.h"
#include "cli/sarif.h"

#define MESSAGE_MAX       ((size_t)8192) /* a resource's name, each byte four characters twice */
#define COMMAND_LINE_MAX  ((size_t)1 << 20)
#define FINGERPRINT_NAME  "etcdsealAudit/v1"
#define FINGERPRINT_BYTES (2 * (size_t)HASH_BYTES + 1)

struct result {
    enum audit_rule rule;
    const struct audit_resource *resource; /* NULL: about the whole */
    uint64_t count;
};

static void put_message(struct json_writer *w, const struct result *found)
{
    const struct audit_rule_info *info = &audit_rules[found->rule];
    AUTO_BUF message;
    const char *text = NULL;
    buf_init(&message, MESSAGE_MAX);
    struct appender a = appender_on(&message, w->e);
    if (found->resource != NULL) {
        escape_sarif(&a, bytes_of_text(found->resource->name));
        append_printf(&a, ": %" PRIu64 ": ", found->count);
    }
    append_printf(&a, "%s. Cure: %s", info->message, info->cure);
    w->k = w->k == KERR_OK ? a.k : w->k;
    w->k = w->k == KERR_OK ? buf_text(&message, &text, w->e) : w->k;
    if (w->k == KERR_OK) {
        sarif_put_message(w, "message", text);
    }
}

static void put_fingerprint(struct json_writer *w, const struct audit *a,
                            const struct result *found)
{
    char writer[AUDIT_TEXT_BYTES] = "";
    char all[AUDIT_TEXT_BYTES + AUDIT_NAME_BYTES + 64];
    char text[FINGERPRINT_BYTES];
    uint8_t hash[HASH_BYTES];
    if (found->resource != NULL) {
        (void)audit_expected(a, found->resource, writer, sizeof writer);
    }
    (void)snprintf(all, sizeof all, "%s\n%s\n%s", audit_rules[found->rule].id,
                   found->resource == NULL ? "" : found->resource->name, writer);
    hash_sha256(bytes_of_text(all), hash);
    text_hex(BYTES_OF(hash), text);
    json_put_object(w, "partialFingerprints");
    json_put_text(w, FINGERPRINT_NAME, text);
    json_put_close(w);
}

/* The file, where there is one, and the resource in it. */
static void put_location(struct json_writer *w, const struct audit_report *r,
                         const struct result *found)
{
    json_put_array(w, "locations");
    json_put_object(w, NULL);
    if (r->source->count > 0) {
        json_put_object(w, "physicalLocation");
        enum kerr k = sarif_put_file(w, r->source->files[0].path, w->e);
        w->k = w->k == KERR_OK ? k : w->k;
        json_put_close(w);
    }
    if (found->resource != NULL) {
        json_put_array(w, "logicalLocations");
        json_put_object(w, NULL);
        json_put_text(w, "fullyQualifiedName", found->resource->name);
        json_put_text(w, "kind", "resource");
        json_put_close(w);
        json_put_close(w);
    }
    json_put_close(w);
    json_put_close(w);
}

static void put_result(struct json_writer *w, const struct audit_report *r,
                       const struct result *found)
{
    json_put_object(w, NULL);
    json_put_text(w, "ruleId", audit_rules[found->rule].id);
    json_put_u64(w, "ruleIndex", found->rule);
    json_put_text(w, "level", audit_severity_names[audit_rules[found->rule].severity]);
    put_message(w, found);
    put_location(w, r, found);
    json_put_u64(w, "occurrenceCount", found->count);
    put_fingerprint(w, r->audit, found);
    json_put_close(w);
}

static void put_invocation(struct json_writer *w, const struct audit_report *r)
{
    AUTO_BUF line;
    const char *text = NULL;
    buf_init(&line, COMMAND_LINE_MAX);
    struct appender a = appender_on(&line, w->e);
    audit_put_command(&a, r->options);
    w->k = w->k == KERR_OK ? a.k : w->k;
    w->k = w->k == KERR_OK ? buf_text(&line, &text, w->e) : w->k;
    json_put_array(w, "invocations");
    json_put_object(w, NULL);
    json_put_text(w, "commandLine", text);
    json_put_time(w, "startTimeUtc", r->started_s);
    json_put_bool(w, "executionSuccessful", !r->source->is_partial);
    json_put_close(w);
    json_put_close(w);
}

/* A failure to write is the JSON writer's, which is checked at the end. */
static void flush(struct json_writer *w, struct audit_sink *to)
{
    if (w->k == KERR_OK && to->text.len > DOC_MAX / 2) {
        w->k = audit_flush(to, w->e);
    }
}

static void put_results(struct json_writer *w, const struct audit_report *r,
                        const struct audit_groups *groups, struct audit_sink *to)
{
    const struct audit *a = r->audit;
    for (size_t i = 0; i <= a->resource_count; i++, flush(w, to)) {
        for (unsigned j = 0; j < AUDIT_RULE_COUNT && w->k == KERR_OK; j++) {
            struct result found = {(enum audit_rule)j,
                                   i < a->resource_count ? &a->resources[i] : NULL,
                                   groups->rows[i][j].count};
            if (found.count > 0) {
                put_result(w, r, &found);
            }
        }
    }
}

enum kerr audit_write_sarif(const struct audit_report *r, struct audit_sink *to, struct kerrinfo *e)
{
    AUTO_AUDIT_GROUPS groups = {.rows = NULL};
    struct sarif_rule rules[AUDIT_RULE_COUNT];
    enum kerr k = audit_groups_make(r->audit, &groups, e);
    if (k != KERR_OK) {
        return k;
    }
    for (size_t i = 0; i < AUDIT_RULE_COUNT; i++) {
        const struct audit_rule_info *rule = &audit_rules[i];
        rules[i] = (struct sarif_rule){rule->id, rule->message, rule->cure,
                                       audit_severity_names[rule->severity]};
    }
    struct json_writer w = json_on(&to->text, e);
    sarif_begin(&w, rules, AUDIT_RULE_COUNT);
    put_invocation(&w, r);
    json_put_array(&w, "results");
    put_results(&w, r, &groups, to);
    return json_end(&w);
}
