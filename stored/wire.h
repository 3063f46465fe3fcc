/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protocol Buffers' wire format, field by field, over borrowed bytes. Nothing is allocated, so that
 * millions of stored values can be looked at; fields keep their order, and unknown and repeated
 * ones are seen. Groups, which no message here has, are refused. Pure.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 */
#ifndef ETCDSEAL_STORED_WIRE_H
#define ETCDSEAL_STORED_WIRE_H

#include "base/bytes.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire {
    const uint8_t *ptr;
    size_t len;
    size_t at;
    bool is_bad; /* the bytes are no message */
};

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t varint;   /* of WIRE_VARINT */
    struct bytes data; /* of WIRE_BYTES */
};

struct wire wire_on(struct bytes message);
/* The next field; false at the end and, with `is_bad`, when there is none in what is left. */
bool wire_next(struct wire *w, struct wire_field *ret);
/* A number of at most ten bytes; false when it is cut or too long. */
bool wire_long_varint(struct wire *w, uint64_t *ret);
static inline bool wire_varint(struct wire *w, uint64_t *ret)
{
    if (w->at < w->len && w->ptr[w->at] < 0x80) { /* nearly all of them */
        *ret = w->ptr[w->at++];
        return true;
    }
    return wire_long_varint(w, ret);
}

#endif
