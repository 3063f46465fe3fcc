/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube-apiserver's EncryptionConfiguration (YAML or JSON), read into plain structs with the place
 * of each value, for checks and reports. It says what stands in the file, not whether it is wise:
 * beyond its form only apiVersion and kind are checked.
 *
 * The file may hold AES and secretbox keys. They are never stored: the file is read into locked
 * memory and parsed there, values of the key `secret` are not even asked of the parser, no message
 * holds text of the file, and the locked copy is wiped before the functions return. What can't be
 * promised: a secret under another key (a typing error) lies in ordinary memory until then; our
 * copy is wiped, but libfyaml copies values with escapes and frees them as they are.
 *
 * Stricter than kube-apiserver on purpose: anchors, aliases, tags, several documents, unknown and
 * repeated keys are refused in every version (it refuses the last two from 1.31 on).
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

/* A value of the file and where it stands; text NULL and line 0 when it is not there. */
struct encryption_value {
    const char *text;
    unsigned line;
    unsigned column;
};

struct encryption_provider {
    enum encryption_kind kind;
    unsigned line; /* of the kind's name */
    unsigned column;
    /* Of aescbc, aesgcm and secretbox: names of keys, in the file's order. */
    const struct encryption_value *keys;
    size_t key_count;
    /* Of kms. */
    struct encryption_value api_version; /* text "v1", line 0 when it is not there */
    struct encryption_value name;
    struct encryption_value endpoint;
    struct encryption_value timeout; /* as written, "3s" */
    int64_t timeout_ns;              /* 3 s when it is not there */
    struct encryption_value cachesize;
    int32_t cachesize_value; /* 0 when it is not there */
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
    const struct encryption_entry *entries;
    size_t entry_count;
    void *memory; /* what all the texts lie in */
};

enum kerr encryption_config_read(const char *path, struct encryption_config **ret,
                                 struct kerrinfo *e) MUST_CHECK;
/* For tests and fuzzing; `text` may hold secrets, the caller wipes it. */
enum kerr encryption_config_parse(struct bytes text, const char *name,
                                  struct encryption_config **ret, struct kerrinfo *e) MUST_CHECK;
void encryption_config_free(struct encryption_config *c); /* NULL is fine */
void encryption_config_free_at(struct encryption_config **c);
#define AUTO_ENCRYPTION_CONFIG AUTO(encryption_config_free_at) struct encryption_config *

/* The first kms provider of apiVersion v2 whose endpoint is the unix socket `socket_path`
 * ("unix://" and the path, or "unix:" and the path), or NULL. */
const struct encryption_provider *encryption_config_find_kms(const struct encryption_config *c,
                                                             const char *socket_path);

#endif
