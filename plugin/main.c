/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseald: command line in, exit code out. Start reading with daemon.h. */
#include <stdio.h>

#include "plugin/daemon.h"
#include "plugin/harden.h"
#include "plugin/options.h"

enum kerr options_run(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)call;
    const struct options *o = ctx;
    const char *path = options_config_path(o);
    struct config *config = NULL;
    enum kerr k = config_read(path, &config, e);
    if (k != KERR_OK) {
        return k;
    }
    if (o->check_config) {
        (void)printf("%s: ok\n", path);
        config_free(config);
        return KERR_OK;
    }
    return daemon_run(config, e);
}

static enum kerr show(const struct opt_call *call, struct kerrinfo *e)
{
    AUTO_BUF page;
    const char *text = NULL;
    buf_init(&page, OPT_HELP_MAX);
    enum kerr k = call->what == OPT_SHOW_HELP ? opt_help(call, &page, e)
                                              : opt_version(call->program, &page, e);
    k = k == KERR_OK ? buf_text(&page, &text, e) : k;
    if (k == KERR_OK) {
        (void)fputs(text, stdout);
    }
    return k;
}

static enum kerr serve(int argc, const char *const *argv, struct kerrinfo *e)
{
    struct options options = {.config = NULL};
    struct opt_call call;
    enum kerr k = opt_parse(&options_program, argc, argv, &options, &call, e);
    if (k != KERR_OK) {
        return k;
    }
    return call.what == OPT_RUN ? call.command->fn(&options, &call, e) : show(&call, e);
}

int main(int argc, char **argv)
{
    struct kerrinfo e = {0};
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    enum kerr k = harden_process(&e);
    if (k == KERR_OK) {
        k = serve(argc, (const char *const *)argv, &e);
    }
    if (k == KERR_OK) {
        return fflush(stdout) == 0 ? 0 : options_exit_code(KERR_IO);
    }
    if (k == KERR_USAGE) {
        (void)fprintf(stderr, "etcdseald: %s\n", e.text);
        return options_exit_code(k);
    }
    log_cause(LOG_LEVEL_ERROR, "start-failed", &e);
    return options_exit_code(k);
}
