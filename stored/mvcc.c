/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/mvcc.h"

#include "stored/wire.h"

enum { KEY = 1, CREATE_REVISION, MOD_REVISION, VERSION, VALUE, LEASE };

bool mvcc_revision_read(struct bytes key, struct mvcc_revision *ret)
{
    struct reader r = reader_on(key);
    struct mvcc_revision found = {.main = read_u64(&r)};
    uint8_t between = read_u8(&r);
    found.sub = read_u64(&r);
    found.is_tombstone = key.len == MVCC_TOMBSTONE_BYTES;
    if (r.failed || between != '_' ||
        (key.len != MVCC_REVISION_BYTES && (!found.is_tombstone || read_u8(&r) != 't'))) {
        return false;
    }
    *ret = found;
    return true;
}

/* False for a known field of another type. */
static bool take(const struct wire_field *f, struct mvcc_key_value *to)
{
    uint64_t *const numbers[] = {[CREATE_REVISION] = &to->create_revision,
                                 [MOD_REVISION] = &to->mod_revision,
                                 [VERSION] = &to->version,
                                 [LEASE] = &to->lease};
    if (f->number > LEASE) {
        return true;
    }
    if (f->number == KEY || f->number == VALUE) {
        *(f->number == KEY ? &to->key : &to->value) = f->data;
        return f->type == WIRE_BYTES;
    }
    *numbers[f->number] = f->varint;
    return f->type == WIRE_VARINT;
}

bool mvcc_key_value_read(struct bytes message, struct mvcc_key_value *ret)
{
    struct mvcc_key_value found = {.key = {0}};
    struct wire w = wire_on(message);
    struct wire_field f;
    /* As etcd writes it: the key first, each field once, in order. The others rely on it. */
    for (uint32_t before = 0; wire_next(&w, &f); before = f.number) {
        bool is_again = f.number < before || (f.number == before && f.number <= LEASE);
        if ((before == 0 && f.number != KEY) || is_again || !take(&f, &found)) {
            return false;
        }
    }
    if (w.is_bad || found.key.len == 0) {
        return false;
    }
    *ret = found;
    return true;
}

bool mvcc_key_of(struct bytes message, struct bytes *ret)
{
    struct wire w = wire_on(message);
    struct wire_field f;
    if (!wire_next(&w, &f) || f.number != KEY || f.type != WIRE_BYTES) {
        return false;
    }
    *ret = f.data;
    return true;
}

bool mvcc_key_value_head(struct bytes message, struct mvcc_key_value *ret)
{
    struct mvcc_key_value found = {.key = {0}};
    struct wire w = wire_on(message);
    struct wire_field f;
    for (uint32_t number = KEY; number <= VERSION; number++) {
        if (!wire_next(&w, &f) || f.number != number || !take(&f, &found)) {
            return false;
        }
    }
    *ret = found;
    return true;
}

bool mvcc_key_value_cut(struct bytes from, struct mvcc_key_value *ret, size_t *ret_len)
{
    struct mvcc_key_value found = {.key = {0}};
    struct wire w = wire_on(from);
    struct wire_field f;
    size_t before = 0;
    uint32_t last = 0;
    while (wire_next(&w, &f) && f.number > last && f.number < VALUE && take(&f, &found)) {
        before = w.at;
        last = f.number;
    }
    /* etcd writes fields in order: the one that did not fit, or was read last, is the value. */
    struct wire again = {.ptr = from.ptr, .len = from.len, .at = before};
    uint64_t tag = 0;
    uint64_t len = 0;
    if (found.key.len == 0 || found.mod_revision == 0 || !wire_varint(&again, &tag) ||
        tag != (VALUE << 3 | WIRE_BYTES) || !wire_varint(&again, &len) || again.at == from.len) {
        return false;
    }
    size_t left = from.len - again.at;
    found.value = bytes_of(from.ptr + again.at, len < left ? (size_t)len : left);
    *ret = found;
    *ret_len = again.at + found.value.len;
    return true;
}

static bool take_number(struct bytes value, uint64_t *to)
{
    struct reader r = reader_on(value);
    *to = read_u64(&r);
    return value.len == sizeof *to;
}

static bool take_revision(struct bytes value, uint64_t *to)
{
    struct mvcc_revision revision;
    if (value.len != MVCC_REVISION_BYTES || !mvcc_revision_read(value, &revision)) {
        return false;
    }
    *to = revision.main;
    return true;
}

bool mvcc_meta_take(struct bytes name, struct bytes value, struct mvcc_meta *to)
{
    const struct {
        const char *name;
        uint64_t *to;
        bool (*take)(struct bytes value, uint64_t *to);
    } rows[] = {
        {"consistent_index", &to->consistent_index, take_number},
        {"term", &to->term, take_number},
        {"scheduledCompactRev", &to->scheduled_compact, take_revision},
        {"finishedCompactRev", &to->finished_compact, take_revision},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (bytes_equal_text(name, rows[i].name)) {
            return rows[i].take(value, rows[i].to);
        }
    }
    if (bytes_equal_text(name, "storageVersion")) {
        to->storage_version = value;
    }
    return true;
}

/* Digits up to a dot or the end, few. */
static bool take_part(struct reader *r, unsigned *ret)
{
    unsigned value = 0;
    size_t digits = 0;
    while (r->at < r->len) {
        uint8_t c = read_u8(r);
        if (c == '.') {
            break;
        }
        if (c < '0' || c > '9' || ++digits > 4) {
            return false;
        }
        value = value * 10 + (unsigned)(c - '0');
    }
    *ret = value;
    return digits > 0;
}

bool mvcc_is_known_version(struct bytes version)
{
    struct reader r = reader_on(version);
    unsigned major = 0;
    unsigned minor = 0;
    return version.len == 0 || (take_part(&r, &major) && take_part(&r, &minor) &&
                                major == MVCC_MAJOR_KNOWN && minor <= MVCC_MINOR_KNOWN);
}
