/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why the accepted record is written after the keystore: a crash between the two leaves a keystore
 * one generation ahead of the record, which acceptance follows by itself. The other order would
 * leave a node that refuses its own keystore as rolled back.
 */
#include "keystore/ks_change.h"

#include <string.h>

#include "base/clock.h"
#include "keystore/ks_share.h"

enum kerr ks_change_begin(const struct ks_place *place, struct ks_change *ret, struct kerrinfo *e)
{
    AUTO_CHANGE c = KS_CHANGE_NONE;
    c.place = place;
    c.now_s = clock_wall_s();
    enum kerr k = ks_folder_open(place->path, false, &c.folder, e);
    if (k == KERR_OK) {
        k = ks_folder_lock(&c.folder, &c.lock_fd, e);
    }
    if (k == KERR_OK) {
        k = ks_open_in(place, &c.folder, NULL, &c.ks, e);
    }
    if (k == KERR_OK) {
        memcpy(c.base_hash, c.ks->hash, HASH_BYTES);
        *ret = c;
        c = KS_CHANGE_NONE;
    }
    return k;
}

void ks_change_end(struct ks_change *c)
{
    ks_close(c->ks);
    ks_folder_close(&c->folder);
    file_close_at(&c->lock_fd);
    *c = KS_CHANGE_NONE;
}

enum kerr ks_renew_root(struct ks *ks, struct kerrinfo *e)
{
    struct ks_model *m = ks->model;
    AUTO_SECRET root = NULL;
    enum kerr k = secret_random(KS_ROOT_BYTES, &root, e);
    if (k != KERR_OK) {
        return k;
    }
    secret_freeze(root);
    m->root_epoch++;
    for (size_t i = 0; i < m->slot_count && k == KERR_OK; i++) {
        k = ks_box_root(m, &m->slots[i], root, e);
    }
    if (k == KERR_OK) {
        secret_free(ks->root);
        ks->root = secret_take(&root);
    }
    return k;
}

/* What the new file must still be when read back from the disk. */
static enum kerr verify_written(void *ctx, struct bytes file, struct kerrinfo *e)
{
    const struct ks *want = ctx;
    AUTO_MODEL m = NULL;
    AUTO_SECRET root = NULL;
    struct ks_parts parts;
    enum kerr k = ks_model_new(&m, e);
    if (k == KERR_OK) {
        k = ks_format_read(file, m, &parts, e);
    }
    const struct ks_slot *slot = k == KERR_OK ? ks_model_slot(m, want->slot_keys.slot) : NULL;
    if (k == KERR_OK && slot == NULL) {
        k = kerr_set(e, KERR_BUG, "the writer's slot is missing");
    }
    if (k == KERR_OK) {
        k = ks_unbox_root(m, slot, &want->slot_keys, &root, e);
    }
    if (k == KERR_OK) {
        k = ks_check_mac(m, &parts, root, e);
    }
    if (k == KERR_OK) {
        k = ks_check_signature(&parts, slot->sign_key, e);
    }
    if (k == KERR_OK) {
        k = ks_open_table(m, &parts, root, e);
    }
    if (k == KERR_OK && m->key_count != want->model->key_count) {
        k = kerr_set(e, KERR_BUG, "keys are missing");
    }
    if (k != KERR_OK) {
        kerr_prefix(e, "the new keystore does not open when read back; nothing was changed");
    }
    return k;
}

enum kerr ks_put_accepted(const struct ks_folder *folder, const struct ks_accepted *record,
                          struct kerrinfo *e)
{
    AUTO_BUF file = {0};
    enum kerr k = ks_accepted_write(record, &file, e);
    if (k == KERR_OK) {
        k = ks_folder_write(
            folder, &(struct ks_folder_write){.which = KS_FILE_ACCEPTED, .data = buf_view(&file)},
            e);
    }
    return k;
}

static enum kerr put_keystore(const struct ks_folder *folder, struct ks *ks, struct bytes file,
                              bool is_new, enum ks_keep keep, struct kerrinfo *e)
{
    return ks_folder_write(folder,
                           &(struct ks_folder_write){.which = KS_FILE_KEYSTORE,
                                                     .data = file,
                                                     .is_new = is_new,
                                                     .keep_prev = keep == KS_KEEP_PREV,
                                                     .keep_damaged = keep == KS_KEEP_DAMAGED,
                                                     .verify = verify_written,
                                                     .verify_ctx = ks},
                           e);
}

enum kerr ks_put(const struct ks_place *place, const struct ks_folder *folder, struct ks *ks,
                 bool is_new, enum ks_keep keep, struct kerrinfo *e)
{
    struct ks_model *m = ks->model;
    memcpy(m->writer, ks->slot_keys.slot, KS_ID_BYTES);
    random_fill(m->salt, sizeof m->salt);
    AUTO_BUF file = {0};
    enum kerr k = ks_build_file(m, ks->root, &ks->slot_keys, &file, e);
    if (k != KERR_OK) {
        return k;
    }
    hash_sha256(buf_view(&file), ks->hash);
    k = ks_follow_record(place, folder, ks, &ks->accepted, e);
    if (k == KERR_OK && is_new) {
        k = ks_put_accepted(folder, ks->accepted, e);
    }
    if (k == KERR_OK) {
        k = put_keystore(folder, ks, buf_view(&file), is_new, keep, e);
    }
    if (k != KERR_OK || is_new) {
        return k;
    }
    k = ks_put_accepted(folder, ks->accepted, e);
    if (k != KERR_OK) {
        kerr_prefix(e, "the keystore was written, but not keystore.accepted (the next change "
                       "mends it)");
    }
    return k;
}

