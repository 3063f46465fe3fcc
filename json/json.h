/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing JSON (RFC 8259) piece by piece into a `struct buf`, whose maximum bounds it.
 *
 * A failure (LIMIT, NOMEM; BUG for more than JSON_DEPTH_MAX levels or an end without a begin) is
 * kept and everything after it does nothing, so the caller checks once, with json_end. `key` is
 * NULL inside an array and for the outermost value. Text that is not UTF-8 is written with U+FFFD
 * in place of what is not. Characters that control a terminal, turn the direction of text or are
 * not seen are escaped, as are those that YAML does not take. A writer belongs to one thread.
 */
#ifndef ETCDSEAL_JSON_JSON_H
#define ETCDSEAL_JSON_JSON_H

#include <stdint.h>

#include "base/bytes.h"

#define JSON_DEPTH_MAX 10 /* SARIF nests nine levels, all else under five */

struct json_writer {
    struct buf *to;
    struct kerrinfo *e;
    enum kerr k;
    size_t depth;
    char closer[JSON_DEPTH_MAX];
    bool has_values[JSON_DEPTH_MAX + 1];
};

/* `to` was made by buf_init and must outlive the writer; so must `e`, which may be NULL. */
struct json_writer json_on(struct buf *to, struct kerrinfo *e);
void json_put_object(struct json_writer *w, const char *key);
void json_put_array(struct json_writer *w, const char *key);
void json_put_close(struct json_writer *w); /* the innermost object or array */
void json_put_text(struct json_writer *w, const char *key, const char *value); /* NULL: null */
void json_put_view(struct json_writer *w, const char *key, struct bytes text); /* the same */
void json_put_u64(struct json_writer *w, const char *key, uint64_t value);
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_null(struct json_writer *w, const char *key);
/* "2026-11-24T02:31:40Z", or null for 0. */
void json_put_time(struct json_writer *w, const char *key, uint64_t wall_s);
/* Closes what is open, ends the line, and gives the first failure. */
enum kerr json_end(struct json_writer *w) MUST_CHECK;

#endif
