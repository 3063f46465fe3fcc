/* SPDX-License-Identifier: Apache-2.0 */
#include "base/kerr.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct kerr_row {
    const char *name;
    const char *sentence;
    int exit_code;
    int grpc;
    bool retry;
};

static const struct kerr_row rows[KERR_COUNT] = {
#define KERR(name, sentence, exit_code, grpc, retry)                                               \
    [KERR_##name] = {#name, sentence, exit_code, grpc, retry},
#include "base/kerr.def"
#undef KERR
};

static const struct kerr_row *row(enum kerr code)
{
    return (unsigned)code < KERR_COUNT ? &rows[code] : &rows[KERR_BUG];
}

static void clean(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != 0; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }
}

static bool is_open(const struct kerrinfo *e)
{
    return e != NULL && e->line == 0;
}

static void PRINTF_LIKE(5, 0) fill(struct kerrinfo *e, enum kerr code, const char *file, int line,
                                   const char *fmt, va_list args)
{
    e->code = code;
    e->file = file;
    e->line = line;
    (void)vsnprintf(e->text, sizeof e->text, fmt, args);
    clean(e->text);
}

enum kerr kerr_set_at(struct kerrinfo *e, enum kerr code, const char *file, int line,
                      const char *fmt, ...)
{
    if (is_open(e)) {
        va_list args;
        va_start(args, fmt);
        fill(e, code, file, line, fmt, args);
        va_end(args);
    }
    return code;
}

static enum kerr code_of_errno(int err)
{
    switch (err) {
    case ENOENT:
        return KERR_NOTFOUND;
    case EEXIST:
        return KERR_EXISTS;
    case ENOMEM:
        return KERR_NOMEM;
    case EACCES:
    case EPERM:
        return KERR_DENIED;
    default:
        return KERR_IO;
    }
}

enum kerr kerr_errno_at(struct kerrinfo *e, int err, const char *file, int line, const char *fmt,
                        ...)
{
    enum kerr code = code_of_errno(err);
    if (is_open(e)) {
        va_list args;
        va_start(args, fmt);
        fill(e, code, file, line, fmt, args);
        va_end(args);
        size_t used = strlen(e->text);
        char reason[128];
        /* The GNU strerror_r may return a static string instead of filling the buffer. */
        (void)snprintf(e->text + used, sizeof e->text - used, ": %s",
                       strerror_r(err, reason, sizeof reason));
    }
    return code;
}

/* Appends to a record's text, cut at its end. */
static void append(char *text, const char *more)
{
    size_t used = strlen(text);
    size_t len = strnlen(more, KERRINFO_TEXT_MAX - 1 - used);
    memcpy(text + used, more, len);
    text[used + len] = 0;
}

void kerr_prefix(struct kerrinfo *e, const char *fmt, ...)
{
    if (e == NULL || e->line == 0) {
        return;
    }
    char old[KERRINFO_TEXT_MAX];
    memcpy(old, e->text, sizeof old);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    append(e->text, ": ");
    append(e->text, old);
    clean(e->text);
}

void kerr_clear(struct kerrinfo *e)
{
    if (e != NULL) {
        *e = (struct kerrinfo){.code = KERR_OK};
    }
}

const char *kerr_name(enum kerr code)
{
    return row(code)->name;
}

const char *kerr_sentence(enum kerr code)
{
    return row(code)->sentence;
}

int kerr_exit_code(enum kerr code)
{
    return row(code)->exit_code;
}

int kerr_grpc_status(enum kerr code)
{
    return row(code)->grpc;
}

bool kerr_may_retry(enum kerr code)
{
    return row(code)->retry;
}
