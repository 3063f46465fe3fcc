/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal config …: the daemon's configuration. */
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/setup.h"
#include "config/lint.h"

#define PRINT_MAX ((size_t)256 * 1024)

/* The first thing that keeps kube-apiserver from our daemon: that the file does not load, or that
 * it leads to another socket. */
static const struct lint_finding *find_misfit(const struct lint_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        enum lint_rule rule = list->items[i].rule;
        if (lint_rules[rule].severity == LINT_ERROR || rule == LINT_SOCKET_MISMATCH) {
            return &list->items[i];
        }
    }
    return NULL;
}

static enum kerr check_fit(const struct config *config, const char *path, struct kerrinfo *e)
{
    AUTO_ENCRYPTION_CONFIG ec = NULL;
    AUTO_LINT list = NULL;
    struct lint_facts facts = {.socket_path = config->socket_path};
    enum kerr k = secret_start(config->memory_lock, e);
    k = k == KERR_OK ? encryption_config_read(path, &ec, e) : k;
    k = k == KERR_OK ? lint_encryption_config(ec, &facts, &list, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    const struct lint_finding *f = find_misfit(list);
    if (f != NULL) {
        bool is_refused = lint_rules[f->rule].refused_from != NULL;
        return kerr_set(e, is_refused ? KERR_CONFIG : KERR_DENIED, "%.200s:%u:%u: %.200s; %.80s",
                        path, f->line, f->column, f->message, f->cure);
    }
    return out_line(e, "%s: ok", path);
}

enum kerr cmd_config_check(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    struct options o = *(const struct options *)ctx;
    AUTO_CONFIG config = NULL;
    const char *path = NULL;
    if (call->arg_count > 0) {
        o.config = call->args[0];
    }
    enum kerr k = setup_config(&o, &config, &path, e);
    if (k != KERR_OK) {
        return k;
    }
    if (path == NULL) {
        k = out_line(e,
                     "no %s: the tool takes the defaults, but etcdseald does not start without it",
                     CONFIG_FILE_DEFAULT);
    } else {
        k = out_line(e, "%s: ok", path);
    }
    return k == KERR_OK && o.encryption_config != NULL ? check_fit(config, o.encryption_config, e)
                                                       : k;
}

enum kerr cmd_config_print(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)call;
    AUTO_CONFIG config = NULL;
    const char *path = NULL;
    AUTO_BUF text;
    buf_init(&text, PRINT_MAX);
    enum kerr k = setup_config(ctx, &config, &path, e);
    k = k == KERR_OK ? config_print(config, &text, e) : k;
    return k == KERR_OK ? out_print(&text, e) : k;
}

enum kerr cmd_config_schema(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)ctx;
    (void)call;
    AUTO_BUF text;
    buf_init(&text, CONFIG_PAGE_MAX);
    enum kerr k = config_schema(&text, e);
    return k == KERR_OK ? out_print(&text, e) : k;
}
