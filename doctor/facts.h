/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was seen on this host, as plain data: written by gather*.c, read by judge*.c. Texts are
 * never NULL unless it says so; they live in `texts` or in what the struct owns. Private to doctor.
 */
#ifndef ETCDSEAL_DOCTOR_FACTS_H
#define ETCDSEAL_DOCTOR_FACTS_H

#include <sys/stat.h>

#include "config/apiserver.h"
#include "config/encryption_config.h"
#include "config/lint.h"
#include "doctor/doctor.h"
#include "doctor/metrics.h"
#include "doctor/texts.h"
#include "provider/vault_choice.h"
#include "provider/vault_state.h"
#include "vault/policy.h"

#define FACTS_FOLDERS_MAX   32
#define FACTS_BODY_MAX      4096                    /* bytes of a health check's answer */
#define FACTS_MEMLOCK_MIN   ((uint64_t)2048 * 4096) /* a page for each live key and call */
#define FACTS_AGREE_S       180 /* kube-apiserver asks each minute; its write window is 3 min */
#define FACTS_CLOCK_SLACK_S 300
/* Clocks of a server are told in whole seconds, and an answer takes its time. */
#define FACTS_SERVER_CLOCK_MIN_S 5
#define FACTS_SERVER_CLOCK_MAX_S 30
#define FACTS_KEY_AGE_S          ((uint64_t)90 * 24 * 3600)

/* Whether something was looked at. */
enum look { LOOK_NO, LOOK_DONE, LOOK_FAILED };

struct fact_file {
    const char *path;
    enum look look; /* LOOK_FAILED: `why`; LOOK_NO: not there */
    const char *why;
    struct stat st;
};

/* How this node opens a slot. */
struct fact_seal {
    const char *slot;
    const char *spec; /* "file:/etc/etcdseal/boot.key" */
    bool is_unattended;
    const char *warning;    /* what the seal says of itself, or "" */
    struct fact_file key;   /* of a key file; path "" for other seals */
    bool is_beside;         /* the key file lies on the keystore's medium */
    const char *credential; /* its name, or "" */
};

struct fact_slot {
    const char *name;
    uint64_t tested_at_s;
    bool is_accepted; /* could open the keystore here; true while that is not known */
};

struct fact_keystore {
    const char *path;
    struct fact_file folder;
    struct fact_file files[8];
    size_t file_count;
    enum kerr clear_code; /* of reading its clear part */
    const char *clear_error;
    const char *store_id;
    uint64_t generation;
    uint64_t written_at_s;
    struct fact_slot slots[KS_SLOTS_MAX];
    size_t slot_count;
    enum kerr open_code; /* of opening it as the daemon would */
    const char *open_error;
    uint64_t newest_key_s; /* when its newest key was made; 0 while it is not open */
    const char *newest_key;
    enum kerr seals_code; /* of reading how it is opened */
    const char *seals_error;
    struct fact_seal seals[KS_SLOTS_MAX];
    size_t seal_count;
};

enum fact_connect {
    CONNECT_UNTRIED,  /* `connect_why` */
    CONNECT_ANSWERED, /* it speaks HTTP/2 */
    CONNECT_CLOSED,   /* taken and closed: the peer is not wanted */
    CONNECT_SILENT,
    CONNECT_REFUSED, /* nobody listens */
    CONNECT_ABSENT,
    CONNECT_DENIED, /* by modes and owners */
};

struct fact_socket {
    const char *path;
    struct fact_file folders[FACTS_FOLDERS_MAX]; /* from / on */
    size_t folder_count;
    struct fact_file file;
    bool has_owner; /* socket.owner and socket.group are known here */
    uid_t uid;
    gid_t gid;
    enum fact_connect connect;
    const char *connect_why;
};

/* What the daemon says of the key service; "" and 0 when it has none or is of another version. */
struct fact_service {
    const char *state; /* "serving" */
    const char *cause;
    const char *meaning;
    const char *cure;
    const char *login_cause;
    uint64_t grace_ends_s;
    uint64_t version; /* of the key, that wraps */
    uint64_t min_version;
    uint64_t old_decrypts; /* under versions below it, since the daemon started */
    const char *old_key;   /* id of one of them */
};

