/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "keystore/ks_change.h"
#include "keystore/ks_share.h"

static enum kerr read_record(const struct ks_folder *folder, const struct ks_slot_keys *keys,
                             struct ks_accepted **ret, struct kerrinfo *e)
{
    AUTO_BUF file = {0};
    enum kerr k = ks_folder_read(folder, KS_FILE_ACCEPTED, &file, e);
    return k == KERR_OK ? ks_accepted_read(buf_view(&file), keys, ret, e) : k;
}

enum kerr ks_remember(const struct ks_place *place, const struct ks *ks, struct kerrinfo *e)
{
    AUTO_FOLDER folder = KS_FOLDER_NONE;
    AUTO_ACCEPTED seen = NULL;
    AUTO_ACCEPTED record = NULL;
    AUTO_FD lock = -1;
    enum kerr k = ks_folder_open(place->path, false, &folder, e);
    if (k == KERR_OK) {
        k = read_record(&folder, &ks->slot_keys, &seen, e);
    }
    /* Nearly always the tool has written it already; then a read-only folder is no trouble. */
    if (k != KERR_OK || seen->generation >= ks->model->generation) {
        return k;
    }
    k = ks_folder_lock(&folder, &lock, e);
    if (k == KERR_OK) {
        k = read_record(&folder, &ks->slot_keys, &record, e);
    }
    if (k != KERR_OK || record->generation >= ks->model->generation) {
        return k;
    }
    ks_accepted_take(record, ks->model, ks->hash);
    return ks_put_accepted(&folder, record, e);
}

/* A restore under way. */
struct restoring {
    const struct ks_place *place;
    const struct ks_restore *r;
    struct ks_folder folder;
    int lock_fd;
    struct ks *ks;         /* the backup, opened; becomes what is written */
    struct ks_parts parts; /* views into `file` */
    struct buf file;
    struct ks_accepted *record; /* what this node knows; NULL when nothing vouches */
    /* What the keystore in place holds, if it opens. Where there is no record nothing says that it
     * is ours: it then only witnesses which keys would be lost and which were primary. */
    struct ks_accepted *witness;
    bool present_is_good; /* the keystore in place opens and follows the record, if there is one */
    bool was_cut_off;     /* it is what this restore wrote before it was cut off */
};

static void restoring_done(struct restoring *s)
{
    ks_close(s->ks);
    ks_accepted_free(s->record);
    ks_accepted_free(s->witness);
    buf_done(&s->file);
    ks_folder_close(&s->folder);
    file_close_at(&s->lock_fd);
}

/* Before anything is asked of a person: a wrong file is refused by its hash. */
static enum kerr read_backup(struct restoring *s, struct kerrinfo *e)
{
    uint8_t hash[HASH_BYTES];
    enum kerr k = file_read(NULL, s->r->from, KS_FILE_MAX, FILE_READ_ANY, &s->file, e);
    if (k != KERR_OK) {
        return k;
    }
    hash_sha256(buf_view(&s->file), hash);
    if (s->r->fingerprint != NULL && memcmp(s->r->fingerprint, hash, sizeof hash) != 0) {
        return kerr_set(e, KERR_UNTRUSTED, "%s does not have the given fingerprint", s->r->from);
    }
    return KERR_OK;
}

static enum kerr unseal_backup(struct restoring *s, const struct bytes *accepted_file,
                               struct kerrinfo *e)
{
    struct ks_place named = *s->place; /* messages are about the backup, not what is in place */
    named.path = s->r->from;
    return ks_unseal_bytes(&named, &s->folder, buf_view(&s->file), accepted_file, NULL, &s->ks,
                           &s->parts, e);
}

/* Opens the backup with a slot that can also read this node's record. Without a record it takes a
 * fingerprint; past one that does not open, an explicit word as well. */
static enum kerr open_backup(struct restoring *s, struct kerrinfo *e)
{
    AUTO_BUF accepted = {0};
    struct kerrinfo cause = {0};
    enum kerr k = ks_folder_read(&s->folder, KS_FILE_ACCEPTED, &accepted, &cause);
    if (k == KERR_NOTFOUND && s->r->fingerprint == NULL) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "nothing on this node vouches for the file; give --fingerprint with the "
                        "SHA-256 that 'etcdseal keystore backup' printed when it was made");
    }
    if (k == KERR_NOTFOUND) {
        return unseal_backup(s, NULL, e);
    }
    if (k == KERR_OK) {
        struct bytes view = buf_view(&accepted);
        k = unseal_backup(s, &view, &cause);
    }
    if (k == KERR_OK) {
        s->record = s->ks->accepted;
        s->ks->accepted = NULL;
        return k;
    }
    if (k == KERR_UNTRUSTED && s->r->fingerprint != NULL && s->r->forget_record) {
        return unseal_backup(s, NULL, e);
    }
    return kerr_set(e, k, "%s", cause.text);
}

