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

#define FACTS_FOLDERS_MAX   32
#define FACTS_BODY_MAX      4096                    /* bytes of a health check's answer */
#define FACTS_MEMLOCK_MIN   ((uint64_t)2048 * 4096) /* a page for each live key and call */
#define FACTS_AGREE_S       180 /* kube-apiserver asks each minute; its write window is 3 min */
#define FACTS_CLOCK_SLACK_S 300

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
};

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