struct fact_daemon {
    enum look look;
    const char *why;
    const char *version;
    const char *kms_version;
    uint64_t pid;
    bool is_ready;
    bool needs_person;
    const char *store_id;
    uint64_t generation;
    uint64_t loaded_at_s;
    const char *key_id;
    const char *key_id_hash;
    bool is_reload_ok;
    uint64_t reload_at_s;
    const char *reload_message;
    const char *warning;        /* what the daemon itself warns of, or "" */
    const char *restart_needed; /* "socket.path, provider" */
    const char *memory_policy;
    uint64_t unlocked_secrets;
    const char *config_file;
    bool has_memlock;
    uint64_t memlock; /* bytes that it may lock; UINT64_MAX: no limit */
    struct fact_service service;
};

/* A file of a login of Vault, or a systemd credential. */
struct fact_login_file {
    const char *name;       /* "vault.auth.token.file" */
    bool is_secret;         /* opens something by itself */
    const char *credential; /* its name, or "": `file` then */
    struct fact_file file;
};

/* A server of Vault, asked for its health. */
struct fact_server {
    const char *address;
    enum look look;
    const char *why;
    const char *cure;
    struct vault_health health;
    uint64_t answered_at_s; /* by our clock */
};

/* A question to Vault: LOOK_NO when it was not asked. */
struct fact_question {
    enum look look;
    enum vault_cause cause;
    const char *why;
    const char *cure;
};

#define FACTS_VAULT_FILES 3 /* the state, the one before it, its lock */

struct fact_vault {
    const struct config_vault *config; /* NULL: nothing here uses Vault, and all else is nothing */
    struct config *owned;              /* of a seal with a file of its own */
    bool is_provider;                  /* as provider or in also_unwrap, not for a seal alone */
    struct fact_login_file login_files[2];
    size_t login_file_count;
    struct fact_server servers[CONFIG_VAULT_ADDRESSES_MAX];
    size_t server_count;
    const char *no_login; /* why none was tried although a server answers, or "" */
    struct fact_question login;
    struct fact_question capabilities;
    unsigned rights[VAULT_PATHS_MAX]; /* by facts_vault_path */
    struct fact_question described;
    struct vault_key key;
    struct fact_file files[FACTS_VAULT_FILES];
    enum kerr state_code; /* of reading the state */
    const char *state_error;
    struct vault_state state;
    struct vault_choice choice; /* what the provider would do with key and state */
};

/* A unit as systemctl shows it. */
struct fact_unit {
    const char *name;
    bool is_loaded;
    const char *enabled; /* "enabled", "disabled", … */
    const char *before;
    const char *user;
    const char *listen;      /* "/run/etcdseal/kms.sock (Stream)" */
    const char *credentials; /* names and patterns that it is given: "boot other*" */
};

enum { UNIT_SERVICE, UNIT_SOCKET, UNIT_STATUS_SOCKET, UNIT_OURS_COUNT };
enum { UNIT_KUBELET, UNIT_K3S, UNIT_RKE2, UNIT_CALLERS_COUNT };

struct fact_units {
    enum look look; /* LOOK_NO: systemd is not the first process */
    const char *why;
    struct fact_unit ours[UNIT_OURS_COUNT];
    struct fact_unit callers[UNIT_CALLERS_COUNT];
    bool has_user; /* User= of our service, known here */
    uid_t uid;
    gid_t gid;
};

/* The API server of another node. */
struct fact_other {
    const char *url;
    const char *why;  /* it could not be asked; "": it was */
    const char *hash; /* of the key id of our provider that it has; "": it has told none */
};

struct fact_apiserver {
    const char *file_error; /* a file that was found and cannot be read */
    bool is_file_forbidden; /* because only root may */
    const char *file_tried;
    struct apiserver_spec *file;    /* how it will be started; NULL */
    struct apiserver_spec *process; /* how it runs; NULL */
    uint32_t uid;                   /* that it runs as, or will */
    unsigned minor;                 /* of its image, 0 when not known */

