/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define CELL_MAX                                                                                   \
    640 /* an operator's note of 256 bytes, each two or four characters when escaped               \
         */
#define GAP 2

static void put_cell(struct table *t, const char *text)
{
    size_t len = strlen(text);
    size_t column = t->count % t->columns;
    t->widths[column] = len > t->widths[column] ? len : t->widths[column];
    if (t->k == KERR_OK) {
        t->k = buf_put(&t->cells, bytes_of(text, len + 1), t->e);
    }
    t->count += t->k == KERR_OK;
}

void table_init(struct table *t, const char *const *titles, size_t columns, struct kerrinfo *e)
{
    *t = (struct table){.columns = columns, .e = e};
    buf_init(&t->cells, TABLE_TEXT_MAX);
    if (columns == 0 || columns > TABLE_COLUMNS_MAX) {
        t->k = kerr_set(e, KERR_BUG, "a table of %zu columns", columns);
        return;
    }
    for (size_t i = 0; i < columns; i++) {
        put_cell(t, titles[i]);
    }
}

void table_done(struct table *t)
{
    buf_done(&t->cells);
}

void table_cell(struct table *t, const char *text)
{
    char shown[CELL_MAX];
    if (t->k != KERR_OK) {
        return;
    }
    text_escape(bytes_of_text(text == NULL || *text == 0 ? "-" : text), shown, sizeof shown);
    put_cell(t, shown);
}

void table_time(struct table *t, uint64_t wall_s)
{
    char text[CLOCK_TEXT_BYTES];
    clock_format_s(wall_s, text);
    table_cell(t, wall_s == 0 ? NULL : text);
}

void table_u64(struct table *t, uint64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    table_cell(t, text);
}

enum kerr table_print(struct table *t, struct buf *ret)
{
    if (t->k == KERR_OK && t->count % t->columns != 0) {
        t->k = kerr_set(t->e, KERR_BUG, "a table of %zu cells", t->count);
    }
    const char *cell = (const char *)t->cells.ptr;
    for (size_t i = 0; i < t->count && t->k == KERR_OK; i++) {
        bool is_last = (i + 1) % t->columns == 0;
        int width = is_last ? 0 : (int)(t->widths[i % t->columns] + GAP);
        t->k = buf_printf(ret, t->e, "%-*s%s", width, cell, is_last ? "\n" : "");
        cell += strlen(cell) + 1;
    }
    return t->k;
}
