/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/etcd/answers.h"

static void put_varint(struct buf *to, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        assert_int_equal(buf_put(to, bytes_of(&byte, 1), NULL), KERR_OK);
        value >>= 7;
    } while (value > 0);
}

void put_number(struct buf *to, unsigned field, uint64_t value)
{
    put_varint(to, (uint64_t)field << 3);
    put_varint(to, value);
}

void put_bytes(struct buf *to, unsigned field, struct bytes value)
{
    put_varint(to, (uint64_t)field << 3 | 2);
    put_varint(to, value.len);
    assert_int_equal(buf_put(to, value, NULL), KERR_OK);
}

void put_header(struct buf *to, uint64_t revision)
{
    AUTO_BUF header;
    buf_init(&header, 100);
    put_number(&header, 1, 77);
    put_number(&header, 2, 88);
    put_number(&header, 3, revision);
    put_bytes(to, 1, buf_view(&header));
}

void put_kv(struct buf *to, const char *key, const char *value)
{
    AUTO_BUF kv;
    buf_init(&kv, 1000);
    put_bytes(&kv, 1, bytes_of_text(key));
    put_number(&kv, 3, 6);
    put_bytes(&kv, 5, bytes_of_text(value));
    put_bytes(to, 2, buf_view(&kv));
}
