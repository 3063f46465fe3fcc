/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include "cli/commands.h"
#include "config/config.h"

#define SECOND 1000ULL
#define DAY    (24 * 60 * 60 * SECOND)

static const struct opt_noun nouns[] = {
    {"key", "life cycle of the keys in the local keystore"},
    {"seal", "who can open the keystore, and how"},
    {"keystore", "look at the keystore, copy it, bring it back"},
    {"config", "the daemon's configuration"},
    {"encryption-config", "kube-apiserver's EncryptionConfiguration"},
    {"vault", "Vault and OpenBao"},
};

#define SPEC_HELP                                                                                  \
    "SPEC is [NAME=]KIND:ARGUMENT, and NAME names the slot:\n"                                     \
    "  passphrase:            asked on the terminal; fd=N reads it from a descriptor,\n"           \
    "                         file=PATH from a file (which then is a key file)\n"                  \
    "  file:PATH              a key file; made with 32 random bytes if there is none\n"            \
    "  credential:NAME        a systemd credential (root only); file=PATH behind a\n"              \
    "                         comma when it is not in /etc/credstore.encrypted\n"                  \
    "  vault:                 a Transit key of Vault or OpenBao, by the section\n"                 \
    "                         vault of the configuration; vault:/PATH names another\n"             \
    "                         file with such a section"

#define GATE_HELP                                                                                  \
    "The running daemon is asked first, and a key with which it decrypted in the last 7 days is "  \
    "refused. That is a net, no proof: the daemon knows of no calls from before its own start, "   \
    "and kube-apiserver keeps in memory what it once had decrypted, so a key can be needed "       \
    "although nobody asked for it. Rewrite first what the key wraps. --without-daemon leaves the " \
    "question out: then nothing but your word stands between this and unreadable data."

