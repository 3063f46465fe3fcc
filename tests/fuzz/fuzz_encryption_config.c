/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EncryptionConfiguration files: every value can be walked and has a place, and no message holds a
 * piece of the text. The text ends at a guard page, because libfyaml itself is not instrumented.
 */
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/encryption_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(const struct encryption_value *v, bool may_be_preset)
{
    if (v->text != NULL && !may_be_preset && (v->line == 0 || v->column == 0)) {
        abort();
    }
    if (v->text != NULL && strlen(v->text) > ENCRYPTION_CONFIG_FILE_MAX) {
        abort();
    }
}

static void walk_provider(const struct encryption_provider *p)
{
    if (p->kind >= ENCRYPTION_KIND_COUNT || p->line == 0) {
        abort();
    }
    check_value(&p->api_version, true);
    check_value(&p->name, false);
    check_value(&p->endpoint, false);
    check_value(&p->timeout, false);
    check_value(&p->cachesize, false);
    for (size_t i = 0; i < p->key_count; i++) {
        check_value(&p->keys[i], false);
    }
}

static void walk(const struct encryption_config *c)
{
    for (size_t i = 0; i < c->entry_count; i++) {
        const struct encryption_entry *entry = &c->entries[i];
        for (size_t j = 0; j < entry->resource_count; j++) {
            check_value(&entry->resources[j], false);
        }
        for (size_t j = 0; j < entry->provider_count; j++) {
            walk_provider(&entry->providers[j]);
        }
    }
    (void)encryption_config_find_kms(c, "/run/etcdseal/kms.sock");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_SECRET text = NULL;
    AUTO_ENCRYPTION_CONFIG c = NULL;
    struct kerrinfo e = {0};
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK || size == 0 ||
        secret_from_bytes(bytes_of(data, size), &text, NULL) != KERR_OK) {
        return 0;
    }
    enum kerr k = encryption_config_parse(secret_view(text), "F", &c, &e);
    if (k == KERR_OK) {
        walk(c);
    } else if ((k != KERR_CONFIG && k != KERR_LIMIT) || e.text[0] == 0) {
        abort();
    }
    /* The seeds hold this word as key and value, where a message could show it. */
    if (strstr(e.text, "Zq9w") != NULL) {
        abort();
    }
    return 0;
}
