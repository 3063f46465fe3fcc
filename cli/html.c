/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/html.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/escape.h"

#define NUMBER_BYTES 32 /* twenty digits and six commas */
#define BAR_WIDE     1000
#define BAR_LEAST    15 /* of it, that one among a million is seen */
#define BAR_PARTS    8

void html_text(struct appender *a, const char *text)
{
    escape_markup(a, bytes_of_text(text));
}

void html_code(struct appender *a, struct bytes text)
{
    append_text(a, "<code>");
    escape_markup(a, text);
    append_text(a, "</code>");
}

void html_number(struct appender *a, uint64_t number)
{
    char digits[NUMBER_BYTES];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, number);
    for (int i = 0; i < len; i++) {
        append_printf(a, "%s%c", i > 0 && (len - i) % 3 == 0 ? "," : "", digits[i]);
    }
}

/* ---- tables ---- */

void html_table(struct appender *a, const char *caption, const struct html_column *columns,
                size_t count)
{
    append_text(a, "<div class=\"wide\"><table>\n<caption>");
    html_text(a, caption);
    append_text(a, "</caption>\n<thead><tr>");
    for (size_t i = 0; i < count; i++) {
        append_printf(a, "<th scope=\"col\"%s>", columns[i].is_number ? " class=\"n\"" : "");
        html_text(a, columns[i].title);
        append_text(a, "</th>");
    }
    append_text(a, "</tr></thead>\n<tbody>\n");
}

void html_table_end(struct appender *a)
{
    append_text(a, "</tbody>\n</table></div>\n");
}

void html_cell(struct appender *a, const char *text)
{
    append_text(a, "<td>");
    html_text(a, text == NULL ? "-" : text);
    append_text(a, "</td>");
}

void html_cell_number(struct appender *a, bool is_known, uint64_t number)
{
    append_text(a, is_known && number > 0 ? "<td class=\"n\">" : "<td class=\"n zero\">");
    if (is_known) {
        html_number(a, number);
    } else {
        append_text(a, "-");
    }
    append_text(a, "</td>");
}

/* ---- bars ---- */

/* What small parts are given more than their share is taken from the largest. */
static void share(const struct html_part *parts, size_t count, uint64_t sum, unsigned *widths)
{
    size_t largest = 0;
    unsigned all = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned width = (unsigned)((double)parts[i].value / (double)sum * BAR_WIDE);
        widths[i] = parts[i].value > 0 && width < BAR_LEAST ? BAR_LEAST : width;
        all += widths[i];
        largest = widths[i] > widths[largest] ? i : largest;
    }
    widths[largest] = widths[largest] + BAR_WIDE - all;
}

static void put_label(struct appender *a, const struct html_part *parts, size_t count)
{
    const char *comma = "";
    append_text(a, " role=\"img\" aria-label=\"");
    for (size_t i = 0; i < count; i++) {
        if (parts[i].value > 0) {
            append_printf(a, "%s%s ", comma, parts[i].what);
            html_number(a, parts[i].value);
            comma = ", ";
        }
    }
    append_text(a, "\"");
}

void html_bar(struct appender *a, const struct html_part *parts, size_t count)
{
    unsigned widths[BAR_PARTS] = {0};
    unsigned x = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += parts[i].value;
    }
    if (sum == 0 || count > BAR_PARTS) {
        return;
    }
    share(parts, count, sum, widths);
    append_printf(a, "<svg class=\"bar\" viewBox=\"0 0 %d 10\" preserveAspectRatio=\"none\"",
                  BAR_WIDE);
    put_label(a, parts, count);
    append_text(a, ">");
    for (size_t i = 0; i < count; i++) {
        if (widths[i] > 0) {
            append_printf(a, "<rect class=\"%s\" x=\"%u\" width=\"%u\" height=\"10\"/>",
                          parts[i].tone, x, widths[i]);
        }
        x += widths[i];
    }
    append_text(a, "</svg>");
}
