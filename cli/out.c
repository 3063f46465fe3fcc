/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kerr out_print(const struct buf *text, struct kerrinfo *e)
{
    if (fwrite(text->ptr, 1, text->len, stdout) != text->len || fflush(stdout) != 0) {
        return kerr_errno(e, errno, "cannot write to standard output");
    }
    return KERR_OK;
}

enum kerr out_line(struct kerrinfo *e, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vfprintf(stdout, fmt, args);
    va_end(args);
    if (len < 0 || fputc('\n', stdout) == EOF || fflush(stdout) != 0) {
        return kerr_errno(e, errno, "cannot write to standard output");
    }
    return KERR_OK;
}

void out_remark(const struct options *o, const char *fmt, ...)
{
    if (o->is_quiet) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

void out_warn(const char *fmt, ...)
{
    const char *no_color = getenv("NO_COLOR");
    bool is_coloured = isatty(STDERR_FILENO) && (no_color == NULL || *no_color == 0);
    va_list args;
    va_start(args, fmt);
    (void)fputs(is_coloured ? "\033[1;33mWARNING:\033[0m " : "WARNING: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

void out_error(const struct kerrinfo *e)
{
    (void)fprintf(stderr, "etcdseal: %s\n", e->text);
}

bool out_is_doc(const struct options *o)
{
    return strcmp(o->output, "table") != 0 && strcmp(o->output, "wide") != 0;
}

struct doc out_doc(const struct options *o, struct buf *to, struct kerrinfo *e)
{
    return doc_on(strcmp(o->output, "yaml") == 0, to, e);
}
