/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/vectors.h"

#include <string.h>

#include "base/text.h"

struct json_doc *vectors_read(const char *name)
{
    struct kerrinfo e = {0};
    struct json_doc *doc = NULL;
    AUTO_BUF text = test_read_file(TEST_DATA, name);
    assert_ok(&e, json_read(buf_view(&text), &doc, &e));
    return doc;
}

const struct json_value *vectors_member(const struct json_value *row, const char *name)
{
    const struct json_value *v = json_member(row, name);
    if (v == NULL) {
        fail_msg("a vector has no member %s", name);
    }
    return v;
}

const char *vectors_text(const struct json_value *row, const char *name)
{
    const char *text = NULL;
    if (!json_as_text(vectors_member(row, name), &text)) {
        fail_msg("a vector's member %s is no text", name);
    }
    return text;
}

uint64_t vectors_u64(const struct json_value *row, const char *name)
{
    uint64_t v = 0;
    if (!json_as_u64(vectors_member(row, name), &v)) {
        fail_msg("a vector's member %s is no whole number", name);
    }
    return v;
}

struct buf vectors_hex(const struct json_value *row, const char *name)
{
    struct kerrinfo e = {0};
    const char *text = vectors_text(row, name);
    size_t len = strlen(text) / 2;
    uint8_t *to = NULL;
    struct buf out;
    /* One byte more, so that an empty value has an address too. */
    buf_init(&out, len + 1);
    assert_ok(&e, buf_extend(&out, len + 1, &to, &e));
    assert_ok(&e, text_from_hex(text, to, len, &e));
    out.len = len;
    return out;
}
