/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/value.h"

#include <string.h>

#include "base/text.h"
#include "stored/wire.h"

#define PREFIX         "k8s:enc:"
#define NAME_MAX_BYTES 256 /* of a key's name that is looked for */
#define DOMAIN_MAX     253 /* RFC 1123 */

#define GCM_NONCE       12
#define GCM_TAG         16
#define CBC_BLOCK       16
#define SECRETBOX_NONCE 24
#define SECRETBOX_TAG   16
#define SEED_INFO       32 /* in front of the nonce: makes one key for one value */

const char *const value_class_names[VALUE_CLASS_COUNT] = {
    [VALUE_KMSV2] = "kmsv2",   [VALUE_KMSV1] = "kmsv1",         [VALUE_AESCBC] = "aescbc",
    [VALUE_AESGCM] = "aesgcm", [VALUE_SECRETBOX] = "secretbox", [VALUE_PLAINTEXT] = "plaintext",
    [VALUE_OTHER] = "other",
};

static struct bytes behind(struct bytes b, size_t len)
{
    return bytes_of(b.ptr + len, b.len - len);
}

/* ---- what each provider writes behind its prefix: a sentence when it is not that ---- */

static bool is_cbc(struct bytes b)
{
    return b.len >= (size_t)2 * CBC_BLOCK && b.len % CBC_BLOCK == 0;
}

static const char *check_aescbc(struct stored_value *v)
{
    return is_cbc(v->payload) ? NULL : "no whole number of AES blocks";
}

static const char *check_aesgcm(struct stored_value *v)
{
    return v->payload.len >= GCM_NONCE + GCM_TAG ? NULL : "shorter than nonce and tag of AES-GCM";
}

static const char *check_secretbox(struct stored_value *v)
{
    return v->payload.len >= SECRETBOX_NONCE + SECRETBOX_TAG ? NULL : "shorter than nonce and tag";
}

static const char *check_kmsv1(struct stored_value *v)
{
    struct reader r = reader_on(v->payload);
    struct bytes dek = read_lv16(&r);
    if (r.failed || dek.len == 0) {
        return "no encrypted key in front of the data";
    }
    size_t left = reader_left(&r);
    return left >= GCM_NONCE + GCM_TAG ? NULL : "shorter than nonce and tag of AES-GCM";
}

/* ---- EncryptedObject ---- */

enum { DATA = 1, KEY_ID, SOURCE, ANNOTATIONS, SOURCE_TYPE, OBJECT_FIELDS };

static const char *take_field(const struct wire_field *f, struct encrypted_object *o)
{
    struct bytes *const texts[] = {[DATA] = &o->data, [KEY_ID] = &o->key_id, [SOURCE] = &o->source};
    enum wire_type wanted = f->number == SOURCE_TYPE ? WIRE_VARINT : WIRE_BYTES;
    if (f->number >= OBJECT_FIELDS) {
        o->has_unknown = true;
        return NULL;
    }
    if (f->type != wanted) {
        return "a field of EncryptedObject with a wrong type";
    }
    if (f->number == SOURCE_TYPE) {
        o->source_type = f->varint;
    } else if (f->number != ANNOTATIONS) {
        *texts[f->number] = f->data;
    }
    return NULL;
}

static const char *read_object(struct bytes from, struct encrypted_object *o)
{
    struct wire w = wire_on(from);
    struct wire_field f;
    unsigned seen = 0;
    size_t annotations_len = 0;
    size_t before = 0;
    for (; wire_next(&w, &f); before = w.at) {
        const char *fault = take_field(&f, o);
        if (fault != NULL) {
            return fault;
        }
        if (f.number == ANNOTATIONS) {
            const uint8_t *first =
                o->annotation_count++ == 0 ? from.ptr + before : o->annotations.ptr;
            o->annotations = bytes_of(first, (size_t)(from.ptr + w.at - first));
            annotations_len += f.data.len;
        } else if (f.number < OBJECT_FIELDS) {
            o->has_repeated = o->has_repeated || (seen >> f.number & 1) != 0;
            seen |= 1U << f.number;
        }
    }
    if (w.is_bad) {
        return "bytes that are no EncryptedObject";
    }
    /* Each annotation has some bytes around it in the message. */
    return annotations_len > VALUE_ANNOTATIONS_MAX + 12 * o->annotation_count
               ? "annotations over kube-apiserver's maximum"
               : NULL;
}

