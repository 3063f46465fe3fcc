/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jansson parses recursively up to 2048 levels and builds everything before one can look, so the
 * depth is counted on the text first.
 */
#include "json/json_read.h"

#include <jansson.h>
#include <pthread.h>

#include "base/wiped.h"

struct json_doc {
    json_t value;
};

/* A document and its values are jansson's own objects under our names. */
static const json_t *inner(const struct json_value *v)
{
    return (const json_t *)v;
}

static const struct json_value *outer(const json_t *v)
{
    return (const struct json_value *)v;
}

static pthread_once_t start_once = PTHREAD_ONCE_INIT;

/* jansson takes some failed allocations for a fault of the text, and for others leaves out what it
 * had no memory for. */
static _Thread_local bool is_out_of_memory;

static void *take(size_t size)
{
    void *made = wiped_malloc(size);
    is_out_of_memory = is_out_of_memory || made == NULL;
    return made;
}

/* Before the first document: a value must not be freed by another function than made it. */
static void start(void)
{
    json_set_alloc_funcs(take, wiped_free);
}

static enum kerr check_depth(struct bytes text, struct kerrinfo *e)
{
    size_t depth = 0;
    bool is_text = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (is_text && c == '\\') {
            i++;
        } else if (c == '"') {
            is_text = !is_text;
        } else if (!is_text && (c == '{' || c == '[')) {
            depth++;
        } else if (!is_text && (c == '}' || c == ']') && depth > 0) {
            depth--;
        }
        if (depth > JSON_READ_DEPTH_MAX) {
            return kerr_set(e, KERR_LIMIT, "JSON nested deeper than %d levels",
                            JSON_READ_DEPTH_MAX);
        }
    }
    return KERR_OK;
}

enum kerr json_read(struct bytes text, struct json_doc **ret, struct kerrinfo *e)
{
    return json_read_large(text, JSON_READ_MAX, ret, e);
}

enum kerr json_read_large(struct bytes text, size_t max, struct json_doc **ret, struct kerrinfo *e)
{
    if (text.len > max) {
        return kerr_set(e, KERR_LIMIT, "JSON of %zu bytes, at most %zu", text.len, max);
    }
    enum kerr k = check_depth(text, e);
    if (k != KERR_OK) {
        return k;
    }
    (void)pthread_once(&start_once, start);
    json_error_t why;
    is_out_of_memory = false;
    json_t *v = json_loadb((const char *)text.ptr, text.len,
                           JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (is_out_of_memory) {
        json_decref(v);
        return kerr_set(e, KERR_NOMEM, "no memory for JSON");
    }
    if (v == NULL) {
        return kerr_set(e, KERR_INPUT, "not JSON, line %d column %d: %s", why.line, why.column,
                        why.text);
    }
    *ret = (struct json_doc *)v;
    return KERR_OK;
}

void json_doc_free(struct json_doc *d)
{
    if (d != NULL) {
        json_decref(&d->value);
    }
}

void json_doc_free_at(struct json_doc **d)
{
    json_doc_free(*d);
    *d = NULL;
}

const struct json_value *json_root(const struct json_doc *d)
{
    return outer(&d->value);
}

enum json_kind json_kind(const struct json_value *v)
{
    if (v == NULL) {
        return JSON_IS_NONE;
    }
    switch (json_typeof(inner(v))) {
    case JSON_OBJECT:
        return JSON_IS_OBJECT;
    case JSON_ARRAY:
        return JSON_IS_ARRAY;
    case JSON_STRING:
        return JSON_IS_TEXT;
    case JSON_INTEGER:
        return JSON_IS_WHOLE;
    case JSON_REAL:
        return JSON_IS_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return JSON_IS_BOOL;
    case JSON_NULL:
        return JSON_IS_NULL;
    }
    return JSON_IS_NONE;
}

const struct json_value *json_member(const struct json_value *v, const char *name)
{
    return outer(json_object_get(inner(v), name));
}

size_t json_count(const struct json_value *v)
{
    return json_is_object(inner(v)) ? json_object_size(inner(v)) : json_array_size(inner(v));
}

const struct json_value *json_at(const struct json_value *v, size_t i, const char **ret_name)
{
    if (ret_name != NULL) {
        *ret_name = NULL;
    }
    if (!json_is_object(inner(v))) {
        return outer(json_array_get(inner(v), i));
    }
    /* Iterating changes nothing, but the library's iterators want a writable object. */
    json_t *object = (json_t *)(uintptr_t)inner(v);
    void *at = json_object_iter(object);
    for (; at != NULL && i > 0; i--) {
        at = json_object_iter_next(object, at);
    }
    if (at == NULL) {
        return NULL;
    }
    if (ret_name != NULL) {
        *ret_name = json_object_iter_key(at);
    }
    return outer(json_object_iter_value(at));
}

bool json_as_text(const struct json_value *v, const char **ret)
{
    if (!json_is_string(inner(v))) {
        return false;
    }
    *ret = json_string_value(inner(v));
    return true;
}

bool json_as_bool(const struct json_value *v, bool *ret)
{
    if (!json_is_boolean(inner(v))) {
        return false;
    }
    *ret = json_is_true(inner(v));
    return true;
}

bool json_as_u64(const struct json_value *v, uint64_t *ret)
{
    if (!json_is_integer(inner(v)) || json_integer_value(inner(v)) < 0) {
        return false;
    }
    *ret = (uint64_t)json_integer_value(inner(v));
    return true;
}

bool json_each(const struct json_value *v, json_member_fn *fn, void *ctx)
{
    const char *name = NULL;
    json_t *member = NULL;
    /* As in json_at. */
    json_t *object = (json_t *)(uintptr_t)inner(v);
    if (json_kind(v) != JSON_IS_OBJECT) {
        return false;
    }
    json_object_foreach(object, name, member)
    {
        if (!fn(ctx, name, outer(member))) {
            return false;
        }
    }
    return true;
}
