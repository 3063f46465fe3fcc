/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "keystore/ks_change.h"

enum kerr ks_backup(const struct ks_place *place, const char *to, uint8_t ret_hash[HASH_BYTES],
                    struct kerrinfo *e)
{
    AUTO_FOLDER folder = KS_FOLDER_NONE;
    AUTO_KS ks = NULL;
    AUTO_BUF file = {0};
    uint8_t hash[HASH_BYTES];
    enum kerr k = ks_folder_open(place->path, false, &folder, e);
    if (k == KERR_OK) {
        k = ks_open_in(place, &folder, NULL, &ks, e);
    }
    if (k == KERR_OK) {
        k = ks_folder_read(&folder, KS_FILE_KEYSTORE, &file, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    hash_sha256(buf_view(&file), hash);
    if (memcmp(hash, ks->hash, sizeof hash) != 0) {
        return kerr_set(e, KERR_BUSY, "the keystore changed meanwhile; nothing was written");
    }
    k = file_create(to, buf_view(&file), geteuid(), getegid(), e);
    if (k == KERR_OK) {
        memcpy(ret_hash, hash, HASH_BYTES);
    }
    return k;
}

static enum kerr read_record_of(const struct ks_folder *folder, const struct ks *ks,
                                struct buf *ret_file, bool *ret_is_older, struct kerrinfo *e)
{
    AUTO_ACCEPTED had = NULL;
    enum kerr k = ks_folder_read(folder, KS_FILE_ACCEPTED, ret_file, e);
    if (k == KERR_OK) {
        k = ks_accepted_find(buf_view(ret_file), &ks->slot_keys, &had, e);
    }
    if (k == KERR_OK) {
        *ret_is_older = had->generation < ks->model->generation;
    }
    return k;
}

enum kerr ks_remember(const struct ks_place *place, const struct ks *ks, struct kerrinfo *e)
{
    AUTO_FOLDER folder = KS_FOLDER_NONE;
    AUTO_BUF seen = {0};
    AUTO_BUF old_file = {0};
    AUTO_BUF file = {0};
    AUTO_ACCEPTED now = NULL;
    AUTO_FD lock = -1;
    bool is_older = false;
    enum kerr k = ks_folder_open(place->path, false, &folder, e);
    if (k == KERR_OK) {
        k = read_record_of(&folder, ks, &seen, &is_older, e);
    }
    /* Nearly always the tool has written it already; then a read-only folder is no trouble. */
    if (k != KERR_OK || !is_older) {
        return k;
    }
    k = ks_folder_lock(&folder, &lock, e);
    if (k == KERR_OK) {
        k = read_record_of(&folder, ks, &old_file, &is_older, e);
    }
    if (k != KERR_OK || !is_older) {
        return k;
    }
    k = ks_accepted_of(ks->model, ks->hash, &ks->slot_keys, &now, e);
    if (k == KERR_OK) {
        const struct ks_accepted *records[] = {now};
        const struct ks_slot_keys *keys[] = {&ks->slot_keys};
        k = ks_accepted_update(buf_view(&old_file), records, keys, 1, &file, e);
    }
    if (k == KERR_OK) {
        k = ks_folder_write(
            &folder, &(struct ks_folder_write){.which = KS_FILE_ACCEPTED, .data = buf_view(&file)},
            e);
    }
    return k;
}

/* This node's record for the slot that opened the backup; *ret NULL when there is none at all. */
static enum kerr find_record(const struct ks_folder *folder, const struct ks *ks,
                             bool has_fingerprint, struct ks_accepted **ret, struct kerrinfo *e)
{
    AUTO_BUF file = {0};
    struct kerrinfo cause = {0};
    enum kerr k = ks_folder_read(folder, KS_FILE_ACCEPTED, &file, &cause);
    if (k == KERR_OK) {
        k = ks_accepted_find(buf_view(&file), &ks->slot_keys, ret, &cause);
    }
    if (k == KERR_OK || (has_fingerprint && (k == KERR_NOTFOUND || k == KERR_UNTRUSTED))) {
        return KERR_OK;
    }
    if (k == KERR_NOTFOUND || k == KERR_UNTRUSTED) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "nothing on this node vouches for the file; give --fingerprint with the "
                        "SHA-256 that 'etcdseal keystore backup' printed when it was made");
    }
    return kerr_set(e, k, "%s", cause.text);
}

