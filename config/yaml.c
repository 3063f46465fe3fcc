/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libfyaml's event interface, not its documents: it shows anchors, tags and depth before anything
 * is built, and it copies a scalar only when its text is asked for, which is never done for the
 * value of `skip_key`. Nodes and texts lie in two blocks whose sizes follow from the text's length,
 * so that nothing moves and pointers stay valid.
 */
#include "config/yaml.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/secret.h"
#include "base/text.h"
#include "config/yaml_text.h"

/* Longest piece of wrong text that a message shows, escaped. */
#define SHOWN_BYTES 64

struct place {
    unsigned line;
    unsigned column;
};

struct yaml {
    struct yaml_source source;
    struct yaml_node *nodes;
    size_t node_count;
    size_t node_max;
    char *text;
    size_t text_len;
    size_t text_max;
};

/* An open mapping or sequence. */
struct level {
    struct yaml_node *node;
    struct yaml_node *last; /* its last child so far */
    size_t count;
    const char *key; /* waits for its value */
    struct place key_place;
};

struct build {
    struct yaml *doc;
    struct level levels[YAML_DEPTH_MAX];
    size_t depth;
    struct place place; /* of the last event that had one */
    bool has_document;
};

PRINTF_LIKE(4, 0)
static enum kerr refuse_at(const struct yaml *doc, struct place at, struct kerrinfo *e,
                           const char *fmt, va_list args)
{
    char why[KERRINFO_TEXT_MAX];
    (void)vsnprintf(why, sizeof why, fmt, args);
    return kerr_set(e, KERR_CONFIG, "%.160s:%u:%u: %s", doc->source.name, at.line, at.column, why);
}

PRINTF_LIKE(4, 5)
static enum kerr refuse(const struct yaml *doc, struct place at, struct kerrinfo *e,
                        const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    enum kerr k = refuse_at(doc, at, e, fmt, args);
    va_end(args);
    return k;
}

enum kerr yaml_refuse(const struct yaml *doc, const struct yaml_node *node, struct kerrinfo *e,
                      const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    enum kerr k = refuse_at(doc, (struct place){node->line, node->column}, e, fmt, args);
    va_end(args);
    return k;
}

enum kerr yaml_refuse_key(const struct yaml *doc, const struct yaml_node *node, struct kerrinfo *e,
                          const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    enum kerr k = refuse_at(doc, (struct place){node->key_line, node->key_column}, e, fmt, args);
    va_end(args);
    return k;
}

/* ---- events to nodes ---- */

/* `sigil`: 1 when the mark stands behind a quote, '&' or '*', else 0. */
static void note_place(struct build *b, const struct fy_mark *mark, unsigned sigil)
{
    if (mark != NULL && mark->line >= 0 && mark->column >= 0) {
        unsigned column = (unsigned)mark->column + 1;
        b->place =
            (struct place){(unsigned)mark->line + 1, column > sigil ? column - sigil : column};
    }
}

static enum kerr refuse_token(struct build *b, struct fy_token *token, unsigned sigil,
                              const char *what, struct kerrinfo *e)
{
    note_place(b, fy_token_start_mark(token), sigil);
    return refuse(b->doc, b->place, e, "%s not allowed here; write it out in full", what);
}

static enum kerr check_marks(struct build *b, struct fy_token *anchor, struct fy_token *tag,
                             struct kerrinfo *e)
{
    if (anchor != NULL) {
        return refuse_token(b, anchor, 1, "anchors (&) are", e);
    }
    return tag == NULL ? KERR_OK : refuse_token(b, tag, 0, "tags (!) are", e);
}

