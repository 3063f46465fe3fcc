/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a kube-apiserver is told to run: its flags, and for a static pod the mounts and probes, each
 * with its place. Three sources: a static pod's manifest (kubeadm; RKE2 writes one too), the
 * configuration files of k3s and RKE2, and the command line of a running process.
 *
 * Only what concerns encryption at rest is understood; all other keys are passed over. It says what
 * stands there, not whether it is wise. As strict as our own configuration about YAML itself:
 * anchors, aliases, tags, several documents, repeated keys and texts over several lines are
 * refused.
 *
 * The files of k3s and RKE2 hold the cluster's join token. They are read into locked memory, the
 * value of `token` is not asked of the parser, no message holds text of these files, and all memory
 * is wiped when the spec is freed.
 *
 * A spec is immutable once read; any thread may read it. Sources: the Kubernetes API reference (Pod
 * v1 core), https://docs.k3s.io/installation/configuration,
 * https://docs.rke2.io/install/configuration.
 *
 * Codes: CONFIG with "FILE:LINE:COLUMN: …", NOTFOUND, DENIED, INPUT (an empty file), LIMIT, NOMEM.
 */
#ifndef ETCDSEAL_CONFIG_APISERVER_H
#define ETCDSEAL_CONFIG_APISERVER_H

#include <stdint.h>

#include "base/bytes.h"

#define APISERVER_FILE_MAX   65536 /* bytes of one file; kubeadm's manifest has 4 KiB */
#define APISERVER_FLAGS_MAX  256   /* kube-apiserver knows about 200 */
#define APISERVER_MOUNTS_MAX 64    /* kubeadm makes seven */
#define APISERVER_FILES_MAX  32    /* config.yaml and those in config.yaml.d */

enum apiserver_source { APISERVER_MANIFEST, APISERVER_K3S, APISERVER_RKE2, APISERVER_PROCESS };

/* A value and where it stands; text NULL and line 0 when it is not there. A process has no lines.
 */
struct apiserver_value {
    const char *text;
    const char *file;
    unsigned line;
    unsigned column;
};

struct apiserver_flag {
    const char *name;             /* without the dashes */
    struct apiserver_value value; /* "true" for a flag without one */
};

/* What of the host a container sees. */
struct apiserver_mount {
    const char *host;              /* path on the host */
    struct apiserver_value inside; /* path in the container */
};

enum apiserver_probe_kind {
    APISERVER_LIVENESS,
    APISERVER_STARTUP,
    APISERVER_READINESS,
    APISERVER_PROBE_COUNT
};
extern const char *const apiserver_probe_names[APISERVER_PROBE_COUNT]; /* "livenessProbe", … */

struct apiserver_spec {
    enum apiserver_source source;
    const char *file; /* the (first) file, or "process PID" */
    const struct apiserver_flag *flags;
    size_t flag_count;
    bool is_container; /* a manifest or RKE2: it sees of the host what is mounted */
    const struct apiserver_mount *mounts;
    size_t mount_count;
    struct apiserver_value probes[APISERVER_PROBE_COUNT]; /* the path of an httpGet probe */
    struct apiserver_value image;                         /* of the container */
    bool has_user;                                        /* securityContext.runAsUser */
    uint32_t user;
    struct apiserver_value secrets_encryption; /* k3s' own encryption, when switched on */
    struct apiserver_value data_dir;           /* of k3s and RKE2 */
    struct apiserver_value datastore;          /* their datastore-endpoint: may hold a password */
    struct apiserver_value listen_port;        /* https-listen-port of k3s */
    void *memory;                              /* what all the texts lie in */
};

/* CONFIG also for a manifest that is not a kube-apiserver's. */
enum kerr apiserver_read_manifest(const char *path, struct apiserver_spec **ret,
                                  struct kerrinfo *e) MUST_CHECK;
/* `path` (which may be absent when there is a PATH.d) and PATH.d/ *.yaml in the order of their
 * names, put together as k3s and RKE2 do: a later value replaces an earlier one, "KEY+" adds.
 * NOTFOUND when there is neither. */
enum kerr apiserver_read_rancher(const char *path, enum apiserver_source source,
                                 struct apiserver_spec **ret, struct kerrinfo *e) MUST_CHECK;
/* Words that end with NUL each, as /proc/PID/cmdline has them; `name` as the spec's `file`. */
enum kerr apiserver_read_words(struct bytes words, const char *name, struct apiserver_spec **ret,
                               struct kerrinfo *e) MUST_CHECK;
void apiserver_free(struct apiserver_spec *s); /* NULL is fine */
void apiserver_free_at(struct apiserver_spec **s);
#define AUTO_APISERVER AUTO(apiserver_free_at) struct apiserver_spec *

/* For tests and fuzzing. `text` may hold secrets, the caller wipes it. */
enum kerr apiserver_parse_manifest(struct bytes text, const char *name, struct apiserver_spec **ret,
                                   struct kerrinfo *e) MUST_CHECK;
enum kerr apiserver_parse_rancher(struct bytes text, const char *name, enum apiserver_source source,
                                  struct apiserver_spec **ret, struct kerrinfo *e) MUST_CHECK;

/* Where each distribution has its file, and where its data is when that says nothing. */
struct apiserver_place {
    const char *path;
    enum apiserver_source source;
    const char *data_dir; /* NULL: none */
};
#define APISERVER_PLACE_COUNT 3
extern const struct apiserver_place apiserver_places[APISERVER_PLACE_COUNT];
/* As its file says, else where it is without; NULL for what has none. `s` may be NULL. */
const char *apiserver_data_dir(const struct apiserver_spec *s, enum apiserver_source source);

/* A path in two parts: "%.*s%s" of head_len, head, tail. */
struct apiserver_path {
    int head_len;
    const char *head;
    const char *tail;
    const struct apiserver_mount *mount; /* that it goes through; NULL: no container */
};
/* What the API server's `inside` path is on the host; false when nothing is mounted there. Pure. */
bool apiserver_host_path(const struct apiserver_spec *s, const char *inside,
                         struct apiserver_path *ret);
/* And the other way round. */
bool apiserver_inside_path(const struct apiserver_spec *s, const char *host,
                           struct apiserver_path *ret);

/* The flag that counts (the last of that name), or NULL. */
const struct apiserver_flag *apiserver_flag(const struct apiserver_spec *s, const char *name);

#endif
