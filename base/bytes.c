/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* First allocation of a growing buffer; small enough for one log line, doubled from there. */
#define BUF_FIRST 256

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
    if (b != NULL) {
        free(b->ptr);
        *b = (struct buf){.max = b->max};
    }
}

struct bytes buf_view(const struct buf *b)
{
    return bytes_of(b->ptr, b->len);
}

static enum kerr reserve(struct buf *b, size_t more, struct kerrinfo *e)
{
    if (more > b->max || b->len > b->max - more) {
        return kerr_set(e, KERR_LIMIT, "more than %zu bytes", b->max);
    }
    /* One byte beyond is always there for buf_text. */
    size_t need = b->len + more + 1;
    if (need <= b->cap) {
        return KERR_OK;
    }
    size_t cap = b->cap == 0 ? BUF_FIRST : b->cap;
    while (cap < need) {
        cap *= 2;
    }
    uint8_t *ptr = realloc(b->ptr, cap);
    if (ptr == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for %zu bytes", cap);
    }
    b->ptr = ptr;
    b->cap = cap;
    return KERR_OK;
}

enum kerr buf_extend(struct buf *b, size_t len, uint8_t **ret, struct kerrinfo *e)
{
    enum kerr k = reserve(b, len, e);
    if (k != KERR_OK) {
        return k;
    }
    *ret = b->ptr + b->len;
    b->len += len;
    return KERR_OK;
}

enum kerr buf_put(struct buf *b, struct bytes data, struct kerrinfo *e)
{
    uint8_t *to;
    enum kerr k = buf_extend(b, data.len, &to, e);
    if (k != KERR_OK) {
        return k;
    }
    if (data.len > 0) {
        memcpy(to, data.ptr, data.len);
    }
    return KERR_OK;
}

enum kerr buf_put_text(struct buf *b, const char *text, struct kerrinfo *e)
{
    return buf_put(b, bytes_of_text(text), e);
}

PRINTF_LIKE(3, 0)
static enum kerr put_formatted(struct buf *b, struct kerrinfo *e, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    enum kerr k =
        len < 0 ? kerr_set(e, KERR_BUG, "text could not be formatted") : reserve(b, (size_t)len, e);
    if (k == KERR_OK) {
        (void)vsnprintf((char *)b->ptr + b->len, (size_t)len + 1, fmt, again);
        b->len += (size_t)len;
    }
    va_end(again);
    return k;
}

enum kerr buf_printf(struct buf *b, struct kerrinfo *e, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    enum kerr k = put_formatted(b, e, fmt, args);
    va_end(args);
    return k;
}

struct appender appender_on(struct buf *to, struct kerrinfo *e)
{
    return (struct appender){.to = to, .e = e};
}

void append_bytes(struct appender *a, struct bytes data)
{
    if (a->k == KERR_OK) {
        a->k = buf_put(a->to, data, a->e);
    }
}

void append_text(struct appender *a, const char *text)
{
    append_bytes(a, bytes_of_text(text));
}

void append_printf(struct appender *a, const char *fmt, ...)
{
    if (a->k != KERR_OK) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    a->k = put_formatted(a->to, a->e, fmt, args);
    va_end(args);
}

enum kerr buf_text(struct buf *b, const char **ret, struct kerrinfo *e)
{
    enum kerr k = reserve(b, 0, e);
    if (k != KERR_OK) {
        return k;
    }
    b->ptr[b->len] = 0;
    *ret = (const char *)b->ptr;
    return KERR_OK;
}

struct writer writer_on(void *ptr, size_t cap)
{
    return (struct writer){.ptr = ptr, .cap = cap};
}

void write_raw(struct writer *w, struct bytes data)
{
    if (w->failed || data.len > w->cap - w->len) {
        w->failed = true;
        return;
    }
    if (data.len > 0) {
        memcpy(w->ptr + w->len, data.ptr, data.len);
    }
    w->len += data.len;
}

static void write_be(struct writer *w, uint64_t v, size_t size)
{
    uint8_t raw[8];
    for (size_t i = 0; i < size; i++) {
        raw[i] = (uint8_t)(v >> (8 * (size - 1 - i)));
    }
    write_raw(w, bytes_of(raw, size));
}

void write_u8(struct writer *w, uint8_t v)
{
    write_be(w, v, 1);
}

void write_u16(struct writer *w, uint16_t v)
{
    write_be(w, v, 2);
}

void write_u32(struct writer *w, uint32_t v)
{
    write_be(w, v, 4);
}

void write_u64(struct writer *w, uint64_t v)
{
    write_be(w, v, 8);
}

void write_lv16(struct writer *w, struct bytes data)
{
    if (data.len > UINT16_MAX) {
        w->failed = true;
        return;
    }
    write_u16(w, (uint16_t)data.len);
    write_raw(w, data);
}

struct bytes writer_view(const struct writer *w)
{
    return bytes_of(w->ptr, w->len);
}

struct reader reader_on(struct bytes data)
{
    return (struct reader){.ptr = data.ptr, .len = data.len};
}

struct bytes read_raw(struct reader *r, size_t len)
{
    if (r->failed || len > r->len - r->at) {
        r->failed = true;
        return bytes_of(NULL, 0);
    }
    if (len == 0) {
        return bytes_of(r->ptr, 0); /* which may be NULL: nothing may be added to that */
    }
    struct bytes view = bytes_of(r->ptr + r->at, len);
    r->at += len;
    return view;
}

static uint64_t read_be(struct reader *r, size_t size)
{
    struct bytes raw = read_raw(r, size);
    uint64_t v = 0;
    for (size_t i = 0; i < raw.len; i++) {
        v = v << 8 | raw.ptr[i];
    }
    return v;
}

uint8_t read_u8(struct reader *r)
{
    return (uint8_t)read_be(r, 1);
}

uint16_t read_u16(struct reader *r)
{
    return (uint16_t)read_be(r, 2);
}

uint32_t read_u32(struct reader *r)
{
    return (uint32_t)read_be(r, 4);
}

/* At once: a database has millions of them. */
uint64_t read_u64(struct reader *r)
{
    struct bytes raw = read_raw(r, sizeof(uint64_t));
    uint64_t v = 0;
    memcpy(&v, raw.len == 0 ? (const void *)&v : raw.ptr, raw.len);
    return be64toh(v);
}

void read_into(struct reader *r, void *to, size_t len)
{
    struct bytes raw = read_raw(r, len);
    memset(to, 0, len);
    if (raw.len > 0) {
        memcpy(to, raw.ptr, raw.len);
    }
}

struct bytes read_lv16(struct reader *r)
{
    size_t start = r->at;
    size_t len = read_u16(r);
    struct bytes view = read_raw(r, len);
    if (r->failed) {
        r->at = start;
    }
    return view;
}

size_t reader_left(const struct reader *r)
{
    return r->failed ? 0 : r->len - r->at;
}
