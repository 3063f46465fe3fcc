/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's configuration file: read (YAML 1.2), checked, printed.
 *
 * The keys are rows of config.def; the parser, the printer, the checker and the documentation test
 * work from that one list. Anchors, aliases, tags, several documents, unknown keys, repeated keys
 * and values of the wrong type are refused with file:line:column. A configuration is immutable once
 * read; any thread may read it.
 *
 * Codes: CONFIG with "FILE:LINE:COLUMN: what was wrong, what was expected", NOTFOUND, DENIED, LIMIT
 * (CONFIG_FILE_MAX), NOMEM.
 */
#ifndef ETCDSEAL_CONFIG_CONFIG_H
#define ETCDSEAL_CONFIG_CONFIG_H

#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/secret.h"

#define CONFIG_FILE_DEFAULT        "/etc/etcdseal/etcdseald.yaml"
#define CONFIG_FILE_MAX            65536 /* bytes; ours is under 1 KiB */
#define CONFIG_PEERS_MAX           16    /* rows; one gRPC server each */
#define CONFIG_SLOTS_MAX           32 /* rows of keystore.unseal, as many as a keystore has slots */
#define CONFIG_SOCKET_PATH_MAX     107 /* bytes: sun_path of unix(7) without its terminator */
#define CONFIG_VAULT_ADDRESSES_MAX 8
#define CONFIG_VAULT_EPOCH_MAX     255 /* one byte of the key annotation */

enum config_peer_kind { CONFIG_PEER_UID, CONFIG_PEER_GID };

enum config_methods {
    CONFIG_METHOD_STATUS = 1 << 0,
    CONFIG_METHOD_ENCRYPT = 1 << 1,
    CONFIG_METHOD_DECRYPT = 1 << 2,
    CONFIG_METHODS_ALL = 7,
};

struct config_peer {
    enum config_peer_kind kind;
    uint32_t id;      /* uid, or primary gid; 65534 is refused: it stands for any unmapped one */
    unsigned methods; /* enum config_methods; all by default */
    unsigned decrypt_rate; /* Decrypt calls a second, 0 = no limit (default) */
    char *note;            /* for people; may be NULL */
};

struct config_unseal {
    char *slot; /* slot name */
    char *spec; /* "file:/path", "credential:NAME", "passphrase:file=/path", "vault:" */
};

enum config_provider { CONFIG_PROVIDER_LOCAL, CONFIG_PROVIDER_VAULT };
enum config_vault_mode { CONFIG_VAULT_HIERARCHY, CONFIG_VAULT_DIRECT };
enum config_on_refused { CONFIG_ON_REFUSED_STOP, CONFIG_ON_REFUSED_GRACE };
enum config_login {
    CONFIG_LOGIN_NONE, /* an agent or proxy behind a unix socket or on the loopback does it */
    CONFIG_LOGIN_APPROLE,
    CONFIG_LOGIN_CERT,
    CONFIG_LOGIN_JWT,
    CONFIG_LOGIN_TOKEN,
};

/* How to log in: exactly one row of vault.auth. Files are absolute paths or "credential:NAME", a
 * systemd credential ($CREDENTIALS_DIRECTORY/NAME). NULL where the kind has none. */
struct config_auth {
    enum config_login kind;
    char *mount;            /* of the auth method: "approle", "cert", "jwt" */
    char *role_id_file;     /* approle */
    char *secret_id_file;   /* approle */
    bool secret_id_wrapped; /* approle: the file holds a response-wrapping token */
    char *cert_file;        /* cert */
    char *key_file;         /* cert */
    char *role;             /* jwt; cert: the name of the role, or NULL for any */
    char *file;             /* jwt, token */
};

/* The section `vault`: a Transit key of Vault or OpenBao, as provider and as seal. */
struct config_vault {
    char *
        addresses[CONFIG_VAULT_ADDRESSES_MAX]; /* "https://HOST[:PORT]", "unix:/PATH", "http://…" */
    size_t address_count;
    bool allow_plain_http;             /* http to other than the loopback, false */
    char *ca_file;                     /* PEM; NULL: the system's */
    char *namespace_path;              /* vault.namespace, NULL: none */
    char *mount;                       /* of the Transit engine, transit */
    char *key;                         /* NULL: there is no section `vault` */
    char *cluster_id;                  /* NULL when the section only serves a seal */
    unsigned epoch;                    /* 0 … CONFIG_VAULT_EPOCH_MAX, 0 */
    enum config_vault_mode mode;       /* hierarchy */
    char *state_path;                  /* vault.state, /var/lib/etcdseal/vault-keks */
    unsigned poll_ms;                  /* 10s */
    unsigned stability_ms;             /* 20s */
    unsigned activation_delay_ms;      /* 60s */
    unsigned offline_grace_ms;         /* 24h */
    enum config_on_refused on_refused; /* stop */
    unsigned kek_max_age_ms;           /* 30d */
    unsigned kek_max_uses;             /* 1000000 */
    struct config_auth auth;
};

