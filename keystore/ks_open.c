/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/ks_open.h"

#include <stdlib.h>
#include <string.h>

void ks_close(struct ks *ks)
{
    if (ks != NULL) {
        ks_model_free(ks->model);
        secret_free(ks->root);
        secret_free(ks->slot_secret);
        ks_slot_keys_done(&ks->slot_keys);
        ks_accepted_free(ks->accepted);
        free(ks);
    }
}

void ks_close_at(struct ks **ks)
{
    ks_close(*ks);
    *ks = NULL;
}

const struct ks_model *ks_model(const struct ks *ks)
{
    return ks->model;
}

const uint8_t *ks_file_hash(const struct ks *ks)
{
    return ks->hash;
}

const struct ks_slot *ks_opened_by(const struct ks *ks)
{
    return ks_model_slot(ks->model, ks->slot_keys.slot);
}

enum kerr ks_place_specs(const struct ks_place *place, const struct ks_folder *folder,
                         struct seal_spec **ret_owned, const struct seal_spec **ret,
                         size_t *ret_count, struct kerrinfo *e)
{
    if (place->spec_count > 0) {
        *ret_owned = NULL;
        *ret = place->specs;
        *ret_count = place->spec_count;
        return KERR_OK;
    }
    AUTO_BUF text = {0};
    enum kerr k = ks_folder_read(folder, KS_FILE_UNSEAL, &text, e);
    if (k == KERR_NOTFOUND) {
        kerr_prefix(e, "nothing says how to open the keystore (keystore.unseal in the "
                       "configuration, or PATH.unseal)");
    }
    if (k == KERR_OK) {
        k = ks_unseal_parse(buf_view(&text), ret_owned, ret_count, e);
    }
    if (k == KERR_OK) {
        *ret = *ret_owned;
    }
    return k;
}

enum kerr ks_unseal_slot(const struct ks_place *place, const struct ks_model *m,
                         const struct seal_spec *spec, struct secret **ret, struct kerrinfo *e)
{
    const struct ks_slot *slot = ks_model_slot_named(m, spec->slot);
    if (slot == NULL) {
        return kerr_set(e, KERR_NOTFOUND, "the keystore has no slot %s", spec->slot);
    }
    uint8_t binding[KS_SEAL_BINDING_BYTES];
    ks_seal_binding(m->store_id, slot->id, binding);
    enum kerr k = seal_unwrap(spec, &place->env, BYTES_OF(binding), &slot->seal, ret, e);
    if (k != KERR_OK) {
        kerr_prefix(e, "slot %s", spec->slot);
    }
    return k;
}

/* What unsealing works with. */
struct opening {
    const struct ks_place *place;
    const struct ks_folder *folder;
    const struct bytes *accepted_file; /* NULL: none is asked for */
    struct ks *ks;
};

/* Takes the slot's secret into ks, opens the root with it and, where asked for, the node's record.
 * On failure ks keeps nothing of it. */
