/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value that kube-apiserver stored: in which class, by which provider, under which key, as far
 * as the bytes say without being decrypted. Views into the value; nothing is allocated. Pure.
 *
 * What no key can open, because its form is wrong, has a `fault`. A value whose form is right may
 * still not open: only decrypting tells.
 *
 * Sources: k8s.io/apiserver pkg/storage/value/encrypt and pkg/server/options/encryptionconfig;
 * runtime.Unknown of k8s.io/apimachinery pkg/runtime/generated.proto.
 */
#ifndef ETCDSEAL_STORED_VALUE_H
#define ETCDSEAL_STORED_VALUE_H

#include "base/bytes.h"

/* kube-apiserver's maxima. */
#define VALUE_KEY_ID_MAX      1024
#define VALUE_SOURCE_MAX      1024
#define VALUE_ANNOTATIONS_MAX 32768

#define VALUE_KMSV2_PREFIX "k8s:enc:kms:v2:" /* before the provider's name */

enum value_class {
    VALUE_KMSV2,
    VALUE_KMSV1,
    VALUE_AESCBC,
    VALUE_AESGCM,
    VALUE_SECRETBOX,
    VALUE_PLAINTEXT,
    VALUE_OTHER, /* nothing of the above: a number, an unknown prefix of encryption, garbage */
    VALUE_CLASS_COUNT
};
extern const char *const value_class_names[VALUE_CLASS_COUNT]; /* "kmsv2", …, "other" */

enum value_form { VALUE_FORM_NONE, VALUE_PROTOBUF, VALUE_JSON, VALUE_CBOR };

/* What is encrypted by KMS v2. */
struct encrypted_object {
    struct bytes data;
    struct bytes key_id;
    struct bytes source;      /* the seed or key, encrypted by the plugin */
    struct bytes annotations; /* the object's bytes from the first to the last of them */
    size_t annotation_count;
    uint64_t source_type; /* 0: the key itself (before 1.29), 1: a seed */
    bool has_unknown;     /* fields that the API server does not know */
    bool has_repeated;    /* fields that stand twice, of which the last counts */
};

struct stored_value {
    enum value_class class_of;
    enum value_form form;     /* of plaintext */
    struct bytes provider;    /* of KMS: its name; of the others: the key's name */
    struct bytes payload;     /* behind the prefix with its name */
    struct bytes named;       /* behind the prefix without its name */
    struct bytes api_version; /* of plaintext protobuf, as it says */
    struct bytes kind;        /* the same */
    struct encrypted_object kms;
    const char *fault; /* a sentence, static; NULL: its form is right */
};

void value_read(struct bytes value, struct stored_value *ret);

/* Key names, and names of KMS v1 providers, may hold ':'; value_read ends them at the first behind
 * which the form is right. When the value was written under the name `name` this takes it over, and
 * says true. */
bool value_is_named(struct stored_value *v, struct bytes name);

/* The annotations of an EncryptedObject, one after the other: *at is 0 at first. */
bool value_annotation(const struct encrypted_object *o, size_t *at, struct bytes *ret_name,
                      struct bytes *ret_content);

static inline bool value_is_encrypted(enum value_class c)
{
    return c < VALUE_PLAINTEXT;
}

#endif
