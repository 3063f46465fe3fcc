/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 (RFC 4648, section 4: with padding), in constant time for what the data are, so that it
 * may carry secrets. Pure; any thread.
 */
#ifndef ETCDSEAL_BASE_BASE64_H
#define ETCDSEAL_BASE_BASE64_H

#include "base/bytes.h"
#include "base/secret.h"

#define BASE64_CHARS(len) (((len) + 2) / 3 * 4)

/* `to` holds BASE64_CHARS(data.len) + 1 bytes: with terminator. */
void base64_write(struct bytes data, char *to);
/* The same into a new secret, with terminator. NOMEM, LIMIT. */
enum kerr base64_write_secret(struct bytes data, struct secret **ret,
                              struct kerrinfo *e) MUST_CHECK;

/* Reads what base64_write writes and nothing else: INPUT; LIMIT over `max` bytes. */
enum kerr base64_read(struct bytes text, void *to, size_t max, size_t *ret_len,
                      struct kerrinfo *e) MUST_CHECK;
/* The same into a new secret; no bytes at all are INPUT. */
enum kerr base64_read_secret(struct bytes text, size_t max, struct secret **ret,
                             struct kerrinfo *e) MUST_CHECK;

#endif
