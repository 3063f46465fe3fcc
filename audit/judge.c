/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts, what is found about resources and residue, and whether the demands are met. */
#include <stdlib.h>
#include <string.h>

#include "audit/object.h"
#include "audit/tables.h"

/* ---- verdicts ---- */

static uint64_t encrypted(const struct audit_counts *c)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < VALUE_PLAINTEXT; i++) {
        sum += c->classes[i];
    }
    return sum;
}

static enum audit_verdict verdict_of(const struct audit_counts *c)
{
    uint64_t all = encrypted(c);
    if (c->keys == 0) {
        return AUDIT_NONE;
    }
    if (c->undecryptable > 0) {
        return AUDIT_UNREADABLE;
    }
    if (all == 0) {
        return AUDIT_PLAINTEXT;
    }
    if (all < c->keys) {
        return AUDIT_PARTIAL;
    }
    return c->stale > 0 ? AUDIT_PENDING : AUDIT_ENCRYPTED;
}

/* Some plaintext and some not is PARTIAL, whether within one resource or between two. */
static enum audit_verdict together(enum audit_verdict a, enum audit_verdict b)
{
    enum audit_verdict less = a < b ? a : b;
    enum audit_verdict more = a < b ? b : a;
    return more == AUDIT_PLAINTEXT && less != AUDIT_PLAINTEXT && less != AUDIT_NONE ? AUDIT_PARTIAL
                                                                                    : more;
}

static void judge_resources(struct audit *a)
{
    a->is_stale_known = true;
    for (size_t i = 0; i < a->resource_count; i++) {
        struct audit_resource *r = &a->resources[i];
        bool is_inside = strcmp(r->name, TABLES_OUTSIDE) != 0;
        r->verdict = is_inside || r->counts.undecryptable > 0 ? verdict_of(&r->counts) : AUDIT_NONE;
        if (r->is_expected || r->verdict == AUDIT_UNREADABLE) {
            a->verdict = together(a->verdict, r->verdict);
        }
        a->is_stale_known = a->is_stale_known && (r->is_stale_known || !r->is_expected);
    }
}

/* ---- order: the same for the same values, whatever the source ---- */

typedef int compare_fn(const void *x, const void *y);

/* What is expected to be encrypted first. */
static int compare_resources(const void *a, const void *b)
{
    const struct audit_resource *x = a;
    const struct audit_resource *y = b;
    return x->is_expected != y->is_expected ? y->is_expected - x->is_expected
                                            : strcmp(x->name, y->name);
}

/* What most objects are under first. */
static int compare_key_ids(const void *a, const void *b)
{
    const struct audit_key_id *x = a;
    const struct audit_key_id *y = b;
    if (x->objects != y->objects) {
        return x->objects < y->objects ? 1 : -1;
    }
    if (x->class_of != y->class_of) {
        return x->class_of < y->class_of ? -1 : 1;
    }
    int order = bytes_compare(x->provider, y->provider);
    return order != 0 ? order : bytes_compare(x->id, y->id);
}

/* A row, and behind it in memory its number of before. */
static enum kerr sort_rows(void *rows, size_t count, size_t row_bytes, compare_fn *compare,
                           uint32_t **ret_now, struct kerrinfo *e)
{
    size_t step = row_bytes + sizeof(uint64_t);
    uint32_t *now = calloc(count + 1, sizeof *now);
    uint8_t *copies = calloc(count + 1, step);
    if (now == NULL || copies == NULL) {
        free(now);
        free(copies);
        return kerr_set(e, KERR_NOMEM, "no memory to sort %zu rows", count);
    }
    for (uint64_t i = 0; i < count; i++) {
        memcpy(copies + i * step, (uint8_t *)rows + i * row_bytes, row_bytes);
        memcpy(copies + i * step + row_bytes, &i, sizeof i);
    }
    qsort(copies, count, step, compare);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t was = 0;
        memcpy(&was, copies + i * step + row_bytes, sizeof was);
        memcpy((uint8_t *)rows + i * row_bytes, copies + i * step, row_bytes);
        now[was] = i;
    }
    free(copies);
    *ret_now = now;
    return KERR_OK;
}

