/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/kms/wire.h"

#include <string.h>

static void wire_begin(struct wire *m)
{
    m->w = writer_on(m->room, sizeof m->room);
}

struct wire *wire_new(void)
{
    static struct wire rooms[2];
    static unsigned turn;
    struct wire *m = &rooms[turn++ % 2];
    wire_begin(m);
    return m;
}

void put_varint(struct wire *m, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        write_u8(&m->w, (uint8_t)(v | 0x80));
    }
    write_u8(&m->w, (uint8_t)v);
}

void put_bytes(struct wire *m, unsigned field, struct bytes value)
{
    put_varint(m, field << 3 | 2);
    put_varint(m, value.len);
    write_raw(&m->w, value);
}

void put_text(struct wire *m, unsigned field, const char *value)
{
    put_bytes(m, field, bytes_of_text(value));
}

void put_annotation(struct wire *m, unsigned field, struct bytes name, struct bytes value)
{
    static struct wire entry;
    wire_begin(&entry);
    put_bytes(&entry, 1, name);
    put_bytes(&entry, 2, value);
    put_bytes(m, field, writer_view(&entry.w));
}

struct bytes done(const struct wire *m)
{
    assert_false(m->w.failed);
    return writer_view(&m->w);
}

struct bytes some(size_t len)
{
    static uint8_t letters[65536];
    memset(letters, 'a', sizeof letters);
    assert_true(len <= sizeof letters);
    return bytes_of(letters, len);
}
