/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON Schema of the configuration, from config.def: what editors check and complete with.
 *
 * Draft-07, because it is the newest that the common editors read whole: of what drafts 2019-09
 * and 2020-12 added, the JSON support of VS Code and yaml-language-server read a part. Nothing here
 * needs the newer ones.
 *
 * Patterns say what the readers of config_type.c say, ranges of durations included. They are
 * written for ECMA 262 with the flag u, whose escapes are few.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/config_type.h"
#include "json/json.h"

#define TEXT_MAX 4096

#define SCHEMA_URI "http://json-schema.org/draft-07/schema#"

/* A path of a file: absolute, its last part neither empty nor . or .. */
#define PATH_PATTERN "/(?:[^/]*/)*(?!\\.{1,2}$)[^/]+$"
/* And the name of the status socket fits beside it: at most 95 bytes before the last slash. */
#define SOCKET_PATTERN "^(?!.*/status\\.sock$)(?=.{0,95}/[^/]*$)" PATH_PATTERN
#define ACCOUNT_NAME   "(?![0-9]*$)(?!-)[A-Za-z0-9._$-]{1,32}"
#define SLOT_PATTERN   "^(?!-)[a-z0-9-]{1,31}$"
#define SPEC_PATTERN   "^(?:passphrase|file|credential|vault):"
/* What config_type.c takes for a name, without a limit of its length. */
#define NAME_PATTERN "(?![.-])[A-Za-z0-9._-]"
/* An address of config_address.c: a name whose last part is no number, IPv4, IPv6, a socket. */
#define LABEL_PATTERN "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
#define NUMBER_LAST   "(?:.*\\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)(?::|$)"
#define OCTET         "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define HOST_PATTERN                                                                               \
    "(?:(?!" NUMBER_LAST ")(?=[^:]{1,253}(?::|$))" LABEL_PATTERN "(?:\\." LABEL_PATTERN            \
    ")*|" OCTET "(?:\\." OCTET "){3}|\\[[0-9A-Fa-f:.]{2,45}\\])"
#define UNIX_PATTERN "unix:(?=.{1,107}$)(?!//)" PATH_PATTERN

/* ---- patterns of numbers ---- */

/* Alternatives for the decimal numbers lo … hi. One block at a time: numbers whose last digits are
 * free, whose digit before them runs from one figure to another, and whose others are fixed. */
static void put_numbers(struct appender *a, uint64_t lo, uint64_t hi)
{
    const char *gap = "";
    while (lo <= hi) {
        uint64_t step = 1;
        int free_digits = 0;
        while (lo != 0 && lo % (step * 10) == 0 && lo + step * 10 - 1 <= hi) {
            step *= 10;
            free_digits++;
        }
        uint64_t first = lo / step;
        uint64_t last = first;
        while (last % 10 < 9 && (last + 2) * step - 1 <= hi) {
            last++;
        }
        append_text(a, gap);
        gap = "|";
        if (first >= 10) {
            append_printf(a, "%llu", (unsigned long long)(first / 10));
        }
        append_printf(a, first == last ? "%u" : "[%u-%u]", (unsigned)(first % 10),
                      (unsigned)(last % 10));
        if (free_digits > 0) {
            append_printf(a, free_digits == 1 ? "[0-9]" : "[0-9]{%d}", free_digits);
        }
        lo = (last + 1) * step;
    }
}

static void put_number(struct appender *a, uint64_t lo, uint64_t hi)
{
    append_text(a, "0*(?:");
    put_numbers(a, lo, hi);
    append_text(a, ")");
}

static const struct {
    const char *name;
    uint64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

static void put_durations(struct appender *a, uint64_t min, uint64_t max)
{
    const char *gap = min == 0 ? "0+|" : "";
    append_text(a, "^(?:");
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        uint64_t lo = (min + units[i].ms - 1) / units[i].ms;
        uint64_t hi = max / units[i].ms;
        if (lo <= hi) {
            append_text(a, gap);
            put_number(a, lo, hi);
            append_text(a, units[i].name);
            gap = "|";
        }
    }
    append_text(a, ")$");
}

static void put_listen_pattern(struct appender *a)
{
    append_text(a, "^(?:off|(?:127(?:\\." OCTET "){3}|\\[(?:::1|127(?:\\." OCTET "){3})\\]):");
    put_number(a, 1, UINT16_MAX);
    append_text(a, ")$");
}

/* A port has no zero before it, so the file and what is connected to are one text. */
static void put_address(struct appender *a)
{
    append_text(a, "^(?:" UNIX_PATTERN "|https?://" HOST_PATTERN "(?::(?!0)");
    put_number(a, 1, UINT16_MAX);
    append_text(a, ")?$)");
}

/* ---- what is written ---- */

