/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning, the end, and all words. */
#include "audit/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/batch.h"
#include "audit/object.h"
#include "audit/prove.h"
#include "audit/tables.h"
#include "base/text.h"
#include "config/lint.h"

const char *const audit_severity_names[AUDIT_SEVERITY_COUNT] = {
    [AUDIT_ERROR] = "error", [AUDIT_WARNING] = "warning", [AUDIT_NOTE] = "note"};

const struct audit_rule_info audit_rules[AUDIT_RULE_COUNT] = {
#define AUDIT_RULE(name, id, severity, message, cure)                                              \
    [AUDIT_RULE_##name] = {id, AUDIT_##severity, message, cure},
#include "audit/rules.def"
#undef AUDIT_RULE
};

const char *const audit_verdict_names[AUDIT_VERDICT_COUNT] = {
    [AUDIT_NONE] = "NONE",       [AUDIT_ENCRYPTED] = "ENCRYPTED", [AUDIT_PENDING] = "PENDING",
    [AUDIT_PARTIAL] = "PARTIAL", [AUDIT_PLAINTEXT] = "PLAINTEXT", [AUDIT_UNREADABLE] = "UNREADABLE",
};

const char *const audit_place_names[AUDIT_PLACE_COUNT] = {
    [AUDIT_OLD_REVISIONS] = "old_revisions",   [AUDIT_FREE_PAGES] = "free_pages",
    [AUDIT_PAGE_SLACK] = "page_slack",         [AUDIT_WAL] = "wal",
    [AUDIT_KINE_OLD_VALUE] = "kine_old_value",
};

const char *const audit_demand_names[AUDIT_DEMAND_COUNT] = {
    [AUDIT_ALL_ENCRYPTED] = "all-encrypted", [AUDIT_NO_PLAINTEXT] = "no-plaintext",
    [AUDIT_NO_STALE] = "no-stale",           [AUDIT_ONLY_KEY] = "only-key",
    [AUDIT_NO_RESIDUE] = "no-residue",       [AUDIT_ALL_PROVED] = "all-proved",
};

/* ---- words of the command line ---- */

static enum kerr unknown(const char *what, const char *text, const struct text_nearest *near,
                         struct kerrinfo *e)
{
    return kerr_set(e, KERR_USAGE, "%s '%s' is not known%s%s%s", what, text,
                    near->best == NULL ? "" : "; did you mean '",
                    near->best == NULL ? "" : near->best, near->best == NULL ? "" : "'?");
}

enum kerr audit_demand_read(const char *text, struct audit_demanded *ret, struct kerrinfo *e)
{
    struct text_nearest near = {0};
    const char *equals = strchr(text, '=');
    struct bytes word = bytes_of(text, equals == NULL ? strlen(text) : (size_t)(equals - text));
    for (unsigned i = 0; i < AUDIT_DEMAND_COUNT; i++) {
        bool wants_key = i == AUDIT_ONLY_KEY;
        text_nearest_try(&near, word, audit_demand_names[i]);
        if (!bytes_equal_text(word, audit_demand_names[i])) {
            continue;
        }
        if (wants_key != (equals != NULL) || (equals != NULL && equals[1] == 0)) {
            return kerr_set(e, KERR_USAGE, "demand '%s': expected %s%s", text,
                            audit_demand_names[i], wants_key ? "=KEY-ID" : "");
        }
        *ret = (struct audit_demanded){.demand = (enum audit_demand)i,
                                       .key_id = equals == NULL ? NULL : equals + 1};
        return KERR_OK;
    }
    return unknown("demand", text, &near, e);
}

enum kerr audit_fail_on_read(const char *text, bool to[static AUDIT_RULE_COUNT], struct kerrinfo *e)
{
    struct text_nearest near = {0};
    bool is_found = false;
    for (size_t i = 0; i < AUDIT_RULE_COUNT; i++) {
        const char *severity = audit_severity_names[audit_rules[i].severity];
        text_nearest_try(&near, bytes_of_text(text), audit_rules[i].id);
        text_nearest_try(&near, bytes_of_text(text), severity);
        if (strcmp(text, audit_rules[i].id) == 0 || strcmp(text, severity) == 0) {
            to[i] = true;
            is_found = true;
        }
    }
    return is_found ? KERR_OK : unknown("rule or severity", text, &near, e);
}

/* ---- beginning and end ---- */

static enum kerr check_config(const struct encryption_config *c, struct kerrinfo *e)
{
    const struct lint_facts facts = {.may_be_v1 = true};
    AUTO_LINT list = NULL;
    enum kerr k = lint_encryption_config(c, &facts, &list, e);
    if (k == KERR_OK && list->is_refused) {
        return kerr_set(e, KERR_CONFIG,
                        "%s: kube-apiserver does not load it, so it says nothing about what is "
                        "stored; 'etcdseal encryption-config check %s' says why",
                        c->file, c->file);
    }
    return k;
}

static enum kerr check_demands(struct audit_wanted *w, struct kerrinfo *e)
{
    if (w->demand_count == 0) {
        w->demands[w->demand_count++] = (struct audit_demanded){.demand = AUDIT_ALL_ENCRYPTED};
        if (w->is_proving) {
            w->demands[w->demand_count++] = (struct audit_demanded){.demand = AUDIT_ALL_PROVED};
        }
    }
    for (size_t i = 0; i < w->demand_count; i++) {
        if (w->demands[i].demand == AUDIT_ALL_PROVED && !w->is_proving) {
            return kerr_set(e, KERR_USAGE, "demand 'all-proved' needs --prove");
        }
        if (w->demands[i].demand == AUDIT_NO_STALE && w->kms_count == 0 && w->current_key == NULL &&
            w->config == NULL) {
            return kerr_set(e, KERR_USAGE,
                            "demand 'no-stale' needs --current-key, --kms or --encryption-config: "
                            "without them it is not known what writes now");
        }
    }
    return KERR_OK;
}

static enum kerr take_prefix(struct audit *a, const char *text, struct kerrinfo *e)
{
    size_t len = strlen(text);
    if (len == 0 || text[len - 1] != '/') {
        return kerr_set(e, KERR_USAGE,
                        "prefix '%s': expected one that ends with '/', such as "
                        "/registry/",
                        text);
    }
    a->prefixes[a->prefix_count++] = bytes_of(text, len);
    return KERR_OK;
}

enum kerr audit_begin(const struct audit_wanted *wanted, struct audit *ret, struct kerrinfo *e)
{
    *ret = (struct audit){.wanted = *wanted};
    enum kerr k = tables_begin(ret, e);
    k = k == KERR_OK ? check_demands(&ret->wanted, e) : k;
    if (k == KERR_OK && wanted->config != NULL) {
        k = check_config(wanted->config, e);
    }
    for (size_t i = 0; i < wanted->prefix_count && k == KERR_OK; i++) {
        k = i == AUDIT_PREFIXES_MAX
                ? kerr_set(e, KERR_USAGE, "more than %d prefixes", AUDIT_PREFIXES_MAX)
                : take_prefix(ret, wanted->prefixes[i], e);
    }
    k = k == KERR_OK && wanted->object != NULL ? object_begin(wanted->object, &ret->object, e) : k;
    /* The plugins' client before the threads, as its header wants it. */
    ret->threads = batch_threads(wanted);
    k = k == KERR_OK && wanted->is_proving ? prove_begin(ret, ret->threads, e) : k;
    bool is_batched = wanted->is_proving || !wanted->is_passing;
    return k == KERR_OK && is_batched ? batch_begin(ret, e) : k;
}

enum kerr audit_live(struct audit *a, struct bytes key, struct bytes value, uint64_t mod_revision,
                     struct kerrinfo *e)
{
    if (!object_counts(a, key)) {
        return KERR_OK;
    }
    if (a->batch != NULL) {
        return batch_add(a, key, value, mod_revision, e);
    }
    /* What passes would have to be copied, which costs as much as looking at it. */
    struct audit_item item = {.key = key, .mod_revision = mod_revision};
    enum kerr k = tables_resource(a, key, &item.resource, e);
    if (k != KERR_OK) {
        return k;
    }
    item_read(a, value, &item);
    return count_item(a, &item, e);
}

enum kerr audit_settle(struct audit *a, struct kerrinfo *e)
{
    return a->batch == NULL ? KERR_OK : batch_rest(a, e);
}

void audit_done(struct audit *a)
{
    batch_end(a);
    prove_end(a);
    for (size_t i = 0; i < AUDIT_KMS_MAX; i++) {
        free(a->kms[i].key_id);
    }
    tables_done(a);
    object_end(a->object);
    *a = (struct audit){.tables = NULL};
}

/* ---- findings in words ---- */

static void say_object(const struct audit *a, struct audit_said *to)
{
    struct resource_key found;
    if (tables_split(a, to->key, &found)) {
        (void)snprintf(to->object, sizeof to->object, "%.*s%s%.*s", (int)found.name_space.len,
                       found.name_space.len == 0 ? "" : (const char *)found.name_space.ptr,
                       found.name_space.len == 0 ? "" : "/", (int)found.name.len,
                       (const char *)found.name.ptr);
    }
}

/* What a rule's sentence leaves open. */
static void say_detail(const struct audit *a, const struct audit_finding *f, char *to,
                       size_t to_size)
{
    char name[128];
    *to = 0;
    if (f->rule == AUDIT_RULE_KMS_DOWN) {
        const struct audit_kms_told *told = &a->kms[f->detail];
        (void)snprintf(to, to_size, ": %s%sunix:%s: %s",
                       told->kms.provider == NULL ? "" : told->kms.provider,
                       told->kms.provider == NULL ? "" : " at ", told->kms.socket, told->why);
    } else if (f->rule == AUDIT_RULE_UNPROVED) {
        const struct audit_resource *r = &a->resources[f->resource];
        (void)snprintf(to, to_size, ": %" PRIu64 " values: %s", r->counts.unproved,
                       r->unproved_why);
    } else if (f->rule == AUDIT_RULE_MANY_KEY_IDS) {
        (void)snprintf(to, to_size, ": %" PRIu64 " objects under others than the first %d",
                       a->other_keys.objects, AUDIT_KEY_IDS_MAX);
    } else if (f->rule == AUDIT_RULE_READ_PROVIDER) {
        (void)snprintf(to, to_size, ": %s", encryption_kind_names[f->detail]);
    } else if (f->rule >= AUDIT_RULE_RESIDUE_OLD_REVISIONS) {
        (void)snprintf(to, to_size, ": %" PRIu64 " values", a->residue[f->detail].plaintext);
    } else if (f->fault != NULL) {
        (void)snprintf(to, to_size, ": %s", f->fault);
    } else if (f->key.len > 0 && f->detail != AUDIT_NO_KEY_ID) {
        const struct audit_key_id *row = &a->key_ids[f->detail];
        text_escape(row->id.len > 0 ? row->id : row->provider, name, sizeof name);
        (void)snprintf(to, to_size, ": %s, %s", value_class_names[row->class_of], name);
    }
}

void audit_say(const struct audit *a, const struct audit_finding *f, struct audit_said *ret)
{
    const struct audit_rule_info *rule = &audit_rules[f->rule];
    char detail[AUDIT_TEXT_BYTES / 2];
    *ret = (struct audit_said){
        .rule = rule->id,
        .severity = audit_severity_names[rule->severity],
        .resource = f->resource == AUDIT_NO_RESOURCE ? NULL : a->resources[f->resource].name,
        .key = f->key,
        .mod_revision = f->mod_revision,
        .cure = rule->cure,
    };
    say_object(a, ret);
    say_detail(a, f, detail, sizeof detail);
    (void)snprintf(ret->message, sizeof ret->message, "%s%s", rule->message, detail);
}
