/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/audit_facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static struct audit_group *group_of(struct audit_groups *g, const struct audit *a,
                                    const struct audit_finding *f)
{
    size_t at = f->resource == AUDIT_NO_RESOURCE ? a->resource_count : f->resource;
    return &g->rows[at][f->rule];
}

/* A counting sort: sizes, beginnings, then each finding behind those of its group. */
static void sort(const struct audit *a, struct audit_groups *g)
{
    uint32_t first = 0;
    for (size_t i = 0; i < a->finding_count; i++) {
        group_of(g, a, &a->findings[i])->count++;
    }
    for (size_t i = 0; i <= a->resource_count; i++) {
        for (size_t j = 0; j < AUDIT_RULE_COUNT; j++) {
            g->rows[i][j].first = first;
            first += g->rows[i][j].count;
            g->rows[i][j].count = 0;
        }
    }
    for (size_t i = 0; i < a->finding_count; i++) {
        struct audit_group *row = group_of(g, a, &a->findings[i]);
        g->order[row->first + row->count++] = (uint32_t)i;
    }
}

enum kerr audit_groups_make(const struct audit *a, struct audit_groups *ret, struct kerrinfo *e)
{
    if (a->finding_count > UINT32_MAX) {
        return kerr_set(e, KERR_LIMIT, "more than %u findings", UINT32_MAX);
    }
    ret->memory = a->wanted.memory;
    uint64_t bytes =
        (a->resource_count + 1) * sizeof *ret->rows + (a->finding_count + 1) * sizeof *ret->order;
    enum kerr k = memory_take(ret->memory, bytes, "a list of findings in order", e);
    if (k != KERR_OK) {
        return k;
    }
    ret->taken = bytes;
    ret->rows = calloc(a->resource_count + 1, sizeof *ret->rows); /* AUDIT_RESOURCES_MAX at most */
    ret->order = calloc(a->finding_count + 1, sizeof *ret->order);
    if (ret->rows == NULL || ret->order == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory to sort %zu findings", a->finding_count);
    }
    sort(a, ret);
    return KERR_OK;
}

void audit_groups_done(struct audit_groups *g)
{
    free(g->rows);
    free(g->order);
    memory_give(g->memory, g->taken);
    *g = (struct audit_groups){.rows = NULL};
}

uint64_t audit_encrypted(const struct audit_counts *c)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < VALUE_PLAINTEXT; i++) {
        sum += c->classes[i];
    }
    return sum;
}

struct bytes audit_provider_of(const struct audit_key_id *row)
{
    bool is_kms = row->class_of == VALUE_KMSV2 || row->class_of == VALUE_KMSV1;
    return is_kms ? row->provider : bytes_of_text(value_class_names[row->class_of]);
}

void audit_key_id_hash(const struct audit_key_id *row, char to[static AUDIT_HASH_TEXT_BYTES])
{
    static const char prefix[] = "sha256:";
    uint8_t hash[HASH_BYTES];
    *to = 0;
    if (row->class_of == VALUE_KMSV2 && row->id.len > 0) {
        hash_sha256(row->id, hash);
        memcpy(to, prefix, sizeof prefix);
        text_hex(BYTES_OF(hash), to + sizeof prefix - 1);
    }
}

enum audit_scope audit_scope_of(enum audit_rule rule)
{
    for (size_t i = 0; i < AUDIT_PLACE_COUNT; i++) {
        if (audit_place_rules[i] == rule) {
            return AUDIT_OF_PLACES;
        }
    }
    bool is_of_whole = rule == AUDIT_RULE_NOTHING_EXPECTED || rule == AUDIT_RULE_KMS_DOWN ||
                       rule == AUDIT_RULE_MANY_KEY_IDS;
    return is_of_whole ? AUDIT_OF_WHOLE : AUDIT_OF_RESOURCES;
}

bool audit_is_failure(const struct audit *a, enum audit_rule rule)
{
    return audit_rules[rule].severity == AUDIT_ERROR || a->wanted.fails_on[rule];
}
