/* SPDX-License-Identifier: Apache-2.0 */
/* The types that hold more than one value: several words, peers, slots to unseal. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/config_type.h"

/* As seal_spec and seal_check_slot_name of the seal room, which stands above this one and checks
 * the rest. */
#define SEAL_KINDS    "passphrase|file|credential|vault"
#define SLOT_NAME_MAX 31
/* Longest list of words that a message shows. */
#define SHOWN_BYTES 128

/* ---- words ---- */

static enum kerr refuse_no_list(const struct config_row *row, const struct config_source *s,
                                const struct yaml_node *node, struct kerrinfo *e)
{
    char list[SHOWN_BYTES] = "a list such as [";
    size_t len = strlen(list);
    for (const char *p = row->words; *p != 0 && len + 4 < sizeof list; p++) {
        len += (size_t)snprintf(list + len, sizeof list - len, *p == '|' ? ", " : "%c", *p);
    }
    (void)snprintf(list + len, sizeof list - len, "]");
    return yaml_refuse_type(s->doc, node, row->key.path, list, e);
}

enum kerr config_parse_words(const struct config_row *row, const struct config_source *s,
                             const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    if (node->kind != YAML_SEQUENCE) {
        return refuse_no_list(row, s, node, e);
    }
    unsigned bits = 0;
    for (const struct yaml_node *n = node->child; n != NULL; n = n->next) {
        const char *word = NULL;
        enum kerr k = yaml_text(s->doc, n, row->key.path, row->words, &word, e);
        if (k != KERR_OK) {
            return k;
        }
        int index = config_word_index(row->words, word);
        if (index < 0) {
            return config_refuse_word(row, s, n, e);
        }
        unsigned bit = 1U << (unsigned)index;
        if ((bits & bit) != 0) {
            return yaml_refuse(s->doc, n, e, "%s: %s stands here a second time", row->key.path,
                               word);
        }
        bits |= bit;
    }
    if (bits == 0 && row->min > 0) {
        return yaml_refuse(s->doc, node, e, "%s: expected at least one of %s", row->key.path,
                           row->words);
    }
    *(unsigned *)((char *)base + row->offset) = bits;
    return KERR_OK;
}

enum kerr config_print_words(const struct config_row *row, const void *base, struct buf *ret,
                             struct kerrinfo *e)
{
    unsigned bits = *(const unsigned *)((const char *)base + row->offset);
    const char *gap = "";
    enum kerr k = buf_put_text(ret, " [", e);
    for (const char *p = row->words; bits != 0 && k == KERR_OK; bits >>= 1) {
        size_t len = strcspn(p, "|");
        if ((bits & 1) != 0) {
            k = buf_printf(ret, e, "%s%.*s", gap, (int)len, p);
            gap = ", ";
        }
        p += len + (p[len] == '|' ? 1 : 0);
    }
    return k == KERR_OK ? buf_put_text(ret, "]", e) : k;
}

/* ---- peers ---- */

/* The same order as in config.def. */
enum { PEER_UID, PEER_GID, PEER_METHODS, PEER_RATE, PEER_NOTE, PEER_KEYS };

static enum kerr parse_peer(const struct config_source *s, const struct yaml_node *node,
                            struct config_peer *ret, struct kerrinfo *e)
{
    const char *names[PEER_KEYS];
    const struct yaml_node *found[PEER_KEYS];
    for (size_t i = 0; i < PEER_KEYS; i++) {
        names[i] = config_row_name(&config_peer_rows[i]);
    }
    enum kerr k = yaml_fields(s->doc, node, "a row of peers", names, PEER_KEYS, found, e);
    if (k != KERR_OK) {
        return k;
    }
    if ((found[PEER_UID] == NULL) == (found[PEER_GID] == NULL)) {
        return yaml_refuse(s->doc, node, e, "a row of peers needs uid or gid, %s",
                           found[PEER_UID] == NULL ? "has none" : "not both");
    }
    ret->kind = found[PEER_UID] != NULL ? CONFIG_PEER_UID : CONFIG_PEER_GID;
    for (size_t i = 0; i < PEER_KEYS && k == KERR_OK; i++) {
        const struct config_row *row = &config_peer_rows[i];
        const struct yaml_node *value = found[i] != NULL ? found[i] : config_preset(s, row);
        k = value == NULL ? KERR_OK : config_row_parse(row, s, value, ret, e);
    }
    return k;
}

static enum kerr check_repeated(const struct config_source *s, const struct config *c,
                                const struct yaml_node *const *nodes, struct kerrinfo *e)
{
    const struct config_peer *last = &c->peers[c->peer_count - 1];
    for (size_t i = 0; i + 1 < c->peer_count; i++) {
        if (c->peers[i].kind == last->kind && c->peers[i].id == last->id) {
            return yaml_refuse(s->doc, nodes[c->peer_count - 1], e,
                               "peers: %s %u stands here a second time, first in line %u",
                               last->kind == CONFIG_PEER_UID ? "uid" : "gid", last->id,
                               nodes[i]->line);
        }
    }
    return KERR_OK;
}

