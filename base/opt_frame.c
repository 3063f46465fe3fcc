/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt_table.h"

#include <string.h>

#define NAME_MARK   "PROGRAM"
#define TABLES_MARK "# TABLES\n"

static bool begins_with(struct bytes text, const char *mark)
{
    return text.len >= strlen(mark) && memcmp(text.ptr, mark, strlen(mark)) == 0;
}

void opt_put_frame(struct appender *a, const struct opt_program *p, struct bytes frame,
                   opt_tables_fn *tables)
{
    bool is_line_start = true;
    while (frame.len > 0) {
        size_t taken = 1;
        if (is_line_start && begins_with(frame, TABLES_MARK)) {
            taken = strlen(TABLES_MARK);
            tables(a, p);
        } else if (begins_with(frame, NAME_MARK)) {
            taken = strlen(NAME_MARK);
            append_text(a, p->name);
        } else {
            append_bytes(a, bytes_of(frame.ptr, 1));
        }
        is_line_start = frame.ptr[taken - 1] == '\n';
        frame = bytes_of(frame.ptr + taken, frame.len - taken);
    }
}
