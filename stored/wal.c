/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/wal.h"

#include <string.h>

#include "stored/bbolt_page.h"
#include "stored/wire.h"

#define LENGTH_BYTES 8
#define LENGTH_MASK  (((uint64_t)1 << 56) - 1)
#define SECTOR       512
#define POLYNOMIAL   0x82f63b78U /* CRC-32C, bits reversed */

enum { TYPE_METADATA = 1, TYPE_ENTRY, TYPE_STATE, TYPE_CRC, TYPE_SNAPSHOT };
enum { RECORD_TYPE = 1, RECORD_CRC, RECORD_DATA };

struct record {
    uint64_t type;
    uint64_t crc;
    struct bytes data;
};

struct wal wal_on(struct bytes file, const char *name)
{
    struct wal w = {.file = file, .name = name};
    for (uint32_t i = 0; i < ARRAY_LEN(w.table); i++) {
        w.table[i] = i;
        for (unsigned bit = 0; bit < 8; bit++) {
            w.table[i] = w.table[i] >> 1 ^ ((w.table[i] & 1) != 0 ? POLYNOMIAL : 0);
        }
    }
    return w;
}

void wal_next_file(struct wal *w, struct bytes file, const char *name, bool is_newest)
{
    w->file = file;
    w->name = name;
    w->at = 0;
    w->is_newest = is_newest;
}

static uint32_t crc32c(const struct wal *w, struct bytes data)
{
    uint32_t crc = ~w->crc;
    for (size_t i = 0; i < data.len; i++) {
        crc = crc >> 8 ^ w->table[(crc ^ data.ptr[i]) & 0xff];
    }
    return ~crc;
}

/* ---- records ---- */

static enum kerr damaged(const struct wal *w, size_t at, struct kerrinfo *e, const char *what)
{
    return kerr_set(e, KERR_FORMAT, "%s: damaged at byte %zu: %s", w->name, at, what);
}

/* A sector of the bytes is all zero: it was never written. */
static bool is_torn(const struct wal *w, size_t from, size_t len)
{
    size_t end = len < w->file.len - from ? from + len : w->file.len;
    for (size_t at = from; at < end;) {
        size_t next = (at / SECTOR + 1) * SECTOR;
        next = next < end ? next : end;
        size_t zeros = 0;
        while (at + zeros < next && w->file.ptr[at + zeros] == 0) {
            zeros++;
        }
        if (at + zeros == next) {
            return true;
        }
        at = next;
    }
    return false;
}

static bool read_record(struct bytes message, struct record *ret)
{
    struct wire w = wire_on(message);
    struct wire_field f;
    *ret = (struct record){.type = 0};
    while (wire_next(&w, &f)) {
        bool is_data = f.number == RECORD_DATA;
        if (f.number > RECORD_DATA || f.type != (is_data ? WIRE_BYTES : WIRE_VARINT)) {
            return false;
        }
        if (is_data) {
            ret->data = f.data;
        } else {
            *(f.number == RECORD_TYPE ? &ret->type : &ret->crc) = f.varint;
        }
    }
    return !w.is_bad && ret->type >= TYPE_METADATA && ret->type <= TYPE_SNAPSHOT;
}

/* Goes on with the chain; false when the record is not the next link. */
static bool check_crc(struct wal *w, const struct record *r)
{
    if (r->type == TYPE_CRC) {
        bool is_next = !w->has_crc || r->crc == w->crc;
        w->crc = (uint32_t)r->crc;
        w->has_crc = true;
        return is_next;
    }
    w->crc = crc32c(w, r->data);
    return w->has_crc && r->crc == w->crc;
}

/* ---- torn, or damaged ---- */

/* What the beginning of a record says of its length. A sector is written whole, so zeros in the one
 * where the record begins are no tear. */
static bool is_length_right(const struct wal *w, size_t from, uint64_t len)
{
    static const uint64_t tags[] = {RECORD_TYPE << 3 | WIRE_VARINT, RECORD_CRC << 3 | WIRE_VARINT,
                                    RECORD_DATA << 3 | WIRE_BYTES};
    struct wire head = wire_on(bytes_of(w->file.ptr + from, w->file.len - from));
    uint64_t tag = 0;
    uint64_t value = 0;
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        size_t at = head.at;
        if (!wire_varint(&head, &tag) || tag != tags[i] || !wire_varint(&head, &value)) {
            return (from + at) / SECTOR != w->at / SECTOR;
        }
    }
    return len >= head.at && value == len - head.at;
}

/* A whole record lies at `at`. */
static bool is_record_at(const struct wal *w, size_t at)
{
    struct record r;
    if (at > w->file.len || w->file.len - at <= LENGTH_BYTES) {
        return false;
    }
    uint64_t len = load64(w->file.ptr + at) & LENGTH_MASK;
    at += LENGTH_BYTES;
    return len <= w->file.len - at && read_record(bytes_of(w->file.ptr + at, (size_t)len), &r);
}

