/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's table names what its command runs, which is in main.c. Pages are made without
 * running it, and without linking all that it needs. */
#include "plugin/options.h"

enum kerr options_run(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)ctx;
    (void)call;
    return kerr_set(e, KERR_BUG, "a page runs nothing");
}
