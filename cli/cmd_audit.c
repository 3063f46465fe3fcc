/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal audit: what etcd really holds. Reads only, and needs no key. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "cli/audit_cluster.h"
#include "cli/audit_plugins.h"
#include "cli/audit_report.h"
#include "cli/commands.h"

/* ---- progress ---- */

#define FIRST_MS    1000 /* below, nobody waits */
#define TERMINAL_MS 500
#define LOG_MS      10000

struct progress {
    const char *unit;
    uint64_t start_ms;
    uint64_t last_ms;
    bool is_terminal;
    bool is_shown;
};

static void show_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct progress *p = ctx;
    uint64_t now = clock_mono_ms();
    if (now - p->start_ms < FIRST_MS ||
        now - p->last_ms < (p->is_terminal ? TERMINAL_MS : LOG_MS)) {
        return;
    }
    p->last_ms = now;
    p->is_shown = true;
    uint64_t spent = now - p->start_ms;
    uint64_t left = done == 0 ? 0 : (total > done ? total - done : 0) * spent / done;
    (void)fprintf(stderr, "%s%" PRIu64 " %% read, %" PRIu64 " %s/s, %" PRIu64 " s left%s",
                  p->is_terminal ? "\r" : "", done * 100 / total, done * 1000 / spent, p->unit,
                  left / 1000, p->is_terminal ? "  " : "\n");
}

static void end_progress(const struct progress *p)
{
    if (p->is_shown && p->is_terminal) {
        (void)fprintf(stderr, "\r%60s\r", "");
    }
}

/* ---- the source ---- */

static enum kerr read_source(const struct options *o, struct audit *a, struct audit_source *source,
                             struct kerrinfo *e)
{
    struct progress progress = {.unit = source->kind->unit,
                                .start_ms = clock_mono_ms(),
                                .last_ms = clock_mono_ms(),
                                .is_terminal = isatty(STDERR_FILENO) == 1};
    const struct audit_told told = {.fn = o->is_quiet ? NULL : show_progress, .ctx = &progress};
    enum kerr k = audit_source_read(source, o, a, &told, e);
    end_progress(&progress);
    if (k == KERR_OK) {
        audit_source_warn(source, a);
    }
    return k;
}

/* ---- what is wanted ---- */

static enum kerr read_wanted(const struct options *o, struct audit_wanted *w, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    w->is_proving = o->prove;
    w->object = o->object;
    w->prefixes = o->prefixes.items;
    w->prefix_count = o->prefixes.count;
    w->current_key = o->current_key;
    for (size_t i = 0; i < o->demands.count && k == KERR_OK; i++) {
        k = audit_demand_read(o->demands.items[i], &w->demands[w->demand_count++], e);
    }
    for (size_t i = 0; i < o->fail_on.count && k == KERR_OK; i++) {
        k = audit_fail_on_read(o->fail_on.items[i], w->fails_on, e);
    }
    return k;
}

/* ---- the end ---- */

static enum kerr conclude(const struct options *o, const struct audit *a, struct kerrinfo *e)
{
    const char *verdict = audit_verdict_names[a->verdict];
    enum kerr k = a->object == NULL ? KERR_OK : audit_object_absent(a, e);
    if (k != KERR_OK) {
        return k;
    }
    if (a->totals.undecryptable > 0) {
        return kerr_set(e, KERR_INTEGRITY, "%s: %" PRIu64 " of %" PRIu64 " keys can't be decrypted",
                        verdict, a->totals.undecryptable, a->totals.keys);
    }
    if (a->is_kms_down) {
        return kerr_set(e, KERR_DOWN,
                        "%s: %" PRIu64 " of %" PRIu64
                        " keys could not be proved: a KMS plugin could "
                        "not be asked",
                        verdict, a->totals.unproved, a->totals.keys);
    }
    if (!a->is_met) {
        return kerr_set(e, KERR_DENIED, "%s%s: not as demanded", verdict,
                        a->has_residue ? " with RESIDUE" : "");
    }
    out_remark(o, "%s%s: as demanded", verdict, a->has_residue ? " with RESIDUE" : "");
    return KERR_OK;
}

/* As a program does that Ctrl-C ends: the shell sees the signal. */
static enum kerr end_interrupted(struct kerrinfo *e)
{
    out_warn("interrupted: this report is of a part of the keys and proves nothing of the rest");
    (void)signal(SIGINT, SIG_DFL);
    (void)raise(SIGINT);
    return kerr_set(e, KERR_BUG, "interrupted");
}

static enum kerr report(struct audit *a, const struct audit_report *r,
                        const struct audit_places *places, struct kerrinfo *e)
{
    enum kerr k = audit_judge(a, e);
    a->is_met = a->is_met && !r->source->is_partial;
    k = k == KERR_OK ? audit_report_write(r, places, e) : k;
    if (k == KERR_OK && r->source->is_partial) {
        return end_interrupted(e);
    }
    return k == KERR_OK ? conclude(r->options, a, e) : k;
}

static enum kerr audit_source(const struct options *o, const struct audit_source_kind *kind,
                              const struct audit_wanted *wanted, struct kerrinfo *e)
{
    AUTO_AUDIT_SOURCE source = {.count = 0};
    AUTO_AUDIT a = {.tables = NULL};
    AUTO_AUDIT_PLACES places = AUDIT_PLACES_NONE;
    uint64_t start_ms = clock_mono_ms();
    struct audit_report r = {
        .options = o, .audit = &a, .source = &source, .started_s = clock_wall_s()};
    enum kerr k = audit_begin(wanted, &a, e);
    k = k == KERR_OK ? audit_places_open(o, &places, e) : k;
    r.older = places.older == NULL ? NULL : json_root(places.older);
    k = k == KERR_OK ? audit_source_catch_bus_errors(e) : k;
    k = k == KERR_OK ? audit_source_open(kind, o, wanted->memory, &source, e) : k;
    k = k == KERR_OK ? read_source(o, &a, &source, e) : k;
    r.duration_ms = clock_mono_ms() - start_ms;
    return k == KERR_OK ? report(&a, &r, &places, e) : k;
}

enum kerr cmd_audit(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    AUTO_AUDIT_CLUSTER cluster = {.text_count = 0};
    const struct options *o = &cluster.options;
    AUTO_ENCRYPTION_CONFIG config = NULL;
    struct memory memory = {.max = 0};
    struct audit_wanted wanted = {.memory = &memory};
    const struct audit_source_kind *kind = NULL;
    struct audit_plugins plugins = {.count = 0};
    (void)call;
    /* An audit without --prove keeps no secret but its user's own password, and one with it runs
     * where nobody may raise the limit: what can't be locked is told, not refused. */
    enum kerr k = secret_start(SECRET_LOCK_BEST_EFFORT, e);
    k = k == KERR_OK ? audit_cluster_open(ctx, &cluster, e) : k;
    memory = audit_source_memory(o);
    k = k == KERR_OK ? read_wanted(o, &wanted, e) : k;
    k = k == KERR_OK ? audit_source_find(o, &kind, e) : k;
    if (k == KERR_OK && o->encryption_config != NULL) {
        k = o->prove ? encryption_config_read_with_keys(o->encryption_config, &config, e)
                     : encryption_config_read(o->encryption_config, &config, e);
        /* 1 would say that the audit found something. */
        k = k == KERR_DENIED ? KERR_IO : k;
    }
    wanted.config = config;
    wanted.is_passing = kind != NULL && kind->is_passing;
    k = k == KERR_OK ? audit_plugins_find(o, config, &plugins, &wanted, e) : k;
    return k == KERR_OK ? audit_source(o, kind, &wanted, e) : k;
}