struct schema {
    struct json_writer json;
    struct buf *text; /* for a text that is put together first */
    struct config_source presets;
};

/* Writes what was put together in `a`, an appender on s->text. */
static void end_text(struct schema *s, const char *key, const struct appender *a)
{
    const char *text = NULL;
    enum kerr k = a->k == KERR_OK ? buf_text(s->text, &text, s->json.e) : a->k;
    if (k == KERR_OK) {
        json_put_text(&s->json, key, text);
    } else if (s->json.k == KERR_OK) {
        s->json.k = k;
    }
    s->text->len = 0;
}

static void put_type(struct schema *s, const char *type)
{
    json_put_text(&s->json, "type", type);
}

static void put_pattern(struct schema *s, const char *pattern)
{
    put_type(s, "string");
    json_put_text(&s->json, "pattern", pattern);
}

static void put_range(struct schema *s, uint64_t min, uint64_t max)
{
    put_type(s, "integer");
    json_put_u64(&s->json, "minimum", min);
    json_put_u64(&s->json, "maximum", max);
}

static void put_words(struct schema *s, const char *words)
{
    json_put_array(&s->json, "enum");
    for (const char *p = words; *p != 0; p += *p == '|' ? 1 : 0) {
        char word[YAML_KEY_MAX + 1];
        size_t len = strcspn(p, "|");
        (void)snprintf(word, sizeof word, "%.*s", (int)len, p);
        json_put_text(&s->json, NULL, word);
        p += len;
    }
    json_put_close(&s->json);
}

static void put_account(struct schema *s, const struct config_row *row)
{
    (void)row;
    struct appender a = appender_on(s->text, s->json.e);
    json_put_array(&s->json, "anyOf");
    json_put_object(&s->json, NULL);
    put_range(s, 0, UINT32_MAX - 1);
    json_put_close(&s->json);
    json_put_object(&s->json, NULL);
    put_type(s, "string");
    append_text(&a, "^(?:" ACCOUNT_NAME "|");
    put_number(&a, 0, UINT32_MAX - 1);
    append_text(&a, ")$");
    end_text(s, "pattern", &a);
    json_put_close(&s->json);
    json_put_close(&s->json);
}

/* 0 is a number in YAML and a duration here. */
static void put_duration(struct schema *s, const struct config_row *row)
{
    struct appender a = appender_on(s->text, s->json.e);
    put_durations(&a, row->min, row->max);
    if (row->min > 0) {
        put_type(s, "string");
        end_text(s, "pattern", &a);
        return;
    }
    json_put_array(&s->json, "anyOf");
    json_put_object(&s->json, NULL);
    json_put_u64(&s->json, "const", 0);
    json_put_close(&s->json);
    json_put_object(&s->json, NULL);
    put_type(s, "string");
    end_text(s, "pattern", &a);
    json_put_close(&s->json);
    json_put_close(&s->json);
}

static void put_row(struct schema *s, const struct config_row *row);

/* A row has either uid or gid: of two `required`, one holds. */
static void put_peers(struct schema *s, const struct config_row *row)
{
    struct json_writer *w = &s->json;
    put_type(s, "array");
    json_put_u64(w, "minItems", row->min);
    json_put_u64(w, "maxItems", row->max);
    json_put_bool(w, "uniqueItems", true);
    json_put_object(w, "items");
    put_type(s, "object");
    json_put_bool(w, "additionalProperties", false);
    json_put_array(w, "oneOf");
    for (size_t i = 0; i < config_peer_row_count; i++) {
        if (config_peer_rows[i].type == CONFIG_TYPE_ID) {
            json_put_object(w, NULL);
            json_put_array(w, "required");
            json_put_text(w, NULL, config_row_name(&config_peer_rows[i]));
            json_put_close(w);
            json_put_close(w);
        }
    }
    json_put_close(w);
    json_put_object(w, "properties");
    for (size_t i = 0; i < config_peer_row_count; i++) {
        put_row(s, &config_peer_rows[i]);
    }
    json_put_close(w);
    json_put_close(w);
}

static void put_unseal(struct schema *s, const struct config_row *row)
{
    put_type(s, "object");
    json_put_u64(&s->json, "maxProperties", row->max);
    json_put_object(&s->json, "propertyNames");
    json_put_text(&s->json, "pattern", SLOT_PATTERN);
    json_put_close(&s->json);
    json_put_object(&s->json, "additionalProperties");
    put_pattern(s, SPEC_PATTERN);
    json_put_close(&s->json);
}

