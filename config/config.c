/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two documents are walked side by side: the file, and one made of the presets of config.def, so
 * that a default goes through the same checks as a value. Which node belongs to which row is found
 * first (and what belongs to none refused), then each row is read once.
 */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "config/config_type.h"

#define ROWS_MAX 32
/* One configuration printed. */
#define PRINTED_MAX 262144

#define RELOAD  false
#define RESTART true

#define NEEDED   true
#define OPTIONAL false

#define ROW(path, base, field, type, preset, min, max, words, change, needed, meaning)             \
    {{path, preset, meaning, change},                                                              \
     offsetof(base, field),                                                                        \
     CONFIG_TYPE_##type,                                                                           \
     min,                                                                                          \
     max,                                                                                          \
     words,                                                                                        \
     needed},

#define CONFIG_KEY(path, field, type, preset, min, max, words, change, meaning)                    \
    ROW(path, struct config, field, type, preset, min, max, words, change, OPTIONAL, meaning)
const struct config_row config_rows[] = {
#include "config/config.def"
};
const size_t config_row_count = ARRAY_LEN(config_rows);
_Static_assert(ARRAY_LEN(config_rows) <= ROWS_MAX, "ROWS_MAX");

#define CONFIG_PEER_KEY(name, field, type, preset, min, max, words, meaning)                       \
    ROW("peers[]." name, struct config_peer, field, type, preset, min, max, words, RELOAD,         \
        OPTIONAL, meaning)
const struct config_row config_peer_rows[] = {
#include "config/config.def"
};
const size_t config_peer_row_count = ARRAY_LEN(config_peer_rows);

#define CONFIG_VAULT_KEY(name, field, type, preset, min, max, words, needed, meaning)              \
    ROW("vault." name, struct config_vault, field, type, preset, min, max, words, RESTART, needed, \
        meaning)
const struct config_row config_vault_rows[] = {
#include "config/config.def"
};
const size_t config_vault_row_count = ARRAY_LEN(config_vault_rows);

#define CONFIG_AUTH_KEY(login, name, field, type, preset, min, max, words, needed, meaning)        \
    ROW("vault.auth." login "." name, struct config_auth, field, type, preset, min, max, words,    \
        RESTART, needed, meaning)
const struct config_row config_auth_rows[] = {
#include "config/config.def"
};
const size_t config_auth_row_count = ARRAY_LEN(config_auth_rows);

static const struct config_span tables[] = {
    {config_rows, ARRAY_LEN(config_rows)},
    {config_peer_rows, ARRAY_LEN(config_peer_rows)},
    {config_vault_rows, ARRAY_LEN(config_vault_rows)},
    {config_auth_rows, ARRAY_LEN(config_auth_rows)},
};

const struct config_key *config_key_at(size_t i)
{
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        if (i < tables[t].count) {
            return &tables[t].rows[i].key;
        }
        i -= tables[t].count;
    }
    return NULL;
}

/* ---- reading ---- */

static enum kerr presets_add(struct buf *text, const struct config_span *table, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < table->count && k == KERR_OK; i++) {
        const struct config_key *key = &table->rows[i].key;
        if (key->preset != NULL) {
            k = buf_printf(text, e, "%s: %s\n", key->path, key->preset);
        }
    }
    return k;
}

enum kerr config_presets_read(struct buf *text, struct yaml **ret, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(tables) && k == KERR_OK; i++) {
        k = presets_add(text, &tables[i], e);
    }
    if (k != KERR_OK) {
        return k;
    }
    struct yaml_source source = {
        .text = buf_view(text), .name = "config.def", .max = CONFIG_PRESETS_MAX};
    return yaml_read(&source, ret, e);
}

const struct yaml_node *config_preset(const struct config_source *s, const struct config_row *row)
{
    for (const struct yaml_node *n = yaml_root(s->presets)->child; n != NULL; n = n->next) {
        if (strcmp(n->key, row->key.path) == 0) {
            return n;
        }
    }
    return NULL;
}

size_t config_section_len(const struct config_row *row)
{
    const char *dot = strchr(row->key.path, '.');
    return dot == NULL ? 0 : (size_t)(dot - row->key.path);
}

bool config_same_section(const struct config_row *a, const struct config_row *b)
{
    size_t len = config_section_len(a);
    return len == config_section_len(b) && strncmp(a->key.path, b->key.path, len) == 0;
}

