/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of checks. An id is for ever: people put it into scripts. `after` names checks further
 * up whose findings explain what this one would find, so that one fault is told once.
 */
#include "doctor/verdict.h"

#define ERROR   DOCTOR_ERROR
#define WARNING DOCTOR_WARNING
#define NOTE    DOCTOR_NOTE

/* What a keystore that is not right leads to. */
#define KEYSTORE_BAD "keystore-there,keystore-folder-mode,keystore-file-mode,seal-file-mode"
#define DAEMON_BAD   "daemon-answers,daemon-unsealed"

const struct check doctor_checks[] = {
    {{"config-loads", "configuration", ERROR,
      "the daemon refuses to start with it, and a running one does not reload"},
     judge_config_loads,
     NULL},
    {{"config-mode", "configuration", ERROR,
      "who can write the configuration decides who may decrypt (peers) and which keystore is used"},
     judge_config_mode,
     "config-loads"},

    {{"keystore-there", "keystore", ERROR,
      "without a keystore the daemon stays sealed and the API server can't read its Secrets"},
     judge_keystore_there,
     "config-loads"},
    {{"keystore-folder-mode", "keystore", ERROR,
      "the daemon and the tool refuse a keystore that others can reach or that is not theirs"},
     judge_keystore_folder_mode,
     "config-loads"},
    {{"keystore-file-mode", "keystore", ERROR,
      "the daemon cannot read files of another owner; files that others can read tell them how to "
      "open the keystore"},
     judge_keystore_file_mode,
     "keystore-folder-mode"},

    {{"seal-file-mode", "seals", ERROR,
      "whoever can read a key file can open the keystore; the daemon refuses such a file"},
     judge_seal_file_mode,
     "keystore-folder-mode,keystore-file-mode"},
    {{"seal-unattended", "seals", ERROR,
      "after a reboot nobody is there to type a passphrase: the API server waits, sealed"},
     judge_seal_unattended,
     "keystore-there,keystore-folder-mode,keystore-file-mode"},
    {{"unit-credential", "seals", ERROR,
      "systemd hands a credential only to a service that asks for it: at its next start the daemon "
      "stays sealed"},
     judge_unit_credential,
     "keystore-there,keystore-folder-mode,keystore-file-mode,seal-unattended"},

    {{"keystore-opens", "keystore", ERROR,
      "at its next start the daemon stays sealed, and the API server can't read its Secrets"},
     judge_keystore_opens,
     KEYSTORE_BAD ",seal-unattended"},

    {{"slots-one", "seals", WARNING,
      "when its one secret is lost, every encrypted value is lost with it"},
     judge_slots_one,
     "keystore-there"},
    {{"slots-untested", "seals", WARNING,
      "a slot that was never seen to open may not open on the day on which it is needed"},
     judge_slots_untested,
     "keystore-there"},
    {{"seal-beside", "seals", WARNING,
      "a stolen disk, a backup or an image of the node holds the keystore together with what opens "
      "it: encryption then stops nobody"},
     judge_seal_beside,
     "seal-file-mode"},

    {{"unit-socket", "socket", ERROR,
      "the daemon refuses a socket that is passed to it at another path than its configuration's"},
     judge_unit_socket,
     "config-loads"},
    {{"socket-there", "socket", ERROR, "the API server connects to this path and to no other"},
     judge_socket_there,
     "config-loads,unit-socket"},
    {{"socket-folder", "socket", ERROR,
      "the API server must be able to pass through the folders above the socket, and nobody but "
      "root may put another socket in its place"},
     judge_socket_folder,
     "config-loads"},
    {{"socket-mode", "socket", ERROR,
      "who can open the socket can ask for every data key, as far as peers allows it"},
     judge_socket_mode,
     "config-loads,socket-there"},
    {{"socket-listens", "socket", ERROR,
      "a socket that a dead process left behind looks right and answers nobody"},
     judge_socket_listens,
     "config-loads,socket-there"},
    {{"socket-peers", "socket", ERROR,
      "the daemon closes connections of other users before it reads a byte"},
     judge_socket_peers,
     "config-loads,socket-there,socket-listens,socket-folder,socket-mode"},

    {{"daemon-answers", "daemon", ERROR, "nobody can say how a daemon is that does not answer"},
     judge_daemon_answers,
     "config-loads,unit-socket,socket-listens,socket-there"},
    {{"daemon-unsealed", "daemon", ERROR,
      "while it is sealed the API server reads only what it has in its caches, and stops writing "
      "after three minutes"},
     judge_daemon_unsealed,
     "daemon-answers," KEYSTORE_BAD ",seal-unattended,keystore-opens"},

    {{"kms-version", "upgrade", ERROR,
      "a running API server remembers the version string of the first Status and takes any other "
      "for a failure; a daemon that restarts with another one stops its writes"},
     judge_kms_version,
     "config-loads,daemon-answers"},

    {{"daemon-reload", "daemon", ERROR,
      "the daemon serves what it had before; at its next start it will not serve at all"},
     judge_daemon_reload,
     DAEMON_BAD "," KEYSTORE_BAD ",config-loads,keystore-opens"},
    {{"daemon-warning", "daemon", WARNING,
      "keys are served, and the next start may not go as well"},
     judge_daemon_warning,
     DAEMON_BAD ",daemon-reload"},
    {{"daemon-restart", "daemon", WARNING,
      "the running daemon does not do what its configuration says"},
     judge_daemon_restart,
     "daemon-answers,config-loads,kms-version"},

    {{"daemon-version", "upgrade", WARNING,
      "an upgrade is not finished: the old program still runs"},
     judge_daemon_version,
     "daemon-answers"},

    {{"memory-lock", "memory", WARNING, "keys in memory that is not locked can be written to swap"},
     judge_memory_lock,
     "daemon-answers"},
    {{"memory-limit", "memory", WARNING,
      "each key and each call locks a page; when the limit is reached calls fail"},
     judge_memory_limit,
     "daemon-answers"},

    {{"daemon-keystore", "daemon", ERROR,
      "the daemon wraps under keys of another keystore or generation than the one on the disk, "
      "which is the one that is backed up"},
     judge_daemon_keystore,
     DAEMON_BAD ",daemon-reload," KEYSTORE_BAD ",keystore-opens"},

    {{"apiserver-found", "API server", ERROR,
      "without its flags nothing can be said about what the API server encrypts"},
     judge_apiserver_found,
     NULL},
    {{"apiserver-flag", "API server", ERROR,
      "without this flag the API server stores Secrets as plaintext"},
     judge_apiserver_flag,
     "apiserver-found"},
    {{"apiserver-reload", "API server", WARNING,
      "each change of the EncryptionConfiguration needs a restart of each API server, and one that "
      "is forgotten writes on under the old one"},
     judge_apiserver_reload,
     "apiserver-found,apiserver-flag"},
    {{"apiserver-running", "API server", WARNING,
      "the API server was started before its flags were changed: what the file says is not in "
      "force"},
     judge_apiserver_running,
     "apiserver-found,apiserver-flag,apiserver-reload"},
    {{"apiserver-config-mount", "API server", ERROR,
      "an API server that cannot see its EncryptionConfiguration does not start"},
     judge_apiserver_config_mount,
     "apiserver-found,apiserver-flag"},
    {{"apiserver-config-mount-file", "API server", WARNING,
      "editors and tools replace files: the container keeps the old one, and reloading never sees "
      "the change"},
     judge_apiserver_config_mount_file,
     "apiserver-found,apiserver-flag,apiserver-config-mount"},
    {{"apiserver-socket-mount", "API server", ERROR,
      "an API server that cannot reach the socket can read no Secret"},
     judge_apiserver_socket_mount,
     "config-loads,apiserver-found"},
    {{"apiserver-socket-mount-file", "API server", ERROR,
      "when the socket is made again the container keeps the old one, which answers nobody"},
     judge_apiserver_socket_mount_file,
     "config-loads,apiserver-found,apiserver-socket-mount"},
    {{"apiserver-probes", "API server", WARNING,
      "the kubelet restarts the API server whenever the KMS plugin fails; a restarted one has lost "
      "the keys that it had in memory"},
     judge_apiserver_probes,
     "apiserver-found"},
    {{"rancher-encryption", "API server", WARNING,
      "the secrets-encrypt commands of k3s and RKE2 change a file that the API server does not "
      "read"},
     judge_rancher_encryption,
     "apiserver-found,apiserver-flag"},

    {{"encryption-config-loads", "EncryptionConfiguration", ERROR,
      "an API server that cannot load it does not start, and a running one goes on with what it "
      "had"},
     judge_encryption_config_loads,
     NULL},
    {{"encryption-config", "EncryptionConfiguration", ERROR,
      "the API server loads it, and stores or accepts data in another way than it looks"},
     judge_encryption_config,
     "encryption-config-loads"},
    {{"encryption-config-endpoint", "EncryptionConfiguration", ERROR,
      "kube-apiserver finds the daemon by this path alone"},
     judge_encryption_config_endpoint,
     "config-loads,encryption-config-loads"},

    {{"apiserver-answers", "API server", ERROR,
      "only the API server itself can say which key it uses"},
     judge_apiserver_answers,
     NULL},
    {{"apiserver-health", "API server", ERROR,
      "the API server takes the plugin for broken: writes end three minutes after the last good "
      "answer"},
     judge_apiserver_health,
     "apiserver-answers,socket-there,socket-listens,socket-peers,socket-folder,daemon-unsealed,"
     "apiserver-flag,apiserver-running,encryption-config-loads,encryption-config-endpoint"},

    {{"apiserver-config-loaded", "EncryptionConfiguration", WARNING,
      "the API server works by another EncryptionConfiguration than the file that you look at"},
     judge_apiserver_config_loaded,
     "apiserver-answers,encryption-config-loads,encryption-config-endpoint,apiserver-running"},

    {{"key-agreement-pending", "keys", NOTE,
      "the API server asks for the key once a minute: right after a change the two differ"},
     judge_key_agreement_pending,
     "apiserver-answers," DAEMON_BAD ",encryption-config-loads,encryption-config-endpoint,"
     "apiserver-health,apiserver-config-loaded"},
    {{"key-agreement", "keys", ERROR,
      "the API server still writes under a key that the daemon no longer gives: do not disable or "
      "destroy it"},
     judge_key_agreement,
     "apiserver-answers," DAEMON_BAD ",encryption-config-loads,encryption-config-endpoint,"
     "apiserver-health,apiserver-config-loaded,key-agreement-pending"},

    {{"clock-synchronised", "clock", NOTE,
      "records of keys and certificates carry wrong times, and grace times of destroyed keys "
      "end early or late"},
     judge_clock_synchronised,
     NULL},
    {{"clock-future", "clock", WARNING,
      "one of two clocks was wrong: grace times and ages of keys cannot be trusted"},
     judge_clock_future,
     "keystore-there"},

    {{"unit-enabled", "units", WARNING,
      "after a reboot nothing starts the daemon, and the API server can't read its Secrets"},
     judge_unit_enabled,
     NULL},
    {{"unit-order", "units", WARNING,
      "at boot the API server may start first and wait up to two minutes between its tries to "
      "connect"},
     judge_unit_order,
     NULL},
};

const size_t doctor_check_count = ARRAY_LEN(doctor_checks);

_Static_assert(ARRAY_LEN(doctor_checks) <= DOCTOR_CHECKS_MAX, "the report holds a row of each");
