/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: WHATWG HTML 13.3, XML 1.0 2.4, RFC 4180, prometheus.io "exposition formats",
 * SARIF 2.1.0, OWASP "CSV injection". */
#include "cli/escape.h"

#include <string.h>

#include "base/text.h"

#define PIECE_BYTES 256

struct escape {
    const char *of; /* these characters … */
    const char *to; /* … become this; "%c" stands for the character */
};

/* Calls `put` with the text, escaped by text_escape, piece by piece. */
static void each_piece(struct appender *a, struct bytes text,
                       void put(struct appender *, const char *))
{
    char shown[4 * PIECE_BYTES + 1];
    for (size_t at = 0; at < text.len; at += PIECE_BYTES) {
        size_t left = text.len - at;
        text_escape(bytes_of(text.ptr + at, left < PIECE_BYTES ? left : PIECE_BYTES), shown,
                    sizeof shown);
        put(a, shown);
    }
}

static void put_escaped(struct appender *a, const char *text, const char *special,
                        const char *const *instead)
{
    while (*text != 0) {
        size_t plain = strcspn(text, special);
        append_bytes(a, bytes_of(text, plain));
        text += plain;
        if (*text != 0) {
            append_text(a, instead[strchr(special, *text) - special]);
            text++;
        }
    }
}

/* ---- HTML and XML ---- */

static void put_markup(struct appender *a, const char *text)
{
    static const char *const instead[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    put_escaped(a, text, "&<>\"'", instead);
}

void escape_markup(struct appender *a, struct bytes text)
{
    each_piece(a, text, put_markup);
}

/* ---- Prometheus ---- */

static void put_label(struct appender *a, const char *text)
{
    static const char *const instead[] = {"\\\\", "\\\""};
    put_escaped(a, text, "\\\"", instead);
}

void escape_label(struct appender *a, struct bytes text)
{
    each_piece(a, text, put_label);
}

/* ---- SARIF ---- */

static void put_sarif(struct appender *a, const char *text)
{
    static const char *const instead[] = {"\\\\", "\\[", "\\]", "{{", "}}"};
    put_escaped(a, text, "\\[]{}", instead);
}

void escape_sarif(struct appender *a, struct bytes text)
{
    each_piece(a, text, put_sarif);
}

/* ---- CSV and the shell ---- */

#define PLAIN_CSV                                                                                  \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"                               \
    "._:/-"
#define PLAIN_SHELL PLAIN_CSV "=,@+%"

static bool is_plain(struct bytes text, const char *plain)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == 0 || strchr(plain, text.ptr[i]) == NULL) {
            return false;
        }
    }
    return text.len > 0;
}

static void put_as_is(struct appender *a, const char *text)
{
    append_text(a, text);
}

/* text_escape has left no double quote in it. */
void escape_csv(struct appender *a, struct bytes text)
{
    bool is_formula = text.len > 0 && text.ptr[0] != 0 && strchr("=+-@", text.ptr[0]) != NULL;
    bool is_quoted = text.len > 0 && (is_formula || !is_plain(text, PLAIN_CSV));
    append_text(a, is_quoted ? "\"" : "");
    append_text(a, is_formula ? "'" : "");
    each_piece(a, text, put_as_is);
    append_text(a, is_quoted ? "\"" : "");
}

static void put_shell(struct appender *a, const char *text)
{
    static const char *const instead[] = {"'\\''"};
    put_escaped(a, text, "'", instead);
}

void escape_shell(struct appender *a, struct bytes text)
{
    bool is_quoted = !is_plain(text, PLAIN_SHELL);
    append_text(a, is_quoted ? "'" : "");
    each_piece(a, text, put_shell);
    append_text(a, is_quoted ? "'" : "");
}