/* One mapping of the file: the keys of the rows first … end (a section), found[] beside them. */
static enum kerr find_section(const struct config_source *s, const struct yaml_node *node,
                              const char *what, size_t first, size_t end,
                              const struct yaml_node **found, struct kerrinfo *e)
{
    const char *names[ROWS_MAX];
    for (size_t i = first; i < end; i++) {
        names[i - first] = config_row_name(&config_rows[i]);
    }
    return yaml_fields(s->doc, node, what, names, end - first, &found[first], e);
}

/* The names that may stand at the top: each section once, and the keys without one. first[i] is
 * where name i begins among the rows. */
static size_t top_names(char names[][YAML_KEY_MAX + 1], size_t first[ROWS_MAX + 1])
{
    size_t count = 0;
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        size_t len = config_section_len(row);
        if (len > 0 && i > 0 && config_same_section(row, &config_rows[i - 1])) {
            continue;
        }
        len = len == 0 ? strlen(row->key.path) : len;
        memcpy(names[count], row->key.path, len);
        names[count][len] = 0;
        first[count++] = i;
    }
    first[count] = config_row_count;
    return count;
}

/* Which node belongs to which row. */
static enum kerr find_all(const struct config_source *s, const struct yaml_node **found,
                          struct kerrinfo *e)
{
    char texts[ROWS_MAX][YAML_KEY_MAX + 1];
    const char *names[ROWS_MAX];
    const struct yaml_node *top[ROWS_MAX];
    size_t first[ROWS_MAX + 1];
    size_t count = top_names(texts, first);
    for (size_t i = 0; i < count; i++) {
        names[i] = texts[i];
    }
    enum kerr k = yaml_fields(s->doc, yaml_root(s->doc), "the file", names, count, top, e);
    for (size_t i = 0; i < count && k == KERR_OK; i++) {
        if (top[i] == NULL) {
            continue;
        }
        if (config_section_len(&config_rows[first[i]]) == 0) {
            found[first[i]] = top[i];
        } else {
            k = find_section(s, top[i], names[i], first[i], first[i + 1], found, e);
        }
    }
    return k;
}

static const struct yaml_node *found_for(const struct yaml_node *const *found, const char *path)
{
    size_t i = 0;
    while (strcmp(config_rows[i].key.path, path) != 0) {
        i++;
    }
    return found[i];
}

/* Rules between keys. What is refused differs from its default, so it stands in the file. */
static enum kerr check_together(const struct config_source *s, const struct yaml_node *const *found,
                                const struct config *c, struct kerrinfo *e)
{
    const struct yaml_node *also = found_for(found, "also_unwrap");
    const struct yaml_node *vault = found_for(found, "vault");
    bool is_provider = c->provider == CONFIG_PROVIDER_VAULT;
    bool is_used = is_provider || (c->also_unwrap & 1U << CONFIG_PROVIDER_VAULT) != 0;
    if ((c->also_unwrap & 1U << c->provider) != 0) {
        return yaml_refuse(s->doc, also, e,
                           "also_unwrap: the provider itself stands here; it unwraps anyway, name "
                           "only others");
    }
    if (is_used && vault == NULL) {
        return yaml_refuse(s->doc, is_provider ? found_for(found, "provider") : also, e,
                           "%s: vault needs the section vault with addresses, key, cluster_id and "
                           "auth, which this file does not have",
                           is_provider ? "provider" : "also_unwrap");
    }
    if (is_used && c->vault.cluster_id == NULL) {
        return yaml_refuse_key(s->doc, vault, e,
                               "vault: cluster_id is missing; a provider vault needs one, equal on "
                               "all nodes of the cluster and never changed, such as prod-1");
    }
    return KERR_OK;
}

static enum kerr read_rows(const struct config_source *s, struct config *c, struct kerrinfo *e)
{
    const struct yaml_node *found[ROWS_MAX] = {NULL};
    enum kerr k = find_all(s, found, e);
    for (size_t i = 0; i < config_row_count && k == KERR_OK; i++) {
        const struct config_row *row = &config_rows[i];
        const struct yaml_node *node = found[i] != NULL ? found[i] : config_preset(s, row);
        k = node == NULL ? KERR_OK : config_row_parse(row, s, node, c, e);
    }
    return k == KERR_OK ? check_together(s, found, c, e) : k;
}

