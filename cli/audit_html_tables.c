/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the page: what is encrypted, under which keys, and what is left over. */
#include <inttypes.h>
#include <string.h>

#include "cli/audit_html.h"
#include "cli/escape.h"

#define ROWS_MAX 2000 /* of a table; a browser shows no more with pleasure */

static void begin_section(struct audit_page *p, const char *id, const char *title, const char *lead)
{
    append_printf(&p->a,
                  "<section class=\"%s\" aria-labelledby=\"%s\">\n<h2 id=\"%s\">%s</h2>\n<p "
                  "class=\"lead\">%s</p>\n",
                  id, id, id, title, lead);
}

static void put_more(struct audit_page *p, size_t count)
{
    if (count > ROWS_MAX) {
        append_printf(&p->a,
                      "<p class=\"soft\">and %zu more, which stand in the other forms of this "
                      "report</p>\n",
                      count - ROWS_MAX);
    }
}

/* ---- coverage ---- */

static void put_bar(struct audit_page *p, const struct audit_resource *r)
{
    const struct audit_counts *c = &r->counts;
    uint64_t plaintext = c->classes[VALUE_PLAINTEXT];
    uint64_t readable = c->proved + c->unproved;
    uint64_t in_stale = r->is_expected ? plaintext : 0; /* stale too, and shown as what it is */
    uint64_t stale = c->stale > in_stale ? c->stale - in_stale : 0;
    uint64_t rest = plaintext + c->undecryptable + readable;
    const struct html_part parts[] = {
        {"good", "encrypted", readable > stale ? readable - stale : 0},
        {"wait", "encrypted, but stale", stale},
        {r->is_expected ? "bad" : "flat", "plaintext", plaintext},
        {"bad", "not to be decrypted", c->undecryptable},
        {"flat", "other", c->keys > rest ? c->keys - rest : 0},
    };
    append_text(&p->a, "<td>");
    html_bar(&p->a, parts, ARRAY_LEN(parts));
    append_text(&p->a, "</td>");
}

static void put_resource(struct audit_page *p, const struct audit_resource *r)
{
    char expected[AUDIT_TEXT_BYTES];
    bool has_expected = audit_expected(p->audit, r, expected, sizeof expected);
    const struct audit_counts *c = &r->counts;
    append_text(&p->a, "<tr><th scope=\"row\">");
    html_text(&p->a, r->name);
    append_text(&p->a, "</th>");
    html_cell(&p->a, has_expected ? expected : r->is_expected ? "encrypted" : NULL);
    put_bar(p, r);
    html_cell_number(&p->a, true, c->keys);
    html_cell_number(&p->a, true, audit_encrypted(c));
    html_cell_number(&p->a, true, c->proved);
    html_cell_number(&p->a, r->is_stale_known, c->stale);
    html_cell_number(&p->a, true, c->undecryptable);
    html_cell_number(&p->a, true, c->classes[VALUE_PLAINTEXT]);
    html_cell_number(&p->a, true, c->classes[VALUE_OTHER]);
    bool counts = r->is_expected || r->verdict == AUDIT_UNREADABLE;
    append_printf(&p->a, "<td><span class=\"chip %s\">%s</span></td></tr>\n",
                  counts ? audit_page_tone(r->verdict) : "flat", audit_verdict_names[r->verdict]);
}

/* Those that count for the verdict, or the others. */
static bool is_first(const struct audit_resource *r)
{
    return r->is_expected || r->verdict == AUDIT_UNREADABLE;
}

static size_t count_resources(const struct audit *a, bool are_first)
{
    size_t count = 0;
    for (size_t i = 0; i < a->resource_count; i++) {
        count += is_first(&a->resources[i]) == are_first;
    }
    return count;
}

