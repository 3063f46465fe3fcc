/* SPDX-License-Identifier: Apache-2.0 */
/* What etcdseal(1) says beyond the tables of cli/options.c. */
#include "cli/options.h"
#include "config/config.h"
#include "pages/pages.h"

static const struct opt_entry environment[] = {
    {"ETCDSEAL_CONFIG", "The daemon's configuration, when --config is not given. Empty: as unset."},
    {"NO_COLOR", "When it is not empty, warnings on a terminal are not coloured."},
    {"CREDENTIALS_DIRECTORY", "Where systemd has put decrypted credentials, for a credential seal. "
                              "Without it they are decrypted with systemd-creds."},
};

static const struct opt_entry files[] = {
    {CONFIG_FILE_DEFAULT, "The daemon's configuration, which says where all else is. See "
                          "etcdseald.yaml(5)."},
    {"/var/lib/etcdseal/keystore", "The keystore."},
    {"/var/lib/etcdseal/keystore.prev", "The keystore before the last change."},
    {"/var/lib/etcdseal/keystore.unseal", "How this node opens its slots."},
    {"/var/lib/etcdseal/keystore.accepted", "Which keystore this node believes."},
    {"/var/lib/etcdseal/keystore.lock", "Held while the keystore is changed."},
    {"/var/lib/etcdseal/keystore.damaged", "What 'keystore restore' found and could not open."},
    {"/run/etcdseal/status.sock", "Where the daemon is asked."},
    {"/etc/credstore.encrypted/NAME", "The systemd credential NAME, encrypted."},
};

static const struct opt_entry examples[] = {
    {"etcdseal init --seal boot=credential:etcdseal-boot --seal recovery=passphrase:",
     "Make the keystore, with a slot that the daemon opens alone and one for the day on which that "
     "one is lost:"},
    {"id=$(etcdseal key stage)\n"
     "etcdseal status\n"
     "etcdseal key promote $id",
     "Change the key. Promote it when every node has loaded it:"},
    {"etcdseal keystore backup /root/keystore.backup",
     "Copy the keystore, and print the copy's fingerprint:"},
    {"etcdseal config check --encryption-config /etc/kubernetes/encryption/config.yaml",
     "Check the daemon's configuration, and that kube-apiserver's fits:"},
};

static const struct opt_exit exits[] = {
    {0, "done"},
    {1, "findings, or refused"},
    {2, "wrong command line, configuration or input"},
    {3, "could not finish"},
    {4, "damaged, altered or undecryptable"},
};

static const char *const see_also[] = {"systemd-creds 1", "etcdseald.yaml 5", "etcdseald 8"};

const struct opt_page options_page = {
    .program = &options_program,
    .section = "1",
    .date = ETCDSEAL_DATE,
    .environment = OPT_ENTRIES(environment),
    .files = OPT_ENTRIES(files),
    .examples = OPT_ENTRIES(examples),
    .exits = exits,
    .exit_count = ARRAY_LEN(exits),
    .exit_code = kerr_exit_code,
    .see_also = see_also,
    .see_also_count = ARRAY_LEN(see_also),
};
