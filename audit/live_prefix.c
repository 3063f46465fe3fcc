/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Kubernetes' keys begin with, found without reading them all. Each cluster has the namespaces
 * `default` and `kube-system`, so a prefix is tried by asking for those two keys. Tried are
 * /registry/ and, in what lies before and behind it, the folders of the first key: "/a/", "/a/b/"
 * for "/a/b/c"; then on behind them.
 */
#include <string.h>

#include "audit/live_scan.h"

#define PRESET     "/registry/"
#define PRESET_END "/registry0"
#define LOOKS_MAX  64 /* first keys that are looked at: on each etcd walks the rest of its index */
#define DEPTH_MAX  4  /* folders of one key that are tried */
#define KEY_BYTES  1024 /* a longer key is none of Kubernetes' */

static const char *const known[] = {"namespaces/default", "namespaces/kube-system"};

struct first_key {
    uint8_t bytes[KEY_BYTES];
    size_t len; /* more than KEY_BYTES: of which only the beginning is there */
};

static enum kerr take_first(void *ctx, const struct mvcc_key_value *kv, struct kerrinfo *e)
{
    struct first_key *to = ctx;
    (void)e;
    if (kv == NULL) {
        return KERR_OK;
    }
    to->len = kv->key.len;
    memcpy(to->bytes, kv->key.ptr, kv->key.len < KEY_BYTES ? kv->key.len : KEY_BYTES);
    return KERR_OK;
}

static enum kerr first_of(struct live *l, struct bytes from, struct bytes end,
                          struct first_key *ret, uint64_t *ret_count, struct kerrinfo *e)
{
    /* Not all kines know keys without values. */
    bool is_kine = l->found->status.is_kine;
    struct etcd_range range = {
        .key = from, .end = end, .limit = is_kine ? 0 : 1, .keys_only = !is_kine};
    struct etcd_page page;
    ret->len = 0;
    enum kerr k = live_ask(l, &range, take_first, ret, &page, e);
    *ret_count = k == KERR_OK ? page.count : 0;
    return k;
}

/* Whether the keys that show a prefix are there; each is told to the audit. */
static enum kerr try_prefix(struct live *l, struct bytes prefix, bool *ret_is_one,
                            struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    *ret_is_one = false;
    for (size_t i = 0; i < ARRAY_LEN(known) && k == KERR_OK; i++) {
        AUTO_BUF key;
        struct first_key found;
        uint64_t count = 0;
        buf_init(&key, 2 * KEY_BYTES);
        k = buf_put(&key, prefix, e);
        k = k == KERR_OK ? buf_put_text(&key, known[i], e) : k;
        k = k == KERR_OK ? first_of(l, buf_view(&key), bytes_of(NULL, 0), &found, &count, e) : k;
        if (count > 0) {
            *ret_is_one = true;
            k = audit_note_key(l->audit, buf_view(&key), e);
        }
    }
    return k;
}

enum kerr live_try_usual_prefix(struct live *l, struct kerrinfo *e)
{
    bool is_one = false;
    return try_prefix(l, bytes_of_text(PRESET), &is_one, e);
}

/* The length of the key's next folder behind `at`; 0: none. */
static size_t folder(const struct first_key *key, size_t at)
{
    size_t len = key->len < KEY_BYTES ? key->len : KEY_BYTES;
    const uint8_t *slash = at < len ? memchr(key->bytes + at, '/', len - at) : NULL;
    return slash == NULL ? 0 : (size_t)(slash - key->bytes) + 1;
}

/* Tries the folders of a key; *ret_len is that of the one that it was, else of the first. */
static enum kerr try_folders(struct live *l, const struct first_key *key, size_t *ret_len,
                             struct kerrinfo *e)
{
    size_t len = folder(key, 1);
    *ret_len = len;
    for (unsigned depth = 0; depth < DEPTH_MAX && len > 0; depth++, len = folder(key, len)) {
        bool is_one = false;
        enum kerr k = try_prefix(l, bytes_of(key->bytes, len), &is_one, e);
        if (k != KERR_OK) {
            return k;
        }
        if (is_one) {
            *ret_len = len;
            return KERR_OK;
        }
    }
    return KERR_OK;
}

/* Makes of a key that was looked at the first one behind it, or behind its folder of `len` bytes.
 */
static struct bytes behind(struct first_key *key, size_t len)
{
    if (len > 0) {
        key->bytes[len - 1]++; /* '/' becomes '0' */
        return bytes_of(key->bytes, len);
    }
    size_t kept = key->len < KEY_BYTES - 1 ? key->len : KEY_BYTES - 1;
    key->bytes[kept] = key->len < KEY_BYTES - 1 ? 0 : 0xff;
    return bytes_of(key->bytes, kept + 1);
}

static enum kerr look_in(struct live *l, struct bytes from, struct bytes end, struct kerrinfo *e)
{
    struct first_key key;
    for (unsigned i = 0; i < LOOKS_MAX; i++) {
        struct first_key next;
        uint64_t count = 0;
        size_t len = 0;
        enum kerr k = first_of(l, from, end, &next, &count, e);
        if (k != KERR_OK || count == 0) {
            return k;
        }
        key = next;
        k = try_folders(l, &key, &len, e);
        if (k != KERR_OK) {
            return k;
        }
        from = behind(&key, len);
    }
    return KERR_OK;
}

enum kerr live_find_prefixes(struct live *l, struct kerrinfo *e)
{
    struct first_key key;
    uint64_t preset = 0;
    bool is_one = false;
    enum kerr k = first_of(l, LIVE_ENDLESS, LIVE_ENDLESS, &key, &l->total, e);
    k = k == KERR_OK ? try_prefix(l, bytes_of_text(PRESET), &is_one, e) : k;
    if (k == KERR_OK && !is_one) {
        k = first_of(l, bytes_of_text(PRESET), bytes_of_text(PRESET_END), &key, &preset, e);
        k = k == KERR_OK && preset > 0
                ? audit_note_key(l->audit,
                                 bytes_of(key.bytes, key.len < KEY_BYTES ? key.len : KEY_BYTES), e)
                : k;
    }
    k = k == KERR_OK ? look_in(l, LIVE_ENDLESS, bytes_of_text(PRESET), e) : k;
    return k == KERR_OK ? look_in(l, bytes_of_text(PRESET_END), LIVE_ENDLESS, e) : k;
}
