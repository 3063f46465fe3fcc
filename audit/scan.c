/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values in bytes that are not in use. Pages there are not parsed: the head of a freed run may have
 * been taken for something else. Looked for are records, by the prefix of their key and what stands
 * before it (in etcd's files: a length), and between them the beginnings of values whose record has
 * lost its own.
 */
#include <string.h>

#include "audit/tables.h"
#include "stored/mvcc.h"

#define OWN_PREFIX    "/etcdseal/"
#define COUNTED_MAX   64   /* of records that lie over each other; beyond, one may count twice */
#define TAG_KEY       0x0a /* field 1 of KeyValue, bytes */
#define KEY_LEN_BYTES 2    /* of a length: keys of etcd's users are shorter than 16 kB */

static const uint8_t *find(struct bytes in, struct bytes what)
{
    return in.len < what.len ? NULL : memmem(in.ptr, in.len, what.ptr, what.len);
}

/* The record whose key begins at `key`; its beginning is the tag and the length before it. */
static bool record_around(const void *ctx, struct bytes in, const uint8_t *key,
                          struct scan_found *ret)
{
    (void)ctx;
    for (size_t len_bytes = 1; len_bytes <= KEY_LEN_BYTES; len_bytes++) {
        const uint8_t *at = key - len_bytes - 1;
        if ((size_t)(key - in.ptr) < len_bytes + 1 || *at != TAG_KEY) {
            continue;
        }
        struct bytes rest = bytes_of(at, (size_t)(in.ptr + in.len - at));
        struct mvcc_key_value kv;
        size_t len = 0;
        if (mvcc_key_value_cut(rest, &kv, &len) && kv.key.ptr == key) {
            *ret = (struct scan_found){.at = at, .len = len, .key = kv.key, .values = {kv.value}};
            return true;
        }
    }
    return false;
}

/* For each prefix where it stands next, so that none is looked for twice in the same bytes. */
struct scan {
    const struct audit *audit;
    scan_around_fn *around;
    const void *ctx;
    struct bytes left;
    const uint8_t *next[AUDIT_PREFIXES_MAX + 1]; /* NULL: not looked for yet; the end: nowhere */
    const uint8_t *counted[COUNTED_MAX];         /* where values of records begin, the last ones */
    size_t counted_count;
};

/* Those of Kubernetes, and our own behind them. */
static struct bytes prefix_of(const struct scan *s, size_t i)
{
    return i < s->audit->prefix_count ? s->audit->prefixes[i] : bytes_of_text(OWN_PREFIX);
}

/* The next record that begins with prefix i; false at the end. */
static bool next_of(struct scan *s, size_t i, struct scan_found *ret)
{
    const uint8_t *end = s->left.ptr + s->left.len;
    const uint8_t *from = s->next[i] > s->left.ptr ? s->next[i] : s->left.ptr;
    while (from < end) {
        const uint8_t *key = find(bytes_of(from, (size_t)(end - from)), prefix_of(s, i));
        s->next[i] = key == NULL ? end : key;
        if (key == NULL || s->around(s->ctx, s->left, key, ret)) {
            return key != NULL;
        }
        from = key + 1;
    }
    return false;
}

/* The first record in what is left; at its end, and of no bytes, when there is none. */
static struct scan_found next_record(struct scan *s)
{
    struct scan_found first = {.at = s->left.ptr + s->left.len};
    for (size_t i = 0; i <= s->audit->prefix_count; i++) {
        struct scan_found found;
        if (next_of(s, i, &found) && found.at < first.at) {
            first = found;
        }
    }
    return first;
}

static bool is_counted(const struct scan *s, const uint8_t *at)
{
    for (size_t i = 0; i < s->counted_count && i < COUNTED_MAX; i++) {
        if (s->counted[i] == at) {
            return true;
        }
    }
    return false;
}

/* etcd takes no larger values. */
static size_t at_most(size_t len)
{
    return len < AUDIT_OBJECT_MAX ? len : AUDIT_OBJECT_MAX;
}

/* Values without a record: their prefix is all that tells them. */
static enum kerr scan_between(struct audit *a, enum audit_place place, const struct scan *s,
                              struct bytes in, struct kerrinfo *e)
{
    static const struct bytes magics[] = {{(const uint8_t *)"k8s", 4},
                                          {(const uint8_t *)"k8s:enc:", 8}};
    const uint8_t *end = s->left.ptr + s->left.len;
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
        struct bytes left = in;
        const uint8_t *at = NULL;
        while (k == KERR_OK && (at = find(left, magics[i])) != NULL) {
            k = is_counted(s, at) ? KERR_OK
                                  : audit_left_over(a, place, bytes_of(NULL, 0),
                                                    bytes_of(at, at_most((size_t)(end - at))), e);
            left = bytes_of(at + 1, (size_t)(in.ptr + in.len - at - 1));
        }
    }
    return k;
}

/* What bbolt makes of the end of a page, and a file system of a hole. */
bool scan_is_zero(struct bytes data)
{
    return data.ptr[0] == 0 && memcmp(data.ptr, data.ptr + 1, data.len - 1) == 0;
}

static enum kerr count_record(struct audit *a, enum audit_place place, struct scan *s,
                              const struct scan_found *found, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < SCAN_VALUES_MAX && k == KERR_OK; i++) {
        if (found->values[i].len > 0 && !is_counted(s, found->values[i].ptr)) {
            s->counted[s->counted_count++ % COUNTED_MAX] = found->values[i].ptr;
            k = audit_left_over(a, place, found->key, found->values[i], e);
        }
    }
    return k;
}

enum kerr scan_with(struct audit *a, enum audit_place place, struct bytes data,
                    scan_around_fn *around, const void *ctx, struct kerrinfo *e)
{
    struct scan s = {.audit = a, .around = around, .ctx = ctx, .left = data};
    const uint8_t *end = data.ptr + data.len;
    enum kerr k = KERR_OK;
    if (data.len == 0 || scan_is_zero(data)) {
        return KERR_OK;
    }
    while (k == KERR_OK && s.left.len > 0) {
        if (audit_is_stopped(a)) {
            return kerr_set(e, KERR_STATE, "stopped");
        }
        struct scan_found found = next_record(&s);
        size_t before = (size_t)(found.at - s.left.ptr);
        k = scan_between(a, place, &s, bytes_of(s.left.ptr, before), e);
        k = k == KERR_OK ? count_record(a, place, &s, &found, e) : k;
        s.left = bytes_of(found.at + found.len, (size_t)(end - found.at) - found.len);
    }
    return k;
}

enum kerr audit_scan(struct audit *a, enum audit_place place, struct bytes data, struct kerrinfo *e)
{
    return scan_with(a, place, data, record_around, NULL, e);
}
