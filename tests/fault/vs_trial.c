/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/vs_trial.h"

#include <stdlib.h>
#include <string.h>

const bool vs_trials[2] = {false, true};

static struct vault_state state_of(uint32_t number)
{
    struct kerrinfo e = {0};
    struct vault_state s = {
        .mark = {.number = number, .created_at_s = number}, .made_at_s = number, .uses = number};
    uint8_t raw[VAULT_WIRE_RAW_MIN];
    memset(raw, (int)number, sizeof raw);
    const struct vault_wire_kek kek = {.suite = 1, .version = number, .raw = BYTES_OF(raw)};
    assert_ok(&e, vault_wire_put_annotation(&kek, s.annotation, &s.annotation_len, &e));
    return s;
}

void vs_trial_begin(struct vs_trial *t, bool has_file)
{
    static char cluster_id[] = "test-1";
    static char mount[] = "transit";
    static char key[] = "kube";
    struct kerrinfo e = {0};
    *t = (struct vs_trial){.folder = test_folder_new(), .next = state_of(8)};
    t->path = test_path(t->folder, "vault-keks");
    t->config = (struct config_vault){
        .cluster_id = cluster_id, .mount = mount, .key = key, .state_path = t->path};
    if (has_file) {
        const struct vault_state first = state_of(6);
        t->before = state_of(7);
        assert_ok(&e, vault_state_write(&t->config, &first, &e));
        assert_ok(&e, vault_state_write(&t->config, &t->before, &e));
    }
}

void vs_trial_end(struct vs_trial *t)
{
    free(t->path);
    test_folder_remove(t->folder);
}

enum kerr vs_trial_act(struct vs_trial *t, struct kerrinfo *e)
{
    return vault_state_write(&t->config, &t->next, e);
}

static bool is_same(const struct vault_state *a, const struct vault_state *b)
{
    return a->mark.epoch == b->mark.epoch && a->mark.number == b->mark.number &&
           a->mark.created_at_s == b->mark.created_at_s && a->made_at_s == b->made_at_s &&
           a->uses == b->uses &&
           bytes_equal(bytes_of(a->annotation, a->annotation_len),
                       bytes_of(b->annotation, b->annotation_len));
}

static void check_is(struct vs_trial *t, const struct vault_state *want,
                     const struct vault_state *or_this, const char *what)
{
    struct kerrinfo e = {0};
    struct vault_state got;
    if (vault_state_read(&t->config, &got, &e) != KERR_OK) {
        fail_msg("%s: %s", what, e.text);
    }
    if (!is_same(&got, want) && (or_this == NULL || !is_same(&got, or_this))) {
        fail_msg("%s: version %u is read, %llu uses", what, got.mark.number,
                 (unsigned long long)got.uses);
    }
}

void vs_trial_check(struct vs_trial *t, bool is_done, const char *what)
{
    struct kerrinfo e = {0};
    const struct vault_state after = state_of(9);
    check_is(t, &t->next, is_done ? NULL : &t->before, what);
    if (vault_state_write(&t->config, &after, &e) != KERR_OK) {
        fail_msg("%s: the next write fails: %s", what, e.text);
    }
    check_is(t, &after, NULL, what);
}