static void put_resource_table(struct audit_page *p, bool are_first, const char *caption)
{
    static const struct html_column columns[] = {
        {"Resource", false}, {"Expected", false}, {"Coverage", false}, {"Keys", true},
        {"Encrypted", true}, {"Proved", true},    {"Stale", true},     {"Unreadable", true},
        {"Plaintext", true}, {"Other", true},     {"Verdict", false},
    };
    size_t shown = 0;
    html_table(&p->a, caption, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < p->audit->resource_count && shown < ROWS_MAX; i++) {
        if (is_first(&p->audit->resources[i]) == are_first) {
            put_resource(p, &p->audit->resources[i]);
            shown++;
            audit_drain(p->to, &p->a);
        }
    }
    html_table_end(&p->a);
    put_more(p, count_resources(p->audit, are_first));
}

static void put_bar_key(struct audit_page *p)
{
    static const struct {
        const char *tone;
        const char *what;
    } rows[] = {{"good", "encrypted"},
                {"wait", "encrypted, but stale"},
                {"bad", "plaintext that is expected encrypted, or not to be decrypted"},
                {"flat", "not expected to be encrypted, or other"}};
    append_text(&p->a, "<ul class=\"key\" aria-label=\"Colours of the bars\">");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        append_printf(&p->a,
                      "<li><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"%s\" "
                      "width=\"10\" height=\"10\"/></svg>%s</li>",
                      rows[i].tone, rows[i].what);
    }
    append_text(&p->a, "</ul>\n");
}

void audit_page_resources(struct audit_page *p)
{
    size_t first = count_resources(p->audit, true);
    size_t others = count_resources(p->audit, false);
    begin_section(
        p, "coverage", "Coverage by resource",
        "How the live keys of each resource are stored. &ldquo;Expected&rdquo; is what the "
        "EncryptionConfiguration writes it with.");
    if (first > 0) {
        put_resource_table(p, true, "Resources that count for the verdict");
        put_bar_key(p);
    } else {
        append_text(&p->a, "<p>Nothing is stored of what is expected to be encrypted.</p>\n");
    }
    if (others > 0) {
        append_printf(&p->a,
                      "<details><summary>Not expected to be encrypted: %zu"
                      "</summary>\n",
                      others);
        put_resource_table(p, false, "Other resources");
        append_text(&p->a, "</details>\n");
    }
    append_text(&p->a, "</section>\n");
}

/* ---- keys ---- */

static void put_key(struct audit_page *p, const struct audit_key_id *row)
{
    bool is_v2 = row->class_of == VALUE_KMSV2;
    char hash[AUDIT_HASH_TEXT_BYTES];
    audit_key_id_hash(row, hash);
    append_text(&p->a, "<tr><th scope=\"row\">");
    if (row->id.len > 0) {
        html_code(&p->a, row->id);
    } else {
        append_text(&p->a, "not stored");
    }
    if (*hash != 0) {
        append_text(&p->a, "<br><code class=\"hash\">");
        html_text(&p->a, hash);
        append_text(&p->a, "</code>");
    }
    append_text(&p->a, "</th><td>");
    escape_markup(&p->a, audit_provider_of(row));
    append_printf(&p->a, "</td><td>%s</td>", value_class_names[row->class_of]);
    html_cell_number(&p->a, true, row->objects);
    html_cell_number(&p->a, row->oldest > 0, row->oldest);
    html_cell_number(&p->a, row->newest > 0, row->newest);
    html_cell_number(&p->a, is_v2, row->seeds);
    html_cell_number(&p->a, true, row->proved);
    html_cell_number(&p->a, true, row->undecryptable);
    uint64_t left_over = 0;
    for (size_t i = 0; i < AUDIT_PLACE_COUNT; i++) {
        left_over += row->residue[i];
    }
    html_cell_number(&p->a, is_v2, left_over);
    append_text(&p->a, "</tr>\n");
}

