/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plugin/wire.h"

#include "tests/lib/testlib.h"

static void put_varint(struct buf *to, size_t value)
{
    uint8_t bytes[10];
    size_t len = 0;
    do {
        bytes[len] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        len++;
        value >>= 7;
    } while (value > 0);
    assert_int_equal(buf_put(to, bytes_of(bytes, len), NULL), KERR_OK);
}

void wire_put(struct buf *to, unsigned field, struct bytes value)
{
    put_varint(to, (size_t)field << 3 | 2);
    put_varint(to, value.len);
    assert_int_equal(buf_put(to, value, NULL), KERR_OK);
}

static size_t read_varint(struct reader *r)
{
    size_t value = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        uint8_t b = read_u8(r);
        value |= (size_t)(b & 0x7f) << shift;
        if ((b & 0x80) == 0) {
            break;
        }
    }
    return value;
}

struct bytes wire_get(struct bytes message, unsigned field)
{
    struct reader r = reader_on(message);
    while (reader_left(&r) > 0 && !r.failed) {
        size_t tag = read_varint(&r);
        struct bytes value = read_raw(&r, read_varint(&r));
        assert_int_equal(tag & 7, 2);
        if (tag >> 3 == field) {
            return value;
        }
    }
    assert_false(r.failed);
    return bytes_of(NULL, 0);
}