/* A crash may tear the record that is written last, of which then a sector is zero. */
static bool is_torn_end(const struct wal *w, size_t from, uint64_t len, uint64_t padding)
{
    size_t left = w->file.len - from;
    size_t here = len < left ? (size_t)len : left;
    return w->is_newest && is_torn(w, from, here) && is_length_right(w, from, len) &&
           (len + padding > left || !is_record_at(w, from + (size_t)(len + padding)));
}

/* ---- what no CRC covers: the types of records, and that none is missing ---- */

enum { ENTRY_TYPE = 1, ENTRY_TERM, ENTRY_INDEX, ENTRY_DATA };
enum { STATE_COMMIT = 3 };
enum { SNAPSHOT_INDEX = 1, SNAPSHOT_TERM, SNAPSHOT_MEMBERS };

/* Numbers in fields up to `last`, but for one of bytes. *ret_number is that of field `wanted`. */
static bool read_numbers(struct bytes message, uint32_t last, uint32_t of_bytes, uint32_t wanted,
                         uint64_t *ret_number)
{
    struct wire w = wire_on(message);
    struct wire_field f;
    *ret_number = 0;
    while (wire_next(&w, &f)) {
        if (f.number > last || f.type != (f.number == of_bytes ? WIRE_BYTES : WIRE_VARINT)) {
            return false;
        }
        *ret_number = f.number == wanted ? f.varint : *ret_number;
    }
    return !w.is_bad;
}

/* Entries are numbered one by one; a new leader goes back and writes over some, a snapshot that was
 * received stands for those up to it. */
static const char *take_entry(struct wal *w, const struct record *r)
{
    uint64_t index = 0;
    if (!read_numbers(r->data, ENTRY_DATA, ENTRY_DATA, ENTRY_INDEX, &index)) {
        return "no entry of raft";
    }
    bool is_next = index <= w->last + 1;
    w->last = index;
    return is_next ? NULL : "an entry that does not follow the one before: some are missing";
}

static const char *take_snapshot(struct wal *w, const struct record *r)
{
    uint64_t index = 0;
    if (!read_numbers(r->data, SNAPSHOT_MEMBERS, SNAPSHOT_MEMBERS, SNAPSHOT_INDEX, &index)) {
        return "no record of a snapshot";
    }
    w->last = index > w->last ? index : w->last;
    return NULL;
}

static const char *take_metadata(struct wal *w, const struct record *r)
{
    bool is_same = w->metadata.ptr == NULL || bytes_equal(w->metadata, r->data);
    w->metadata = r->data;
    return is_same ? NULL : "another member or cluster than the file before";
}

/* What is wrong with a record; NULL: nothing. */
static const char *take_record(struct wal *w, const struct record *r)
{
    uint64_t commit = 0;
    switch (r->type) {
    case TYPE_METADATA:
        return take_metadata(w, r);
    case TYPE_ENTRY:
        return take_entry(w, r);
    case TYPE_SNAPSHOT:
        return take_snapshot(w, r);
    case TYPE_STATE:
        return read_numbers(r->data, STATE_COMMIT, 0, STATE_COMMIT, &commit) ? NULL
                                                                             : "no state of raft";
    default:
        return r->data.len == 0 ? NULL : "a record of a CRC with data";
    }
}

/* A length of zero ends what was written. A sector is written whole: nothing follows in it. */
static enum kerr check_end(const struct wal *w, struct kerrinfo *e)
{
    size_t end = (w->at / SECTOR + 1) * SECTOR;
    end = end < w->file.len ? end : w->file.len;
    for (size_t at = w->at; at < end; at++) {
        if (w->file.ptr[at] != 0) {
            return damaged(w, w->at, e, "a length of zero, and more behind it");
        }
    }
    return KERR_OK;
}

enum kerr wal_next(struct wal *w, struct bytes *ret, bool *ret_is_end, struct kerrinfo *e)
{
    *ret_is_end = false;
    while (w->file.len - w->at >= LENGTH_BYTES) {
        size_t from = w->at;
        uint64_t field = load64(w->file.ptr + from);
        uint64_t len = field & LENGTH_MASK;
        uint64_t padding = field >> 63 != 0 ? field >> 56 & 7 : 0;
        struct record r;
        if (field == 0) {
            break;
        }
        from += LENGTH_BYTES;
        bool is_whole = len + padding <= w->file.len - from;
        if (!is_whole || !read_record(bytes_of(w->file.ptr + from, (size_t)len), &r) ||
            !check_crc(w, &r)) {
            if (is_torn_end(w, from, len, padding)) {
                *ret_is_end = true;
                return KERR_OK;
            }
            return damaged(w, w->at, e,
                           !is_whole ? "a record longer than the file" : "a record or its CRC");
        }
        const char *what = take_record(w, &r);
        if (what != NULL) {
            return damaged(w, w->at, e, what);
        }
        w->at = from + (size_t)(len + padding);
        if (r.type == TYPE_ENTRY) {
            *ret = r.data;
            return KERR_OK;
        }
    }
    *ret_is_end = true;
    return check_end(w, e);
}