/* Copies into the document's text block. */
static enum kerr keep_text(struct build *b, struct bytes text, size_t max, const char **ret,
                           struct kerrinfo *e)
{
    struct yaml *doc = b->doc;
    if (text.len > max || text.len >= doc->text_max - doc->text_len) {
        return refuse(doc, b->place, e, "longer than %zu bytes", max);
    }
    for (size_t i = 0; i < text.len; i++) {
        /* Only escapes in quotes can have made them. */
        if (text.ptr[i] < 0x20 || text.ptr[i] == 0x7f) {
            return refuse(doc, b->place, e, "a control character or line end in a text");
        }
    }
    if (!text_is_utf8(text)) {
        return refuse(doc, b->place, e, "not UTF-8 text");
    }
    char *to = doc->text + doc->text_len;
    if (text.len > 0) {
        memcpy(to, text.ptr, text.len);
    }
    to[text.len] = 0;
    doc->text_len += text.len + 1;
    *ret = to;
    return KERR_OK;
}

static enum kerr check_key(struct build *b, const struct level *level, const char *key,
                           bool is_plain, struct kerrinfo *e)
{
    if (is_plain && strcmp(key, "<<") == 0) {
        return refuse(b->doc, b->place, e, "merge keys (<<) are not allowed here; write it out");
    }
    if (*key == 0) {
        return refuse(b->doc, b->place, e, "a key without a name");
    }
    if (is_plain && (strcasecmp(key, "null") == 0 || strcmp(key, "~") == 0)) {
        return refuse(b->doc, b->place, e, "a key must be a word");
    }
    if (level->count == YAML_KEYS_MAX) {
        return refuse(b->doc, b->place, e, "more than %d keys", YAML_KEYS_MAX);
    }
    if (b->doc->source.keeps_repeated) {
        return KERR_OK;
    }
    for (const struct yaml_node *n = level->node->child; n != NULL; n = n->next) {
        if (strcmp(n->key, key) != 0) {
            continue;
        }
        if (b->doc->source.is_secret) {
            return refuse(b->doc, b->place, e, "repeated key, first in line %u", n->key_line);
        }
        char shown[SHOWN_BYTES];
        text_escape(bytes_of_text(key), shown, sizeof shown);
        return refuse(b->doc, b->place, e, "repeated key '%s', first in line %u", shown,
                      n->key_line);
    }
    return KERR_OK;
}

static bool waits_for_key(const struct build *b)
{
    const struct level *level = b->depth == 0 ? NULL : &b->levels[b->depth - 1];
    return level != NULL && level->node->kind == YAML_MAPPING && level->key == NULL;
}

/* Makes a node and hangs it into the innermost open container. */
static enum kerr add_node(struct build *b, enum yaml_kind kind, struct yaml_node **ret,
                          struct kerrinfo *e)
{
    struct yaml *doc = b->doc;
    if (waits_for_key(b)) {
        return refuse(doc, b->place, e, "a key must be a word");
    }
    if (doc->node_count == doc->node_max) {
        return refuse(doc, b->place, e, "more than %zu values", doc->node_max);
    }
    struct yaml_node *node = &doc->nodes[doc->node_count++];
    *node = (struct yaml_node){.kind = kind,
                               .line = b->place.line,
                               .column = b->place.column,
                               .key_line = b->place.line,
                               .key_column = b->place.column,
                               .text = ""};
    if (b->depth > 0) {
        struct level *level = &b->levels[b->depth - 1];
        if (level->key != NULL) {
            node->key = level->key;
            node->key_line = level->key_place.line;
            node->key_column = level->key_place.column;
            level->key = NULL;
        }
        if (level->last == NULL) {
            level->node->child = node;
        } else {
            level->last->next = node;
        }
        level->last = node;
        level->count++;
    }
    *ret = node;
    return KERR_OK;
}

static enum kerr open_level(struct build *b, enum yaml_kind kind, struct kerrinfo *e)
{
    struct yaml_node *node = NULL;
    enum kerr k = add_node(b, kind, &node, e);
    if (k == KERR_OK && b->depth == YAML_DEPTH_MAX) {
        k = refuse(b->doc, b->place, e, "nested more than %d levels deep", YAML_DEPTH_MAX);
    }
    if (k == KERR_OK) {
        b->levels[b->depth++] = (struct level){.node = node};
    }
    return k;
}

