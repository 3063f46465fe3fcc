/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about a configuration that was read. */
#include <string.h>

#include "config/encryption_config.h"
#include "config/go_url.h"

static bool leads_to(const struct encryption_provider *p, const char *socket_path)
{
    struct go_url url;
    return p->endpoint.text != NULL && go_url_parse(p->endpoint.text, &url) == GO_URL_OK &&
           strcmp(url.path, socket_path) == 0;
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
