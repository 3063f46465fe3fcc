/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal keystore …: look, check, copy, bring back. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/setup.h"
#include "cli/slots.h"
#include "keystore/ks_backup.h"

#define HASH_TEXT_BYTES (2 * HASH_BYTES + 1)

/* What info and verify tell alike. */
struct facts {
    const char *path;
    const struct ks_model *m;
    char fingerprint[HASH_TEXT_BYTES];
    char store_id[TEXT_UUID_BYTES];
    char written_at[CLOCK_TEXT_BYTES];
    const char *writer;                    /* slot name; "-" for one that is not there any more */
    const struct ks *ks;                   /* NULL: it was not opened, so nothing is verified */
    bool is_ours;                          /* this node's keystore, not some file */
    const struct ks_backup_record *backup; /* the last one known; NULL: none */
};

static struct facts facts_of(const char *path, const struct ks_model *m,
                             const uint8_t hash[HASH_BYTES])
{
    struct facts f = {.path = path, .m = m};
    const struct ks_slot *writer = ks_model_slot(m, m->writer);
    f.writer = writer == NULL ? "-" : writer->name;
    text_hex(bytes_of(hash, HASH_BYTES), f.fingerprint);
    text_uuid(m->store_id, f.store_id);
    clock_format_s(m->written_at_s, f.written_at);
    return f;
}

/* The record of the last backup, if it can be read and is this keystore's. */
static void find_backup(struct facts *f, const char *path, struct ks_backup_record *record)
{
    struct kerrinfo e = {0};
    enum kerr k = ks_backup_record_read(path, record, &e);
    f->is_ours = true;
    if (k == KERR_OK && memcmp(record->store_id, f->m->store_id, KS_ID_BYTES) == 0) {
        f->backup = record;
    } else if (k != KERR_OK && k != KERR_NOTFOUND) {
        out_warn("what was backed up last cannot be told: %s", e.text);
    }
}

static void put_backup(struct doc *d, const struct facts *f)
{
    char sha256[HASH_TEXT_BYTES];
    if (!f->is_ours) {
        return;
    }
    if (f->backup == NULL) {
        doc_text(d, "backup", NULL);
    } else {
        text_hex(BYTES_OF(f->backup->hash), sha256);
        doc_object(d, "backup");
        doc_u64(d, "generation", f->backup->generation);
        doc_time(d, "at", f->backup->at_s);
        doc_text(d, "sha256", sha256);
        doc_close(d);
    }
    if (f->ks != NULL) {
        doc_u64(d, "keys_without_backup", ks_backup_missing(f->m, f->backup));
    }
}

static enum kerr backup_line(const struct facts *f, struct buf *to, struct kerrinfo *e)
{
    char at[CLOCK_TEXT_BYTES];
    if (!f->is_ours) {
        return KERR_OK;
    }
    if (f->backup == NULL) {
        return buf_put_text(to, "last backup  NONE is known on this node\n", e);
    }
    clock_format_s(f->backup->at_s, at);
    enum kerr k = buf_printf(to, e, "last backup  generation %llu, %s",
                             (unsigned long long)f->backup->generation, at);
    size_t missing = f->ks == NULL ? 0 : ks_backup_missing(f->m, f->backup);
    if (k == KERR_OK && missing > 0) {
        k = buf_printf(to, e, "; NOT IN IT: %zu of the keys", missing);
    }
    return k == KERR_OK ? buf_put_text(to, "\n", e) : k;
}

static void put_states(struct doc *d, const struct ks_model *m)
{
    doc_object(d, "keys_by_state");
    for (int state = 0; state < KS_STATE_COUNT; state++) {
        uint64_t count = 0;
        for (size_t i = 0; i < m->key_count; i++) {
            count += ks_state(&m->keys[i]) == (enum ks_state)state;
        }
        doc_u64(d, ks_state_name((enum ks_state)state), count);
    }
    doc_close(d);
}

