/* SPDX-License-Identifier: Apache-2.0 */
/* The report as one page without scripts and without anything from elsewhere: what its own policy
 * forbids. Verdict first. */
#include "cli/audit_html.h"

#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "cli/escape.h"

static const struct {
    const char *tone;
    const char *sentence;
} verdicts[AUDIT_VERDICT_COUNT] = {
    [AUDIT_NONE] = {"flat", "Nothing is stored of what is expected to be encrypted."},
    [AUDIT_ENCRYPTED] = {"good", "Everything that is expected to be encrypted is, by what writes "
                                 "now as far as that is known."},
    [AUDIT_PENDING] = {"wait", "Everything that is expected to be encrypted is, but some of it not "
                               "by the provider and key that write now."},
    [AUDIT_PARTIAL] = {"bad",
                       "Of what is expected to be encrypted, some is and some is plaintext."},
    [AUDIT_PLAINTEXT] = {"bad", "Nothing of what is expected to be encrypted is."},
    [AUDIT_UNREADABLE] = {"bad", "Some values can't be decrypted, whatever the key, or "
                                 "kube-apiserver can't read them with its configuration."},
};

const char *audit_page_tone(enum audit_verdict verdict)
{
    return verdicts[verdict].tone;
}

/* ---- head ---- */

static void put_style_hash(struct appender *a)
{
    uint8_t hash[HASH_BYTES];
    char text[BASE64_CHARS(HASH_BYTES) + 1];
    hash_sha256(bytes_of_text(audit_page_style), hash);
    base64_write(BYTES_OF(hash), text);
    append_text(a, text);
}

static void put_head(struct audit_page *p)
{
    append_text(&p->a, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                       "base-uri 'none'; form-action 'none'; style-src 'sha256-");
    put_style_hash(&p->a);
    append_text(&p->a, "'\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                       "<meta name=\"color-scheme\" content=\"light dark\">\n"
                       "<meta name=\"robots\" content=\"noindex\">\n<title>");
    html_text(&p->a, audit_verdict_names[p->audit->verdict]);
    append_text(&p->a, p->audit->has_residue ? " with RESIDUE: " : ": ");
    html_text(&p->a, p->r->source->name);
    append_text(&p->a, "</title>\n<style>");
    append_text(&p->a, audit_page_style);
    append_text(&p->a, "</style>\n</head>\n<body>\n"
                       "<a class=\"skip\" href=\"#coverage\">Skip to the coverage</a>\n");
}

/* ---- verdict ---- */

static void put_chip(struct audit_page *p, bool is_good, const char *name, const char *key_id,
                     const char *state)
{
    append_printf(&p->a, "<span class=\"chip %s\">", is_good ? "good" : "bad");
    html_text(&p->a, name);
    if (key_id != NULL) {
        append_text(&p->a, "=");
        html_text(&p->a, key_id);
    }
    append_printf(&p->a, ": %s</span> ", state);
}

static void put_demands(struct audit_page *p)
{
    const struct audit_wanted *w = &p->audit->wanted;
    append_printf(&p->a, "<p><strong>%s.</strong> ",
                  p->audit->is_met ? "As demanded" : "Not as demanded");
    for (size_t i = 0; i < w->demand_count; i++) {
        const struct audit_demanded *d = &w->demands[i];
        put_chip(p, d->is_met, audit_demand_names[d->demand], d->key_id,
                 d->is_met ? "met" : "not met");
    }
    for (size_t i = 0; i < AUDIT_RULE_COUNT; i++) {
        if (w->fails_on[i]) {
            bool is_good = p->audit->by_rule[i] == 0;
            put_chip(p, is_good, audit_rules[i].id, NULL, is_good ? "not found" : "found");
        }
    }
    append_text(&p->a, "</p>\n");
}

static void put_figure(struct audit_page *p, const char *name, bool is_known, uint64_t number,
                       const char *unknown)
{
    append_printf(&p->a, "<div><dt>%s</dt><dd>", name);
    if (is_known) {
        html_number(&p->a, number);
    } else {
        append_text(&p->a, unknown);
    }
    append_text(&p->a, "</dd></div>\n");
}

