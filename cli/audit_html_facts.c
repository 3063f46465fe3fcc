/* SPDX-License-Identifier: Apache-2.0 */
/* Findings with their cures, and how the report was made. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "cli/audit_html.h"
#include "cli/escape.h"

#define OBJECTS_SHOWN    1000 /* of a rule, unless --max-findings says otherwise */
#define OBJECTS_OPEN     5    /* so many are shown unfolded */
#define COMMAND_LINE_MAX ((size_t)1 << 20)

/* ---- findings ---- */

static void put_object(struct audit_page *p, const struct audit_finding *f)
{
    struct audit_said said;
    audit_say(p->audit, f, &said);
    const char *detail = said.message + strlen(audit_rules[f->rule].message);
    detail += strncmp(detail, ": ", 2) == 0 ? 2 : 0;
    append_text(&p->a, "<li>");
    if (said.key.len > 0) {
        html_code(&p->a, said.key);
        append_printf(&p->a, " <span class=\"soft\">revision %" PRIu64 "</span>",
                      said.mod_revision);
    } else {
        html_text(&p->a, said.resource == NULL ? "" : said.resource);
    }
    if (*detail != 0) {
        append_text(&p->a, " <span class=\"soft\">");
        html_text(&p->a, detail);
        append_text(&p->a, "</span>");
    }
    append_text(&p->a, "</li>\n");
}

static void put_objects(struct audit_page *p, enum audit_rule rule)
{
    uint64_t wanted = p->r->options->max_findings;
    uint64_t all = p->audit->by_rule[rule];
    uint64_t max = wanted == 0 ? OBJECTS_SHOWN : wanted;
    uint64_t shown = 0;
    append_printf(&p->a, "<details%s><summary>Where: ", all <= OBJECTS_OPEN ? " open" : "");
    html_number(&p->a, all < max ? all : max);
    append_text(&p->a, " of ");
    html_number(&p->a, all);
    append_text(&p->a, "</summary><ul>\n");
    for (size_t i = 0; i <= p->audit->resource_count && shown < max; i++) {
        const struct audit_group *group = &p->groups.rows[i][rule];
        for (uint32_t j = 0; j < group->count && shown < max; j++, shown++) {
            put_object(p, &p->audit->findings[p->groups.order[group->first + j]]);
            audit_drain(p->to, &p->a);
        }
    }
    append_text(&p->a, "</ul></details>\n");
}

static void put_rule(struct audit_page *p, enum audit_rule rule)
{
    static const char *const tones[AUDIT_SEVERITY_COUNT] = {
        [AUDIT_ERROR] = "bad", [AUDIT_WARNING] = "wait", [AUDIT_NOTE] = "flat"};
    const struct audit_rule_info *info = &audit_rules[rule];
    append_printf(&p->a,
                  "<article class=\"finding %s\" aria-labelledby=\"found-%s\">\n"
                  "<h3 id=\"found-%s\"><span class=\"chip\">%s</span> %s <span class=\"count\">",
                  tones[info->severity], info->id, info->id, audit_severity_names[info->severity],
                  info->id);
    html_number(&p->a, p->audit->by_rule[rule]);
    append_text(&p->a, " found</span></h3>\n<p>");
    html_text(&p->a, info->message);
    append_text(&p->a, ".</p>\n<p><strong>Cure:</strong> ");
    html_text(&p->a, info->cure);
    append_text(&p->a, ".</p>\n");
    if (audit_scope_of(rule) == AUDIT_OF_RESOURCES) {
        put_objects(p, rule);
    }
    append_text(&p->a, "</article>\n");
}

void audit_page_findings(struct audit_page *p)
{
    append_text(&p->a,
                "<section aria-labelledby=\"findings\">\n<h2 id=\"findings\">Findings</h2>\n");
    if (p->audit->finding_count == 0) {
        append_text(&p->a, "<p class=\"lead\">None.</p>\n");
    }
    for (unsigned i = 0; i < AUDIT_RULE_COUNT; i++) {
        if (p->audit->by_rule[i] > 0) {
            put_rule(p, (enum audit_rule)i);
        }
    }
    append_text(&p->a, "</section>\n");
}

/* ---- how it was made ---- */

static void put_fact(struct audit_page *p, const char *name, const char *value)
{
    append_printf(&p->a, "<dt>%s</dt><dd>", name);
    html_text(&p->a, value);
    append_text(&p->a, "</dd>\n");
}