/* Slots that this node does not believe yet. */
static void put_slots_to_test(struct doc *d, const struct ks *ks)
{
    const struct ks_model *m = ks_model(ks);
    doc_array(d, "slots_to_test");
    for (size_t i = 0; i < m->slot_count; i++) {
        if (!ks_accepts_slot(ks, &m->slots[i])) {
            doc_text(d, NULL, m->slots[i].name);
        }
    }
    doc_close(d);
    doc_bool(d, "accept_key_owed", ks_owes_accept_key(ks));
}

static enum kerr facts_doc(const struct options *o, const struct facts *f, struct buf *to,
                           struct kerrinfo *e)
{
    struct doc d = out_doc(o, to, e);
    doc_object(&d, NULL);
    doc_text(&d, "path", f->path);
    doc_bool(&d, "verified", f->ks != NULL);
    doc_text(&d, "store_id", f->store_id);
    doc_u64(&d, "generation", f->m->generation);
    doc_u64(&d, "root_epoch", f->m->root_epoch);
    doc_time(&d, "written_at", f->m->written_at_s);
    doc_text(&d, "written_by", f->writer);
    doc_text(&d, "fingerprint", f->fingerprint);
    put_backup(&d, f);
    slots_doc(&d, f->m, NULL);
    if (f->ks != NULL) {
        doc_text(&d, "opened_by", ks_opened_by(f->ks)->name);
        put_slots_to_test(&d, f->ks);
        put_states(&d, f->m);
    }
    return doc_end(&d);
}

static enum kerr facts_table(const struct facts *f, struct buf *to, struct kerrinfo *e)
{
    enum kerr k = buf_printf(
        to, e,
        "%s\n\nkeystore     %s\ngeneration   %llu, root epoch %u\nwritten      %s by slot %s\n"
        "fingerprint  %s\n",
        f->ks != NULL ? "ok: opened, signed and accepted by this node"
                      : "UNVERIFIED: anybody who can write the file can make it say this",
        f->store_id, (unsigned long long)f->m->generation, f->m->root_epoch, f->written_at,
        f->writer, f->fingerprint);
    if (k == KERR_OK && f->ks != NULL) {
        k = buf_printf(to, e, "opened by    slot %s\nkeys         %zu\n", ks_opened_by(f->ks)->name,
                       f->m->key_count);
    }
    k = k == KERR_OK ? backup_line(f, to, e) : k;
    k = k == KERR_OK ? buf_put_text(to, "\n", e) : k;
    return k == KERR_OK ? slots_table(f->m, NULL, to, e) : k;
}

static enum kerr facts_print(const struct options *o, const struct facts *f, struct kerrinfo *e)
{
    AUTO_BUF text;
    buf_init(&text, DOC_MAX);
    enum kerr k = out_is_doc(o) ? facts_doc(o, f, &text, e) : facts_table(f, &text, e);
    return k == KERR_OK ? out_print(&text, e) : k;
}

enum kerr cmd_keystore_info(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    const struct options *o = ctx;
    AUTO_SETUP s = {0};
    AUTO_MODEL m = NULL;
    uint8_t hash[HASH_BYTES];
    enum kerr k = setup_open(o, &s, e);
    if (k != KERR_OK) {
        return k;
    }
    const char *path = call->arg_count > 0 ? call->args[0] : s.place.path;
    k = ks_read_clear(path, &m, hash, e);
    if (k != KERR_OK) {
        return k;
    }
    struct ks_backup_record record;
    struct facts f = facts_of(path, m, hash);
    if (call->arg_count == 0) {
        find_backup(&f, path, &record);
    }
    return facts_print(o, &f, e);
}

