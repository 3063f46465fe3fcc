/* SPDX-License-Identifier: Apache-2.0 */
/* Making a keystore, and its slots later on. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "keystore/ks_change.h"

static void allow_algorithms(struct ks_model *m)
{
    static const uint8_t ids[KS_CLASSES] = {KS_BOX_X25519_HKDF_GCM, KS_TABLE_XAES_256_GCM,
                                            KS_MAC_HKDF_HMAC_SHA256, KS_SIGN_ED25519};
    for (uint8_t i = 0; i < KS_CLASSES; i++) {
        m->algorithm[i] = ids[i];
        m->allowed[i] = (struct ks_algorithm){.class = (uint8_t)(i + 1), .id = ids[i]};
    }
    m->allowed_count = KS_CLASSES;
}

/* An init that was interrupted leaves a record of generation 1 and neither keystore nor PATH.prev.
 */
static enum kerr check_absent(const struct ks_folder *folder, struct kerrinfo *e)
{
    static const enum ks_file must_not_be[] = {KS_FILE_KEYSTORE, KS_FILE_PREV, KS_FILE_DAMAGED};
    for (size_t i = 0; i < ARRAY_LEN(must_not_be); i++) {
        bool exists = true;
        enum kerr k = ks_folder_exists(folder, must_not_be[i], &exists, e);
        if (k != KERR_OK) {
            return k;
        }
        if (exists) {
            return kerr_set(e, KERR_EXISTS, "%s/%s exists; a keystore is never overwritten",
                            folder->dir.path, folder->names[must_not_be[i]]);
        }
    }
    AUTO_BUF accepted = {0};
    enum kerr k = ks_folder_read(folder, KS_FILE_ACCEPTED, &accepted, NULL);
    if (k == KERR_NOTFOUND ||
        (k == KERR_OK && ks_accepted_peek_generation(buf_view(&accepted)) == 1)) {
        return KERR_OK;
    }
    return kerr_set(e, KERR_EXISTS,
                    "%s/%s exists: there was a keystore; bring it back with 'etcdseal keystore "
                    "restore', or remove that file if it is to be forgotten",
                    folder->dir.path, folder->names[KS_FILE_ACCEPTED]);
}

static enum kerr check_new(const struct ks_folder *folder, const struct ks_new_slot *slots,
                           size_t count, struct kerrinfo *e)
{
    enum kerr k = check_absent(folder, e);
    if (k != KERR_OK) {
        return k;
    }
    if (count == 0 || count > KS_SLOTS_MAX) {
        return kerr_set(e, KERR_INPUT, "a keystore needs 1 to %d slots", KS_SLOTS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(slots[i].spec->slot, slots[j].spec->slot) == 0) {
                return kerr_set(e, KERR_INPUT,
                                "two slots are called %s; name them: --seal NAME=SPEC",
                                slots[i].spec->slot);
            }
        }
    }
    return KERR_OK;
}

static enum kerr make_slots(const struct ks_place *place, struct ks *ks,
                            const struct ks_new_slot *slots, size_t count, struct kerrinfo *e)
{
    struct ks_model *m = ks->model;
    for (size_t i = 0; i < count; i++) {
        AUTO_SECRET slot_secret = NULL;
        AUTO_SLOT_KEYS keys = {0};
        enum kerr k = ks_make_slot(place, m, ks->root, &slots[i], m->written_at_s, &m->slots[i],
                                   &slot_secret, &keys, e);
        if (k == KERR_OK) {
            k = ks_accepted_add_slot(ks->accepted, &keys, e);
        }
        if (k != KERR_OK) {
            return k;
        }
        m->slot_count = i + 1;
        /* The first slot is the writer. */
        if (i == 0) {
            ks->slot_keys = keys;
            keys = (struct ks_slot_keys){0};
            ks->slot_secret = secret_take(&slot_secret);
        }
    }
    return KERR_OK;
}

