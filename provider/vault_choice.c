/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/vault_choice.h"

static bool may_wrap(const struct vault_key *key, uint32_t number)
{
    return number >= key->min_encryption && number >= key->min_decryption;
}

/* Wall time from which a version may be used. */
static uint64_t due_at_s(const struct vault_choice_input *in, const struct vault_version *v)
{
    uint64_t due_s = v->created_at_s + in->config->activation_delay_ms / 1000;
    if (v->number != in->seen_version || !in->is_wrapping) {
        return due_s;
    }
    uint64_t stable_ms = in->seen_ms + in->config->stability_ms;
    uint64_t left_ms = stable_ms > in->now_ms ? stable_ms - in->now_ms : 0;
    uint64_t stable_s = in->now_s + (left_ms + 999) / 1000;
    return due_s > stable_s ? due_s : stable_s;
}

/* The newest version above `floor` that is due; the next one that is not yet goes to `pending`. */
static const struct vault_version *newest_due(const struct vault_choice_input *in, uint32_t floor,
                                              struct vault_choice *ret)
{
    for (size_t i = in->key->version_count; i > 0; i--) {
        const struct vault_version *v = &in->key->versions[i - 1];
        if (v->number <= floor || !may_wrap(in->key, v->number)) {
            continue;
        }
        uint64_t at_s = due_at_s(in, v);
        if (at_s <= in->now_s) {
            return v;
        }
        ret->pending = v->number;
        ret->pending_at_s = at_s;
    }
    return NULL;
}

/* For a key whose every version is too young to be due. */
static const struct vault_version *oldest(const struct vault_key *key)
{
    for (size_t i = 0; i < key->version_count; i++) {
        if (may_wrap(key, key->versions[i].number)) {
            return &key->versions[i];
        }
    }
    return NULL;
}

static struct vault_wire_version with_epoch(const struct vault_version *v, unsigned epoch)
{
    return (struct vault_wire_version){
        .epoch = (uint8_t)epoch, .number = v->number, .created_at_s = v->created_at_s};
}

/* The mark is of this epoch: it holds. */
static void choose_above_mark(const struct vault_choice_input *in, struct vault_choice *ret)
{
    const struct vault_wire_version *mark = &in->mark;
    const struct vault_version *same = vault_key_version(in->key, mark->number);
    const struct vault_version *newer = newest_due(in, mark->number, ret);
    bool is_same = same != NULL && same->created_at_s == mark->created_at_s;
    /* A version that the server no longer shows may have been trimmed; one above must exist then.
     */
    bool is_changed = same == NULL ? in->key->latest <= mark->number : !is_same;
    if (newer != NULL) {
        ret->use = with_epoch(newer, mark->epoch);
        return;
    }
    const struct vault_version *least = oldest(in->key);
    if (!is_changed && !may_wrap(in->key, mark->number) && least != NULL) {
        ret->use = with_epoch(least, mark->epoch); /* at once: the mark's may not be used longer */
        return;
    }
    ret->use = *mark;
    ret->cause = is_changed ? VAULT_KEY_CHANGED : VAULT_NONE;
}

/* The mark does not bind: there is none, or the epoch is a new one. */
static void choose_anew(const struct vault_choice_input *in, struct vault_choice *ret)
{
    const struct vault_version *v = newest_due(in, 0, ret);
    v = v == NULL ? oldest(in->key) : v;
    if (v == NULL) {
        ret->cause = VAULT_BAD_ANSWER;
        return;
    }
    ret->use = with_epoch(v, in->config->epoch);
}

void vault_choose(const struct vault_choice_input *in, struct vault_choice *ret)
{
    *ret = (struct vault_choice){.cause = VAULT_NONE};
    bool has_mark = in->mark.number > 0;
    ret->is_epoch_back = has_mark && in->config->epoch < in->mark.epoch;
    if (has_mark && in->config->epoch <= in->mark.epoch) {
        choose_above_mark(in, ret);
    } else {
        choose_anew(in, ret);
    }
    if (ret->use.number >= ret->pending) { /* used before its time, for there is no other */
        ret->pending = 0;
        ret->pending_at_s = 0;
    }
}
