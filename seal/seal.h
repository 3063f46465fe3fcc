/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seal protects a slot secret: 32 bytes from which a slot's keys derive. This room knows how to
 * wrap and unwrap them and nothing of what they open.
 *
 * How a seal is reached is a SPEC, one word: "passphrase:", "file:/etc/etcdseal/boot.key",
 * "credential:boot", "vault:". Specs stay on the node (keystore.unseal, configuration, command
 * line). What goes into the keystore is the kind, public parameters (salts, costs: never a path,
 * module or address) and an opaque blob.
 *
 * seal.c is the only caller of the operation table (seal_ops.h). It bounds sizes, checks the
 * parameters before any work, and turns every failure to authenticate into INTEGRITY. When several
 * slots are tried, the failure that is told is the worst by this order, worst first: UNTRUSTED,
 * INTEGRITY, FORMAT, UNSUP, LIMIT, DENIED, INPUT, IO, DOWN, NOTFOUND, SEALED. See seal_is_worse.
 *
 * Threads: no state; any thread. A call may block (Argon2id: half a second and 256 MiB; a prompt;
 * a Vault: five seconds).
 */
#ifndef ETCDSEAL_SEAL_SEAL_H
#define ETCDSEAL_SEAL_SEAL_H

#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "crypto/passphrase.h"

#define SEAL_SECRET_BYTES 32
#define SEAL_PARAMS_MAX   256
#define SEAL_BLOB_MAX     4096
/* Key files and credentials: at least as many bytes as the key they stand for; the maximum keeps a
 * wrong path (a disk image) from being read. */
#define SEAL_KEY_FILE_MIN   32
#define SEAL_KEY_FILE_MAX   65536
#define SEAL_PASSPHRASE_MIN 12 /* bytes; below that Argon2id does not help */
#define SEAL_PASSPHRASE_MAX 1024
#define SEAL_SLOT_NAME_MAX  31

/* Numbers are on disk: never re-used. Kept for later kinds: 4 tpm2, 5 pkcs11, 7 awskms,
 * 8 gcpkms, 9 azurekv, 10 shares, 11 node. */
enum seal_kind { SEAL_PASSPHRASE = 1, SEAL_FILE = 2, SEAL_CREDENTIAL = 3, SEAL_VAULT = 6 };

enum seal_caps {
    SEAL_CAN_OPEN_UNATTENDED = 1 << 0, /* the daemon can use it without a person */
    SEAL_SECRET_LIES_BESIDE = 1 << 1,  /* whoever copies the disk has it: say so loudly */
};

/* A parsed SPEC. */
struct seal_spec {
    char *slot; /* the name before '=', or the kind's name */
    uint8_t kind;
    char *text; /* the SPEC without the slot name, as it was given */
    char *arg;  /* what stands behind "kind:" */
};

/* "[NAME=]KIND:ARG". INPUT says what is wrong and lists the kinds. */
enum kerr seal_spec_parse(const char *text, struct seal_spec *ret, struct kerrinfo *e) MUST_CHECK;
void seal_spec_done(struct seal_spec *s); /* all zero is fine */
#define AUTO_SPEC AUTO(seal_spec_done) struct seal_spec
/* The text to keep in keystore.unseal: what is only good for one call (fd=9) is left out. Free with
 * free(). */
enum kerr seal_spec_keep(const struct seal_spec *s, char **ret, struct kerrinfo *e) MUST_CHECK;
/* Slot names: 1 … SEAL_SLOT_NAME_MAX of a–z, 0–9 and '-', not '-' first. */
enum kerr seal_check_slot_name(struct bytes name, struct kerrinfo *e) MUST_CHECK;

const char *seal_kind_name(uint8_t kind);           /* NULL when not known */
unsigned seal_spec_caps(const struct seal_spec *s); /* of this SPEC: passphrase:file= is a file */

/* Asks a person. `is_new`: the passphrase is being chosen (ask twice, or offer a generated one). */
typedef enum kerr seal_ask_fn(void *ctx, const char *prompt, bool is_new, struct secret **ret,
                              struct kerrinfo *e);

/* Told before work that takes about a second (Argon2id), so that a person can be told too. */
typedef void seal_busy_fn(void *ctx, const char *slot);

/* What a seal may use of its surroundings. */
struct seal_env {
    seal_ask_fn *ask;   /* NULL (the daemon): passphrases that must be asked for are SEALED */
    seal_busy_fn *busy; /* may be NULL */
    void *ask_ctx;      /* of both */
    const char *slot;   /* set by seal.c: the slot at work, for prompts */
    bool may_run_tools; /* systemd-creds, for the tool; the daemon reads its folder */
    uid_t owner;        /* of key files that seal_wrap makes, and may read */
    gid_t group;
    struct passphrase_cost cost; /* for new passphrase seals */
};

/* What a keystore keeps of a seal. */
struct seal_record {
    uint8_t kind;
    uint8_t params[SEAL_PARAMS_MAX];
    size_t params_len;
    uint8_t blob[SEAL_BLOB_MAX];
    size_t blob_len;
};

/* Makes the seal's key (a key file or credential that does not exist is made, an existing one used
 * as it is) and wraps `secret` (SEAL_SECRET_BYTES) with it. `binding`: bytes that unwrapping must
 * be given again (store id, slot id). */
enum kerr seal_wrap(const struct seal_spec *spec, const struct seal_env *env, struct bytes binding,
                    const struct secret *secret, struct seal_record *ret,
                    struct kerrinfo *e) MUST_CHECK;
/* INTEGRITY: wrong passphrase or key, or altered parameters or blob. INPUT: SPEC and record are of
 * different kinds. SEALED: a person must act. NOTFOUND, DENIED, LIMIT (key file, configuration).
 * DOWN: a server does not answer; DENIED: it refuses, or is not to be believed. */
enum kerr seal_unwrap(const struct seal_spec *spec, const struct seal_env *env,
                      struct bytes binding, const struct seal_record *record, struct secret **ret,
                      struct kerrinfo *e) MUST_CHECK;
/* Whether the record is one that seal_unwrap would begin to work on: kind, sizes, costs. Pure. */
enum kerr seal_check(const struct seal_record *record, struct kerrinfo *e) MUST_CHECK;

/* One line that must be shown for this SPEC, or NULL: what its protection is worth. */
const char *seal_warning(const struct seal_spec *s, const struct seal_env *env);

bool seal_is_worse(enum kerr a, enum kerr b);

/* Readers of the kinds, for tests that walk the table. */
size_t seal_kind_count(void);
uint8_t seal_kind_at(size_t i);

#endif
