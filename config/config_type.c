/* SPDX-License-Identifier: Apache-2.0 */
/* The table of types, and the types of one value each. */
#include "config/config_type.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* Longest piece of wrong text that a message shows, escaped. */
#define SHOWN_BYTES 64
/* Longest name of a user or group: useradd(8). */
#define ACCOUNT_MAX 32
/* The socket of status and metrics lies beside the socket: etcdseald gives it this name. */
#define STATUS_SOCKET_NAME "status.sock"

typedef enum kerr parse_fn(const struct config_row *row, const struct config_source *s,
                           const struct yaml_node *node, void *base, struct kerrinfo *e);
typedef enum kerr print_fn(const struct config_row *row, const void *base, struct buf *ret,
                           struct kerrinfo *e);

static void *field(const struct config_row *row, void *base)
{
    return (char *)base + row->offset;
}

static const void *field_view(const struct config_row *row, const void *base)
{
    return (const char *)base + row->offset;
}

const char *config_row_name(const struct config_row *row)
{
    const char *dot = strrchr(row->key.path, '.');
    return dot == NULL ? row->key.path : dot + 1;
}

int config_word_index(const char *words, const char *text)
{
    size_t len = strlen(text);
    int index = 0;
    for (const char *p = words; p != NULL; p = strchr(p, '|'), index++) {
        p += *p == '|' ? 1 : 0;
        if (strcspn(p, "|") == len && strncmp(p, text, len) == 0) {
            return index;
        }
    }
    return -1;
}

enum kerr config_refuse_word(const struct config_row *row, const struct config_source *s,
                             const struct yaml_node *node, struct kerrinfo *e)
{
    char shown[SHOWN_BYTES];
    char allowed[SHOWN_BYTES * 2] = "";
    size_t len = 0;
    for (const char *p = row->words; *p != 0 && len + 3 < sizeof allowed; p++) {
        len += (size_t)snprintf(allowed + len, sizeof allowed - len, *p == '|' ? ", " : "%c", *p);
    }
    text_escape(bytes_of_text(node->text), shown, sizeof shown);
    return yaml_refuse(s->doc, node, e, "%s: '%s' is not known; allowed: %s", row->key.path, shown,
                       allowed);
}

/* ---- texts ---- */