/* A file newer than the record is one that the record must lead to; it is then the record. */
static enum kerr follow_newer(struct restoring *s, struct kerrinfo *e)
{
    if (s->record == NULL || s->ks->model->generation <= s->record->generation) {
        return KERR_OK;
    }
    struct kerrinfo cause = {0};
    enum kerr k = ks_accepted_check(s->record, s->ks->model, &s->parts, s->ks->hash, &cause);
    if (k == KERR_OK) {
        ks_accepted_take(s->record, s->ks->model, s->ks->hash);
        return KERR_OK;
    }
    if (k == KERR_UNTRUSTED && s->r->fingerprint != NULL && s->r->forget_record) {
        ks_accepted_free(s->record);
        s->record = NULL;
        return KERR_OK;
    }
    return kerr_set(e, k, "%s: %s; with --fingerprint and --forget-record it is taken all the same",
                    s->r->from, cause.text);
}

static enum kerr check_writer(const struct restoring *s, struct kerrinfo *e)
{
    const struct ks_model *m = s->ks->model;
    const struct ks_slot *writer = ks_model_slot(m, m->writer);
    if (writer == NULL || ks_check_signature(&s->parts, writer->sign_key, NULL) != KERR_OK) {
        return kerr_set(e, KERR_UNTRUSTED, "%s is not signed by the slot that it names as writer",
                        s->r->from);
    }
    if (s->r->fingerprint != NULL) {
        return KERR_OK;
    }
    /* The record vouches for writers that it knows; older generations are what backups are. */
    const struct ks_accepted_slot *known = ks_accepted_member(s->record, m->writer);
    if (known == NULL || memcmp(known->sign_key, writer->sign_key, PUBKEY_BYTES) != 0 ||
        memcmp(s->record->store_id, m->store_id, KS_ID_BYTES) != 0) {
        return kerr_set(e, KERR_UNTRUSTED,
                        "%s was written by a slot that this node does not know; give --fingerprint",
                        s->r->from);
    }
    return KERR_OK;
}

/* The record is written last. */
static bool is_cut_off_restore(const struct restoring *s, const struct ks_model *present)
{
    return s->record != NULL && s->record->generation < present->generation &&
           memcmp(present->previous_hash, s->ks->hash, HASH_BYTES) == 0;
}

/* The keystore in place may be newer than the record by one change that was cut off. Where it opens
 * with the same slot and follows the record, it is the better witness. */
static enum kerr look_at_present(struct restoring *s, struct kerrinfo *e)
{
    AUTO_BUF file = {0};
    AUTO_KS present = NULL;
    struct ks_parts parts;
    struct kerrinfo cause = {0};
    enum kerr k = ks_folder_read(&s->folder, KS_FILE_KEYSTORE, &file, &cause);
    if (k == KERR_OK) {
        k = ks_unseal_bytes(s->place, &s->folder, buf_view(&file), NULL, s->ks, &present, &parts,
                            &cause);
    }
    if (k != KERR_OK) { /* damaged or absent is why one restores */
        return k == KERR_NOMEM ? kerr_set(e, k, "%s", cause.text) : KERR_OK;
    }
    if (memcmp(present->model->store_id, s->ks->model->store_id, KS_ID_BYTES) != 0) {
        return KERR_OK;
    }
    s->was_cut_off = is_cut_off_restore(s, present->model);
    k = ks_accepted_new(&s->witness, e);
    if (k != KERR_OK) {
        return k;
    }
    ks_accepted_take(s->witness, present->model, present->hash);
    if (s->record == NULL) {
        s->present_is_good = true;
        return KERR_OK;
    }
    if (ks_accepted_check(s->record, present->model, &parts, present->hash, NULL) != KERR_OK) {
        return KERR_OK;
    }
    s->present_is_good = true;
    ks_accepted_take(s->record, present->model, present->hash);
    return KERR_OK;
}

