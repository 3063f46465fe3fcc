/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd/codec.h"

#include <stdio.h>
#include <string.h>

#include "proto/etcd/rpc.pb-c.h"
#include "stored/wire.h"

/* Fields of RangeResponse, ResponseHeader, AuthenticateResponse, RangeStreamResponse,
 * SnapshotResponse. */
enum { HEADER = 1, KVS, MORE, COUNT };
enum { CLUSTER_ID = 1, MEMBER_ID, REVISION };
enum { TOKEN = 2 };
enum { RANGE_RESPONSE = 1 };
enum { REMAINING_BYTES = 2, BLOB };

#define KEY_MAX   ((size_t)2 << 20) /* over etcd's own limit of a request */
#define TOKEN_MAX 8192              /* metadata of HTTP/2; a JWT has some hundred bytes */

/* ---- requests ---- */

static ProtobufCBinaryData data_of(struct bytes b)
{
    return (ProtobufCBinaryData){.len = b.len, .data = (uint8_t *)(uintptr_t)b.ptr};
}

enum kerr codec_range_request(const struct etcd_range *r, bool is_serializable, struct buf *ret,
                              struct kerrinfo *e)
{
    Etcdserverpb__RangeRequest m = ETCDSERVERPB__RANGE_REQUEST__INIT;
    uint8_t *to = NULL;
    if (r->key.len > KEY_MAX || r->end.len > KEY_MAX || r->limit > INT64_MAX ||
        r->revision > INT64_MAX) {
        return kerr_set(e, KERR_LIMIT, "a range that etcd can't have");
    }
    m.key = data_of(r->key);
    m.range_end = data_of(r->end);
    m.limit = (int64_t)r->limit;
    m.revision = (int64_t)r->revision;
    m.serializable = is_serializable;
    m.keys_only = r->keys_only;
    m.count_only = r->count_only;
    enum kerr k = buf_extend(ret, etcdserverpb__range_request__get_packed_size(&m), &to, e);
    if (k == KERR_OK) {
        (void)etcdserverpb__range_request__pack(&m, to);
    }
    return k;
}

enum kerr codec_login_request(const char *user, const struct secret *password, struct secret **ret,
                              struct kerrinfo *e)
{
    Etcdserverpb__AuthenticateRequest m = ETCDSERVERPB__AUTHENTICATE_REQUEST__INIT;
    struct secret *made = NULL;
    m.name = data_of(bytes_of_text(user));
    m.password = data_of(password == NULL ? bytes_of(NULL, 0) : secret_view(password));
    size_t len = etcdserverpb__authenticate_request__get_packed_size(&m);
    enum kerr k = secret_new(len, &made, e);
    if (k == KERR_OK) {
        (void)etcdserverpb__authenticate_request__pack(&m, secret_bytes(made));
        secret_freeze(made);
        *ret = made;
    }
    return k;
}

/* ---- ranges ---- */

static bool is_endless(struct bytes end)
{
    return end.len == 1 && end.ptr[0] == 0;
}

static bool is_inside(struct bytes key, const struct etcd_range *r)
{
    if (r->end.len == 0) {
        return bytes_equal(key, r->key);
    }
    return bytes_compare(key, r->key) >= 0 &&
           (is_endless(r->end) || bytes_compare(key, r->end) < 0);
}

static bool read_header(struct bytes message, struct etcd_page *to)
{
    struct wire w = wire_on(message);
    struct wire_field f;
    while (wire_next(&w, &f)) {
        uint64_t *at = f.number == CLUSTER_ID  ? &to->cluster_id
                       : f.number == MEMBER_ID ? &to->member_id
                       : f.number == REVISION  ? &to->revision
                                               : NULL;
        if (at != NULL) {
            if (f.type != WIRE_VARINT) {
                return false;
            }
            *at = f.varint;
        }
    }
    return !w.is_bad && to->revision > 0 && to->revision <= INT64_MAX;
}

struct checked {
    const struct etcd_range *range;
    struct etcd_page page;
    struct bytes last_key;
    bool has_header;
};

/* What is wrong with a field; NULL: nothing. */
static const char *check_field(struct checked *c, const struct wire_field *f)
{
    struct mvcc_key_value kv;
    bool is_number = f->number == MORE || f->number == COUNT;
    if (f->number > COUNT) {
        return NULL;
    }
    if (f->type != (is_number ? WIRE_VARINT : WIRE_BYTES)) {
        return "a field of another type";
    }
    if (f->number == HEADER) {
        c->has_header = true;
        return read_header(f->data, &c->page) ? NULL : "a header without revision";
    }
    if (f->number == MORE) {
        c->page.has_more = f->varint != 0;
        return NULL;
    }
    if (f->number == COUNT) {
        c->page.count = f->varint;
        return f->varint <= INT64_MAX ? NULL : "a negative count";
    }
    if (!mvcc_key_value_read(f->data, &kv)) {
        return "a KeyValue that is none";
    }
    if (!is_inside(kv.key, c->range) ||
        (c->page.keys > 0 && bytes_compare(kv.key, c->last_key) <= 0)) {
        return "a key that was not asked for, or not in order";
    }
    c->last_key = kv.key;
    c->page.keys++;
    return NULL;
}