/* Names on a server: 1 … max of A-Z a-z 0-9 . _ -, the first neither '.' nor '-'; and several with
 * '/' between them. They stand for themselves in a URL's path, in a shell and in a policy. */
#define CONFIG_VAULT_NAME_MAX 128
bool config_is_name(const char *text, size_t max);
bool config_is_segments(const char *text, size_t max);

const char *config_login_name(enum config_login login); /* "approle": as in vault.auth */

enum config_version { CONFIG_VERSION_V2, CONFIG_VERSION_V2BETA1 };

struct config {
    char *file; /* where it was read from */

    char *socket_path;               /* socket.path, /run/etcdseal/kms.sock */
    mode_t socket_mode;              /* socket.mode, "0600"; no bit for others */
    char *socket_owner;              /* socket.owner, name or number, root */
    char *socket_group;              /* socket.group, root */
    unsigned socket_connections_max; /* socket.connections_max, 64 */

    struct config_peer peers[CONFIG_PEERS_MAX]; /* peers, [ { uid: 0 } ] */
    size_t peer_count;

    enum config_provider provider; /* provider, local */
    unsigned also_unwrap; /* also_unwrap, []: bits (1 << enum config_provider) of those that only
                             unwrap; never the provider's own */
    enum config_version version; /* kms_version, v2 */

    char *keystore_path;                           /* keystore.path, /var/lib/etcdseal/keystore */
    struct config_unseal unseal[CONFIG_SLOTS_MAX]; /* keystore.unseal: { NAME: SPEC }, none:
                                                      the file keystore.unseal is used */
    size_t unseal_count;
    unsigned poll_ms; /* keystore.poll, 10s: the net under inotify */

    struct config_vault vault; /* the section vault; vault.key is NULL without it */

    bool metrics_is_on; /* metrics.listen, "off", or an address of the loopback: "127.0.0.1:9655",
                           "[::1]:9655" */
    char *metrics_host; /* NULL when off */
    uint16_t metrics_port;

    enum log_level log_level;   /* log.level, info */
    enum log_format log_format; /* log.format, text */
    bool log_requests;          /* log.requests, true: one line for each request */

    enum secret_lock_policy memory_lock; /* memory_lock, strict | best-effort */
    unsigned shutdown_grace_ms;          /* shutdown_grace, 5s */
};

/* One key as people see it, from config.def. */
struct config_key {
    const char *path;    /* "socket.path"; keys of a row of peers are "peers[].uid", of a login
                            "vault.auth.approle.mount" */
    const char *preset;  /* the default, as YAML; NULL: nothing */
    const char *meaning; /* a sentence without the full stop */
    bool needs_restart;
};
/* Row i of the list, NULL beyond its end: for documentation and its test. */
const struct config_key *config_key_at(size_t i);

/* Reads and checks. `text` variants are for tests and fuzzing; `name` is used in messages. */
enum kerr config_read(const char *path, struct config **ret, struct kerrinfo *e) MUST_CHECK;
enum kerr config_parse(struct bytes text, const char *name, struct config **ret,
                       struct kerrinfo *e) MUST_CHECK;
void config_free(struct config *c); /* NULL is fine */
void config_free_at(struct config **c);
#define AUTO_CONFIG AUTO(config_free_at) struct config *

/* The whole configuration with every default filled in, as YAML that config_parse reads back to the
 * same values. */
enum kerr config_print(const struct config *c, struct buf *ret, struct kerrinfo *e) MUST_CHECK;

/* What editors and people read beside the file, made from config.def; into buffers for
 * CONFIG_PAGE_MAX. A JSON Schema (draft-07) on one line, and the manual page etcdseald.yaml(5). The
 * schema accepts what config_parse accepts, but for what tests/cli/test_schema.py lists. */
#define CONFIG_PAGE_MAX 65536
enum kerr config_schema(struct buf *ret, struct kerrinfo *e) MUST_CHECK;
enum kerr config_man(struct buf *ret, struct kerrinfo *e) MUST_CHECK;

/* Names of keys that differ and need a restart (RESTART in config.def), separated by ", "; "" when
 * none. */
enum kerr config_restart_needed(const struct config *running, const struct config *fresh,
                                struct buf *ret, struct kerrinfo *e) MUST_CHECK;

#endif
