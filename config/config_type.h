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
    CONFIG_TYPE_TEXT,      /* char *: 1 … max bytes */
    CONFIG_TYPE_PATH,      /* char *: an absolute path of a file */
    CONFIG_TYPE_SOCKET,    /* char *: the same, short enough for a unix socket */
    CONFIG_TYPE_ACCOUNT,   /* char *: name or number of a user or group */
    CONFIG_TYPE_MODE,      /* mode_t */
    CONFIG_TYPE_BOOL,      /* bool */
    CONFIG_TYPE_U32,       /* unsigned */
    CONFIG_TYPE_ID,        /* uint32_t: a user or group id that stands for one user or group */
    CONFIG_TYPE_DURATION,  /* unsigned, milliseconds */
    CONFIG_TYPE_CHOICE,    /* an enum whose values are the positions in `words` */
    CONFIG_TYPE_WORDS,     /* unsigned, bits of the positions in `words`; at least `min` of them */
    CONFIG_TYPE_NAME,      /* char *: config_is_name */
    CONFIG_TYPE_SEGMENTS,  /* char *: config_is_segments */
    CONFIG_TYPE_FILE,      /* char *: an absolute path of a file, or "credential:NAME" */
    CONFIG_TYPE_LISTEN,    /* metrics_is_on, metrics_host, metrics_port of struct config */
    CONFIG_TYPE_PEERS,     /* peers, peer_count */
    CONFIG_TYPE_UNSEAL,    /* unseal, unseal_count */
    CONFIG_TYPE_VAULT,     /* struct config_vault */
    CONFIG_TYPE_ADDRESSES, /* addresses, address_count of struct config_vault */
    CONFIG_TYPE_LOGIN,     /* struct config_auth */
};

struct config_row {
    struct config_key key; /* the part that config.h shows */
    size_t offset;
    enum config_type type;
    uint64_t min;
    uint64_t max;
    const char *words;
    bool is_needed; /* of a section that may be left out: refused without it */
};

extern const struct config_row config_rows[];
extern const size_t config_row_count;
extern const struct config_row config_peer_rows[];
extern const size_t config_peer_row_count;
extern const struct config_row config_vault_rows[];
extern const size_t config_vault_row_count;
/* Of all logins. */
extern const struct config_row config_auth_rows[];
extern const size_t config_auth_row_count;

/* Rows that stand together in a table. */
struct config_span {
    const struct config_row *rows;
    size_t count;
};
/* The keys of one login; none for `none`. */
struct config_span config_login_rows(enum config_login login);
#define CONFIG_LOGINS (CONFIG_LOGIN_TOKEN + 1)

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
/* The row's value is a text that is not there. */
bool config_row_is_absent(const struct config_row *row, const void *base);

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
enum kerr config_parse_words(const struct config_row *row, const struct config_source *s,
                             const struct yaml_node *node, void *base, struct kerrinfo *e);
enum kerr config_print_words(const struct config_row *row, const void *base, struct buf *ret,
                             struct kerrinfo *e);

/* The section `vault` (config_vault.c). */
enum kerr config_parse_vault(const struct config_row *row, const struct config_source *s,
                             const struct yaml_node *node, void *base, struct kerrinfo *e);
enum kerr config_print_vault(const struct config_row *row, const void *base, struct buf *ret,
                             struct kerrinfo *e);
enum kerr config_parse_login(const struct config_row *row, const struct config_source *s,
                             const struct yaml_node *node, void *base, struct kerrinfo *e);
enum kerr config_print_login(const struct config_row *row, const void *base, struct buf *ret,
                             struct kerrinfo *e);
void config_vault_done(struct config_vault *v); /* all zero is fine */

/* Addresses of servers (config_address.c). */
enum kerr config_parse_addresses(const struct config_row *row, const struct config_source *s,
                                 const struct yaml_node *node, void *base, struct kerrinfo *e);
enum kerr config_print_addresses(const struct config_row *row, const void *base, struct buf *ret,
                                 struct kerrinfo *e);
/* How far a request to an accepted address goes. */
enum config_reach {
    CONFIG_REACH_SOCKET,   /* unix: */
    CONFIG_REACH_LOOPBACK, /* a numeric address of the loopback, or localhost */
    CONFIG_REACH_NETWORK,
};
enum config_reach config_address_reach(const char *address);
bool config_address_is_plain(const char *address); /* http:// */

/* What is wrong with an absolute path of a file; NULL: nothing. */
const char *config_path_problem(const char *path);
/* A numeric address of the loopback. */
bool config_is_loopback(const char *host);

#endif