static enum kerr use_slot(struct opening *o, const uint8_t slot_id[KS_ID_BYTES],
                          const struct secret *slot_secret, struct kerrinfo *e)
{
    struct ks *ks = o->ks;
    const struct ks_slot *slot = ks_model_slot(ks->model, slot_id);
    if (slot == NULL) {
        return kerr_set(e, KERR_NOTFOUND, "the slot that opened it before is gone");
    }
    AUTO_SLOT_KEYS keys = {0};
    AUTO_SECRET root = NULL;
    AUTO_SECRET copy = NULL;
    AUTO_ACCEPTED accepted = NULL;
    enum kerr k = ks_slot_keys_derive(ks->model->store_id, slot_id, slot_secret, &keys, e);
    if (k == KERR_OK) {
        k = ks_unbox_root(ks->model, slot, &keys, &root, e);
    }
    if (k == KERR_OK && o->accepted_file != NULL) {
        k = ks_accepted_read(*o->accepted_file, &keys, &accepted, e);
    }
    if (k == KERR_OK) {
        k = secret_from_bytes(secret_view(slot_secret), &copy, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    secret_freeze(root);
    secret_freeze(copy);
    ks->root = secret_take(&root);
    ks->slot_secret = secret_take(&copy);
    ks->slot_keys = keys;
    keys = (struct ks_slot_keys){0};
    ks->accepted = accepted;
    accepted = NULL;
    return KERR_OK;
}

static enum kerr try_spec(struct opening *o, const struct seal_spec *spec, struct kerrinfo *e)
{
    AUTO_SECRET slot_secret = NULL;
    enum kerr k = ks_unseal_slot(o->place, o->ks->model, spec, &slot_secret, e);
    if (k != KERR_OK) {
        return k;
    }
    return use_slot(o, ks_model_slot_named(o->ks->model, spec->slot)->id, slot_secret, e);
}

static enum kerr try_specs(struct opening *o, const struct seal_spec *specs, size_t count,
                           struct kerrinfo *e)
{
    enum kerr worst = KERR_SEALED;
    struct kerrinfo worst_cause = {0};
    (void)kerr_set(&worst_cause, worst, "no slot is named that could open it");
    for (size_t i = 0; i < count; i++) {
        struct kerrinfo cause = {0};
        enum kerr k = try_spec(o, &specs[i], &cause);
        if (k == KERR_OK) {
            return k;
        }
        if (i == 0 || seal_is_worse(k, worst)) {
            worst = k;
            worst_cause = cause;
        }
    }
    return kerr_set(e, worst, "%s", worst_cause.text);
}

static enum kerr unseal(struct opening *o, const struct ks *previous, struct kerrinfo *e)
{
    if (previous != NULL &&
        use_slot(o, previous->slot_keys.slot, previous->slot_secret, NULL) == KERR_OK) {
        return KERR_OK;
    }
    struct seal_spec *owned = NULL;
    const struct seal_spec *specs = NULL;
    size_t count = 0;
    enum kerr k = ks_place_specs(o->place, o->folder, &owned, &specs, &count, e);
    if (k != KERR_OK) {
        return k;
    }
    k = try_specs(o, specs, count, e);
    if (owned != NULL) {
        ks_specs_free(owned, count);
    }
    return k;
}

enum kerr ks_unseal_bytes(const struct ks_place *place, const struct ks_folder *folder,
                          struct bytes file, const struct bytes *accepted_file,
                          const struct ks *previous, struct ks **ret, struct ks_parts *ret_parts,
                          struct kerrinfo *e)
{
    AUTO_KS ks = calloc(1, sizeof *ks);
    if (ks == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a keystore");
    }
    struct ks_parts parts;
    struct opening o = {place, folder, accepted_file, ks};
    enum kerr k = ks_model_new(&ks->model, e);
    if (k == KERR_OK) {
        k = ks_format_read(file, ks->model, &parts, e);
    }
    if (k == KERR_OK) {
        k = unseal(&o, previous, e);
    }
    if (k == KERR_OK) {
        k = ks_check_mac(ks->model, &parts, ks->root, e);
    }
    if (k == KERR_OK) {
        k = ks_open_table(ks->model, &parts, ks->root, e);
    }
    if (k != KERR_OK) {
        kerr_prefix(e, "keystore %s%s", place->path, k == KERR_UNTRUSTED ? " refused" : "");
        return k;
    }
    hash_sha256(file, ks->hash);
    *ret_parts = parts;
    *ret = ks;
    ks = NULL;
    return KERR_OK;
}

/* A running process believes nothing older than what it serves, whatever PATH.accepted says. */
static enum kerr check_previous(const struct ks *ks, const struct ks_parts *parts,
                                const struct ks *previous, struct kerrinfo *e)
{
    if (previous == NULL) {
        return KERR_OK;
    }
    AUTO_ACCEPTED served = NULL;
    enum kerr k = ks_accepted_clone(ks->accepted, &served, e);
    if (k != KERR_OK) {
        return k;
    }
    ks_accepted_take(served, previous->model, previous->hash);
    return ks_accepted_check(served, ks->model, parts, ks->hash, e);
}

static enum kerr read_accepted(const struct ks_folder *folder, struct buf *ret, struct kerrinfo *e)
{
    enum kerr k = ks_folder_read(folder, KS_FILE_ACCEPTED, ret, e);
    if (k == KERR_NOTFOUND) {
        kerr_clear(e);
        return kerr_set(e, KERR_UNTRUSTED,
                        "keystore.accepted is missing, so nothing vouches for the keystore; if you "
                        "know that it is the right one, accept it with 'etcdseal keystore restore "
                        "--fingerprint SHA256 FILE'");
    }
    return k;
}

enum kerr ks_open_in(const struct ks_place *place, const struct ks_folder *folder,
                     const struct ks *previous, struct ks **ret, struct kerrinfo *e)
{
    AUTO_BUF file = {0};
    AUTO_BUF accepted_file = {0};
    AUTO_KS ks = NULL;
    struct ks_parts parts;
    enum kerr k = ks_folder_read(folder, KS_FILE_KEYSTORE, &file, e);
    if (k == KERR_NOTFOUND) {
        kerr_clear(e);
        (void)kerr_set(e, k, "there is no keystore %s; make one with 'etcdseal init'", place->path);
    }
    if (k == KERR_OK) {
        k = read_accepted(folder, &accepted_file, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    struct bytes accepted = buf_view(&accepted_file);
    k = ks_unseal_bytes(place, folder, buf_view(&file), &accepted, previous, &ks, &parts, e);
    if (k != KERR_OK) {
        return k;
    }
    k = check_previous(ks, &parts, previous, e);
    if (k == KERR_OK) {
        k = ks_accepted_check(ks->accepted, ks->model, &parts, ks->hash, e);
    }
    if (k != KERR_OK) {
        kerr_prefix(e, "keystore %s refused", place->path);
        return k;
    }
    *ret = ks;
    ks = NULL;
    return KERR_OK;
}

enum kerr ks_open(const struct ks_place *place, const struct ks *previous, struct ks **ret,
                  struct kerrinfo *e)
{
    AUTO_FOLDER folder = KS_FOLDER_NONE;
    enum kerr k = ks_folder_open(place->path, false, &folder, e);
    return k == KERR_OK ? ks_open_in(place, &folder, previous, ret, e) : k;
}

bool ks_accepts_slot(const struct ks *ks, const struct ks_slot *slot)
{
    return ks_accepted_has_slot(ks->accepted, slot->id);
}

bool ks_owes_accept_key(const struct ks *ks)
{
    return ks_accepted_lost_slot(ks->accepted, ks->model);
}

enum kerr ks_is_current(const struct ks_place *place, const struct ks *ks, bool *ret,
                        struct kerrinfo *e)
{
    AUTO_FOLDER folder = KS_FOLDER_NONE;
    AUTO_BUF file = {0};
    enum kerr k = ks_folder_open(place->path, false, &folder, e);
    if (k == KERR_OK) {
        k = ks_folder_read(&folder, KS_FILE_KEYSTORE, &file, e);
    }
    if (k == KERR_OK) {
        uint8_t hash[HASH_BYTES];
        hash_sha256(buf_view(&file), hash);
        *ret = memcmp(hash, ks->hash, sizeof hash) == 0;
    }
    return k;
}

enum kerr ks_read_clear(const char *path, struct ks_model **ret, uint8_t ret_hash[HASH_BYTES],
                        struct kerrinfo *e)
{
    AUTO_BUF file = {0};
    AUTO_MODEL m = NULL;
    struct ks_parts parts;
    enum kerr k = file_read(NULL, path, KS_FILE_MAX, FILE_READ_ANY, &file, e);
    if (k == KERR_OK) {
        k = ks_model_new(&m, e);
    }
    if (k == KERR_OK) {
        k = ks_format_read(buf_view(&file), m, &parts, e);
    }
    if (k != KERR_OK) {
        kerr_prefix(e, "keystore %s", path);
        return k;
    }
    hash_sha256(buf_view(&file), ret_hash);
    *ret = m;
    m = NULL;
    return KERR_OK;
}

enum kerr ks_read_unseal(const char *path, struct seal_spec **ret, size_t *ret_count,
                         struct kerrinfo *e)
{
    AUTO_FOLDER folder = KS_FOLDER_NONE;
    AUTO_BUF text = {0};
    enum kerr k = ks_folder_open(path, false, &folder, e);
    if (k == KERR_OK) {
        k = ks_folder_read(&folder, KS_FILE_UNSEAL, &text, e);
    }
    return k == KERR_OK ? ks_unseal_parse(buf_view(&text), ret, ret_count, e) : k;
}