enum kerr config_parse(struct bytes text, const char *name, struct config **ret, struct kerrinfo *e)
{
    AUTO_YAML doc = NULL;
    AUTO_YAML presets = NULL;
    AUTO_BUF preset_text;
    buf_init(&preset_text, CONFIG_PRESETS_MAX);
    AUTO_CONFIG c = calloc(1, sizeof *c);
    if (c == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a configuration");
    }
    struct yaml_source source = {.text = text, .name = name, .max = CONFIG_FILE_MAX};
    enum kerr k = text_dup(bytes_of_text(name), &c->file, e);
    if (k == KERR_OK) {
        k = config_presets_read(&preset_text, &presets, e);
    }
    if (k == KERR_OK) {
        k = yaml_read(&source, &doc, e);
    }
    if (k == KERR_OK) {
        struct config_source s = {.doc = doc, .presets = presets};
        k = read_rows(&s, c, e);
    }
    if (k == KERR_OK) {
        *ret = c;
        c = NULL;
    }
    return k;
}

enum kerr config_read(const char *path, struct config **ret, struct kerrinfo *e)
{
    AUTO_BUF text = {0};
    enum kerr k = file_read(NULL, path, CONFIG_FILE_MAX, FILE_READ_ANY, &text, e);
    return k == KERR_OK ? config_parse(buf_view(&text), path, ret, e) : k;
}

void config_free(struct config *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < config_row_count; i++) {
        config_row_done(&config_rows[i], c);
    }
    for (size_t i = 0; i < c->peer_count; i++) {
        for (size_t j = 0; j < config_peer_row_count; j++) {
            config_row_done(&config_peer_rows[j], &c->peers[i]);
        }
    }
    for (size_t i = 0; i < c->unseal_count; i++) {
        free(c->unseal[i].slot);
        free(c->unseal[i].spec);
    }
    config_vault_done(&c->vault);
    free(c->metrics_host);
    free(c->file);
    free(c);
}

void config_free_at(struct config **c)
{
    config_free(*c);
    *c = NULL;
}

/* ---- printing ---- */

static bool is_left_out(const struct config_row *row, const struct config *c)
{
    return row->type == CONFIG_TYPE_VAULT && c->vault.key == NULL;
}

enum kerr config_print(const struct config *c, struct buf *ret, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < config_row_count && k == KERR_OK; i++) {
        const struct config_row *row = &config_rows[i];
        size_t len = config_section_len(row);
        if (is_left_out(row, c)) {
            continue;
        }
        if (len > 0 && (i == 0 || !config_same_section(row, &config_rows[i - 1]))) {
            k = buf_printf(ret, e, "%.*s:\n", (int)len, row->key.path);
        }
        if (k == KERR_OK) {
            k = buf_printf(ret, e, "%s%s:", len > 0 ? "  " : "", config_row_name(row));
        }
        if (k == KERR_OK) {
            k = config_row_print(row, c, ret, e);
        }
        if (k == KERR_OK) {
            k = buf_put_text(ret, "\n", e);
        }
    }
    return k;
}

static enum kerr print_one(const struct config_row *row, const struct config *c, struct buf *ret,
                           struct kerrinfo *e)
{
    buf_init(ret, PRINTED_MAX);
    return is_left_out(row, c) ? KERR_OK : config_row_print(row, c, ret, e);
}

enum kerr config_restart_needed(const struct config *running, const struct config *fresh,
                                struct buf *ret, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    const char *gap = "";
    for (size_t i = 0; i < config_row_count && k == KERR_OK; i++) {
        const struct config_row *row = &config_rows[i];
        AUTO_BUF old_text = {0};
        AUTO_BUF new_text = {0};
        if (!row->key.needs_restart) {
            continue;
        }
        k = print_one(row, running, &old_text, e);
        if (k == KERR_OK) {
            k = print_one(row, fresh, &new_text, e);
        }
        if (k == KERR_OK && !bytes_equal(buf_view(&old_text), buf_view(&new_text))) {
            k = buf_printf(ret, e, "%s%s", gap, row->key.path);
            gap = ", ";
        }
    }
    return k;
}
