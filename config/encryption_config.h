/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube-apiserver's EncryptionConfiguration (YAML or JSON), read into plain structs with the place
 * of each value, for checks and reports. It says what stands in the file, not whether it is wise:
 * beyond its form only apiVersion and kind are checked.
 *
 * The file may hold AES and secretbox keys. They are not stored, but by
 * encryption_config_read_with_keys in a secret each: the file is read into locked memory and parsed
 * there, values of the key `secret` are not even asked of the parser but measured where they lie
 * (is it base64, of how many bytes), no message holds them, and the locked copy is wiped before the
 * functions return. A secret under another key (a typing error) lies in ordinary
 * memory until then; our copy is wiped too, but libfyaml copies values with escapes and frees them
 * as they are. Messages therefore hold no text of unknown keys either.
 *
 * What kube-apiserver would refuse in the file's form (unknown, repeated and missing fields, values
 * of a wrong type) becomes a finding of `faults`, and the reader goes on; types are those of
 * kube-apiserver's YAML reader (config/go_scalar.h). Rules about values are those of
 * config/lint.h.
 *
 * Refused, because nothing can be said about them in good faith although kube-apiserver may load
 * them: what is not YAML; anchors, aliases, tags, merge keys, directives, several documents; texts
 * over several lines, backslashes in double quotes, tabs (the last two are fine in JSON), control
 * characters and YAML's rare line ends; names of resources beyond ASCII; endpoints with a host in
 * brackets; more than the limits below.
 *
 * A configuration is immutable once read; any thread may read it. Schema:
 * k8s.io/apiserver pkg/apis/apiserver/v1/types_encryption.go.
 *
 * Codes: CONFIG with "FILE:LINE:COLUMN: …", NOTFOUND, DENIED, INPUT (an empty file), LIMIT, NOMEM.
 */
#ifndef ETCDSEAL_CONFIG_ENCRYPTION_CONFIG_H
#define ETCDSEAL_CONFIG_ENCRYPTION_CONFIG_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "config/finding.h"

/* Far above what clusters have; a file beyond them is not one. */
#define ENCRYPTION_CONFIG_FILE_MAX      65536 /* bytes */
#define ENCRYPTION_CONFIG_ENTRIES_MAX   64    /* of `resources` */
#define ENCRYPTION_CONFIG_RESOURCES_MAX 1024  /* resource names in the file */
#define ENCRYPTION_CONFIG_PROVIDERS_MAX 128   /* providers in the file */
#define ENCRYPTION_CONFIG_KEYS_MAX      512   /* keys of aescbc, aesgcm, secretbox in the file */

enum encryption_kind {
    ENCRYPTION_IDENTITY,
    ENCRYPTION_AESCBC,
    ENCRYPTION_AESGCM,
    ENCRYPTION_SECRETBOX,
    ENCRYPTION_KMS,
    ENCRYPTION_KIND_COUNT
};
extern const char *const encryption_kind_names[ENCRYPTION_KIND_COUNT]; /* "identity", … */

/* A value of the file and where it stands; text NULL and line 0 when it is not there (or null,
 * which is the same), text NULL and a line when it is of a wrong type. */
struct encryption_value {
    const char *text;
    unsigned line;
    unsigned column;
};

enum encryption_secret {
    ENCRYPTION_SECRET_MISSING,
    ENCRYPTION_SECRET_WRONG_TYPE, /* a number, a list, … */
    ENCRYPTION_SECRET_NOT_BASE64,
    ENCRYPTION_SECRET_MEASURED
};

/* A key of aescbc, aesgcm or secretbox. */
struct encryption_key {
    unsigned line;
    unsigned column;
    struct encryption_value name;
    enum encryption_secret secret;
    unsigned secret_line;
    unsigned secret_column;
    size_t secret_len;          /* decoded bytes, when it was measured */
    const struct secret *value; /* NULL unless it was asked for, and is one */
};

struct encryption_provider {
    enum encryption_kind kind;
    unsigned line; /* of the kind's name */
    unsigned column;
    bool is_broken; /* of a wrong type: nothing below was read */
    /* Of aescbc, aesgcm and secretbox, in the file's order. */
    const struct encryption_key *keys;
    size_t key_count;
    /* Of kms. */
    struct encryption_value api_version; /* text "v1", line 0 when it is not there */
    struct encryption_value name;
    struct encryption_value endpoint;
    struct encryption_value timeout;   /* as written, "3s" */
    bool is_timeout_read;              /* it is a duration, or not there */
    int64_t timeout_ns;                /* 3 s when it is not there */
    struct encryption_value cachesize; /* as written: "100", "1e3" */
};

struct encryption_entry {
    unsigned line;
    unsigned column;
    const struct encryption_value *resources; /* "secrets", "*.apps" */
    size_t resource_count;
    const struct encryption_provider *providers; /* the first one writes */
    size_t provider_count;
};

struct encryption_config {
    const char *file;
    unsigned line; /* of `resources` */
    unsigned column;
    const struct encryption_entry
        *entries; /* none when the file is not an EncryptionConfiguration */
    size_t entry_count;
    const struct lint_list *faults;
    void *memory; /* what all the texts lie in */
};

enum kerr encryption_config_read(const char *path, struct encryption_config **ret,
                                 struct kerrinfo *e) MUST_CHECK;
/* The same with the keys themselves, frozen. */
enum kerr encryption_config_read_with_keys(const char *path, struct encryption_config **ret,
                                           struct kerrinfo *e) MUST_CHECK;
/* For tests and fuzzing; `text` may hold secrets, the caller wipes it. */
enum kerr encryption_config_parse(struct bytes text, const char *name,
                                  struct encryption_config **ret, struct kerrinfo *e) MUST_CHECK;
void encryption_config_free(struct encryption_config *c); /* NULL is fine */
void encryption_config_free_at(struct encryption_config **c);
#define AUTO_ENCRYPTION_CONFIG AUTO(encryption_config_free_at) struct encryption_config *

/* The first kms provider of apiVersion v2 whose endpoint leads to the unix socket `socket_path`, or
 * NULL. */
const struct encryption_provider *encryption_config_find_kms(const struct encryption_config *c,
                                                             const char *socket_path);

/* The path of the unix socket that a kms provider's endpoint leads to, with terminator; false when
 * it leads to none, or does not fit. */
bool encryption_config_socket_of(const struct encryption_provider *p, char *to, size_t to_size);

/* The group of the first name in the file that has this resource ("widgets.example.com"); false
 * when there is none. For a resource whose group is not known otherwise. */
bool encryption_config_group_of(const struct encryption_config *c, struct bytes resource,
                                struct bytes *ret);

/* The entries whose providers kube-apiserver uses for a resource, in its order: those that name it,
 * else the first one with "*.GROUP", else the first with "*.*". The first provider of the first
 * entry writes, all read. 0 entries: it writes plaintext, and reads nothing else. */
size_t encryption_config_find_resource(
    const struct encryption_config *c, struct bytes resource, struct bytes group,
    const struct encryption_entry *ret[static ENCRYPTION_CONFIG_ENTRIES_MAX]);

#endif