/* Of the section `vault`: the keys of `span`, and which of them must be there. */
static void put_span(struct schema *s, const struct config_span *span)
{
    bool has_needed = false;
    put_type(s, "object");
    json_put_bool(&s->json, "additionalProperties", false);
    for (size_t i = 0; i < span->count; i++) {
        if (span->rows[i].is_needed && !has_needed) {
            json_put_array(&s->json, "required");
            has_needed = true;
        }
        if (span->rows[i].is_needed) {
            json_put_text(&s->json, NULL, config_row_name(&span->rows[i]));
        }
    }
    if (has_needed) {
        json_put_close(&s->json);
    }
    json_put_object(&s->json, "properties");
    for (size_t i = 0; i < span->count; i++) {
        put_row(s, &span->rows[i]);
    }
    json_put_close(&s->json);
}

/* One login: of several `required`, one holds. */
static void put_login(struct schema *s, const struct config_row *row)
{
    (void)row;
    put_type(s, "object");
    json_put_bool(&s->json, "additionalProperties", false);
    json_put_array(&s->json, "oneOf");
    for (enum config_login login = 0; login < CONFIG_LOGINS; login++) {
        json_put_object(&s->json, NULL);
        json_put_array(&s->json, "required");
        json_put_text(&s->json, NULL, config_login_name(login));
        json_put_close(&s->json);
        json_put_close(&s->json);
    }
    json_put_close(&s->json);
    json_put_object(&s->json, "properties");
    for (enum config_login login = 0; login < CONFIG_LOGINS; login++) {
        struct config_span rows = config_login_rows(login);
        json_put_object(&s->json, config_login_name(login));
        put_span(s, &rows);
        json_put_close(&s->json);
    }
    json_put_close(&s->json);
}

static void put_addresses(struct schema *s, const struct config_row *row)
{
    struct appender a = appender_on(s->text, s->json.e);
    put_type(s, "array");
    json_put_u64(&s->json, "minItems", row->min);
    json_put_u64(&s->json, "maxItems", row->max);
    json_put_bool(&s->json, "uniqueItems", true);
    json_put_object(&s->json, "items");
    put_type(s, "string");
    put_address(&a);
    end_text(s, "pattern", &a);
    json_put_close(&s->json);
}

/* Texts of the letters of NAME_PATTERN. */
static void put_name(struct schema *s, const struct config_row *row)
{
    bool has_parts = row->type == CONFIG_TYPE_SEGMENTS;
    put_pattern(s,
                has_parts ? "^" NAME_PATTERN "+(?:/" NAME_PATTERN "+)*$" : "^" NAME_PATTERN "+$");
    json_put_u64(&s->json, "maxLength", row->max);
}

static void put_words_list(struct schema *s, const struct config_row *row)
{
    put_type(s, "array");
    json_put_u64(&s->json, "minItems", row->min);
    json_put_bool(&s->json, "uniqueItems", true);
    json_put_object(&s->json, "items");
    put_words(s, row->words);
    json_put_close(&s->json);
}

static void put_vault(struct schema *s, const struct config_row *row)
{
    (void)row;
    put_span(s, &(struct config_span){config_vault_rows, config_vault_row_count});
}

static void put_text(struct schema *s, const struct config_row *row)
{
    put_type(s, "string");
    json_put_u64(&s->json, "minLength", 1);
    json_put_u64(&s->json, "maxLength", row->max);
}

static void put_path(struct schema *s, const struct config_row *row)
{
    (void)row;
    put_pattern(s, "^" PATH_PATTERN);
    json_put_u64(&s->json, "maxLength", PATH_MAX - 1);
}

static void put_file(struct schema *s, const struct config_row *row)
{
    (void)row;
    put_pattern(s, "^(?:credential:" NAME_PATTERN "{1,255}$|" PATH_PATTERN ")");
    json_put_u64(&s->json, "maxLength", PATH_MAX - 1);
}

static void put_socket(struct schema *s, const struct config_row *row)
{
    (void)row;
    put_pattern(s, SOCKET_PATTERN);
    json_put_u64(&s->json, "maxLength", CONFIG_SOCKET_PATH_MAX);
}

static void put_mode(struct schema *s, const struct config_row *row)
{
    (void)row;
    put_pattern(s, "^0?[0-7]{2}0$");
}

static void put_bool(struct schema *s, const struct config_row *row)
{
    (void)row;
    put_type(s, "boolean");
}

static void put_u32(struct schema *s, const struct config_row *row)
{
    put_range(s, row->min, row->max);
}

static void put_id(struct schema *s, const struct config_row *row)
{
    put_range(s, row->min, row->max);
    json_put_object(&s->json, "not");
    json_put_u64(&s->json, "const", CONFIG_OVERFLOW_ID);
    json_put_close(&s->json);
}

static void put_choice(struct schema *s, const struct config_row *row)
{
    put_words(s, row->words);
}

static void put_listen(struct schema *s, const struct config_row *row)
{
    (void)row;
    struct appender a = appender_on(s->text, s->json.e);
    put_type(s, "string");
    put_listen_pattern(&a);
    end_text(s, "pattern", &a);
}