/* Two labels or more, as kube-apiserver wants a name of an annotation; a dot at the end is fine. */
static bool is_domain(struct bytes name)
{
    size_t dots = 0;
    uint8_t before = '.'; /* a label begins */
    size_t len = name.len > 0 && name.ptr[name.len - 1] == '.' ? name.len - 1 : name.len;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = name.ptr[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!is_alnum && (before == '.' || (c != '-' && (c != '.' || before == '-')))) {
            return false;
        }
        dots += c == '.';
        before = c;
    }
    return dots > 0 && len <= DOMAIN_MAX && before != '.' && before != '-';
}

static const char *check_annotations(const struct encrypted_object *o)
{
    struct bytes name;
    struct bytes content;
    size_t count = 0;
    size_t len = 0;
    for (size_t at = 0; value_annotation(o, &at, &name, &content); count++) {
        len += name.len + content.len;
        if (!is_domain(name)) {
            return "an annotation whose name is no domain name";
        }
    }
    if (count != o->annotation_count) {
        return "an annotation that is none";
    }
    return len > VALUE_ANNOTATIONS_MAX ? "annotations over kube-apiserver's maximum" : NULL;
}

static const char *check_kmsv2(struct stored_value *v)
{
    struct encrypted_object *o = &v->kms;
    const char *fault = read_object(v->payload, o);
    if (fault != NULL) {
        return fault;
    }
    if (o->key_id.len == 0 || o->key_id.len > VALUE_KEY_ID_MAX || !text_is_utf8(o->key_id)) {
        return "a key id that is empty, over 1024 bytes or no UTF-8";
    }
    if (o->source.len == 0 || o->source.len > VALUE_SOURCE_MAX) {
        return "an encrypted seed that is empty or over 1024 bytes";
    }
    if (o->source_type > 1) {
        return "a source type that kube-apiserver does not know";
    }
    size_t info = o->source_type == 1 ? SEED_INFO : 0;
    if (o->data.len < info + GCM_NONCE + GCM_TAG) {
        return "data shorter than nonce and tag of AES-GCM";
    }
    return check_annotations(o);
}

bool value_annotation(const struct encrypted_object *o, size_t *at, struct bytes *ret_name,
                      struct bytes *ret_content)
{
    struct wire w = wire_on(o->annotations);
    struct wire_field f = {.number = 0};
    w.at = *at;
    while (f.number != ANNOTATIONS) {
        if (!wire_next(&w, &f)) {
            return false;
        }
    }
    *at = w.at;
    *ret_name = bytes_of(NULL, 0);
    *ret_content = bytes_of(NULL, 0);
    struct wire entry = wire_on(f.data);
    while (wire_next(&entry, &f)) {
        if (f.number <= 2 && f.type != WIRE_BYTES) {
            return false;
        }
        if (f.number <= 2) {
            *(f.number == 1 ? ret_name : ret_content) = f.data;
        }
    }
    return !entry.is_bad;
}

/* ---- prefixes ---- */

static const struct {
    const char *prefix; /* behind PREFIX */
    enum value_class class_of;
    const char *(*check)(struct stored_value *v);
} rows[] = {
    {"kms:v2:", VALUE_KMSV2, check_kmsv2},
    {"kms:v1:", VALUE_KMSV1, check_kmsv1},
    {"aescbc:v1:", VALUE_AESCBC, check_aescbc},
    {"aesgcm:v1:", VALUE_AESGCM, check_aesgcm},
    {"secretbox:v1:", VALUE_SECRETBOX, check_secretbox},
};