static enum kerr take_key(struct build *b, struct bytes text, bool is_plain, struct kerrinfo *e)
{
    struct level *level = &b->levels[b->depth - 1];
    const char *key = NULL;
    enum kerr k = keep_text(b, text, YAML_KEY_MAX, &key, e);
    if (k == KERR_OK) {
        k = check_key(b, level, key, is_plain, e);
    }
    if (k == KERR_OK) {
        level->key = key;
        level->key_place = b->place;
    }
    return k;
}

static bool is_skipped(const struct build *b)
{
    const char *skip = b->doc->source.skip_key;
    const char *key = b->depth == 0 ? NULL : b->levels[b->depth - 1].key;
    return skip != NULL && key != NULL && strcmp(key, skip) == 0;
}

/* A scalar as it stands in the file, without its quotes, and which quotes. Texts over several lines
 * are not allowed: version 0.7 reads some of them wrongly. */
static enum kerr scalar_raw(struct build *b, struct fy_token *token, struct bytes *ret, char *quote,
                            struct kerrinfo *e)
{
    const struct fy_mark *start = fy_token_start_mark(token);
    const struct fy_mark *end = fy_token_end_mark(token);
    struct bytes all = b->doc->source.text;
    *ret = bytes_of(NULL, 0);
    *quote = 0;
    if (token == NULL || start == NULL || end == NULL) {
        return KERR_OK; /* nothing stands there */
    }
    enum fy_scalar_style style = fy_token_scalar_style(token);
    if (style == FYSS_LITERAL || style == FYSS_FOLDED || start->line != end->line) {
        return refuse(b->doc, b->place, e, "a text over several lines; write it in one");
    }
    if (start->input_pos > end->input_pos || end->input_pos > all.len) {
        return kerr_set(e, KERR_BUG, "libfyaml names a place outside of the text");
    }
    *ret = bytes_of(all.ptr + start->input_pos, end->input_pos - start->input_pos);
    *quote = style == FYSS_SINGLE_QUOTED ? '\'' : style == FYSS_DOUBLE_QUOTED ? '"' : 0;
    if (b->doc->source.is_portable && *quote == '"' && ret->len > 0 &&
        memchr(ret->ptr, '\\', ret->len) != NULL) {
        return refuse(b->doc, b->place, e, "a backslash in double quotes; use single quotes");
    }
    return KERR_OK;
}

/*
 * The text of a scalar. What stands in the file as it is is taken from there, which keeps libfyaml
 * from copying it; only escapes are left to the library. Version 0.7 reads rows of '' in single
 * quotes wrongly and leaks memory on them, so they are not allowed.
 */
static enum kerr scalar_text(struct build *b, struct fy_token *token, struct bytes raw, char quote,
                             struct bytes *ret, struct kerrinfo *e)
{
    if (quote == '\'' && memmem(raw.ptr, raw.len, "''''", 4) != NULL) {
        return refuse(b->doc, b->place, e, "'' twice in a row; use double quotes around the text");
    }
    int escape = quote == '\'' ? '\'' : '\\';
    if (quote == 0 || raw.len == 0 || memchr(raw.ptr, escape, raw.len) == NULL) {
        *ret = raw;
        return KERR_OK;
    }
    const char *text = fy_token_get_text(token, &ret->len);
    ret->ptr = (const uint8_t *)text;
    return text == NULL ? kerr_set(e, KERR_NOMEM, "no memory for a value") : KERR_OK;
}

