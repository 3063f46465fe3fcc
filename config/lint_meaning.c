/* SPDX-License-Identifier: Apache-2.0 */
/* Source: transformerFromOverrides of k8s.io/apiserver pkg/server/options/encryptionconfig: a
 * resource is looked up by its own name, then by "*.group", then by "*.*"; the lists of all entries
 * with that name stand behind each other, the first provider writes and all are tried for reading.
 */
#include "config/group_resource.h"
#include "config/lint_rules.h"

#define RBAC "clusterrolebindings.rbac.authorization.k8s.io"

enum level { BY_NAME, BY_GROUP, BY_ALL, LEVEL_COUNT };

static bool matches(const struct encryption_value *v, struct group_resource wanted,
                    enum level level)
{
    struct group_resource gr = group_resource_of(v->text);
    switch (level) {
    case BY_NAME:
        return group_resource_is(gr, wanted);
    case BY_GROUP:
        return group_resource_is_all_of(gr, wanted.group);
    case BY_ALL:
        return group_resource_is_all(gr);
    case LEVEL_COUNT:
        break;
    }
    return false;
}

/* The provider that writes a resource; NULL: kube-apiserver's own identity. */
static const struct encryption_provider *writer_of(const struct encryption_config *c,
                                                   const char *resource)
{
    struct group_resource wanted = group_resource_of(resource);
    for (enum level level = BY_NAME; level < LEVEL_COUNT; level++) {
        for (size_t i = 0; i < c->entry_count; i++) {
            const struct encryption_entry *entry = &c->entries[i];
            for (size_t j = 0; j < entry->resource_count; j++) {
                if (matches(&entry->resources[j], wanted, level)) {
                    return &entry->providers[0];
                }
            }
        }
    }
    return NULL;
}

static bool is_plaintext(const struct encryption_provider *writer)
{
    return writer == NULL || writer->kind == ENCRYPTION_IDENTITY;
}

/* How many resources of an entry no earlier entry names: for these its first provider writes. */
static size_t count_new(const struct encryption_config *c, const struct encryption_entry *entry)
{
    size_t count = 0;
    for (size_t i = 0; i < entry->resource_count; i++) {
        struct group_resource gr = group_resource_of(entry->resources[i].text);
        const struct encryption_value *other = c->entries[0].resources;
        while (other < entry->resources && !group_resource_is(group_resource_of(other->text), gr)) {
            other++;
        }
        count += other == entry->resources;
    }
    return count;
}

static void check_identity(const struct encryption_config *c, const struct encryption_entry *entry,
                           const struct encryption_provider *p, struct lint_list *to)
{
    size_t new_count = count_new(c, entry);
    bool is_first = p == &entry->providers[0];
    if (!is_first || new_count < entry->resource_count) {
        lint_add(to, LINT_IDENTITY_READABLE, p->line, p->column, "%s",
                 lint_rules[LINT_IDENTITY_READABLE].what);
    }
    /* A list of identity alone exempts its resources on purpose. */
    if (is_first && new_count > 0 && entry->provider_count > 1 && p != writer_of(c, "secrets")) {
        lint_add(to, LINT_IDENTITY_FIRST_OTHER, p->line, p->column, "%s",
                 lint_rules[LINT_IDENTITY_FIRST_OTHER].what);
    }
}

static void check_local_key(const struct encryption_provider *p, struct lint_list *to)
{
    if (p->kind == ENCRYPTION_AESCBC || p->kind == ENCRYPTION_SECRETBOX) {
        lint_add(
            to, LINT_UNAUTHENTICATED, p->line, p->column,
            "%s does not bind a value to its key in etcd: who can write to etcd can move it to "
            "another key",
            encryption_kind_names[p->kind]);
    }
    if (p->kind != ENCRYPTION_KMS && p->kind != ENCRYPTION_IDENTITY) {
        lint_add(to, LINT_KEY_IN_FILE, p->line, p->column,
                 "keys of %s stand in this file, beside the data that they protect",
                 encryption_kind_names[p->kind]);
    }
}

static void check_writers(const struct encryption_config *c, struct lint_list *to)
{
    const struct encryption_provider *writer = writer_of(c, "secrets");
    if (writer == NULL) {
        lint_add(to, LINT_SECRETS_PLAINTEXT, c->line, c->column,
                 "no entry covers Secrets: they are stored in plaintext");
    } else if (writer->kind == ENCRYPTION_IDENTITY) {
        lint_add(to, LINT_IDENTITY_FIRST, writer->line, writer->column, "%s",
                 lint_rules[LINT_IDENTITY_FIRST].what);
    } else if (is_plaintext(writer_of(c, RBAC))) {
        lint_add(to, LINT_PARTIAL, c->line, c->column, "%s", lint_rules[LINT_PARTIAL].what);
    }
}

void lint_meaning(const struct encryption_config *c, struct lint_list *to)
{
    for (size_t i = 0; i < c->entry_count; i++) {
        const struct encryption_entry *entry = &c->entries[i];
        for (size_t j = 0; j < entry->provider_count; j++) {
            const struct encryption_provider *p = &entry->providers[j];
            if (p->kind == ENCRYPTION_IDENTITY) {
                check_identity(c, entry, p, to);
            } else {
                check_local_key(p, to);
            }
        }
    }
    check_writers(c, to);
}