enum kerr config_put_quoted(struct buf *b, const char *text, struct kerrinfo *e)
{
    enum kerr k = buf_put_text(b, "\"", e);
    for (const char *p = text; *p != 0 && k == KERR_OK; p++) {
        k = buf_printf(b, e, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    }
    return k == KERR_OK ? buf_put_text(b, "\"", e) : k;
}

static enum kerr print_text(const struct config_row *row, const void *base, struct buf *ret,
                            struct kerrinfo *e)
{
    const char *text = *(char *const *)field_view(row, base);
    enum kerr k = buf_put_text(ret, " ", e);
    return k == KERR_OK ? config_put_quoted(ret, text, e) : k;
}

static enum kerr keep_text(const struct config_row *row, const char *text, void *base,
                           struct kerrinfo *e)
{
    return text_dup(bytes_of_text(text), (char **)field(row, base), e);
}

static enum kerr parse_text(const struct config_row *row, const struct config_source *s,
                            const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    const char *text = NULL;
    enum kerr k = yaml_text(s->doc, node, row->key.path, "text", &text, e);
    if (k != KERR_OK) {
        return k;
    }
    if (*text == 0 || strlen(text) > row->max) {
        return yaml_refuse(s->doc, node, e, "%s: expected 1 to %llu bytes", row->key.path,
                           (unsigned long long)row->max);
    }
    return keep_text(row, text, base, e);
}

const char *config_path_problem(const char *path)
{
    const char *last = strrchr(path, '/');
    if (*path != '/') {
        return "expected an absolute path, which begins with '/'";
    }
    if (last[1] == 0) {
        return "expected the path of a file, without a '/' at its end";
    }
    if (strcmp(last, "/.") == 0 || strcmp(last, "/..") == 0) {
        return "expected the path of a file";
    }
    return NULL;
}

static enum kerr parse_path(const struct config_row *row, const struct config_source *s,
                            const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    const char *path = NULL;
    enum kerr k = yaml_text(s->doc, node, row->key.path, "an absolute path", &path, e);
    if (k != KERR_OK) {
        return k;
    }
    const char *problem = config_path_problem(path);
    if (problem == NULL && strlen(path) >= PATH_MAX) {
        problem = "longer than a path can be";
    }
    return problem == NULL ? keep_text(row, path, base, e)
                           : yaml_refuse(s->doc, node, e, "%s: %s", row->key.path, problem);
}

static enum kerr parse_socket(const struct config_row *row, const struct config_source *s,
                              const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    const char *path = NULL;
    enum kerr k = yaml_text(s->doc, node, row->key.path, "an absolute path", &path, e);
    if (k != KERR_OK) {
        return k;
    }
    const char *problem = config_path_problem(path);
    const char *name = strrchr(path, '/');
    size_t len = strlen(path);
    if (*path == '@') {
        problem = "abstract sockets ('@') have neither owner nor mode; name a path such as "
                  "/run/etcdseal/kms.sock";
    } else if (problem == NULL && len > CONFIG_SOCKET_PATH_MAX) {
        return yaml_refuse(s->doc, node, e,
                           "%s: %zu bytes, a unix socket's path holds at most %d; use a shorter "
                           "folder name",
                           row->key.path, len, CONFIG_SOCKET_PATH_MAX);
    } else if (problem == NULL && strcmp(name + 1, STATUS_SOCKET_NAME) == 0) {
        problem = STATUS_SOCKET_NAME " is the name of the status socket in the same folder; "
                                     "choose another";
    } else if (problem == NULL &&
               (size_t)(name + 1 - path) + strlen(STATUS_SOCKET_NAME) > CONFIG_SOCKET_PATH_MAX) {
        problem = "the folder's name leaves no room for " STATUS_SOCKET_NAME " beside it; use a "
                  "shorter one";
    }
    return problem == NULL ? keep_text(row, path, base, e)
                           : yaml_refuse(s->doc, node, e, "%s: %s", row->key.path, problem);
}

/* Numbers may be written without quotes. */
static enum kerr parse_account(const struct config_row *row, const struct config_source *s,
                               const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    static const char expected[] = "the name or number of a user or group";
    if (node->kind != YAML_SCALAR ||
        (node->is_plain && yaml_type_of(node) != YAML_TEXT && yaml_type_of(node) != YAML_NUMBER)) {
        return yaml_refuse_type(s->doc, node, row->key.path, expected, e);
    }
    const char *text = node->text;
    size_t len = strlen(text);
    bool is_number = len > 0 && text[strspn(text, "0123456789")] == 0;
    uint64_t id = 0;
    bool is_good =
        is_number ? text_to_u64(text, "id", 0, UINT32_MAX - 1, &id, NULL) == KERR_OK
                  : len > 0 && len <= ACCOUNT_MAX && *text != '-' &&
                        text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789._-$")] == 0;
    if (!is_good) {
        return yaml_refuse(s->doc, node, e, "%s: expected %s", row->key.path, expected);
    }
    return keep_text(row, text, base, e);
}

static bool is_name(const char *text, size_t len, size_t max)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    return len > 0 && len <= max && *text != '.' && *text != '-' && strspn(text, letters) >= len;
}

bool config_is_name(const char *text, size_t max)
{
    return is_name(text, strlen(text), max);
}

bool config_is_segments(const char *text, size_t max)
{
    bool is_good = strlen(text) <= max;
    for (const char *p = text; p != NULL && is_good; p = strchr(p, '/')) {
        p += p != text ? 1 : 0;
        is_good = is_name(p, strcspn(p, "/"), max);
    }
    return is_good;
}