static void check(struct stored_value *v, size_t name_len)
{
    v->provider = bytes_of(v->named.ptr, name_len);
    v->payload = behind(v->named, name_len + 1);
    v->kms = (struct encrypted_object){.source_type = 0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].class_of == v->class_of) {
            v->fault = rows[i].check(v);
        }
    }
}

/* The length of the text before the next ':' from `from` on; false when what stands there is no
 * text. */
static bool next_name(struct bytes named, size_t from, size_t *ret)
{
    for (size_t i = from; i < named.len && i < NAME_MAX_BYTES; i++) {
        if (named.ptr[i] == ':') {
            *ret = i;
            return true;
        }
        if (named.ptr[i] < ' ' || named.ptr[i] > '~') {
            return false;
        }
    }
    return false;
}

/* Ends the name at the first ':' behind which the form is right; when there is none, at the first.
 * A name of KMS v2 has no ':'. */
static void check_names(struct stored_value *v, size_t first)
{
    check(v, first);
    if (v->fault == NULL || v->class_of == VALUE_KMSV2) {
        return;
    }
    size_t at = first;
    while (v->fault != NULL && next_name(v->named, at + 1, &at)) {
        check(v, at);
    }
    if (v->fault != NULL) {
        check(v, first);
    }
}

static void read_encrypted(struct bytes value, struct stored_value *v)
{
    struct bytes rest = behind(value, strlen(PREFIX));
    v->fault = "an encryption that kube-apiserver does not know";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!bytes_begin_with(rest, bytes_of_text(rows[i].prefix))) {
            continue;
        }
        v->class_of = rows[i].class_of;
        v->named = behind(rest, strlen(rows[i].prefix));
        const uint8_t *colon = memchr(v->named.ptr, ':', v->named.len);
        v->fault = "a prefix without a name";
        if (colon != NULL) {
            check_names(v, (size_t)(colon - v->named.ptr));
        }
        return;
    }
}

bool value_is_named(struct stored_value *v, struct bytes name)
{
    if (!bytes_begin_with(v->named, name) || v->named.len == name.len ||
        v->named.ptr[name.len] != ':') {
        return false;
    }
    if (v->provider.len != name.len) {
        check(v, name.len);
    }
    return true;
}

/* ---- plaintext ---- */

/* runtime.Unknown: field 1 is TypeMeta {1: apiVersion, 2: kind}. */
static void read_type(struct bytes unknown, struct stored_value *v)
{
    struct wire w = wire_on(unknown);
    struct wire_field f;
    if (!wire_next(&w, &f) || f.number != 1 || f.type != WIRE_BYTES) {
        return;
    }
    struct wire type = wire_on(f.data);
    while (wire_next(&type, &f)) {
        if (f.type == WIRE_BYTES && f.number <= 2) {
            *(f.number == 1 ? &v->api_version : &v->kind) = f.data;
        }
    }
}

void value_read(struct bytes value, struct stored_value *ret)
{
    static const struct {
        struct bytes magic;
        enum value_form form;
    } forms[] = {
        {{(const uint8_t *)"k8s", 4}, VALUE_PROTOBUF},
        {{(const uint8_t *)"{", 1}, VALUE_JSON},
        {{(const uint8_t *)"\xd9\xd9\xf7", 3}, VALUE_CBOR},
    };
    *ret = (struct stored_value){.class_of = VALUE_OTHER};
    if (bytes_begin_with(value, bytes_of_text(PREFIX))) {
        read_encrypted(value, ret);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (bytes_begin_with(value, forms[i].magic)) {
            ret->class_of = VALUE_PLAINTEXT;
            ret->form = forms[i].form;
        }
    }
    if (ret->form == VALUE_PROTOBUF) {
        read_type(behind(value, 4), ret);
    }
}
