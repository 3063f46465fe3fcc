/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

struct json_writer json_on(struct buf *to, struct kerrinfo *e)
{
    return (struct json_writer){.to = to, .e = e};
}

static void put(struct json_writer *w, struct bytes data)
{
    if (w->k == KERR_OK) {
        w->k = buf_put(w->to, data, w->e);
    }
}

static void put_text(struct json_writer *w, const char *text)
{
    put(w, bytes_of_text(text));
}

/* Length of the UTF-8 character at the start, 0 when there is none. */
static size_t character(struct bytes text)
{
    for (size_t len = 1; len <= 4 && len <= text.len; len++) {
        if (text_is_utf8(bytes_of(text.ptr, len))) {
            return len;
        }
    }
    return 0;
}

/* The number of a character of up to three bytes; above them for one of four: none is special. */
static unsigned code_point(struct bytes one)
{
    const uint8_t *c = one.ptr;
    switch (one.len) {
    case 1:
        return c[0];
    case 2:
        return (c[0] & 0x1fU) << 6 | (c[1] & 0x3fU);
    case 3:
        return (c[0] & 0x0fU) << 12 | (c[1] & 0x3fU) << 6 | (c[2] & 0x3fU);
    default:
        return 0x10000;
    }
}

static bool is_escaped(unsigned c)
{
    static const struct {
        unsigned first;
        unsigned last;
    } rows[] = {
        {0x80, 0x9f},                                         /* controls */
        {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, /* marks, directions of text */
        {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xfffe, 0xffff}, /* marks, no characters */
    };
    if (c < 0x80) {
        return c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (c >= rows[i].first && c <= rows[i].last) {
            return true;
        }
    }
    return false;
}

static void put_character(struct json_writer *w, struct bytes one)
{
    unsigned c = code_point(one);
    if (!is_escaped(c)) {
        put(w, one);
    } else if (w->k == KERR_OK) {
        w->k = buf_printf(w->to, w->e, "\\u%04x", c);
    }
}

/* How many bytes at the beginning stand for themselves: nearly always all of them. */
static size_t plain_length(struct bytes text)
{
    size_t len = 0;
    while (len < text.len && text.ptr[len] < 0x80 && !is_escaped(text.ptr[len])) {
        len++;
    }
    return len;
}

static void put_quoted(struct json_writer *w, struct bytes text)
{
    put_text(w, "\"");
    struct bytes left = text;
    while (left.len > 0) {
        size_t plain = plain_length(left);
        size_t len = plain > 0 ? plain : character(left);
        if (plain > 0) {
            put(w, bytes_of(left.ptr, plain));
        } else if (len == 0) {
            put_text(w, "\xef\xbf\xbd");
            len = 1;
        } else {
            put_character(w, bytes_of(left.ptr, len));
        }
        left = bytes_of(left.ptr + len, left.len - len);
    }
    put_text(w, "\"");
}

static void begin_value(struct json_writer *w, const char *key)
{
    if (w->has_values[w->depth]) {
        put_text(w, ",");
    }
    w->has_values[w->depth] = true;
    if (key != NULL) {
        put_quoted(w, bytes_of_text(key));
        put_text(w, ":");
    }
}

static void open_level(struct json_writer *w, const char *key, const char *opener, char closer)
{
    begin_value(w, key);
    if (w->depth == JSON_DEPTH_MAX) {
        w->k = w->k == KERR_OK ? kerr_set(w->e, KERR_BUG, "JSON nested too deeply") : w->k;
        return;
    }
    put_text(w, opener);
    w->closer[w->depth] = closer;
    w->depth++;
    w->has_values[w->depth] = false;
}

void json_put_object(struct json_writer *w, const char *key)
{
    open_level(w, key, "{", '}');
}

void json_put_array(struct json_writer *w, const char *key)
{
    open_level(w, key, "[", ']');
}

void json_put_close(struct json_writer *w)
{
    if (w->depth == 0) {
        w->k = w->k == KERR_OK ? kerr_set(w->e, KERR_BUG, "JSON closed too often") : w->k;
        return;
    }
    w->depth--;
    put(w, bytes_of(&w->closer[w->depth], 1));
}

void json_put_text(struct json_writer *w, const char *key, const char *value)
{
    if (value == NULL) {
        json_put_null(w, key);
        return;
    }
    begin_value(w, key);
    put_quoted(w, bytes_of_text(value));
}

void json_put_view(struct json_writer *w, const char *key, struct bytes text)
{
    begin_value(w, key);
    put_quoted(w, text);
}

void json_put_u64(struct json_writer *w, const char *key, uint64_t value)
{
    begin_value(w, key);
    if (w->k == KERR_OK) {
        w->k = buf_printf(w->to, w->e, "%llu", (unsigned long long)value);
    }
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
    begin_value(w, key);
    put_text(w, value ? "true" : "false");
}

void json_put_null(struct json_writer *w, const char *key)
{
    begin_value(w, key);
    put_text(w, "null");
}

void json_put_time(struct json_writer *w, const char *key, uint64_t wall_s)
{
    char text[CLOCK_TEXT_BYTES];
    clock_format_s(wall_s, text);
    json_put_text(w, key, wall_s == 0 ? NULL : text);
}

enum kerr json_end(struct json_writer *w)
{
    while (w->depth > 0) {
        json_put_close(w);
    }
    put_text(w, "\n");
    return w->k;
}