static enum kerr make_model(struct ks *ks, enum suite suite, uint8_t ret_key[KS_ID_BYTES],
                            struct kerrinfo *e)
{
    enum kerr k = ks_model_new(&ks->model, e);
    if (k == KERR_OK) {
        k = secret_random(KS_ROOT_BYTES, &ks->root, e);
    }
    if (k == KERR_OK) {
        k = ks_accepted_new(&ks->accepted, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    struct ks_model *m = ks->model;
    random_fill(m->store_id, sizeof m->store_id);
    m->generation = 1;
    m->root_epoch = 1;
    m->written_at_s = clock_wall_s();
    allow_algorithms(m);
    k = ks_add_key(m, suite, m->written_at_s, ret_key, e);
    if (k == KERR_OK) {
        struct ks_command_args args = {.now_s = m->written_at_s};
        k = ks_command(m, KS_PROMOTE, ret_key, &args, NULL, e);
    }
    return k;
}

static enum kerr put_new(const struct ks_place *place, const struct ks_folder *folder,
                         struct ks *ks, const struct ks_new_slot *slots, size_t count,
                         struct kerrinfo *e)
{
    const struct seal_spec *specs[KS_SLOTS_MAX];
    for (size_t i = 0; i < count; i++) {
        specs[i] = slots[i].spec;
    }
    enum kerr k = ks_put_unseal(folder, specs, count, false, e);
    return k == KERR_OK ? ks_put(place, folder, ks, true, KS_KEEP_NOTHING, e) : k;
}

enum kerr ks_init(const struct ks_place *place, const struct ks_new_slot *slots, size_t count,
                  enum suite suite, uint8_t ret_key[KS_ID_BYTES], struct kerrinfo *e)
{
    AUTO_FOLDER folder = KS_FOLDER_NONE;
    AUTO_FD lock = -1;
    uint8_t key[KS_ID_BYTES];
    enum kerr k = ks_folder_open(place->path, true, &folder, e);
    if (k == KERR_OK) {
        k = ks_folder_lock(&folder, &lock, e);
    }
    if (k == KERR_OK) {
        k = check_new(&folder, slots, count, e);
    }
    AUTO_KS ks = calloc(1, sizeof *ks);
    if (k == KERR_OK && ks == NULL) {
        k = kerr_set(e, KERR_NOMEM, "no memory for a keystore");
    }
    if (k == KERR_OK) {
        k = make_model(ks, suite, key, e);
    }
    if (k == KERR_OK) {
        k = make_slots(place, ks, slots, count, e);
    }
    if (k == KERR_OK) {
        k = put_new(place, &folder, ks, slots, count, e);
    }
    if (k == KERR_OK) {
        memcpy(ret_key, key, KS_ID_BYTES);
    }
    return k;
}

static enum kerr record_change(struct ks_change *c, enum ks_change_kind kind,
                               const struct ks_slot *slot, struct kerrinfo *e)
{
    struct ks_model *m = c->ks->model;
    if (m->change_count == KS_CHANGES_MAX) {
        m->change_count--;
        memmove(m->changes, m->changes + 1, m->change_count * sizeof *m->changes);
    }
    struct ks_roster_change *change = &m->changes[m->change_count];
    *change = (struct ks_roster_change){
        .kind = (uint8_t)kind, .role = slot->role, .generation = m->generation + 1};
    memcpy(change->slot, slot->id, KS_ID_BYTES);
    memcpy(change->box_key, slot->box_key, PUBKEY_BYTES);
    memcpy(change->sign_key, slot->sign_key, PUBKEY_BYTES);
    enum kerr k = ks_sign_change(m, &c->ks->slot_keys, change, e);
    m->change_count += k == KERR_OK;
    return k;
}

/* PATH.unseal with one SPEC more, or without the one of a slot. */
static enum kerr edit_unseal(const struct ks_change *c, const struct seal_spec *add,
                             const char *remove, struct kerrinfo *e)
{
    AUTO_BUF text = {0};
    struct seal_spec *specs = NULL;
    size_t count = 0;
    enum kerr k = ks_folder_read(&c->folder, KS_FILE_UNSEAL, &text, NULL);
    k = k == KERR_NOTFOUND ? KERR_OK : k;
    if (k == KERR_OK) {
        k = ks_unseal_parse(buf_view(&text), &specs, &count, e);
    }
    if (k != KERR_OK) {
        return kerr_set(e, k, "cannot read keystore.unseal");
    }
    const struct seal_spec *keep[KS_SLOTS_MAX + 1];
    size_t kept = 0;
    const char *drop = add != NULL ? add->slot : remove;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(specs[i].slot, drop) != 0) {
            keep[kept++] = &specs[i];
        }
    }
    if (add != NULL) {
        keep[kept++] = add;
    }
    if (kept > KS_SLOTS_MAX) {
        ks_specs_free(specs, count);
        return kerr_set(e, KERR_LIMIT,
                        "keystore.unseal names %d slots already: remove lines of slots that are "
                        "gone",
                        KS_SLOTS_MAX);
    }
    k = ks_put_unseal(&c->folder, keep, kept, false, e);
    ks_specs_free(specs, count);
    return k;
}

