/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned columns for people. Cells are shown escaped, because some of them come from files and
 * from the network. Cells are text and stand in order; a row ends after `columns` of them. */
#ifndef ETCDSEAL_CLI_TABLE_H
#define ETCDSEAL_CLI_TABLE_H

#include "base/bytes.h"

#define TABLE_COLUMNS_MAX 16
#define TABLE_TEXT_MAX    ((size_t)1 << 20) /* bytes of all cells; 1024 keys take a third of it */

struct table {
    size_t columns;
    struct buf cells; /* each ends with NUL */
    size_t widths[TABLE_COLUMNS_MAX];
    size_t count;
    struct kerrinfo *e;
    enum kerr k;
};

/* `titles`: one word for each column. */
void table_init(struct table *t, const char *const *titles, size_t columns, struct kerrinfo *e);
void table_done(struct table *t);
#define AUTO_TABLE AUTO(table_done) struct table
void table_cell(struct table *t, const char *text); /* NULL or "": "-" */
void table_time(struct table *t, uint64_t wall_s);  /* 0: "-" */
void table_u64(struct table *t, uint64_t number);
/* Appends the whole table; gives the first failure. */
enum kerr table_print(struct table *t, struct buf *ret) MUST_CHECK;

#endif
