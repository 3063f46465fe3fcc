/* SPDX-License-Identifier: Apache-2.0 */
/* What an EncryptionConfiguration is read into, and its values by kube-apiserver's types: null is
 * the same as nothing, and a wrong type is noted as a fault. Private to config. */
#ifndef ETCDSEAL_CONFIG_ENCRYPTION_VALUES_H
#define ETCDSEAL_CONFIG_ENCRYPTION_VALUES_H

#include "config/encryption_config.h"
#include "config/yaml.h"

struct encryption_store {
    struct encryption_config config;
    struct lint_list faults;
    struct yaml *doc;
    bool is_json;
    bool keeps_keys;
    char *file;
    char *texts; /* one behind the other; as large as they can get */
    size_t texts_len;
    struct encryption_entry entries[ENCRYPTION_CONFIG_ENTRIES_MAX];
    struct encryption_value resources[ENCRYPTION_CONFIG_RESOURCES_MAX];
    struct encryption_provider providers[ENCRYPTION_CONFIG_PROVIDERS_MAX];
    struct encryption_key keys[ENCRYPTION_CONFIG_KEYS_MAX];
    struct secret *secrets[ENCRYPTION_CONFIG_KEYS_MAX]; /* of keys[i] */
    size_t entry_count;
    size_t resource_count;
    size_t provider_count;
    size_t key_count;
};

enum yaml_type values_type(const struct encryption_store *s, const struct yaml_node *scalar);
/* Nothing, or null. */
bool values_is_null(const struct encryption_store *s, const struct yaml_node *node);
/* Notes "WHAT: expected EXPECTED, found …". */
void values_wrong_type(struct encryption_store *s, const struct yaml_node *node, const char *what,
                       const char *expected);
/* Copies a text that is to outlive the document. */
const char *values_keep(struct encryption_store *s, const char *text);
void values_text(struct encryption_store *s, const struct yaml_node *node, const char *what,
                 struct encryption_value *ret);
/* The first child of a list; NULL for none. */
const struct yaml_node *values_list(struct encryption_store *s, const struct yaml_node *node,
                                    const char *what);
/* Whether a list is empty rather than of a wrong type. */
bool values_is_empty(const struct encryption_store *s, const struct yaml_node *node);
/* Sorts the children of a mapping: ret[i] is the last one with names[i], or NULL. Notes unknown and
 * repeated fields. False, and noted, when it is no mapping. */
bool values_fields(struct encryption_store *s, const struct yaml_node *node, const char *what,
                   const char *const *names, size_t count, const struct yaml_node **ret);

#endif
