/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small, strict reader of one YAML 1.2 (or JSON) document into a flat array of nodes. Private to
 * config; the only file that includes libfyaml.h is yaml.c.
 *
 * Hostile text is refused before libfyaml sees it (size, NUL, other control characters, bytes that
 * are not UTF-8) or at its events, before a tree exists: anchors, aliases, tags, merge keys,
 * directives, a second document, texts over several lines, keys that are not words, repeated keys,
 * and more than the limits below. Positions are 1-based lines and columns (characters).
 *
 * Messages begin with "NAME:LINE:COLUMN: ". With `is_secret` they never hold a piece of the text.
 *
 * Codes: CONFIG, LIMIT (the text is longer than `max`), NOMEM.
 */
#ifndef ETCDSEAL_CONFIG_YAML_H
#define ETCDSEAL_CONFIG_YAML_H

#include "base/bytes.h"

#define YAML_DEPTH_MAX  12   /* an EncryptionConfiguration has 8 levels */
#define YAML_NODES_MAX  4096 /* values and containers */
#define YAML_KEYS_MAX   64   /* of one mapping; keystore.unseal has at most 32 */
#define YAML_KEY_MAX    320  /* bytes; names of annotations in a manifest have up to 317 */
#define YAML_SCALAR_MAX 4096 /* bytes: PATH_MAX */

enum yaml_kind { YAML_MAPPING, YAML_SEQUENCE, YAML_SCALAR };

/* What a scalar means by the core schema of YAML 1.2 (chapter 10.3). */
enum yaml_type { YAML_NULL, YAML_BOOL, YAML_NUMBER, YAML_TEXT };

struct yaml_node {
    enum yaml_kind kind;
    bool is_plain; /* a scalar without quotes */
    unsigned line; /* of the value */
    unsigned column;
    unsigned key_line; /* of the key; of the value in a sequence */
    unsigned key_column;
    const char *key;  /* NULL in a sequence and at the root */
    const char *text; /* of a scalar, no NUL or control character inside; else "" */
    struct bytes
        raw;    /* a scalar as it stands in the source, without quotes; lives as long as that */
    char quote; /* '"', '\'', or 0 */
    const struct yaml_node *child; /* first one, or NULL */
    const struct yaml_node *next;  /* sibling, or NULL */
};

struct yaml_source {
    struct bytes text;
    const char *name; /* for messages; outlives the document */
    size_t max;       /* bytes of text */
    bool is_secret;
    /* Text values of this key are neither fetched from the parser nor stored: their `text` is "",
     * and `raw` is all there is of them. NULL: none. */
    const char *skip_key;
    bool keeps_repeated; /* repeated keys are several children, not refused */
    /* Refuses what readers of YAML 1.1 and 1.2 take for different things: backslashes in double
     * quotes, tabs, control characters and line ends beyond ASCII. */
    bool is_portable;
};

struct yaml;

enum kerr yaml_read(const struct yaml_source *source, struct yaml **ret,
                    struct kerrinfo *e) MUST_CHECK;
void yaml_free(struct yaml *doc); /* wipes; NULL is fine */
void yaml_free_at(struct yaml **doc);
#define AUTO_YAML AUTO(yaml_free_at) struct yaml *

/* Line and column of a byte. */
void yaml_place_of(struct bytes text, size_t at, unsigned *ret_line, unsigned *ret_column);

const struct yaml_node *yaml_root(const struct yaml *doc);
bool yaml_is_secret(const struct yaml *doc);
size_t yaml_count(const struct yaml_node *node); /* children */
enum yaml_type yaml_type_of(const struct yaml_node *scalar);

/* CONFIG at the value's position. With `is_secret` callers must not put text of nodes in. */
enum kerr yaml_refuse(const struct yaml *doc, const struct yaml_node *node, struct kerrinfo *e,
                      const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The same at the key's position. */
enum kerr yaml_refuse_key(const struct yaml *doc, const struct yaml_node *node, struct kerrinfo *e,
                          const char *fmt, ...) PRINTF_LIKE(4, 5);
/* "WHAT: expected EXPECTED, found a list". */
enum kerr yaml_refuse_type(const struct yaml *doc, const struct yaml_node *node, const char *what,
                           const char *expected, struct kerrinfo *e);

/* Sorts the children of a mapping: found[i] is the one with names[i], or NULL. Refuses a node that
 * is no mapping and keys that are not among `names`, with the nearest one. `what` names the mapping
 * ("a row of peers"). */
enum kerr yaml_fields(const struct yaml *doc, const struct yaml_node *node, const char *what,
                      const char *const *names, size_t count, const struct yaml_node **ret_found,
                      struct kerrinfo *e) MUST_CHECK;
/* The text of a scalar that is text by its type (quoted, or plain and not null, boolean or
 * number). */
enum kerr yaml_text(const struct yaml *doc, const struct yaml_node *node, const char *what,
                    const char *expected, const char **ret, struct kerrinfo *e) MUST_CHECK;

#endif
