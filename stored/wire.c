/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/wire.h"

#define VARINT_BYTES_MAX 10
#define FIELD_MAX        ((1U << 29) - 1)

struct wire wire_on(struct bytes message)
{
    return (struct wire){.ptr = message.ptr, .len = message.len};
}

bool wire_long_varint(struct wire *w, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX && w->at < w->len; i++) {
        uint8_t byte = w->ptr[w->at++];
        if (i == VARINT_BYTES_MAX - 1 && byte > 1) {
            break; /* over 64 bits */
        }
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    w->is_bad = true;
    return false;
}

static bool skip(struct wire *w, uint64_t len, struct bytes *ret)
{
    if (len > w->len - w->at) {
        w->is_bad = true;
        return false;
    }
    *ret = bytes_of(w->ptr + w->at, (size_t)len);
    w->at += (size_t)len;
    return true;
}

static bool read_content(struct wire *w, struct wire_field *f)
{
    uint64_t len = 0;
    switch (f->type) {
    case WIRE_VARINT:
        return wire_varint(w, &f->varint);
    case WIRE_FIXED64:
        return skip(w, 8, &f->data);
    case WIRE_FIXED32:
        return skip(w, 4, &f->data);
    case WIRE_BYTES:
        return wire_varint(w, &len) && skip(w, len, &f->data);
    }
    w->is_bad = true;
    return false;
}

bool wire_next(struct wire *w, struct wire_field *ret)
{
    uint64_t tag = 0;
    if (w->is_bad || w->at == w->len || !wire_varint(w, &tag)) {
        return false;
    }
    if (tag >> 3 == 0 || tag >> 3 > FIELD_MAX) {
        w->is_bad = true;
        return false;
    }
    *ret = (struct wire_field){.number = (uint32_t)(tag >> 3), .type = (enum wire_type)(tag & 7)};
    return read_content(w, ret);
}
