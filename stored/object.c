/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/object.h"

#include <string.h>

#include "stored/wire.h"

/* ---- Protocol Buffers: "k8s\0", Unknown, in it the object, in it ObjectMeta ---- */

#define MAGIC_BYTES 4

enum { UNKNOWN_RAW = 2, OBJECT_METADATA = 1, METADATA_NAME = 1, METADATA_NAMESPACE = 3 };

/* The last field of a number, as readers take it; empty when there is none. */
static struct bytes field_of(struct bytes message, uint32_t number)
{
    struct bytes found = bytes_of(NULL, 0);
    struct wire w = wire_on(message);
    struct wire_field f;
    while (wire_next(&w, &f)) {
        if (f.number == number && f.type == WIRE_BYTES) {
            found = f.data;
        }
    }
    return found;
}

static void read_protobuf(struct bytes unknown, struct object_names *to)
{
    struct bytes metadata = field_of(field_of(unknown, UNKNOWN_RAW), OBJECT_METADATA);
    to->name = field_of(metadata, METADATA_NAME);
    to->name_space = field_of(metadata, METADATA_NAMESPACE);
}

/* ---- JSON ---- */

struct text {
    const uint8_t *at;
    const uint8_t *end;
};

static void skip_blanks(struct text *t)
{
    while (t->at < t->end && memchr(" \t\r\n", *t->at, 4) != NULL) {
        t->at++;
    }
}

static bool take(struct text *t, char c)
{
    skip_blanks(t);
    bool is_there = t->at < t->end && *t->at == (uint8_t)c;
    t->at += is_there;
    return is_there;
}

/* What stands between the quotes, escapes as they are. */
static bool take_string(struct text *t, struct bytes *ret)
{
    if (!take(t, '"')) {
        return false;
    }
    const uint8_t *from = t->at;
    while (t->at < t->end && *t->at != '"') {
        t->at += *t->at == '\\' && t->end - t->at > 1 ? 2 : 1;
    }
    *ret = bytes_of(from, (size_t)(t->at - from));
    return take(t, '"');
}

static bool skip_scalar(struct text *t)
{
    struct bytes string;
    skip_blanks(t);
    if (t->at < t->end && *t->at == '"') {
        return take_string(t, &string);
    }
    const uint8_t *from = t->at;
    while (t->at < t->end && memchr(",:{}[] \t\r\n\"", *t->at, 11) == NULL) {
        t->at++;
    }
    return t->at > from;
}

/* Goes behind a value by counting brackets. */
static bool skip_value(struct text *t)
{
    size_t depth = 0;
    do {
        if (take(t, '{') || take(t, '[')) {
            depth++;
        } else if (depth > 0 && (take(t, '}') || take(t, ']'))) {
            depth--;
        } else if ((depth == 0 || (!take(t, ',') && !take(t, ':'))) && !skip_scalar(t)) {
            return false;
        }
    } while (depth > 0);
    return true;
}

/* The value of the last member of a name; `t` stands before the object's '{'. */
static bool find_member(struct text t, const char *name, struct text *ret)
{
    struct bytes key;
    bool is_found = false;
    bool is_more = take(&t, '{');
    while (is_more && take_string(&t, &key) && take(&t, ':')) {
        if (bytes_equal_text(key, name)) {
            *ret = t;
            is_found = true;
        }
        is_more = skip_value(&t) && take(&t, ',');
    }
    return is_found;
}

static struct bytes string_of(struct text object, const char *name)
{
    struct text value;
    struct bytes string = {0};
    bool is_plain = find_member(object, name, &value) && take_string(&value, &string) &&
                    (string.len == 0 || memchr(string.ptr, '\\', string.len) == NULL);
    return is_plain ? string : bytes_of(NULL, 0);
}

static void read_json(struct bytes object, struct object_names *to)
{
    struct text metadata;
    struct text all = {object.ptr, object.ptr + object.len};
    if (find_member(all, "metadata", &metadata)) {
        to->name = string_of(metadata, "name");
        to->name_space = string_of(metadata, "namespace");
    }
}

/* ---- either ---- */

bool object_names_read(struct bytes object, struct object_names *ret)
{
    *ret = (struct object_names){.name = {0}};
    if (object.len > MAGIC_BYTES && memcmp(object.ptr, "k8s", MAGIC_BYTES) == 0) {
        read_protobuf(bytes_of(object.ptr + MAGIC_BYTES, object.len - MAGIC_BYTES), ret);
    } else if (object.len > 0 && object.ptr[0] == '{') {
        read_json(object, ret);
    }
    return ret->name.len > 0;
}
