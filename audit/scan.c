/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values in bytes that are not in use. Pages there are not parsed: the head of a freed run may have
 * been taken for something else. Looked for are KeyValue records, by the prefix of their key and
 * the length before it, and between them the beginnings of values whose record has lost its own.
 */
#include <string.h>

#include "audit/tables.h"
#include "stored/mvcc.h"

#define TAG_KEY       0x0a /* field 1 of KeyValue, bytes */
#define KEY_LEN_BYTES 2    /* of a length: keys of etcd's users are shorter than 16 kB */

static const uint8_t *find(struct bytes in, struct bytes what)
{
    return in.len < what.len ? NULL : memmem(in.ptr, in.len, what.ptr, what.len);
}

/* The record whose key begins at `key`; its beginning is the tag and the length before it. */
static bool record_around(struct bytes in, const uint8_t *key, const uint8_t **ret_at,
                          struct mvcc_key_value *ret, size_t *ret_len)
{
    for (size_t len_bytes = 1; len_bytes <= KEY_LEN_BYTES; len_bytes++) {
        const uint8_t *at = key - len_bytes - 1;
        if ((size_t)(key - in.ptr) < len_bytes + 1 || *at != TAG_KEY) {
            continue;
        }
        struct bytes rest = bytes_of(at, (size_t)(in.ptr + in.len - at));
        if (mvcc_key_value_cut(rest, ret, ret_len) && ret->key.ptr == key) {
            *ret_at = at;
            return true;
        }
    }
    return false;
}

/* For each prefix where it stands next, so that none is looked for twice in the same bytes. */
struct scan {
    const struct audit *audit;
    struct bytes left;
    const uint8_t *next[AUDIT_PREFIXES_MAX]; /* NULL: not looked for yet; the end: nowhere */
};

/* The next record that begins with prefix i, or the end. */
static const uint8_t *next_of(struct scan *s, size_t i, struct mvcc_key_value *ret, size_t *ret_len)
{
    const uint8_t *end = s->left.ptr + s->left.len;
    const uint8_t *at = NULL;
    const uint8_t *from = s->next[i] > s->left.ptr ? s->next[i] : s->left.ptr;
    while (from < end) {
        const uint8_t *key = find(bytes_of(from, (size_t)(end - from)), s->audit->prefixes[i]);
        s->next[i] = key == NULL ? end : key;
        if (key == NULL || record_around(s->left, key, &at, ret, ret_len)) {
            return key == NULL ? end : at;
        }
        from = key + 1;
    }
    return end;
}

/* The first record in what is left; the end when there is none. */
static const uint8_t *next_record(struct scan *s, struct mvcc_key_value *ret, size_t *ret_len)
{
    const uint8_t *first = s->left.ptr + s->left.len;
    for (size_t i = 0; i < s->audit->prefix_count; i++) {
        struct mvcc_key_value kv;
        size_t len = 0;
        const uint8_t *at = next_of(s, i, &kv, &len);
        if (at < first) {
            first = at;
            *ret = kv;
            *ret_len = len;
        }
    }
    return first;
}

/* Values without a record: their prefix is all that tells them. */
static enum kerr scan_between(struct audit *a, enum audit_place place, struct bytes in,
                              const uint8_t *end, struct kerrinfo *e)
{
    static const struct bytes magics[] = {{(const uint8_t *)"k8s", 4},
                                          {(const uint8_t *)"k8s:enc:", 8}};
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
        struct bytes left = in;
        const uint8_t *at = NULL;
        while (k == KERR_OK && (at = find(left, magics[i])) != NULL) {
            k = audit_left_over(a, place, bytes_of(NULL, 0), bytes_of(at, (size_t)(end - at)), e);
            left = bytes_of(at + 1, (size_t)(in.ptr + in.len - at - 1));
        }
    }
    return k;
}

/* What bbolt makes of the end of a page, and a file system of a hole. */
static bool is_zero(struct bytes data)
{
    return data.ptr[0] == 0 && memcmp(data.ptr, data.ptr + 1, data.len - 1) == 0;
}

enum kerr audit_scan(struct audit *a, enum audit_place place, struct bytes data, struct kerrinfo *e)
{
    struct scan s = {.audit = a, .left = data};
    const uint8_t *end = data.ptr + data.len;
    enum kerr k = KERR_OK;
    if (data.len == 0 || is_zero(data)) {
        return KERR_OK;
    }
    while (k == KERR_OK && s.left.len > 0) {
        struct mvcc_key_value kv;
        size_t len = 0;
        const uint8_t *at = next_record(&s, &kv, &len);
        k = scan_between(a, place, bytes_of(s.left.ptr, (size_t)(at - s.left.ptr)), end, e);
        if (k == KERR_OK && at < end) {
            k = audit_left_over(a, place, kv.key, kv.value, e);
        }
        s.left = bytes_of(at + len, (size_t)(end - at) - len);
    }
    return k;
}
