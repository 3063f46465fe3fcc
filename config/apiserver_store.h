/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of apiserver.h fill. Private to config. */
#ifndef ETCDSEAL_CONFIG_APISERVER_STORE_H
#define ETCDSEAL_CONFIG_APISERVER_STORE_H

#include "config/apiserver.h"
#include "config/yaml.h"

struct apiserver_text {
    struct apiserver_text *next;
    size_t size;
    char bytes[];
};

struct apiserver_store {
    struct apiserver_spec spec;
    struct apiserver_flag flags[APISERVER_FLAGS_MAX];
    struct apiserver_mount mounts[APISERVER_MOUNTS_MAX];
    size_t flag_count;
    size_t mount_count;
    struct apiserver_text *texts; /* copies, wiped when freed */
};

struct apiserver_store *apiserver_store_new(enum apiserver_source source, const char *name,
                                            struct kerrinfo *e);
void apiserver_store_free_at(struct apiserver_store **s);
#define AUTO_STORE AUTO(apiserver_store_free_at) struct apiserver_store *
/* Hands the finished spec out. */
struct apiserver_spec *apiserver_store_take(struct apiserver_store **s);

/* A copy that lives as long as the store. */
enum kerr apiserver_keep(struct apiserver_store *s, struct bytes text, const char **ret,
                         struct kerrinfo *e) MUST_CHECK;
/* A scalar of any type with its place; INPUT-like CONFIG for a container. `file` lives as long as
 * the store. */
enum kerr apiserver_take(struct apiserver_store *s, const struct yaml *doc,
                         const struct yaml_node *node, const char *file,
                         struct apiserver_value *ret, struct kerrinfo *e) MUST_CHECK;
/* "name=value", "--name=value" or a name alone; the place is that of `at`. */
enum kerr apiserver_add_flag(struct apiserver_store *s, const char *word,
                             const struct apiserver_value *at, struct kerrinfo *e) MUST_CHECK;

/* The child of a mapping with this key, or NULL: also for nodes that are no mapping, and NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *node, const char *key);

#endif