static enum kerr parse_name(const struct config_row *row, const struct config_source *s,
                            const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    const char *text = NULL;
    enum kerr k = yaml_text(s->doc, node, row->key.path, "a name", &text, e);
    if (k != KERR_OK) {
        return k;
    }
    if (!config_is_name(text, row->max)) {
        return yaml_refuse(s->doc, node, e,
                           "%s: expected 1 to %llu of the letters a-z A-Z 0-9 . _ -, the first "
                           "neither '.' nor '-'",
                           row->key.path, (unsigned long long)row->max);
    }
    return keep_text(row, text, base, e);
}

static enum kerr parse_segments(const struct config_row *row, const struct config_source *s,
                                const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    const char *text = NULL;
    enum kerr k = yaml_text(s->doc, node, row->key.path, "a path such as a/b", &text, e);
    if (k != KERR_OK) {
        return k;
    }
    if (!config_is_segments(text, row->max)) {
        return yaml_refuse(s->doc, node, e,
                           "%s: expected names of the letters a-z A-Z 0-9 . _ - with '/' between "
                           "them, none beginning with '.' or '-', no '/' at either end, at "
                           "most %llu bytes",
                           row->key.path, (unsigned long long)row->max);
    }
    return keep_text(row, text, base, e);
}

/* The text is not shown: it may be the secret itself. */
static enum kerr parse_file(const struct config_row *row, const struct config_source *s,
                            const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    static const char credential[] = "credential:";
    static const char expected[] =
        "the file that holds it, an absolute path, or credential:NAME for a systemd credential";
    const char *text = NULL;
    enum kerr k = yaml_text(s->doc, node, row->key.path, expected, &text, e);
    if (k != KERR_OK) {
        return k;
    }
    size_t head = strlen(credential);
    bool is_credential = strncmp(text, credential, head) == 0;
    bool is_good = is_credential ? is_name(text + head, strlen(text + head), NAME_MAX)
                                 : config_path_problem(text) == NULL && strlen(text) < PATH_MAX;
    return is_good ? keep_text(row, text, base, e)
                   : yaml_refuse(s->doc, node, e, "%s: expected %s", row->key.path, expected);
}

/* ---- numbers ---- */

static enum kerr parse_mode(const struct config_row *row, const struct config_source *s,
                            const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    if (node->kind != YAML_SCALAR || (node->is_plain && yaml_type_of(node) != YAML_NUMBER)) {
        return yaml_refuse_type(s->doc, node, row->key.path, "a mode in quotes such as \"0600\"",
                                e);
    }
    if (node->is_plain) {
        return yaml_refuse(s->doc, node, e,
                           "%s: put the mode in quotes, as in \"0600\"; without them YAML reads a "
                           "decimal number",
                           row->key.path);
    }
    struct kerrinfo why = {0};
    uint32_t mode = 0;
    if (text_to_mode(node->text, row->key.path, &mode, &why) != KERR_OK) {
        return yaml_refuse(s->doc, node, e, "%s", why.text);
    }
    if ((mode & 07) != 0) {
        return yaml_refuse(s->doc, node, e,
                           "%s: others must have no access (\"0600\" or \"0660\"); use "
                           "socket.owner and socket.group",
                           row->key.path);
    }
    *(mode_t *)field(row, base) = mode;
    return KERR_OK;
}

static enum kerr print_mode(const struct config_row *row, const void *base, struct buf *ret,
                            struct kerrinfo *e)
{
    return buf_printf(ret, e, " \"%04o\"", *(const mode_t *)field_view(row, base));
}

static enum kerr parse_bool(const struct config_row *row, const struct config_source *s,
                            const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    bool is_true = node->is_plain && strcmp(node->text, "true") == 0;
    if (node->kind != YAML_SCALAR ||
        (!is_true && !(node->is_plain && strcmp(node->text, "false") == 0))) {
        return yaml_refuse(s->doc, node, e, "%s: expected true or false", row->key.path);
    }
    *(bool *)field(row, base) = is_true;
    return KERR_OK;
}

static enum kerr print_bool(const struct config_row *row, const void *base, struct buf *ret,
                            struct kerrinfo *e)
{
    return buf_put_text(ret, *(const bool *)field_view(row, base) ? " true" : " false", e);
}

