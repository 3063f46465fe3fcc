/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doc.h"

#include <string.h>

#include "base/clock.h"

struct doc doc_on(bool is_yaml, struct buf *to, struct kerrinfo *e)
{
    struct doc d = {.is_yaml = is_yaml, .json = json_on(to, e), .to = to, .e = e};
    d.levels[0] = (struct doc_level){.is_inline = true};
    return d;
}

static void put(struct doc *d, const char *text)
{
    if (d->k == KERR_OK) {
        d->k = buf_put_text(d->to, text, d->e);
    }
}

static void put_quoted(struct doc *d, struct bytes text)
{
    if (d->k == KERR_OK) {
        struct json_writer w = json_on(d->to, d->e);
        json_put_view(&w, NULL, text);
        d->k = w.k;
    }
}

static bool is_plain(const char *key)
{
    return *key != 0 && key[strspn(key, "abcdefghijklmnopqrstuvwxyz_")] == 0;
}

/* What stands before a value, up to "key:" or "-". */
static void begin_value(struct doc *d, const char *key)
{
    struct doc_level *top = &d->levels[d->depth];
    if (d->depth == 0 && key == NULL) {
        return; /* the outermost value */
    }
    if (!top->has_values && !top->is_inline) {
        put(d, "\n");
    }
    if (!top->has_values && top->is_inline && d->depth > 1) {
        put(d, " ");
    }
    for (size_t i = 0; i < top->indent && (top->has_values || !top->is_inline); i++) {
        put(d, " ");
    }
    top->has_values = true;
    if (top->is_array) {
        put(d, "-");
        return;
    }
    if (is_plain(key)) {
        put(d, key);
    } else {
        put_quoted(d, bytes_of_text(key));
    }
    put(d, ":");
}

static void open_level(struct doc *d, const char *key, bool is_array)
{
    if (d->depth == JSON_DEPTH_MAX) {
        d->k = d->k == KERR_OK ? kerr_set(d->e, KERR_BUG, "a document nested too deeply") : d->k;
        return;
    }
    begin_value(d, key);
    const struct doc_level *parent = &d->levels[d->depth];
    bool is_root = d->depth == 0;
    d->levels[d->depth + 1] = (struct doc_level){
        .is_array = is_array,
        .is_inline = is_root || parent->is_array,
        .indent = is_root ? 0 : parent->indent + 2,
    };
    d->depth++;
}

void doc_object(struct doc *d, const char *key)
{
    if (d->is_yaml) {
        open_level(d, key, false);
    } else {
        json_put_object(&d->json, key);
    }
}

void doc_array(struct doc *d, const char *key)
{
    if (d->is_yaml) {
        open_level(d, key, true);
    } else {
        json_put_array(&d->json, key);
    }
}

void doc_close(struct doc *d)
{
    if (!d->is_yaml) {
        json_put_close(&d->json);
        return;
    }
    if (d->depth == 0) {
        d->k = d->k == KERR_OK ? kerr_set(d->e, KERR_BUG, "a document closed too often") : d->k;
        return;
    }
    const struct doc_level *top = &d->levels[d->depth];
    if (!top->has_values) {
        put(d, d->depth > 1 ? " " : "");
        put(d, top->is_array ? "[]\n" : "{}\n");
    }
    d->depth--;
}

static void put_scalar(struct doc *d, const char *key, const char *word)
{
    begin_value(d, key);
    put(d, " ");
    put(d, word);
    put(d, "\n");
}

void doc_view(struct doc *d, const char *key, struct bytes text)
{
    if (!d->is_yaml) {
        json_put_view(&d->json, key, text);
        return;
    }
    begin_value(d, key);
    put(d, " ");
    put_quoted(d, text);
    put(d, "\n");
}

void doc_text(struct doc *d, const char *key, const char *value)
{
    if (value != NULL) {
        doc_view(d, key, bytes_of_text(value));
    } else if (d->is_yaml) {
        put_scalar(d, key, "null");
    } else {
        json_put_null(&d->json, key);
    }
}

void doc_u64(struct doc *d, const char *key, uint64_t value)
{
    if (!d->is_yaml) {
        json_put_u64(&d->json, key, value);
        return;
    }
    begin_value(d, key);
    if (d->k == KERR_OK) {
        d->k = buf_printf(d->to, d->e, " %llu\n", (unsigned long long)value);
    }
}

void doc_bool(struct doc *d, const char *key, bool value)
{
    if (d->is_yaml) {
        put_scalar(d, key, value ? "true" : "false");
    } else {
        json_put_bool(&d->json, key, value);
    }
}

void doc_time(struct doc *d, const char *key, uint64_t wall_s)
{
    char text[CLOCK_TEXT_BYTES];
    clock_format_s(wall_s, text);
    doc_text(d, key, wall_s == 0 ? NULL : text);
}

static size_t doc_depth(const struct doc *d)
{
    return d->is_yaml ? d->depth : d->json.depth;
}

static void fail(struct doc *d, enum kerr k, const char *why)
{
    if (d->k == KERR_OK) {
        d->k = kerr_set(d->e, k, "%s", why);
    }
}

static void put_members(struct doc *d, const struct json_value *v)
{
    size_t count = json_count(v);
    for (size_t i = 0; i < count && d->k == KERR_OK; i++) {
        const char *name = NULL;
        const struct json_value *member = json_at(v, i, &name);
        doc_value(d, name, member);
    }
    doc_close(d);
}

void doc_value(struct doc *d, const char *key, const struct json_value *v)
{
    const char *text = NULL;
    uint64_t number = 0;
    bool is_true = false;
    enum json_kind kind = json_kind(v);
    if (kind == JSON_IS_OBJECT || kind == JSON_IS_ARRAY) {
        if (doc_depth(d) == JSON_DEPTH_MAX) {
            fail(d, KERR_LIMIT, "an answer that is nested too deeply");
        } else if (kind == JSON_IS_OBJECT) {
            doc_object(d, key);
            put_members(d, v);
        } else {
            doc_array(d, key);
            put_members(d, v);
        }
    } else if (json_as_text(v, &text)) {
        doc_text(d, key, text);
    } else if (json_as_u64(v, &number)) {
        doc_u64(d, key, number);
    } else if (json_as_bool(v, &is_true)) {
        doc_bool(d, key, is_true);
    } else if (kind == JSON_IS_NULL) {
        doc_text(d, key, NULL);
    } else {
        fail(d, KERR_UNSUP, "a number that is negative or not whole");
    }
}

enum kerr doc_end(struct doc *d)
{
    while (d->is_yaml && d->depth > 0) {
        doc_close(d);
    }
    enum kerr k = d->is_yaml ? KERR_OK : json_end(&d->json);
    return d->k != KERR_OK ? d->k : k;
}
