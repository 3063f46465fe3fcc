/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EncryptionConfiguration files: every value can be walked and has a place, the linter finds its
 * way, and no message holds a secret or a word that may be one. The text ends at a guard page,
 * because libfyaml itself is not instrumented.
 */
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(const struct encryption_value *v, bool may_be_preset)
{
    if (v->text != NULL && !may_be_preset && v->line == 0) {
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
        check_value(&p->keys[i].name, false);
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

/* The seeds hold this word as key and value, where a message could show it. Names, resources and
 * endpoints may be shown. */
static bool is_shown(const struct lint_finding *f)
{
    bool may_show = f->rule != LINT_UNKNOWN_FIELD && f->rule != LINT_REPEATED_FIELD &&
                    f->rule != LINT_WRONG_TYPE &&
                    (f->rule < LINT_NO_KEYS || f->rule > LINT_KEY_LENGTH);
    return !may_show && (strstr(f->message, "Zq9w") != NULL || strstr(f->cure, "Zq9w") != NULL);
}

static void lint(const struct encryption_config *c)
{
    AUTO_LINT list = NULL;
    struct lint_facts facts = {.socket_path = "/run/etcdseal/kms.sock"};
    size_t kept = 0;
    if (lint_encryption_config(c, &facts, &list, NULL) != KERR_OK) {
        return;
    }
    for (size_t i = 0; i < LINT_SEVERITY_COUNT; i++) {
        kept += list->totals[i];
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct lint_finding *f = &list->items[i];
        if (f->line == 0 || f->message[0] == 0 || f->cure[0] == 0 || is_shown(f)) {
            abort();
        }
    }
    if (kept < list->count) {
        abort();
    }
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
        lint(c);
    } else if ((k != KERR_CONFIG && k != KERR_LIMIT) || e.text[0] == 0) {
        abort();
    }
    if (strstr(e.text, "Zq9w") != NULL) {
        abort();
    }
    return 0;
}
