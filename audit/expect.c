/* SPDX-License-Identifier: Apache-2.0 */
/* What an EncryptionConfiguration means for one resource and one value. */
#include <stdio.h>
#include <string.h>

#include "audit/tables.h"

static const enum value_class classes[ENCRYPTION_KIND_COUNT] = {
    [ENCRYPTION_IDENTITY] = VALUE_PLAINTEXT, [ENCRYPTION_AESCBC] = VALUE_AESCBC,
    [ENCRYPTION_AESGCM] = VALUE_AESGCM,      [ENCRYPTION_SECRETBOX] = VALUE_SECRETBOX,
    [ENCRYPTION_KMS] = VALUE_KMSV2,
};

enum value_class expect_class(const struct encryption_provider *p)
{
    bool is_v2 = p->api_version.text != NULL && strcmp(p->api_version.text, "v2") == 0;
    return p->kind == ENCRYPTION_KMS && !is_v2 ? VALUE_KMSV1 : classes[p->kind];
}

static const struct encryption_provider *first_provider(const struct audit_resource *r)
{
    for (size_t i = 0; i < r->entry_count; i++) {
        if (r->entries[i]->provider_count > 0) {
            return &r->entries[i]->providers[0];
        }
    }
    return NULL;
}

/* The key id that a KMS provider writes with: as it was said, else as its Status says. Without a
 * name: of the only plugin there is. */
static const char *current_key(const struct audit *a, struct bytes provider)
{
    if (a->wanted.current_key != NULL) {
        return a->wanted.current_key;
    }
    const struct audit_kms_told *told = provider.len > 0           ? expect_kms(a, provider)
                                        : a->wanted.kms_count == 1 ? &a->kms[0]
                                                                   : NULL;
    return told == NULL ? NULL : told->key_id;
}

/* Whatever a configuration says: one that leaves them in plaintext is what an audit shall find. */
static bool is_secrets(const struct resource_key *key)
{
    return bytes_equal_text(key->resource, "secrets") && key->group.len == 0;
}

static void expect_configured(const struct audit *a, const struct resource_key *key,
                              struct audit_resource *to)
{
    /* A resource that Kubernetes has and our table does not: as the file names it, else only what
     * stands for all groups is certainly for it. */
    struct bytes group = key->is_group_known ? key->group : bytes_of_text("?");
    to->is_group_known =
        key->is_group_known || encryption_config_group_of(a->wanted.config, key->resource, &group);
    to->entry_count =
        encryption_config_find_resource(a->wanted.config, key->resource, group, to->entries);
    const struct encryption_provider *first = first_provider(to);
    to->writer = first != NULL && first->kind == ENCRYPTION_IDENTITY ? NULL : first;
    to->is_expected = to->writer != NULL || is_secrets(key);
    bool is_kms = to->writer != NULL && expect_class(to->writer) == VALUE_KMSV2;
    to->current_key = is_kms ? current_key(a, bytes_of_text(to->writer->name.text)) : NULL;
    to->is_stale_known = !is_kms || to->current_key != NULL;
}

void expect_of(const struct audit *a, const struct resource_key *key, struct audit_resource *to)
{
    if (key == NULL || key->is_bookkeeping) {
        to->is_stale_known = true;
        return;
    }
    if (a->wanted.config != NULL) {
        expect_configured(a, key, to);
        return;
    }
    to->is_expected = is_secrets(key);
    to->current_key = current_key(a, bytes_of(NULL, 0));
    to->is_stale_known = to->is_expected && to->current_key != NULL;
}

/* Position of the key name that a value was written under; -1 when the provider has none such. */
static int key_position(const struct encryption_provider *p, struct stored_value *v)
{
    if (p->kind == ENCRYPTION_KMS) {
        return p->name.text != NULL && value_is_named(v, bytes_of_text(p->name.text)) ? 0 : -1;
    }
    int found = -1;
    for (size_t i = 0; i < p->key_count && (found < 0 || v->fault != NULL); i++) {
        const char *name = p->keys[i].name.text;
        if (name != NULL && value_is_named(v, bytes_of_text(name))) {
            found = (int)i;
        }
    }
    return found;
}

static enum reading reading_by(const struct encryption_provider *p, bool is_first,
                               struct stored_value *v)
{
    bool is_plain = v->class_of == VALUE_PLAINTEXT || v->class_of == VALUE_OTHER;
    if (p->kind == ENCRYPTION_IDENTITY) {
        return !is_plain ? READ_BY_NOBODY : is_first ? READ_BY_WRITER : READ_BY_OTHER;
    }
    if (expect_class(p) != v->class_of) {
        return READ_BY_NOBODY;
    }
    int position = key_position(p, v);
    if (position < 0) {
        return READ_NO_KEY;
    }
    return is_first && position == 0 ? READ_BY_WRITER : READ_BY_OTHER;
}

enum reading expect_reading(const struct audit_resource *r, struct stored_value *v)
{
    enum reading worst = READ_BY_NOBODY;
    for (size_t i = 0; i < r->entry_count; i++) {
        for (size_t j = 0; j < r->entries[i]->provider_count; j++) {
            enum reading now = reading_by(&r->entries[i]->providers[j], i == 0 && j == 0, v);
            if (now == READ_BY_WRITER || now == READ_BY_OTHER) {
                return now;
            }
            worst = now == READ_NO_KEY ? now : worst;
        }
    }
    if (r->entry_count == 0 && !value_is_encrypted(v->class_of)) {
        return READ_BY_WRITER; /* what has no entry is stored in plaintext */
    }
    return worst;
}

const struct audit_kms_told *expect_kms(const struct audit *a, struct bytes provider)
{
    const struct audit_kms_told *found = NULL;
    for (size_t i = 0; i < a->wanted.kms_count; i++) {
        const char *name = a->kms[i].kms.provider;
        if (name != NULL && bytes_equal_text(provider, name)) {
            return &a->kms[i];
        }
        found = name == NULL ? &a->kms[i] : found;
    }
    return found;
}

bool expect_is_loose(const struct encryption_provider *p)
{
    return p->kind == ENCRYPTION_IDENTITY || p->kind == ENCRYPTION_AESCBC ||
           p->kind == ENCRYPTION_SECRETBOX;
}

bool audit_expected(const struct audit *a, const struct audit_resource *r, char *to, size_t to_size)
{
    if (a->wanted.config == NULL || strcmp(r->name, TABLES_OUTSIDE) == 0) {
        return false;
    }
    const struct encryption_provider *p = r->writer;
    if (p == NULL) {
        (void)snprintf(to, to_size, "identity");
        return true;
    }
    const char *name = p->kind == ENCRYPTION_KMS ? p->name.text
                       : p->key_count > 0        ? p->keys[0].name.text
                                                 : NULL;
    (void)snprintf(to, to_size, "%s:%s", value_class_names[expect_class(p)],
                   name == NULL ? "" : name);
    return true;
}