/* Rows go to their places, and with them the numbers by which findings name them. */
static enum kerr sort_all(struct audit *a, struct kerrinfo *e)
{
    uint32_t *resources = NULL;
    uint32_t *key_ids = NULL;
    enum kerr k = sort_rows(a->resources, a->resource_count, sizeof *a->resources,
                            compare_resources, &resources, e);
    k = k == KERR_OK ? sort_rows(a->key_ids, a->key_id_count, sizeof *a->key_ids, compare_key_ids,
                                 &key_ids, e)
                     : k;
    for (size_t i = 0; i < a->finding_count && k == KERR_OK; i++) {
        struct audit_finding *f = &a->findings[i];
        f->resource = f->resource == AUDIT_NO_RESOURCE ? f->resource : resources[f->resource];
        bool has_key_id = f->key.len > 0 && f->detail != AUDIT_NO_KEY_ID;
        f->detail = has_key_id ? key_ids[f->detail] : f->detail;
    }
    if (k == KERR_OK && a->object != NULL && a->object->key.len > 0) {
        a->object->resource = resources[a->object->resource];
    }
    free(resources);
    free(key_ids);
    return k;
}

/* ---- findings ---- */

/* One for each kind of provider that reads what others may have put there. */
static enum kerr find_readers(struct audit *a, uint32_t at, struct kerrinfo *e)
{
    const struct audit_resource *r = &a->resources[at];
    unsigned seen = 0;
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < r->entry_count && r->is_expected; i++) {
        const struct encryption_entry *entry = r->entries[i];
        for (size_t j = 0; j < entry->provider_count && k == KERR_OK; j++) {
            const struct encryption_provider *p = &entry->providers[j];
            if (expect_is_loose(p) && (seen >> p->kind & 1) == 0) {
                seen |= 1U << p->kind;
                const struct audit_finding found = {
                    .rule = AUDIT_RULE_READ_PROVIDER, .resource = at, .detail = p->kind};
                k = tables_find(a, &found, e);
            }
        }
    }
    return k;
}

const enum audit_rule audit_place_rules[AUDIT_PLACE_COUNT] = {
    [AUDIT_OLD_REVISIONS] = AUDIT_RULE_RESIDUE_OLD_REVISIONS,
    [AUDIT_FREE_PAGES] = AUDIT_RULE_RESIDUE_FREE_PAGES,
    [AUDIT_PAGE_SLACK] = AUDIT_RULE_RESIDUE_PAGE_SLACK,
    [AUDIT_WAL] = AUDIT_RULE_RESIDUE_WAL,
    [AUDIT_KINE_OLD_VALUE] = AUDIT_RULE_RESIDUE_KINE_OLD_VALUE,
};

/* What is missing to a proof: plugins that could not be asked, and resources with values that are
 * not proved. */
static enum kerr find_unproved(struct audit *a, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (uint32_t i = 0; i < a->wanted.kms_count && k == KERR_OK; i++) {
        const struct audit_finding found = {
            .rule = AUDIT_RULE_KMS_DOWN, .resource = AUDIT_NO_RESOURCE, .detail = i};
        bool is_down = a->kms[i].key_id == NULL || a->kms[i].unasked > 0;
        k = is_down ? tables_find(a, &found, e) : k;
    }
    for (uint32_t i = 0; i < a->resource_count && k == KERR_OK; i++) {
        const struct audit_finding found = {.rule = AUDIT_RULE_UNPROVED, .resource = i};
        k = a->resources[i].unproved_why != NULL ? tables_find(a, &found, e) : k;
    }
    return k;
}

static enum kerr find_residue(struct audit *a, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (uint32_t i = 0; i < AUDIT_PLACE_COUNT && k == KERR_OK; i++) {
        if (a->residue[i].plaintext > 0) {
            a->has_residue = true;
            const struct audit_finding found = {
                .rule = audit_place_rules[i], .resource = AUDIT_NO_RESOURCE, .detail = i};
            k = tables_find(a, &found, e);
        }
    }
    return k;
}