static void put_plugins(struct audit_page *p)
{
    static const struct html_column columns[] = {
        {"Socket", false},     {"Provider", false}, {"Key id that it writes with", false},
        {"Unwrapped", true},   {"Refused", true},   {"Not asked", true},
        {"Last error", false},
    };
    html_table(&p->a, "KMS plugins that were asked, and the seeds that they unwrapped", columns,
               ARRAY_LEN(columns));
    for (size_t i = 0; i < p->audit->wanted.kms_count; i++) {
        const struct audit_kms_told *told = &p->audit->kms[i];
        append_text(&p->a, "<tr><th scope=\"row\">");
        html_code(&p->a, bytes_of_text(told->kms.socket));
        append_text(&p->a, "</th>");
        html_cell(&p->a, told->kms.provider == NULL ? "all" : told->kms.provider);
        html_cell(&p->a, told->key_id == NULL ? "it does not answer" : told->key_id);
        html_cell_number(&p->a, true, told->unwrapped);
        html_cell_number(&p->a, true, told->refused);
        html_cell_number(&p->a, true, told->unasked);
        html_cell(&p->a, told->why[0] == 0 ? NULL : told->why);
        append_text(&p->a, "</tr>\n");
    }
    html_table_end(&p->a);
}

void audit_page_keys(struct audit_page *p)
{
    static const struct html_column columns[] = {
        {"Key", false},       {"Provider", false}, {"Class", false}, {"Objects", true},
        {"Oldest", true},     {"Newest", true},    {"Seeds", true},  {"Proved", true},
        {"Unreadable", true}, {"Left over", true},
    };
    const struct audit *a = p->audit;
    begin_section(
        p, "keys", "Keys",
        "Under which keys values lie. A key with objects is still needed; one with values "
        "left over is needed by nobody who reads etcd, but by who wants an old copy back. "
        "Oldest and newest are the revisions at which objects under it were written, of all that "
        "etcd has had: etcd keeps no times. "
        "Seeds are what kube-apiserver has decrypted, one by one, after a start.");
    if (a->key_id_count > 0) {
        html_table(&p->a,
                   "Each key id and key name, with the hash that kube-apiserver's metrics show",
                   columns, ARRAY_LEN(columns));
        for (size_t i = 0; i < a->key_id_count && i < ROWS_MAX; i++) {
            put_key(p, &a->key_ids[i]);
            audit_drain(p->to, &p->a);
        }
        html_table_end(&p->a);
        put_more(p, a->key_id_count);
        if (a->by_rule[AUDIT_RULE_MANY_KEY_IDS] > 0) {
            append_printf(
                &p->a, "<p>%" PRIu64 " objects are under further key ids, counted together.</p>\n",
                a->other_keys.objects);
        }
    } else {
        append_text(&p->a, "<p>No value is encrypted.</p>\n");
    }
    if (p->audit->wanted.kms_count > 0) {
        put_plugins(p);
    }
    append_text(&p->a, "</section>\n");
}

/* ---- what is left over ---- */

/* "free_pages" becomes "free pages". */
static void put_place_name(struct audit_page *p, const char *name)
{
    for (; *name != 0; name++) {
        append_printf(&p->a, "%c", *name == '_' ? ' ' : *name);
    }
}

void audit_page_residue(struct audit_page *p)
{
    static const struct html_column columns[] = {
        {"Place", false}, {"Values", true}, {"Plaintext", true}, {"Cure", false}};
    begin_section(
        p, "residue", "What is left over",
        "etcd never writes over a value. Older ones stay in places that it no longer looks "
        "at, and in every copy of the file. Plaintext counts here where its resource is "
        "expected to be encrypted.");
    html_table(&p->a, "Older values in the source", columns, ARRAY_LEN(columns));
    for (unsigned i = 0; i < AUDIT_PLACE_COUNT; i++) {
        const struct audit_residue *found = &p->audit->residue[i];
        const char *cure = audit_rules[audit_place_rules[i]].cure;
        if (i == AUDIT_KINE_OLD_VALUE && !found->is_seen) {
            continue; /* etcd has none */
        }
        append_text(&p->a, "<tr><th scope=\"row\">");
        put_place_name(p, audit_place_names[i]);
        append_text(&p->a, "</th>");
        html_cell_number(&p->a, found->is_seen, found->values);
        html_cell_number(&p->a, found->is_seen, found->plaintext);
        html_cell(&p->a, !found->is_seen        ? "not looked at: the source does not show it"
                         : found->plaintext > 0 ? cure
                                                : "nothing to do");
        append_text(&p->a, "</tr>\n");
    }
    html_table_end(&p->a);
    append_text(&p->a, "</section>\n");
}