enum kerr ks_add_slot(const struct ks_place *place, const struct ks_new_slot *slot,
                      struct kerrinfo *e)
{
    AUTO_CHANGE c = KS_CHANGE_NONE;
    AUTO_SLOT_KEYS keys = {0};
    AUTO_SECRET slot_secret = NULL;
    enum kerr k = ks_change_begin(place, &c, e);
    if (k != KERR_OK) {
        return k;
    }
    struct ks_model *m = c.ks->model;
    if (ks_model_slot_named(m, slot->spec->slot) != NULL) {
        return kerr_set(e, KERR_EXISTS, "there is a slot %s; name the new one: NAME=%s",
                        slot->spec->slot, slot->spec->text);
    }
    if (m->slot_count == KS_SLOTS_MAX) {
        return kerr_set(e, KERR_LIMIT, "the keystore has %d slots already", KS_SLOTS_MAX);
    }
    k = ks_make_slot(place, m, c.ks->root, slot, c.now_s, &m->slots[m->slot_count], &slot_secret,
                     &keys, e);
    if (k == KERR_OK) {
        k = record_change(&c, KS_CHANGE_ADD, &m->slots[m->slot_count], e);
    }
    /* The copy is written with the record, behind the keystore: a copy of a slot that is not in the
     * keystore would be taken for that of a removed one. */
    if (k == KERR_OK) {
        k = ks_accepted_add_slot(c.ks->accepted, &keys, e);
    }
    if (k == KERR_OK) {
        k = edit_unseal(&c, slot->spec, NULL, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    m->slot_count++;
    return ks_change_commit(&c, e);
}

static enum kerr check_removal(const struct ks_change *c, const struct ks_slot *slot,
                               const char *name, struct kerrinfo *e)
{
    const struct ks_model *m = c->ks->model;
    if (slot == NULL) {
        return kerr_set(e, KERR_NOTFOUND, "the keystore has no slot %s", name);
    }
    if (m->slot_count == 1) {
        return kerr_set(e, KERR_DENIED,
                        "slot %s is the last one; nothing could open the keystore without it",
                        name);
    }
    if (slot == ks_opened_by(c->ks)) {
        return kerr_set(e, KERR_DENIED,
                        "slot %s is the one that opened the keystore; open it with another one: "
                        "--unseal NAME=SPEC",
                        name);
    }
    for (size_t i = 0; i < m->slot_count; i++) {
        if (&m->slots[i] != slot && m->slots[i].tested_at_s != 0) {
            return KERR_OK;
        }
    }
    return kerr_set(e, KERR_DENIED,
                    "without slot %s only slots would be left that were never seen to open; run "
                    "'etcdseal seal test NAME' first",
                    name);
}

enum kerr ks_remove_slot(const struct ks_place *place, const char *name, struct kerrinfo *e)
{
    AUTO_CHANGE c = KS_CHANGE_NONE;
    enum kerr k = ks_change_begin(place, &c, e);
    if (k != KERR_OK) {
        return k;
    }
    struct ks_model *m = c.ks->model;
    const struct ks_slot *slot = ks_model_slot_named(m, name);
    k = check_removal(&c, slot, name, e);
    if (k == KERR_OK) {
        k = record_change(&c, KS_CHANGE_REMOVE, slot, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    size_t at = (size_t)(slot - m->slots);
    m->slot_count--;
    memmove(&m->slots[at], &m->slots[at + 1], (m->slot_count - at) * sizeof *m->slots);
    k = ks_renew_root(c.ks, e);
    if (k == KERR_OK) {
        k = ks_change_commit(&c, e);
    }
    return k == KERR_OK ? edit_unseal(&c, NULL, name, e) : k;
}

static enum kerr spec_of_slot(const struct ks_change *c, const char *name,
                              struct seal_spec **ret_owned, size_t *ret_count,
                              const struct seal_spec **ret, struct kerrinfo *e)
{
    const struct seal_spec *specs = NULL;
    enum kerr k = ks_place_specs(c->place, &c->folder, ret_owned, &specs, ret_count, e);
    if (k != KERR_OK) {
        return k;
    }
    for (size_t i = 0; i < *ret_count; i++) {
        if (strcmp(specs[i].slot, name) == 0) {
            *ret = &specs[i];
            return KERR_OK;
        }
    }
    return kerr_set(e, KERR_NOTFOUND,
                    "nothing on this node says how to open slot %s; name it: --unseal %s=SPEC",
                    name, name);
}

enum kerr ks_test_slot(const struct ks_place *place, const char *name, struct kerrinfo *e)
{
    AUTO_CHANGE c = KS_CHANGE_NONE;
    AUTO_SECRET slot_secret = NULL;
    AUTO_SECRET root = NULL;
    AUTO_SLOT_KEYS keys = {0};
    enum kerr k = ks_change_begin(place, &c, e);
    if (k != KERR_OK) {
        return k;
    }
    struct ks_model *m = c.ks->model;
    const struct ks_slot *slot = ks_model_slot_named(m, name);
    if (slot == NULL) {
        return kerr_set(e, KERR_NOTFOUND, "the keystore has no slot %s", name);
    }
    /* Then opening the keystore was the test, and a passphrase is not asked for twice. */
    if (slot == ks_opened_by(c.ks)) {
        m->slots[slot - m->slots].tested_at_s = c.now_s;
        return ks_change_commit(&c, e);
    }
    struct seal_spec *owned = NULL;
    const struct seal_spec *spec = NULL;
    size_t count = 0;
    k = spec_of_slot(&c, name, &owned, &count, &spec, e);
    if (k == KERR_OK) {
        k = ks_unseal_slot(place, m, spec, &slot_secret, e);
    }
    if (owned != NULL) {
        ks_specs_free(owned, count);
    }
    if (k == KERR_OK) {
        k = ks_slot_keys_derive(m->store_id, slot->id, slot_secret, &keys, e);
    }
    if (k == KERR_OK) {
        k = ks_unbox_root(m, slot, &keys, &root, e);
    }
    if (k == KERR_OK && !secret_equal(root, c.ks->root)) {
        k = kerr_set(e, KERR_INTEGRITY, "slot %s holds another root key", name);
    }
    if (k != KERR_OK) {
        return k;
    }
    k = ks_accepted_add_slot(c.ks->accepted, &keys, e);
    if (k != KERR_OK) {
        return k;
    }
    m->slots[slot - m->slots].tested_at_s = c.now_s;
    return ks_change_commit(&c, e);
}