enum kerr cmd_keystore_verify(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)call;
    const struct options *o = ctx;
    AUTO_SETUP s = {0};
    AUTO_KS ks = NULL;
    enum kerr k = setup_open(o, &s, e);
    k = k == KERR_OK ? ks_open(&s.place, NULL, &ks, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    struct facts f = facts_of(s.place.path, ks_model(ks), ks_file_hash(ks));
    struct ks_backup_record record;
    f.ks = ks;
    find_backup(&f, s.place.path, &record);
    k = facts_print(o, &f, e);
    for (size_t i = 0; i < f.m->slot_count && k == KERR_OK; i++) {
        const struct ks_slot *slot = &f.m->slots[i];
        if (!ks_accepts_slot(ks, slot)) {
            out_warn("slot %s cannot open the keystore on this node before 'etcdseal seal test %s' "
                     "has seen it open",
                     slot->name, slot->name);
        }
    }
    if (k == KERR_OK && ks_owes_accept_key(ks)) {
        out_warn("the holder of a slot that was removed could still vouch for a keystore on this "
                 "node; any change that finds every slot at hand ends that: 'etcdseal seal test "
                 "%s'",
                 ks_opened_by(ks)->name);
    }
    return k;
}

enum kerr cmd_keystore_backup(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    const struct options *o = ctx;
    AUTO_SETUP s = {0};
    uint8_t hash[HASH_BYTES];
    enum kerr k = setup_open(o, &s, e);
    k = k == KERR_OK ? ks_backup(&s.place, call->args[0], hash, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    char text[HASH_TEXT_BYTES];
    text_hex(BYTES_OF(hash), text);
    out_remark(o, "keep the fingerprint apart from the copy; each slot of the keystore opens it");
    return out_line(e, "%s", text);
}

/* --- restore -----------------------------------------------------------------------------------
 */

struct restore {
    const struct options *o;
    struct seal_spec specs[KS_SLOTS_MAX]; /* of --seal */
    size_t spec_count;
    uint8_t fingerprint[HASH_BYTES];
    uint8_t lose[OPT_LIST_MAX][KS_ID_BYTES];
};

static void restore_done(struct restore *r)
{
    setup_specs_done(r->specs);
}

static enum kerr read_words(struct restore *r, struct kerrinfo *e)
{
    const struct options *o = r->o;
    enum kerr k = setup_specs(&o->seals, "seal", r->specs, &r->spec_count, e);
    if (k == KERR_OK && o->fingerprint != NULL) {
        k = text_from_hex(o->fingerprint, r->fingerprint, HASH_BYTES, e);
        kerr_prefix(e, "--fingerprint");
    }
    for (size_t i = 0; i < o->lose.count && k == KERR_OK; i++) {
        if (ks_key_id_parse(bytes_of_text(o->lose.items[i]), r->lose[i], e) != KERR_OK) {
            kerr_prefix(e, "--lose");
            k = KERR_USAGE;
        }
    }
    return k;
}

enum kerr cmd_keystore_restore(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    AUTO(restore_done) struct restore r = {.o = ctx};
    AUTO_SETUP s = {0};
    uint64_t generation = 0;
    enum kerr k = read_words(&r, e);
    k = k == KERR_OK ? setup_open(r.o, &s, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    struct ks_restore restore = {
        .from = call->args[0],
        .fingerprint = r.o->fingerprint == NULL ? NULL : r.fingerprint,
        .specs = r.specs,
        .spec_count = r.spec_count,
        .lose = (const uint8_t(*)[KS_ID_BYTES])r.lose,
        .lose_count = r.o->lose.count,
        .lose_slots = r.o->lose_slots,
        .forget_record = r.o->forget_record,
    };
    /* The seals of the backup's slots open it, unless --unseal says otherwise. */
    if (r.spec_count > 0 && r.o->unseal.count == 0) {
        s.place.specs = r.specs;
        s.place.spec_count = r.spec_count;
    }
    k = ks_restore(&s.place, &restore, &generation, e);
    if (k == KERR_OK) {
        out_remark(r.o, "%s is in place as generation %llu; 'etcdseal key list' shows its keys",
                   call->args[0], (unsigned long long)generation);
        out_remark(r.o, "where the last primary key could not come back it has a new one: make a "
                        "backup now, and bring the file to the other nodes");
    }
    return k;
}
