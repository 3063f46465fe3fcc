/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";

void text_hex(struct bytes data, char *to)
{
    for (size_t i = 0; i < data.len; i++) {
        to[2 * i] = hex_digits[data.ptr[i] >> 4];
        to[2 * i + 1] = hex_digits[data.ptr[i] & 15];
    }
    to[2 * data.len] = 0;
}

static int hex_value(char c)
{
    const char *at = c == 0 ? NULL : strchr(hex_digits, tolower((unsigned char)c));
    return at == NULL ? -1 : (int)(at - hex_digits);
}

enum kerr text_from_hex(const char *text, uint8_t *to, size_t len, struct kerrinfo *e)
{
    if (strlen(text) != 2 * len) {
        return kerr_set(e, KERR_INPUT, "expected %zu hex digits, got %zu characters", 2 * len,
                        strlen(text));
    }
    for (size_t i = 0; i < 2 * len; i++) {
        if (hex_value(text[i]) < 0) {
            return kerr_set(e, KERR_INPUT, "character %zu is not a hex digit", i + 1);
        }
    }
    for (size_t i = 0; i < len; i++) {
        to[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
    }
    return KERR_OK;
}

void text_base32(struct bytes data, char *to)
{
    size_t chars = TEXT_BASE32_CHARS(data.len);
    for (size_t i = 0; i < chars; i++) {
        unsigned v = 0;
        for (size_t bit = 5 * i; bit < 5 * i + 5; bit++) {
            unsigned one = bit / 8 < data.len ? data.ptr[bit / 8] >> (7 - bit % 8) & 1U : 0;
            v = v << 1 | one;
        }
        to[i] = base32_digits[v];
    }
    to[chars] = 0;
}

enum kerr text_from_base32(struct bytes text, uint8_t *to, size_t len, struct kerrinfo *e)
{
    uint8_t out[64] = {0};
    if (len > sizeof out || text.len != TEXT_BASE32_CHARS(len)) {
        return kerr_set(e, KERR_INPUT, "expected %zu base32 characters, got %zu",
                        TEXT_BASE32_CHARS(len), text.len);
    }
    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.ptr[i] == 0 ? NULL : strchr(base32_digits, text.ptr[i]);
        if (at == NULL) {
            return kerr_set(e, KERR_INPUT, "character %zu is not lower-case base32", i + 1);
        }
        unsigned v = (unsigned)(at - base32_digits);
        for (size_t b = 0; b < 5; b++) {
            unsigned one = v >> (4 - b) & 1U;
            size_t bit = 5 * i + b;
            if (bit / 8 >= len && one != 0) {
                return kerr_set(e, KERR_INPUT, "the last character is not in canonical form");
            }
            if (one != 0) {
                out[bit / 8] |= (uint8_t)(1U << (7 - bit % 8));
            }
        }
    }
    memcpy(to, out, len);
    return KERR_OK;
}

void text_uuid(const uint8_t id[static 16], char to[static TEXT_UUID_BYTES])
{
    char hex[33];
    text_hex(bytes_of(id, 16), hex);
    (void)snprintf(to, TEXT_UUID_BYTES, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
                   hex + 16, hex + 20);
}

/* Digits at the start of `text`; *end behind them. False when there are none or it overflows. */
static bool leading_u64(const char *text, uint64_t *ret, const char **end)
{
    uint64_t v = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(v, 10U, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v)) {
            return false;
        }
    }
    *ret = v;
    *end = p;
    return p != text;
}

enum kerr text_to_u64(const char *text, const char *what, uint64_t min, uint64_t max, uint64_t *ret,
                      struct kerrinfo *e)
{
    uint64_t v = 0;
    const char *end = text;
    if (!leading_u64(text, &v, &end) || *end != 0 || v < min || v > max) {
        return kerr_set(e, KERR_INPUT, "%s: expected a whole number from %llu to %llu", what,
                        (unsigned long long)min, (unsigned long long)max);
    }
    *ret = v;
    return KERR_OK;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* A number with one of the units behind it; 0 needs none. */
static bool number_with_unit(const char *text, const struct unit *units, size_t count,
                             uint64_t *ret)
{
    uint64_t v = 0;
    const char *end = text;
    if (!leading_u64(text, &v, &end)) {
        return false;
    }
    *ret = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(end, units[i].name) == 0) {
            return !__builtin_mul_overflow(v, units[i].factor, ret);
        }
    }
    return *end == 0 && v == 0;
}

enum kerr text_to_duration_ms(const char *text, const char *what, uint64_t min_ms, uint64_t max_ms,
                              uint64_t *ret, struct kerrinfo *e)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
    };
    uint64_t ms = 0;
    if (!number_with_unit(text, units, ARRAY_LEN(units), &ms) || ms < min_ms || ms > max_ms) {
        return kerr_set(e, KERR_INPUT,
                        "%s: expected a duration such as 500ms, 30s, 10m, 24h or 7d, from %llu ms "
                        "to %llu ms",
                        what, (unsigned long long)min_ms, (unsigned long long)max_ms);
    }
    *ret = ms;
    return KERR_OK;
}

