/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/vault_plan.h"

#include <string.h>

#include "cli/gate.h"
#include "provider/vault_wire.h"

const char *const vault_plan_needs[] = {
    [VAULT_PLAN_UNKNOWN] = "unknown", [VAULT_PLAN_NEEDED] = "yes", [VAULT_PLAN_UNUSED] = "no"};

/* The page's words are those of the keystore; a version is no key that somebody has staged. */
static const char *state_of(const char *word)
{
    static const char *const words[][2] = {{"primary", "primary"},
                                           {"staged", "pending"},
                                           {"retired", "retired"},
                                           {"disabled", "below minimum"}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(word, words[i][0]) == 0) {
            return words[i][1];
        }
    }
    return "retired";
}

bool vault_plan_read(struct vault_plan *p, const struct daemon_view *v,
                     const struct daemon_service *s)
{
    struct daemon_key key;
    p->min_version = s->min_version;
    p->loaded_at_s = v->loaded_at_s;
    for (size_t i = 0; daemon_key_at(v, i, &key) && p->count < ARRAY_LEN(p->versions); i++) {
        if (key.version != 0) { /* else it is one of a keystore */
            p->versions[p->count++] =
                (struct vault_plan_version){.key = key, .state = state_of(key.state)};
        }
    }
    return p->count > 0;
}

void vault_plan_count(struct vault_plan *p, struct bytes key_id, uint64_t objects)
{
    size_t prefix = strlen(VAULT_WIRE_PREFIX);
    for (size_t i = 0; i < p->count; i++) {
        if (bytes_equal_text(key_id, p->versions[i].key.id)) {
            p->versions[i].objects += objects;
            return;
        }
    }
    if (key_id.len > prefix && memcmp(key_id.ptr, VAULT_WIRE_PREFIX, prefix) == 0) {
        p->strange_objects += objects;
    }
}

static void judge_version(const struct vault_plan *p, struct vault_plan_version *v)
{
    uint64_t last_s = v->key.last_decrypt_s;
    bool is_recent = last_s != 0 && (last_s >= p->now_s || p->now_s - last_s < GATE_UNUSED_S);
    const struct {
        bool is_so;
        enum vault_plan_need need;
        const char *why;
    } rows[] = {
        {strcmp(v->state, "primary") == 0, VAULT_PLAN_NEEDED, "it wraps"},
        {strcmp(v->state, "pending") == 0, VAULT_PLAN_NEEDED, "it will wrap"},
        {v->objects > 0, VAULT_PLAN_NEEDED, "values in the snapshot name it"},
        {is_recent, VAULT_PLAN_NEEDED, "values were decrypted with it within seven days"},
        {!p->has_snapshot, VAULT_PLAN_UNKNOWN, "only a snapshot of etcd can tell"},
        {true, VAULT_PLAN_UNUSED, "no value in the snapshot names it"},
    };
    size_t i = 0;
    while (!rows[i].is_so) {
        i++;
    }
    v->need = rows[i].need;
    v->why = rows[i].why;
}

/* The oldest version that is needed; what lies above the primary never counts. */
static uint64_t oldest_needed(const struct vault_plan *p)
{
    uint64_t oldest = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct vault_plan_version *v = &p->versions[i];
        if (v->need == VAULT_PLAN_NEEDED && (oldest == 0 || v->key.version < oldest)) {
            oldest = v->key.version;
        }
    }
    return oldest;
}

void vault_plan_judge(struct vault_plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        judge_version(p, &p->versions[i]);
    }
    uint64_t oldest = oldest_needed(p);
    bool is_settled = p->now_s >= p->loaded_at_s + VAULT_PLAN_SETTLED_S;
    const char *no = !p->has_snapshot         ? "not known without a snapshot of etcd"
                     : p->strange_objects > 0 ? "the snapshot has values under versions that the "
                                                "daemon does not know"
                     : oldest < p->min_version
                         ? "values need a version below it: lower it, until they are rewritten"
                     : oldest == p->min_version ? "the lowest version that may decrypt is needed"
                     : !is_settled ? "API servers may still write under the former version: five "
                                     "minutes have not passed since the daemon went over"
                                   : NULL;
    p->may_rise_to = no == NULL ? oldest : 0;
    p->why = no == NULL ? "no value in the snapshot needs a version below it" : no;
}