static const struct opt_command commands[] = {
    {.noun = "init",
     .help = "make a keystore with its first key",
     .more = "Makes the keystore with one primary key, and a slot for each --seal. Give at least "
             "two: one that the daemon can open alone, and one for the day on which that one is "
             "lost. An existing keystore is never overwritten.\n\n" SPEC_HELP,
     .fn = cmd_init},

    {.noun = "key", .verb = "list", .help = "show all keys and their states", .fn = cmd_key_list},
    {.noun = "key",
     .verb = "stage",
     .help = "make a new key that can unwrap but does not wrap yet",
     .more = "Prints the new key's id and nothing else, so that id=$(etcdseal key stage) works. "
             "Promote it when every node has loaded it.",
     .fn = cmd_key_stage},
    {.noun = "key",
     .verb = "promote",
     .args = "ID",
     .args_min = 1,
     .args_max = 1,
     .help = "make a staged key the one that wraps; the old one is retired",
     .more = "A key is promoted once. To go back, stage and promote a new one.",
     .fn = cmd_key_change},
    {.noun = "key",
     .verb = "disable",
     .args = "ID",
     .args_min = 1,
     .args_max = 1,
     .help = "stop unwrapping with a staged or retired key; can be taken back",
     .more = GATE_HELP,
     .fn = cmd_key_change},
    {.noun = "key",
     .verb = "enable",
     .args = "ID",
     .args_min = 1,
     .args_max = 1,
     .help = "let a disabled key unwrap again",
     .fn = cmd_key_change},
    {.noun = "key",
     .verb = "destroy",
     .args = "ID",
     .args_min = 1,
     .args_max = 1,
     .help = "destroy a retired or disabled key, in two steps",
     .more = "First with --after: the key stops unwrapping, and its grace time begins. When that "
             "is over, again with --backups: the key is wiped for good, and your words are kept in "
             "its tombstone.\n\n" GATE_HELP,
     .fn = cmd_key_change},
    {.noun = "key",
     .verb = "cancel-destroy",
     .args = "ID",
     .args_min = 1,
     .args_max = 1,
     .help = "keep a key whose destruction is scheduled; it is disabled then",
     .fn = cmd_key_change},
    {.noun = "key",
     .verb = "compromise",
     .args = "ID",
     .args_min = 1,
     .args_max = 1,
     .help = "mark a key as known to others",
     .more = "A mark only: it changes nothing that the key does. Stage and promote a new key, "
             "rewrite what this one wraps, then disable it.",
     .fn = cmd_key_change},

    {.noun = "seal",
     .verb = "list",
     .help = "show the slots and how this node opens them",
     .more = "Reads the part of the keystore that is not encrypted, without opening it.",
     .fn = cmd_seal_list},
    {.noun = "seal",
     .verb = "add",
     .args = "SPEC",
     .args_min = 1,
     .args_max = 1,
     .help = "add a slot",
     .more = SPEC_HELP,
     .fn = cmd_seal_add},
    {.noun = "seal",
     .verb = "remove",
     .args = "NAME",
     .args_min = 1,
     .args_max = 1,
     .help = "remove a slot and make the root key anew",
     .more = "Refuses the slot that opened the keystore, the last one, and whatever would leave "
             "only slots that were never seen to open. Older copies of the keystore can still be "
             "opened with the removed slot's secret.",
     .fn = cmd_seal_remove},
    {.noun = "seal",
     .verb = "test",
     .args = "NAME",
     .args_min = 1,
     .args_max = 1,
     .help = "open a slot by its seal and note that it worked",
     .fn = cmd_seal_test},

    {.noun = "keystore",
     .verb = "info",
     .args = "[FILE]",
     .args_max = 1,
     .help = "show what a keystore file says without being opened",
     .more = "Nothing of it is verified: anybody who can write the file can make it say this. "
             "'etcdseal keystore verify' checks.",
     .fn = cmd_keystore_info},
    {.noun = "keystore",
     .verb = "verify",
     .help = "open the keystore and check all of it",
     .fn = cmd_keystore_verify},
    {.noun = "keystore",
     .verb = "backup",
     .args = "FILE",
     .args_min = 1,
     .args_max = 1,
     .help = "copy the verified keystore to a new file",
     .more = "Prints the SHA-256 of the copy and nothing else. Keep it apart from the copy: "
             "'restore --fingerprint' needs it on a node that does not know the keystore. The "
             "copy can be opened by each slot of the keystore, and by nothing else.",
     .fn = cmd_keystore_backup},
    {.noun = "keystore",
     .verb = "restore",
     .args = "FILE",
     .args_min = 1,
     .args_max = 1,
     .help = "put a backup in place as the newest generation",
     .more =
         "What happened since the backup is not undone: destroyed keys stay destroyed, disabled "
         "ones disabled, removed slots removed, and no key becomes primary a second time. Keys "
         "that are newer than the backup would be lost, with all that they wrap: each must be "
         "given up by name, with --lose. Stop the daemon first when you give up keys: a "
         "running one refuses a keystore without them.",
     .fn = cmd_keystore_restore},

    {.noun = "status",
     .help = "ask the running daemon how it is",
     .more = "Exit codes: 0 it serves, 1 it is sealed or its last reload failed, 3 nobody answers.",
     .fn = cmd_status},

    {.noun = "doctor",
     .help = "check all that must fit together on a control-plane host",
     .more = "Looks at the configuration, the keystore and its seals, the socket, the daemon, the "
             "flags, mounts and probes of kube-apiserver (kubeadm, k3s, RKE2), its "
             "EncryptionConfiguration, its metrics and health, the clock and the units. Each "
             "finding says what, where, why it matters and what cures it; docs/doctor.md explains "
             "all of them. Run it as root. Nothing is changed without --fix.\n\n"
             "The API server is asked with the certificate that the distribution leaves on the "
             "node, unless --token-file or --cert and --key say otherwise.\n\n"
             "Exit codes: 0 no errors and no warnings, 1 there are some (with --strict also for "
             "notes), 3 nothing was found but not everything could be looked at.",
     .fn = cmd_doctor},

    {.noun = "config",
     .verb = "check",
     .args = "[FILE]",
     .args_max = 1,
     .help = "read the daemon's configuration and say what is wrong with it",
     .fn = cmd_config_check},
    {.noun = "config",
     .verb = "print",
     .help = "show the whole configuration with its defaults",
     .fn = cmd_config_print},
    {.noun = "config",
     .verb = "schema",
     .help = "print the JSON Schema of the daemon's configuration, for editors",
     .fn = cmd_config_schema},

    {.noun = "encryption-config",
     .verb = "check",
     .args = "FILE",
     .args_min = 1,
     .args_max = 1,
     .help = "say what is wrong, risky or worth knowing about the file",
     .more =
         "Errors: kube-apiserver does not load it, or Secrets stay in plaintext, or no plugin "
         "can be reached. Warnings and notes: it loads, and leaves something open.\n\n"
         "Exit codes: 0 no errors, 1 errors (with --strict also warnings and notes), 2 the file "
         "can't be judged, 3 it can't be read.",
     .fn = cmd_encryption_config_check},
    {.noun = "encryption-config",
     .verb = "generate",
     .args = "KIND",
     .args_min = 1,
     .args_max = 1,
     .help = "print a ready file for one stage of a change",
     .more =
         "KIND is one of:\n"
         "  secrets             Secrets\n"
         "  secrets-configmaps  Secrets and ConfigMaps\n"
         "  everything          all resources: the recommended end state\n"
         "  from-aescbc         coming from aescbc\n"
         "  from-aesgcm         coming from aesgcm\n"
         "  from-secretbox      coming from secretbox\n"
         "  from-kms            coming from another KMS v2 plugin\n"
         "  leave               going back to plaintext\n\n"
         "Each goes in stages: 1, for several API servers only, all learn to read the new form; "
         "2, they write it; 3, the old form is no longer accepted (leave has no 3). The comments "
         "in the file say when to go on. A new cluster begins with stage 3, a single API server "
         "with stage 2.",
     .fn = cmd_encryption_config_generate},

    {.noun = "vault",
     .verb = "policy",
     .help = "print the least policy and the commands that set up the server",
     .more = "For an administrator of OpenBao or Vault, from the section vault of the "
             "configuration: engine, key, policy, login, and how a node gets its credential. The "
             "output is a script for a shell, to be read first: it has names to fill in. Nothing "
             "is sent anywhere, and nothing secret is printed.\n\n"
             "Without such a section, or for another one, --transit-key, --mount and --auth say "
             "the same.",
     .fn = cmd_vault_policy},
    {.noun = "vault",
     .verb = "plan",
     .help = "show the key's versions: which are still needed, may min_decryption_version rise",
     .more = "Asks the running daemon, and with --snapshot also what etcd holds. That the daemon "
             "has decrypted with a version proves that it is needed; that it has not proves "
             "nothing. Nothing is changed, and the server is not asked. docs/vault.md says what "
             "else to look at before min_decryption_version is raised.",
     .fn = cmd_vault_plan},

    {.noun = "audit",
     .help = "say what etcd really holds: encrypted how, under which key, and what is left over",
     .more =
         "Looks at every key of a snapshot or data folder: which are encrypted, by which provider "
         "and under which "
         "key id, which are plaintext, and what older plaintext is left over. Needs no "
         "key, no daemon and no root, only the right to read the files; nothing is decrypted, and "
         "no value is ever printed. docs/audit.md says what that proves and what not.\n\n"
         "Without --encryption-config it is expected that Secrets are encrypted, by whichever "
         "provider. A DEMAND is one of:\n"
         "  all-encrypted  what is expected to be encrypted is; demanded if nothing else\n"
         "                 is\n"
         "  no-plaintext   no object of any resource is plaintext\n"
         "  no-stale       all was written by the provider and key that write now\n"
         "  only-key=ID    every KMS v2 value is under this key id\n"
         "  no-residue     no plaintext is left over in the files\n\n"
         "Exit codes: 0 as demanded, 1 not as demanded, 2 wrong command line or "
         "EncryptionConfiguration, 3 not all could be read, 4 something in it can't be "
         "decrypted.",
     .fn = cmd_audit},
};