static enum kerr take_scalar(struct build *b, struct fy_event *event, struct kerrinfo *e)
{
    bool is_key = waits_for_key(b);
    bool is_kept = !is_skipped(b);
    bool is_plain = fy_token_scalar_style(event->scalar.value) == FYSS_PLAIN;
    struct bytes raw = bytes_of(NULL, 0);
    struct bytes text = bytes_of(NULL, 0);
    char quote = 0;
    enum kerr k = check_marks(b, event->scalar.anchor, event->scalar.tag, e);
    k = k == KERR_OK ? scalar_raw(b, event->scalar.value, &raw, &quote, e) : k;
    if (k == KERR_OK && is_kept) {
        k = scalar_text(b, event->scalar.value, raw, quote, &text, e);
    }
    if (k != KERR_OK || is_key) {
        return k == KERR_OK ? take_key(b, text, is_plain, e) : k;
    }
    struct yaml_node *node = NULL;
    k = add_node(b, YAML_SCALAR, &node, e);
    if (k == KERR_OK && is_kept) {
        k = keep_text(b, text, YAML_SCALAR_MAX, &node->text, e);
    }
    if (k == KERR_OK) {
        /* What was not looked at is text for all that we know. */
        node->is_plain = is_plain && is_kept;
        node->raw = raw;
        node->quote = quote;
    }
    return k;
}

static enum kerr take_document(struct build *b, const struct fy_event *event, struct kerrinfo *e)
{
    if (b->has_document) {
        return refuse(b->doc, b->place, e, "a second document; one is allowed");
    }
    b->has_document = true;
    struct fy_document_state *state = event->document_start.document_state;
    if (fy_document_state_version_explicit(state) || fy_document_state_tags_explicit(state)) {
        return refuse(b->doc, (struct place){1, 1}, e, "directives (%%) are not allowed here");
    }
    return KERR_OK;
}

static unsigned sigil_of(const struct fy_event *event)
{
    if (event->type == FYET_SCALAR) {
        enum fy_scalar_style style = fy_token_scalar_style(event->scalar.value);
        return style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED ? 1 : 0;
    }
    return event->type == FYET_ALIAS ? 1 : 0;
}

static enum kerr take_event(struct build *b, struct fy_event *event, struct kerrinfo *e)
{
    note_place(b, fy_event_start_mark(event), sigil_of(event));
    enum kerr k = KERR_OK;
    switch (event->type) {
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_END:
        return KERR_OK;
    case FYET_DOCUMENT_START:
        return take_document(b, event, e);
    case FYET_ALIAS:
        return refuse(b->doc, b->place, e,
                      "aliases (*) are not allowed here; write it out in full");
    case FYET_SCALAR:
        return take_scalar(b, event, e);
    case FYET_MAPPING_START:
        k = check_marks(b, event->mapping_start.anchor, event->mapping_start.tag, e);
        return k == KERR_OK ? open_level(b, YAML_MAPPING, e) : k;
    case FYET_SEQUENCE_START:
        k = check_marks(b, event->sequence_start.anchor, event->sequence_start.tag, e);
        return k == KERR_OK ? open_level(b, YAML_SEQUENCE, e) : k;
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        b->depth--;
        return KERR_OK;
    }
    return kerr_set(e, KERR_BUG, "libfyaml event %d", (int)event->type);
}

/* ---- libfyaml's objects ---- */

struct fyaml {
    struct fy_diag *diag;
    struct fy_parser *parser;
};

static void fyaml_done(struct fyaml *fy)
{
    if (fy->parser != NULL) {
        fy_parser_destroy(fy->parser);
    }
    if (fy->diag != NULL) {
        fy_diag_destroy(fy->diag);
    }
}

static enum kerr fyaml_start(struct fyaml *fy, struct bytes text, struct kerrinfo *e)
{
    struct fy_diag_cfg diag;
    fy_diag_cfg_default(&diag);
    diag.fp = NULL; /* it would write to standard error */
    diag.colorize = false;
    fy->diag = fy_diag_create(&diag);
    if (fy->diag == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory to parse");
    }
    fy_diag_set_collect_errors(fy->diag, true);
    struct fy_parse_cfg cfg = {
        .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE |
                 FYPCF_DISABLE_MMAP_OPT | FYPCF_DISABLE_RECYCLING,
        .diag = fy->diag,
    };
    fy->parser = fy_parser_create(&cfg);
    if (fy->parser == NULL || fy_parser_set_string(fy->parser, (const char *)text.ptr, text.len)) {
        return kerr_set(e, KERR_NOMEM, "no memory to parse");
    }
    return KERR_OK;
}

