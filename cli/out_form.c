/* SPDX-License-Identifier: Apache-2.0 */
/* Which command prints which form. Apart from out.c, so that what prints does not need all
 * commands. */
#include <string.h>

#include "cli/commands.h"
#include "cli/out.h"

enum kerr out_check_form(const struct options *o, const struct opt_command *command,
                         struct kerrinfo *e)
{
    static const struct {
        const char *form;
        opt_command_fn *fns[2];
        const char *names;
    } rows[] = {
        {"sarif",
         {cmd_encryption_config_check, cmd_audit},
         "encryption-config check' and 'etcdseal audit"},
        {"wide", {cmd_audit}, "audit"},
        {"csv", {cmd_audit}, "audit"},
        {"csv-keys", {cmd_audit}, "audit"},
        {"csv-findings", {cmd_audit}, "audit"},
        {"junit", {cmd_audit}, "audit"},
        {"prometheus", {cmd_audit}, "audit"},
        {"html", {cmd_audit}, "audit"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool is_its = command->fn == rows[i].fns[0] || command->fn == rows[i].fns[1];
        if (o->output != NULL && strcmp(o->output, rows[i].form) == 0 && !is_its) {
            return kerr_set(e, KERR_USAGE, "'--output %s' is for 'etcdseal %s' only", rows[i].form,
                            rows[i].names);
        }
    }
    return KERR_OK;
}
