/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar is that of the Go documentation, pkg.go.dev/time#ParseDuration. */
#include "config/go_duration.h"

#include <string.h>

#include "base/attr.h"

static const struct {
    const char *name;
    int64_t ns;
} units[] = {
    {"ns", 1},           {"us", 1000},      {"\xc2\xb5s", 1000}, /* U+00B5, micro sign */
    {"\xce\xbcs", 1000},                                         /* U+03BC, Greek mu */
    {"ms", 1000000},     {"s", 1000000000}, {"m", 60000000000},  {"h", 3600000000000},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The unit up to the next number. */
static bool take_unit(const char **p, int64_t *ret)
{
    size_t len = 0;
    while ((*p)[len] != 0 && (*p)[len] != '.' && !is_digit((*p)[len])) {
        len++;
    }
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strlen(units[i].name) == len && memcmp(units[i].name, *p, len) == 0) {
            *p += len;
            *ret = units[i].ns;
            return true;
        }
    }
    return false;
}

/* "12", "1.5", ".5" and a unit, added to *sum. */
static bool take_part(const char **p, int64_t *sum)
{
    int64_t whole = 0;
    int64_t part = 0;
    int64_t scale = 1;
    int64_t unit = 0;
    const char *start = *p;
    for (; is_digit(**p); (*p)++) {
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, **p - '0', &whole)) {
            return false;
        }
    }
    bool has_digits = *p != start;
    if (**p == '.') {
        for ((*p)++; is_digit(**p); (*p)++) {
            has_digits = true;
            /* Digits that are too small to count are read over. */
            if (scale < 1000000000000000) {
                scale *= 10;
                part = part * 10 + (**p - '0');
            }
        }
    }
    if (!has_digits || !take_unit(p, &unit) || __builtin_mul_overflow(whole, unit, &whole)) {
        return false;
    }
    int64_t rest = (int64_t)((double)part * ((double)unit / (double)scale));
    return !__builtin_add_overflow(*sum, whole, sum) && !__builtin_add_overflow(*sum, rest, sum);
}

bool go_duration_ns(const char *text, int64_t *ret)
{
    const char *p = text;
    bool is_negative = *p == '-';
    p += *p == '-' || *p == '+' ? 1 : 0;
    int64_t sum = 0;
    if (strcmp(p, "0") != 0) {
        if (*p == 0) {
            return false;
        }
        while (*p != 0) {
            if (!take_part(&p, &sum)) {
                return false;
            }
        }
    }
    *ret = is_negative ? -sum : sum;
    return true;
}
