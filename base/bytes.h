/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte strings: borrowed views, an owned buffer that grows to a stated maximum, and bounds-checked
 * big-endian readers and writers for the project's binary formats.
 *
 * Nothing here wipes memory: key material belongs in `struct secret` (base/secret.h).
 * No function keeps state; one object must not be used by two threads at once.
 */
#ifndef ETCDSEAL_BASE_BYTES_H
#define ETCDSEAL_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/kerr.h"

/* A borrowed view: valid as long as what it points into. `ptr` may be NULL when `len` is 0. */
struct bytes {
    const uint8_t *ptr;
    size_t len;
};

static inline struct bytes bytes_of(const void *ptr, size_t len)
{
    return (struct bytes){.ptr = ptr, .len = len};
}

/* Without the terminator. */
static inline struct bytes bytes_of_text(const char *text)
{
    return bytes_of(text, strlen(text));
}

/* Of public data only: not in constant time. */
static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Below, at or above 0, as memcmp has it; what is longer and else the same stands behind. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool bytes_equal_text(struct bytes a, const char *text)
{
    return bytes_equal(a, bytes_of_text(text));
}

static inline bool bytes_begin_with(struct bytes b, struct bytes with)
{
    return b.len >= with.len && (with.len == 0 || memcmp(b.ptr, with.ptr, with.len) == 0);
}

/* For arrays: view of the whole array. */
#define BYTES_OF(array) bytes_of((array), sizeof(array))

/* An owned buffer. All zero is a valid empty buffer that may hold nothing; buf_init sets the
 * maximum. The bytes move when it grows. */
struct buf {
    uint8_t *ptr;
    size_t len;
    size_t cap;
    size_t max;
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b); /* frees; NULL and unused ones are fine */
struct bytes buf_view(const struct buf *b);
/* Appends. LIMIT over the maximum (nothing appended), NOMEM. */
enum kerr buf_put(struct buf *b, struct bytes data, struct kerrinfo *e) MUST_CHECK;
enum kerr buf_put_text(struct buf *b, const char *text, struct kerrinfo *e) MUST_CHECK;
enum kerr buf_printf(struct buf *b, struct kerrinfo *e, const char *fmt, ...)
    PRINTF_LIKE(3, 4) MUST_CHECK;
/* Makes `len` uninitialised bytes behind the end part of the buffer and returns where they are. */
enum kerr buf_extend(struct buf *b, size_t len, uint8_t **ret, struct kerrinfo *e) MUST_CHECK;
/* The bytes as a C string (terminator behind `len`, not counted). */
enum kerr buf_text(struct buf *b, const char **ret, struct kerrinfo *e) MUST_CHECK;

#define AUTO_BUF AUTO(buf_done) struct buf

/* Appends to a buffer piece by piece: the first failure is kept in `k` and everything after it does
 * nothing, so the caller checks once, at the end. `to` was made by buf_init. */
struct appender {
    struct buf *to;
    struct kerrinfo *e;
    enum kerr k;
};

struct appender appender_on(struct buf *to, struct kerrinfo *e);
void append_bytes(struct appender *a, struct bytes data);
void append_text(struct appender *a, const char *text);
void append_printf(struct appender *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Writes numbers and byte strings in network order into fixed memory. An overflow sets `failed`
 * and writes nothing more; the caller checks once at the end. */
struct writer {
    uint8_t *ptr;
    size_t len;
    size_t cap;
    bool failed;
};

struct writer writer_on(void *ptr, size_t cap);
void write_u8(struct writer *w, uint8_t v);
void write_u16(struct writer *w, uint16_t v);
void write_u32(struct writer *w, uint32_t v);
void write_u64(struct writer *w, uint64_t v);
void write_raw(struct writer *w, struct bytes data);
void write_lv16(struct writer *w, struct bytes data); /* u16 length, then the bytes */
struct bytes writer_view(const struct writer *w);

/* Reads the same. A read beyond the end sets `failed` and gives zeros or an empty view; `at` stays
 * where the first failing read began, for the error message. */
struct reader {
    const uint8_t *ptr;
    size_t len;
    size_t at;
    bool failed;
};

struct reader reader_on(struct bytes data);
uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
struct bytes read_raw(struct reader *r, size_t len);
void read_into(struct reader *r, void *to, size_t len); /* zero-filled on failure */
struct bytes read_lv16(struct reader *r);
size_t reader_left(const struct reader *r);

#endif
