/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/options.h"

#include <stdlib.h>

#include "config/config.h"

#define EXIT_USAGE      2
#define EXIT_UNFINISHED 3

static const struct opt_row rows[] = {
    {.name = "config",
     .letter = 'c',
     .value = "FILE",
     .help = "configuration file; without it ETCDSEAL_CONFIG, else " CONFIG_FILE_DEFAULT,
     .type = OPT_PATH,
     .offset = offsetof(struct options, config)},
    {.name = "check-config",
     .help = "read the configuration, say what is wrong with it, and exit",
     .type = OPT_FLAG,
     .offset = offsetof(struct options, check_config)},
};

static const struct opt_command commands[] = {
    {.help = "serve KMS v2 to kube-apiserver",
     .more = "Everything is in the configuration file; etcdseal config print shows all its keys "
             "with their values.\n\n"
             "SIGHUP reloads the configuration and looks at the keystore. SIGTERM and SIGINT end "
             "the daemon after the calls in flight; a second one cancels them.\n\n"
             "Exit codes: 0 ended as asked, 2 wrong command line or configuration, 3 could not "
             "start or had to give up.",
     .fn = options_run},
};

const struct opt_program options_program = {
    .name = "etcdseald",
    .version = ETCDSEAL_VERSION,
    .help = "Kubernetes KMS v2 plugin that keeps its keys in a sealed keystore",
    .commands = commands,
    .command_count = ARRAY_LEN(commands),
    .options = rows,
    .option_count = ARRAY_LEN(rows),
    .values_size = sizeof(struct options),
};

const char *options_config_path(const struct options *o)
{
    const char *path = o->config != NULL ? o->config : getenv("ETCDSEAL_CONFIG");
    return path != NULL && *path != 0 ? path : CONFIG_FILE_DEFAULT;
}

int options_exit_code(enum kerr k)
{
    int code = kerr_exit_code(k);
    return code == 0 || code == EXIT_USAGE ? code : EXIT_UNFINISHED;
}
