/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of config.def and what their types do. Private to config.
 *
 * A type reads a node into a field and prints a field. Everything is written for one row at a time:
 * config.c finds the node, or the preset's.
 */
#ifndef ETCDSEAL_CONFIG_CONFIG_TYPE_H
#define ETCDSEAL_CONFIG_CONFIG_TYPE_H

#include "config/config.h"
#include "config/yaml.h"

/* What the kernel shows for every user that has no mapping: user_namespaces(7), overflowuid. */
#define CONFIG_OVERFLOW_ID 65534
/* Bytes of the defaults as a document. */
#define CONFIG_PRESETS_MAX 4096

enum config_type {
    CONFIG_TYPE_TEXT,     /* char *: 1 … max bytes */
    CONFIG_TYPE_PATH,     /* char *: an absolute path of a file */
    CONFIG_TYPE_SOCKET,   /* char *: the same, short enough for a unix socket */
    CONFIG_TYPE_ACCOUNT,  /* char *: name or number of a user or group */
    CONFIG_TYPE_MODE,     /* mode_t */
    CONFIG_TYPE_BOOL,     /* bool */
    CONFIG_TYPE_U32,      /* unsigned */
    CONFIG_TYPE_ID,       /* uint32_t: a user or group id that stands for one user or group */
    CONFIG_TYPE_DURATION, /* unsigned, milliseconds */
    CONFIG_TYPE_CHOICE,   /* an enum whose values are the positions in `words` */
    CONFIG_TYPE_METHODS,  /* unsigned, bits of the positions in `words` */
    CONFIG_TYPE_LISTEN,   /* metrics_is_on, metrics_host, metrics_port of struct config */
    CONFIG_TYPE_PEERS,    /* peers, peer_count */
    CONFIG_TYPE_UNSEAL,   /* unseal, unseal_count */
};

struct config_row {
    struct config_key key; /* the part that config.h shows */
    size_t offset;
    enum config_type type;
    uint64_t min;
    uint64_t max;
    const char *words;
};

extern const struct config_row config_rows[];
extern const size_t config_row_count;
extern const struct config_row config_peer_rows[];
extern const size_t config_peer_row_count;

/* The last part of a path: "mode" of "socket.mode". */
const char *config_row_name(const struct config_row *row);

/* Length of the section's name in a path, 0 for a key that stands at the top. */
size_t config_section_len(const struct config_row *row);
bool config_same_section(const struct config_row *a, const struct config_row *b);
/* For people: the meaning, the range, and what a change of it needs. Sentences. */
void config_put_meaning(struct appender *a, const struct config_row *row);

/* What is being read. */
struct config_source {
    const struct yaml *doc;
    const struct yaml *presets; /* a mapping of full paths to defaults */
};

/* The defaults as a document; `text` (empty, for CONFIG_PRESETS_MAX) keeps what it points into. */
enum kerr config_presets_read(struct buf *text, struct yaml **ret, struct kerrinfo *e) MUST_CHECK;
/* The default's node, or NULL when the row has none. */
const struct yaml_node *config_preset(const struct config_source *s, const struct config_row *row);

/* Reads the node into base + offset. CONFIG with the node's position, NOMEM. */
enum kerr config_row_parse(const struct config_row *row, const struct config_source *s,
                           const struct yaml_node *node, void *base, struct kerrinfo *e) MUST_CHECK;
/* Appends what stands behind "name:" in a file, without the line's end. */
enum kerr config_row_print(const struct config_row *row, const void *base, struct buf *ret,
                           struct kerrinfo *e) MUST_CHECK;
/* Frees what parsing allocated. */
void config_row_done(const struct config_row *row, void *base);

/* For the types in config_list.c. */
enum kerr config_put_quoted(struct buf *b, const char *text, struct kerrinfo *e) MUST_CHECK;
/* Position of `text` in "a|b|c", or -1. */
int config_word_index(const char *words, const char *text);
/* "PATH: 'x' is not known; allowed: a, b". */
enum kerr config_refuse_word(const struct config_row *row, const struct config_source *s,
                             const struct yaml_node *node, struct kerrinfo *e);
enum kerr config_parse_peers(const struct config_row *row, const struct config_source *s,
                             const struct yaml_node *node, void *base, struct kerrinfo *e);
enum kerr config_print_peers(const struct config_row *row, const void *base, struct buf *ret,
                             struct kerrinfo *e);
enum kerr config_parse_unseal(const struct config_row *row, const struct config_source *s,
                              const struct yaml_node *node, void *base, struct kerrinfo *e);
enum kerr config_print_unseal(const struct config_row *row, const void *base, struct buf *ret,
                              struct kerrinfo *e);
enum kerr config_parse_methods(const struct config_row *row, const struct config_source *s,
                               const struct yaml_node *node, void *base, struct kerrinfo *e);
enum kerr config_print_methods(const struct config_row *row, const void *base, struct buf *ret,
                               struct kerrinfo *e);

#endif