enum kerr ks_change_commit(struct ks_change *c, struct kerrinfo *e)
{
    struct ks_model *m = c->ks->model;
    /* Locks are advisory: somebody may have copied another file over it meanwhile. */
    bool is_current = false;
    enum kerr k = ks_is_current(c->place, c->ks, &is_current, e);
    if (k == KERR_OK && !is_current) {
        k = kerr_set(e, KERR_BUSY, "the keystore changed meanwhile; nothing was written");
    }
    if (k != KERR_OK) {
        return k;
    }
    memcpy(m->previous_hash, c->base_hash, HASH_BYTES);
    m->generation++;
    m->written_at_s = c->now_s;
    /* Older copies of what is being destroyed go first: the present file is still whole. */
    if (c->drop_previous) {
        k = ks_folder_remove_previous(&c->folder, e);
    }
    return k == KERR_OK ? ks_put(c->place, &c->folder, c->ks, false,
                                 c->drop_previous ? KS_KEEP_NOTHING : KS_KEEP_PREV, e)
                        : k;
}

enum kerr ks_make_slot(const struct ks_place *place, const struct ks_model *m,
                       const struct secret *root, const struct ks_new_slot *wanted, uint64_t now_s,
                       struct ks_slot *ret, struct secret **ret_secret,
                       struct ks_slot_keys *ret_keys, struct kerrinfo *e)
{
    struct ks_slot s = {.role = wanted->role, .created_at_s = now_s};
    uint8_t binding[KS_SEAL_BINDING_BYTES];
    AUTO_SECRET slot_secret = NULL;
    AUTO_SECRET again = NULL;
    AUTO_SLOT_KEYS keys = {0};
    random_fill(s.id, sizeof s.id);
    memcpy(s.name, wanted->spec->slot, strlen(wanted->spec->slot));
    ks_seal_binding(m->store_id, s.id, binding);
    enum kerr k = secret_random(SEAL_SECRET_BYTES, &slot_secret, e);
    if (k == KERR_OK) {
        k = seal_wrap(wanted->spec, &place->env, BYTES_OF(binding), slot_secret, &s.seal, e);
    }
    if (k == KERR_OK) {
        k = ks_slot_keys_derive(m->store_id, s.id, slot_secret, &keys, e);
    }
    if (k == KERR_OK) {
        k = pubkey_box_public(keys.box, s.box_key, e);
    }
    if (k == KERR_OK) {
        k = pubkey_sign_public(keys.sign, s.sign_key, e);
    }
    if (k == KERR_OK) {
        k = ks_box_root(m, &s, root, e);
    }
    /* A seal that needs no person is opened once, so that it is known to work from the start. */
    if (k == KERR_OK && (seal_spec_caps(wanted->spec) & SEAL_CAN_OPEN_UNATTENDED) != 0) {
        k = seal_unwrap(wanted->spec, &place->env, BYTES_OF(binding), &s.seal, &again, e);
        if (k == KERR_OK && !secret_equal(again, slot_secret)) {
            k = kerr_set(e, KERR_BUG, "the seal gives back another secret");
        }
        s.tested_at_s = now_s;
    }
    if (k != KERR_OK) {
        kerr_prefix(e, "slot %s", wanted->spec->slot);
        return k;
    }
    *ret = s;
    *ret_secret = secret_take(&slot_secret);
    *ret_keys = keys;
    keys = (struct ks_slot_keys){0};
    return KERR_OK;
}

enum kerr ks_put_unseal(const struct ks_folder *folder, const struct seal_spec *const *specs,
                        size_t count, bool is_new, struct kerrinfo *e)
{
    AUTO_BUF text = {0};
    enum kerr k = ks_unseal_print(specs, count, &text, e);
    if (k == KERR_OK) {
        k = ks_folder_write(folder,
                            &(struct ks_folder_write){
                                .which = KS_FILE_UNSEAL, .data = buf_view(&text), .is_new = is_new},
                            e);
    }
    return k;
}

enum kerr ks_stage_key(const struct ks_place *place, enum suite suite, uint8_t ret_id[KS_ID_BYTES],
                       struct kerrinfo *e)
{
    AUTO_CHANGE c = KS_CHANGE_NONE;
    uint8_t id[KS_ID_BYTES];
    enum kerr k = ks_change_begin(place, &c, e);
    if (k == KERR_OK) {
        k = ks_add_key(c.ks->model, suite, c.now_s, id, e);
    }
    if (k == KERR_OK) {
        k = ks_change_commit(&c, e);
    }
    if (k == KERR_OK) {
        memcpy(ret_id, id, KS_ID_BYTES);
    }
    return k;
}

enum kerr ks_run_command(const struct ks_place *place, enum ks_command command,
                         const uint8_t id[KS_ID_BYTES], const struct ks_command_args *args,
                         bool *ret_destroyed, struct kerrinfo *e)
{
    AUTO_CHANGE c = KS_CHANGE_NONE;
    bool is_destroyed = false;
    enum kerr k = ks_change_begin(place, &c, e);
    if (k == KERR_OK) {
        k = ks_command(c.ks->model, command, id, args, &is_destroyed, e);
    }
    /* Under the old root key the destroyed one could still be read from any older copy. */
    if (k == KERR_OK && is_destroyed) {
        c.drop_previous = true;
        k = ks_renew_root(c.ks, e);
    }
    if (k == KERR_OK) {
        k = ks_change_commit(&c, e);
    }
    if (k == KERR_OK && ret_destroyed != NULL) {
        *ret_destroyed = is_destroyed;
    }
    return k;
}
