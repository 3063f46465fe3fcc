/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures of minisign, its prehashed form: Ed25519 over the BLAKE2b-512 of a file, and a second
 * one over the first and a trusted comment. What is written here minisign verifies, and the other
 * way round. Source: jedisct1.github.io/minisign, "File format".
 *
 * A key file of minisign that is encrypted with a password is refused: who signs reports is a
 * timer, and cannot be asked. 'minisign -G -W' makes one without, kept secret by its mode like a
 * host key.
 *
 * Pure but for the two that read files. Every size is checked; texts of others in messages are
 * escaped.
 */
#ifndef ETCDSEAL_CLI_MINISIGN_H
#define ETCDSEAL_CLI_MINISIGN_H

#include "crypto/hash.h"
#include "crypto/pubkey.h"

#define MINISIGN_ID_BYTES    8
#define MINISIGN_ID_TEXT     (2 * MINISIGN_ID_BYTES + 1) /* "7AC3FC626D1ABF4A" */
#define MINISIGN_FILE_MAX    ((size_t)8192)              /* bytes of a key or signature file */
#define MINISIGN_COMMENT_MAX ((size_t)4096)              /* bytes of a trusted comment */
#define MINISIGN_SUFFIX      ".minisig"

struct minisign_public {
    uint8_t id[MINISIGN_ID_BYTES];
    uint8_t key[PUBKEY_BYTES];
};

struct minisign_secret {
    struct minisign_public is; /* its other half */
    struct secret *seed;
};

/* A key file: private, and root's or the effective user's (file_read_key). INPUT for what is none,
 * UNSUP for one with a password. Free with minisign_secret_done even on failure; `ret` is all zero.
 */
enum kerr minisign_read_secret(const char *path, struct minisign_secret *ret,
                               struct kerrinfo *e) MUST_CHECK;
void minisign_secret_done(struct minisign_secret *s);
#define AUTO_MINISIGN_SECRET AUTO(minisign_secret_done) struct minisign_secret
/* The same from its text. */
enum kerr minisign_parse_secret(struct bytes text, const char *name, struct minisign_secret *ret,
                                struct kerrinfo *e) MUST_CHECK;

enum kerr minisign_read_public(const char *path, struct minisign_public *ret,
                               struct kerrinfo *e) MUST_CHECK;
enum kerr minisign_parse_public(struct bytes text, const char *name, struct minisign_public *ret,
                                struct kerrinfo *e) MUST_CHECK;

/* As minisign shows a key's id. */
void minisign_id_text(const struct minisign_public *p, char to[static MINISIGN_ID_TEXT]);

/* Appends a signature file. `comment` is one line; LIMIT when it is too long, BUG when it holds a
 * control character but tabs. */
enum kerr minisign_sign(const struct minisign_secret *s,
                        const uint8_t hash[static HASH_BLAKE2B_BYTES], const char *comment,
                        struct buf *ret, struct kerrinfo *e) MUST_CHECK;

/* `signature` is the file's text, `name` its name. *ret_comment (free it) is the trusted comment,
 * as it stands there. FORMAT for what is no such file, INTEGRITY for another key's signature or
 * another file's. */
enum kerr minisign_verify(const struct minisign_public *p, struct bytes signature, const char *name,
                          const uint8_t hash[static HASH_BLAKE2B_BYTES], char **ret_comment,
                          struct kerrinfo *e) MUST_CHECK;

#endif
