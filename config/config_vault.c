/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The section `vault` and its logins. It may be left out as a whole; then nothing of it is set, not
 * even its defaults.
 *
 * People put secrets where the name of a file belongs. So no message here shows a value.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/config_type.h"

#define SECTION_ROWS_MAX 32

/* In the order of enum config_login, as the words of the row `auth`. */
static const char *const login_words[CONFIG_LOGINS] = {"none", "approle", "cert", "jwt", "token"};

const char *config_login_name(enum config_login login)
{
    return login_words[login];
}

struct config_span config_login_rows(enum config_login login)
{
    struct config_span span = {.rows = config_auth_rows};
    char begins[64];
    int len = snprintf(begins, sizeof begins, "vault.auth.%s.", login_words[login]);
    const struct config_row *end = config_auth_rows + config_auth_row_count;
    while (span.rows < end && strncmp(span.rows->key.path, begins, (size_t)len) != 0) {
        span.rows++;
    }
    while (span.rows + span.count < end &&
           strncmp(span.rows[span.count].key.path, begins, (size_t)len) == 0) {
        span.count++;
    }
    return span;
}

/* ---- reading ---- */

/* What people write in the place of a file's name. */
static const char *const secret_words[] = {"secret_id", "role_id",     "token",       "jwt",
                                           "secret",    "password",    "cert",        "key",
                                           "id",        "certificate", "client_token"};

static enum kerr refuse_secret(const struct config_source *s, const struct yaml_node *node,
                               const char *what, struct kerrinfo *e)
{
    return yaml_refuse_key(s->doc, node, e,
                           "%s: secrets live in files, never in the configuration: write it to a "
                           "file that only the daemon's user can read and name that file in "
                           "vault.auth",
                           what);
}

static enum kerr check_for_secret(const struct config_source *s, const struct yaml_node *node,
                                  const char *what, const struct config_span *rows,
                                  struct kerrinfo *e)
{
    for (const struct yaml_node *n = node->child; n != NULL; n = n->next) {
        bool is_known = false;
        bool is_secret = false;
        for (size_t i = 0; i < rows->count; i++) {
            is_known = is_known || strcmp(n->key, config_row_name(&rows->rows[i])) == 0;
        }
        for (size_t i = 0; i < ARRAY_LEN(secret_words); i++) {
            is_secret = is_secret || strcmp(n->key, secret_words[i]) == 0;
        }
        if (is_secret && !is_known) {
            return refuse_secret(s, n, what, e);
        }
    }
    return KERR_OK;
}

static enum kerr refuse_absent(const struct config_source *s, const struct yaml_node *node,
                               const char *what, const struct config_row *row, struct kerrinfo *e)
{
    return yaml_refuse_key(s->doc, node, e, "%s: %s is missing: %s", what, config_row_name(row),
                           row->key.meaning);
}

/* One mapping: the keys of `rows`, read into `base`; found[] beside them. */
static enum kerr parse_span(const struct config_source *s, const struct yaml_node *node,
                            const char *what, const struct config_span *rows, void *base,
                            const struct yaml_node **found, struct kerrinfo *e)
{
    const char *names[SECTION_ROWS_MAX];
    for (size_t i = 0; i < rows->count; i++) {
        names[i] = config_row_name(&rows->rows[i]);
    }
    enum kerr k = KERR_OK;
    if (node->kind == YAML_MAPPING) {
        k = check_for_secret(s, node, what, rows, e);
    }
    if (k == KERR_OK) {
        k = yaml_fields(s->doc, node, what, names, rows->count, found, e);
    }
    for (size_t i = 0; i < rows->count && k == KERR_OK; i++) {
        const struct config_row *row = &rows->rows[i];
        const struct yaml_node *value = found[i] != NULL ? found[i] : config_preset(s, row);
        if (value == NULL && row->is_needed) {
            return refuse_absent(s, node, what, row, e);
        }
        k = value == NULL ? KERR_OK : config_row_parse(row, s, value, base, e);
    }
    return k;
}