    const char *config_inside; /* value of the flag, or "" */
    const char *config_path;   /* on the host; "" when it is not mounted or not named */
    const char *config_file;   /* what was looked at: the same, or the one that the caller named */
    enum look config_look;
    bool is_config_forbidden; /* it is there, and only root may read it */
    const char *config_error;
    struct encryption_config *config;
    struct lint_list *lint;  /* what the linter says of it; NULL while it is not read */
    const char *config_hash; /* "sha256:…" of its bytes */
    const struct encryption_provider *ours; /* the provider that leads to our socket, or NULL */
    const char *socket_inside; /* our socket as the API server sees it, "" when it does not */

    const char *url; /* "" when there is none to be asked */
    enum look look;
    const char *why;
    unsigned health; /* HTTP status of /readyz/kms-providers */
    const char *health_text;
    unsigned metrics_status;
    struct metrics metrics;
    struct fact_other others[DOCTOR_OTHERS_MAX];
    size_t other_count;
};

struct facts {
    struct texts texts;
    const struct doctor_question *q;
    bool is_root;
    uint64_t now_s;
    bool is_clock_known;
    bool is_clock_synchronised;
    struct fact_file config;
    struct fact_keystore keystore;
    struct fact_socket socket;
    struct fact_daemon daemon;
    struct fact_units units;
    struct fact_apiserver apiserver;
    struct fact_vault vault;
};

/* Whether this host keeps keys in a keystore, and whether it uses Vault for anything or for keys.
 * Pure. */
bool facts_has_keystore(const struct facts *f);
bool facts_has_vault(const struct facts *f);
bool facts_has_vault_keys(const struct facts *f);

/* Path i of those that a token's rights are asked of, what must be allowed there, and all that may
 * be; false beyond the end. Pure. */
struct fact_path {
    char path[VAULT_RIGHT_PATH_MAX];
    unsigned needed;
    unsigned allowed;
    bool is_of_default; /* the daemon serves without it */
};
bool facts_vault_path(const struct config_vault *config, size_t i, struct fact_path *ret);
/* The user that the daemon runs as, as far as it is known: the service's, else the owner of the
 * keys' folder. Pure. */
uid_t facts_daemon_uid(const struct facts *f, gid_t *ret_gid);
/* Whether a unit hands over a systemd credential of this name. Pure. */
bool facts_loads_credential(const struct fact_unit *unit, const char *name);

/* Fills `ret`, which is all zero and is to be cleaned with facts_done even on failure. */
enum kerr facts_gather(const struct doctor_question *q, struct facts *ret,
                       struct kerrinfo *e) MUST_CHECK;
void facts_done(struct facts *f);
#define AUTO_FACTS AUTO(facts_done) struct facts

/* What each gatherer fills; in this order, since later ones read what earlier ones saw. */
void gather_units(struct facts *f);
void gather_keystore(struct facts *f);
void gather_daemon(struct facts *f);
enum kerr gather_apiserver(struct facts *f, struct kerrinfo *e) MUST_CHECK;
void gather_socket(struct facts *f);
/* Logs in as the daemon does, and gives the token back. */
void gather_vault(struct facts *f);
enum kerr gather_answers(struct facts *f, struct kerrinfo *e) MUST_CHECK;

/* Not through a link in the last component. */
struct fact_file gather_file(struct facts *f, const char *path);
/* Whether the process of this number, as text, has this name, as its /proc file says it. */
bool gather_is_process(const char *pid, const char *comm);

/* What the API server's `inside` path is on the host: "" when nothing is mounted there. *ret_mount
 * is the mount that it goes through, NULL for a server that is no container. Pure. */
const char *facts_host_path(struct texts *t, const struct apiserver_spec *s, const char *inside,
                            const struct apiserver_mount **ret_mount);
/* And the other way round. */
const char *facts_inside_path(struct texts *t, const struct apiserver_spec *s, const char *host,
                              const struct apiserver_mount **ret_mount);
/* The spec that says how it is started: the file's, else the process's; NULL. */
const struct apiserver_spec *facts_spec(const struct facts *f);

#endif
