/* SPDX-License-Identifier: Apache-2.0 */
#include "config/go_scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

/* Longest number that is looked at; a longer one is text or was never meant as a number. */
#define NUMBER_MAX 512

static bool is_one_of(struct bytes text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (bytes_equal_text(text, *words)) {
            return true;
        }
    }
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- numbers ---- */

static unsigned digit_of(char c)
{
    if (is_digit(c)) {
        return (unsigned)(c - '0');
    }
    char low = (char)(c | 0x20);
    return low >= 'a' && low <= 'f' ? (unsigned)(low - 'a') + 10 : 16;
}

/* strconv.ParseInt with base 0 and 64 bits, or ParseUint: the prefix tells the base. */
static bool is_whole(const char *text)
{
    bool is_negative = *text == '-';
    const char *p = text + (*text == '-' || *text == '+' ? 1 : 0);
    bool has_sign = p != text;
    unsigned base = 10;
    if (*p == '0') {
        char prefix = (char)(p[1] | 0x20);
        base = prefix == 'x' ? 16 : prefix == 'b' ? 2 : 8;
        p += (prefix == 'x' || prefix == 'b' || prefix == 'o') && p[2] != 0 ? 2 : 1;
    } else if (*p == 0) {
        return false;
    }
    uint64_t value = 0;
    for (; *p != 0; p++) {
        unsigned digit = digit_of(*p);
        if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    uint64_t max = is_negative ? (uint64_t)INT64_MAX + 1 : has_sign ? INT64_MAX : UINT64_MAX;
    return value <= max;
}

static const char *skip_digits(const char *p)
{
    while (is_digit(*p)) {
        p++;
    }
    return p;
}

/* [-+]? ( . digits | digits [. [digits]] ) ( [eE] [-+]? digits )?, and not too large for a float
 * of 64 bits. */
static bool is_float(const char *text)
{
    const char *p = text + (*text == '-' || *text == '+' ? 1 : 0);
    const char *whole = p;
    p = skip_digits(p);
    bool has_whole = p != whole;
    if (*p == '.') {
        const char *part = ++p;
        p = skip_digits(p);
        has_whole = has_whole || p != part;
    }
    if (!has_whole) {
        return false;
    }
    if (*p == 'e' || *p == 'E') {
        p += p[1] == '-' || p[1] == '+' ? 2 : 1;
        const char *exponent = p;
        p = skip_digits(p);
        if (p == exponent) {
            return false;
        }
    }
    return *p == 0 && isfinite(strtod(text, NULL));
}

static bool is_number(struct bytes plain)
{
    char text[NUMBER_MAX];
    size_t len = 0;
    bool has_point = plain.ptr[0] == '.';
    if (plain.len >= sizeof text) {
        return false;
    }
    for (size_t i = 0; i < plain.len; i++) {
        if (plain.ptr[i] != '_' || has_point) {
            text[len++] = (char)plain.ptr[i];
        }
    }
    text[len] = 0;
    bool is_yes = (!has_point && is_whole(text)) || is_float(text);
    secret_wipe(text, sizeof text); /* it may have been a key */
    return is_yes;
}

enum yaml_type go_scalar_type(struct bytes plain)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const bools[] = {
        "y", "Y",  "yes", "Yes", "YES",   "true",  "True",  "TRUE", "on",  "On",  "ON", "n",
        "N", "no", "No",  "NO",  "false", "False", "FALSE", "off",  "Off", "OFF", NULL};
    static const char *const numbers[] = {".nan",  ".NaN",  ".NAN",  ".inf",  ".Inf",
                                          ".INF",  "+.inf", "+.Inf", "+.INF", "-.inf",
                                          "-.Inf", "-.INF", NULL};
    if (plain.len == 0 || is_one_of(plain, nulls)) {
        return YAML_NULL;
    }
    if (is_one_of(plain, bools)) {
        return YAML_BOOL;
    }
    bool may_be_number = is_digit((char)plain.ptr[0]) || strchr("+-.", plain.ptr[0]) != NULL;
    return may_be_number && (is_one_of(plain, numbers) || is_number(plain)) ? YAML_NUMBER
                                                                            : YAML_TEXT;
}

/* ---- JSON ---- */

struct json_scan {
    const char *p;
    const char *end;
    char closers[YAML_DEPTH_MAX];
    size_t depth;
};

static void skip_blanks(struct json_scan *s)
{
    while (s->p < s->end && strchr(" \t\r\n", *s->p) != NULL) {
        s->p++;
    }
}

/* Steps over one character if it is there. */
static bool take(struct json_scan *s, char c)
{
    if (s->p < s->end && *s->p == c) {
        s->p++;
        return true;
    }
    return false;
}

static bool take_hex4(struct json_scan *s)
{
    for (size_t i = 0; i < 4; i++, s->p++) {
        if (s->p == s->end || digit_of(*s->p) == 16) {
            return false;
        }
    }
    return true;
}

static bool take_text(struct json_scan *s)
{
    if (!take(s, '"')) {
        return false;
    }
    while (s->p < s->end && *s->p != '"') {
        if ((unsigned char)*s->p < 0x20) {
            return false;
        }
        if (!take(s, '\\')) {
            s->p++;
            continue;
        }
        if (take(s, 'u')) {
            if (!take_hex4(s)) {
                return false;
            }
            continue;
        }
        if (s->p == s->end || *s->p == 0 || strchr("\"\\/bfnrt", *s->p) == NULL) {
            return false;
        }
        s->p++;
    }
    return take(s, '"');
}

static size_t take_digits(struct json_scan *s)
{
    const char *start = s->p;
    while (s->p < s->end && is_digit(*s->p)) {
        s->p++;
    }
    return (size_t)(s->p - start);
}