static enum kerr parse_u32(const struct config_row *row, const struct config_source *s,
                           const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    uint64_t value = 0;
    bool is_good =
        node->kind == YAML_SCALAR && node->is_plain &&
        text_to_u64(node->text, row->key.path, row->min, row->max, &value, NULL) == KERR_OK;
    if (!is_good) {
        return yaml_refuse(
            s->doc, node, e, "%s: expected a whole number from %llu to %llu, without quotes",
            row->key.path, (unsigned long long)row->min, (unsigned long long)row->max);
    }
    *(uint32_t *)field(row, base) = (uint32_t)value;
    return KERR_OK;
}

static enum kerr parse_id(const struct config_row *row, const struct config_source *s,
                          const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    enum kerr k = parse_u32(row, s, node, base, e);
    if (k == KERR_OK && *(uint32_t *)field(row, base) == CONFIG_OVERFLOW_ID) {
        k = yaml_refuse(s->doc, node, e,
                        "%s: %u stands for everyone who has no id of his own here (nobody, and "
                        "all unmapped ids of containers); name a real one",
                        row->key.path, CONFIG_OVERFLOW_ID);
    }
    return k;
}

static enum kerr print_u32(const struct config_row *row, const void *base, struct buf *ret,
                           struct kerrinfo *e)
{
    return buf_printf(ret, e, " %u", *(const uint32_t *)field_view(row, base));
}

/* 0 is a number in YAML and a duration here. */
static enum kerr parse_duration(const struct config_row *row, const struct config_source *s,
                                const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    if (node->kind != YAML_SCALAR || yaml_type_of(node) == YAML_NULL) {
        return yaml_refuse_type(s->doc, node, row->key.path, "a duration such as 10s", e);
    }
    struct kerrinfo why = {0};
    uint64_t ms = 0;
    if (text_to_duration_ms(node->text, row->key.path, row->min, row->max, &ms, &why) != KERR_OK) {
        return yaml_refuse(s->doc, node, e, "%s", why.text);
    }
    *(unsigned *)field(row, base) = (unsigned)ms;
    return KERR_OK;
}

static enum kerr print_duration(const struct config_row *row, const void *base, struct buf *ret,
                                struct kerrinfo *e)
{
    unsigned ms = *(const unsigned *)field_view(row, base);
    return ms % 1000 == 0 ? buf_printf(ret, e, " %us", ms / 1000) : buf_printf(ret, e, " %ums", ms);
}

/* ---- choices ---- */

static enum kerr parse_choice(const struct config_row *row, const struct config_source *s,
                              const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    const char *text = NULL;
    enum kerr k = yaml_text(s->doc, node, row->key.path, row->words, &text, e);
    if (k != KERR_OK) {
        return k;
    }
    int index = config_word_index(row->words, text);
    if (index < 0) {
        return config_refuse_word(row, s, node, e);
    }
    *(unsigned *)field(row, base) = (unsigned)index;
    return KERR_OK;
}

static enum kerr print_choice(const struct config_row *row, const void *base, struct buf *ret,
                              struct kerrinfo *e)
{
    const char *word = row->words;
    for (unsigned i = *(const unsigned *)field_view(row, base); i > 0; i--) {
        word = strchr(word, '|') + 1;
    }
    return buf_printf(ret, e, " %.*s", (int)strcspn(word, "|"), word);
}

/* ---- the metrics address ---- */

/* Splits "127.0.0.1:9655" or "[::1]:9655". The host is copied without brackets. */
static bool split_listen(const char *text, char host[static INET6_ADDRSTRLEN], uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    uint64_t number = 0;
    if (colon == NULL || text_to_u64(colon + 1, "port", 1, UINT16_MAX, &number, NULL) != KERR_OK) {
        return false;
    }
    size_t len = (size_t)(colon - text);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    } else if (memchr(text, ':', len) != NULL) {
        return false;
    }
    if (len == 0 || len >= INET6_ADDRSTRLEN) {
        return false;
    }
    memcpy(host, text, len);
    host[len] = 0;
    *port = (uint16_t)number;
    return true;
}

