/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON (RFC 8259) that may be hostile: size, depth and repeated names are bounded before or
 * while it is parsed, and every getter checks the kind, so a caller never sees a value of another
 * type than it asked for.
 *
 * A document owns its values; they are borrowed until json_doc_free. A document is immutable and
 * may be read by any thread. It may hold a secret for the time of a call: its memory is wiped when
 * freed, but not locked, so a secret that stays is copied into base/secret.h and the document
 * freed. A message about text that is no JSON shows a piece of it: it is not passed on when the
 * text may hold a secret.
 *
 * Codes: INPUT with line and column, LIMIT (JSON_READ_MAX, JSON_READ_DEPTH_MAX), NOMEM.
 */
#ifndef ETCDSEAL_JSON_JSON_READ_H
#define ETCDSEAL_JSON_JSON_READ_H

#include <stdint.h>

#include "base/bytes.h"

#define JSON_READ_MAX       ((size_t)4 << 20) /* bytes of one document */
#define JSON_READ_DEPTH_MAX 32                /* nesting of objects and arrays */

struct json_doc;
struct json_value;

enum json_kind {
    JSON_IS_NONE, /* there is no such value */
    JSON_IS_NULL,
    JSON_IS_BOOL,
    JSON_IS_WHOLE, /* a whole number from -2^63 to 2^63 - 1 */
    JSON_IS_REAL,
    JSON_IS_TEXT, /* UTF-8 without NUL */
    JSON_IS_ARRAY,
    JSON_IS_OBJECT,
};

/* The whole text must be one value; a name that stands twice in one object is refused. */
enum kerr json_read(struct bytes text, struct json_doc **ret, struct kerrinfo *e) MUST_CHECK;
/* The same with a maximum of the caller's, for documents that have a reason to be larger: what is
 * read takes some ten times as much memory as its text. */
enum kerr json_read_large(struct bytes text, size_t max, struct json_doc **ret,
                          struct kerrinfo *e) MUST_CHECK;
void json_doc_free(struct json_doc *d); /* NULL is fine */
void json_doc_free_at(struct json_doc **d);
#define AUTO_JSON AUTO(json_doc_free_at) struct json_doc *
const struct json_value *json_root(const struct json_doc *d);

/* All take NULL for a value that is not there, so that lookups can be nested. */
enum json_kind json_kind(const struct json_value *v);
const struct json_value *json_member(const struct json_value *v, const char *name);
/* Members of an object or elements of an array, in the order of the text; 0 for all else. */
size_t json_count(const struct json_value *v);
/* *ret_name (may be NULL) is the member's name, NULL in an array. NULL beyond the end. */
const struct json_value *json_at(const struct json_value *v, size_t i, const char **ret_name);

/* Calls fn with each member of an object, in the order of the text, until it gives false. False
 * then, and for what is no object. */
typedef bool json_member_fn(void *ctx, const char *name, const struct json_value *value);
bool json_each(const struct json_value *v, json_member_fn *fn, void *ctx);

/* The value itself; false, and nothing stored, when it is of another kind. */
bool json_as_text(const struct json_value *v, const char **ret);
bool json_as_bool(const struct json_value *v, bool *ret);
bool json_as_u64(const struct json_value *v, uint64_t *ret); /* not negative */

#endif