#define FIELD(name) offsetof(struct options, name)

static const struct opt_row rows[] = {
    {.name = "config",
     .letter = 'c',
     .value = "FILE",
     .help = "the daemon's configuration; without it ETCDSEAL_CONFIG, else " CONFIG_FILE_DEFAULT
             " if there is one",
     .type = OPT_PATH,
     .offset = FIELD(config)},
    {.name = "keystore",
     .value = "PATH",
     .help = "the keystore, instead of keystore.path of the configuration",
     .type = OPT_PATH,
     .offset = FIELD(keystore)},
    {.name = "unseal",
     .value = "NAME=SPEC",
     .help = "open with this slot, instead of those that the configuration or PATH.unseal name",
     .type = OPT_LIST,
     .offset = FIELD(unseal)},
    {.name = "socket",
     .value = "PATH",
     .help = "the daemon's status socket, or the KMS socket beside it; without it status.sock "
             "beside socket.path of the configuration",
     .type = OPT_PATH,
     .offset = FIELD(socket)},
    {.name = "quiet",
     .letter = 'q',
     .help = "no remarks on standard error, only warnings and errors",
     .type = OPT_FLAG,
     .offset = FIELD(is_quiet)},
    {.name = "output",
     .letter = 'o',
     .value = "FORMAT",
     .help = "how to print; sarif is for 'encryption-config check', wide for 'audit'",
     .type = OPT_CHOICE,
     .choices = "table|wide|json|yaml|sarif",
     .preset = "table",
     .commands = "init,key list,seal list,keystore info,keystore verify,status,"
                 "encryption-config check,doctor,vault policy,vault plan,audit",
     .offset = FIELD(output)},

    {.name = "seal",
     .value = "SPEC",
     .help = "a seal that opens the keystore on this node",
     .type = OPT_LIST,
     .commands = "init,keystore restore",
     .offset = FIELD(seals)},
    {.name = "role",
     .value = "[NAME=]ROLE",
     .help = "node, operator or recovery: whose slot it is; without it recovery for a passphrase "
             "that is asked for, unless it is the first slot, and node for all else",
     .type = OPT_LIST,
     .commands = "init,seal add",
     .offset = FIELD(roles)},
    {.name = "passphrase-cost",
     .value = "COST",
     .help = "work of Argon2id for a new passphrase; min is 64 MiB, default 256 MiB and three "
             "passes, max 1 GiB and ten",
     .type = OPT_CHOICE,
     .choices = "min|default|max",
     .preset = "default",
     .commands = "init,seal add",
     .offset = FIELD(passphrase_cost)},
    {.name = "suite",
     .value = "SUITE",
     .help = "how the new key wraps",
     .type = OPT_CHOICE,
     .choices = "xaes-256-gcm|kbkdf-aes-256-gcm",
     .preset = "xaes-256-gcm",
     .commands = "init,key stage",
     .offset = FIELD(suite)},

    {.name = "confirm",
     .value = "WORD",
     .help = "the same key id or slot name once more",
     .type = OPT_TEXT,
     .commands = "key disable,key destroy,seal remove",
     .offset = FIELD(confirm)},
    {.name = "after",
     .value = "TIME",
     .help = "grace time before the key may be wiped, such as 7d",
     .type = OPT_DURATION,
     .min = SECOND,
     .max = 3650 * DAY,
     .commands = "key destroy",
     .offset = FIELD(after_ms)},
    {.name = "backups",
     .value = "TEXT",
     .help = "your answer for each backup of keystore and etcd: which are left, and whether "
             "anybody still needs what this key wraps in them",
     .type = OPT_TEXT,
     .commands = "key destroy",
     .offset = FIELD(backups)},
    {.name = "without-daemon",
     .help = "do not ask the daemon whether the key is still used",
     .type = OPT_FLAG,
     .commands = "key disable,key destroy",
     .offset = FIELD(without_daemon)},

    {.name = "fingerprint",
     .value = "SHA256",
     .help = "what 'keystore backup' printed: accept exactly this file, whoever wrote it",
     .type = OPT_TEXT,
     .commands = "keystore restore",
     .offset = FIELD(fingerprint)},
    {.name = "lose",
     .value = "ID",
     .help = "give up a key that is newer than the backup",
     .type = OPT_LIST,
     .commands = "keystore restore",
     .offset = FIELD(lose)},
    {.name = "lose-slots",
     .help = "give up the slots that are newer than the backup",
     .type = OPT_FLAG,
     .commands = "keystore restore",
     .offset = FIELD(lose_slots)},
    {.name = "forget-record",
     .help = "with --fingerprint: go by it alone although this node's record of what it "
             "accepted does not open or does not lead to FILE; what the record knew "
             "(destroyed keys, removed slots) is then undone",
     .type = OPT_FLAG,
     .commands = "keystore restore",
     .offset = FIELD(forget_record)},

    {.name = "watch",
     .letter = 'w',
     .help = "ask every second and print each change, until interrupted",
     .type = OPT_FLAG,
     .commands = "status",
     .offset = FIELD(watch)},
    {.name = "encryption-config",
     .value = "FILE",
     .help = "the EncryptionConfiguration of kube-apiserver that must fit; doctor finds it by the "
             "flags",
     .type = OPT_PATH,
     .commands = "config check,doctor,audit",
     .offset = FIELD(encryption_config)},
    {.name = "strict",
     .help = "exit with 1 for warnings and notes too (doctor: it does so for warnings anyway)",
     .type = OPT_FLAG,
     .commands = "encryption-config check,doctor",
     .offset = FIELD(is_strict)},
    {.name = "stage",
     .value = "N",
     .help = "which stage of the change",
     .type = OPT_U64,
     .min = 1,
     .max = 3,
     .commands = "encryption-config generate",
     .offset = FIELD(stage)},
    {.name = "kms-socket",
     .value = "PATH",
     .help = "the daemon's KMS socket, instead of socket.path of the configuration",
     .type = OPT_PATH,
     .commands = "encryption-config generate",
     .offset = FIELD(kms_socket)},
    {.name = "provider-name",
     .value = "NAME",
     .help = "name of the kms provider, part of every stored value",
     .type = OPT_TEXT,
     .preset = "etcdseal",
     .commands = "encryption-config generate",
     .offset = FIELD(provider_name)},
    {.name = "resource",
     .value = "NAME",
     .help = "what to encrypt, such as secrets or deployments.apps, instead of what KIND says",
     .type = OPT_LIST,
     .commands = "encryption-config generate",
     .offset = FIELD(resources)},

    {.name = "manifest",
     .value = "FILE",
     .help = "the static pod's manifest of kube-apiserver, or the config.yaml of k3s or RKE2",
     .type = OPT_PATH,
     .commands = "doctor",
     .offset = FIELD(manifest)},
    {.name = "apiserver",
     .value = "URL",
     .help = "where kube-apiserver answers; without it from its flags",
     .type = OPT_TEXT,
     .commands = "doctor",
     .offset = FIELD(apiserver)},
    {.name = "cacert",
     .value = "FILE",
     .help = "the CA of the API server's certificate",
     .type = OPT_PATH,
     .commands = "doctor",
     .offset = FIELD(cacert)},
    {.name = "token-file",
     .value = "FILE",
     .help = "a bearer token for the API server",
     .type = OPT_PATH,
     .commands = "doctor",
     .offset = FIELD(token_file)},
    {.name = "cert",
     .value = "FILE",
     .help = "a client certificate for the API server, with --key",
     .type = OPT_PATH,
     .commands = "doctor",
     .offset = FIELD(cert)},
    {.name = "key",
     .value = "FILE",
     .help = "the key of --cert",
     .type = OPT_PATH,
     .commands = "doctor",
     .offset = FIELD(key)},
    {.name = "fix",
     .help = "correct modes and owners of etcdseal's own files and folders, then look again",
     .type = OPT_FLAG,
     .commands = "doctor",
     .offset = FIELD(fix)},

    {.name = "program",
     .value = "NAME",
     .help = "the server's command line: bao of OpenBao, vault of Vault",
     .type = OPT_CHOICE,
     .choices = "bao|vault",
     .preset = "bao",
     .commands = "vault policy",
     .offset = FIELD(program)},
    {.name = "mount",
     .value = "MOUNT",
     .help = "where the Transit engine is mounted, instead of vault.mount of the configuration",
     .type = OPT_TEXT,
     .commands = "vault policy",
     .offset = FIELD(mount)},
    {.name = "transit-key",
     .value = "NAME",
     .help = "name of the Transit key, instead of vault.key of the configuration",
     .type = OPT_TEXT,
     .commands = "vault policy",
     .offset = FIELD(transit_key)},
    {.name = "auth",
     .value = "LOGIN",
     .help = "how the node logs in, instead of vault.auth of the configuration",
     .type = OPT_CHOICE,
     .choices = "approle|cert|jwt|token|none",
     .commands = "vault policy",
     .offset = FIELD(auth)},
    {.name = "no-default-policy",
     .help = "for tokens without the policy default: what it gives stands in the printed one",
     .type = OPT_FLAG,
     .commands = "vault policy",
     .offset = FIELD(no_default_policy)},

    {.name = "snapshot",
     .value = "FILE",
     .help = "a file of 'etcdctl snapshot save', or member/snap/db of an etcd that does not run",
     .type = OPT_PATH,
     .commands = "audit,vault plan",
     .offset = FIELD(snapshot)},
    {.name = "data-dir",
     .value = "FOLDER",
     .help = "the data folder of an etcd that does not run: its database and its write-ahead log",
     .type = OPT_PATH,
     .commands = "audit",
     .offset = FIELD(data_dir)},
    {.name = "prefix",
     .value = "PREFIX",
     .help = "what Kubernetes' keys begin with, such as /registry/; without it found in the keys",
     .type = OPT_LIST,
     .commands = "audit",
     .offset = FIELD(prefixes)},
    {.name = "current-key",
     .value = "ID",
     .help = "the key id that writes now: KMS v2 values under others are stale",
     .type = OPT_TEXT,
     .commands = "audit",
     .offset = FIELD(current_key)},
    {.name = "demand",
     .value = "DEMAND",
     .help = "what must hold for exit code 0",
     .type = OPT_LIST,
     .commands = "audit",
     .offset = FIELD(demands)},
    {.name = "fail-on",
     .value = "RULE",
     .help = "exit with 1 for findings of this rule too, or of this severity: error, warning, note",
     .type = OPT_LIST,
     .commands = "audit",
     .offset = FIELD(fail_on)},
    {.name = "max-findings",
     .value = "N",
     .help = "print at most N findings with json and yaml, without it all; at most N for each rule "
             "with table and wide, without it 5 and 100",
     .type = OPT_U64,
     .min = 1,
     .max = 1000000000,
     .commands = "audit",
     .offset = FIELD(max_findings)},
    {.name = "digest",
     .help = "also print the file's SHA-256, and check the one at the end of a snapshot: a second "
             "or two for each gigabyte",
     .type = OPT_FLAG,
     .commands = "audit",
     .offset = FIELD(digest)},
};

const struct opt_program options_program = {
    .name = "etcdseal",
    .version = ETCDSEAL_VERSION,
    .help = "Keys, keystore and status of etcdseald, which encrypts what Kubernetes keeps in etcd",
    .more = "Nothing secret belongs on a command line: a SPEC says where a secret is.\n\n"
            "Exit codes: 0 ok, 1 refused, 2 wrong command line or input, 3 could not finish, "
            "4 damaged, altered or undecryptable.",
    .nouns = nouns,
    .noun_count = ARRAY_LEN(nouns),
    .commands = commands,
    .command_count = ARRAY_LEN(commands),
    .options = rows,
    .option_count = ARRAY_LEN(rows),
    .values_size = sizeof(struct options),
};
