/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protobuf-c does the wire format; this file adds what it does not do: UTF-8, maxima, names of
 * annotations that come twice, and memory that is bounded and wiped.
 *
 * protobuf-c 1.4.1 is stricter than proto3 in two ways, both harmless: a known field with another
 * wire type, and the long deprecated groups, are refused instead of skipped.
 */
#include "kms/kms.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "kms/arena.h"
#include "proto/kms/v2/api.pb-c.h"

static void arena_free_at(struct arena **a)
{
    arena_free(*a);
}

static void *codec_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void codec_free(void *arena, void *block)
{
    arena_wipe(arena, block);
}

static enum kerr unpack(const ProtobufCMessageDescriptor *type, size_t max, struct bytes message,
                        struct arena *a, ProtobufCMessage **ret, struct kerrinfo *e)
{
    if (message.len > max) {
        return kerr_set(e, KERR_LIMIT, "%s of %zu bytes, allowed are %zu", type->short_name,
                        message.len, max);
    }
    ProtobufCAllocator allocator = {codec_alloc, codec_free, a};
    ProtobufCMessage *m = protobuf_c_message_unpack(type, &allocator, message.len, message.ptr);
    if (m != NULL) {
        *ret = m;
        return KERR_OK;
    }
    enum kerr why = arena_failure(a);
    if (why == KERR_LIMIT) {
        return kerr_set(e, why, "%s with too many fields", type->short_name);
    }
    if (why == KERR_NOMEM) {
        return kerr_set(e, why, "no memory to decode %s", type->short_name);
    }
    return kerr_set(e, KERR_INPUT, "bytes that are no %s", type->short_name);
}

static struct bytes view(ProtobufCBinaryData field)
{
    return bytes_of(field.data, field.len);
}

static enum kerr check_len(const char *name, struct bytes field, size_t max, struct kerrinfo *e)
{
    if (field.len > max) {
        return kerr_set(e, KERR_LIMIT, "%s of %zu bytes, allowed are %zu", name, field.len, max);
    }
    return KERR_OK;
}

static enum kerr check_text(const char *name, struct bytes field, size_t max, struct kerrinfo *e)
{
    enum kerr k = check_len(name, field, max, e);
    if (k == KERR_OK && !text_is_utf8(field)) {
        return kerr_set(e, KERR_INPUT, "%s that is not UTF-8", name);
    }
    return k;
}

/* Names and values of all annotations together, and their names as text. */
static enum kerr check_annotations(const struct kms_annotations *a, struct kerrinfo *e)
{
    size_t total = 0;
    for (size_t i = 0; i < a->count; i++) {
        const struct kms_annotation *row = &a->rows[i];
        enum kerr k = check_text("annotation name", row->name, KMS_ANNOTATIONS_MAX_BYTES, e);
        if (k == KERR_OK) {
            k = check_len("annotation", row->value, KMS_ANNOTATIONS_MAX_BYTES, e);
        }
        if (k != KERR_OK) {
            return k;
        }
        total += row->name.len + row->value.len;
    }
    if (total > KMS_ANNOTATIONS_MAX_BYTES) {
        return kerr_set(e, KERR_LIMIT, "annotations of %zu bytes together, allowed are %d", total,
                        KMS_ANNOTATIONS_MAX_BYTES);
    }
    return KERR_OK;
}

/* A map: an entry with a name that was there before takes its place. */
static enum kerr put_annotation(struct kms_annotations *to, const V2__Annotation *from,
                                struct kerrinfo *e)
{
    struct kms_annotation row = {view(from->name), view(from->value)};
    size_t i = 0;
    while (i < to->count && !bytes_equal(to->rows[i].name, row.name)) {
        i++;
    }
    if (i == KMS_ANNOTATIONS_MAX) {
        return kerr_set(e, KERR_LIMIT, "more than %d annotations", KMS_ANNOTATIONS_MAX);
    }
    to->rows[i] = row;
    to->count = i < to->count ? to->count : i + 1;
    return KERR_OK;
}

enum kerr kms_decode_status_request(struct bytes message, struct kerrinfo *e)
{
    AUTO(arena_free_at) struct arena *a = NULL;
    ProtobufCMessage *m = NULL;
    enum kerr k = arena_new(ARENA_MAX_BYTES, &a, e);
    if (k == KERR_OK) {
        k = unpack(&v2__status_request__descriptor, KMS_STATUS_REQUEST_MAX, message, a, &m, e);
    }
    return k;
}