static bool is_given_up(const struct ks_restore *r, const uint8_t id[KS_ID_BYTES])
{
    for (size_t i = 0; i < r->lose_count; i++) {
        if (memcmp(r->lose[i], id, KS_ID_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* Keys that this node knows of and the backup lacks must be given up by name; keys that were
 * destroyed since the backup are destroyed again. */
static enum kerr reconcile_keys(const struct ks_restore *r, const struct ks_accepted *had,
                                struct ks_model *m, struct kerrinfo *e)
{
    for (size_t i = 0; i < had->key_count; i++) {
        struct ks_key *key = ks_model_key(m, had->keys[i].id);
        char id[KS_KEY_ID_TEXT];
        ks_key_id_text(had->keys[i].id, id);
        if (key == NULL && !had->keys[i].is_destroyed && !is_given_up(r, had->keys[i].id)) {
            return kerr_set(e, KERR_DENIED,
                            "key %s is in the present keystore and not in the file; what it wraps "
                            "would be lost: restore a newer backup, or give it up with --lose %s",
                            id, id);
        }
        if (key != NULL && key->material != NULL && had->keys[i].is_destroyed) {
            if (ks_state(key) == KS_PRIMARY) {
                return kerr_set(e, KERR_DENIED,
                                "key %s is the file's primary key and was destroyed since: restore "
                                "a newer backup",
                                id);
            }
            secret_free(key->material);
            key->material = NULL;
            key->destroyed_at_s = clock_wall_s();
        }
    }
    return KERR_OK;
}

/* The generation to write: above the file's, the accepted one's and what lies there now. One is
 * left out, because the record of another slot may stand at `top`, and to it top + 1 with another
 * past would be a fork. */
static uint64_t next_generation(const struct ks_folder *folder, const struct ks_model *m,
                                const struct ks_accepted *had)
{
    uint64_t top = m->generation;
    if (had != NULL && had->generation > top) {
        top = had->generation;
    }
    AUTO_BUF file = {0};
    AUTO_MODEL present = NULL;
    struct ks_parts parts;
    /* The present file may be damaged: that is why one restores. */
    if (ks_folder_read(folder, KS_FILE_KEYSTORE, &file, NULL) == KERR_OK &&
        ks_model_new(&present, NULL) == KERR_OK &&
        ks_format_read(buf_view(&file), present, &parts, NULL) == KERR_OK &&
        memcmp(present->store_id, m->store_id, KS_ID_BYTES) == 0 && present->generation > top) {
        top = present->generation;
    }
    return top + 2;
}

static enum kerr check_fingerprint(const struct ks_restore *r, const struct ks *ks,
                                   struct kerrinfo *e)
{
    if (r->fingerprint != NULL && memcmp(r->fingerprint, ks->hash, HASH_BYTES) != 0) {
        return kerr_set(e, KERR_UNTRUSTED, "%s does not have the given fingerprint", r->from);
    }
    return KERR_OK;
}

static enum kerr check_vouched(const struct ks_restore *r, const struct ks_accepted *had,
                               const struct ks *ks, const struct ks_parts *parts,
                               struct kerrinfo *e)
{
    const struct ks_slot *writer = ks_model_slot(ks->model, ks->model->writer);
    if (writer == NULL || ks_check_signature(parts, writer->sign_key, NULL) != KERR_OK) {
        return kerr_set(e, KERR_UNTRUSTED, "%s is not signed by the slot that it names as writer",
                        r->from);
    }
    if (r->fingerprint != NULL) {
        return KERR_OK;
    }
    /* The record vouches for writers that it knows; older generations are what backups are. */
    for (size_t i = 0; had != NULL && i < had->roster_count; i++) {
        if (memcmp(had->roster[i].id, writer->id, KS_ID_BYTES) == 0 &&
            memcmp(had->roster[i].sign_key, writer->sign_key, PUBKEY_BYTES) == 0 &&
            memcmp(had->store_id, ks->model->store_id, KS_ID_BYTES) == 0) {
            return KERR_OK;
        }
    }
    return kerr_set(e, KERR_UNTRUSTED,
                    "%s was written by a slot that this node does not know; give --fingerprint",
                    r->from);
}

static enum kerr restore_unseal(const struct ks_folder *folder, const struct ks_restore *r,
                                struct kerrinfo *e)
{
    bool exists = false;
    enum kerr k = ks_folder_exists(folder, KS_FILE_UNSEAL, &exists, e);
    if (k != KERR_OK || exists || r->spec_count == 0) {
        return k;
    }
    const struct seal_spec *specs[KS_SLOTS_MAX];
    size_t count = r->spec_count < KS_SLOTS_MAX ? r->spec_count : KS_SLOTS_MAX;
    for (size_t i = 0; i < count; i++) {
        specs[i] = &r->specs[i];
    }
    return ks_put_unseal(folder, specs, count, true, e);
}

enum kerr ks_restore(const struct ks_place *place, const struct ks_restore *r,
                     uint64_t *ret_generation, struct kerrinfo *e)
{
    AUTO_FOLDER folder = KS_FOLDER_NONE;
    AUTO_FD lock = -1;
    AUTO_BUF file = {0};
    AUTO_KS ks = NULL;
    AUTO_ACCEPTED had = NULL;
    struct ks_parts parts;
    enum kerr k = ks_folder_open(place->path, true, &folder, e);
    if (k == KERR_OK) {
        k = ks_folder_lock(&folder, &lock, e);
    }
    if (k == KERR_OK) {
        k = file_read(NULL, r->from, KS_FILE_MAX, FILE_READ_ANY, &file, e);
    }
    if (k == KERR_OK) {
        k = ks_unseal_bytes(place, &folder, buf_view(&file), NULL, &ks, &parts, e);
    }
    if (k == KERR_OK) {
        k = check_fingerprint(r, ks, e);
    }
    if (k == KERR_OK) {
        k = find_record(&folder, ks, r->fingerprint != NULL, &had, e);
    }
    if (k == KERR_OK) {
        k = check_vouched(r, had, ks, &parts, e);
    }
    if (k == KERR_OK && had != NULL) {
        k = reconcile_keys(r, had, ks->model, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    memcpy(ks->model->previous_hash, ks->hash, HASH_BYTES);
    ks->model->generation = next_generation(&folder, ks->model, had);
    ks->model->written_at_s = clock_wall_s();
    k = restore_unseal(&folder, r, e);
    if (k == KERR_OK) {
        k = ks_put(&folder, ks, false, true, NULL, 0, e);
    }
    if (k == KERR_OK) {
        *ret_generation = ks->model->generation;
    }
    return k;
}