typedef void put_fn(struct schema *s, const struct config_row *row);

static put_fn *const types[] = {
    [CONFIG_TYPE_TEXT] = put_text,
    [CONFIG_TYPE_PATH] = put_path,
    [CONFIG_TYPE_SOCKET] = put_socket,
    [CONFIG_TYPE_ACCOUNT] = put_account,
    [CONFIG_TYPE_MODE] = put_mode,
    [CONFIG_TYPE_BOOL] = put_bool,
    [CONFIG_TYPE_U32] = put_u32,
    [CONFIG_TYPE_ID] = put_id,
    [CONFIG_TYPE_DURATION] = put_duration,
    [CONFIG_TYPE_CHOICE] = put_choice,
    [CONFIG_TYPE_WORDS] = put_words_list,
    [CONFIG_TYPE_NAME] = put_name,
    [CONFIG_TYPE_SEGMENTS] = put_name,
    [CONFIG_TYPE_FILE] = put_file,
    [CONFIG_TYPE_LISTEN] = put_listen,
    [CONFIG_TYPE_PEERS] = put_peers,
    [CONFIG_TYPE_UNSEAL] = put_unseal,
    [CONFIG_TYPE_VAULT] = put_vault,
    [CONFIG_TYPE_ADDRESSES] = put_addresses,
    [CONFIG_TYPE_LOGIN] = put_login,
};

static uint64_t number_of(const struct yaml_node *node)
{
    uint64_t value = 0;
    (void)!text_to_u64(node->text, "preset", 0, UINT64_MAX, &value, NULL);
    return value;
}

/* A preset as JSON. They are constants, nested twice at most. */
static void put_value(struct json_writer *w, const char *key, const struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR) {
        enum yaml_type type = yaml_type_of(node);
        if (type == YAML_BOOL) {
            json_put_bool(w, key, strcmp(node->text, "true") == 0);
        } else if (type == YAML_NUMBER) {
            json_put_u64(w, key, number_of(node));
        } else {
            json_put_text(w, key, node->text);
        }
        return;
    }
    if (node->kind == YAML_MAPPING) {
        json_put_object(w, key);
    } else {
        json_put_array(w, key);
    }
    for (const struct yaml_node *n = node->child; n != NULL; n = n->next) {
        put_value(w, n->key, n);
    }
    json_put_close(w);
}

static void put_row(struct schema *s, const struct config_row *row)
{
    const struct yaml_node *preset = config_preset(&s->presets, row);
    struct appender a = appender_on(s->text, s->json.e);
    json_put_object(&s->json, config_row_name(row));
    config_put_meaning(&a, row);
    end_text(s, "description", &a);
    types[row->type](s, row);
    if (preset != NULL) {
        put_value(&s->json, "default", preset);
    }
    json_put_close(&s->json);
}

/* The rows of a section in an object of its own, the others at the top. */
static void put_rows(struct schema *s)
{
    bool is_open = false;
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        size_t len = config_section_len(row);
        bool is_new = len > 0 && (i == 0 || !config_same_section(row, &config_rows[i - 1]));
        if (is_open && (len == 0 || is_new)) {
            json_put_close(&s->json);
            json_put_close(&s->json);
            is_open = false;
        }
        if (is_new) {
            char name[YAML_KEY_MAX + 1];
            (void)snprintf(name, sizeof name, "%.*s", (int)len, row->key.path);
            json_put_object(&s->json, name);
            put_type(s, "object");
            json_put_bool(&s->json, "additionalProperties", false);
            json_put_object(&s->json, "properties");
            is_open = true;
        }
        put_row(s, row);
    }
    if (is_open) {
        json_put_close(&s->json);
        json_put_close(&s->json);
    }
}

enum kerr config_schema(struct buf *ret, struct kerrinfo *e)
{
    AUTO_BUF preset_text;
    AUTO_BUF text;
    AUTO_YAML doc = NULL;
    buf_init(&preset_text, CONFIG_PRESETS_MAX);
    buf_init(&text, TEXT_MAX);
    enum kerr k = config_presets_read(&preset_text, &doc, e);
    if (k != KERR_OK) {
        return k;
    }
    struct schema s = {.json = json_on(ret, e), .text = &text, .presets = {doc, doc}};
    json_put_object(&s.json, NULL);
    json_put_text(&s.json, "$schema", SCHEMA_URI);
    json_put_text(&s.json, "title", "etcdseald.yaml: the configuration of etcdseald");
    put_type(&s, "object");
    json_put_bool(&s.json, "additionalProperties", false);
    json_put_object(&s.json, "properties");
    put_rows(&s);
    return json_end(&s.json);
}
