/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operation table of a kind of seal; included by the kinds and by seal.c only. To add one:
 * a file seal_<kind>.c with its table, a row in registry.c, a number in enum seal_kind, and the
 * contract tests (tests/unit/seal/test_contract.c) green.
 */
#ifndef ETCDSEAL_SEAL_SEAL_OPS_H
#define ETCDSEAL_SEAL_SEAL_OPS_H

#include "seal/seal.h"

/* Checks the argument behind "kind:"; INPUT. */
typedef enum kerr seal_check_arg_fn(const char *arg, struct kerrinfo *e);
/* enum seal_caps of a SPEC with this argument. */
typedef unsigned seal_caps_fn(const char *arg);
/* A warning for this argument, or NULL. */
typedef const char *seal_warning_fn(const char *arg, const struct seal_env *env);
/* Checks public parameters before any work: FORMAT, LIMIT. */
typedef enum kerr seal_check_params_fn(struct bytes params, struct kerrinfo *e);
/* Fills params and blob of the record. */
typedef enum kerr seal_wrap_fn(const char *arg, const struct seal_env *env, struct bytes binding,
                               const struct secret *secret, struct seal_record *ret,
                               struct kerrinfo *e);
/* Gives back the secret, or a code of seal_unwrap. Parameters were checked. */
typedef enum kerr seal_unwrap_fn(const char *arg, const struct seal_env *env, struct bytes binding,
                                 const struct seal_record *record, struct secret **ret,
                                 struct kerrinfo *e);

struct seal_ops {
    const char *name; /* word before ':' in a SPEC */
    uint8_t kind;
    const char *arg_help; /* "PATH" */
    const char *keep_arg; /* argument to keep instead of one that serves a single call; or NULL */
    seal_check_arg_fn *check_arg;
    seal_caps_fn *caps;
    seal_warning_fn *warning;
    seal_check_params_fn *check_params;
    seal_wrap_fn *wrap;
    seal_unwrap_fn *unwrap;
};

extern const struct seal_ops *const seal_kinds[];
extern const size_t seal_kinds_count;

extern const struct seal_ops seal_passphrase;
extern const struct seal_ops seal_file;
extern const struct seal_ops seal_credential;
extern const struct seal_ops seal_vault;

/* What a record is bound to: label ‖ lv16 binding ‖ u8 kind ‖ lv16 params, in `to`. record->kind
 * and params must be set. BUG when it does not fit. */
enum kerr seal_aad(const char *label, struct bytes binding, const struct seal_record *record,
                   uint8_t *to, size_t size, struct bytes *ret, struct kerrinfo *e) MUST_CHECK;

/* For kinds that come down to a 32-byte key: blob = nonce (24) ‖ XAES-256-GCM of the secret, AAD =
 * seal_aad with the label "etcdseal/v1/seal". record->kind and params must be set. */
enum kerr seal_key_wrap(const struct secret *key, struct bytes binding, const struct secret *secret,
                        struct seal_record *record, struct kerrinfo *e) MUST_CHECK;
enum kerr seal_key_unwrap(const struct secret *key, struct bytes binding,
                          const struct seal_record *record, struct secret **ret,
                          struct kerrinfo *e) MUST_CHECK;
/* For kinds whose key is a file's content: params = version (1) ‖ salt (16), key = HKDF-SHA-256 of
 * the content with that salt and info = label. INPUT when `content` is under SEAL_KEY_FILE_MIN. */
enum kerr seal_content_wrap(const struct secret *content, const char *label, const char *what,
                            struct bytes binding, const struct secret *secret,
                            struct seal_record *record, struct kerrinfo *e) MUST_CHECK;
enum kerr seal_content_unwrap(const struct secret *content, const char *label, const char *what,
                              struct bytes binding, const struct seal_record *record,
                              struct secret **ret, struct kerrinfo *e) MUST_CHECK;
enum kerr seal_content_check_params(struct bytes params, struct kerrinfo *e) MUST_CHECK;

#endif