static void put_fact_number(struct audit_page *p, const char *name, uint64_t value)
{
    append_printf(&p->a, "<dt>%s</dt><dd>", name);
    html_number(&p->a, value);
    append_text(&p->a, "</dd>\n");
}

static void put_files(struct audit_page *p)
{
    for (size_t i = 0; i < p->r->source->count; i++) {
        const struct audit_file *file = &p->r->source->files[i];
        append_text(&p->a, "<dt>File</dt><dd>");
        html_code(&p->a, bytes_of_text(file->path));
        append_text(&p->a, ", ");
        html_number(&p->a, file->map.data.len);
        append_text(&p->a, " bytes<br><span class=\"soft\">SHA-256</span> ");
        if (*file->sha256 != 0) {
            html_code(&p->a, bytes_of_text(file->sha256));
        } else {
            append_text(&p->a, "not asked for, with --digest");
        }
        append_text(&p->a, "</dd>\n");
    }
}

static void put_command(struct audit_page *p)
{
    AUTO_BUF line;
    buf_init(&line, COMMAND_LINE_MAX);
    struct appender a = appender_on(&line, p->a.e);
    audit_put_command(&a, p->r->options);
    p->a.k = p->a.k == KERR_OK ? a.k : p->a.k;
    append_text(&p->a, "<dt>Command</dt><dd>");
    html_code(&p->a, buf_view(&line));
    append_text(&p->a, "</dd>\n");
}

/* What a running etcd says of itself. */
static void put_live(struct audit_page *p, const struct audit_source *source)
{
    if (source->live == NULL) {
        return;
    }
    const struct etcd_status *s = &source->live->status;
    put_fact(p, "Endpoint", etcd_endpoint(source->etcd));
    put_fact(p, s->is_kine ? "kine, as etcd" : "etcd", s->version);
    if (!s->is_kine) {
        append_printf(&p->a, "<dt>Cluster and member</dt><dd>%" PRIx64 ", %" PRIx64 "</dd>\n",
                      s->cluster_id, s->member_id);
    }
    put_fact_number(p, "Bytes of its database", s->db_size);
    put_fact_number(p, "Of them in use", s->db_size_in_use);
    put_fact_number(p, "Revisions that were read", source->live->revision_count);
}

static void put_prefixes(struct audit_page *p)
{
    append_text(&p->a, "<dt>Prefixes</dt><dd>");
    for (size_t i = 0; i < p->audit->prefix_count; i++) {
        append_text(&p->a, i == 0 ? "" : " ");
        html_code(&p->a, p->audit->prefixes[i]);
    }
    append_text(&p->a, "</dd>\n");
}

void audit_page_facts(struct audit_page *p)
{
    const struct audit_source *source = p->r->source;
    char time[CLOCK_TEXT_BYTES];
    clock_format_s(p->r->started_s, time);
    append_text(&p->a,
                "<section aria-labelledby=\"facts\">\n<h2 id=\"facts\">How it was made</h2>\n"
                "<dl class=\"facts\">\n");
    put_command(p);
    put_fact(p, "Begun", time);
    append_printf(&p->a, "<dt>Took</dt><dd>%" PRIu64 ".%03u s</dd>\n", p->r->duration_ms / 1000,
                  (unsigned)(p->r->duration_ms % 1000));
    put_fact(p, "Version", "etcdseal " ETCDSEAL_VERSION);
    put_fact(p, "Source", source->kind_name);
    put_fact(p, "Named", source->name);
    put_files(p);
    put_live(p, source);
    put_fact_number(p, "Revision", source->found.revision);
    put_fact_number(p, "Compacted to", source->found.compact_revision);
    if (source->found.has_records) {
        put_fact_number(p, "Records", source->found.record_count);
        put_fact_number(p, "Tombstones", source->found.tombstone_count);
    }
    put_prefixes(p);
    put_fact(p, "EncryptionConfiguration",
             p->r->options->encryption_config == NULL ? "none: Secrets are expected to be encrypted"
                                                      : p->r->options->encryption_config);
    put_fact(p, "Key id that writes now",
             p->audit->wanted.current_key == NULL ? "not given" : p->audit->wanted.current_key);
    append_text(&p->a, "</dl>\n</section>\n");
}