enum kerr config_parse_login(const struct config_row *row, const struct config_source *s,
                             const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    const struct yaml_node *logins[CONFIG_LOGINS];
    const struct yaml_node *found[SECTION_ROWS_MAX];
    struct config_auth *auth = (void *)((char *)base + row->offset);
    enum kerr k = yaml_fields(s->doc, node, row->key.path, login_words, CONFIG_LOGINS, logins, e);
    if (k != KERR_OK) {
        return k;
    }
    if (yaml_count(node) != 1) {
        return yaml_refuse(s->doc, node->child == NULL ? node : node->child->next, e,
                           "%s: expected one login, %s; choose one of none, approle, cert, jwt, "
                           "token",
                           row->key.path, node->child == NULL ? "has none" : "has two");
    }
    const struct yaml_node *login = node->child;
    auth->kind = (enum config_login)config_word_index(row->words, login->key);
    char what[64];
    (void)snprintf(what, sizeof what, "%s.%s", row->key.path, login->key);
    if (login->kind == YAML_SCALAR && *login->text != 0) {
        return refuse_secret(s, login, what, e);
    }
    struct config_span rows = config_login_rows(auth->kind);
    if (rows.count == 0 && login->child != NULL) {
        return yaml_refuse_key(s->doc, login->child, e, "%s has no keys; write %s: {}", what,
                               login->key);
    }
    return parse_span(s, login, what, &rows, auth, found, e);
}

/* Rules between the keys of the section. */
static enum kerr check_vault(const struct config_source *s, const struct config_vault *v,
                             const struct yaml_node *addresses, struct kerrinfo *e)
{
    const struct yaml_node *node = addresses->child;
    for (size_t i = 0; i < v->address_count; i++, node = node->next) {
        bool is_far = config_address_reach(v->addresses[i]) == CONFIG_REACH_NETWORK;
        if (is_far && config_address_is_plain(v->addresses[i]) && !v->allow_plain_http) {
            return yaml_refuse(s->doc, node, e,
                               "vault.addresses: http to another host lets everybody between read "
                               "and change all; use https, or set vault.allow_plain_http: true "
                               "where something else protects the way");
        }
        if (is_far && v->auth.kind == CONFIG_LOGIN_NONE) {
            return yaml_refuse(s->doc, node, e,
                               "vault.addresses: with vault.auth none an agent or proxy on this "
                               "host logs in, so expected unix:/PATH or an address of the "
                               "loopback; for a server name a login");
        }
    }
    return KERR_OK;
}

static const struct yaml_node *found_for(const struct yaml_node *const *found,
                                         enum config_type type)
{
    size_t i = 0;
    while (config_vault_rows[i].type != type) {
        i++;
    }
    return found[i];
}

enum kerr config_parse_vault(const struct config_row *row, const struct config_source *s,
                             const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    struct config_vault *v = (void *)((char *)base + row->offset);
    const struct yaml_node *found[SECTION_ROWS_MAX];
    struct config_span rows = {config_vault_rows, config_vault_row_count};
    enum kerr k = parse_span(s, node, row->key.path, &rows, v, found, e);
    return k == KERR_OK ? check_vault(s, v, found_for(found, CONFIG_TYPE_ADDRESSES), e) : k;
}

void config_vault_done(struct config_vault *v)
{
    for (size_t i = 0; i < config_vault_row_count; i++) {
        config_row_done(&config_vault_rows[i], v);
    }
    for (size_t i = 0; i < v->address_count; i++) {
        text_free_at(&v->addresses[i]);
    }
    for (size_t i = 0; i < config_auth_row_count; i++) {
        config_row_done(&config_auth_rows[i], &v->auth);
    }
}

/* ---- printing ---- */

/* `gap` before the first key, `between` before the others. */
static enum kerr print_span(const struct config_span *rows, const void *base, const char *gap,
                            const char *between, struct buf *ret, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < rows->count && k == KERR_OK; i++) {
        const struct config_row *row = &rows->rows[i];
        if (config_row_is_absent(row, base)) {
            continue;
        }
        k = buf_printf(ret, e, "%s%s:", gap, config_row_name(row));
        if (k == KERR_OK) {
            k = config_row_print(row, base, ret, e);
        }
        gap = between;
    }
    return k;
}

enum kerr config_print_login(const struct config_row *row, const void *base, struct buf *ret,
                             struct kerrinfo *e)
{
    const struct config_auth *auth = (const void *)((const char *)base + row->offset);
    struct config_span rows = config_login_rows(auth->kind);
    enum kerr k = buf_printf(ret, e, " { %s: {", login_words[auth->kind]);
    if (k == KERR_OK) {
        k = print_span(&rows, auth, " ", ", ", ret, e);
    }
    return k == KERR_OK ? buf_put_text(ret, rows.count == 0 ? "} }" : " } }", e) : k;
}

enum kerr config_print_vault(const struct config_row *row, const void *base, struct buf *ret,
                             struct kerrinfo *e)
{
    struct config_span rows = {config_vault_rows, config_vault_row_count};
    return print_span(&rows, (const char *)base + row->offset, "\n  ", "\n  ", ret, e);
}