/* ---- entries ---- */

enum { REQUEST_V2 = 2, REQUEST_PUT = 4, REQUEST_TXN = 6 };
enum { TXN_SUCCESS = 2, TXN_FAILURE = 3 };
enum { OP_PUT = 2, OP_TXN = 4 };
enum { PUT_KEY = 1, PUT_VALUE = 2 };

/* Transactions in transactions, of which etcd allows few. */
#define TXN_DEPTH_MAX 8

static bool take_put(struct bytes message, wal_put_fn *put, void *ctx, enum kerr *k,
                     struct kerrinfo *e)
{
    struct wire w = wire_on(message);
    struct wire_field f;
    struct bytes key = bytes_of(NULL, 0);
    struct bytes value = key;
    while (wire_next(&w, &f)) {
        if (f.number <= PUT_VALUE && f.type == WIRE_BYTES) {
            *(f.number == PUT_KEY ? &key : &value) = f.data;
        }
    }
    if (!w.is_bad && key.len > 0) {
        *k = put(ctx, key, value, e);
    }
    return !w.is_bad;
}

/* Up to 3.5 a member proposes what it is called as a request of etcd 2, bare, whose second field is
 * its method; in that place a newer request has a message. */
static bool is_of_etcd2(struct bytes request)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "QGET", "SYNC"};
    struct wire w = wire_on(request);
    struct wire_field f;
    while (wire_next(&w, &f) && f.number <= REQUEST_V2) {
        for (size_t i = 0; f.number == REQUEST_V2 && i < ARRAY_LEN(methods); i++) {
            if (f.type == WIRE_BYTES && bytes_equal_text(f.data, methods[i])) {
                return true;
            }
        }
    }
    return false;
}

/* Walks messages that lie in each other: a request, its transaction, the operations in it. */
enum level_kind { IN_REQUEST, IN_TXN, IN_OP };

struct level {
    struct wire wire;
    enum level_kind kind;
};

static bool is_inner(const struct level *l, const struct wire_field *f, bool *ret_is_put,
                     enum level_kind *ret_kind)
{
    *ret_is_put = (l->kind == IN_REQUEST && f->number == REQUEST_PUT) ||
                  (l->kind == IN_OP && f->number == OP_PUT);
    bool is_txn = (l->kind == IN_REQUEST && f->number == REQUEST_TXN) ||
                  (l->kind == IN_OP && f->number == OP_TXN);
    bool is_op = l->kind == IN_TXN && (f->number == TXN_SUCCESS || f->number == TXN_FAILURE);
    *ret_kind = is_txn ? IN_TXN : IN_OP;
    return f->type == WIRE_BYTES && (*ret_is_put || is_txn || is_op);
}

static bool walk_request(struct bytes request, wal_put_fn *put, void *ctx, enum kerr *k,
                         struct kerrinfo *e)
{
    struct level levels[2 * TXN_DEPTH_MAX];
    size_t depth = 1;
    levels[0] = (struct level){.wire = wire_on(request), .kind = IN_REQUEST};
    while (depth > 0 && *k == KERR_OK) {
        struct level *l = &levels[depth - 1];
        struct wire_field f;
        bool is_put = false;
        enum level_kind kind = IN_OP;
        if (!wire_next(&l->wire, &f)) {
            if (l->wire.is_bad) {
                return false;
            }
            depth--;
        } else if (!is_inner(l, &f, &is_put, &kind)) {
            continue;
        } else if (is_put) {
            if (!take_put(f.data, put, ctx, k, e)) {
                return false;
            }
        } else if (depth == ARRAY_LEN(levels)) {
            return false;
        } else {
            levels[depth++] = (struct level){.wire = wire_on(f.data), .kind = kind};
        }
    }
    return true;
}

enum kerr wal_puts(const struct wal *w, struct bytes entry, wal_put_fn *put, void *ctx,
                   struct kerrinfo *e)
{
    struct wire message = wire_on(entry);
    struct wire_field f;
    uint64_t type = 0;
    struct bytes data = bytes_of(NULL, 0);
    enum kerr k = KERR_OK;
    while (wire_next(&message, &f)) {
        if (f.number == ENTRY_TYPE && f.type == WIRE_VARINT) {
            type = f.varint;
        } else if (f.number == ENTRY_DATA && f.type == WIRE_BYTES) {
            data = f.data;
        }
    }
    /* Other types change the members of the cluster. */
    bool has_puts = type == 0 && !is_of_etcd2(data);
    if (!message.is_bad && (!has_puts || walk_request(data, put, ctx, &k, e))) {
        return k;
    }
    return damaged(w, w->at, e, "the record before it holds no request of etcd");
}
