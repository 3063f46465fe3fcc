/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/audit_plugins.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define SCHEME "unix:"

static enum kerr add(struct audit_plugins *plugins, struct audit_wanted *to, struct bytes name,
                     const char *path, struct kerrinfo *e)
{
    struct sockaddr_un address;
    char *text = plugins->texts[plugins->count];
    if (plugins->count == AUDIT_KMS_MAX) {
        return kerr_set(e, KERR_USAGE, "more than %d KMS plugins", AUDIT_KMS_MAX);
    }
    if (path[0] != '/' || strlen(path) >= sizeof address.sun_path) {
        return kerr_set(e, KERR_USAGE,
                        "KMS plugin at '%s': expected an absolute path of at most %zu bytes", path,
                        sizeof address.sun_path - 1);
    }
    if (name.len + 1 + strlen(path) + 1 > AUDIT_PLUGIN_TEXT) {
        return kerr_set(e, KERR_USAGE, "name of a KMS provider of %zu bytes", name.len);
    }
    if (name.len > 0) {
        memcpy(text, name.ptr, name.len);
    }
    text[name.len] = 0;
    memcpy(text + name.len + 1, path, strlen(path) + 1);
    to->kms[to->kms_count++] =
        (struct audit_kms){.provider = name.len == 0 ? NULL : text, .socket = text + name.len + 1};
    plugins->count++;
    return KERR_OK;
}

/* "[NAME=]unix:PATH", with the slashes of a URL or without. */
static enum kerr add_named(struct audit_plugins *plugins, struct audit_wanted *to, const char *text,
                           struct kerrinfo *e)
{
    const char *equals = strchr(text, '=');
    const char *colon = strchr(text, ':');
    bool has_name = equals != NULL && (colon == NULL || equals < colon);
    const char *at = has_name ? equals + 1 : text;
    struct bytes name = bytes_of(text, has_name ? (size_t)(equals - text) : 0);
    if (strncmp(at, SCHEME, strlen(SCHEME)) != 0 || (has_name && name.len == 0)) {
        return kerr_set(e, KERR_USAGE, "--kms '%s': expected unix:PATH or NAME=unix:PATH", text);
    }
    at += strlen(SCHEME);
    at += strncmp(at, "///", 3) == 0 ? 2 : 0;
    return add(plugins, to, name, at, e);
}

static bool is_named(const struct audit_wanted *w, const char *name)
{
    for (size_t i = 0; i < w->kms_count; i++) {
        if (w->kms[i].provider != NULL && strcmp(w->kms[i].provider, name) == 0) {
            return true;
        }
    }
    return false;
}

static enum kerr add_configured(struct audit_plugins *plugins, struct audit_wanted *to,
                                const struct encryption_provider *p, struct kerrinfo *e)
{
    char path[AUDIT_PLUGIN_TEXT];
    bool is_v2 = p->kind == ENCRYPTION_KMS && p->api_version.text != NULL &&
                 strcmp(p->api_version.text, "v2") == 0;
    if (!is_v2 || p->name.text == NULL || is_named(to, p->name.text) ||
        !encryption_config_socket_of(p, path, sizeof path) || path[0] != '/') {
        return KERR_OK;
    }
    return add(plugins, to, bytes_of_text(p->name.text), path, e);
}

enum kerr audit_plugins_find(const struct options *o, const struct encryption_config *config,
                             struct audit_plugins *plugins, struct audit_wanted *to,
                             struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    if (!o->prove) {
        return o->kms.count == 0 ? k : kerr_set(e, KERR_USAGE, "--kms is for --prove");
    }
    for (size_t i = 0; i < o->kms.count && k == KERR_OK; i++) {
        k = add_named(plugins, to, o->kms.items[i], e);
    }
    for (size_t i = 0; config != NULL && i < config->entry_count; i++) {
        const struct encryption_entry *entry = &config->entries[i];
        for (size_t j = 0; j < entry->provider_count && k == KERR_OK; j++) {
            k = add_configured(plugins, to, &entry->providers[j], e);
        }
    }
    return k;
}
