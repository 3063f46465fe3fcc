/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text forms of public values, and strict readers for numbers, durations and sizes.
 * All are pure and thread-safe. None is for secrets.
 */
#ifndef ETCDSEAL_BASE_TEXT_H
#define ETCDSEAL_BASE_TEXT_H

#include "base/bytes.h"

/* Lower-case hex; `to` holds 2·len + 1 bytes. */
void text_hex(struct bytes data, char *to);
/* Exactly 2·len lower- or upper-case hex digits. INPUT. */
enum kerr text_from_hex(const char *text, uint8_t *to, size_t len, struct kerrinfo *e) MUST_CHECK;

/* RFC 4648 base32, lower case, unpadded. 16 bytes give 26 characters. */
#define TEXT_BASE32_CHARS(len) (((len)*8 + 4) / 5)
void text_base32(struct bytes data, char *to); /* with terminator */
/* Reads what text_base32 writes for `len` bytes; other characters, another length or bits set
 * behind the last byte are refused, so each value has one text. INPUT. */
enum kerr text_from_base32(struct bytes text, uint8_t *to, size_t len,
                           struct kerrinfo *e) MUST_CHECK;

/* 8-4-4-4-12 form of 16 bytes, with terminator. */
#define TEXT_UUID_BYTES 37
void text_uuid(const uint8_t id[static 16], char to[static TEXT_UUID_BYTES]);

/* Whole decimal number, digits only, in min … max. INPUT names `what`. */
enum kerr text_to_u64(const char *text, const char *what, uint64_t min, uint64_t max, uint64_t *ret,
                      struct kerrinfo *e) MUST_CHECK;
/* Number with a unit: ms, s, m, h, d ("250ms", "24h"); 0 needs none. Result in milliseconds. */
enum kerr text_to_duration_ms(const char *text, const char *what, uint64_t min_ms, uint64_t max_ms,
                              uint64_t *ret, struct kerrinfo *e) MUST_CHECK;
/* Number with a unit: KiB, MiB, GiB; 0 needs none. Result in bytes. */
enum kerr text_to_size(const char *text, const char *what, uint64_t min, uint64_t max,
                       uint64_t *ret, struct kerrinfo *e) MUST_CHECK;
/* Octal file mode, three or four digits. */
enum kerr text_to_mode(const char *text, const char *what, uint32_t *ret,
                       struct kerrinfo *e) MUST_CHECK;

/* True if `text` is valid UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool text_is_utf8(struct bytes text);
/* Copies what is safe to show: printable ASCII; all else, quotes and backslashes as \xNN; what does
 * not fit into `to_size` bytes (with the terminator) ends in three dots. */
void text_escape(struct bytes text, char *to, size_t to_size);

/* The nearest of several valid words to a mistyped one. Starts all zero; call text_nearest_try with
 * each candidate (longer ones than TEXT_NEAREST_MAX are passed over); `best` is then the one that a
 * few typing errors away is `word`, or that begins with it, else NULL. */
#define TEXT_NEAREST_MAX 64
struct text_nearest {
    const char *best;
    size_t distance;
};
void text_nearest_try(struct text_nearest *n, struct bytes word, const char *candidate);

/* Duplicates a view as a C string; NUL inside is refused. Free with free(). */
enum kerr text_dup(struct bytes text, char **ret, struct kerrinfo *e) MUST_CHECK;
void text_free_at(char **text); /* for AUTO */
#define AUTO_TEXT AUTO(text_free_at) char *

#endif
