/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KMS v2 messages (k8s.io/kms apis/v2/api.proto) as plain structs, and back. Pure: no I/O, no
 * state, any thread.
 *
 * Decoding refuses what proto3 forbids (strings that are not UTF-8), a known field of another wire
 * type, groups, and what kube-apiserver would refuse later (sizes); unknown fields are skipped, and
 * of a field that is repeated the last counts, as proto3 demands. Text may hold NUL bytes. Decoded
 * structs own one arena each (kms/arena.h): call the _done function. Plaintext is moved into a
 * secret while decoding, and the codec's own copies are wiped before they are freed. Encoding
 * refuses the same sizes and text.
 *
 * Codes: INPUT for bytes that are no such message, LIMIT for a field over its maximum, NOMEM.
 */
#ifndef ETCDSEAL_KMS_KMS_H
#define ETCDSEAL_KMS_KMS_H

#include "base/bytes.h"
#include "base/secret.h"

/* Largest request messages, bytes: the fields' maxima plus room for tags and lengths. */
#define KMS_STATUS_REQUEST_MAX  64
#define KMS_ENCRYPT_REQUEST_MAX 2048
#define KMS_DECRYPT_REQUEST_MAX 40960

#define KMS_PLAINTEXT_MAX         1024  /* what we look at at all; providers allow less */
#define KMS_UID_MAX               256   /* kube-apiserver sends a UUID of 36 characters */
#define KMS_KEY_ID_MAX            1024  /* kmsv2/envelope.go: keyIDMaxSize */
#define KMS_CIPHERTEXT_MAX        1024  /* encryptedDEKSourceMaxSize */
#define KMS_ANNOTATIONS_MAX_BYTES 32768 /* annotationsMaxSize: names and values together */
#define KMS_ANNOTATIONS_MAX       8
#define KMS_STATUS_RESPONSE_MAX   4096
#define KMS_DECRYPT_RESPONSE_MAX  2048

/* The uid of kms_client's requests: what a daemon's log shows. */
#define KMS_AUDIT_UID "etcdseal-audit"

enum kms_method { KMS_STATUS, KMS_ENCRYPT, KMS_DECRYPT, KMS_METHOD_COUNT };

struct kms_annotation {
    struct bytes name;
    struct bytes value;
};

struct kms_annotations {
    struct kms_annotation rows[KMS_ANNOTATIONS_MAX];
    size_t count;
};

struct kms_status_response {
    const char *version;
    const char *healthz;
    const char *key_id;
};

struct kms_encrypt_request {
    struct secret *plaintext; /* NULL when the field is empty */
    struct bytes uid;
    void *arena;
};

struct kms_encrypt_response {
    struct bytes ciphertext;
    struct bytes key_id;
    struct kms_annotations annotations;
};

struct kms_decrypt_request {
    struct bytes ciphertext;
    struct bytes uid;
    struct bytes key_id;
    struct kms_annotations annotations; /* a repeated name: the last one wins, as in proto3 */
    void *arena;
};

/* `ret` is untouched on failure. */
enum kerr kms_decode_status_request(struct bytes message, struct kerrinfo *e) MUST_CHECK;
enum kerr kms_decode_encrypt_request(struct bytes message, struct kms_encrypt_request *ret,
                                     struct kerrinfo *e) MUST_CHECK;
enum kerr kms_decode_decrypt_request(struct bytes message, struct kms_decrypt_request *ret,
                                     struct kerrinfo *e) MUST_CHECK;
void kms_encrypt_request_done(struct kms_encrypt_request *r); /* all zero is fine */
void kms_decrypt_request_done(struct kms_decrypt_request *r);

/* Encoders write a fresh message into `ret` (a buffer made by buf_init). */
enum kerr kms_encode_status_response(const struct kms_status_response *r, struct buf *ret,
                                     struct kerrinfo *e) MUST_CHECK;
enum kerr kms_encode_encrypt_response(const struct kms_encrypt_response *r, struct buf *ret,
                                      struct kerrinfo *e) MUST_CHECK;
/* The whole message is secret, so it is made in locked memory. */
enum kerr kms_encode_decrypt_response(const struct secret *plaintext, struct secret **ret,
                                      struct kerrinfo *e) MUST_CHECK;

/* ---- the client's side ---- */

/* An answer of a plugin, which may be anybody's. */
struct kms_status {
    struct bytes version;
    struct bytes healthz;
    struct bytes key_id;
    void *arena;
};

/* What a stored value says of its seed. Unlike a daemon of ours, plugins may make any number of
 * annotations. */
struct kms_sealed_seed {
    struct bytes ciphertext;
    struct bytes key_id;
    const struct kms_annotation *annotations;
    size_t annotation_count;
};

void kms_status_done(struct kms_status *s); /* all zero is fine */
enum kerr kms_decode_status_response(struct bytes message, struct kms_status *ret,
                                     struct kerrinfo *e) MUST_CHECK;
enum kerr kms_encode_decrypt_request(const struct kms_sealed_seed *seed, const char *uid,
                                     struct buf *ret, struct kerrinfo *e) MUST_CHECK;
/* INPUT for an answer without a plaintext. */
enum kerr kms_decode_decrypt_response(struct bytes message, struct secret **ret,
                                      struct kerrinfo *e) MUST_CHECK;

/* "sha256:" and 64 hex digits, as kube-apiserver labels its metrics with hashed key ids; the empty
 * id gives the empty text. */
#define KMS_KEY_ID_HASH_BYTES 72
void kms_key_id_hash(struct bytes key_id, char to[static KMS_KEY_ID_HASH_BYTES]);

#endif
