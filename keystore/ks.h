/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sealed local keystore: opening it, and changing it so that no crash can lose it.
 *
 * Four files lie in one folder (0700): `keystore`, `keystore.prev` (the generation before; nothing
 * opens it by itself), `keystore.unseal` (how this node opens its slots) and `keystore.accepted`
 * (what this node believes, ks_accept.h); beside them `keystore.lock`, which writers hold, and
 * `keystore.backed-up`, what was copied last (ks_backup.h). The names follow the path that is
 * configured: PATH, PATH.prev, …
 *
 * Codes: NOTFOUND (no keystore), FORMAT (damaged), UNSUP (newer), INTEGRITY (wrong secret,
 * altered), UNTRUSTED (not a keystore that this node accepts), SEALED (a person must enter
 * something), BUSY (another writer), DENIED (owners and modes, with the command that cures it), IO,
 * NOMEM, LIMIT.
 *
 * Threads: one struct ks belongs to one thread at a time. Run as root in a folder of another user,
 * every call takes that user's effective ids while it works there (base/file.h), so such calls must
 * not run beside other threads that need root's.
 */
#ifndef ETCDSEAL_KEYSTORE_KS_H
#define ETCDSEAL_KEYSTORE_KS_H

#include "keystore/ks_model.h"
#include "keystore/ks_state.h"
#include "seal/seal.h"

/* How long a writer waits for another one. */
#define KS_LOCK_WAIT_MS 5000

/* Something that a person should know although the call succeeds: a sentence without full stop. */
typedef void ks_tell_fn(void *ctx, const char *text);

/* Which keystore, and how to open it. Borrowed; must outlive the calls. */
struct ks_place {
    const char *path;
    const struct seal_spec *specs; /* tried in this order; count 0: those of PATH.unseal */
    size_t spec_count;
    /* How the daemon opens slots, where `specs` are others for this one call: its slots must not be
     * left out when the node's accept key is made anew. */
    const struct seal_spec *daemon_specs;
    size_t daemon_spec_count;
    struct seal_env env;
    ks_tell_fn *tell; /* NULL: nobody listens */
    void *tell_ctx;
};

struct ks; /* an opened, verified and accepted keystore */

/* Opens: read → checks → unseal with the first slot that opens → MAC → signature and acceptance →
 * keys. `previous` (may be NULL): an earlier opening of the same keystore, whose slot secret is
 * tried first, so that a running daemon needs no seal to follow a change, and whose generation
 * bounds what is believed even if PATH.accepted was replaced. */
enum kerr ks_open(const struct ks_place *place, const struct ks *previous, struct ks **ret,
                  struct kerrinfo *e) MUST_CHECK;
void ks_close(struct ks *ks); /* wipes; NULL is fine */
void ks_close_at(struct ks **ks);
#define AUTO_KS AUTO(ks_close_at) struct ks *

const struct ks_model *ks_model(const struct ks *ks);
const uint8_t *ks_file_hash(const struct ks *ks); /* HASH_BYTES */
const struct ks_slot *ks_opened_by(const struct ks *ks);
/* Whether this node's accepted record can be read with the slot, so that the slot could open the
 * keystore here; a slot for which it can't needs a ks_test_slot. */
bool ks_accepts_slot(const struct ks *ks, const struct ks_slot *slot);
/* Whether the holder of a slot that was removed knows this node's accept key, because it could not
 * be made anew yet: the next change that finds every slot at hand does it. */
bool ks_owes_accept_key(const struct ks *ks);
/* Whether the file still has the bytes that were opened. */
enum kerr ks_is_current(const struct ks_place *place, const struct ks *ks, bool *ret,
                        struct kerrinfo *e) MUST_CHECK;
/* Writes what was opened into PATH.accepted unless it is there already. For a daemon that follows a
 * file which was copied here; the writing calls below do it themselves. The accept key stays: to
 * make it anew people may have to be asked, which is for the next change by the tool. */
enum kerr ks_remember(const struct ks_place *place, const struct ks *ks,
                      struct kerrinfo *e) MUST_CHECK;

/* The clear part alone, unverified: for people, never to act on. Frees by ks_model_free. */
enum kerr ks_read_clear(const char *path, struct ks_model **ret, uint8_t ret_hash[HASH_BYTES],
                        struct kerrinfo *e) MUST_CHECK;