static void put_words(struct audit_page *p)
{
    const struct audit *a = p->audit;
    const struct {
        bool is_so;
        const char *words;
    } rows[] = {
        {true, verdicts[a->verdict].sentence},
        {p->r->source->is_partial,
         "<strong>The audit was interrupted, and counts what was read until then.</strong>"},
        {a->is_kms_down, "Not all could be proved: a KMS plugin could not be asked."},
        {a->has_residue, "Older plaintext of it is left over where etcd no longer looks."},
    };
    append_text(&p->a, "<p>");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        append_text(&p->a, rows[i].is_so ? rows[i].words : "");
        append_text(&p->a, rows[i].is_so ? " " : "");
    }
    append_text(&p->a, "</p>\n");
}

static void put_verdict(struct audit_page *p)
{
    const struct audit *a = p->audit;
    char time[CLOCK_TEXT_BYTES];
    clock_format_s(p->r->started_s, time);
    const char *tone = a->is_met ? audit_page_tone(a->verdict) : "bad";
    tone = strcmp(tone, "good") == 0 && (a->has_residue || a->is_kms_down) ? "wait" : tone;
    append_printf(
        &p->a, "<header>\n<div class=\"verdict %s\">\n<p class=\"brand\">etcdseal audit, ", tone);
    append_printf(&p->a, "<time datetime=\"%s\">%s</time></p>\n<h1>%s%s</h1>\n", time, time,
                  audit_verdict_names[a->verdict],
                  a->has_residue ? " <small>with RESIDUE</small>" : "");
    put_words(p);
    put_demands(p);
    append_text(&p->a, "</div>\n<dl class=\"figures\">\n");
    put_figure(p, "live keys", true, a->totals.keys, NULL);
    put_figure(p, "encrypted", true, audit_encrypted(&a->totals), NULL);
    put_figure(p, "of them proved", a->wanted.is_proving, a->totals.proved, "not asked");
    put_figure(p, "stale, to be rewritten", a->is_stale_known, a->totals.stale, "not known");
    put_figure(p, "can't be decrypted", true, a->totals.undecryptable, NULL);
    put_figure(p, "plaintext", true, a->totals.classes[VALUE_PLAINTEXT], NULL);
    append_text(&p->a, "</dl>\n<nav aria-label=\"Sections\"><a href=\"#coverage\">Coverage</a>"
                       "<a href=\"#keys\">Keys</a><a href=\"#residue\">What is left over</a>"
                       "<a href=\"#findings\">Findings</a><a href=\"#scope\">What this proves</a>"
                       "<a href=\"#facts\">How it was made</a></nav>\n</header>\n<main>\n");
}

/* ---- the page ---- */

static void put_scope(struct audit_page *p)
{
    append_text(&p->a, "<section aria-labelledby=\"scope\">\n"
                       "<h2 id=\"scope\">What this proves, and what not</h2>\n");
    append_text(&p->a, audit_page_scope);
    append_text(&p->a, "</section>\n");
}

static void put_foot(struct audit_page *p)
{
    append_text(&p->a, "</main>\n<footer>Made by etcdseal " ETCDSEAL_VERSION
                       ". No value of any object is on this page; names of objects are.</footer>\n"
                       "</body>\n</html>\n");
}

enum kerr audit_write_html(const struct audit_report *r, struct audit_sink *to, struct kerrinfo *e)
{
    static void (*const sections[])(struct audit_page *) = {
        put_head,        put_verdict,        audit_page_resources,
        audit_page_keys, audit_page_residue, audit_page_findings,
        put_scope,       audit_page_facts,   put_foot,
    };
    struct audit_page p = {.a = appender_on(&to->text, e), .to = to, .r = r, .audit = r->audit};
    p.a.k = audit_groups_make(r->audit, &p.groups, e);
    for (size_t i = 0; i < ARRAY_LEN(sections) && p.a.k == KERR_OK; i++) {
        sections[i](&p);
        audit_drain(to, &p.a);
    }
    audit_groups_done(&p.groups);
    return p.a.k;
}