/* The parser's first complaint. Warnings (a directive it does not know) count too. */
static enum kerr fyaml_complaint(const struct yaml *doc, struct fyaml *fy, struct kerrinfo *e)
{
    void *at = NULL;
    const struct fy_diag_error *why = fy_diag_errors_iterate(fy->diag, &at);
    if (why != NULL) {
        struct place place = {why->line > 0 ? (unsigned)why->line : 1,
                              why->column > 0 ? (unsigned)why->column : 1};
        return refuse(doc, place, e, "not valid YAML%s%s", doc->source.is_secret ? "" : ": ",
                      doc->source.is_secret || why->msg == NULL ? "" : why->msg);
    }
    if (fy_parser_get_stream_error(fy->parser)) {
        return refuse(doc, (struct place){1, 1}, e, "not valid YAML");
    }
    return KERR_OK;
}

static enum kerr build_nodes(struct yaml *doc, struct kerrinfo *e)
{
    struct build b = {.doc = doc, .place = {1, 1}};
    AUTO(fyaml_done) struct fyaml fy = {0};
    enum kerr k = fyaml_start(&fy, doc->source.text, e);
    while (k == KERR_OK) {
        struct fy_event *event = fy_parser_parse(fy.parser);
        if (event == NULL) {
            break;
        }
        k = take_event(&b, event, e);
        fy_parser_event_free(fy.parser, event);
    }
    if (k == KERR_OK) {
        k = fyaml_complaint(doc, &fy, e);
    }
    if (k == KERR_OK && doc->node_count == 0) {
        k = refuse(doc, (struct place){1, 1}, e, "empty%s",
                   doc->source.is_secret ? "" : "; to take every default write {}");
    }
    return k;
}

enum kerr yaml_read(const struct yaml_source *source, struct yaml **ret, struct kerrinfo *e)
{
    AUTO_YAML doc = calloc(1, sizeof *doc);
    if (doc == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory to parse");
    }
    doc->source = *source;
    enum kerr k = yaml_check_text(source, e);
    if (k != KERR_OK) {
        return k;
    }
    /* A value needs at least its own byte and a separator. An escape of two bytes ("\L") makes at
     * most three; each value and each key has a terminator. */
    size_t len = source->text.len;
    doc->node_max = len / 2 + YAML_DEPTH_MAX + 1;
    doc->node_max = doc->node_max > YAML_NODES_MAX ? YAML_NODES_MAX : doc->node_max;
    doc->text_max = 2 * (len + doc->node_max + 1);
    doc->nodes = calloc(doc->node_max, sizeof *doc->nodes);
    doc->text = calloc(1, doc->text_max);
    if (doc->nodes == NULL || doc->text == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for the values of %.160s", source->name);
    }
    k = build_nodes(doc, e);
    if (k == KERR_OK) {
        *ret = doc;
        doc = NULL;
    }
    return k;
}

const struct yaml_node *yaml_root(const struct yaml *doc)
{
    return doc->nodes;
}

bool yaml_is_secret(const struct yaml *doc)
{
    return doc->source.is_secret;
}

void yaml_free(struct yaml *doc)
{
    if (doc == NULL) {
        return;
    }
    if (doc->text != NULL) {
        secret_wipe(doc->text, doc->text_max);
    }
    free(doc->text);
    free(doc->nodes);
    free(doc);
}

void yaml_free_at(struct yaml **doc)
{
    yaml_free(*doc);
    *doc = NULL;
}
