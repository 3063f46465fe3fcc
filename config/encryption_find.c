/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about a configuration that was read. */
#include <string.h>

#include "config/encryption_config.h"
#include "config/go_url.h"
#include "config/group_resource.h"

static bool leads_to(const struct encryption_provider *p, const char *socket_path)
{
    struct go_url url;
    return p->endpoint.text != NULL && go_url_parse(p->endpoint.text, &url) == GO_URL_OK &&
           strcmp(url.path, socket_path) == 0;
}

bool encryption_config_socket_of(const struct encryption_provider *p, char *to, size_t to_size)
{
    struct go_url url;
    if (p->endpoint.text == NULL || go_url_parse(p->endpoint.text, &url) != GO_URL_OK ||
        url.path[0] == 0 || strlen(url.path) >= to_size) {
        return false;
    }
    memcpy(to, url.path, strlen(url.path) + 1);
    return true;
}

const struct encryption_provider *encryption_config_find_kms(const struct encryption_config *c,
                                                             const char *socket_path)
{
    for (size_t i = 0; i < c->entry_count; i++) {
        const struct encryption_entry *entry = &c->entries[i];
        for (size_t j = 0; j < entry->provider_count; j++) {
            const struct encryption_provider *p = &entry->providers[j];
            bool is_v2 = p->kind == ENCRYPTION_KMS && p->api_version.text != NULL &&
                         strcmp(p->api_version.text, "v2") == 0;
            if (is_v2 && leads_to(p, socket_path)) {
                return p;
            }
        }
    }
    return NULL;
}

static bool has_resource(const struct encryption_entry *entry, struct group_resource wanted)
{
    for (size_t i = 0; i < entry->resource_count; i++) {
        const char *text = entry->resources[i].text;
        if (text != NULL && group_resource_is(group_resource_of(text), wanted)) {
            return true;
        }
    }
    return false;
}

bool encryption_config_group_of(const struct encryption_config *c, struct bytes resource,
                                struct bytes *ret)
{
    for (size_t i = 0; i < c->entry_count; i++) {
        const struct encryption_entry *entry = &c->entries[i];
        for (size_t j = 0; j < entry->resource_count; j++) {
            const char *text = entry->resources[j].text;
            struct group_resource named = group_resource_of(text == NULL ? "" : text);
            if (bytes_equal(named.resource, resource)) {
                *ret = named.group;
                return true;
            }
        }
    }
    return false;
}

size_t encryption_config_find_resource(
    const struct encryption_config *c, struct bytes resource, struct bytes group,
    const struct encryption_entry *ret[static ENCRYPTION_CONFIG_ENTRIES_MAX])
{
    const struct bytes all = bytes_of_text("*");
    const struct group_resource wanted[] = {{resource, group}, {all, group}, {all, all}};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(wanted) && count == 0; i++) {
        for (size_t j = 0; j < c->entry_count && (i == 0 || count == 0); j++) {
            if (has_resource(&c->entries[j], wanted[i])) {
                ret[count++] = &c->entries[j];
            }
        }
    }
    return count;
}