static bool take_number(struct json_scan *s)
{
    (void)take(s, '-');
    if (!take(s, '0') && take_digits(s) == 0) {
        return false;
    }
    if (take(s, '.') && take_digits(s) == 0) {
        return false;
    }
    if (take(s, 'e') || take(s, 'E')) {
        (void)(take(s, '+') || take(s, '-'));
        return take_digits(s) > 0;
    }
    return true;
}

static bool take_scalar(struct json_scan *s)
{
    static const char *const words[] = {"true", "false", "null"};
    if (s->p < s->end && *s->p == '"') {
        return take_text(s);
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i]);
        if ((size_t)(s->end - s->p) >= len && memcmp(s->p, words[i], len) == 0) {
            s->p += len;
            return true;
        }
    }
    return take_number(s);
}

/* "name:" if an object is open. */
static bool take_name(struct json_scan *s)
{
    if (s->closers[s->depth - 1] == ']') {
        return true;
    }
    skip_blanks(s);
    if (!take_text(s)) {
        return false;
    }
    skip_blanks(s);
    return take(s, ':');
}

/* A value; of an object or array that is not empty only what stands before its first value, and
 * *is_done is false. */
static bool take_value(struct json_scan *s, bool *is_done)
{
    skip_blanks(s);
    *is_done = s->p == s->end || (*s->p != '{' && *s->p != '[');
    if (*is_done) {
        return take_scalar(s);
    }
    if (s->depth == YAML_DEPTH_MAX) {
        return false;
    }
    s->closers[s->depth++] = *s->p == '{' ? '}' : ']';
    s->p++;
    skip_blanks(s);
    *is_done = take(s, s->closers[s->depth - 1]);
    s->depth -= *is_done;
    return *is_done || take_name(s);
}

static bool take_json(struct json_scan *s)
{
    bool is_done = false;
    for (;;) {
        if (!take_value(s, &is_done)) {
            return false;
        }
        while (is_done) {
            skip_blanks(s);
            if (s->depth == 0) {
                return s->p == s->end;
            }
            if (take(s, s->closers[s->depth - 1])) {
                s->depth--;
                continue;
            }
            if (!take(s, ',') || !take_name(s)) {
                return false;
            }
            is_done = false;
        }
    }
}

bool go_is_json(struct bytes text, size_t *ret_at)
{
    struct json_scan s = {.p = (const char *)text.ptr, .end = (const char *)text.ptr + text.len};
    bool is_json = take_json(&s);
    *ret_at = (size_t)(s.p - (const char *)text.ptr);
    return is_json;
}

/* ---- base64 ---- */

/* The next character of a value; escapes of JSON are resolved, -1 is what base64 never has. */
static int next_char(const char **p, const char *end, bool is_json)
{
    char c = *(*p)++;
    if (c != '\\') {
        return (unsigned char)c;
    }
    if (!is_json || *p == end) {
        return -1;
    }
    c = *(*p)++;
    if (c == 'n' || c == 'r' || c == '/') {
        return c == '/' ? c : '\n';
    }
    if (c != 'u' || end - *p < 4) {
        return -1;
    }
    unsigned code = 0;
    for (size_t i = 0; i < 4; i++) {
        unsigned digit = digit_of(*(*p)++);
        code = code << 4 | (digit & 15);
    }
    return code < 0x80 ? (int)code : -1;
}

static bool is_base64(int c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

bool go_base64_len(struct bytes text, bool is_json, size_t *ret)
{
    const char *p = (const char *)text.ptr;
    const char *end = p + text.len;
    size_t chars = 0;
    size_t pads = 0;
    while (p < end) {
        int c = next_char(&p, end, is_json);
        if (c == '\r' || c == '\n') {
            continue;
        }
        bool is_pad = c == '=';
        if ((!is_pad && (pads > 0 || !is_base64(c))) || (is_pad && pads == 2)) {
            return false;
        }
        chars += !is_pad;
        pads += is_pad;
    }
    bool is_whole = (chars + pads) % 4 == 0 && (pads == 0 || chars % 4 == 4 - pads);
    *ret = chars / 4 * 3 + (pads == 0 ? 0 : 3 - pads);
    return is_whole;
}

/* Our decoder wants the bits behind the last byte to be zero. */
static void drop_last_bits(uint8_t *chars, size_t count)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t pads = 0;
    while (pads < 2 && pads + 1 < count && chars[count - 1 - pads] == '=') {
        pads++;
    }
    uint8_t *last = &chars[count - 1 - pads];
    const char *at = memchr(alphabet, *last, sizeof alphabet - 1);
    if (pads > 0 && at != NULL) {
        *last = (uint8_t)alphabet[(size_t)(at - alphabet) >> 2 * pads << 2 * pads];
    }
}

enum kerr go_base64_secret(struct bytes text, bool is_json, size_t len, struct secret **ret,
                           struct kerrinfo *e)
{
    AUTO_SECRET chars = NULL;
    AUTO_SECRET made = NULL;
    const char *p = (const char *)text.ptr;
    const char *end = p + text.len;
    size_t count = 0;
    enum kerr k = secret_new(text.len, &chars, e);
    while (k == KERR_OK && p < end) {
        int c = next_char(&p, end, is_json);
        if (c != '\r' && c != '\n') {
            secret_bytes(chars)[count++] = (uint8_t)c;
        }
    }
    if (k == KERR_OK && count > 0) {
        drop_last_bits(secret_bytes(chars), count);
    }
    k = k != KERR_OK ? k
                     : base64_read_secret(bytes_of(secret_view(chars).ptr, count), len, &made, e);
    if (k == KERR_OK) {
        secret_freeze(made);
        *ret = secret_take(&made);
    }
    return k;
}