bool config_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static enum kerr parse_listen(const struct config_row *row, const struct config_source *s,
                              const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    static const char expected[] = "\"off\" or a loopback address such as \"127.0.0.1:9655\"";
    struct config *c = base;
    const char *text = NULL;
    enum kerr k = yaml_text(s->doc, node, row->key.path, expected, &text, e);
    if (k != KERR_OK || strcmp(text, "off") == 0) {
        return k;
    }
    char host[INET6_ADDRSTRLEN];
    if (!split_listen(text, host, &c->metrics_port)) {
        return yaml_refuse(s->doc, node, e, "%s: expected %s", row->key.path, expected);
    }
    if (!config_is_loopback(host)) {
        return yaml_refuse(s->doc, node, e,
                           "%s: not a numeric address of the loopback; it is served without "
                           "authentication, so put a proxy before it for other hosts",
                           row->key.path);
    }
    c->metrics_is_on = true;
    return text_dup(bytes_of_text(host), &c->metrics_host, e);
}

static enum kerr print_listen(const struct config_row *row, const void *base, struct buf *ret,
                              struct kerrinfo *e)
{
    (void)row;
    const struct config *c = base;
    if (!c->metrics_is_on) {
        return buf_put_text(ret, " \"off\"", e);
    }
    bool is_v6 = strchr(c->metrics_host, ':') != NULL;
    return buf_printf(ret, e, is_v6 ? " \"[%s]:%u\"" : " \"%s:%u\"", c->metrics_host,
                      c->metrics_port);
}

/* ---- the table ---- */

static const struct {
    parse_fn *parse;
    print_fn *print;
    bool owns_text;
} types[] = {
    [CONFIG_TYPE_TEXT] = {parse_text, print_text, true},
    [CONFIG_TYPE_PATH] = {parse_path, print_text, true},
    [CONFIG_TYPE_SOCKET] = {parse_socket, print_text, true},
    [CONFIG_TYPE_ACCOUNT] = {parse_account, print_text, true},
    [CONFIG_TYPE_MODE] = {parse_mode, print_mode, false},
    [CONFIG_TYPE_BOOL] = {parse_bool, print_bool, false},
    [CONFIG_TYPE_U32] = {parse_u32, print_u32, false},
    [CONFIG_TYPE_ID] = {parse_id, print_u32, false},
    [CONFIG_TYPE_DURATION] = {parse_duration, print_duration, false},
    [CONFIG_TYPE_CHOICE] = {parse_choice, print_choice, false},
    [CONFIG_TYPE_WORDS] = {config_parse_words, config_print_words, false},
    [CONFIG_TYPE_NAME] = {parse_name, print_text, true},
    [CONFIG_TYPE_SEGMENTS] = {parse_segments, print_text, true},
    [CONFIG_TYPE_FILE] = {parse_file, print_text, true},
    [CONFIG_TYPE_LISTEN] = {parse_listen, print_listen, false},
    [CONFIG_TYPE_PEERS] = {config_parse_peers, config_print_peers, false},
    [CONFIG_TYPE_UNSEAL] = {config_parse_unseal, config_print_unseal, false},
    [CONFIG_TYPE_VAULT] = {config_parse_vault, config_print_vault, false},
    [CONFIG_TYPE_ADDRESSES] = {config_parse_addresses, config_print_addresses, false},
    [CONFIG_TYPE_LOGIN] = {config_parse_login, config_print_login, false},
};

enum kerr config_row_parse(const struct config_row *row, const struct config_source *s,
                           const struct yaml_node *node, void *base, struct kerrinfo *e)
{
    return types[row->type].parse(row, s, node, base, e);
}

enum kerr config_row_print(const struct config_row *row, const void *base, struct buf *ret,
                           struct kerrinfo *e)
{
    return types[row->type].print(row, base, ret, e);
}

void config_row_done(const struct config_row *row, void *base)
{
    if (types[row->type].owns_text) {
        text_free_at((char **)field(row, base));
    }
}

bool config_row_is_absent(const struct config_row *row, const void *base)
{
    return types[row->type].owns_text && *(char *const *)field_view(row, base) == NULL;
}