/* A slot to make. */
struct ks_new_slot {
    const struct seal_spec *spec;
    uint8_t role; /* enum ks_role */
};

/* Makes folder and keystore with one primary key and these slots, each read back and opened.
 * EXISTS when there is a keystore or an accepted record. */
enum kerr ks_init(const struct ks_place *place, const struct ks_new_slot *slots, size_t count,
                  enum suite suite, uint8_t ret_key[KS_ID_BYTES], struct kerrinfo *e) MUST_CHECK;

/* Key life cycle: each is one new generation. */
enum kerr ks_stage_key(const struct ks_place *place, enum suite suite, uint8_t ret_id[KS_ID_BYTES],
                       struct kerrinfo *e) MUST_CHECK;
/* A destroy that wipes also makes the root key anew and removes PATH.prev. */
enum kerr ks_run_command(const struct ks_place *place, enum ks_command command,
                         const uint8_t id[KS_ID_BYTES], const struct ks_command_args *args,
                         bool *ret_destroyed, struct kerrinfo *e) MUST_CHECK;

/* Slots. Adding writes PATH.unseal too; cut off, it may leave a slot that must be tested before it
 * opens the keystore here (ks_accepts_slot). Removing makes the root key anew, and the node's
 * accept key: slots that need a person, and do not open at that moment, must be tested before they
 * open it here again; while a slot that opens by itself is not at hand, the accept key stays
 * (ks_owes_accept_key). Of both a person is told. Removing refuses (DENIED) the slot that opened
 * the keystore, the last one, and whatever would leave only slots that were never seen to open.
 * Testing opens the slot by its seal and records the time. */
enum kerr ks_add_slot(const struct ks_place *place, const struct ks_new_slot *slot,
                      struct kerrinfo *e) MUST_CHECK;
enum kerr ks_remove_slot(const struct ks_place *place, const char *name,
                         struct kerrinfo *e) MUST_CHECK;
enum kerr ks_test_slot(const struct ks_place *place, const char *name,
                       struct kerrinfo *e) MUST_CHECK;

/* Copies a verified keystore to a new file (EXISTS otherwise), gives its SHA-256, and records in
 * PATH.backed-up (ks_backup.h) what was copied. A record that cannot be written does not fail the
 * backup: a person is told. */
enum kerr ks_backup(const struct ks_place *place, const char *to, uint8_t ret_hash[HASH_BYTES],
                    struct kerrinfo *e) MUST_CHECK;

struct ks_restore {
    const char *from;
    const uint8_t *fingerprint;    /* HASH_BYTES that the file must have; NULL: only if the accepted
                                      record vouches for it */
    const struct seal_spec *specs; /* slots of the file that this node opens; written to PATH.unseal
                                      where there is none */
    size_t spec_count;
    const uint8_t (*lose)[KS_ID_BYTES]; /* keys that the present keystore has and the file has not,
                                           which the operator gives up by name */
    size_t lose_count;
    bool lose_slots;    /* the same for slots of this node that the file has not */
    bool forget_record; /* go by the fingerprint alone although PATH.accepted is there, but does not
                           open or does not lead to the file; what it knew is then undone */
};

/* Puts a backup in place as a new generation above all that this node accepted, under a new root
 * key. What happened since is not undone: keys that were destroyed stay destroyed, disabled ones
 * disabled, slots that were removed stay removed; and no key becomes primary again that had stopped
 * being so, so that no key id comes back (the primary of the present keystore if the file has it,
 * else a new one). The state of a key is that of now, not of the backup. UNTRUSTED when the file is
 * not vouched for; DENIED, naming them, when keys or slots would be lost that were not given up. A
 * present file that does not open is kept as PATH.damaged (DENIED when there is one already), and
 * PATH.prev is then left alone. A running daemon must be stopped first when keys
 * are given up: it refuses a keystore without them. Cut off, it is to be run again. */
enum kerr ks_restore(const struct ks_place *place, const struct ks_restore *r,
                     uint64_t *ret_generation, struct kerrinfo *e) MUST_CHECK;

/* The SPECs of PATH.unseal, in order. Free each with seal_spec_done, then free(). */
enum kerr ks_read_unseal(const char *path, struct seal_spec **ret, size_t *ret_count,
                         struct kerrinfo *e) MUST_CHECK;

#endif
