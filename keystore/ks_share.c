/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/ks_share.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SPEC_LISTS 3

/* Everything that says how slots are opened on this node. */
struct known_specs {
    const struct seal_spec *specs[SPEC_LISTS];
    size_t counts[SPEC_LISTS];
    struct seal_spec *owned;
    size_t owned_count;
};

static void known_specs_done(struct known_specs *known)
{
    if (known->owned != NULL) {
        ks_specs_free(known->owned, known->owned_count);
    }
}

static enum kerr find_specs(const struct ks_place *place, const struct ks_folder *folder,
                            struct known_specs *ret, struct kerrinfo *e)
{
    AUTO_BUF text = {0};
    *ret = (struct known_specs){.specs = {place->specs, place->daemon_specs},
                                .counts = {place->spec_count, place->daemon_spec_count}};
    struct kerrinfo cause = {0};
    enum kerr k = ks_folder_read(folder, KS_FILE_UNSEAL, &text, &cause);
    if (k == KERR_OK) {
        k = ks_unseal_parse(buf_view(&text), &ret->owned, &ret->owned_count, &cause);
    }
    if (k == KERR_OK) {
        ret->specs[SPEC_LISTS - 1] = ret->owned;
        ret->counts[SPEC_LISTS - 1] = ret->owned_count;
    }
    /* Where there is no such file, the others are all. */
    return k == KERR_NOMEM ? kerr_set(e, k, "%s", cause.text) : KERR_OK;
}

static enum kerr share_by(const struct ks_place *place, const struct ks *ks,
                          const struct ks_slot *slot, const struct seal_spec *spec,
                          struct ks_accepted *record, struct kerrinfo *e)
{
    AUTO_SECRET slot_secret = NULL;
    AUTO_SECRET root = NULL;
    AUTO_SLOT_KEYS keys = {0};
    enum kerr k = ks_unseal_slot(place, ks->model, spec, &slot_secret, e);
    if (k == KERR_OK) {
        k = ks_slot_keys_derive(ks->model->store_id, slot->id, slot_secret, &keys, e);
    }
    if (k == KERR_OK) {
        k = ks_unbox_root(ks->model, slot, &keys, &root, e);
    }
    return k == KERR_OK ? ks_accepted_add_slot(record, &keys, e) : k;
}

/* Tries every SPEC of the slot's name. Not OK: the slot has got no copy, `why` says the last
 * reason, *ret_unattended whether it would need no person. */
static enum kerr share_with(const struct ks_place *place, const struct ks *ks,
                            const struct ks_slot *slot, const struct known_specs *known,
                            struct ks_accepted *record, bool *ret_unattended, struct kerrinfo *why)
{
    bool is_known = false;
    bool is_unattended = false;
    enum kerr k = kerr_set(why, KERR_NOTFOUND, "nothing here says how to open it");
    for (size_t i = 0; i < SPEC_LISTS; i++) {
        for (size_t j = 0; j < known->counts[i]; j++) {
            const struct seal_spec *spec = &known->specs[i][j];
            if (strcmp(spec->slot, slot->name) != 0) {
                continue;
            }
            kerr_clear(why);
            k = share_by(place, ks, slot, spec, record, why);
            if (k == KERR_OK || k == KERR_NOMEM) {
                return k;
            }
            is_known = true;
            is_unattended |= (seal_spec_caps(spec) & SEAL_CAN_OPEN_UNATTENDED) != 0;
        }
    }
    *ret_unattended = is_known ? is_unattended : slot->seal.kind != SEAL_PASSPHRASE;
    return k;
}

PRINTF_LIKE(2, 3)
static void tell(const struct ks_place *place, const char *fmt, ...)
{
    char text[KERRINFO_TEXT_MAX + 512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (place->tell != NULL) {
        place->tell(place->tell_ctx, text);
    }
}

enum kerr ks_share_accept_key(const struct ks_place *place, const struct ks_folder *folder,
                              const struct ks *ks, const struct ks_accepted *old,
                              struct ks_accepted *record, bool *ret_left_out, struct kerrinfo *e)
{
    AUTO(known_specs_done) struct known_specs known = {0};
    enum kerr k = find_specs(place, folder, &known, e);
    if (k == KERR_OK) {
        k = ks_accepted_add_slot(record, &ks->slot_keys, e);
    }
    *ret_left_out = false;
    for (size_t i = 0; i < ks->model->slot_count && k == KERR_OK; i++) {
        const struct ks_slot *slot = &ks->model->slots[i];
        struct kerrinfo why = {0};
        bool is_unattended = false;
        if (ks_accepted_has_slot(record, slot->id) ||
            (old != NULL && !ks_accepted_has_slot(old, slot->id))) {
            continue;
        }
        enum kerr shared = share_with(place, ks, slot, &known, record, &is_unattended, &why);
        if (shared == KERR_NOMEM) {
            return kerr_set(e, shared, "%s", why.text);
        }
        if (shared == KERR_OK || old == NULL) {
            continue;
        }
        if (is_unattended) {
            *ret_left_out = true;
            tell(place,
                 "this node's accept key stays as it is, though a removed slot's holder knows it: "
                 "slot %s would be left out of a new one (%s); once it opens, run 'etcdseal seal "
                 "test %s'",
                 slot->name, why.text, slot->name);
            return KERR_OK;
        }
        tell(place,
             "slot %s does not open now, so it has no copy of this node's new accept key (%s); it "
             "opens the keystore here again after 'etcdseal seal test %s'",
             slot->name, why.text, slot->name);
    }
    return k;
}

enum kerr ks_follow_record(const struct ks_place *place, const struct ks_folder *folder,
                           const struct ks *ks, struct ks_accepted **record, struct kerrinfo *e)
{
    AUTO_ACCEPTED fresh = NULL;
    bool is_left_out = false;
    enum kerr k = KERR_OK;
    if (ks_accepted_lost_slot(*record, ks->model)) {
        k = ks_accepted_new(&fresh, e);
        if (k == KERR_OK) {
            k = ks_share_accept_key(place, folder, ks, *record, fresh, &is_left_out, e);
        }
    }
    if (k != KERR_OK) {
        return k;
    }
    if (fresh != NULL && !is_left_out) {
        ks_accepted_free(*record);
        *record = fresh;
        fresh = NULL;
    }
    ks_accepted_take(*record, ks->model, ks->hash);
    return KERR_OK;
}
