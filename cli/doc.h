/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A document for programs, as JSON (one line) or YAML (blocks), from one sequence of calls. The
 * rules are those of json/json.h: the first failure is kept, doc_end gives it; `key` is NULL inside
 * an array and for the outermost value. YAML texts are always quoted, so that no reader takes one
 * for a number or a boolean.
 */
#ifndef ETCDSEAL_CLI_DOC_H
#define ETCDSEAL_CLI_DOC_H

#include "json/json.h"
#include "json/json_read.h"

#define DOC_MAX ((size_t)4 << 20) /* bytes; 1024 keys take under 1 MiB */

struct doc_level {
    bool is_array;
    bool is_inline; /* its first member stands behind "- " */
    bool has_values;
    size_t indent;
};

struct doc {
    bool is_yaml;
    struct json_writer json;
    struct buf *to;
    struct kerrinfo *e;
    enum kerr k;
    size_t depth;
    struct doc_level levels[JSON_DEPTH_MAX + 1];
};

/* `to` was made by buf_init. */
struct doc doc_on(bool is_yaml, struct buf *to, struct kerrinfo *e);
void doc_object(struct doc *d, const char *key);
void doc_array(struct doc *d, const char *key);
void doc_close(struct doc *d);
void doc_text(struct doc *d, const char *key, const char *value); /* NULL: null */
void doc_view(struct doc *d, const char *key, struct bytes text); /* empty: "" */
void doc_u64(struct doc *d, const char *key, uint64_t value);
void doc_bool(struct doc *d, const char *key, bool value);
void doc_time(struct doc *d, const char *key, uint64_t wall_s); /* 0: null */
/* Copies a value that was read. UNSUP for numbers that are not whole and not negative; LIMIT when
 * it is nested deeper than can be written. */
void doc_value(struct doc *d, const char *key, const struct json_value *v);
enum kerr doc_end(struct doc *d) MUST_CHECK;

#endif
