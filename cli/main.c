/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal: command line in, exit code out. Start reading with options.c. */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cli/options.h"
#include "cli/out.h"

static void harden(void)
{
    (void)umask(077);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    (void)setrlimit(RLIMIT_CORE, &none); /* lowering cannot fail */
#ifndef ETCDSEAL_SANITIZED
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* nor can this with these arguments */
#endif
}

static enum kerr show(const struct opt_call *call, struct kerrinfo *e)
{
    AUTO_BUF page;
    buf_init(&page, OPT_HELP_MAX);
    enum kerr k = call->what == OPT_SHOW_HELP ? opt_help(call, &page, e)
                                              : opt_version(call->program, &page, e);
    return k == KERR_OK ? out_print(&page, e) : k;
}

static enum kerr run(int argc, const char *const *argv, struct kerrinfo *e)
{
    struct options options;
    struct opt_call call;
    enum kerr k = opt_parse(&options_program, argc, argv, &options, &call, e);
    if (k != KERR_OK) {
        return k;
    }
    if (call.what != OPT_RUN) {
        return show(&call, e);
    }
    options.words = argv;
    options.word_count = (size_t)argc;
    k = out_check_form(&options, call.command, e);
    return k == KERR_OK ? call.command->fn(&options, &call, e) : k;
}

int main(int argc, char **argv)
{
    struct kerrinfo e = {0};
    harden();
    enum kerr k = run(argc, (const char *const *)argv, &e);
    if (k != KERR_OK) {
        out_error(&e);
    }
    return kerr_exit_code(k);
}