enum kerr codec_page_check(struct bytes message, const struct etcd_range *r, bool needs_header,
                           struct etcd_page *ret, struct kerrinfo *e)
{
    struct checked c = {.range = r, .page = *ret};
    struct wire w = wire_on(message);
    struct wire_field f;
    const char *wrong = NULL;
    c.page.keys = 0;
    c.page.bytes = message.len;
    while (wrong == NULL && wire_next(&w, &f)) {
        wrong = check_field(&c, &f);
    }
    wrong = wrong != NULL                   ? wrong
            : w.is_bad                      ? "bytes that are no message"
            : needs_header && !c.has_header ? "no header"
            : c.page.has_more && c.page.keys == 0 && needs_header && r->limit > 0
                ? "nothing, yet more behind it"
                : NULL;
    if (wrong != NULL) {
        return kerr_set(e, KERR_FORMAT, "the answer to a range is damaged: %s", wrong);
    }
    *ret = c.page;
    return KERR_OK;
}

enum kerr codec_page_walk(struct bytes message, etcd_key_value_fn *fn, void *ctx,
                          struct kerrinfo *e)
{
    struct wire w = wire_on(message);
    struct wire_field f;
    enum kerr k = KERR_OK;
    while (k == KERR_OK && wire_next(&w, &f)) {
        struct mvcc_key_value kv;
        if (f.number == KVS && mvcc_key_value_read(f.data, &kv)) {
            k = fn(ctx, &kv, e);
        }
    }
    return k == KERR_OK ? fn(ctx, NULL, e) : k;
}

enum kerr codec_piece(struct bytes message, struct bytes *ret, struct kerrinfo *e)
{
    struct wire w = wire_on(message);
    struct wire_field f;
    struct bytes found = bytes_of(NULL, 0);
    size_t count = 0;
    while (wire_next(&w, &f)) {
        if (f.number == RANGE_RESPONSE && f.type == WIRE_BYTES) {
            found = f.data;
            count++;
        }
    }
    if (w.is_bad || count != 1) {
        return kerr_set(e, KERR_FORMAT, "a piece of a streamed range is damaged");
    }
    *ret = found;
    return KERR_OK;
}

/* ---- others ---- */

static bool holds(ProtobufCBinaryData text, const char *word)
{
    return text.len > 0 && memmem(text.data, text.len, word, strlen(word)) != NULL;
}

static void say_version(ProtobufCBinaryData text, char to[static ETCD_VERSION_BYTES])
{
    size_t len = text.len < ETCD_VERSION_BYTES ? text.len : ETCD_VERSION_BYTES - 1;
    for (size_t i = 0; i < len; i++) {
        to[i] = text.data[i] > ' ' && text.data[i] <= '~' ? (char)text.data[i] : '?';
    }
    to[len] = 0;
}

enum kerr codec_status(struct bytes message, struct etcd_status *ret, struct kerrinfo *e)
{
    Etcdserverpb__StatusResponse *m =
        message.len > CODEC_STATUS_MAX
            ? NULL
            : etcdserverpb__status_response__unpack(NULL, message.len, message.ptr);
    if (m == NULL) {
        return kerr_set(e, KERR_FORMAT, "the answer to a question for its status can't be read");
    }
    *ret = (struct etcd_status){
        .db_size = m->db_size < 0 ? 0 : (uint64_t)m->db_size,
        .db_size_in_use = m->db_size_in_use < 0 ? 0 : (uint64_t)m->db_size_in_use,
        .has_leader = m->leader != 0,
        .is_learner = m->is_learner != 0,
    };
    if (m->header != NULL) {
        ret->cluster_id = m->header->cluster_id;
        ret->member_id = m->header->member_id;
        ret->revision = m->header->revision < 0 ? 0 : (uint64_t)m->header->revision;
    }
    for (size_t i = 0; i < m->n_errors; i++) {
        ret->has_no_space = ret->has_no_space || holds(m->errors[i], "NOSPACE");
        ret->is_corrupt = ret->is_corrupt || holds(m->errors[i], "CORRUPT");
    }
    say_version(m->version, ret->version);
    etcdserverpb__status_response__free_unpacked(m, NULL);
    return KERR_OK;
}

enum kerr codec_blob(struct bytes message, struct codec_blob *ret, struct kerrinfo *e)
{
    struct wire w = wire_on(message);
    struct wire_field f;
    bool is_bad = false;
    *ret = (struct codec_blob){.remaining = 0};
    while (wire_next(&w, &f)) {
        bool is_number = f.number == REMAINING_BYTES;
        if (!is_number && f.number != BLOB) {
            continue;
        }
        is_bad = is_bad || f.type != (is_number ? WIRE_VARINT : WIRE_BYTES);
        if (is_number && !is_bad) {
            ret->remaining = f.varint;
        } else if (!is_bad) {
            ret->data = f.data;
        }
    }
    return w.is_bad || is_bad ? kerr_set(e, KERR_FORMAT, "a piece of a database is damaged")
                              : KERR_OK;
}

enum kerr codec_token(struct bytes message, struct secret **ret, struct kerrinfo *e)
{
    struct wire w = wire_on(message);
    struct wire_field f;
    struct bytes token = bytes_of(NULL, 0);
    while (wire_next(&w, &f)) {
        if (f.number == TOKEN && f.type == WIRE_BYTES) {
            token = f.data;
        }
    }
    return w.is_bad || token.len == 0 || token.len > TOKEN_MAX
               ? kerr_set(e, KERR_FORMAT, "the answer to a login holds no token")
               : secret_from_bytes(token, ret, e);
}
