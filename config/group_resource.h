/* SPDX-License-Identifier: Apache-2.0 */
/* Names in `resources`: "secrets", "pods.", "*.apps". Private to config. Source: ParseGroupResource
 * of k8s.io/apimachinery pkg/runtime/schema, which splits at the first dot. */
#ifndef ETCDSEAL_CONFIG_GROUP_RESOURCE_H
#define ETCDSEAL_CONFIG_GROUP_RESOURCE_H

#include <string.h>

#include "base/bytes.h"

struct group_resource {
    struct bytes resource;
    struct bytes group; /* "" is the core group */
};

static inline struct group_resource group_resource_of(const char *text)
{
    size_t len = strcspn(text, ".");
    return (struct group_resource){.resource = bytes_of(text, len),
                                   .group = bytes_of_text(text[len] == 0 ? "" : text + len + 1)};
}

static inline bool group_resource_is(struct group_resource a, struct group_resource b)
{
    return bytes_equal(a.resource, b.resource) && bytes_equal(a.group, b.group);
}

/* "*.*", or with the group "*.apps". */
static inline bool group_resource_is_all(struct group_resource a)
{
    return bytes_equal_text(a.resource, "*") && bytes_equal_text(a.group, "*");
}

static inline bool group_resource_is_all_of(struct group_resource a, struct bytes group)
{
    return bytes_equal_text(a.resource, "*") && bytes_equal(a.group, group);
}

#endif