enum kerr kms_decode_encrypt_request(struct bytes message, struct kms_encrypt_request *ret,
                                     struct kerrinfo *e)
{
    AUTO(arena_free_at) struct arena *a = NULL;
    AUTO_SECRET plaintext = NULL;
    ProtobufCMessage *base = NULL;
    enum kerr k = arena_new(ARENA_MAX_BYTES, &a, e);
    if (k == KERR_OK) {
        k = unpack(&v2__encrypt_request__descriptor, KMS_ENCRYPT_REQUEST_MAX, message, a, &base, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    const V2__EncryptRequest *m = (const V2__EncryptRequest *)base;
    k = check_text("uid", view(m->uid), KMS_UID_MAX, e);
    if (k == KERR_OK) {
        k = check_len("plaintext", view(m->plaintext), KMS_PLAINTEXT_MAX, e);
    }
    if (k == KERR_OK && m->plaintext.len > 0) {
        k = secret_from_bytes(view(m->plaintext), &plaintext, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    arena_wipe(a, m->plaintext.data);
    *ret = (struct kms_encrypt_request){
        .plaintext = secret_take(&plaintext), .uid = view(m->uid), .arena = a};
    a = NULL;
    return KERR_OK;
}

static enum kerr fill_decrypt_request(const V2__DecryptRequest *m, struct kms_decrypt_request *r,
                                      struct kerrinfo *e)
{
    r->ciphertext = view(m->ciphertext);
    r->uid = view(m->uid);
    r->key_id = view(m->key_id);
    enum kerr k = check_text("uid", r->uid, KMS_UID_MAX, e);
    if (k == KERR_OK) {
        k = check_text("key_id", r->key_id, KMS_KEY_ID_MAX, e);
    }
    if (k == KERR_OK) {
        k = check_len("ciphertext", r->ciphertext, KMS_CIPHERTEXT_MAX, e);
    }
    for (size_t i = 0; k == KERR_OK && i < m->n_annotations; i++) {
        k = put_annotation(&r->annotations, m->annotations[i], e);
    }
    return k == KERR_OK ? check_annotations(&r->annotations, e) : k;
}

enum kerr kms_decode_decrypt_request(struct bytes message, struct kms_decrypt_request *ret,
                                     struct kerrinfo *e)
{
    AUTO(arena_free_at) struct arena *a = NULL;
    ProtobufCMessage *base = NULL;
    enum kerr k = arena_new(ARENA_MAX_BYTES, &a, e);
    if (k == KERR_OK) {
        k = unpack(&v2__decrypt_request__descriptor, KMS_DECRYPT_REQUEST_MAX, message, a, &base, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    struct kms_decrypt_request r = {.arena = a};
    k = fill_decrypt_request((const V2__DecryptRequest *)base, &r, e);
    if (k == KERR_OK) {
        *ret = r;
        a = NULL;
    }
    return k;
}

void kms_encrypt_request_done(struct kms_encrypt_request *r)
{
    secret_free(r->plaintext);
    arena_free(r->arena);
    *r = (struct kms_encrypt_request){.plaintext = NULL};
}

void kms_decrypt_request_done(struct kms_decrypt_request *r)
{
    arena_free(r->arena);
    *r = (struct kms_decrypt_request){.arena = NULL};
}

/* protobuf-c has one type for fields to read and to write; while packing they are only read. */
static ProtobufCBinaryData borrow(struct bytes field)
{
    return (ProtobufCBinaryData){field.len, (uint8_t *)(uintptr_t)field.ptr};
}

static enum kerr pack(const ProtobufCMessage *m, struct buf *ret, struct kerrinfo *e)
{
    uint8_t *to = NULL;
    enum kerr k = buf_extend(ret, protobuf_c_message_get_packed_size(m), &to, e);
    if (k == KERR_OK) {
        (void)protobuf_c_message_pack(m, to);
    }
    return k;
}

enum kerr kms_encode_status_response(const struct kms_status_response *r, struct buf *ret,
                                     struct kerrinfo *e)
{
    struct bytes key_id = bytes_of_text(r->key_id);
    enum kerr k = check_text("key_id", key_id, KMS_KEY_ID_MAX, e);
    if (k != KERR_OK) {
        return k;
    }
    V2__StatusResponse m = V2__STATUS_RESPONSE__INIT;
    m.version = borrow(bytes_of_text(r->version));
    m.healthz = borrow(bytes_of_text(r->healthz));
    m.key_id = borrow(key_id);
    return pack(&m.base, ret, e);
}

enum kerr kms_encode_encrypt_response(const struct kms_encrypt_response *r, struct buf *ret,
                                      struct kerrinfo *e)
{
    if (r->annotations.count > KMS_ANNOTATIONS_MAX) {
        return kerr_set(e, KERR_LIMIT, "more than %d annotations", KMS_ANNOTATIONS_MAX);
    }
    enum kerr k = check_len("ciphertext", r->ciphertext, KMS_CIPHERTEXT_MAX, e);
    if (k == KERR_OK) {
        k = check_text("key_id", r->key_id, KMS_KEY_ID_MAX, e);
    }
    if (k == KERR_OK) {
        k = check_annotations(&r->annotations, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    V2__Annotation rows[KMS_ANNOTATIONS_MAX];
    V2__Annotation *row_at[KMS_ANNOTATIONS_MAX];
    for (size_t i = 0; i < r->annotations.count; i++) {
        rows[i] = (V2__Annotation)V2__ANNOTATION__INIT;
        rows[i].name = borrow(r->annotations.rows[i].name);
        rows[i].value = borrow(r->annotations.rows[i].value);
        row_at[i] = &rows[i];
    }
    V2__EncryptResponse m = V2__ENCRYPT_RESPONSE__INIT;
    m.ciphertext = borrow(r->ciphertext);
    m.key_id = borrow(r->key_id);
    m.annotations = row_at;
    m.n_annotations = r->annotations.count;
    return pack(&m.base, ret, e);
}

enum kerr kms_encode_decrypt_response(const struct secret *plaintext, struct secret **ret,
                                      struct kerrinfo *e)
{
    enum kerr k = check_len("plaintext", secret_view(plaintext), KMS_PLAINTEXT_MAX, e);
    if (k != KERR_OK) {
        return k;
    }
    V2__DecryptResponse m = V2__DECRYPT_RESPONSE__INIT;
    m.plaintext = borrow(secret_view(plaintext));
    k = secret_new(protobuf_c_message_get_packed_size(&m.base), ret, e);
    if (k == KERR_OK) {
        (void)protobuf_c_message_pack(&m.base, secret_bytes(*ret));
    }
    return k;
}

/* ---- the client's side ---- */

enum kerr kms_decode_status_response(struct bytes message, struct kms_status *ret,
                                     struct kerrinfo *e)
{
    AUTO(arena_free_at) struct arena *a = NULL;
    ProtobufCMessage *base = NULL;
    enum kerr k = arena_new(ARENA_MAX_BYTES, &a, e);
    if (k == KERR_OK) {
        k = unpack(&v2__status_response__descriptor, KMS_STATUS_RESPONSE_MAX, message, a, &base, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    const V2__StatusResponse *m = (const V2__StatusResponse *)base;
    struct kms_status found = {.version = view(m->version),
                               .healthz = view(m->healthz),
                               .key_id = view(m->key_id),
                               .arena = a};
    k = check_text("key_id", found.key_id, KMS_KEY_ID_MAX, e);
    if (k == KERR_OK) {
        *ret = found;
        a = NULL;
    }
    return k;
}

void kms_status_done(struct kms_status *s)
{
    arena_free(s->arena);
    *s = (struct kms_status){.arena = NULL};
}

enum kerr kms_encode_decrypt_request(const struct kms_sealed_seed *seed, const char *uid,
                                     struct buf *ret, struct kerrinfo *e)
{
    size_t count = seed->annotation_count;
    V2__Annotation *rows = calloc(count + 1, sizeof *rows);
    V2__Annotation **row_at = calloc(count + 1, sizeof *row_at);
    enum kerr k = rows == NULL || row_at == NULL
                      ? kerr_set(e, KERR_NOMEM, "no memory for %zu annotations", count)
                      : KERR_OK;
    for (size_t i = 0; i < count && k == KERR_OK; i++) {
        rows[i] = (V2__Annotation)V2__ANNOTATION__INIT;
        rows[i].name = borrow(seed->annotations[i].name);
        rows[i].value = borrow(seed->annotations[i].value);
        row_at[i] = &rows[i];
    }
    V2__DecryptRequest m = V2__DECRYPT_REQUEST__INIT;
    m.ciphertext = borrow(seed->ciphertext);
    m.uid = borrow(bytes_of_text(uid));
    m.key_id = borrow(seed->key_id);
    m.annotations = row_at;
    m.n_annotations = count;
    k = k == KERR_OK ? pack(&m.base, ret, e) : k;
    free(row_at);
    free(rows);
    return k;
}

enum kerr kms_decode_decrypt_response(struct bytes message, struct secret **ret, struct kerrinfo *e)
{
    AUTO(arena_free_at) struct arena *a = NULL;
    ProtobufCMessage *base = NULL;
    enum kerr k = arena_new(ARENA_MAX_BYTES, &a, e);
    if (k == KERR_OK) {
        k = unpack(&v2__decrypt_response__descriptor, KMS_DECRYPT_RESPONSE_MAX, message, a, &base,
                   e);
    }
    if (k != KERR_OK) {
        return k;
    }
    const V2__DecryptResponse *m = (const V2__DecryptResponse *)base;
    if (m->plaintext.len == 0) {
        return kerr_set(e, KERR_INPUT, "DecryptResponse without a plaintext");
    }
    return secret_from_bytes(view(m->plaintext), ret, e);
}

void kms_key_id_hash(struct bytes key_id, char to[static KMS_KEY_ID_HASH_BYTES])
{
    to[0] = 0;
    if (key_id.len > 0) {
        uint8_t hash[HASH_BYTES];
        hash_sha256(key_id, hash);
        memcpy(to, "sha256:", 7);
        text_hex(BYTES_OF(hash), to + 7);
    }
}
