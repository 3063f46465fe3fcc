/* SPDX-License-Identifier: Apache-2.0 */
/* What etcdseald(8) says beyond the tables of plugin/options.c. */
#include "config/config.h"
#include "pages/pages.h"
#include "plugin/options.h"

static const struct opt_entry environment[] = {
    {"ETCDSEAL_CONFIG", "The configuration file, when --config is not given. Empty: as unset."},
    {"CREDENTIALS_DIRECTORY", "Where systemd has put the decrypted credentials of the service, for "
                              "a credential seal."},
    {"LISTEN_FDS", "With LISTEN_PID and LISTEN_FDNAMES: the sockets that systemd passes, that of "
                   "kube-apiserver among them. Without any the daemon makes its own."},
    {"NOTIFY_SOCKET", "Where systemd is told of readiness, reloads, the end, and one line of "
                      "status."},
    {"WATCHDOG_USEC", "With WATCHDOG_PID: how often systemd wants to hear that the daemon lives. "
                      "It is told twice as often."},
    {"JOURNAL_STREAM",
     "When it is set, lines of the log begin with their priority and not with the "
     "time, which the journal keeps."},
};

static const struct opt_entry files[] = {
    {CONFIG_FILE_DEFAULT, "The configuration. See etcdseald.yaml(5)."},
    {"/var/lib/etcdseal/keystore", "The keystore; what belongs to it lies beside it."},
    {"/run/etcdseal/kms.sock", "The socket that kube-apiserver calls."},
    {"/run/etcdseal/status.sock", "Status, health and metrics over HTTP."},
};

static const struct opt_entry examples[] = {
    {"etcdseald --check-config", "Say what is wrong with the configuration:"},
    {"etcdseald --config /etc/etcdseal/etcdseald.yaml", "Serve, as the systemd unit does:"},
};

static const struct opt_exit exits[] = {
    {0, "ended as asked"},
    {2, "wrong command line or configuration"},
    {3, "could not start, or had to give up"},
};

static const char *const see_also[] = {"etcdseal 1", "systemctl 1", "etcdseald.yaml 5"};

const struct opt_page options_page = {
    .program = &options_program,
    .section = "8",
    .date = ETCDSEAL_DATE,
    .environment = OPT_ENTRIES(environment),
    .files = OPT_ENTRIES(files),
    .examples = OPT_ENTRIES(examples),
    .exits = exits,
    .exit_count = ARRAY_LEN(exits),
    .exit_code = options_exit_code,
    .see_also = see_also,
    .see_also_count = ARRAY_LEN(see_also),
};
