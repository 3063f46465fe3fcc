/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mdoc.h"

#include <ctype.h>
#include <string.h>

#define LINE_MAX_BYTES 78
/* Macros of mdoc have two or three letters: such a word would be called instead of printed. */
#define MACRO_MAX 3

/* What troff would take for something else (mandoc_char(7)); the hyphen, so that it stays one when
 * it is copied out of the page. */
static const char *escape_of(char c)
{
    switch (c) {
    case '\\':
        return "\\e";
    case '-':
        return "\\-";
    case '\'':
        return "\\(aq";
    case '`':
        return "\\(ga";
    case '^':
        return "\\(ha";
    case '~':
        return "\\(ti";
    case '"':
        return "\\(dq";
    default:
        return NULL;
    }
}

/* Returns the bytes that it took in the page. */
static size_t put_escaped(struct appender *a, struct bytes text)
{
    size_t taken = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.ptr[i];
        const char *escape = escape_of(c);
        if (escape == NULL) {
            append_bytes(a, bytes_of(&c, 1));
            taken++;
        } else {
            append_text(a, escape);
            taken += strlen(escape);
        }
    }
    return taken;
}

static size_t escaped_len(struct bytes text)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *escape = escape_of((char)text.ptr[i]);
        len += escape == NULL ? 1 : strlen(escape);
    }
    return len;
}

void mdoc_head(struct appender *a, const struct mdoc_head *head)
{
    append_text(a, ".\\\" SPDX-License-Identifier: Apache-2.0\n"
                   ".\\\" Made from the program's tables when it is built.\n");
    append_printf(a, ".Dd %s\n.Dt ", head->date);
    for (const char *p = head->name; *p != 0; p++) {
        char c = (char)toupper((unsigned char)*p);
        append_bytes(a, bytes_of(&c, 1));
    }
    append_printf(a, " %s\n.Os %s\n.Sh NAME\n.Nm %s\n.Nd ", head->section, head->system,
                  head->name);
    (void)put_escaped(a, bytes_of_text(head->about));
    append_text(a, "\n");
}

void mdoc_word(struct appender *a, const char *word)
{
    bool is_quoted = strchr(word, ' ') != NULL;
    append_text(a, is_quoted ? " \"" : " ");
    if (strlen(word) <= MACRO_MAX) {
        append_text(a, "\\&");
    }
    (void)put_escaped(a, bytes_of_text(word));
    append_text(a, is_quoted ? "\"" : "");
}

/* A sentence ends where the next word would begin on a line of its own. */
static bool ends_sentence(struct bytes word)
{
    return word.len > 0 && strchr(".!?", (char)word.ptr[word.len - 1]) != NULL;
}

/* One line of the text as lines of the page. */
static void put_line(struct appender *a, struct bytes text)
{
    const char *p = (const char *)text.ptr;
    const char *end = p + text.len;
    size_t column = 0;
    while (p < end) {
        const char *gap = memchr(p, ' ', (size_t)(end - p));
        struct bytes word = bytes_of(p, (size_t)((gap == NULL ? end : gap) - p));
        if (column > 0 && column + 1 + escaped_len(word) > LINE_MAX_BYTES) {
            append_text(a, "\n");
            column = 0;
        }
        if (column > 0) {
            append_text(a, " ");
        } else if (word.len > 0 && *p == '.') {
            append_text(a, "\\&");
        }
        column += put_escaped(a, word) + (column > 0 ? 1 : 0);
        p += word.len;
        while (p < end && *p == ' ') {
            p++;
        }
        if (ends_sentence(word) && p < end) {
            append_text(a, "\n");
            column = 0;
        }
    }
    append_text(a, "\n");
}

/* The display gives the indentation, so two spaces of the table's go. */
static void put_literal(struct appender *a, struct bytes line)
{
    size_t skipped = line.len > 1 && line.ptr[1] == ' ' ? 2 : 1;
    struct bytes rest = bytes_of(line.ptr + skipped, line.len - skipped);
    append_text(a, rest.len > 0 && *rest.ptr == '.' ? "\\&" : "");
    (void)put_escaped(a, rest);
    append_text(a, "\n");
}

void mdoc_text(struct appender *a, const char *text)
{
    bool is_literal = false;
    bool is_paragraph_due = false;
    while (*text != 0) {
        struct bytes line = bytes_of(text, strcspn(text, "\n"));
        bool begins_literal = line.len > 0 && *line.ptr == ' ';
        if (is_literal && !begins_literal) {
            append_text(a, ".Ed\n");
        } else if (!is_literal && begins_literal) {
            append_text(a, ".Bd -literal -offset indent\n");
        } else if (is_paragraph_due && line.len > 0) {
            append_text(a, ".Pp\n");
        }
        is_paragraph_due = line.len == 0;
        is_literal = begins_literal;
        if (is_literal) {
            put_literal(a, line);
        } else if (line.len > 0) {
            put_line(a, line);
        }
        text += line.len;
        text += *text == '\n' ? 1 : 0;
    }
    append_text(a, is_literal ? ".Ed\n" : "");
}

void mdoc_literal(struct appender *a, const char *text)
{
    append_text(a, ".Bd -literal -offset indent\n");
    while (*text != 0) {
        struct bytes line = bytes_of(text, strcspn(text, "\n"));
        append_text(a, line.len > 0 && *line.ptr == '.' ? "\\&" : "");
        (void)put_escaped(a, line);
        append_text(a, "\n");
        text += line.len;
        text += *text == '\n' ? 1 : 0;
    }
    append_text(a, ".Ed\n");
}
