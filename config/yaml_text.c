/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml_text.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

void yaml_place_of(struct bytes text, size_t at, unsigned *ret_line, unsigned *ret_column)
{
    *ret_line = 1;
    *ret_column = 1;
    for (size_t i = 0; i < at; i++) {
        if (text.ptr[i] == '\n') {
            *ret_line += 1;
            *ret_column = 1;
        } else if ((text.ptr[i] & 0xc0) != 0x80) {
            *ret_column += 1;
        }
    }
}

static enum kerr refuse_byte(const struct yaml_source *source, size_t at, const char *what,
                             struct kerrinfo *e)
{
    unsigned line = 1;
    unsigned column = 1;
    yaml_place_of(source->text, at, &line, &column);
    return kerr_set(e, KERR_CONFIG, "%.160s:%u:%u: %s", source->name, line, column, what);
}

static bool is_control(uint8_t c)
{
    return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
}

/* A character of UTF-8 that YAML 1.1 takes for a line end or does not allow: U+0080 to U+009F,
 * U+2028, U+2029, U+FEFF, U+FFFE, U+FFFF. */
static bool is_rare(struct bytes rest)
{
    static const char *const rare[] = {"\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf",
                                       "\xef\xbf\xbe", "\xef\xbf\xbf"};
    for (size_t i = 0; i < ARRAY_LEN(rare) && rest.len >= 3; i++) {
        if (memcmp(rest.ptr, rare[i], 3) == 0) {
            return true;
        }
    }
    return rest.len >= 2 && rest.ptr[0] == 0xc2 && rest.ptr[1] < 0xa0;
}

enum kerr yaml_check_text(const struct yaml_source *source, struct kerrinfo *e)
{
    struct bytes text = source->text;
    bool is_portable = source->is_portable;
    if (text.len > source->max) {
        return kerr_set(e, KERR_LIMIT, "%.160s is larger than %zu bytes", source->name,
                        source->max);
    }
    for (size_t i = 0; i < text.len; i++) {
        if (is_control(text.ptr[i])) {
            char what[32];
            (void)snprintf(what, sizeof what, "control character 0x%02x", text.ptr[i]);
            return refuse_byte(source, i, what, e);
        }
        if (is_portable && text.ptr[i] == '\t') {
            return refuse_byte(source, i, "a tab; use blanks", e);
        }
        if (is_portable && is_rare(bytes_of(text.ptr + i, text.len - i))) {
            return refuse_byte(source, i, "a control character, line end or mark beyond ASCII", e);
        }
    }
    if (!text_is_utf8(text)) {
        return kerr_set(e, KERR_CONFIG, "%.160s is not UTF-8 text", source->name);
    }
    return KERR_OK;
}