enum kerr config_parse_peers(const struct config_row *row, const struct config_source *s,
                             const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    struct config *c = base;
    const struct yaml_node *nodes[CONFIG_PEERS_MAX];
    if (node->kind != YAML_SEQUENCE) {
        return yaml_refuse_type(s->doc, node, row->key.path, "a list of rows such as { uid: 0 }",
                                e);
    }
    if (node->child == NULL) {
        return yaml_refuse(s->doc, node, e,
                           "%s: at least one row is needed, or nobody may call; the default is %s",
                           row->key.path, row->key.preset);
    }
    for (const struct yaml_node *n = node->child; n != NULL; n = n->next) {
        if (c->peer_count == CONFIG_PEERS_MAX) {
            return yaml_refuse(s->doc, n, e, "%s: more than %d rows", row->key.path,
                               CONFIG_PEERS_MAX);
        }
        /* Counted first, so that a note is freed when a later key of the row is refused. */
        nodes[c->peer_count] = n;
        struct config_peer *peer = &c->peers[c->peer_count++];
        enum kerr k = parse_peer(s, n, peer, e);
        if (k == KERR_OK) {
            k = check_repeated(s, c, nodes, e);
        }
        if (k != KERR_OK) {
            return k;
        }
    }
    return KERR_OK;
}

static enum kerr print_peer(const struct config_peer *peer, struct buf *ret, struct kerrinfo *e)
{
    size_t skipped = peer->kind == CONFIG_PEER_UID ? PEER_GID : PEER_UID;
    const char *gap = "\n  - { ";
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < PEER_KEYS && k == KERR_OK; i++) {
        const struct config_row *row = &config_peer_rows[i];
        if (i == skipped || (i == PEER_NOTE && peer->note == NULL)) {
            continue;
        }
        k = buf_printf(ret, e, "%s%s:", gap, config_row_name(row));
        if (k == KERR_OK) {
            k = config_row_print(row, peer, ret, e);
        }
        gap = ", ";
    }
    return k == KERR_OK ? buf_put_text(ret, " }", e) : k;
}

enum kerr config_print_peers(const struct config_row *row, const void *base, struct buf *ret,
                             struct kerrinfo *e)
{
    (void)row;
    const struct config *c = base;
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < c->peer_count && k == KERR_OK; i++) {
        k = print_peer(&c->peers[i], ret, e);
    }
    return k;
}

/* ---- slots to unseal ---- */

static bool is_slot_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return *name != '-' && len > 0 && len <= SLOT_NAME_MAX && name[len] == 0;
}

static enum kerr check_spec(const struct config_source *s, const struct yaml_node *node,
                            const char *spec, struct kerrinfo *e)
{
    size_t len = strcspn(spec, ":");
    char kind[16] = "";
    (void)snprintf(kind, sizeof kind, "%.*s", len < sizeof kind ? (int)len : 0, spec);
    if (spec[len] != ':' || config_word_index(SEAL_KINDS, kind) < 0) {
        return yaml_refuse(s->doc, node, e,
                           "keystore.unseal: expected KIND:WHERE with KIND one of %s, such as "
                           "\"file:/path\"",
                           SEAL_KINDS);
    }
    return KERR_OK;
}

enum kerr config_parse_unseal(const struct config_row *row, const struct config_source *s,
                              const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    struct config *c = base;
    if (node->kind != YAML_MAPPING) {
        return yaml_refuse_type(s->doc, node, row->key.path,
                                "slot names and seals such as { boot: \"file:/path\" }", e);
    }
    for (const struct yaml_node *n = node->child; n != NULL; n = n->next) {
        const char *spec = NULL;
        if (c->unseal_count == CONFIG_SLOTS_MAX) {
            return yaml_refuse_key(s->doc, n, e, "%s: more than %d slots", row->key.path,
                                   CONFIG_SLOTS_MAX);
        }
        if (!is_slot_name(n->key)) {
            return yaml_refuse_key(s->doc, n, e,
                                   "%s: expected a slot name of 1 to %d of a-z, 0-9 and '-'",
                                   row->key.path, SLOT_NAME_MAX);
        }
        enum kerr k =
            yaml_text(s->doc, n, row->key.path, "a seal such as \"file:/path\"", &spec, e);
        if (k == KERR_OK) {
            k = check_spec(s, n, spec, e);
        }
        struct config_unseal *to = &c->unseal[c->unseal_count++];
        if (k == KERR_OK) {
            k = text_dup(bytes_of_text(n->key), &to->slot, e);
        }
        if (k == KERR_OK) {
            k = text_dup(bytes_of_text(spec), &to->spec, e);
        }
        if (k != KERR_OK) {
            return k;
        }
    }
    return KERR_OK;
}

enum kerr config_print_unseal(const struct config_row *row, const void *base, struct buf *ret,
                              struct kerrinfo *e)
{
    (void)row;
    const struct config *c = base;
    enum kerr k = c->unseal_count == 0 ? buf_put_text(ret, " {}", e) : KERR_OK;
    for (size_t i = 0; i < c->unseal_count && k == KERR_OK; i++) {
        k = buf_printf(ret, e, "\n    %s: ", c->unseal[i].slot);
        if (k == KERR_OK) {
            k = config_put_quoted(ret, c->unseal[i].spec, e);
        }
    }
    return k;
}