static enum kerr find_many_keys(struct audit *a, struct kerrinfo *e)
{
    const struct audit_finding found = {.rule = AUDIT_RULE_MANY_KEY_IDS,
                                        .resource = AUDIT_NO_RESOURCE};
    bool is_so = a->other_keys.objects > 0;
    for (size_t i = 0; i < AUDIT_PLACE_COUNT; i++) {
        is_so = is_so || a->other_keys.residue[i] > 0;
    }
    return is_so ? tables_find(a, &found, e) : KERR_OK;
}

static enum kerr find_more(struct audit *a, struct kerrinfo *e)
{
    enum kerr k = find_many_keys(a, e);
    uint64_t expected = 0;
    for (uint32_t i = 0; i < a->resource_count && k == KERR_OK; i++) {
        expected += a->resources[i].is_expected ? a->resources[i].counts.keys : 0;
        k = a->resources[i].counts.keys > 0 ? find_readers(a, i, e) : KERR_OK;
    }
    k = k == KERR_OK && a->prove != NULL ? find_unproved(a, e) : k;
    if (k == KERR_OK && expected == 0) {
        const struct audit_finding found = {.rule = AUDIT_RULE_NOTHING_EXPECTED,
                                            .resource = AUDIT_NO_RESOURCE};
        k = tables_find(a, &found, e);
    }
    return k == KERR_OK ? find_residue(a, e) : k;
}

/* ---- demands ---- */

static bool is_all_encrypted(const struct audit *a)
{
    for (size_t i = 0; i < a->resource_count; i++) {
        const struct audit_resource *r = &a->resources[i];
        if (r->is_expected && encrypted(&r->counts) < r->counts.keys) {
            return false;
        }
    }
    return true;
}

/* What is under the others may be under any key. */
static bool is_only_key(const struct audit *a, const char *key_id)
{
    if (a->other_keys.objects > 0) {
        return false;
    }
    for (size_t i = 0; i < a->key_id_count; i++) {
        const struct audit_key_id *row = &a->key_ids[i];
        if (row->class_of == VALUE_KMSV2 && row->objects > 0 &&
            !bytes_equal_text(row->id, key_id)) {
            return false;
        }
    }
    return true;
}

static bool is_met(const struct audit *a, const struct audit_demanded *d)
{
    switch (d->demand) {
    case AUDIT_ALL_ENCRYPTED:
        return is_all_encrypted(a);
    case AUDIT_NO_PLAINTEXT:
        return a->totals.classes[VALUE_PLAINTEXT] == 0;
    case AUDIT_NO_STALE:
        return a->totals.stale == 0;
    case AUDIT_ONLY_KEY:
        return is_only_key(a, d->key_id);
    case AUDIT_NO_RESIDUE:
        return !a->has_residue;
    case AUDIT_ALL_PROVED:
        return a->totals.proved == encrypted(&a->totals) && a->by_rule[AUDIT_RULE_MOVED] == 0;
    case AUDIT_DEMAND_COUNT:
        break;
    }
    return false;
}

enum kerr audit_judge(struct audit *a, struct kerrinfo *e)
{
    enum kerr k = audit_settle(a, e);
    k = k == KERR_OK ? sort_all(a, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    if (a->object != NULL) {
        object_sort(a->object);
    }
    judge_resources(a);
    k = find_more(a, e);
    a->is_met = true;
    for (size_t i = 0; i < a->wanted.demand_count; i++) {
        struct audit_demanded *d = &a->wanted.demands[i];
        d->is_met = is_met(a, d);
        a->is_met = a->is_met && d->is_met;
    }
    for (size_t i = 0; i < AUDIT_RULE_COUNT; i++) {
        a->is_met = a->is_met && (!a->wanted.fails_on[i] || a->by_rule[i] == 0);
    }
    return k;
}