/* A restore that was cut off may have kept the present file already. */
static enum kerr is_kept_already(const struct restoring *s, bool *ret, struct kerrinfo *e)
{
    AUTO_BUF present = {0};
    AUTO_BUF kept = {0};
    struct kerrinfo cause = {0};
    enum kerr k = ks_folder_read(&s->folder, KS_FILE_KEYSTORE, &present, &cause);
    if (k == KERR_OK) {
        k = ks_folder_read(&s->folder, KS_FILE_DAMAGED, &kept, &cause);
    }
    *ret = k == KERR_OK && bytes_equal(buf_view(&present), buf_view(&kept));
    return k == KERR_NOMEM ? kerr_set(e, k, "%s", cause.text) : KERR_OK;
}

/* PATH.damaged may be the last copy of keys: it is never displaced. */
static enum kerr check_damaged(const struct restoring *s, struct kerrinfo *e)
{
    bool is_there = false;
    bool is_kept = false;
    if (s->present_is_good || s->was_cut_off) {
        return KERR_OK;
    }
    enum kerr k = ks_folder_exists(&s->folder, KS_FILE_KEYSTORE, &is_there, e);
    if (k == KERR_OK) {
        k = ks_folder_exists(&s->folder, KS_FILE_DAMAGED, &is_kept, e);
    }
    bool is_same = false;
    if (k == KERR_OK && is_there && is_kept) {
        k = is_kept_already(s, &is_same, e);
    }
    if (k == KERR_OK && is_there && is_kept && !is_same) {
        k = kerr_set(e, KERR_DENIED,
                     "%s/%s is there from an earlier restore, and the present keystore does not "
                     "open either; each may hold the last copy of keys: move the former elsewhere "
                     "first",
                     s->folder.dir.path, s->folder.names[KS_FILE_DAMAGED]);
    }
    return k;
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

static enum kerr add_tombstone(struct ks_model *m, const struct ks_accepted_key *had,
                               uint64_t now_s, struct kerrinfo *e)
{
    static const char note[] = "destroyed after the backup that was restored";
    if (m->key_count == KS_KEYS_MAX) {
        return kerr_set(e, KERR_LIMIT, "the keystore would hold more than %d keys", KS_KEYS_MAX);
    }
    struct ks_key *key = &m->keys[m->key_count++];
    *key = (struct ks_key){.suite = SUITE_XAES_256_GCM,
                           .birth_epoch = m->root_epoch,
                           .created_at_s = m->written_at_s,
                           .destroyed_at_s = now_s};
    memcpy(key->id, had->id, KS_ID_BYTES);
    memcpy(key->note, note, sizeof note);
    return KERR_OK;
}

static void destroy_again(struct ks_key *key, uint64_t now_s)
{
    secret_free(key->material);
    key->material = NULL;
    key->destroyed_at_s = now_s;
    if (key->promoted_at_s != 0 && key->retired_at_s == 0) {
        key->retired_at_s = now_s;
    }
}

static enum kerr check_given_up(const struct restoring *s, const struct ks_accepted_key *had,
                                struct kerrinfo *e)
{
    char id[KS_KEY_ID_TEXT];
    ks_key_id_text(had->id, id);
    return is_given_up(s->r, had->id)
               ? KERR_OK
               : kerr_set(e, KERR_DENIED,
                          "key %s is in the present keystore and not in the file; what it wraps "
                          "would be lost: restore a newer backup, or give it up with --lose %s",
                          id, id);
}

/* What was primary since the backup, and is no more, must not be promoted again. */
static void reconcile_past(struct ks_key *key, unsigned flags, uint64_t now_s)
{
    bool is_past = (flags & KS_ACCEPTED_PROMOTED) != 0 && (flags & KS_ACCEPTED_PRIMARY) == 0;
    if (is_past && key->promoted_at_s == 0) {
        key->promoted_at_s = now_s;
        key->retired_at_s = now_s;
    }
}

/* The record's state counts, not the backup's: a key that was enabled since must not come back
 * disabled, because etcd may need it. When a scheduled destruction is due the record does not know;
 * such a key is disabled, and a person schedules it again. */
static void reconcile_live(struct ks_key *key, unsigned flags, uint64_t now_s)
{
    reconcile_past(key, flags, now_s);
    key->destroy_due_s = 0;
    if ((flags & KS_ACCEPTED_DISABLED) == 0) {
        key->disabled_at_s = 0;
    } else if (key->disabled_at_s == 0) {
        key->disabled_at_s = now_s;
        key->retired_at_s =
            key->promoted_at_s != 0 && key->retired_at_s == 0 ? now_s : key->retired_at_s;
    }
}

static enum kerr reconcile_key(const struct restoring *s, const struct ks_accepted_key *had,
                               uint64_t now_s, struct kerrinfo *e)
{
    struct ks_model *m = s->ks->model;
    struct ks_key *key = ks_model_key(m, had->id);
    bool was_destroyed = (had->flags & KS_ACCEPTED_DESTROYED) != 0;
    if (key == NULL) {
        return was_destroyed ? add_tombstone(m, had, now_s, e) : check_given_up(s, had, e);
    }
    if ((had->flags & KS_ACCEPTED_COMPROMISED) != 0 && key->compromised_at_s == 0) {
        key->compromised_at_s = now_s;
    }
    if (key->material == NULL) {
        return KERR_OK;
    }
    if (was_destroyed) {
        destroy_again(key, now_s);
    } else {
        reconcile_live(key, had->flags, now_s);
    }
    return KERR_OK;
}

/* No key id comes back: what stopped being primary since the backup stays so. */
static enum kerr reconcile_primary(const struct restoring *s, const struct ks_accepted *known,
                                   uint64_t now_s, struct kerrinfo *e)
{
    struct ks_model *m = s->ks->model;
    struct ks_command_args args = {.now_s = now_s};
    uint8_t wanted[KS_ID_BYTES];
    bool has_wanted = false;
    for (size_t i = 0; i < known->key_count; i++) {
        const struct ks_accepted_key *had = &known->keys[i];
        struct ks_key *key = ks_model_key(m, had->id);
        if ((had->flags & KS_ACCEPTED_PRIMARY) == 0 || key == NULL) {
            continue;
        }
        if (ks_state(key) == KS_PRIMARY) {
            return KERR_OK;
        }
        memcpy(wanted, had->id, KS_ID_BYTES);
        has_wanted = ks_state(key) == KS_STAGED;
    }
    enum kerr k = KERR_OK;
    if (!has_wanted) {
        enum suite suite = SUITE_XAES_256_GCM;
        for (size_t i = 0; i < m->key_count; i++) {
            suite = m->keys[i].material != NULL ? (enum suite)m->keys[i].suite : suite;
        }
        k = ks_add_key(m, suite, now_s, wanted, e);
    }
    return k == KERR_OK ? ks_command(m, KS_PROMOTE, wanted, &args, NULL, e) : k;
}

/* Live keys of the witness must be in the file, or given up. It could be forged: nothing is
 * destroyed or disabled on its word. */
static enum kerr heed_witness(const struct restoring *s, struct kerrinfo *e)
{
    uint64_t now_s = clock_wall_s();
    for (size_t i = 0; i < s->witness->key_count; i++) {
        const struct ks_accepted_key *had = &s->witness->keys[i];
        struct ks_key *key = ks_model_key(s->ks->model, had->id);
        enum kerr k = KERR_OK;
        if (key != NULL && key->material != NULL) {
            reconcile_past(key, had->flags, now_s);
        } else if (key == NULL && (had->flags & KS_ACCEPTED_DESTROYED) == 0) {
            k = check_given_up(s, had, e);
        }
        if (k != KERR_OK) {
            return k;
        }
    }
    return reconcile_primary(s, s->witness, now_s, e);
}

static enum kerr drop_removed_slots(struct restoring *s, struct kerrinfo *e)
{
    struct ks_model *m = s->ks->model;
    size_t kept = 0;
    for (size_t i = 0; i < m->slot_count; i++) {
        const struct ks_accepted_slot *known = ks_accepted_member(s->record, m->slots[i].id);
        if (known != NULL && memcmp(known->box_key, m->slots[i].box_key, PUBKEY_BYTES) == 0 &&
            memcmp(known->sign_key, m->slots[i].sign_key, PUBKEY_BYTES) == 0) {
            if (kept != i) {
                m->slots[kept] = m->slots[i];
            }
            kept++;
        }
    }
    m->slot_count = kept;
    if (ks_model_slot(m, s->ks->slot_keys.slot) == NULL) {
        return kerr_set(e, KERR_DENIED,
                        "the slot that opens %s was removed since it was made; open it with "
                        "another one: --unseal NAME=SPEC",
                        s->r->from);
    }
    if (kept < s->record->roster_count && !s->r->lose_slots) {
        return kerr_set(e, KERR_DENIED,
                        "%zu of the slots that the present keystore has are not in the file; they "
                        "could no longer open it: restore a newer backup, or give them up with "
                        "--lose-slots and add them again",
                        s->record->roster_count - kept);
    }
    return KERR_OK;
}

static enum kerr reconcile(struct restoring *s, struct kerrinfo *e)
{
    uint64_t now_s = clock_wall_s();
    enum kerr k = drop_removed_slots(s, e);
    for (size_t i = 0; i < s->record->key_count && k == KERR_OK; i++) {
        k = reconcile_key(s, &s->record->keys[i], now_s, e);
    }
    return k == KERR_OK ? reconcile_primary(s, s->record, now_s, e) : k;
}

/* Above the file's and what this node accepted. One is left out: a node that did not take part and
 * stands at the top would take top + 1 with another past for a fork. */
static uint64_t next_generation(const struct restoring *s)
{
    uint64_t top = s->ks->model->generation;
    if (s->record != NULL && s->record->generation > top) {
        top = s->record->generation;
    }
    /* What nothing vouches for must not use the numbers up. */
    if (s->witness != NULL && s->witness->generation > top &&
        s->witness->generation < KS_GENERATION_MAX / 2) {
        top = s->witness->generation;
    }
    return top + 2;
}

static enum kerr restore_unseal(const struct restoring *s, struct kerrinfo *e)
{
    bool exists = false;
    enum kerr k = ks_folder_exists(&s->folder, KS_FILE_UNSEAL, &exists, e);
    if (k != KERR_OK || exists || s->r->spec_count == 0) {
        return k;
    }
    const struct seal_spec *specs[KS_SLOTS_MAX];
    size_t count = s->r->spec_count < KS_SLOTS_MAX ? s->r->spec_count : KS_SLOTS_MAX;
    for (size_t i = 0; i < count; i++) {
        specs[i] = &s->r->specs[i];
    }
    return ks_put_unseal(&s->folder, specs, count, true, e);
}

static enum kerr write_restored(struct restoring *s, struct kerrinfo *e)
{
    struct ks *ks = s->ks;
    memcpy(ks->model->previous_hash, ks->hash, HASH_BYTES);
    ks->model->generation = next_generation(s);
    ks->model->written_at_s = clock_wall_s();
    enum kerr k = ks_renew_root(ks, e);
    if (k == KERR_OK) {
        k = restore_unseal(s, e);
    }
    if (k == KERR_OK && s->record == NULL) {
        k = ks_accepted_new(&ks->accepted, e);
    }
    bool is_left_out = false; /* nobody can be: there was no accept key */
    if (k == KERR_OK && s->record == NULL) {
        k = ks_share_accept_key(s->place, &s->folder, ks, NULL, ks->accepted, &is_left_out, e);
    }
    if (s->record != NULL) {
        ks->accepted = s->record;
        s->record = NULL;
    }
    enum ks_keep keep = s->was_cut_off       ? KS_KEEP_NOTHING
                        : s->present_is_good ? KS_KEEP_PREV
                                             : KS_KEEP_DAMAGED;
    return k == KERR_OK ? ks_put(s->place, &s->folder, ks, false, keep, e) : k;
}

enum kerr ks_restore(const struct ks_place *place, const struct ks_restore *r,
                     uint64_t *ret_generation, struct kerrinfo *e)
{
    AUTO(restoring_done)
    struct restoring s = {.place = place, .r = r, .folder = KS_FOLDER_NONE, .lock_fd = -1};
    enum kerr k = ks_folder_open(place->path, true, &s.folder, e);
    if (k == KERR_OK) {
        k = ks_folder_lock(&s.folder, &s.lock_fd, e);
    }
    if (k == KERR_OK) {
        k = read_backup(&s, e);
    }
    if (k == KERR_OK) {
        k = open_backup(&s, e);
    }
    if (k == KERR_OK) {
        k = check_writer(&s, e);
    }
    if (k == KERR_OK) {
        k = look_at_present(&s, e);
    }
    if (k == KERR_OK) {
        k = follow_newer(&s, e);
    }
    if (k == KERR_OK) {
        k = check_damaged(&s, e);
    }
    if (k == KERR_OK && s.record != NULL) {
        k = reconcile(&s, e);
    } else if (k == KERR_OK && s.witness != NULL) {
        k = heed_witness(&s, e);
    }
    if (k == KERR_OK) {
        k = write_restored(&s, e);
    }
    if (k == KERR_OK) {
        *ret_generation = s.ks->model->generation;
    }
    return k;
}