enum kerr text_to_size(const char *text, const char *what, uint64_t min, uint64_t max,
                       uint64_t *ret, struct kerrinfo *e)
{
    static const struct unit units[] = {
        {"KiB", 1 << 10},
        {"MiB", 1 << 20},
        {"GiB", 1 << 30},
    };
    uint64_t bytes = 0;
    if (!number_with_unit(text, units, ARRAY_LEN(units), &bytes) || bytes < min || bytes > max) {
        return kerr_set(e, KERR_INPUT,
                        "%s: expected a size such as 512MiB or 2GiB, from %llu MiB to %llu MiB",
                        what, (unsigned long long)min >> 20, (unsigned long long)max >> 20);
    }
    *ret = bytes;
    return KERR_OK;
}

enum kerr text_to_mode(const char *text, const char *what, uint32_t *ret, struct kerrinfo *e)
{
    size_t len = strlen(text);
    uint32_t mode = 0;
    bool is_good = len == 3 || (len == 4 && text[0] == '0');
    for (const char *p = text; *p != 0 && is_good; p++) {
        is_good = *p >= '0' && *p <= '7';
        mode = mode << 3 | (uint32_t)(*p - '0');
    }
    if (!is_good) {
        return kerr_set(e, KERR_INPUT, "%s: expected an octal mode such as \"0600\"", what);
    }
    *ret = mode;
    return KERR_OK;
}

/* Length of the UTF-8 sequence that starts with `lead`, and the range of its second byte. */
static size_t utf8_shape(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    *high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xc2 && lead <= 0xdf) {
        return 2;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        return 3;
    }
    return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

bool text_is_utf8(struct bytes text)
{
    size_t at = 0;
    while (at < text.len) {
        uint8_t low;
        uint8_t high;
        size_t len = utf8_shape(text.ptr[at], &low, &high);
        if (len == 0 || len > text.len - at) {
            return false;
        }
        for (size_t i = 1; i < len; i++) {
            uint8_t c = text.ptr[at + i];
            if (c < (i == 1 ? low : 0x80) || c > (i == 1 ? high : 0xbf)) {
                return false;
            }
        }
        at += len;
    }
    return true;
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void text_escape(struct bytes text, char *to, size_t to_size)
{
    if (to_size == 0) {
        return;
    }
    size_t total = 1;
    for (size_t i = 0; i < text.len; i++) {
        total += is_plain(text.ptr[i]) ? 1 : 4;
    }
    if (total == text.len + 1 && total <= to_size) { /* nearly always: nothing to escape */
        if (text.len > 0) {
            memcpy(to, text.ptr, text.len);
        }
        to[text.len] = 0;
        return;
    }
    /* What does not fit ends where three dots and the terminator still do. */
    size_t dots = to_size < 4 ? 0 : to_size - 4;
    size_t end = total <= to_size ? to_size - 1 : dots;
    size_t at = 0;
    size_t i = 0;
    for (; i < text.len && at + (is_plain(text.ptr[i]) ? 1 : 4) <= end; i++) {
        uint8_t c = text.ptr[i];
        if (is_plain(c)) {
            to[at++] = (char)c;
        } else {
            at += (size_t)snprintf(to + at, to_size - at, "\\x%02x", c);
        }
    }
    (void)snprintf(to + at, to_size - at, "%s", i < text.len ? "..." : "");
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
static size_t edit_distance(struct bytes a, struct bytes b)
{
    size_t rows[3][TEXT_NEAREST_MAX + 1];
    size_t *before = rows[0];
    size_t *last = rows[1];
    size_t *now = rows[2];
    for (size_t j = 0; j <= b.len; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t cost = a.ptr[i - 1] == b.ptr[j - 1] ? 0 : 1;
            now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + cost);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1]) {
                now[j] = least(now[j], before[j - 2] + 1);
            }
        }
        size_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[b.len];
}

void text_nearest_try(struct text_nearest *n, struct bytes word, const char *candidate)
{
    struct bytes other = bytes_of_text(candidate);
    if (word.len < 2 || word.len > TEXT_NEAREST_MAX || other.len > TEXT_NEAREST_MAX) {
        return;
    }
    bool is_start = word.len < other.len && memcmp(word.ptr, other.ptr, word.len) == 0;
    size_t distance = is_start ? 1 : edit_distance(word, other);
    /* One error in short words, up to three in long ones; more would be guessing. */
    size_t most = word.len < 6 ? 1 : word.len < 9 ? 2 : 3;
    if (distance <= most && (n->best == NULL || distance < n->distance)) {
        *n = (struct text_nearest){.best = candidate, .distance = distance};
    }
}

enum kerr text_dup(struct bytes text, char **ret, struct kerrinfo *e)
{
    if (text.len > 0 && memchr(text.ptr, 0, text.len) != NULL) {
        return kerr_set(e, KERR_INPUT, "text with a NUL character");
    }
    char *copy = malloc(text.len + 1);
    if (copy == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a text of %zu bytes", text.len);
    }
    if (text.len > 0) {
        memcpy(copy, text.ptr, text.len);
    }
    copy[text.len] = 0;
    *ret = copy;
    return KERR_OK;
}

void text_free_at(char **text)
{
    free(*text);
    *text = NULL;
}
