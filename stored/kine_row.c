/* SPDX-License-Identifier: Apache-2.0 */
/* A row of kine's table as SQLite writes it: how many bytes its head takes, a number for the type
 * and length of each column, then the columns. The id is not among them but for its type, NULL. */
#include "stored/kine.h"
#include "stored/sqlite_page.h"

enum { ID, NAME, FIRST_NUMBER, LAST_NUMBER = FIRST_NUMBER + 4, VALUE, OLD_VALUE, COLUMNS };

#define TYPES_MIN COLUMNS /* bytes, behind that of the head's length */
#define TYPES_MAX 40      /* two bytes more for each length, and columns that later versions add */

/* Types: 0 NULL; 1 to 6 integers, 7 a float; 8 and 9 the numbers 0 and 1; from 12 bytes (even) and
 * text (odd) of (type - 12) / 2 bytes. */
#define TYPE_NUMBER_LAST 9
#define TYPE_BYTES       12

struct columns {
    uint64_t lens[COLUMNS];
    uint64_t all; /* of these and later ones */
};

static bool is_type_of(size_t column, uint64_t type)
{
    if (column == NAME) {
        return type > TYPE_BYTES + 1 && type % 2 == 1; /* no row is without a name */
    }
    if (column <= LAST_NUMBER) {
        return type <= TYPE_NUMBER_LAST;
    }
    return type <= TYPE_NUMBER_LAST ? type == 0 || column >= COLUMNS : type >= TYPE_BYTES;
}

static uint64_t len_of(uint64_t type)
{
    static const uint8_t numbers[TYPE_NUMBER_LAST + 1] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
    return type <= TYPE_NUMBER_LAST ? numbers[type] : (type - TYPE_BYTES) / 2;
}

/* All of the bytes, and nothing else, are the types of a row. That of the id, one byte, is not
 * looked at. */
static bool read_types(struct bytes from, struct columns *ret)
{
    *ret = (struct columns){.all = 0};
    size_t at = 1;
    size_t column = NAME;
    for (; at < from.len; column++) {
        uint64_t type = 0;
        if (!sqlite_varint(from, &at, &type) || !is_type_of(column, type) ||
            len_of(type) > KINE_VALUE_MAX) {
            return false;
        }
        if (column < COLUMNS) {
            ret->lens[column] = len_of(type);
        }
        ret->all += len_of(type);
    }
    return column >= COLUMNS;
}

/* The length before the types and that of the id are right, or were written over: the first four
 * bytes of a row that was deleted are SQLite's, its length and id (two to nine) among them.
 * *ret_head counts the length. */
static bool find_types(struct bytes in, const uint8_t *name, struct columns *ret, size_t *ret_head)
{
    bool is_found = false;
    size_t before = (size_t)(name - in.ptr);
    for (size_t len = TYPES_MIN; len <= TYPES_MAX && len <= before; len++) {
        struct columns found;
        if (!read_types(bytes_of(name - len, len), &found)) {
            continue;
        }
        const uint8_t *types = name - len;
        bool is_certain = len < before && types[0] == 0 && types[-1] == len + 1;
        if (is_certain || !is_found) {
            *ret = found;
            *ret_head = len + 1;
        }
        if (is_certain) {
            return true;
        }
        is_found = true;
    }
    return is_found;
}

/* The part of a column that lies before the end. */
static struct bytes cut(const uint8_t *from, uint64_t offset, uint64_t len, const uint8_t *end)
{
    uint64_t room = (uint64_t)(end - from);
    if (offset >= room) {
        return bytes_of(NULL, 0);
    }
    return bytes_of(from + offset, (size_t)(len < room - offset ? len : room - offset));
}

bool kine_row_around(struct bytes in, const uint8_t *name, size_t usable, struct kine_found *ret)
{
    struct columns c;
    size_t head = 0;
    if (!find_types(in, name, &c, &head)) {
        return false;
    }
    size_t local = sqlite_local(usable, true, head + c.all);
    size_t left = (size_t)(in.ptr + in.len - name);
    const uint8_t *end = name + (local - head < left ? local - head : left);
    uint64_t value_at = c.lens[NAME];
    for (size_t i = FIRST_NUMBER; i <= LAST_NUMBER; i++) {
        value_at += c.lens[i];
    }
    size_t before = (size_t)(name - in.ptr);
    const uint8_t *at = name - (head < before ? head : before);
    *ret = (struct kine_found){
        .at = at,
        .name = cut(name, 0, c.lens[NAME], end),
        .value = cut(name, value_at, c.lens[VALUE], end),
        .old_value = cut(name, value_at + c.lens[VALUE], c.lens[OLD_VALUE], end),
    };
    return ret->name.len == c.lens[NAME];
}
