/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON: every value can be walked, by position and by name, is of one kind, and every text written
 * back by our own writer is read as the same.
 */
#include <stdlib.h>
#include <string.h>

#include "json/json.h"
#include "json/json_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_good)
{
    if (!is_good) {
        abort();
    }
}

static void check_text(const char *text)
{
    AUTO_BUF written;
    AUTO_JSON back = NULL;
    const char *again = NULL;
    buf_init(&written, 6 * strlen(text) + 16);
    struct json_writer w = json_on(&written, NULL);
    json_put_text(&w, NULL, text);
    check(json_end(&w) == KERR_OK);
    check(json_read(buf_view(&written), &back, NULL) == KERR_OK);
    check(json_as_text(json_root(back), &again) && strcmp(again, text) == 0);
}

static void walk(const struct json_value *v, unsigned depth);

struct members {
    size_t count;
};

static bool count_member(void *ctx, const char *name, const struct json_value *value)
{
    struct members *m = ctx;
    m->count++;
    return name != NULL && value != NULL;
}

static void walk_all(const struct json_value *v, unsigned depth)
{
    struct members m = {.count = 0};
    bool is_object = json_kind(v) == JSON_IS_OBJECT;
    size_t count = json_count(v);
    check(json_each(v, count_member, &m) == is_object);
    check(m.count == (is_object ? count : 0));
    for (size_t i = 0; i < count && i < 50; i++) {
        const char *name = NULL;
        const struct json_value *one = json_at(v, i, &name);
        check((name != NULL) == is_object);
        check(!is_object || json_member(v, name) == one);
        walk(one, depth + 1);
    }
    check(json_at(v, count, NULL) == NULL);
}

static void walk(const struct json_value *v, unsigned depth)
{
    const char *text = NULL;
    bool truth = false;
    uint64_t number = 0;
    check(depth <= JSON_READ_DEPTH_MAX && json_kind(v) != JSON_IS_NONE);
    check(json_as_bool(v, &truth) == (json_kind(v) == JSON_IS_BOOL));
    check(!json_as_u64(v, &number) || json_kind(v) == JSON_IS_WHOLE);
    check(json_as_text(v, &text) == (json_kind(v) == JSON_IS_TEXT));
    if (text != NULL) {
        check_text(text);
    }
    walk_all(v, depth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_JSON d = NULL;
    struct kerrinfo e = {0};
    enum kerr k = json_read(bytes_of(data, size), &d, &e);
    if (k == KERR_OK) {
        walk(json_root(d), 0);
    } else {
        check((k == KERR_INPUT || k == KERR_LIMIT) && e.text[0] != 0);
    }
    return 0;
}
